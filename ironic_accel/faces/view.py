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

"""Rows and wording that every face shares.

Everything here is made from the documents that programs read (inventory/2,
plan/1), so that a face needs no more than it gets over an API.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any, TextIO

from ironic_accel.model.errors import printable
from ironic_accel.model import serialization

Document = Mapping[str, Any]

#: What stands where nothing is known.
UNKNOWN = '-'
#: What stands where something was asked for and not told, where a source
#: says that there is none, and before values that sources tell differently.
UNREAD, ABSENT, DOUBT = 'not read', 'none', 'in doubt'


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table with its title; every cell is text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def value(raw: object) -> str:
    """A value of a document as a cell."""
    if raw is None or raw == '':
        return UNKNOWN
    if isinstance(raw, bool):
        return 'yes' if raw else 'no'
    if isinstance(raw, list | tuple):
        return ', '.join(value(part) for part in raw) or UNKNOWN
    return printable(str(raw))


def change(before: object, after: object) -> str:
    """``96.00 > 97.00``, or the value alone where nothing waits."""
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
    """``a``, ``a, b``, or ``8: a .. h`` for a row of devices."""
    shown = [printable(name) for name in names]
    if len(shown) <= 2:
        return ', '.join(shown)
    return f'{len(shown)}: {shown[0]} .. {shown[-1]}'


def inventory_headline(doc: Document) -> str:
    """One line on an inventory as a whole."""
    whole = 'complete' if serialization.whole(doc) else 'not complete'
    told = doc['complete']
    if whole != 'complete' and isinstance(told, dict) and doc['settled']:
        whole = 'complete except ' + ', '.join(
            k for k, is_so in told.items() if not is_so)
    line = (f"{value(doc['system'])}: host {doc['host']}, "
            f"{count(len(doc['devices']), 'device')}, {whole}, "
            f"{count(doc['requests'], 'request')}")
    shown = [_busy(busy) for busy in doc['busy']]
    if len(shown) > 3:
        shown = [*shown[:2], f'and {len(shown) - 2} more']
    if shown:
        line += f"; busy: {', '.join(shown)}"
    if any(u.get('holds') for u in doc.get('unread') or ()):
        line += '; whether it is idle is not known'
    return line


def _busy(busy: Document) -> str:
    """Something that is under way, and what names it there."""
    said, percent = busy.get('summary'), busy.get('percent')
    return (value(said or busy['kind'])
            + ('' if percent is None else f' {percent} %')
            + ('' if said and busy['ref'] in said
               else f" ({value(busy['ref'])})"))


def inventory_table(doc: Document, title: str = 'Accelerators') -> Table:
    """One row for each device."""
    return Table(title, (
        'Device', 'Kind', 'Product', 'Serial', 'Location', 'Health', 'State',
        'Firmware', 'Modes'), tuple(
            (value(dev['id']), dev['kind'],
             _fact(dev, 'identity', dev['product'] or dev['model']),
             _fact(dev, 'identity', dev['serial']),
             value(dev['location']), _fact(dev, 'health', dev['health']),
             _fact(dev, 'state', dev.get('state')),
             _several(dev, 'firmware', firmware(dev['components'])),
             _several(dev, 'modes', modes(dev['modes'])))
            for dev in doc['devices']))


def _fact(dev: Document, name: str, told: object) -> str:
    """A fact of a device, or why there is none.

    One that something unread could still change says so.
    """
    unread = {'presence', name} & {*dev.get('unread', ())}
    if told is None or told == '':
        return UNREAD if unread else (
            ABSENT if name in dev.get('absent', ()) else UNKNOWN)
    return f'{value(told)} ({UNREAD})' if name in unread else value(told)


def _several(dev: Document, name: str, shown: str) -> str:
    """Firmware or modes as one cell, with what of them was not read."""
    word = 'mode' if name == 'modes' else name
    left = [f.partition(':')[2] for f in dev.get('unread', ())
            if f.startswith(f'{word}:')]
    if {'presence', name} & {*dev.get('unread', ())} or '*' in left:
        return UNREAD if shown == UNKNOWN else f'{shown}, others {UNREAD}'
    names = [f'{value(n)} {UNREAD}' for n in left if f'{n} ' not in shown]
    return ', '.join(([] if shown == UNKNOWN else [shown]) + names) or (
        UNKNOWN)


def stands(part: Document, key: str) -> str:
    """A version or a mode with what waits, or why there is none."""
    if part.get('doubt'):
        return f"{DOUBT} ({', '.join(value(d) for d in part['doubt'])})"
    if part[key] is None:
        word = {'unread': UNREAD, 'absent': ABSENT}.get(
            part.get('standing') or '', UNKNOWN)
        return change(None, part['pending']).replace(UNKNOWN, word, 1)
    return change(part[key], part['pending'])


def firmware(components: Iterable[Document]) -> str:
    """The components of a device as one cell."""
    parts = [f"{value(c['name'])} {stands(c, 'running')}"
             for c in components]
    if len(parts) > 3:
        parts = [*parts[:2], f'and {len(parts) - 2} more']
    return ', '.join(parts) or UNKNOWN


def modes(modes: Mapping[str, Document]) -> str:
    """The modes of a device as one cell."""
    return ', '.join(
        f"{name} {stands(m, 'current')}"
        for name, m in modes.items()) or UNKNOWN


def firmware_table(doc: Document, title: str = 'Firmware') -> Table:
    """One row for each component."""
    return Table(title, (
        'Device', 'Component', 'Running', 'Pending', 'Updateable',
        'Active after'), tuple(
            (value(dev['id']), value(c['name']),
             stands({**c, 'pending': None}, 'running'),
             value(c['pending']) if c['shows_pending'] else 'not shown',
             value(c['updateable']), value(c['activation']))
            for dev in doc['devices'] for c in dev['components']))


def warning_lines(doc: Document) -> list[str]:
    """What could not be read, a sentence each: first what something hangs
    on, then, as notes, what changes nothing; what is so of many resources
    is said once."""
    unread = doc.get('unread') or ()
    named = {u.get('uri') or u.get('tool') for u in unread}
    notes: dict[str, list[str]] = {}
    for warned in doc['warnings']:
        if warned['uri'] not in named:
            notes.setdefault(value(warned['message']), []).append(
                warned['uri'])
    return [*map(_unread, unread), *(
        f'note: {many(uris)}: {message}' for message, uris in notes.items())]


def unready_lines(doc: Document) -> list[str]:
    """Why nothing would be written now: what is under way, and what was not
    read of what could tell; a sentence each."""
    return [*(f'busy: {_busy(busy)}: nothing is written before it is over'
              for busy in doc['busy']),
            *map(_unread, doc.get('unread') or ())]


def _unread(unread: Document) -> str:
    """What was not read, and what cannot be told because of it."""
    source = value(unread.get('uri') or unread.get('tool'))
    about = f" ({value(unread['about'])})" if unread.get('about') else ''
    line = f"not read: {source}{about}: {value(unread['answer'])}"
    if unread.get('kinds'):
        line += (f"; how many {', '.join(unread['kinds'])} there are is not "
                 'known')
    if unread.get('facts'):
        line += f"; not known: {value(unread['facts'])}"
    if unread.get('holds'):
        line += ('; whether the system is idle is not known, so nothing is '
                 'written or reset')
    return line


def plan_headline(doc: Document) -> str:
    """One line on a plan as a whole."""
    if doc['refused']:
        return (f"refused: {count(len(doc['refused']), 'item')}; nothing "
                'will be started')
    if doc['converged']:
        return (f"converged: {count(len(doc['satisfied']), 'item')} as the "
                'profile says, nothing to do')
    # A mode is one write for each device, an image one for all that it is for.
    writes = sum(len(a['items']) if a['verb'] == 'set' else 1
                 for s in doc['stages'] for a in s['actions'])
    resets = [s['reset'] for s in doc['stages'] if s['reset'] != 'none']
    line = (f"{count(len(doc['stages']), 'stage')}, "
            f"{count(writes, 'write')}, "
            f"{count(len(resets), 'reset')}")
    if resets:
        line += f" ({', '.join(resets)})"
    copies = doc.get('fallback') or ()
    if copies:
        line += f", {count(len(copies), 'fall-back slot')} to be updated"
    return f"{line}, {count(len(doc['satisfied']), 'item')} satisfied"


def plan_table(doc: Document, title: str = 'Plan') -> Table:
    """One row for each change that devices share, each stage's reset last."""
    rows: list[tuple[str, ...]] = []
    for number, stage in enumerate(doc['stages'], 1):
        rows += [(str(number), *row) for row in _action_rows(stage)]
        staged = [f"{i['device']} {i['name']}" for i in stage['staged']]
        if stage['reset'] != 'none' or staged:
            rows.append((str(number), 'reset', 'host', UNKNOWN, UNKNOWN,
                         UNKNOWN, stage['reset'],
                         f'for written: {many(staged)}' if staged
                         else UNKNOWN))
    return Table(title, ('Stage', 'Do', 'Devices', 'What', 'From', 'To',
                         'By', 'Also written'), tuple(rows))


def _action_rows(stage: Document) -> Iterable[tuple[str, ...]]:
    """The changes of a stage; devices that change alike share a row."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for action in stage['actions']:
        also = many([f'{device} {name}'
                     for device, name in action['also_writes']]) or UNKNOWN
        by = action['transport']
        if action['image']:
            by += f": {value(action['image'])}"
        for item in action['items']:
            key = (action['verb'], value(item['name']), value(item['from']),
                   value(item['to']), by, also)
            groups.setdefault(key, []).append(item['device'])
    for (verb, *rest), devices in groups.items():
        yield (verb, many(devices), *rest)


def items_table(items: Iterable[Document], title: str = 'Proved') -> Table:
    """Satisfied items or proofs, those that devices share in one row."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for item in items:
        key = (value(item['name']), _wanted(item), value(item['seen']),
               value(item['persistent']))
        groups.setdefault(key, []).append(item['device'])
    return Table(title, ('Devices', 'What', 'Wanted', 'Seen', 'Lasts'),
                 tuple((many(devices), *key)
                       for key, devices in groups.items()))


def _wanted(item: Document) -> str:
    more = ' or later' if item.get('at_least') else ''
    return value(item['wanted']) + more


def refused_table(doc: Document, title: str = 'Refused') -> Table:
    """One row for each refused item."""
    return Table(title, ('Device', 'What', 'Expected', 'Seen', 'Why'), tuple(
        (value(r['device']), value(r['name']), value(r['expected']),
         value(r['seen']), value(r['reason'])) for r in doc['refused']))


def plan_tables(doc: Document) -> list[Table]:
    """The tables of a plan that are not empty."""
    tables = (plan_table(doc), fallback_table(doc),
              items_table(doc['satisfied'], 'Satisfied'),
              refused_table(doc))
    return [table for table in tables if table.rows]


def fallback_table(doc: Document, title: str = 'Fall-back slots') -> Table:
    """One row for each version that is copied to the slot which the box
    falls back to, those that devices share in one."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for item in doc.get('fallback') or ():
        key = (value(item['name']), value(item['from']), value(item['to']))
        groups.setdefault(key, []).append(item['device'])
    return Table(title, ('Devices', 'What', 'From', 'To'), tuple(
        (many(devices), *key) for key, devices in groups.items()))


def outcome_headline(doc: Document) -> str:
    """One line on what came of a run."""
    did = (f"{count(doc['writes'], 'write')}, "
           f"{count(doc['resets'], 'reset')}, "
           f"{count(doc['requests'], 'request')}")
    if doc['outcome'] == 'converged':
        return (f"converged: {count(len(doc['proofs']), 'item')} read back "
                f'as the profile says; {did}')
    return f"{value(doc['outcome'])}; {did}"


def outcome_tables(doc: Document) -> list[Table]:
    """What was proved, or what was refused."""
    tables = (items_table(doc['proofs']), refused_table(doc))
    return [table for table in tables if table.rows]


def traits_table(traits: Mapping[str, Iterable[str]],
                 title: str = 'Traits') -> Table:
    """One row for each node: its traits in order of name."""
    return Table(title, ('Node', 'Traits'), tuple(
        (printable(node), '\n'.join(sorted(names)) or UNKNOWN)
        for node, names in traits.items()))


def progress(seconds: float, summary: str,
             percent: int | None = None) -> str:
    """One line of a timeline: seconds since the start, and what is on."""
    line = f'{seconds:7.1f} s  {printable(summary)}'
    return line if percent is None else f'{line} ({percent} %)'


def table(title: str, columns: Iterable[str],
          rows: Iterable[Iterable[object]]) -> Table:
    """A table of values of any kind."""
    return Table(title, tuple(columns), tuple(
        tuple(value(cell) for cell in row) for row in rows))


def write(table: Table, stream: TextIO) -> None:
    """Print a table: with lines on a terminal, as plain text otherwise."""
    if stream.isatty():
        _write_rich(table, stream)
    else:
        stream.write(plain(table))


def plain(table: Table) -> str:
    """A table as text, columns apart by two blanks."""
    lines = [table.columns]
    for row in table.rows:
        cells = [cell.split('\n') for cell in row]
        lines += [tuple(cell[at] if at < len(cell) else '' for cell in cells)
                  for at in range(max(map(len, cells)))]
    widths = [max(len(line[at]) for line in lines)
              for at in range(len(table.columns))]
    lines.insert(1, tuple('-' * width for width in widths))
    body = '\n'.join('  '.join(
        cell.ljust(width) for cell, width in zip(line, widths, strict=True)
    ).rstrip() for line in lines)
    return f'{table.title}\n{body}\n'


def _write_rich(table: Table, stream: TextIO) -> None:
    from rich import console
    from rich import table as rich_table
    from rich import text
    shown = rich_table.Table(title=text.Text(table.title),
                             title_justify='left')
    for name in table.columns:
        shown.add_column(name, overflow='fold')
    for row in table.rows:
        # Text, not markup: a model name may hold brackets.
        shown.add_row(*(text.Text(cell) for cell in row))
    console.Console(file=stream).print(shown)
