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
"""What a benchmark measured: a table, a document, and which bars hold.

A script adds results to a ``Report`` and ends it. A result has a figure, and
where there are any a goal, the figure of a peer (upstream's code, sushy, a
plain client) measured in the same run, and the ratio of both.

A bar is a goal on a count or on a ratio. A goal on a time is printed and
compared too, but is no bar: it depends on the machine and on what else runs
there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import dataclasses
import datetime
import json
import math
import os
import pathlib
import platform
import statistics
from typing import Any

#: Version of the document. Its keys are those that ``document`` makes.
VERSION = 1
#: Exit statuses: a bar was missed; argparse has 2 and Python has 1.
MISSED = 3
#: Units of time: a goal on such a figure is no bar.
TIMES = frozenset({'s', 'ms', 'CPU s', 'CPU ms', 'an hour'})
#: A slope over fewer sizes shows nothing.
LEAST_SIZES = 3


@dataclasses.dataclass(frozen=True)
class Peer:
    """Who else does it, and the figure in the same run and unit."""

    name: str
    figure: float


@dataclasses.dataclass(frozen=True)
class Goal:
    """A limit, of a figure or of its ratio to the peer's.

    :ivar of: ``figure`` or ``ratio``.
    """

    limit: float
    at_least: bool = False
    of: str = 'figure'

    def __str__(self) -> str:
        sign = '>=' if self.at_least else '<='
        return f'{sign} {_number(self.limit)}{self.suffix}'

    @property
    def suffix(self) -> str:
        """What follows the number."""
        return ' x' if self.of == 'ratio' else ''


@dataclasses.dataclass(frozen=True)
class Slope:
    """How much more a figure is for each 1,000 of the size."""

    figure: float
    unit: str

    def __str__(self) -> str:
        return f'{_number(self.figure)} {self.unit} for each 1,000 more'


@dataclasses.dataclass(frozen=True)
class Result:
    """One measured figure.

    :ivar size: how many nodes (BMCs, devices) it was measured with, if that
        is what varies.
    """

    name: str
    figure: float
    unit: str
    size: int | None = None
    goal: Goal | None = None
    peer: Peer | None = None
    slope: Slope | None = None

    @property
    def ratio(self) -> float | None:
        """The figure divided by the peer's."""
        if self.peer is None or not self.peer.figure:
            return None
        return self.figure / self.peer.figure

    @property
    def is_bar(self) -> bool:
        """Whether the goal counts: it is not on a time."""
        return self.goal is not None and (
            self.goal.of == 'ratio' or self.unit not in TIMES)

    @property
    def missed_by(self) -> float | None:
        """How many times the limit was exceeded; None without a goal.

        1 or less: it holds. Infinite where there is no ratio to compare.
        """
        if self.goal is None:
            return None
        value = self.ratio if self.goal.of == 'ratio' else self.figure
        if value is None:
            return math.inf
        over, under = (self.goal.limit, value) if self.goal.at_least else (
            value, self.goal.limit)
        if over <= under:
            return min(1.0, over / under) if under > 0 else 1.0
        return over / under if under > 0 else math.inf

    @property
    def holds(self) -> bool | None:
        """Whether the goal is met; None without one."""
        by = self.missed_by
        return None if by is None else by <= 1

    @property
    def verdict(self) -> str:
        """The last column of the table."""
        if self.goal is None or self.missed_by is None:
            return ''
        if self.holds:
            return 'holds' if self.is_bar else 'within'
        return (f'{"MISSED" if self.is_bar else "over"} by '
                f'{self.missed_by:.2f} times')

    def document(self) -> dict[str, Any]:
        """As it stands in the JSON document."""
        ratio, by = self.ratio, self.missed_by
        return {**dataclasses.asdict(self), 'ratio': ratio,
                'bar': self.is_bar, 'holds': self.holds,
                'missed_by': by if by is None or math.isfinite(by) else None}


class Report:
    """The results of one script.

    :param script: its name, without folder and ending.
    :param purpose: what it measures, in one line.
    """

    def __init__(self, script: str, purpose: str) -> None:
        self.script = script
        self.purpose = purpose
        self.results: list[Result] = []
        self.notes: list[str] = []
        self.skipped: list[str] = []

    def add(self, name: str, figure: float, unit: str,
            goal: Goal | None = None, peer: Peer | None = None,
            size: int | None = None) -> Result:
        """Register a figure."""
        made = Result(name, float(figure), unit, size, goal, peer)
        self.results.append(made)
        return made

    def growth(self, name: str, figures: Mapping[int, float], unit: str,
               goal: Goal | None = None) -> None:
        """Register how a figure grows with the size.

        The result is the exponent (0: it does not grow, 1: linear, 2:
        quadratic) over all sizes, which the goal is about.
        """
        if len(figures) < LEAST_SIZES:
            self.note(f'{name}: no growth from {len(figures)} sizes, '
                      f'{LEAST_SIZES} are needed')
            return
        # What is too small to be measured does not grow.
        logs = [(math.log(n), math.log(max(f, 1e-3)))
                for n, f in figures.items()]
        more = statistics.linear_regression(
            list(figures), list(figures.values())).slope * 1000
        self.results.append(Result(
            f'{name}: growth', statistics.linear_regression(
                *zip(*logs, strict=True)).slope, 'exponent', goal=goal,
            slope=Slope(more, unit)))

    def note(self, line: str) -> None:
        """Add a line below the table."""
        self.notes.append(line)

    def skip(self, what: str, why: str) -> None:
        """Note what was not measured here."""
        self.skipped.append(f'{what}: {why}')

    def document(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            'version': VERSION, 'script': self.script,
            'purpose': self.purpose,
            'measured': datetime.datetime.now(datetime.UTC).isoformat(
                timespec='seconds'),
            'machine': {'cpus': os.cpu_count(), 'load': os.getloadavg()[0],
                        'python': platform.python_version()},
            'results': [r.document() for r in self.results],
            'notes': self.notes, 'skipped': self.skipped}

    def end(self, options: argparse.Namespace) -> int:
        """Print the table and write the document.

        :param options: those of ``parser``.
        :returns: the exit status of the script: 0, or 3 if a bar was missed.
        """
        print(table(self.results))
        for line in self.notes:
            print(line)
        for line in self.skipped:
            print(f'skipped: {line}')
        if options.json:
            pathlib.Path(options.json).write_text(
                json.dumps(self.document(), indent=1) + '\n', 'utf-8')
        return MISSED if any(
            r.is_bar and not r.holds for r in self.results) else 0


def at_most(limit: float) -> Goal:
    """A figure that may not be larger."""
    return Goal(limit)


def ratio_at_most(limit: float) -> Goal:
    """A figure that may not be larger than so many times the peer's."""
    return Goal(limit, of='ratio')


def ratio_at_least(limit: float) -> Goal:
    """A figure that may not be smaller than so many times the peer's."""
    return Goal(limit, at_least=True, of='ratio')


def parser(text: str | None) -> argparse.ArgumentParser:
    """The options that each script has.

    :param text: its docstring.
    """
    made = argparse.ArgumentParser(
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Exit status: 0, 3 if a bar was missed, other if it could not '
               'be measured.')
    made.add_argument('--json', metavar='FILE',
                      help='write the results to this file too')
    made.add_argument('--quick', action='store_true',
                      help='the smallest sizes: shows that it runs, the '
                           'figures mean little')
    return made


def report(path: str, text: str | None) -> Report:
    """The report of a script.

    :param path: its ``__file__``.
    :param text: its docstring, whose first line is the purpose.
    """
    return Report(pathlib.Path(path).stem,
                  (text or '').strip().partition('\n')[0])


def _number(value: float) -> str:
    """A number for people: three digits that count."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) or abs(value) >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if abs(value) >= 10 else f'{value:.2f}'


def _cells(one: Result) -> tuple[str, ...]:
    size = '' if one.size is None else f'{one.size:,}'
    peer = f'{one.peer.name} {_number(one.peer.figure)}' if one.peer else str(
        one.slope or 'no peer')
    return (one.name, size, f'{_number(one.figure)} {one.unit}',
            '' if one.goal is None else str(one.goal), peer,
            '' if one.ratio is None else f'{_number(one.ratio)} x',
            one.verdict)


def table(results: list[Result]) -> str:
    """The results as aligned text."""
    rows = [('', 'size', 'figure', 'goal', 'peer', 'ratio', ''),
            *map(_cells, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(
        f'{cell:>{width}}' if n in (1, 2) else f'{cell:<{width}}'
        for n, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip() for row in rows)
