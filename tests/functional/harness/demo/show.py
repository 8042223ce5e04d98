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

"""What the demo prints, and what it expects of what it prints."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import time
from typing import Any, Protocol, TextIO

from tests.functional.harness import process

Document = Mapping[str, Any]


class Faces(Protocol):
    """How documents are drawn: ``ironic_accel.faces.view`` is one."""

    def inventory_headline(self, doc: Document) -> str:
        """One line on an inventory."""
        ...

    def inventory_table(self, doc: Document, title: str = ...) -> Any:
        """A table of devices."""
        ...

    def progress(self, seconds: float, summary: str,
                 percent: int | None = None) -> str:
        """One line of a timeline."""
        ...

    def table(self, title: str, columns: Iterable[str],
              rows: Iterable[Iterable[object]]) -> Any:
        """Any other table."""
        ...

    def write(self, table: Any, stream: TextIO) -> None:
        """Print a table."""
        ...


class Plans(Protocol):
    """How plans are drawn: ``ironic_accel.faces.plan_view`` is one."""

    def headline(self, doc: Document) -> str:
        """One line on a plan."""
        ...

    def table(self, doc: Document) -> Any:
        """The table of a plan."""
        ...


class NotAsTold(process.LabError):
    """Something in the story went otherwise."""


class Show:
    """Prints chapters, and ends the demo where one is not as it is told."""

    def __init__(self, faces: Faces, plans: Plans, stream: TextIO) -> None:
        self.faces = faces
        self._plans = plans
        self._stream = stream
        self._began = time.monotonic()
        #: Expectations that held.
        self.held = 0

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def line(self, text: str = '') -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    def chapter(self, number: int, title: str) -> None:
        """Begin a chapter."""
        self.line()
        self.line(f'[{self.seconds:5.1f} s] {number}. {title}')
        self.line('=' * 78)

    def moment(self, summary: str, percent: int | None = None) -> None:
        """A line of the timeline."""
        self.line(self.faces.progress(self.seconds, summary, percent))

    def table(self, table: Any) -> None:
        """A table, with air around it."""
        self.line()
        self.faces.write(table, self._stream)
        self.line()

    def rows(self, title: str, columns: Iterable[str],
             rows: Iterable[Iterable[object]]) -> None:
        """A table of one's own."""
        self.table(self.faces.table(title, columns, rows))

    def traits(self, traits: Mapping[str, Iterable[str]],
               title: str = 'Traits') -> None:
        """A table of nodes, with a row for each of their traits."""
        self.rows(title, ('Node', 'Trait'), [
            (node, name) for node, names in traits.items()
            for name in sorted(names) or ['-']])

    def plan(self, doc: Document) -> None:
        """A plan: its headline and its table."""
        self.line(self._plans.headline(doc))
        table = self._plans.table(doc)
        if table.rows:
            self.table(table)

    def expect(self, good: bool, text: str, seen: object = None) -> None:
        """Say that something is as it is told.

        :param seen: what is there instead, for the failure.
        :raises: NotAsTold where it is not.
        """
        if not good:
            raise NotAsTold(f'expected: {text}'
                            + ('' if seen is None else f'; seen: {seen}'))
        self.held += 1
        self.line(f'  ok  {text}')
