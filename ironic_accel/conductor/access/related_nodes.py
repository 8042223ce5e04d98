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

"""Nodes that share a BMC or the power with a node.

Several Ironic nodes may share one BMC (a blade enclosure, a node card): one
push at a time, and no reset of the BMC while another of them is in use.

A DPU with a BMC is a child node, whose ``parent_node`` is its host's. It is
written by steps of its host only, because the reset of the host activates the
change; and its host is reset only when no operation is in progress on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironic.common import exception
from ironic.common import states
from ironic.conductor import utils as manager_utils
from oslo_log import log

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.config.options import HARDWARE_TYPES
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node.queries import OtherNode
from ironic_accel.conductor.node import saving
from ironic_accel.model.device import Activation
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass

LOG = log.getLogger(__name__)

#: States of a node that is not in use: a reset of its BMC interrupts nothing.
IDLE = frozenset({
    states.ENROLL, states.MANAGEABLE, states.AVAILABLE, states.CLEANFAIL,
    states.DEPLOYFAIL, states.INSPECTFAIL, states.ERROR})


def others(task: Any) -> list[OtherNode]:
    """The other nodes behind the BMC of a task's node.

    Values that another process overwrote are read from their copy: a node with
    an update in progress would look idle until it is restored.
    """
    mine = queries.bmc_address(task.node)
    if mine is None:
        return []
    return [n for n in guard_copy.with_copies_restored(
                queries.behind_bmc({mine}))
            if n.uuid != task.node.uuid]


def writing_node(task: Any) -> str | None:
    """The uuid of another node that writes through the same BMC, or None.

    It does as long as it has a power lock. A write that has ended does not
    count, whatever the record has. Nor does an intent of the agent, which does
    not use the BMC, or a reset of the host, unless it resets the BMC too.
    """
    node = task.node
    mine = {address for n in queries.family(node.uuid)
            if (address := queries.bmc_address(n)) is not None}
    near = {n.uuid: n for n in queries.behind_bmc(mine)}
    # Through the BMC of a child node its parent writes.
    near |= queries.nodes({n.parent_node for n in near.values()
                           if n.parent_node is not None} - set(near))
    near.pop(node.uuid, None)
    return next((n.uuid for n in guard_copy.with_copies_restored(sorted(
        near.values(), key=lambda n: n.id)) if _keeps_bmc(n)), None)


def _keeps_bmc(node: OtherNode) -> bool:
    """Whether no other node may write through a node's BMC now."""
    standing = flash_guard.lock_of(node)
    if standing is None:
        return False
    intent = earlier_documents.intent(
        (keys.RECORD.of(node) or {}).get('intent')) or {}
    if standing.get('kind') == 'reset' and not standing.get('over'):
        return bool(intent.get('activation') == Activation.AUX_CYCLE)
    if not intent:
        # A write of ours with a known result has ended; an update that
        # continues without us, as a background copy, has not.
        return standing.get('kind') == 'busy'
    return bool(intent.get('transport') != agent_backend.NAME)


def in_use(task: Any) -> str | None:
    """Why a reset of the whole BMC would hurt another node, or None."""
    nodes = others(task)
    return _not_idle(nodes) or next((
        f'node {n.uuid}, which shares the BMC, has an operation in progress'
        for n in nodes if _worked_on(n)), None)


def check_reset(task: Any) -> str | None:
    """What a reset of the whole BMC has to wait for now, or None.

    The last check before the reset, for operations that began since it was
    planned.

    :raises: AccelError if a node behind the BMC is in use by now.
    """
    nodes = others(task)
    why = _not_idle(nodes)
    if why:
        raise AccelError(
            f'the BMC can no longer be reset: {why}',
            error_class=ErrorClass.NEEDS_OPERATOR, node=task.node.uuid,
            todo='move that node to an idle state, then run the step again')
    return next((f'waiting for node {n.uuid}, which shares the BMC'
                 for n in nodes if _worked_on(n)), None)


def _not_idle(nodes: Iterable[OtherNode]) -> str | None:
    return next((f'node {n.uuid}, which shares the BMC, is {n.provision_state}'
                 for n in nodes
                 if n.instance_uuid or n.provision_state not in IDLE), None)


def _worked_on(node: OtherNode) -> bool:
    return flash_guard.lock_of(node) is not None or keys.OPERATION.is_there(
        node)


def children(task: Any) -> list[OtherNode]:
    """The child nodes of a task's node, oldest first."""
    if task.node.parent_node:
        # Ironic's tree has one level of children.
        return []
    return queries.children(task.node.uuid)


def refuse_child(node: Any) -> None:
    """Refuse to change a child node by a step of its own.

    :raises: InvalidParameterValue.
    """
    if node.parent_node:
        raise exception.InvalidParameterValue(
            f'node {node.uuid} is a child node; run the step on its parent '
            f'{node.parent_node}, whose reset activates the change')


def child_in_use(child: OtherNode, disruption: bool = False) -> str | None:
    """Why a child is not idle, or None.

    :param disruption: whether an instance on it may be interrupted.
    """
    state = child.provision_state
    if state in IDLE or (disruption and state == states.ACTIVE):
        return None
    return f'child node {child.uuid} is {state}'


def any_child_in_use(task: Any, disruption: bool = False) -> str | None:
    """Why a reset of a node would hurt one of its children, or None."""
    return next(filter(None, (
        child_in_use(child, disruption) for child in children(task))), None)


def child_waited_for(task: Any) -> str | None:
    """Which child a reset has to wait for now, or None."""
    current = operation.load(task.node)
    disruption = bool(current and current.disruption)
    for child in children(task):
        why = child_in_use(child, disruption)
        if why is None and child.reservation:
            why = f'child node {child.uuid} is locked'
        if why:
            return f'waiting: {why}'
    return None


def powered_children(task: Any) -> list[str]:
    """Children that go off with their parent and are to come on with it.

    Ironic powers children off with their parent unless they have a power
    supply of their own, and never on with it (ironic/conductor/utils.py
    _handle_child_power_off).
    """
    return [str(child.uuid) for child in children(task)
            if child.power_state != states.POWER_OFF
            and not child.driver_info.get('has_dedicated_power_supply')]


def power_children_on(task: Any, uuids: Iterable[str]) -> None:
    """Power children on again after their parent's reset.

    :raises: what Ironic's power interface raises; NodeLocked.
    """
    for uuid in uuids:
        try:
            with db_retry.acquire(
                    task.context, uuid, shared=False,
                    purpose='power on after a reset of the parent') as child:
                manager_utils.node_power_action(child, states.POWER_ON)
        except exception.NodeNotFound:
            LOG.info('Child node %s no longer exists', uuid)


def refresh_children(task: Any) -> None:
    """Let the children publish their inventory after a run on their parent.

    Managed children that had published something are refreshed; one that
    cannot be refreshed now publishes at its next refresh.
    """
    for child in children(task):
        if child.driver not in HARDWARE_TYPES \
                or not keys.SUMMARY.is_there(child):
            continue
        try:
            with db_retry.acquire(
                    task.context, child.uuid, shared=False, load_driver=False,
                    purpose='refreshing it after a run on its '
                            'parent') as locked:
                if operation.can_refresh(locked.node):
                    operation.begin_refresh(locked.node, power_on=False)
                    saving.save(locked.node)
        except (exception.NodeLocked, exception.NodeNotFound) as exc:
            LOG.warning('Not refreshing child node %(child)s: '
                        '%(why)s', {'child': child.uuid, 'why': exc})
