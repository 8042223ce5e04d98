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

"""Nodes that share a BMC: one push at a time, no reset over another's head.

Several Ironic nodes may stand behind one BMC (a blade enclosure, a node
card). What is pushed into it and what resets it concerns all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
import ipaddress
from typing import Any
from urllib import parse

from ironic.common import states
from ironic import objects

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import operation
from ironic_accel.model.device import Effect
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass

#: States in which a node is nobody's: a reset of the BMC hurts nobody.
IDLE = frozenset({
    states.ENROLL, states.MANAGEABLE, states.AVAILABLE, states.CLEANFAIL,
    states.DEPLOYFAIL, states.INSPECTFAIL, states.ERROR})


def address(node: Any) -> str | None:
    """The BMC's address, the same for the same BMC, or None without one.

    Scheme, path, case, a trailing slash and the way in which an address is
    written do not make another BMC of it; a port does, as several may stand
    behind one gateway.
    """
    raw = (node.driver_info or {}).get('redfish_address')
    if not isinstance(raw, str) or not raw.strip():
        return None
    text = raw.strip()
    parts = parse.urlsplit(text if '//' in text else f'//{text}',
                           scheme='https')
    host = _host(parts.hostname or '')
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None:
        port = 80 if parts.scheme == 'http' else 443
    return f'{host}:{port}' if host else None


def _host(text: str) -> str:
    """A name or an address, written in one way."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        # A name with its root at the end (RFC 1034) is the same name.
        return text.lower().removesuffix('.')


def others(task: Any) -> list[Any]:
    """The other nodes behind the BMC of a task's node."""
    mine = address(task.node)
    if mine is None:
        return []
    return [n for n in _all(task)
            if n.uuid != task.node.uuid and address(n) == mine]


def _all(task: Any) -> list[Any]:
    """All nodes, child nodes too, with what matters here.

    What somebody wrote over is seen through: a node that is burning says
    nothing of it then until it is mended.
    """
    return guard_copy.seen_through(objects.Node.list(
        task.context, filters={'include_children': True}, fields=[
            'uuid', 'provision_state', 'instance_uuid', 'driver_info',
            'driver_internal_info', 'reservation', 'parent_node']))


def _addresses(node: Any, nodes: list[Any]) -> set[str | None]:
    """The BMCs that a node's steps write through: its own, its children's.
    """
    return {address(n) for n in nodes
            if node.uuid in (n.uuid, n.parent_node)} - {None}


def writing(task: Any) -> str | None:
    """The uuid of another node that writes through the same BMC, or None.

    It does as long as its guard stands; what was seen to be over does not
    count, whatever is remembered of it. Nor does an intent that goes by way
    of the agent: it is none of the BMC's. A reset of the host is none
    either, unless it takes the BMC down with it.
    """
    nodes = _all(task)
    mine = _addresses(task.node, nodes)
    return next((str(n.uuid) for n in nodes
                 if n.uuid != task.node.uuid and _keeps_bmc(n)
                 and mine & _addresses(n, nodes)), None)


def _keeps_bmc(node: Any) -> bool:
    """Whether nobody else may write through a node's BMC now."""
    standing = flash_guard.stands(node)
    if standing is None:
        return False
    info = node.driver_internal_info
    intent = (info.get(operation.RECORD_KEY) or {}).get('intent') or {}
    if standing.get('kind') == 'reset' and not standing.get('over'):
        return bool(intent.get('effect') == Effect.AUX_CYCLE)
    if not intent:
        # A write of ours that nobody has to find out about any more is over;
        # what goes on by itself, as a copy in the background, is not.
        return standing.get('kind') == 'busy'
    return bool(intent.get('way') != agent_backend.NAME)


def in_use(task: Any) -> str | None:
    """Why a reset of the whole BMC would hurt another node, or None."""
    nodes = others(task)
    return _not_idle(nodes) or next((
        f'node {n.uuid} behind the same BMC is being worked on'
        for n in nodes if _worked_on(n)), None)


def check_reset(task: Any) -> str | None:
    """What a reset of the whole BMC has to wait for now, or None.

    For the last moment before it: whoever began since it was planned.

    :raises: AccelError where a node behind the BMC is somebody's by now.
    """
    nodes = others(task)
    why = _not_idle(nodes)
    if why:
        raise AccelError(
            f'a reset of the BMC is not possible any more: {why}',
            error_class=ErrorClass.NEEDS_OPERATOR, node=task.node.uuid,
            todo='free that node for it, then run again')
    return next((f'waiting for node {n.uuid} behind the same BMC'
                 for n in nodes if _worked_on(n)), None)


def _not_idle(nodes: Iterable[Any]) -> str | None:
    return next((f'node {n.uuid} behind the same BMC is {n.provision_state}'
                 for n in nodes
                 if n.instance_uuid or n.provision_state not in IDLE), None)


def _worked_on(node: Any) -> bool:
    return flash_guard.stands(node) is not None or bool(
        (node.driver_internal_info or {}).get(operation.KEY))
