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

"""Plans and outcomes as text and as one table, for all commands."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any, NamedTuple

from ironic_accel.faces import ranges
from ironic_accel.faces import view
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import comparison
from ironic_accel.model.plan import NOT_APPLIED

Document = Mapping[str, Any]
#: The values of resets in a document.
_RESETS = tuple(str(activation) for activation in Activation)


def headline(doc: Document) -> str:
    """A line about a plan."""
    if doc.get('blocked'):
        return f"refused: {doc['blocked'][0]['reason']}; nothing is changed"
    if doc.get('undecided'):
        return (f"undecided: {view.count(len(doc['refused']), 'item')} could "
                'not be read; nothing is changed')
    if doc['refused']:
        return (f"refused: {view.count(len(doc['refused']), 'item')}; "
                'nothing is changed')
    if not doc.get('applies', True):
        return f'{NOT_APPLIED}; nothing to do'
    if doc['converged']:
        return (f"{view.count(len(doc['satisfied']), 'item')} compliant, "
                'nothing to do')
    resets = [s['reset'] + ' by hand' * bool(s.get('manual'))
              for s in doc['stages'] if Activation(s['reset']).is_host_reset]
    line = (f"{view.count(len(doc['stages']), 'stage')}, "
            f"{_sent(doc['counts'])}")
    if resets:
        line += f" ({', '.join(resets)})"
    copies = doc.get('fallback') or ()
    if copies and not any(s.get('manual') for s in doc['stages']):
        line += f", {view.count(len(copies), 'fallback slot')} to update"
    return f"{line}, {view.count(len(doc['satisfied']), 'item')} compliant"


def notes(doc: Document) -> list[str]:
    """What has to be known besides the table: how long a run takes."""
    found = doc.get('duration')
    if not found or found['seconds'] is None:
        return []
    shown = view.duration(found['seconds'])
    known = found['steps'] - found['unknown']
    of = ('it takes ' if not found['unknown'] else
          f"{known} of {view.count(found['steps'], 'step')} "
          f"take{'s' if known == 1 else ''} ")
    line = of + (f'at most {shown}, by the catalogue' if found['is_limit']
                 else f'about {shown}, as in earlier runs')
    if found['exceeds_limit']:
        line += (f"; limits.minutes ends the run after "
                 f"{view.duration(found['limit'])}, what is being written "
                 'then goes on; next: raise limits.minutes of the profile')
    return [line]


def exit_code(doc: Document, detailed: bool = False) -> int:
    """The exit code of a plan: that of a run with the same options.

    :param detailed: whether changes have a code of their own
        (``--detailed-exitcode``).
    :returns: 0; 1 for changes, if they have one; 3 if a run would be
        refused; 4 if values that it needs could not be read, or another run
        is using the BMC.
    """
    blocked = doc.get('blocked') or ()
    if any(one.get('class') != 'transient' for one in blocked) or (
            doc['refused'] and not doc.get('undecided')):
        return 3
    if blocked or doc['refused']:
        return 4
    changes = bool(doc['stages'] or doc.get('fallback'))
    return int(detailed and changes)


def _sent(doc: Document) -> str:
    """Writes, with the device resets among them, and resets of the host."""
    line = view.count(doc['writes'], 'write')
    if doc.get('device_resets'):
        line += f" ({view.count(doc['device_resets'], 'device reset')})"
    return f"{line}, {view.count(doc['resets'], 'host reset')}"


class PlanRow(NamedTuple):
    """A row of a plan or of an outcome; equal items of devices share one.

    :ivar stage: the number of its stage; None for what changes nothing.
    :ivar action: ``update``, ``set``, ``reset``, ``copy``, ``keep``,
        ``refused`` or ``verified``; ``also writes`` for what an update
        writes besides its targets.
    :ivar devices: ids of the devices; ``host`` for a reset of the host.
    :ivar item: the component or mode, or the type of the reset.
    """

    stage: int | None
    action: str
    devices: list[str]
    item: Any
    current: Any = None
    target: Any = None
    transport: str | None = None
    note: str | None = None


#: The headings of the fields of ``PlanRow``.
COLUMNS = ('Stage', 'Action', 'Devices', 'Item', 'Current', 'Target',
           'Transport', 'Note')


def rows_of(doc: Document) -> list[PlanRow]:
    """The rows of a plan: its stages, fallback slots, compliant items and
    refused items."""
    rows: list[PlanRow] = []
    for number, stage in enumerate(doc['stages'], 1):
        rows += _stage_rows(number, stage)
    rows += [PlanRow(None, 'copy', [i['device']], i['name'], i['from'],
                     i['to'], note='to the fallback slot')
             for i in doc.get('fallback') or ()]
    rows += _item_rows('keep', doc['satisfied'])
    return _merged(rows) + _merged(_refused_rows(doc))


def _stage_rows(number: int, stage: Document) -> Iterator[PlanRow]:
    """The writes of a stage, then the reset of the host."""
    for action in stage['actions']:
        transport = action['transport']
        if action['image']:
            transport += f": {view.value(action['image'])}"
        for item in action['items']:
            yield PlanRow(
                number, action['verb'], [item['device']], item['name'],
                item['from'], item['to'], transport)
        for device, name in action['also_writes']:
            yield PlanRow(
                number, 'also writes', [device], name, transport=transport,
                note='not in the profile, written by the same push')
    yield from _reset_rows(number, stage)


def _reset_rows(number: int, stage: Document) -> Iterator[PlanRow]:
    """The reset that ends a stage: of the host, or of single devices."""
    staged = [f"{i['device']} {i['name']}" for i in stage['staged']]
    if stage['reset'] == 'none' and not staged:
        return
    note = f'activates staged {view.many(staged)}' if staged else None
    if stage.get('manual'):
        note = 'by hand, the BMC offers none' + (f'; {note}' if note else '')
    if Activation(stage['reset']).is_host_reset:
        yield PlanRow(number, 'reset', ['host'], stage['reset'], note=note)
        return
    due = [i['device'] for a in stage['actions'] for i in a['items']
           if a['activation'] != 'none']
    due += [i['device'] for i in stage['staged'] if i['reset'] != 'none']
    yield PlanRow(number, 'reset', list(dict.fromkeys(due)), stage['reset'],
                  note=note)


def _item_rows(action: str, items: Iterable[Document]) -> list[PlanRow]:
    """Rows of items that have their value."""
    return [PlanRow(
        None, action, [i['device']], i['name'], i['seen'],
        f"{view.value(i['wanted'])} or later" if i.get('at_least')
        else i['wanted'],
        note=None if i['persistent'] else 'lost at the next reset')
        for i in items]


def _refused_rows(doc: Document) -> list[PlanRow]:
    """What stands in the way of any run, and the refused items."""
    return [*(PlanRow(None, 'refused', [one.get('device', 'node')],
                      one['item'],
                      note=f"{one['reason']}; next: {one['next']}")
              for one in doc.get('blocked') or ()),
            *(_refused_row(i) for i in doc['refused'])]


def _refused_row(item: Document) -> PlanRow:
    """A refused item.

    The reset that it needs, and the one that is allowed, are no values of it:
    they belong to the reason.
    """
    expected, seen = item['expected'], item['seen']
    if expected not in _RESETS or seen not in _RESETS:
        return PlanRow(None, 'refused', [item['device']], item['name'], seen,
                       expected, note=item['reason'])
    return PlanRow(
        None, 'refused', [item['device']], item['name'], None,
        item.get('wanted'),
        note=item['reason'] + comparison(expected, seen))


def _merged(rows: Iterable[PlanRow]) -> list[PlanRow]:
    """One row for each group of rows that differ in their device only."""
    groups: dict[tuple[str, ...], PlanRow] = {}
    for row in rows:
        key = tuple(view.value(cell) for cell in row._replace(devices=[]))
        known = groups.setdefault(key, row._replace(devices=[]))
        known.devices.extend(row.devices)
    return list(groups.values())


def _table(title: str, rows: Iterable[PlanRow]) -> view.Table:
    return view.Table(title, COLUMNS, tuple(
        tuple(ranges.words(row.devices) if name == 'devices'
              else view.value(cell)
              for name, cell in zip(row._fields, row, strict=True))
        for row in rows))


def table(doc: Document, title: str = 'Plan') -> view.Table:
    """The plan as a table."""
    return _table(title, rows_of(doc))


def outcome_headline(doc: Document) -> str:
    """A line about the outcome of a run."""
    did = f"{_sent(doc)}, {view.count(doc['requests'], 'request')}"
    if doc['outcome'] == 'converged':
        return (f"converged: {view.count(len(doc['proofs']), 'item')} "
                f'verified; {did}')
    if doc['outcome'] == 'does-not-apply':
        return f'{NOT_APPLIED}; {did}'
    return f"{view.value(doc['outcome'])}; {did}"


def outcome_table(doc: Document, title: str = 'Outcome') -> view.Table:
    """The verified and the refused items of a run as a table."""
    return _table(title, _merged(
        [*_item_rows('verified', doc['proofs']), *_refused_rows(doc)]))
