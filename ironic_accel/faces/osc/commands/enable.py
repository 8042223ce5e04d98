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

"""``baremetal accelerator enable``."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs import driver_switch
from ironic_accel.faces.osc.jobs.driver_switch import DriverSwitch
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs.refresh_job import RefreshJob
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc import selection
from ironic_accel.faces.osc import waiting

COLUMNS = ('Node', 'State', 'Changed', 'Outcome', 'Devices', 'Note')


class Enable(base.Lister):
    """Enable accelerator management on nodes.

    Changes the driver, the power and the vendor interface of each node, and
    takes a first inventory. The changes are printed first. An active node
    is in maintenance while its driver is changed. Hosts and devices are not
    touched: the first inventory is read-only and powers no host on. The
    previous driver and interfaces are stored in the extra field of the
    node; baremetal accelerator disable restores them.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_change(parser)
        parser.add_argument(
            '--no-inventory', action='store_true',
            help='Do not take the first inventory.')
        base.add_max_in_flight(parser)
        waiting.add_wait(parser, 'Wait until the first inventories have '
                                   'ended; this is the default.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Change the nodes, then take their inventories."""
        ironic = self.ironic
        limit = waiting.limit(parsed_args)
        refs = selection.nodes(
            self, parsed_args, driver_switch.can_be_enabled,
            'managed by ironic-accel already, or of another driver than '
            + ', '.join(driver_switch.PLAIN))
        plans: list[DriverSwitch] = selection.all_checked(
            refs, lambda ref: self._plan(ref, parsed_args.no_inventory))
        for driver in sorted({str(m.fields['driver'][1]) for m in plans
                              if 'driver' in m.fields}):
            driver_switch.check_served(ironic, driver)
        for switch in plans:
            self.say(switch.summary())
        if parsed_args.dry_run:
            return COLUMNS, [row(m, 'not changed (dry run)') for m in plans]
        selection.confirm(self, parsed_args,
                          'enable accelerator management on', refs)
        errors = {m.ref: self._change(m) for m in plans}
        runs: dict[str, parallel.NodeRun] = {}
        if not parsed_args.no_inventory:
            runs = self._inventory([m for m in plans if errors[m.ref] is None],
                                   parsed_args.max_in_flight, limit)
        return COLUMNS, [self._row(m, errors[m.ref], runs.get(m.ref))
                         for m in plans]

    def _plan(self, ref: str, no_inventory: bool) -> DriverSwitch:
        switch = driver_switch.to_accel(
            driver_switch.unlocked(self.ironic, ref), ref)
        if not no_inventory:
            # Who may not take the first inventory is told before the change.
            self.ironic.check_passthru(ref)
        return switch

    def _change(self, switch: DriverSwitch) -> str | None:
        """Change one node; the error, or None.

        An error does not stop the other nodes from being changed.
        """
        if not switch.fields:
            return None
        try:
            with driver_switch.in_maintenance(self.ironic, switch):
                self.ironic.patch(switch.ref, switch.patch())
        except CommandError as error:
            return str(error)
        return None

    def _inventory(self, plans: list[DriverSwitch], most: int,
                   limit: int | None) -> dict[str, parallel.NodeRun]:
        jobs = [RefreshJob(self.ironic, m.ref, power_on=False) for m in plans
                if not m.node.get('maintenance')]
        return {r.job.ref: r for r in parallel.run(
            jobs, progress_display.of(self.app), most, keep_going=True,
            limit=limit)}

    def _row(self, switch: DriverSwitch, error: str | None,
             run: parallel.NodeRun | None) -> tuple[Any, ...]:
        if error is not None:
            self.status = base.FAILED
            return row(switch, 'failed', None, error)
        outcome = 'enabled' if switch.fields else 'already enabled'
        if run is None:
            return row(switch, outcome, None,
                       'no inventory yet; next: baremetal accelerator '
                       f'refresh {switch.ref}')
        result = (run.status.result if run.status else None) or {}
        note = run.status.error if run.status else None
        if run.outcome not in run_status.GOOD:
            self.status = base.FAILED
            what = ('has not ended' if run.outcome == parallel.TIMED_OUT
                    else 'failed')
            note = f'enabled, but the first inventory {what}: {note}'
        return row(switch, outcome, result.get('found'),
                   note or result.get('note'))


def row(switch: DriverSwitch, outcome: str, found: int | None = None,
        note: str | None = None) -> tuple[Any, ...]:
    """The row of one node."""
    changed = {k: new for k, (_, new) in switch.fields.items()}
    return formatters.row(
        switch.ref, switch.node['provision_state'], formatters.Cell(
            changed, '\n'.join(f'{k} {v}' for k, v in changed.items())
            or 'nothing'), outcome, found, note)
