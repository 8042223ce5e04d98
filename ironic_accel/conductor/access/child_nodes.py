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

"""Child nodes: devices with a BMC of their own that share the power of a node.

A DPU with a BMC is a node whose ``parent_node`` is its host's. It is written
by steps of its host only, because the reset of the host activates the change;
and its host is reset only when no operation is in progress on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironic.common import exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as manager_utils
from oslo_log import log

from ironic_accel.conductor.access import shared_bmc
from ironic_accel.conductor.config.options import HARDWARE_TYPES
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node.queries import OtherNode
from ironic_accel.conductor.node import saving

LOG = log.getLogger(__name__)


def of(task: Any) -> list[OtherNode]:
    """The child nodes of a task's node, oldest first."""
    if task.node.parent_node:
        # Ironic's tree has one level of children.
        return []
    return queries.children(task.node.uuid)


def refuse(node: Any) -> None:
    """Refuse to change a child node by a step of its own.

    :raises: InvalidParameterValue.
    """
    if node.parent_node:
        raise exception.InvalidParameterValue(
            f'node {node.uuid} is a child node; run the step on its parent '
            f'{node.parent_node}, whose reset activates the change')


def in_use(child: OtherNode, disruption: bool = False) -> str | None:
    """Why a child is not idle, or None.

    :param disruption: whether an instance on it may be interrupted.
    """
    state = child.provision_state
    if state in shared_bmc.IDLE or (disruption and state == states.ACTIVE):
        return None
    return f'child node {child.uuid} is {state}'


def any_in_use(task: Any, disruption: bool = False) -> str | None:
    """Why a reset of a node would hurt one of its children, or None."""
    return next(filter(None, (
        in_use(child, disruption) for child in of(task))), None)


def waited_for(task: Any) -> str | None:
    """Which child a reset has to wait for now, or None."""
    current = operation.load(task.node)
    disruption = bool(current and current.disruption)
    for child in of(task):
        why = in_use(child, disruption)
        if why is None and child.reservation:
            why = f'child node {child.uuid} is locked'
        if why:
            return f'waiting: {why}'
    return None


def powered(task: Any) -> list[str]:
    """Children that go off with their parent and are to come on with it.

    Ironic powers children off with their parent unless they have a power
    supply of their own, and never on with it (ironic/conductor/utils.py
    _handle_child_power_off).
    """
    return [str(child.uuid) for child in of(task)
            if child.power_state != states.POWER_OFF
            and not child.driver_info.get('has_dedicated_power_supply')]


def power_on(task: Any, uuids: Iterable[str]) -> None:
    """Power children on again after their parent's reset.

    :raises: what Ironic's power interface raises; NodeLocked.
    """
    for uuid in uuids:
        try:
            with task_manager.acquire(
                    task.context, uuid, shared=False,
                    purpose='power on after a reset of the parent') as child:
                manager_utils.node_power_action(child, states.POWER_ON)
        except exception.NodeNotFound:
            LOG.info('Child node %s no longer exists', uuid)


def refresh_after_run(task: Any) -> None:
    """Let the children publish their inventory after a run on their parent.

    Managed children that had published something are refreshed; one that
    cannot be refreshed now publishes at its next refresh.
    """
    for child in of(task):
        if child.driver not in HARDWARE_TYPES \
                or not keys.SUMMARY.is_there(child):
            continue
        try:
            with task_manager.acquire(
                    task.context, child.uuid, shared=False, load_driver=False,
                    purpose='refreshing it after a run on its '
                            'parent') as locked:
                if operation.can_refresh(locked.node):
                    operation.begin_refresh(locked.node, power_on=False)
                    saving.save(locked.node)
        except (exception.NodeLocked, exception.NodeNotFound) as exc:
            LOG.warning('Not refreshing child node %(child)s: '
                        '%(why)s', {'child': child.uuid, 'why': exc})
