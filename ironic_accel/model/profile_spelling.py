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

"""The spellings that profile format 2 accepts besides the catalogue's own.

Operators write what a tool prints or a data sheet has: ``Enabled``, ``on``,
``InfiniBand``, ``ETH(2)``, ``NVIDIA-H100-PCIe``. Each function gives the word
that is meant, or None where none is or several may be. Format 1 accepts none
of them; ``Words`` reads both formats.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import difflib
import re
from typing import Any

from ironic_accel.model import catalog_types
from ironic_accel.model.catalog_types import ModeFacts
from ironic_accel.model.schema_reader import LISTED
from ironic_accel.model.schema_reader import one_of
from ironic_accel.model.schema_reader import Problems
from ironic_accel.model.strict_yaml import Path

_SWITCH: Mapping[str | bool, str] = {
    'on': 'enabled', 'true': 'enabled', 'enable': 'enabled', True: 'enabled',
    'off': 'disabled', 'false': 'disabled', 'disable': 'disabled',
    False: 'disabled'}
#: What may be meant by words that are not accepted.
_MAYBE: Mapping[str, tuple[str, ...]] = {
    'yes': ('enabled', 'on'), 'y': ('enabled', 'on'), '1': ('enabled', 'on'),
    'true': ('enabled', 'on'), 'enable': ('enabled', 'on'),
    'enabled': ('on',), 'active': ('enabled', 'on'),
    'no': ('disabled', 'off'), 'n': ('disabled', 'off'),
    '0': ('disabled', 'off'), 'false': ('disabled', 'off'),
    'disable': ('disabled', 'off'), 'disabled': ('off',),
    'none': ('disabled', 'off'), 'inactive': ('disabled', 'off')}
#: The kernel prints a set of words as ``sym;asym``.
_BETWEEN = re.compile(r'\s*[;,]\s*')


def _squeezed(text: str) -> str:
    """A name as it is compared: case aside, blanks and underscores as
    hyphens. None is left out: ``nvidia-l4-0`` is no L40."""
    return re.sub(r'[\s_-]+', '-', text).lower()


def word(text: str, known: Collection[str]) -> str | None:
    """The word of a closed list that is spelled so; None if it is not one."""
    if text in known:
        return text
    bare = _squeezed(text)
    found = [k for k in known if _squeezed(k) == bare]
    return found[0] if len(found) == 1 else None


def mode_word(raw: Any, known: ModeFacts) -> str | None:
    """The value of a mode that is spelled so; None if it is not one.

    Booleans mean a value of modes that are enabled or disabled, and of no
    other.
    """
    if isinstance(raw, bool):
        return _SWITCH[raw] if known.is_switch else None
    if not isinstance(raw, str):
        return None
    found = word(raw, known.values)
    text = raw.strip().lower()
    if found is None and known.is_switch:
        found = _SWITCH.get(text)
    if found is None:
        found = next((value for value, others in known.spellings.items()
                      if text in others), None)
    return found


def separated(raw: str) -> list[str]:
    """The words of a set that is written as one text."""
    return _BETWEEN.split(raw)


def maybe_meant(raw: Any, known: Collection[str]) -> str | None:
    """A value that may be meant by one that is not accepted, or None."""
    # Comparing takes time by the product of both lengths.
    text = str(raw).lower()[:64]
    return next((value for value in _MAYBE.get(text, ()) if value in known),
                next(iter(difflib.get_close_matches(text, known, 1)), None))


class Words:
    """Reads the words of closed lists, by the format of the profile.

    :param format_: the format of the profile, 1 or 2.
    :param problems: where it is noted what is wrong, and what was read as
        another word.
    """

    def __init__(self, format_: int, problems: Problems) -> None:
        self.format, self._problems = format_, problems

    def read(self, path: Path, raw: Any, known: Collection[str],
             spelled: Callable[[Any], str | None] | None = None) -> str:
        """A word of a closed list; empty where it is none.

        :param spelled: the word that is spelled so; by default the word that
            differs by case, or has blanks or underscores for hyphens.
        """
        if isinstance(raw, str) and raw in known:
            return raw
        found = (spelled(raw) if spelled else
                 word(raw, known) if isinstance(raw, str) else None)
        if found is not None and self.format > 1:
            self._problems.read_as(path, raw, found)
            return found
        hint = ''
        if found is not None:
            hint = ' ("profile: 2" accepts this spelling)'
        elif self.format > 1 and len(known) <= LISTED:
            meant = maybe_meant(raw, known)
            hint = f' (did you mean {meant}?)' if meant else ''
        self._problems.expected(path, raw, one_of(raw, known) + hint)
        return ''

    def any_of(self, path: Path, raw: str | list[str],
               read: Callable[[Path, str], str] | None = None
               ) -> tuple[str, ...]:
        """Values of which any will do: their order says nothing."""
        values = [raw] if isinstance(raw, str) else raw
        if read is not None:
            values = [read(path if isinstance(raw, str) else (*path, n), v)
                      for n, v in enumerate(values)]
            if len(set(values)) < len(values) and all(values):
                self._problems.add(path, 'duplicate value')
        return tuple(sorted(v for v in values if v))

    def pci(self, path: Path, text: str) -> str:
        """``vendor:device`` in four lower-case hexadecimal digits each."""
        ids = [catalog_types.pci_id(part) for part in text.split(':')]
        if len(ids) != 2 or None in ids:
            self._problems.expected(path, text, 'PCI ids such as "10de:2330"')
            return ''
        found = ':'.join(i or '' for i in ids)
        if found != text:
            self._problems.read_as(path, text, found)
        return found


def respelled(data: Any, schema: Mapping[str, Any]
              ) -> Iterator[tuple[Path, Any]]:
    """Words of closed lists of a schema that are spelled another way.

    :param data: plain data; the words are replaced in it.
    :returns: the path and the former value of each.
    """
    yield from _respelled(data, schema, schema, ())


def _respelled(data: Any, part: Mapping[str, Any], schema: Mapping[str, Any],
               path: Path) -> Iterator[tuple[Path, Any]]:
    """The same for what is below a path, with its part of the schema."""
    part = _resolved(part, schema)
    if 'else' in part:
        by_name = isinstance(data, dict) and data and all(
            isinstance(v, dict) for v in data.values())
        part = _resolved(part['then' if by_name else 'else'], schema)
    entries: list[tuple[Any, Mapping[str, Any]]] = []
    if isinstance(data, dict):
        others = part.get('additionalProperties') or {}
        known = part.get('properties', {})
        entries = [(key, known.get(key, others)) for key in data]
    elif isinstance(data, list):
        entries = [(n, part.get('items', {})) for n in range(len(data))]
    for key, inner in entries:
        value = data[key]
        wanted = _resolved(inner, schema)
        for one in wanted.get('anyOf', (wanted,)):
            one = _resolved(one, schema)
            found = _closed(value, one)
            if found is not None and found != value:
                data[key] = found
                yield (*path, key), value
                break
            if isinstance(value, dict | list):
                yield from _respelled(value, one, schema, (*path, key))


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]
              ) -> Mapping[str, Any]:
    """A part of a schema with what it refers to."""
    ref = part.get('$ref')
    if ref is None:
        return part
    name = ref.rpartition('/')[2]
    return {**_resolved(schema['$defs'][name], schema),
            **{k: v for k, v in part.items() if k != '$ref'}}


def _closed(value: Any, part: Mapping[str, Any]) -> Any:
    """The value of a closed list, or the boolean, that is spelled so."""
    if not isinstance(value, str):
        return None
    if part.get('type') == 'boolean':
        return {'true': True, 'false': False}.get(value.lower())
    listed = part.get('enum', ())
    if all(isinstance(v, str) for v in listed):
        return word(value, listed)
    return None
