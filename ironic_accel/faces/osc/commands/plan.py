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
from ironic_accel.faces import view
from ironic_accel.model import plan as plan_mod

Document = Mapping[str, Any]

COLUMNS = ('Stage', 'Do', 'Devices', 'What', 'From', 'To', 'By', 'Note')


class PlanNode(base.Lister):
    """Say what would bring a node to a profile; nothing is changed.

    It is planned from what was seen last; the exit code is 3 where the
    profile is refused. Without a profile it is the node's baseline, and it
    is said why that one.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The arguments."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        profile_module.add_profile(parser, required=False)
        deprecation.add_renamed(
            parser, '--fresh', '--refresh', action='store_true',
            help='Take a new inventory of the node first.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Plan it."""
        profile = (profile_module.profile(parsed_args) if parsed_args.profile
                   else None)
        node = self.ironic.node(parsed_args.node)
        api.check_ours(node, parsed_args.node)
        if parsed_args.refresh:
            refresh(self, parsed_args.node)
        told = ask(self.ironic, parsed_args.node, profile)
        for one in told.get('baseline') or ():
            self.say(f"baseline {one['profile']}: {one['why']}")
        doc = told['plan']
        if doc is None:
            raise CommandError(
                f'node {parsed_args.node} has no baseline: name one in '
                f'driver_info/{keys.BASELINE.name} or [accelerator]'
                'baseline_profile, or give --profile')
        self.say(
            f"node {parsed_args.node}, profile {told['profile']}, seen "
            f"{formatters.age(told['age'])} ago: {view.plan_headline(doc)}"
        )
        if told.get('stopped'):
            self.say(f"no operation is started: {told['stopped']}")
        if doc['refused']:
            self.status = base.REFUSED
        return COLUMNS, rows(doc)


def ask(ironic: api.Ironic, ref: str,
        profile: str | Document | None) -> dict[str, Any]:
    """The plan of the conductor, from what it saw last.

    :param profile: None for the node's baseline.
    :raises: CommandError where nobody has looked yet.
    """
    args = {} if profile is None else {'profile': profile}
    try:
        told = ironic.post(ref, 'accel_plan', **args)
    except Missing as error:
        if 'nventory' in str(error):
            raise no_inventory(ref) from error
        raise
    plan = told['plan']
    return {**told, 'plan': plan and plan_mod.current(plan)}


def refresh(command: base.Command, ref: str,
            power_on: bool | None = None) -> None:
    """Look at a node, and wait for the end of it.

    :raises: CommandError where that fails.
    """
    run, = parallel.run([RefreshJob(command.ironic, ref, power_on)],
                     progress_display.of(command.app.stderr))
    if run.outcome not in run_status.GOOD:
        why = run.status.error if run.status else None
        raise CommandError(why or f'node {ref}: the refresh failed')


def rows(doc: Document) -> list[tuple[Any, ...]]:
    """The rows of a plan: its stages, what is so already, what is refused."""
    found: list[tuple[Any, ...]] = []
    for number, stage in enumerate(doc['stages'], 1):
        found += [formatters.row(number, *r) for r in _stage(stage)]
    found += [formatters.row(None, 'keep', *r) for r in _grouped(
        doc['satisfied'], lambda i: (
            i['name'], i['seen'], i['wanted'], None,
            None if i['persistent'] else 'does not outlast a reset'))]
    found += [formatters.row(None, 'refused', *r) for r in _grouped(
        doc['refused'], lambda i: (
            i['name'], i['seen'], i['expected'], None, i['reason']))]
    return found


def _stage(stage: Document) -> list[tuple[Any, ...]]:
    found = [(verb, devices, *rest) for devices, verb, *rest in _grouped(
        [{**item, 'verb': action['verb'], **_how(action)}
         for action in stage['actions'] for item in action['items']],
        lambda i: (i['verb'], i['name'], i['from'], i['to'], i['by'],
                   i['note']))]
    staged = [f"{i['device']} {i['name']}" for i in stage['staged']]
    if stage['reset'] != 'none' or staged:
        found.append(('reset', 'host', None, None, None, stage['reset'],
                      f'for written: {view.many(staged)}' if staged
                      else None))
    return found


def _how(action: Document) -> dict[str, Any]:
    by = action['transport']
    if action['image']:
        by += f": {action['image']}"
    also = [f'{device} {name}' for device, name in action['also_writes']]
    return {'by': by, 'note': formatters.Cell(
        also, f'also writes {view.many(also)}') if also else None}


def _grouped(items: Any, key: Any) -> list[tuple[Any, ...]]:
    """Items that are alike but for their device, in one row each."""
    groups: list[tuple[tuple[Any, ...], list[str]]] = []
    for item in items:
        mine = key(item)
        for known, devices in groups:
            if known == mine:
                devices.append(item['device'])
                break
        else:
            groups.append((mine, [item['device']]))
    return [(formatters.Cell(devices, view.many(devices)), *known)
            for known, devices in groups]
