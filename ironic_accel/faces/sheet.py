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

"""Values as cells of a sheet (CSV): one text or number in each."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ironic_accel.model.errors import printable

#: First characters by which a spreadsheet takes a text for a formula (OWASP,
#: CSV Injection).
_FORMULA = ('=', '+', '-', '@', '\t', '\r')
#: What stands between the values of a list in one cell.
SEPARATOR = ';'


def cell(value: Any) -> Any:
    """A value as a cell that a spreadsheet reads as it is meant.

    None is an empty cell, and no text is taken for a formula: texts of BMCs
    and of devices are among them.
    """
    if value is None:
        return ''
    if isinstance(value, bool):
        return _scalar(value)
    found = flat(value)
    if not isinstance(found, str):
        return found
    text = ' '.join(found.splitlines())
    if text.startswith(_FORMULA) or found.startswith(_FORMULA):
        return f"'{printable(text)}"
    return printable(text)


def flat(value: Any) -> Any:
    """A list or mapping as one text; any other value as it is.

    The values of a list have ``;`` between them, those of a mapping are
    ``key=value``, and of one in another ``key.key=value``.
    """
    if isinstance(value, Mapping):
        return SEPARATOR.join(f'{name}={text}' for name, text in _named(value))
    if isinstance(value, list | tuple | set | frozenset):
        return SEPARATOR.join(_part(one) for one in value)
    return value


def _named(value: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """The values of a mapping, each with the path to it."""
    for name, one in value.items():
        if isinstance(one, Mapping):
            for rest, text in _named(one):
                yield f'{name}.{rest}', text
        else:
            yield str(name), _part(one)


def _part(value: Any) -> str:
    """A part of a list or mapping: without what separates the parts."""
    if isinstance(value, Mapping):
        return ' '.join(f'{name}={text}' for name, text in _named(value))
    if isinstance(value, list | tuple):
        return ' '.join(_part(one) for one in value)
    return _scalar(value).replace(SEPARATOR, ',')


def _scalar(value: Any) -> str:
    """A single value as text."""
    if value is None:
        return ''
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return str(value)
