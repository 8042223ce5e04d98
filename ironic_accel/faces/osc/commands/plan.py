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

"""``baremetal accelerator plan``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces import deprecation
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.commands import profile as profile_module
from ironic_accel.faces.osc.errors import Missing
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs.refresh_job import RefreshJob
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.report.node_access import no_inventory
from ironic_accel.faces import plan_view
from ironic_accel.faces import ranges
from ironic_accel.model import plan as plan_mod

Document = Mapping[str, Any]


class PlanNode(base.Lister):
    """Show the changes needed to make a node match a profile (dry run).

    The plan is made from the last inventory. Without --profile it is made
    for the baseline of the node. The exit code is 3 if the profile is
    refused.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        profile_module.add_profile(parser, required=False)
        deprecation.add_renamed(
            parser, '--fresh', '--refresh', action='store_true',
            help='Take a new inventory of the node first.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Make the plan."""
        profile = (profile_module.profile(parsed_args) if parsed_args.profile
                   else None)
        node = self.ironic.node(parsed_args.node)
        api.check_managed(node, parsed_args.node)
        if parsed_args.refresh:
            refresh(self, parsed_args.node)
        answer = ask(self.ironic, parsed_args.node, profile)
        for one in answer.get('baseline') or ():
            self.say(f"baseline {one['profile']}: {one['why']}")
        doc = answer['plan']
        if doc is None:
            raise CommandError(
                f'node {parsed_args.node} has no baseline profile; next: set '
                f'driver_info/{keys.BASELINE.name} or [accelerator]'
                'baseline_profile, or use --profile')
        self.say(
            f"node {parsed_args.node}, profile {answer['profile']}, inventory "
            f"of {formatters.age(answer['age'])} ago: "
            f'{plan_view.headline(doc)}')
        if answer.get('stopped'):
            self.say(f"no operation is started: {answer['stopped']}")
        if doc['refused']:
            self.status = base.REFUSED
        return plan_view.COLUMNS, rows(doc)


def ask(ironic: api.Ironic, ref: str,
        profile: str | Document | None) -> dict[str, Any]:
    """Have the conductor make a plan from the last inventory.

    :param profile: None for the baseline of the node.
    :raises: CommandError if the node has no inventory.
    """
    args = {} if profile is None else {'profile': profile}
    try:
        answer = ironic.post(ref, 'accel_plan', **args)
    except Missing as error:
        if 'nventory' in str(error):
            raise no_inventory(ref) from error
        raise
    plan = answer['plan']
    return {**answer, 'plan': plan and plan_mod.current(plan)}


def refresh(command: base.Command, ref: str,
            power_on: bool | None = None) -> None:
    """Take a new inventory of a node and wait for it.

    :raises: CommandError if that fails.
    """
    run, = parallel.run([RefreshJob(command.ironic, ref, power_on)],
                        progress_display.of(command.app))
    if run.outcome not in run_status.GOOD:
        why = run.status.error if run.status else None
        raise CommandError(why or f'node {ref}: the refresh failed')


def rows(doc: Document) -> list[tuple[Any, ...]]:
    """The rows of a plan; as data, devices are lists."""
    return [formatters.row(
        r.stage, r.action, formatters.Cell(r.devices, ranges.words(r.devices)),
        *r[3:]) for r in plan_view.rows_of(doc)]
