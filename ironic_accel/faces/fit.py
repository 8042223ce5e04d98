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

"""Fit the columns of a table into a terminal, in as few lines as possible.

Columns are narrowed and their cells wrapped: between words, and within a
word that is longer than the column after a character that separates, so that
versions and paths stay readable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import re

#: Spaces between two columns.
GAP = 2
#: Columns that a column of the table keeps if the terminal is narrow.
_NARROWEST = 6
#: What a word costs that is broken where nothing separates.
_BROKEN = 20
#: After these a long word may be broken.
_BREAKS = re.compile(r'[-._/:@,]')
#: What the continuation of a line stays to the right of.
_LEAD = re.compile(r'[! ]*')


def fitted(columns: Sequence[str], rows: Sequence[Sequence[str]],
           width: int, least: Sequence[int] = ()) -> list[tuple[str, ...]]:
    """The headings and the rows, with their cells wrapped.

    :param columns: the headings.
    :param rows: cells, of one line or several.
    :param width: of the table with its gaps, in characters. It is wider only
        if its columns would be too narrow to be read.
    :param least: the widths below which the first columns are not narrowed.
    """
    table = [tuple(columns), *map(tuple, rows)]
    widths = _widths([*zip(*table, strict=True)],
                     width - GAP * (len(columns) - 1), least)
    return [tuple('\n'.join(wrapped(cell, size))
                  for cell, size in zip(row, widths, strict=True))
            for row in table]


def natural(cells: Sequence[str]) -> int:
    """The width of a column whose cells are not wrapped."""
    return max((len(line) for cell in cells for line in cell.split('\n')),
               default=0)


def _widths(columns: Sequence[Sequence[str]], width: int,
            least: Sequence[int]) -> list[int]:
    """The widths of columns: those that make the fewest lines.

    Tall cells count by the square of their lines: the tallest cell of a row
    makes its height.
    """
    full = [natural(cells) for cells in columns]
    if sum(full) <= width:
        return full
    lowest = [min(n, _NARROWEST) for n in full]
    for at, size in enumerate(least):
        lowest[at] = min(full[at], max(size, lowest[at]))
    if sum(lowest) >= width:
        return lowest
    # By the characters used so far: the cost, and the widths of the columns.
    best: dict[int, tuple[int, list[int]]] = {0: (0, [])}
    for at, cells in enumerate(columns):
        rest = sum(lowest[at + 1:])
        costs = _costs(cells, range(lowest[at], full[at] + 1))
        found: dict[int, tuple[int, list[int]]] = {}
        for used, (cost, sizes) in best.items():
            for size, more in costs.items():
                total = used + size
                if total + rest <= width and (
                        total not in found or cost + more < found[total][0]):
                    found[total] = cost + more, [*sizes, size]
        best = found
    return min(best.items(), key=lambda entry: (entry[1][0], entry[0]))[1][1]


def _costs(cells: Sequence[str], sizes: range) -> dict[int, int]:
    """What each width of a column costs."""
    numbers = Counter(cells)
    return {size: sum(number * _cost(cell, size)
                      for cell, number in numbers.items()) for size in sizes}


def _cost(cell: str, width: int) -> int:
    parts = [_wrap(line, width) for line in cell.split('\n')]
    return sum(len(lines) for lines, _ in parts) ** 2 + _BROKEN * sum(
        broken for _, broken in parts)


def wrapped(cell: str, width: int) -> list[str]:
    """The lines of a cell in a column of a width."""
    return [part for line in cell.split('\n')
            for part in _wrap(line, width)[0]]


def _wrap(line: str, width: int) -> tuple[list[str], int]:
    """A line in a column, and how many words are broken within."""
    if len(line) <= width:
        return [line], 0
    match = _LEAD.match(line)
    lead = match.group() if match else ''
    indent = ' ' * (len(lead) + 1)
    lines, current, broken = [], lead, 0
    for word in line[len(lead):].split(' '):
        start = current if current.isspace() or current in (
            '', lead) else f'{current} '
        if len(start) + len(word) <= width:
            current = start + word
            continue
        if current.strip('! '):
            lines.append(current)
            current = indent
        while len(current) + len(word) > width:
            cut = _cut(word, max(width - len(current), 1))
            lines.append(current + word[:cut])
            broken += not _BREAKS.match(word[cut - 1])
            word, current = word[cut:], indent
        current += word
    return ([*lines, current] if current.strip() else lines), broken


def _cut(word: str, most: int) -> int:
    """Where a word is broken: after a separator, if there is one."""
    ends = [m.end() for m in _BREAKS.finditer(word, 0, most)]
    return ends[-1] if ends and ends[-1] > 1 else most
