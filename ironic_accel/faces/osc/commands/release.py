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

"""``baremetal accelerator release``."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs import driver_switch
from ironic_accel.faces.osc.jobs.driver_switch import Move
from ironic_accel.faces.osc.jobs import refresh_job

COLUMNS = ('Node', 'State', 'Outcome', 'Driver', 'Traits removed',
           'Traits kept', 'Firmware rows', 'Keys', 'Note')


class Release(base.Lister):
    """Give nodes back: our traits, firmware rows and keys go, the driver.

    The driver and the interfaces become what they were before adopt, or
    Ironic's own where the node never was adopted. Every node goes through
    maintenance for it; neither host nor devices are touched.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The arguments."""
        parser = super().get_parser(prog_name)
        base.add_nodes(parser)
        parser.add_argument('--dry-run', action='store_true',
                            help='Print what would be changed, no more.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Release them."""
        plans = []
        for ref in dict.fromkeys(parsed_args.nodes):
            node = self.ironic.node(ref)
            plans.append(driver_switch.out(node, ref))
            if not node.get('maintenance'):
                refresh_job.check_idle(node, ref)
        for move in plans:
            self.say(f'{move.words()}; our traits, firmware rows, stored '
                     'inventory and keys are removed')
        if parsed_args.dry_run:
            return COLUMNS, [row(m, 'not changed: dry run') for m in plans]
        return COLUMNS, [self._release(m) for m in plans]

    def _release(self, move: Move) -> tuple[Any, ...]:
        removed: api.Document = {}
        try:
            with driver_switch.door(self.ironic, move):
                removed = self.ironic.post(move.ref, 'accel_release')
                self.ironic.patch(move.ref, move.patch())
        except CommandError as error:
            self.status = base.FAILED
            return row(move, 'failed', removed,
                       f'{error}; it may be repeated')
        kept = removed.get('kept_traits')
        return row(move, 'released', removed, (
            'the instance names the traits that were kept; once it is gone: '
            f"baremetal node remove trait {move.ref} {' '.join(kept)}"
            if kept else None))


def row(move: Move, outcome: str, removed: api.Document | None = None,
        note: str | None = None) -> tuple[Any, ...]:
    """What became of one node."""
    found = removed or {}
    driver = move.node['driver']
    if outcome == 'released':
        driver = move.fields.get('driver', (driver, driver))[1]
    return formatters.row(
        move.ref, move.node['provision_state'], outcome, driver,
        _names(found.get('traits')), _names(found.get('kept_traits')),
        found.get('firmware'), len(found.get('keys') or ()) or None, note)


def _names(names: list[str] | None) -> formatters.Cell:
    return formatters.Cell(names, '\n'.join(names or ()) or '-')
