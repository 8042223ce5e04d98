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

"""Reads plain data from an untrusted source, with a type for each value.

A value of a wrong type, length or range is an error with its path.
``Untrusted`` limits every text, number and list, so that no later code has
to.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import json
import re
from typing import Any
from typing import TypeVar

from ironic_accel.model.schema_reader import shown
from ironic_accel.model.strict_json import parse_object
from ironic_accel.model.strict_json import text_of

_T = TypeVar('_T')

#: Characters of a text where the reader names no other number.
TEXT = 256
#: Elements of a list where the reader names no other number.
MANY = 256


class Wrong(ValueError):
    """An invalid value, with its path and what was expected."""


class Untrusted:
    """A value and the path at which it was given."""

    def __init__(self, value: Any, path: str) -> None:
        self.value, self.path = value, path

    def wrong(self, expected: str) -> Wrong:
        """The error that something else was expected here."""
        return Wrong(f'{self.path}: {shown(self.value)[:80]}, expected '
                     f'{expected}')

    def __getitem__(self, key: str) -> Untrusted:
        """A member of an object; null where it is missing."""
        if not isinstance(self.value, dict):
            raise self.wrong('an object')
        return Untrusted(self.value.get(key), f'{self.path}.{key}')

    def members(self, limit: int = MANY) -> Iterator[tuple[str, Untrusted]]:
        """The members of an object by their names."""
        if not isinstance(self.value, dict) or len(self.value) > limit:
            raise self.wrong(f'an object of at most {limit} members')
        for key in self.value:
            if not isinstance(key, str):
                raise self.wrong('an object')
            yield Untrusted(key, f'{self.path}.{key[:40]}').text(), self[key]

    def each(self, limit: int = MANY) -> list[Untrusted]:
        """The elements of a list; none of null."""
        if self.value is None:
            return []
        if not isinstance(self.value, list | tuple) or (
                len(self.value) > limit):
            raise self.wrong(f'a list of at most {limit}')
        return [Untrusted(v, f'{self.path}[{i}]')
                for i, v in enumerate(self.value)]

    def pair(self) -> tuple[Untrusted, Untrusted]:
        """Two elements."""
        found = self.each(2)
        if len(found) != 2:
            raise self.wrong('a list of two')
        return found[0], found[1]

    def text(self, limit: int = TEXT, rule: re.Pattern[str] | None = None
             ) -> str:
        """A text: printable, not blank, of bounded length."""
        if not isinstance(self.value, str) or len(self.value) > limit:
            raise self.wrong(f'a text of at most {limit} characters')
        found = text_of(self.value).strip()
        if not found or (rule is not None and not rule.fullmatch(found)):
            raise self.wrong(f'a text matching {rule.pattern}' if rule
                             else 'a text that is not blank')
        return found

    def words(self, limit: int = 1000) -> str:
        """A text for people, cut where it is too long."""
        if self.value is None:
            return ''
        if not isinstance(self.value, str):
            raise self.wrong('a text')
        return ' '.join(text_of(self.value[:limit]).split())

    def flag(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong('true or false')
        return self.value

    def number(self, low: int, high: int) -> int:
        """A whole number within bounds."""
        if type(self.value) is not int or not low <= self.value <= high:
            raise self.wrong(f'a whole number from {low} to {high}')
        return self.value

    def one_of(self, known: Collection[str]) -> str:
        """One of a closed list of words."""
        if not isinstance(self.value, str) or self.value not in known:
            raise self.wrong('one of ' + ', '.join(sorted(known)))
        return self.value

    def maybe(self, read: Callable[[], _T]) -> _T | None:
        """What a reader of this place gives; None of null."""
        return None if self.value is None else read()

    def plain(self, limit: int) -> dict[str, Any]:
        """An object that is kept as it is: small, of JSON alone."""
        if not isinstance(self.value, dict):
            raise self.wrong('an object')
        try:
            return parse_object(json.dumps(
                self.value, allow_nan=False).encode(), limit)
        except (TypeError, ValueError, RecursionError):
            raise self.wrong(
                f'an object of JSON of at most {limit} bytes') from None
