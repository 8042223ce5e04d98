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

"""The devices of an inventory on one screen, identical ones as one row.

Devices of a product are compared in what matters for their use: health,
state, firmware, modes, link width, part number and PSID. The largest group
of identical ones is a row with everything; each other group has a row with a
mark, that lists only what differs. An unhealthy group is marked too.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
from typing import TextIO

from ironic_accel.faces import fit
from ironic_accel.faces import terminal
from ironic_accel.faces import view
from ironic_accel.faces.view import Document
from ironic_accel.model import device as device_model

COLUMNS = ('Devices', 'Health', 'Firmware', 'Modes')
#: The mark of a row, and the explanation below the table.
MARK = '!'
LEGEND = (f'{MARK} unhealthy, or different from the row above it (only '
          'differences are listed)')
#: Lines of a cell.
_MOST_LINES = 6
#: Devices that a row names.
_MOST_NAMES = 3
#: What is compared, by (section, name), with its text.
Facts = dict[tuple[str, str], str]


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceGroup:
    """Devices of a product that are identical.

    :ivar facts: what they have in common.
    :ivar usual: the facts of the largest group of the product; None if it
        is this one.
    """

    devices: tuple[Document, ...]
    facts: Facts
    usual: Facts | None = None

    @property
    def unhealthy(self) -> bool:
        """Whether their health is reported, and is not OK."""
        return any(d['health'] not in (None, 'OK') for d in self.devices)

    @property
    def marked(self) -> bool:
        """Whether the row has to stand out."""
        return self.usual is not None or self.unhealthy


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A row: a list of lines for each column.

    :ivar marked: whether it has to stand out.
    :ivar unhealthy: whether that is because of the health.
    """

    cells: tuple[tuple[str, ...], ...]
    marked: bool = False
    unhealthy: bool = False


def groups(devices: Iterable[Document]) -> list[DeviceGroup]:
    """The groups of identical devices; of each product the largest first."""
    products: dict[tuple[object, object], dict[str, DeviceGroup]] = {}
    for dev in devices:
        facts = _facts(dev)
        alike = products.setdefault(
            (dev['kind'], dev['product'] or dev['model']), {})
        key = repr(sorted(facts.items()))
        known = alike.get(key, DeviceGroup((), facts))
        alike[key] = dataclasses.replace(
            known, devices=(*known.devices, dev))
    found = []
    for alike in products.values():
        first, *others = sorted(alike.values(), key=lambda g: -len(g.devices))
        found += [first, *(dataclasses.replace(g, usual=first.facts)
                           for g in others)]
    return found


def _facts(dev: Document) -> Facts:
    """What is compared of a device."""
    link = (dev.get('link') or {}).get('width')
    others = {'link': f'x{link}' if link else None,
              'part number': dev.get('part_number'),
              'psid': (dev.get('fit') or {}).get('psid')}
    return {
        ('health', ''): view.fact(dev, 'health', dev['health']),
        ('health', 'state'): view.fact(dev, 'state', dev.get('state')),
        **{('firmware', c['name']): view.current(c, 'running')
           for c in dev['components']},
        **{('modes', name): view.current(m, 'current')
           for name, m in dev['modes'].items()},
        **{(f'{section}s' if section == 'mode' else section,
            name or 'all'): view.UNREAD
           for section, _, name in (
               f.partition(':') for f in dev.get('unread', ()))
           if section in ('firmware', 'mode', 'modes')},
        **{('device', name): view.value(found)
           for name, found in others.items() if found is not None}}


def rows(doc: Document) -> list[Row]:
    """The rows of the devices of an inventory."""
    return [_row(group) for group in groups(doc['devices'])]


def _row(group: DeviceGroup) -> Row:
    facts, usual = group.facts, group.usual
    if usual is not None:
        # A component or mode that only the others have is a difference too.
        facts = {k: facts.get(k, view.UNKNOWN) for k in {**facts, **usual}
                 if facts.get(k, view.UNKNOWN) != usual.get(k)}
    return Row((_names(group, facts), _health(group, facts),
                _section(facts, 'firmware'), _section(facts, 'modes')),
               group.marked, group.unhealthy)


def _names(group: DeviceGroup, facts: Facts) -> tuple[str, ...]:
    """How many devices, of which product, and which."""
    count, first = len(group.devices), group.devices[0]
    ids = [view.value(d['id']) for d in group.devices]
    lines = []
    if group.usual is None or count > _MOST_NAMES:
        lines.append(f"{count} {view.value(first['kind'])}")
    if group.usual is None:
        lines.append(view.value(first['product'] or first['model']))
    if group.usual is not None or count == 1:
        lines += ids if count <= _MOST_NAMES else [
            *ids[:_MOST_NAMES - 1], f'and {count - _MOST_NAMES + 1} more']
    if group.usual is not None:
        lines += [f'{name} {shown}' for (section, name), shown in
                  facts.items() if section == 'device']
    mark = MARK if group.marked else ' '
    return (f'{mark} {lines[0]}', *(f'  {line}' for line in lines[1:]))


def _health(group: DeviceGroup, facts: Facts) -> tuple[str, ...]:
    """The health; the state unless it is the one of a device in use."""
    state = facts.get(('health', 'state'), 'Enabled')
    return (group.facts['health', ''],
            *(() if state in ('Enabled', view.UNKNOWN) else (state,)))


def _section(facts: Facts, section: str) -> tuple[str, ...]:
    """A line for each component or mode; equal numbered ones share one.

    Those that wait for a reset, conflict or were not read come first, since
    the cell may be cut short.
    """
    alike: dict[tuple[str, str], int] = {}
    for (where, name), shown in facts.items():
        if where == section:
            key = device_model.base_name(name), shown
            alike[key] = alike.get(key, 0) + 1
    found = sorted(alike, key=lambda k: not any(
        word in k[1] for word in (' > ', view.CONFLICT, view.UNREAD)))
    lines = [f'{name} {shown}' + (f' x{alike[name, shown]}'
                                  if alike[name, shown] > 1 else '')
             for name, shown in found]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES - 1],
                 f'and {len(lines) - _MOST_LINES + 1} more']
    return tuple(lines) or (view.UNKNOWN,)


def fitted(found: Sequence[Row], width: int) -> list[Row]:
    """The rows with their lines wrapped, so that the table is narrow enough.

    :param width: of the table, with gaps of two spaces.
    """
    # The id of a device is what the next command needs: it wraps last.
    _, *wrapped = fit.fitted(
        COLUMNS, [['\n'.join(cell) for cell in row.cells] for row in found],
        width, [width // 3])
    return [dataclasses.replace(row, cells=tuple(
        tuple(cell.split('\n')) for cell in cells))
        for row, cells in zip(found, wrapped, strict=True)]


def write(doc: Document, stream: TextIO) -> None:
    """Print the devices; rows that stand out are coloured on a terminal."""
    found = fitted(rows(doc), terminal.width(stream))
    text = view.plain(view.Table('Accelerators', COLUMNS, tuple(
        tuple('\n'.join(cell) for cell in row.cells) for row in found)))
    title, header, rule, *lines = text.splitlines()
    for line in (title, header, rule):
        print(line, file=stream)
    for row in found:
        height = max(map(len, row.cells))
        colour = terminal.RED if row.unhealthy else terminal.YELLOW
        for line in lines[:height]:
            print(terminal.painted(line, colour, stream)
                  if row.marked else line, file=stream)
        lines = lines[height:]
    if any(row.marked for row in found):
        print(LEGEND, file=stream)
