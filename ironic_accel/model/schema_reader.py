#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Checking plain data by a JSON Schema, in an operator's words.

Every problem is named, with its path, the value and what was expected, and
none hides another one. The schema is one that editors read as well; two
annotations are ours: ``x-expected`` is the name of the value in messages, and
a value that is ``writeOnly`` is never repeated, as it may hold a secret.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import copy
import difflib
import re
from typing import Any

import jsonschema
from jsonschema import validators

from ironic_accel.model.errors import BadInput
from ironic_accel.model.strict_yaml import dotted
from ironic_accel.model.strict_yaml import Path

#: How many names an error lists where none is close.
LISTED = 12
_LONGEST = 60
#: Maximum number of problems in one message.
_TOLD = 20

_TYPES = {'object': 'a mapping', 'array': 'a list', 'string': 'text',
          'boolean': 'true or false'}


def shown(value: Any) -> str:
    """A value as the messages show it: short, as it would be written."""
    if value is None or isinstance(value, bool):
        return {None: 'null', True: 'true', False: 'false'}[value]
    text = repr(value)
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST - 3]}...'


def suggest(name: object, known: Collection[str]) -> str:
    """What is known in place of a name: the closest ones, or the list."""
    # Comparing takes time by the product of both lengths.
    close = difflib.get_close_matches(str(name)[:64], known, 3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    listed = ', '.join(list(known)[:LISTED])
    more = ', ...' if len(known) > LISTED else ''
    return f'known: {listed}{more}' if known else 'no value is known'


def one_of(value: object, known: Collection[str]) -> str:
    """What was expected in place of a value out of a closed list."""
    if len(known) <= LISTED:
        return 'one of ' + ', '.join(known)
    return f'a known name ({suggest(value, known)})'


def listed(problems: list[str]) -> str:
    """Problems in one line, up to a limit."""
    more = len(problems) - _TOLD
    return '; '.join(problems[:_TOLD]) + (
        f'; and {more} more' if more > 0 else '')


class Problems:
    """What is wrong with a document, gathered.

    :param lines: by path, the line of a value, where it came from a text.
    :ivar first: field, value and what was wanted of the first one, for
        ``BadInput``.
    """

    def __init__(self, lines: Mapping[Path, int] | None = None) -> None:
        self._lines = lines or {}
        self.found: list[str] = []
        self.first: dict[str, str] = {}
        self._notes: dict[str, int] = {}

    @property
    def notes(self) -> list[str]:
        """What was read as something else than it was written as, in the
        order of the lines; that is not wrong."""
        return sorted(self._notes, key=lambda text: self._notes[text])

    def _line(self, path: Path) -> int:
        return self._lines.get(path) or self._lines.get(path[:-1]) or 0

    def _at(self, path: Path) -> str:
        line = self._line(path)
        return f'line {line}: {dotted(path)}' if line else dotted(path)

    def add(self, path: Path, text: str) -> None:
        """Note one problem at a path."""
        if not self.first:
            value, told, wanted = text.partition(', expected ')
            self.first = {'field': dotted(path), **(
                {'value': value, 'wanted': wanted} if told else {})}
        self.found.append(f'{self._at(path)}: {text}')

    def read_as(self, path: Path, written: Any, value: Any) -> None:
        """Note what a value is read as."""
        text = f'{shown(written)} is read as {shown(value)}'
        self._notes[f'{self._at(path)}: {text}'] = self._line(path)

    def expected(self, path: Path, value: Any, what: str) -> None:
        """Note a value where something else was expected."""
        self.add(path, f'{shown(value)}, expected {what}')

    def raise_if_any(self, source: str) -> None:
        """Raise BadInput with all that was found."""
        if self.found:
            raise BadInput(f'{source}: {listed(self.found)}', **self.first)


def conforming(data: Any, schema: Mapping[str, Any],
               problems: Problems) -> Any:
    """The data as far as a schema has nothing against them.

    What is wrong is noted in ``problems`` and left out of a copy, with the
    entry of the mapping that it is in: what reads the copy may lack entries
    that the schema requires, and finds none of another type.

    :param data: plain data, as JSON or YAML have them; not changed.
    :param schema: JSON Schema 2020-12.
    """
    left = copy.deepcopy(data)
    for path in _unnamed(left, (), problems):
        _leave_out(left, path)
    checker = _VALIDATOR(schema)
    bad: dict[Path, None] = {}
    for error in checker.iter_errors(left):
        for one in _leaves(error):
            bad |= dict.fromkeys(_note(one, bad, problems))
    for path in bad:
        if not path:
            return {}
        _leave_out(left, path)
    return left


def _unnamed(data: Any, path: Path, problems: Problems) -> list[Path]:
    """Keys that are no text, as YAML may have them and no JSON has."""
    out: list[Path] = []
    if isinstance(data, dict):
        for key, value in data.items():
            if isinstance(key, str):
                out += _unnamed(value, (*path, key), problems)
            else:
                problems.add((*path, str(key)),
                             f'{shown(key)} is not a name (expected text)')
                out.append((*path, key))
    elif isinstance(data, list):
        for n, value in enumerate(data):
            out += _unnamed(value, (*path, n), problems)
    return out


def _leave_out(data: Any, path: Path) -> None:
    """Take the entry of a mapping out that a path leads to or through."""
    inner: list[tuple[Any, Any]] = []
    for key in path:
        if isinstance(data, dict):
            if key not in data:
                return
            inner.append((data, key))
        data = data[key]
    if inner:
        mapping, key = inner[-1]
        del mapping[key]


def _leaves(error: jsonschema.ValidationError
            ) -> Iterator[jsonschema.ValidationError]:
    """What is wrong with a value of several forms, by the form it has."""
    if error.validator != 'anyOf':
        yield error
        return
    value: Any = error.instance
    form = ('object' if isinstance(value, dict) else
            'array' if isinstance(value, list) else None)
    forms: Any = error.validator_value
    wanted = next((n for n, one in enumerate(forms)
                   if form and one.get('type') == form), 0)
    for one in error.context or ():
        if one.schema_path[0] == wanted:
            yield from _leaves(one)


def _note(error: jsonschema.ValidationError, bad: Collection[Path],
          problems: Problems) -> Iterator[Path]:
    """Say what is wrong; the paths of what is to be left out.

    :param bad: paths that have a problem already.
    """
    path: Path = tuple(error.absolute_path)
    what = error.validator
    rule: Any = error.validator_value
    schema: Any = error.schema
    value: Any = error.instance
    if 'propertyNames' in error.absolute_schema_path:
        path = (*path, str(value))
        if path not in bad:
            problems.add(path, f'{shown(value)} is not a valid name '
                         f'(expected matching {_plain(rule)})')
        yield path
    elif what == 'additionalProperties':
        known = schema['properties']
        for key in value:
            if key not in known:
                # Nobody reads the thousandth, and looking for what was
                # meant takes a while.
                problems.add((*path, key), 'unknown key' if len(
                    problems.found) > _TOLD else
                    f'unknown key ({suggest(key, known)})')
                yield (*path, key)
    elif what == 'required':
        for key in rule:
            if key not in value and (*path, key) not in bad:
                problems.add((*path, key), 'is missing')
                yield (*path, key)
    elif path not in bad:
        problems.add(path, _said(error))
        yield path


def _said(error: jsonschema.ValidationError) -> str:
    """What is wrong with a value."""
    value: Any = error.instance
    schema: Any = error.schema
    if error.validator == 'uniqueItems':
        return 'duplicate value'
    if error.validator == 'not':
        return str(schema['x-expected'])
    what = _expected(error)
    if schema.get('writeOnly'):
        return f'invalid value, expected {what}'
    if error.validator == 'type' and error.validator_value == 'string' and (
            type(value) is int):
        return (f'{shown(value)} is a number, expected {what}: '
                f'write "{value}"')
    return f'{shown(value)}, expected {what}'


def _expected(error: jsonschema.ValidationError) -> str:
    """What was expected in place of a value."""
    schema: Any = error.schema
    rule: Any = error.validator_value
    name = str(schema.get('x-expected') or (
        _whole(schema) if schema.get('type') == 'integer'
        else _TYPES.get(str(schema.get('type')), 'something else')))
    examples = schema.get('examples')
    if examples:
        return f'{name} such as "{examples[0]}"'
    if error.validator == 'enum':
        return one_of(error.instance, [str(one) for one in rule])
    if error.validator == 'maxLength':
        return f'{name} of at most {rule} characters'
    if error.validator == 'minItems':
        return 'at least one value'
    if error.validator == 'minProperties':
        inner = schema['additionalProperties']
        return 'at least ' + (f'one {inner["title"]}' if inner else
                              'one of ' + ', '.join(schema['properties']))
    if error.validator == 'pattern':
        text = str(error.instance)
        if text != text.strip() or not text:
            return f'{name} without blanks around it'
        return f'{name} (matching {_plain(rule)})'
    return name


def _whole(schema: Mapping[str, Any]) -> str:
    low, high = schema.get('minimum', 0), schema.get('maximum')
    return f'a whole number from {low}' + (
        '' if high is None else f' to {high}')


def _plain(pattern: str) -> str:
    return pattern.removeprefix('^').removesuffix('$')


def _matches(_: Any, pattern: str, value: Any, schema: Mapping[str, Any]
             ) -> Iterator[jsonschema.ValidationError]:
    """``pattern``; $ is the end alone (ECMA-262), before no line break."""
    if isinstance(value, str) and not re.search(
            re.sub(r'\$\Z', r'\\Z', pattern), value):
        yield jsonschema.ValidationError('')


def _unique(_: Any, wanted: bool, value: Any, schema: Mapping[str, Any]
            ) -> Iterator[jsonschema.ValidationError]:
    """``uniqueItems``, of texts; what is none is wrong anyway, and would
    take the square of their number to be compared."""
    if wanted and isinstance(value, list) and all(
            isinstance(v, str) for v in value) and (
                len(set(value)) < len(value)):
        yield jsonschema.ValidationError('')


def _is_integer(_: Any, value: Any) -> bool:
    """A whole number as it is written: 2.0 is none, and true is none."""
    return type(value) is int


_VALIDATOR = validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {'pattern': _matches, 'uniqueItems': _unique},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        'integer', _is_integer))
