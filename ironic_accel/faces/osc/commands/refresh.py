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

"""``baremetal accelerator refresh``."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs.refresh_job import RefreshJob
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.report import node_access
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces.osc import selection
from ironic_accel.faces.osc import waiting
from ironic_accel.model import drift
from ironic_accel.model import serialization

COLUMNS = ('Node', 'Outcome', 'Host', 'Devices', 'Drift', 'Traits added',
           'Traits removed', 'Seconds', 'Note')


class RefreshNodes(base.Lister):
    """Take a new inventory of nodes and update their traits.

    Nothing is written to any device. A host that is off stays off unless
    --power-on is given.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser)
        parser.add_argument(
            '--power-on', action='store_true',
            help='Power on hosts that are off, and off again afterwards.')
        base.add_max_in_flight(parser)
        waiting.add_wait(parser, 'Wait until the inventories have ended; '
                                   'this is the default.')
        parser.add_argument(
            '--no-wait', action='store_true',
            help='Request the inventories and do not wait for them.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Refresh the nodes and compare them with their state before."""
        ironic = self.ironic
        limit = waiting.limit(parsed_args)
        if parsed_args.no_wait and waiting.is_asked(parsed_args):
            raise CommandError('--no-wait: not allowed together with --wait')
        refs = selection.nodes(self, parsed_args)
        if parsed_args.no_wait:
            return self._requested(refs, parsed_args.power_on)
        before = dict(selection.all_checked(
            refs, lambda ref: (ref, node_access.of(ironic, ref))))
        runs = parallel.run(
            [RefreshJob(ironic, ref, parsed_args.power_on) for ref in before],
            progress_display.of(self.app), parsed_args.max_in_flight,
            keep_going=True, limit=limit)
        found = []
        for run in runs:
            ref = run.job.ref
            after = node_access.of(ironic, ref)
            if run.outcome not in run_status.GOOD:
                self.status = base.FAILED
            found.append(row(run, before[ref], after))
        return COLUMNS, found

    def _requested(self, refs: list[str], power_on: bool) -> base.Rows:
        """Request the inventories alone."""
        runs = parallel.begin_all([RefreshJob(self.ironic, ref, power_on)
                                   for ref in refs])
        found = []
        for run in runs:
            failed = run.outcome != 'running'
            if failed:
                self.status = base.FAILED
            error = run.status.error if run.status else None
            found.append(formatters.row(
                run.job.ref, 'failed' if failed else 'started', None, None,
                None, None, None, None, error or
                f'next: baremetal accelerator progress {run.job.ref}'))
        return COLUMNS, found


def row(run: parallel.NodeRun, old: VisibleNode, new: VisibleNode
       ) -> tuple[Any, ...]:
    """The row of one node."""
    before, after = set(old.accel_traits), set(new.accel_traits)
    found = drifted(old, new)
    result = (run.status.result if run.status else None) or {}
    note = (run.status.error if run.status else None) or '; '.join(
        str(result[k]) for k in ('note', 'withheld', 'no_is')
        if result.get(k))
    return formatters.row(
        run.job.ref, run.outcome, result.get('host'), result.get('found'),
        formatters.Cell(found, formatters.NOT_PERMITTED if found is None
                        else '\n'.join(found) or 'none'),
        _names(after - before), _names(before - after),
        result.get('seconds'), note or None)


def drifted(old: VisibleNode, new: VisibleNode) -> list[str] | None:
    """The differences between two inventories of a node.

    :returns: a sentence each; None if the caller may not read the second.
    """
    if new.inventory is None and new.denied:
        return None
    if old.inventory is None or new.inventory is None:
        return []
    inventories = [serialization.inventory_from_dict(x)
                   for x in (old.inventory, new.inventory)]
    if not all(i.complete for i in inventories):
        return []
    return [str(x) for x in drift.differences(*inventories)]


def _names(names: set[str]) -> formatters.Cell:
    return formatters.Cell(sorted(names), '\n'.join(sorted(names)) or '-')
