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

"""Reading plain data strictly: every problem is named, none stops the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import difflib
import re
from typing import Any

from ironic_accel.model.errors import BadInput
from ironic_accel.model.strict_yaml import dotted
from ironic_accel.model.strict_yaml import Path

#: How many names an error lists where none is close.
_LISTED = 12
_LONGEST = 60
#: Problems that one message tells.
_TOLD = 20


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
    listed = ', '.join(list(known)[:_LISTED])
    more = ', ...' if len(known) > _LISTED else ''
    return f'known: {listed}{more}' if known else 'nothing is known here'


def listed(problems: list[str]) -> str:
    """Problems in one line, as many as somebody reads."""
    more = len(problems) - _TOLD
    return '; '.join(problems[:_TOLD]) + (
        f'; and {more} more' if more > 0 else '')


class Problems:
    """What is wrong with a document, gathered.

    :param lines: by path, the line of a value, where it came from a text.
    """

    def __init__(self, lines: Mapping[Path, int] | None = None) -> None:
        self._lines = lines or {}
        self.found: list[str] = []

    def add(self, path: Path, text: str) -> None:
        """Note one problem at a path."""
        line = self._lines.get(path) or self._lines.get(path[:-1])
        where = f'line {line}: ' if line else ''
        self.found.append(f'{where}{dotted(path)}: {text}')

    def expected(self, path: Path, value: Any, what: str) -> None:
        """Note a value where something else was expected."""
        self.add(path, f'{shown(value)} where {what} was expected')

    def raise_if_any(self, source: str) -> None:
        """Raise BadInput with all that was found."""
        if self.found:
            raise BadInput(f'{source}: {listed(self.found)}')


class Node:
    """A place in a document, read with a type in mind.

    Each reader notes a problem and gives a harmless value where the data are
    not as they should be, so that one look finds all problems.
    """

    def __init__(self, data: Any, path: Path, problems: Problems) -> None:
        self.data, self.path, self.problems = data, path, problems

    def fail(self, what: str) -> None:
        """Note that something else was expected here."""
        self.problems.expected(self.path, self.data, what)

    def say(self, text: str) -> None:
        """Note a problem here in other words."""
        self.problems.add(self.path, text)

    def fields(self, known: Collection[str],
               required: Collection[str] = ()) -> dict[str, Node]:
        """The entries of a mapping with a closed list of keys."""
        found = self.entries()
        for key, node in list(found.items()):
            if key not in known:
                # Nobody reads the thousandth, and looking for what was
                # meant takes a while.
                node.say('unknown key' if len(self.problems.found) > _TOLD
                         else f'unknown key ({suggest(key, known)})')
                del found[key]
        if isinstance(self.data, dict):
            for key in required:
                if key not in self.data:
                    self.problems.add((*self.path, key), 'is missing')
        return found

    def entries(self, rule: re.Pattern[str] | None = None
                ) -> dict[str, Node]:
        """The entries of a mapping with names of the operator's choice."""
        if not isinstance(self.data, dict):
            self.fail('a mapping')
            return {}
        out = {}
        for key, value in self.data.items():
            node = Node(value, (*self.path, str(key)), self.problems)
            if not isinstance(key, str) or (rule and not rule.fullmatch(key)):
                node.say(f'{shown(key)} is no name (expected {_rule(rule)})')
            else:
                out[key] = node
        return out

    def items(self) -> list[Node]:
        """The elements of a list."""
        if not isinstance(self.data, list):
            self.fail('a list')
            return []
        return [Node(value, (*self.path, i), self.problems)
                for i, value in enumerate(self.data)]

    def text(self, rule: re.Pattern[str] | None = None,
             what: str = 'text') -> str:
        """A text that is not blank, nor surrounded by blanks."""
        data = self.data
        if isinstance(data, str):
            if not data.strip() or data != data.strip():
                self.fail(f'{what} without blanks around it')
            elif rule and not rule.fullmatch(data):
                self.fail(f'{what} ({_rule(rule)})')
            else:
                return data
        elif type(data) is int:
            self.say(f'{shown(data)} is a number where {what} was '
                     f'expected: write "{data}"')
        else:
            self.fail(what)
        return ''

    def texts(self, read: Callable[[Node], str] | None = None
              ) -> tuple[str, ...]:
        """A text or a list of texts, at least one, none of them twice."""
        nodes = self.items() if isinstance(self.data, list) else [self]
        if not nodes and isinstance(self.data, list):
            self.fail('at least one value')
        out = [(read(n) if read else n.text()) for n in nodes]
        if len(set(out)) < len(out) and all(out):
            self.say('the same value is there twice')
        return tuple(t for t in out if t)

    def boolean(self) -> bool:
        """true or false."""
        if isinstance(self.data, bool):
            return self.data
        self.fail('true or false')
        return False

    def integer(self, low: int, high: int | None = None) -> int:
        """A whole number within bounds."""
        data = self.data
        if type(data) is int and data >= low and (
                high is None or data <= high):
            return data
        self.fail(f'a whole number from {low}' + (
            '' if high is None else f' to {high}'))
        return low

    def word(self, known: Collection[str]) -> str:
        """One of a closed list of words."""
        if isinstance(self.data, str) and self.data in known:
            return self.data
        self.fail('one of ' + ', '.join(known) if len(known) <= _LISTED
                  else f'a known name ({suggest(self.data, known)})')
        return ''


def _rule(rule: re.Pattern[str] | None) -> str:
    return f'matching {rule.pattern}' if rule else 'text'
