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

"""Progress: a live board on a terminal, otherwise few lines."""

from __future__ import annotations

from collections.abc import Sequence
import time
from typing import Any, Protocol, TextIO

from ironic_accel.faces import board
from ironic_accel.faces.board import BoardRow
from ironic_accel.faces.board import NodeProgress
from ironic_accel.faces import terminal
from ironic_accel.faces import view
from ironic_accel.model.errors import printable

#: Nodes of which each phase is a line of its own; of more nodes the end
#: alone is.
_FEW = 8
#: Seconds between two lines if nothing else is printed.
_HEARTBEAT = 60.0
#: Lines of a terminal that the board leaves: two of totals, headings, the
#: cursor.
_OTHER_LINES = 4
_COLOURS = {'failed': 'red', 'refused': 'yellow', 'running': 'bold',
            'waiting': 'dim', 'done': 'green'}


class ProgressDisplay(Protocol):
    """Shows the progress of jobs."""

    def show(self, nodes: Sequence[NodeProgress]) -> None:
        """Show the present progress."""
        ...

    def close(self) -> None:
        """Stop showing progress."""
        ...


def of(app: Any) -> ProgressDisplay:
    """The display of a command: nothing with ``--quiet``.

    :param app: the ``cliff`` application.
    """
    if app.options.verbose_level == 0:
        return _Silent()
    return on(app.stderr)


def on(stream: TextIO) -> ProgressDisplay:
    """The display on a stream."""
    return _Live(stream) if terminal.is_live(stream) else _Plain(stream)


class _Silent:
    """Shows nothing."""

    def show(self, nodes: Sequence[NodeProgress]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _Plain:
    """Prints a line for each phase, and each minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = self._printed = time.monotonic()
        self._phases: dict[str, object] = {}

    def show(self, nodes: Sequence[NodeProgress]) -> None:
        """Print the nodes that are in a new phase."""
        for node in nodes:
            phase = _phase(node, len(nodes) <= _FEW)
            if phase != self._phases.get(node.node):
                self._phases[node.node] = phase
                if phase is not None:
                    self._print(f'{node.node}: {node.line}', node.percent)
        if time.monotonic() - self._printed >= _HEARTBEAT:
            if len(nodes) > 1:
                self._print(board.totals(
                    nodes, time.monotonic() - self._start))
            for node in nodes if len(nodes) <= _FEW else ():
                if node.state == 'running':
                    self._print(f'{node.node}: {node.line}', node.percent)

    def _print(self, text: str, percent: int | None = None) -> None:
        self._printed = time.monotonic()
        print(view.progress(self._printed - self._start, text, percent),
              file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing."""


def _phase(node: NodeProgress, every: bool) -> object:
    """What a new line is printed for; None for what needs none."""
    if node.state in board.ENDED:
        return node.state
    if not every:
        return None
    # The provision state, and what the operation does in it.
    state, _, text = node.text.partition(': ')
    return node.step, state, board.phase(text)


class _Live:
    """A board that is redrawn in place."""

    def __init__(self, stream: TextIO) -> None:
        from rich import console
        from rich import live
        self._stream = stream
        self._start = time.monotonic()
        self._console = console.Console(file=stream)
        self._live = live.Live(console=self._console, auto_refresh=False)
        self._live.start()

    def show(self, nodes: Sequence[NodeProgress]) -> None:
        """Redraw the board, as high as the terminal is now."""
        # Rich measures standard output, which may be a file.
        self._console.size = size = terminal.size(self._stream)
        found, hidden = board.rows(nodes, max(size[1] - _OTHER_LINES, 1))
        totals = '' if len(nodes) == 1 else board.totals(
            nodes, time.monotonic() - self._start)
        self._live.update(_drawn(found, totals, hidden), refresh=True)

    def close(self) -> None:
        """Leave the last board on the screen."""
        self._live.stop()


def _drawn(found: Sequence[BoardRow], totals: str, hidden: str) -> Any:
    from rich import console
    from rich import progress_bar
    from rich import table
    from rich import text
    shown = table.Table(box=None, pad_edge=False, expand=True)
    shown.add_column('Node', no_wrap=True, overflow='ellipsis')
    shown.add_column('Progress', no_wrap=True, overflow='ellipsis', ratio=1)
    shown.add_column('', no_wrap=True)
    shown.add_column('Time', no_wrap=True, justify='right')
    if any(row.left is not None for row in found):
        shown.add_column('Left', no_wrap=True, justify='right')
    for row in found:
        # Text, not markup: a value of a BMC may contain brackets.
        cells = [text.Text(printable(row.name)),
                 text.Text(printable(row.text)),
                 '' if row.percent is None else progress_bar.ProgressBar(
                     total=100, completed=row.percent, width=10),
                 '' if row.seconds is None else view.duration(row.seconds),
                 '' if row.left is None
                 else f'about {view.duration(row.left)}']
        shown.add_row(*cells[:len(shown.columns)],
                      style=_COLOURS.get(row.state or '', ''))
    return console.Group(*(
        [text.Text(printable(totals), style='bold')] if totals else []),
        shown, *([text.Text(hidden)] if hidden else []))
