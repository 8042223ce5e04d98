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
decided from a new inventory is decided by the step. The passthru method
``accel_plan`` tells beforehand what is refused here.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ironic.common import exception
from ironic.common import states

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config.declared_steps import DeclaredStep
from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import requested_steps
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import node_plan
from ironic_accel.conductor.operation.node_plan import Request
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import comparison


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
            _check_interface(task, step)
            _check_step(task, kind, declared, step.get('args') or {}, first)
        # Later steps may find the node changed by the earlier ones.
        first = False


def _check_interface(task: Any, step: Mapping[str, Any]) -> None:
    """Refuse a step of the interface that does not have it on this node.

    Ironic would boot the ramdisk, to ask the agent for the step.
    """
    there = declared_steps.interface_type(task.driver, steps.Steps)
    if there not in (None, step['interface']):
        raise steps.invalid(
            f"{step['interface']}.{step['step']}: this node has the step in "
            f"its {there} interface; request {there}.{step['step']}")


def _check_step(task: Any, kind: str, declared: DeclaredStep,
                args: Mapping[str, Any], first: bool) -> None:
    _check_known(task.node)
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
        profile, (limit, why) = planned
        _check_plan(task, Request(
            kind, profile, limit, args.get('allow_disruption') is True,
            declared.name == agent_steps.STEP), why)


def _check_plan(task: Any, request: Request, why: str) -> None:
    """Refuse what a plan from the stored data refuses.

    :param why: why the reset of the step is limited, or empty.
    :raises: InvalidParameterValue.
    """
    try:
        found = node_plan.make(task, request)
    except AccelError as exc:
        raise steps.invalid(str(exc)) from exc
    if found is None or not found.refused:
        return
    one, *more = found.refused
    text = f'refused, nothing was changed: {one.item.device} {one.item.name}: '
    text += one.reason
    if one.expected is not None:
        text += comparison(str(one.expected), str(one.seen))
    if why:
        text += f' ({why})'
    if more:
        text += f'; {len(more)} more refused'
    if not request.updates:
        text += ('; firmware updates in a deploy step require allow: '
                 '[burn_at_deploy] in the profile')
    raise steps.invalid(
        f'{text}. The plan is based on the inventory of {round(found.age)} s '
        'ago; if the node changed since, run: baremetal accelerator refresh '
        f'{task.node.uuid}')


#: What has to be done before a profile can be applied in a provision state.
_NEXT = {
    states.ENROLL: 'baremetal node manage {node}',
    states.CLEANFAIL: 'baremetal node history list --long {node}, then '
                      'baremetal node maintenance unset {node} and '
                      'baremetal node manage {node}',
    states.DEPLOYFAIL: 'baremetal node undeploy {node}',
    states.ERROR: 'baremetal node undeploy {node}',
    states.INSPECTFAIL: 'baremetal node manage {node}',
    states.RESCUE: 'baremetal node unrescue {node}'}

#: The states in which each operation can be requested. An available node has
#: to be managed first, which ``baremetal accelerator apply --wait`` does.
STATES = {'clean': (states.MANAGEABLE, states.AVAILABLE),
          'service': (states.ACTIVE, states.SERVICEFAIL)}


def kind_for(node: Any) -> str:
    """The operation that applies a profile to a node in its present state."""
    return 'service' if node.instance_uuid or node.provision_state in (
        states.ACTIVE, states.SERVICEFAIL, states.RESCUE) else 'clean'


def blocked(task: Any, kind: str, in_band: bool) -> list[dict[str, str]]:
    """Why a profile cannot be applied to a node now, whatever its plan is.

    :returns: for each reason ``item`` (what stands in the way), ``reason``
        and ``next`` (what to do); empty if nothing does.
    """
    node, name = task.node, task.node.name or task.node.uuid
    found = [*_by_state(node, name, kind)]
    checks: tuple[tuple[str, Callable[[], None], str], ...] = (
        ('record', lambda: _check_known(node), 'upgrade this conductor'),
        ('hold', lambda: steps.check_stopped(task, 'apply_profile'),
         f'baremetal accelerator unhold {name} --reason TEXT'
         if flash_guard.writes_allowed()
         else 'set [accelerator]allow_writes and send SIGHUP'),
        ('parent', lambda: related_nodes.refuse_child(node),
         f'plan the profile for node {node.parent_node}'),
        ('driver_info', lambda: bmc_session.check(node),
         f'baremetal node set {name} --driver-info KEY=VALUE'),
        ('driver_info', lambda: None if in_band
         else steps.check_out_of_band(node), 'use the agent (--via agent)'),
        ('ramdisk', lambda: agent_steps.check_ramdisk(node, kind)
         if in_band else None, 'request the step without '
                               '--disable-ramdisk'))
    for item, made, todo in checks:
        try:
            made()
        except exception.IronicException as exc:
            found.append({'item': item, 'reason': str(exc), 'next': todo})
    return found


def _by_state(node: Any, name: str, kind: str) -> Iterator[dict[str, str]]:
    """Provision state, maintenance, and what is in progress."""
    current = operation.load(node)
    if current is not None and current.work != 'watch' and not (
            current.kind == 'idle' and current.step in keys.UNASKED_STEPS
            and current.restore is None) and (
                operation.is_current(node, current)):
        yield {'item': 'operation', 'reason': f'{current.step} is in progress',
               'next': 'wait until it has ended'}
    elif node.provision_state not in STATES.get(kind, (
            node.provision_state,)):
        allowed = ' or '.join(STATES[kind])
        other = next((k for k, s in STATES.items()
                      if node.provision_state in s), None)
        todo = (f'use --{other}' if other else _NEXT.get(
            node.provision_state, 'wait until its state is ' + allowed))
        yield {'item': 'state', 'next': todo.format(node=name), 'reason':
               f'the node is {node.provision_state}, and a {kind} is '
               f'started in {allowed}'}
    if node.maintenance and kind in STATES:
        why = node.maintenance_reason or 'no reason given'
        yield {'item': 'maintenance',
               'reason': f'the node is in maintenance ({why})',
               'next': f'baremetal node maintenance unset {name}'}


def _check_known(node: Any) -> None:
    """Make sure that no later version manages a node.

    :raises: InvalidState.
    """
    why = operation.later_version(node)
    if why:
        raise exception.InvalidState(f'node {node.uuid}: {why}')
