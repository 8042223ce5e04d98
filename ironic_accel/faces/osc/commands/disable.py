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

"""``baremetal accelerator disable``."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.errors import UnknownMethod
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs import driver_switch
from ironic_accel.faces.osc.jobs.driver_switch import DriverSwitch
from ironic_accel.faces.osc.jobs import idle
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs import refresh_job
from ironic_accel.faces.osc import selection
from ironic_accel.faces.osc import waiting

COLUMNS = ('Node', 'State', 'Outcome', 'Driver', 'Traits removed',
           'Traits kept', 'Firmware components', 'Keys', 'Note')


class Disable(base.Lister):
    """Disable accelerator management on nodes.

    Removes the accelerator traits, firmware components, the stored
    inventory and all keys of this plug-in from each node, and restores the
    driver and interfaces that it had before it was enabled, or the defaults
    of Ironic if it never was. Every node is in maintenance while it is
    changed. Hosts and devices are not touched.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_change(parser)
        waiting.add_wait(
            parser, 'Wait until operations in progress on the nodes have '
                    'ended. Without it they are errors.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Check all nodes, then change them."""
        limit = waiting.limit(parsed_args)
        refs = selection.nodes(self, parsed_args)
        if waiting.is_asked(parsed_args):
            idle.wait(self.ironic, refs, progress_display.of(self.app), limit)
        plans: list[DriverSwitch] = selection.all_checked(refs, self._plan)
        for switch in plans:
            self.say(f'{switch.summary()}; accelerator traits, firmware '
                     'components, the stored inventory and keys are removed')
        if parsed_args.dry_run:
            return COLUMNS, [row(m, 'not changed (dry run)') for m in plans]
        selection.confirm(self, parsed_args,
                          'disable accelerator management on', refs)
        return COLUMNS, [self._disable(m) for m in plans]

    def _plan(self, ref: str) -> DriverSwitch:
        node = driver_switch.unlocked(self.ironic, ref)
        switch = driver_switch.to_ironic(node, ref)
        # Before the node is put into maintenance for it.
        self.ironic.check_passthru(ref)
        if not node.get('maintenance'):
            refresh_job.check_idle(node, ref)
        return switch

    def _disable(self, switch: DriverSwitch) -> tuple[Any, ...]:
        removed: api.Document = {}
        try:
            with driver_switch.in_maintenance(self.ironic, switch):
                removed = self._remove(switch.ref)
                self.ironic.patch(switch.ref, switch.patch())
        except CommandError as error:
            self.status = base.FAILED
            return row(switch, 'failed', removed,
                       f'{error}; the command can be repeated')
        kept = removed.get('kept_traits')
        return row(switch, 'disabled', removed, (
            'the instance requires the kept traits; after it is deleted: '
            f"baremetal node remove trait {switch.ref} {' '.join(kept)}"
            if kept else None))

    def _remove(self, ref: str) -> api.Document:
        """Have the conductor remove what this plug-in stores of a node.

        A conductor of an earlier version has the method by its old name.
        """
        try:
            return self.ironic.post(ref, 'accel_disable')
        except UnknownMethod:
            return self.ironic.post(ref, 'accel_release')


def row(switch: DriverSwitch, outcome: str,
        removed: api.Document | None = None,
        note: str | None = None) -> tuple[Any, ...]:
    """The row of one node."""
    found = removed or {}
    driver = switch.node['driver']
    if outcome == 'disabled':
        driver = switch.fields.get('driver', (driver, driver))[1]
    return formatters.row(
        switch.ref, switch.node['provision_state'], outcome, driver,
        _names(found.get('traits')), _names(found.get('kept_traits')),
        found.get('firmware'), len(found.get('keys') or ()) or None, note)


def _names(names: list[str] | None) -> formatters.Cell:
    return formatters.Cell(names, '\n'.join(names or ()) or '-')
