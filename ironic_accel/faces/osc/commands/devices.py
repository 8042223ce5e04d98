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
from ironic_accel.faces import terminal
from ironic_accel.faces import view
from ironic_accel.model.errors import BadInput
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]

COLUMNS = ('Device', 'Kind', 'Product', 'Serial', 'Location', 'Health',
           'Firmware', 'Modes')


class List(base.Lister):
    """List the accelerators in the last inventory of a node.

    A caller who may not read the inventory gets the data of traits, firmware
    components and properties.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        parser.add_argument(
            '--long', action='store_true',
            help='Print a row for each device with all columns. Without it '
                 'a table has one row for identical devices, unless columns '
                 'are selected (-c).')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List the devices."""
        seen = node_access.of(self.ironic, parsed_args.node)
        for line in seen.denied:
            self.say(line)
        stopped = stopped_by(self.ironic, seen)
        if stopped:
            self.say(f'no operation is started: {stopped}')
        if seen.inventory is not None:
            self.say(headline(seen))
            for line in view.warning_lines(seen.inventory):
                self.say(line)
            if grouped(parsed_args):
                return self._grouped(seen.inventory)
            return COLUMNS, [device_row(d)
                             for d in seen.inventory['devices']]
        if not seen.denied:
            raise node_access.no_inventory(parsed_args.node)
        rows = partial_rows(seen)
        if not rows:
            raise Denied(
                f'{seen.denied[0]}; no other accelerator data is published '
                f'for this node; {ask()}')
        traits = ', '.join(seen.accel_traits) or 'none'
        self.say('the list is made from traits, firmware components and '
                 f'properties; traits: {traits}')
        return COLUMNS, rows


    def _grouped(self, doc: Document) -> base.Rows:
        """A row for identical devices; cliff's borders take the rest."""
        columns = device_table.COLUMNS
        found = device_table.fitted(
            device_table.rows(doc),
            terminal.width(self.app.stdout) - len(columns) - 3)
        if any(row.marked for row in found):
            self.say(device_table.LEGEND)
        return columns, [tuple(formatters.Cell(cell, '\n'.join(cell))
                               for cell in row.cells) for row in found]


class Show(base.ShowOne):
    """Show all fields of one accelerator."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        parser.add_argument('device', metavar='<device>',
                            help='Id or serial number of the device.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace,
                    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Show the device."""
        seen = node_access.of(self.ironic, parsed_args.node)
        doc = node_access.needed(seen, parsed_args.node)
        try:
            device = device_detail.find(doc, parsed_args.device)
        except BadInput as error:
            raise CommandError(str(error)) from error
        texts = device_detail.texts(device)
        fields = {**{name: formatters.Cell(raw, texts[name])
                     for name, raw in device.items()},
                  'seen_at': formatters.moment(seen.at),
                  'seen_via': doc['seen_via'], 'host': doc['host']}
        return tuple(fields), formatters.row(*fields.values())


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
