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
from ironic_accel.faces import options
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.commands import profile as profile_module
from ironic_accel.faces.osc.errors import Missing
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.jobs.apply_job import STEPS
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import progress_display
from ironic_accel.faces.osc.jobs.refresh_job import RefreshJob
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.report.node_access import no_inventory
from ironic_accel.faces.osc import selection
from ironic_accel.faces.osc import waiting
from ironic_accel.faces import plan_view
from ironic_accel.faces import ranges
from ironic_accel.model import plan as plan_mod

Document = Mapping[str, Any]


class PlanNode(base.Lister):
    """Show what applying a profile to nodes would do (dry run).

    The plan is made from the last inventory, for a step with the same options
    as of apply. What it refuses, apply refuses. Without --profile it is made
    for the baseline of the node. The exit code is 3 if apply would be refused,
    and 4 if that cannot be told from the last inventory; of several nodes the
    highest one.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser)
        profile_module.add_profile(parser, required=False)
        add_step_options(parser)
        deprecation.add_renamed(
            parser, '--fresh', '--refresh', action='store_true',
            help='Take a new inventory of the nodes first, and wait for it.')
        waiting.add_wait(parser, 'With --refresh: wait for the inventories; '
                                 'this is the default.')
        base.add_max_in_flight(parser)
        options.add_detailed_exitcode(parser, options.sentence)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Make the plan."""
        if waiting.is_asked(parsed_args) and not parsed_args.refresh:
            raise CommandError('--wait: only allowed together with --refresh')
        profile = (profile_module.profile(parsed_args) if parsed_args.profile
                   else None)
        refs = selection.nodes(self, parsed_args)
        nodes = dict(selection.each(self, refs, self.ironic.managed))
        if parsed_args.refresh and nodes:
            # Who has locked a node is of now, too.
            fresh = self._refreshed([*nodes], parsed_args)
            nodes = dict(selection.each(self, fresh, self.ironic.managed))
        asked = step_options(parsed_args)
        answers = selection.each(self, [*nodes], lambda ref: planned(
            self.ironic, ref, profile, **asked)) if nodes else []
        for ref, answer in answers:
            self._say(ref, nodes[ref], answer)
            self.status = max(self.status, plan_view.exit_code(
                answer['plan'], parsed_args.detailed_exitcode))
        return selection.rows(parsed_args, plan_view.COLUMNS, [
            (ref, rows(answer['plan'])) for ref, answer in answers])

    def _refreshed(self, refs: list[str],
                   args: argparse.Namespace) -> list[str]:
        """Take new inventories; the nodes of which that succeeded.

        :raises: the CommandError of the only node.
        """
        runs = parallel.run(
            [RefreshJob(self.ironic, ref) for ref in refs],
            progress_display.of(self.app), args.max_in_flight,
            keep_going=True, limit=waiting.limit(args))
        found = []
        for run in runs:
            if run.outcome in run_status.GOOD:
                found.append(run.job.ref)
                continue
            why = (run.status.error if run.status else None) or (
                f'node {run.job.ref}: the refresh: {run.outcome}')
            if selection.is_one(args):
                raise CommandError(why)
            self.say(f'{why}; not planned')
            self.status = base.FAILED
        return found

    def _say(self, ref: str, node: Document, answer: Document) -> None:
        """Print what has to be known of a plan besides its rows."""
        for one in answer.get('baseline') or ():
            self.say(f"baseline {one['profile']}: {one['why']}")
        self.say(
            f"node {ref}, profile {answer['profile']}, inventory "
            f"of {formatters.age(answer['age'])} ago: "
            f"{plan_view.headline(answer['plan'])}")
        for line in notes(answer, node, ref):
            self.say(line)


def planned(ironic: api.Ironic, ref: str, profile: str | Document | None,
            **options: Any) -> dict[str, Any]:
    """The plan of a node, see ``ask``.

    :raises: CommandError if the node has no baseline profile either.
    """
    answer = ask(ironic, ref, profile, **options)
    if answer['plan'] is None:
        raise CommandError('\n'.join((
            *(f"baseline {one['profile']}: {one['why']}"
              for one in answer.get('baseline') or ()),
            f'node {ref} has no baseline profile; next: set '
            f'driver_info/{keys.BASELINE.name} or [accelerator]'
            'baseline_profile, or use --profile')))
    return answer


def add_step_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a step, which plan and apply share."""
    parser.add_argument(
        '--via', choices=sorted(STEPS),
        help='Transport: redfish to use the BMC only (default for nodes '
             'with Redfish), agent to boot the ramdisk and use both.')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        '--clean', action='store_const', const='clean', dest='kind',
        help='Clean the nodes; accepts manageable and available nodes.')
    kind.add_argument(
        '--service', action='store_const', const='service', dest='kind',
        help='Service the nodes; accepts active nodes.')
    options.add_max_activation(
        parser, 'the limit of the profile; none for active nodes',
        options.sentence)
    parser.add_argument(
        '--allow-disruption', action='store_true',
        help='Allow a service step to interrupt the instance.')


def step_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``accel_plan`` for the options that were given."""
    given = {'via': args.via, 'kind': args.kind,
             'max_activation': args.max_activation,
             'allow_disruption': args.allow_disruption}
    return {name: value for name, value in given.items() if value}


def notes(answer: Document, node: Document, ref: str) -> list[str]:
    """What has to be known of a plan besides its table, a line each."""
    found = plan_view.notes(answer['plan'])
    limit = answer.get('limit') or {}
    if limit.get('why'):
        found.append(f"resets up to {limit['activation']}: {limit['why']}")
    if answer.get('stopped') and not answer['plan'].get('blocked'):
        found.append(f"no operation is started: {answer['stopped']}")
    locked = api.readable(node, 'reservation')
    if locked and not answer['plan'].get('blocked'):
        found.append(
            f'node {ref} is locked by conductor {locked} for another request '
            'at the moment: apply waits for the lock some seconds, and starts '
            'nothing if it stays; next: run it again then')
    if node['provision_state'] == 'available':
        found.append(f'node {ref} is available; next: use apply --wait, '
                     'which manages, cleans and provides it')
    return found + [f'not checked: {what}' for what in
                    answer['plan'].get('not_checked') or ()]


def ask(ironic: api.Ironic, ref: str, profile: str | Document | None,
        **options: Any) -> dict[str, Any]:
    """Have the conductor make a plan from the last inventory.

    :param profile: None for the baseline of the node.
    :param options: of the step. A conductor of an earlier release does not
        know them; then the plan is made without them, and says so.
    :raises: CommandError if the node has no inventory.
    """
    args = {} if profile is None else {'profile': profile}
    left: list[str] = []
    try:
        try:
            answer = ironic.post(ref, 'accel_plan', **args, **options)
        except CommandError as error:
            if not options or ': unknown argument; supported arguments: ' \
                    'profile' not in str(error):
                raise
            answer = ironic.post(ref, 'accel_plan', **args)
            left = [f'{name.replace("_", "-")}: the conductor is of an '
                    'earlier release' for name in options]
    except Missing as error:
        if 'nventory' in str(error):
            raise no_inventory(ref) from error
        raise
    if not answer['plan']:
        return answer
    plan = plan_mod.current(answer['plan'])
    return {**answer, 'plan': {**plan, 'not_checked': [
        *left, *(plan.get('not_checked') or ())]}}


def rows(doc: Document) -> list[tuple[Any, ...]]:
    """The rows of a plan; as data, devices are lists."""
    return [formatters.row(
        r.stage, r.action, formatters.Cell(r.devices, ranges.words(r.devices)),
        *r[3:]) for r in plan_view.rows_of(doc)]
