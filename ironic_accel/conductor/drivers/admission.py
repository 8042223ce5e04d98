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

"""Refusal of a step when it is requested, from stored data.

The request fails with the reason, the state of the node does not change, and
no ramdisk is booted for a step that would be refused later. What can only be
decided from a new inventory is decided by the step.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic.common import exception

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config.declared_steps import DeclaredStep
from ironic_accel.conductor.drivers import requested_steps
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.operation import context
from ironic_accel.model.errors import AccelError
from ironic_accel.model.planner import make_plan


def check(task: Any) -> None:
    """Refuse the request if one of our steps in it cannot run.

    :raises: InvalidParameterValue (400); InvalidState (409) if a later version
        of ironic-accel manages the node, or the node is held.
    """
    found = requested_steps.steps(task)
    if found is None:
        return
    kind, wanted = found
    first = True
    for step in wanted:
        declared = declared_steps.get(step)
        if declared is not None and not step.get('execute_on_child_nodes'):
            _check_step(task, kind, declared, step.get('args') or {}, first)
        # Later steps may find the node changed by the earlier ones.
        first = False


def _check_step(task: Any, kind: str, declared: DeclaredStep,
                args: Mapping[str, Any], first: bool) -> None:
    why = operation.later_version(task.node)
    if why:
        raise exception.InvalidState(f'node {task.node.uuid}: {why}')
    bmc_session.check(task.node)
    if declared.writes:
        steps.check_stopped(task, declared.name)
    misfit = declared.misfit(args)
    if misfit is not None:
        raise steps.invalid(misfit)
    if declared.check is None:
        return
    planned = declared.check(task, kind, args)
    if first and planned is not None:
        _check_plan(task, kind, *planned)


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
        hint = ('; firmware updates in a deploy step require allow: '
                '[burn_at_deploy] in the profile')
    try:
        record = operation.load_record(task.node)
        plan = make_plan(
            stored.inventory, context.limited(profile, Operation(
                kind=kind, step='', activation=str(activation[0]))),
            record.staged if record else (), transports, catalogue.catalogue())
    except AccelError as exc:
        raise steps.invalid(str(exc)) from exc
    told = [r for r in plan.refused if not r.unread]
    if not told:
        return
    one = told[0]
    text = f'refused, nothing was changed: {one.item.device} {one.item.name}: '
    text += one.reason
    if one.expected is not None:
        text += f' (expected {one.expected}, seen {one.seen})'
    if activation[1]:
        text += f' ({activation[1]})'
    if len(told) > 1:
        text += f'; {len(told) - 1} more refused'
    age = max(0, round(clock.shared() - stored.at))
    raise steps.invalid(
        f'{text}{hint}. The plan is based on the inventory of {age} s ago; if '
        'the node changed since, refresh it first (accel_refresh)')
