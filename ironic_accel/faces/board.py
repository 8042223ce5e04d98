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

"""The board of an operation on many nodes: totals, and what matters first."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import re
import statistics
from typing import Literal

from ironic_accel.faces import ranges
from ironic_accel.faces import view

State = Literal['failed', 'refused', 'running', 'waiting', 'done']
#: What the operator has to see comes first.
ORDER: tuple[State, ...] = (
    'failed', 'refused', 'running', 'waiting', 'done')
#: The states of nodes whose operation has ended.
ENDED = frozenset({'failed', 'refused', 'done'})


@dataclasses.dataclass(frozen=True, slots=True)
class NodeProgress:
    """The progress of one node.

    :ivar percent: of the operation in progress, or None.
    :ivar seconds: since it was started, or that it took; None before.
    :ivar changes: whether the plan has changes: only nodes with changes, or
        only those without, take equally long.
    :ivar devices: the progress of single devices, by device id.
    :ivar step: ``step 2/3``, or nothing.
    :ivar left: seconds that the operation in progress still takes, or None.
    :ivar run_left: seconds until all of it has ended, or None.
    """

    node: str
    state: State
    text: str
    percent: int | None = None
    seconds: float | None = None
    changes: bool = False
    devices: tuple[tuple[str, str], ...] = ()
    step: str = ''
    left: float | None = None
    run_left: float | None = None

    @property
    def line(self) -> str:
        """The step and the text."""
        return f'{self.step}, {self.text}' if self.step else self.text


@dataclasses.dataclass(frozen=True, slots=True)
class BoardRow:
    """A row of the board: a node, or devices of the node above it."""

    name: str
    text: str
    percent: int | None = None
    seconds: float | None = None
    state: State | None = None
    left: float | None = None


def phase(text: str) -> str:
    """What a progress text is about: no numbers, and no details, which come
    after a colon."""
    return re.sub(r'\d+', '', text.partition(':')[0])


def totals(nodes: Sequence[NodeProgress], elapsed: float,
           noun: str = 'node') -> str:
    """``40 nodes: 3 done, 4 running, 1 failed, 32 waiting; 10 %, 12 min,
    about 25 min left``.

    :param elapsed: seconds since the start of the command.
    :param noun: what the nodes are.
    """
    parts = [f'{sum(n.state == state for n in nodes)} {state}'
             for state in ('done', 'running', 'failed', 'refused', 'waiting')]
    shown = ', '.join(part for part in parts if not part.startswith('0 '))
    ended = sum(n.state in ENDED for n in nodes)
    line = (f"{view.count(len(nodes), noun)}: {shown}; "
            f'{100 * ended // max(len(nodes), 1)} %, '
            f'{view.duration(elapsed)}')
    left = remaining(nodes)
    return line if not left else f'{line}, about {view.duration(left)} left'


def remaining(nodes: Sequence[NodeProgress]) -> float | None:
    """Seconds until all nodes have ended, by what is known of each, or by
    those that have ended well.

    None if nothing is known of a node that has not ended: none like it was
    seen yet, or it takes longer than those.
    """
    usual: dict[bool, float] = {}
    for changes in (False, True):
        times = [n.seconds + (n.run_left or 0.0) for n in nodes
                 if (n.state == 'done' or n.run_left is not None)
                 and n.changes is changes and n.seconds is not None]
        if times:
            usual[changes] = statistics.mean(times)
    left: list[float] = []
    for node in nodes:
        if node.state not in ENDED:
            if node.run_left is not None:
                left.append(node.run_left)
                continue
            known = usual.get(node.changes)
            if known is None or (node.seconds or 0.0) > known:
                return None
            left.append(known - (node.seconds or 0.0))
    at_once = max(sum(n.state == 'running' for n in nodes), 1)
    return max([sum(left) / at_once, *left]) if left else 0.0


def text(nodes: Sequence[NodeProgress], elapsed: float, noun: str,
         most: int) -> str:
    """The board as text: the totals, then a line for each node that fits.

    :param most: the number of lines.
    """
    found, hidden = rows(nodes, max(most - 1, 1))
    wide = max((len(row.name) for row in found), default=0)
    lines = [totals(nodes, elapsed, noun)]
    for row in found:
        ended = row.state in ENDED and row.seconds is not None
        words = [f'{row.state}, {view.duration(row.seconds or 0.0)}'
                 if ended else row.state or '']
        if row.text:
            words = [row.text] if row.state == 'running' else [
                *words, row.text]
        lines.append(f"{row.name:<{wide}}  {': '.join(words)}")
    return '\n'.join([*lines, *filter(None, [hidden])])


def rows(nodes: Sequence[NodeProgress], most: int
         ) -> tuple[list[BoardRow], str]:
    """The rows that fit, the nodes in the order of ``ORDER``.

    Failed and refused nodes leave at least half of the rows to the others.
    Devices of running nodes are shown if all nodes fit.

    :param most: the number of rows.
    :returns: the rows, and how many nodes are not shown.
    """
    ordered = sorted(nodes, key=lambda n: ORDER.index(n.state))
    if len(ordered) <= most:
        return _with_devices(ordered, most), ''
    most = max(most - 1, 1)
    failed = [n for n in ordered if n.state in ('failed', 'refused')]
    others = ordered[len(failed):]
    room = max(most - len(others), most // 2)
    shown = [*failed[:room], *others[:most - min(len(failed), room)]]
    hidden = [f'{count} {state}' for state in ORDER if (count := sum(
        n.state == state for n in nodes) - sum(
            n.state == state for n in shown))]
    return [_row(node) for node in shown], (
        f"and {len(nodes) - len(shown)} more: {', '.join(hidden)}")


def _row(node: NodeProgress) -> BoardRow:
    return BoardRow(node.node, node.line, node.percent, node.seconds,
                    node.state, node.left)


def _with_devices(nodes: Sequence[NodeProgress], most: int) -> list[BoardRow]:
    """The rows of nodes, with those of their devices while these fit."""
    room = most - len(nodes)
    found = []
    for node in nodes:
        found.append(_row(node))
        devices = _devices(node)
        if node.state in ('running', 'failed') and len(devices) <= room:
            found += devices
            room -= len(devices)
    return found


def _devices(node: NodeProgress) -> list[BoardRow]:
    """The devices of a node; those with the same progress share a row."""
    alike: dict[str, list[str]] = {}
    for device, text in node.devices:
        alike.setdefault(text, []).append(device)
    return [BoardRow('', f'  {text}: {ranges.words(names)}')
            for text, names in alike.items()]
