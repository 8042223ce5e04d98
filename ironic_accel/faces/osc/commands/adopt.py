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

"""``baremetal accelerator adopt``."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs import driver_switch
from ironic_accel.faces.osc.jobs.driver_switch import Move
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs.refresh_job import Refresh
from ironic_accel.faces.osc.jobs import run_status

COLUMNS = ('Node', 'State', 'Changed', 'Outcome', 'Devices', 'Note')


class Adopt(base.Lister):
    """Take nodes into our care: driver, power and vendor interface.

    What will be changed is printed first. A node with an instance goes
    through maintenance; neither its host nor its devices are touched. The
    first inventory only reads, and powers nothing on. What the node had is
    kept in its ``extra``, and release brings it back.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The arguments."""
        parser = super().get_parser(prog_name)
        base.add_nodes(parser)
        parser.add_argument('--dry-run', action='store_true',
                            help='Print what would be changed, no more.')
        parser.add_argument(
            '--no-inventory', action='store_true',
            help='Leave the first look for later.')
        base.add_looks(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Adopt them."""
        ironic = self.ironic
        plans = [driver_switch.into(ironic.node(ref), ref)
                 for ref in dict.fromkeys(parsed_args.nodes)]
        for driver in sorted({str(m.fields['driver'][1]) for m in plans
                              if 'driver' in m.fields}):
            driver_switch.check_served(ironic, driver)
        for move in plans:
            self.say(move.words())
        if parsed_args.dry_run:
            return COLUMNS, [row(m, 'not changed: dry run') for m in plans]
        errors = {m.ref: self._change(m) for m in plans}
        runs: dict[str, parallel.NodeRun] = {}
        if not parsed_args.no_inventory:
            runs = self._look([m for m in plans if errors[m.ref] is None],
                              parsed_args.max_in_flight)
        return COLUMNS, [self._row(m, errors[m.ref], runs.get(m.ref))
                         for m in plans]

    def _change(self, move: Move) -> str | None:
        """Change one node, and give what went wrong, or None.

        The others are changed all the same.
        """
        if not move.fields:
            return None
        try:
            with driver_switch.door(self.ironic, move):
                self.ironic.patch(move.ref, move.patch())
        except CommandError as error:
            return str(error)
        return None

    def _look(
        self, plans: list[Move], most: int
    ) -> dict[str, parallel.NodeRun]:
        jobs = [Refresh(self.ironic, m.ref, power_on=False) for m in plans
                if not m.node.get('maintenance')]
        return {r.job.ref: r for r in parallel.run(
            jobs, progress_display.of(self.app.stderr), most, keep_going=True)}

    def _row(self, move: Move, error: str | None,
             run: parallel.NodeRun | None) -> tuple[Any, ...]:
        if error is not None:
            self.status = base.FAILED
            return row(move, 'failed', None, error)
        outcome = 'adopted' if move.fields else 'adopted already'
        if run is None:
            return row(move, outcome, None,
                       'not looked at yet: baremetal accelerator audit '
                       f'{move.ref}')
        result = (run.status.result if run.status else None) or {}
        note = run.status.error if run.status else None
        if run.outcome not in run_status.GOOD:
            self.status = base.FAILED
            note = f'adopted, but the first look failed: {note}'
        return row(move, outcome, result.get('found'),
                   note or result.get('note'))


def row(move: Move, outcome: str, found: int | None = None,
        note: str | None = None) -> tuple[Any, ...]:
    """What became of one node."""
    changed = {k: new for k, (_, new) in move.fields.items()}
    return formatters.row(
        move.ref, move.node['provision_state'], formatters.Cell(
            changed, '\n'.join(f'{k} {v}' for k, v in changed.items())
            or 'nothing'), outcome, found, note)
