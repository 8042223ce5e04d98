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

"""Progress: a live table on a terminal, otherwise a line a change."""

from __future__ import annotations

from collections.abc import Sequence
import time
from typing import Any, NamedTuple, Protocol, TextIO

from ironic_accel.faces import view
from ironic_accel.model.errors import printable

#: Percent between two lines about one node or device.
STEP = 20


class Line(NamedTuple):
    """The progress of one node, or of one of its devices."""

    node: str
    device: str
    text: str
    percent: int | None = None


class ProgressDisplay(Protocol):
    """Shows the progress of jobs."""

    def show(self, lines: Sequence[Line]) -> None:
        """Show the present progress."""
        ...

    def close(self) -> None:
        """Stop showing progress."""
        ...


def of(stream: TextIO) -> ProgressDisplay:
    """The display for a stream."""
    return _Live(stream) if stream.isatty() else Plain(stream)


class Plain:
    """Prints a line a change, with the seconds since the start."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = time.monotonic()
        self._last: dict[tuple[str, str], tuple[str, int]] = {}

    def show(self, lines: Sequence[Line]) -> None:
        """Print the lines that have changed."""
        for line in lines:
            key = (line.node, line.device)
            now = (line.text, (line.percent or 0) // STEP)
            if self._last.get(key) == now:
                continue
            self._last[key] = now
            where = f'{line.node} {line.device}'.strip()
            print(view.progress(time.monotonic() - self._start,
                                f'{where}: {line.text}', line.percent),
                  file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing."""


class _Live:
    """A table that is redrawn in place."""

    def __init__(self, stream: TextIO) -> None:
        from rich import console
        from rich import live
        self._live = live.Live(
            console=console.Console(file=stream), auto_refresh=False)
        self._live.start()

    def show(self, lines: Sequence[Line]) -> None:
        """Redraw the table."""
        self._live.update(_drawn(lines), refresh=True)

    def close(self) -> None:
        """Leave the last table on the screen."""
        self._live.stop()


def _drawn(lines: Sequence[Line]) -> Any:
    from rich import progress_bar
    from rich import table
    from rich import text
    shown = table.Table(box=None, pad_edge=False)
    for name in ('Node', 'Device', 'Progress', ''):
        shown.add_column(name)
    for line in lines:
        # Text, not markup: a value of a BMC may contain brackets.
        shown.add_row(
            *(text.Text(printable(t)) for t in line[:3]),
            '' if line.percent is None else progress_bar.ProgressBar(
                total=100, completed=line.percent, width=20))
    return shown
