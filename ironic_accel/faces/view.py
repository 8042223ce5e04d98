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

"""Inventories as text and tables, for all commands.

Everything is made from the documents that programs read, so that a command
needs no more than an API returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any, TextIO

from ironic_accel.faces import ranges
from ironic_accel.faces import fit
from ironic_accel.faces import terminal
from ironic_accel.model.errors import printable
from ironic_accel.model import serialization

Document = Mapping[str, Any]

#: The text of an unknown value.
UNKNOWN = '-'
#: The text of a value that could not be read, of one that a source reports
#: as absent, and the text before values that differ between sources.
UNREAD, ABSENT, CONFLICT = 'not read', 'none', 'conflicting'


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table with its title; every cell is text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def value(raw: object) -> str:
    """The text of a value of a document."""
    if raw is None or raw == '':
        return UNKNOWN
    if isinstance(raw, bool):
        return 'yes' if raw else 'no'
    if isinstance(raw, list | tuple):
        return ', '.join(value(part) for part in raw) or UNKNOWN
    return printable(str(raw))


def change(before: object, after: object) -> str:
    """``96.00 > 97.00``, or the value alone if nothing is pending."""
    if after is None or after == before:
        return value(before)
    return f'{value(before)} > {value(after)}'


def count(number: int, word: str) -> str:
    """``1 reset``, ``2 resets``, ``0 resets``."""
    if number == 1:
        return f'1 {word}'
    ending = 'es' if word.endswith('s') else 's'
    return f'{number} {word}{ending}'


def many(names: Sequence[str]) -> str:
    """Names in few words, for a sentence: see ``ranges``."""
    return ranges.words(names, most=4)


def inventory_headline(doc: Document) -> str:
    """A line about an inventory."""
    whole = 'complete' if serialization.whole(doc) else 'not complete'
    by_kind = doc['complete']
    if whole != 'complete' and isinstance(by_kind, dict) and doc['settled']:
        whole = 'complete except ' + ', '.join(
            k for k, is_so in by_kind.items() if not is_so)
    line = (f"{value(doc['system'])}: host {doc['host']}, "
            f"{count(len(doc['devices']), 'device')}, {whole}, "
            f"{count(doc['requests'], 'request')}")
    shown = [_busy(busy) for busy in doc['busy']]
    if len(shown) > 3:
        shown = [*shown[:2], f'and {len(shown) - 2} more']
    if shown:
        line += f"; busy: {', '.join(shown)}"
    if any(u.get('blocks') for u in doc.get('unread') or ()):
        line += '; busy state unknown'
    return line


def _busy(busy: Document) -> str:
    """A task in progress with its reference."""
    summary, percent = busy.get('summary'), busy.get('percent')
    return (value(summary or busy['kind'])
            + ('' if percent is None else f' {percent} %')
            + ('' if summary and busy['ref'] in summary
               else f" ({value(busy['ref'])})"))


def inventory_table(doc: Document, title: str = 'Accelerators') -> Table:
    """A table with a row for each device."""
    return Table(title, (
        'Device', 'Kind', 'Product', 'Serial', 'Location', 'Health', 'State',
        'Firmware', 'Modes'), tuple(
            (value(dev['id']), dev['kind'],
             fact(dev, 'identity', dev['product'] or dev['model']),
             fact(dev, 'identity', dev['serial']),
             value(dev['location']), fact(dev, 'health', dev['health']),
             fact(dev, 'state', dev.get('state')),
             _several(dev, 'firmware', firmware(dev['components'])),
             _several(dev, 'modes', modes(dev['modes'])))
            for dev in doc['devices']))


def fact(dev: Document, name: str, raw: object) -> str:
    """The text of a property of a device, or why it has no value.

    A value that a resource which was not read could change is marked.
    """
    unread = {'presence', name} & {*dev.get('unread', ())}
    if raw is None or raw == '':
        return UNREAD if unread else (
            ABSENT if name in dev.get('absent', ()) else UNKNOWN)
    return f'{value(raw)} ({UNREAD})' if name in unread else value(raw)


def _several(dev: Document, name: str, shown: str) -> str:
    """Firmware or modes as one cell, with those that were not read."""
    word = 'mode' if name == 'modes' else name
    left = [f.partition(':')[2] for f in dev.get('unread', ())
            if f.startswith(f'{word}:')]
    if {'presence', name} & {*dev.get('unread', ())} or '*' in left:
        return UNREAD if shown == UNKNOWN else f'{shown}, others {UNREAD}'
    names = [f'{value(n)} {UNREAD}' for n in left if f'{n} ' not in shown]
    return ', '.join(([] if shown == UNKNOWN else [shown]) + names) or (
        UNKNOWN)


def current(part: Document, key: str) -> str:
    """A version or mode with its pending value, or why it has none."""
    if part.get('conflicts'):
        return f"{CONFLICT} ({', '.join(value(d) for d in part['conflicts'])})"
    if part[key] is None:
        word = {'unread': UNREAD, 'absent': ABSENT}.get(
            part.get('status') or '', UNKNOWN)
        return change(None, part['pending']).replace(UNKNOWN, word, 1)
    return change(part[key], part['pending'])


def firmware(components: Iterable[Document]) -> str:
    """The components of a device as one cell."""
    parts = [f"{value(c['name'])} {current(c, 'running')}"
             for c in components]
    if len(parts) > 3:
        parts = [*parts[:2], f'and {len(parts) - 2} more']
    return ', '.join(parts) or UNKNOWN


def modes(modes: Mapping[str, Document]) -> str:
    """The modes of a device as one cell."""
    parts = [f"{name} {current(m, 'current')}" for name, m in modes.items()]
    if len(parts) > 5:
        parts = [*parts[:4], f'and {len(parts) - 4} more']
    return ', '.join(parts) or UNKNOWN


def firmware_table(doc: Document, title: str = 'Firmware') -> Table:
    """A table with a row for each firmware component."""
    return Table(title, (
        'Device', 'Component', 'Running', 'Pending', 'Updateable',
        'Active after'), tuple(
            (value(dev['id']), value(c['name']),
             current({**c, 'pending': None}, 'running'),
             value(c['pending']) if c['shows_pending'] else 'not shown',
             value(c['updateable']), value(c['activation']))
            for dev in doc['devices'] for c in dev['components']))


def warning_lines(doc: Document) -> list[str]:
    """The warnings of an inventory, a sentence each.

    First the resources that are needed and were not read, then, as notes,
    other warnings. Resources with the same warning share a line.
    """
    named = {u.get('uri') or u.get('tool') for u in doc.get('unread') or ()}
    notes: dict[str, list[str]] = {}
    for warned in doc['warnings']:
        if warned['uri'] not in named:
            notes.setdefault(value(warned['message']), []).append(
                warned['uri'])
    return [*_unread_lines(doc), *(
        f'note: {many(uris)}: {message}' for message, uris in notes.items())]


def unready_lines(doc: Document) -> list[str]:
    """Why no write can start now, a sentence each."""
    return [*(f'busy: {_busy(busy)}: no write starts before it has ended'
              for busy in doc['busy']),
            *_unread_lines(doc)]


def _unread_lines(doc: Document) -> list[str]:
    """The resources that were not read, a line for those that are alike."""
    groups: dict[str, tuple[Document, list[str]]] = {}
    for unread in doc.get('unread') or ():
        alike = groups.setdefault(_unread('', unread), (unread, []))
        alike[1].append(value(unread.get('uri') or unread.get('tool')))
    return [_unread(many(sources), unread)
            for unread, sources in groups.values()]


def _unread(source: str, unread: Document) -> str:
    """What was not read, and what is unknown because of it.

    :param source: the resources or tools.
    """
    about = f" ({value(unread['about'])})" if unread.get('about') else ''
    line = f"not read: {source}{about}: {value(unread['answer'])}"
    if unread.get('kinds'):
        line += f"; unknown: number of {', '.join(unread['kinds'])}"
    if unread.get('facts'):
        line += f"; unknown: {value(unread['facts'])}"
    if unread.get('blocks'):
        line += ('; the system may be busy, so no write or reset is '
                 'started')
    return line


def progress(seconds: float, summary: str,
             percent: int | None = None) -> str:
    """A line of progress with the seconds since the start."""
    line = f'{seconds:7.1f} s  {printable(summary)}'
    return line if percent is None else f'{line} ({percent} %)'


def duration(seconds: float) -> str:
    """``34 s``, ``12 min``, ``1 h 5 min``."""
    if seconds < 120:
        return f'{max(seconds, 0):.0f} s'
    minutes = round(seconds / 60)
    if minutes < 60:
        return f'{minutes} min'
    hours, rest = divmod(minutes, 60)
    return f'{hours} h' + (f' {rest} min' if rest else '')


def table(title: str, columns: Iterable[str],
          rows: Iterable[Iterable[object]]) -> Table:
    """A table of values of any kind."""
    return Table(title, tuple(columns), tuple(
        tuple(value(cell) for cell in row) for row in rows))


def write(table: Table, stream: TextIO) -> None:
    """Print a table; on a terminal it is as narrow as that."""
    stream.write(shown(table, stream))


def shown(table: Table, stream: TextIO) -> str:
    """A table as text, on a terminal wrapped to its width.

    Columns without any value are left out if that is needed.
    """
    if not stream.isatty():
        return plain(table)
    width = terminal.width(stream)
    if _natural(table) > width:
        used = [at for at in range(len(table.columns))
                if any(row[at] != UNKNOWN for row in table.rows)]
        table = Table(table.title, tuple(table.columns[at] for at in used),
                      tuple(tuple(row[at] for at in used)
                            for row in table.rows))
    return plain(table, width)


def _natural(table: Table) -> int:
    columns = zip(table.columns, *table.rows, strict=True)
    return sum(fit.natural(cells) + fit.GAP for cells in columns) - fit.GAP


def plain(table: Table, width: int | None = None) -> str:
    """A table as text, columns separated by two spaces.

    :param width: of the table, in characters; None for any.
    """
    rows = [table.columns, *table.rows]
    if width is not None:
        rows = fit.fitted(table.columns, table.rows, width)
    lines: list[tuple[str, ...]] = []
    for number, row in enumerate(rows):
        cells = [cell.split('\n') for cell in row]
        lines += [tuple(cell[at] if at < len(cell) else '' for cell in cells)
                  for at in range(max(map(len, cells)))]
        if number == 0:
            lines.append(table.columns)
            rule = len(lines) - 1
    widths = [max(len(line[at]) for line in lines[:rule] + lines[rule + 1:])
              for at in range(len(table.columns))]
    lines[rule] = tuple('-' * width for width in widths)
    body = '\n'.join((' ' * fit.GAP).join(
        cell.ljust(width) for cell, width in zip(line, widths, strict=True)
    ).rstrip() for line in lines)
    return f'{table.title}\n{body}\n'
