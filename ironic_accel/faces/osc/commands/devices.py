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

"""``baremetal accelerator list`` and ``show``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces import device_detail
from ironic_accel.faces import device_table
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.errors import ask
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.formatters import NOT_PERMITTED
from ironic_accel.faces.osc.report import node_access
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces.osc import selection
from ironic_accel.faces import ranges
from ironic_accel.faces import terminal
from ironic_accel.faces import view
from ironic_accel.model.errors import BadInput
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]

COLUMNS = ('Device', 'Kind', 'Product', 'Serial', 'Location', 'Health',
           'Firmware', 'Modes')
#: Nodes that an error lists before it only counts.
_LISTED = 8


class List(base.Lister):
    """List the accelerators in the last inventories of nodes.

    A caller who may not read the inventory gets the data of traits, firmware
    components and properties.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser)
        parser.add_argument(
            '--long', action='store_true',
            help='Print a row for each device with all columns. Without it '
                 'a table has one row for identical devices, unless columns '
                 'are selected (-c).')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List the devices."""
        found = selection.each(
            self, selection.nodes(self, parsed_args), self._read)
        for _, one in found:
            for line in one.lines:
                self.say(line)
        if grouped(parsed_args) and all(
                one.partly is None for _, one in found):
            return self._grouped(parsed_args, found)
        return selection.rows(parsed_args, COLUMNS, [
            (ref, one.rows()) for ref, one in found])

    def _read(self, ref: str) -> Listed:
        """Read what the caller may see of the devices of a node.

        :raises: CommandError if that is nothing.
        """
        seen = node_access.of(self.ironic, ref)
        lines = list(seen.denied)
        stopped = stopped_by(self.ironic, seen)
        if stopped:
            lines.append(f'no operation is started: {stopped}')
        if seen.inventory is not None:
            return Listed(seen, (*lines, headline(seen),
                                 *view.warning_lines(seen.inventory)))
        if not seen.denied:
            raise node_access.no_inventory(ref)
        partly = partial_rows(seen)
        if not partly:
            raise Denied(
                f'{seen.denied[0]}; no other accelerator data is published '
                f'for this node; {ask()}')
        traits = ', '.join(seen.accel_traits) or 'none'
        return Listed(seen, (
            *lines, 'the list is made from traits, firmware components and '
            f'properties; traits: {traits}'), partly)

    def _grouped(self, args: argparse.Namespace,
                 found: Sequence[tuple[str, Listed]]) -> base.Rows:
        """A row for identical devices; cliff's borders take the rest."""
        columns = device_table.COLUMNS
        # Two spaces and a border for each column.
        width = terminal.width(self.app.stdout) - len(columns) - 3
        if not selection.is_one(args):
            width -= max((len(ref) for ref, _ in found), default=0) + 3
        rows = {ref: device_table.fitted(
            device_table.rows(one.seen.inventory or {}), width)
            for ref, one in found}
        if any(row.marked for some in rows.values() for row in some):
            self.say(device_table.LEGEND)
        return selection.rows(args, columns, [
            (ref, [tuple(formatters.Cell(cell, '\n'.join(cell))
                         for cell in row.cells) for row in some])
            for ref, some in rows.items()])


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """The devices of a node, as far as the caller may see them.

    :ivar lines: what is printed besides the table.
    :ivar partly: the rows if there is no inventory, else None.
    """

    seen: VisibleNode
    lines: tuple[str, ...]
    partly: list[tuple[Any, ...]] | None = None

    def rows(self) -> list[tuple[Any, ...]]:
        """A row for each device."""
        if self.partly is not None:
            return self.partly
        return [device_row(d) for d in (self.seen.inventory or {})['devices']]


class Show(base.ShowOne):
    """Show all fields of one accelerator.

    If several nodes are given or selected, the device is looked up on all of
    them, for example by its serial number; only one of them may have it.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser, 'Names or UUIDs of the nodes to look the '
                                    'device up on.')
        parser.add_argument('device', metavar='<device>',
                            help='Id or serial number of the device.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace,
                    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Show the device."""
        name = parsed_args.device
        refs = selection.nodes(self, parsed_args)
        read = selection.each(self, refs, self._read)
        found = []
        for ref, seen in read:
            doc = seen.inventory or {}
            try:
                found.append((ref, seen, device_detail.find(doc, name)))
            except BadInput as error:
                if len(refs) == 1:
                    raise CommandError(str(error)) from error
        if len(found) != 1:
            raise CommandError(_not_one(name, [ref for ref, *_ in found],
                                        len(read), len(refs)))
        ref, seen, device = found[0]
        doc, texts = seen.inventory or {}, device_detail.texts(device)
        fields = {**({} if selection.is_one(parsed_args) else {'node': ref}),
                  **{name: formatters.Cell(raw, texts[name])
                     for name, raw in device.items()},
                  'seen_at': formatters.moment(seen.at),
                  'seen_via': doc['seen_via'], 'host': doc['host']}
        return tuple(fields), formatters.row(*fields.values())

    def _read(self, ref: str) -> VisibleNode:
        """Read a node with its inventory.

        :raises: CommandError if the caller may not, or there is none.
        """
        seen = node_access.of(self.ironic, ref)
        node_access.needed(seen, ref)
        return seen


def _not_one(name: str, nodes: Sequence[str], read: int, asked: int) -> str:
    """The error for a device that none or several of some nodes have."""
    if nodes:
        return (f'device {name!r}: found on {view.count(len(nodes), "node")} '
                f'({ranges.words(nodes, _LISTED)}); next: give one node, or '
                'the serial number')
    text = f'device {name!r} not found on {view.count(read, "node")}'
    if read < asked:
        text += f'; {asked - read} could not be read'
    return text


def grouped(args: argparse.Namespace) -> bool:
    """Whether identical devices share a row: for people only."""
    return (args.formatter == 'table' and not args.long
            and not args.columns)


def stopped_by(ironic: api.Ironic, seen: VisibleNode) -> str | None:
    """Why no write is started on a node, or None."""
    try:
        progress = ironic.get(str(seen.node['uuid']), 'accel_progress')
    except CommandError:
        # Without the permission a hold can still be read.
        try:
            children = ironic.children(str(seen.node['uuid']))
        except CommandError:
            children = []
        return api.held(seen.node, children)
    return progress.get('stopped')


def headline(seen: VisibleNode) -> str:
    """A line about the inventory of a node and its age."""
    doc = seen.inventory or {}
    return (f'node {seen.ref}, inventory of '
            f'{formatters.age(seen.age() or 0)} ago: '
            + view.inventory_headline(doc))


def device_row(dev: Document) -> tuple[Any, ...]:
    """The row of a device."""
    return formatters.row(
        dev['id'], dev['kind'], dev['product'] or dev['model'],
        dev['serial'], dev['location'], dev['health'],
        formatters.firmware(dev['components']), formatters.modes(dev['modes']))


def partial_rows(seen: VisibleNode) -> list[tuple[Any, ...]]:
    """The rows without an inventory."""
    rows = [formatters.row(
        device, NOT_PERMITTED, parts[0].get('model'),
        parts[0].get('serial_number'), NOT_PERMITTED, NOT_PERMITTED,
        formatters.Cell({p['name']: p['current_version'] for p in parts},
                   ', '.join(f"{p['name']} {view.value(p['current_version'])}"
                             for p in parts)), NOT_PERMITTED)
        for device, parts in node_access.devices_by_firmware(
            seen.firmware or ()).items()]
    return rows or _rows_of_properties(seen) or _rows_of_traits(seen)


def _rows_of_properties(seen: VisibleNode) -> list[tuple[Any, ...]]:
    """The rows of ``properties['accelerators']``, set by inspection."""
    found = keys.ACCELERATORS.read(seen.node.get('properties')) or ()
    return [formatters.row(
        a.get('pci_address'), str(a.get('type', '')).lower() or None,
        a.get('device_info'), NOT_PERMITTED, a.get('pci_address'),
        NOT_PERMITTED, NOT_PERMITTED, NOT_PERMITTED)
        for a in found if isinstance(a, Mapping)]


def _rows_of_traits(seen: VisibleNode) -> list[tuple[Any, ...]]:
    """A row for each kind of which the number is published."""
    rows = []
    for name in seen.accel_traits:
        kind, _, number = name.removeprefix(grammar.PREFIX).partition('_X')
        if number.isdecimal():
            rows.append(formatters.row(
                f'{number} devices', kind.lower(), NOT_PERMITTED,
                NOT_PERMITTED, NOT_PERMITTED, 'OK', NOT_PERMITTED,
                NOT_PERMITTED))
    return rows
