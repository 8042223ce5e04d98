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

"""Refusing a step at the API call, where what is stored is enough for it.

Nothing has begun by then: the node keeps its state, whoever asked reads the
reason in the answer, and no ramdisk is booted for a step that would be
refused in it. What only a look at the box can tell is refused by the step.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic.common import exception

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import clock
from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import requested_steps
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.operation import context
from ironic_accel.model.errors import AccelError
from ironic_accel.model.planner import make_plan

#: The arguments that each step takes; ``profile`` is wanted where it is one.
_APPLY = frozenset({'profile', 'max_effect', 'allow_disruption'})
ARGUMENTS: Mapping[str, frozenset[str]] = {
    'apply_profile': _APPLY, agent_steps.STEP: _APPLY,
    'reset_devices': frozenset({'devices', 'allow_disruption'}),
    'deliver_first_boot': frozenset({'profile'}),
    'apply_baseline': frozenset(), 'refresh_traits': frozenset(),
    'note_tenant': frozenset()}

#: What begins no write, no reset and no power on: no stop switch stops it.
_LOOKS = frozenset({'refresh_traits', 'note_tenant'})


def check(task: Any) -> None:
    """Refuse what a request asks for, if a step of ours in it cannot be run.

    :raises: InvalidParameterValue (400); InvalidState (409) where a later
        version works on the node, or the stop switch stands.
    """
    found = requested_steps.steps(task)
    if found is None:
        return
    kind, wanted = found
    first = True
    for step in wanted:
        if step.get('interface') == 'vendor' and not step.get(
                'execute_on_child_nodes') and step['step'] in ARGUMENTS:
            _check_step(task, kind, step, first)
        # What comes later may find another box than the one that is stored.
        first = False


def _check_step(
    task: Any, kind: str, step: requested_steps.Step, first: bool
) -> None:
    name = step['step']
    why = operation.foreign(task.node)
    if why:
        raise exception.InvalidState(f'node {task.node.uuid}: {why}')
    bmc_session.check(task.node)
    if name not in _LOOKS:
        steps.check_stopped(task, name)
    args = dict(step.get('args') or {})
    unknown = set(args) - ARGUMENTS[name]
    if unknown:
        known_here = ', '.join(sorted(ARGUMENTS[name])) or 'none'
        raise steps.bad(f"{name}: {', '.join(sorted(unknown))}: not known: "
                        f'expected {known_here}')
    if 'profile' in ARGUMENTS[name] and 'profile' not in args:
        raise steps.bad(f'{name}: profile: missing: expected the name of a '
                        'site profile, or a mapping')
    if name == 'reset_devices':
        steps.check_reset(task.node, kind, **args)
    elif name == 'deliver_first_boot':
        steps.given_profile(args['profile'])
    elif name in ('apply_profile', agent_steps.STEP):
        if name == 'apply_profile':
            steps.check_out_of_band(task.node)
        profile, activation = steps.check_apply(task, kind, **args)
        if first and name == 'apply_profile':
            _check_plan(task, kind, profile, activation)


def _check_plan(task: Any, kind: str, profile: Any, activation: Any) -> None:
    """Refuse what the stored inventory refuses.

    :raises: InvalidParameterValue.
    """
    stored = inventory_store.load(task)
    if stored is None or not stored.inventory.complete or (
            stored.inventory.host == 'off'):
        return
    transports = stored.transports
    hint = ''
    if kind == 'deploy' and 'burn_at_deploy' not in profile.allow:
        transports = tuple(
            dataclasses.replace(w, updates={}) for w in transports)
        hint = ('; writing firmware in a deploy step wants allow: '
                '[burn_at_deploy] in the profile')
    try:
        record = operation.load_record(task.node)
        plan = make_plan(
            stored.inventory, context.limited(profile, Operation(
                kind=kind, step='', activation=str(activation[0]))),
            record.staged if record else (), transports, catalogue.catalogue())
    except AccelError as exc:
        raise steps.bad(str(exc)) from exc
    told = [r for r in plan.refused if not r.unread]
    if not told:
        return
    one = told[0]
    text = f'refused, nothing was begun: {one.item.device} {one.item.name}: '
    text += one.reason
    if one.expected is not None:
        text += f' (expected {one.expected}, seen {one.seen})'
    if activation[1]:
        text += f' ({activation[1]})'
    if len(told) > 1:
        text += f'; {len(told) - 1} more refused'
    age = max(0, round(clock.shared() - stored.at))
    raise steps.bad(
        f'{text}{hint}; this is by the inventory of {age} s ago: where that '
        'has changed, look again first (accel_refresh)')
