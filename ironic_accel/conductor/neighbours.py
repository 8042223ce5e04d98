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

Several Ironic nodes may stand behind one BMC (a blade enclosure, a Cray
node card). What is pushed into it and what resets it concerns all of them.
"""

from __future__ import annotations

from typing import Any
from urllib import parse

from ironic.common import states
from ironic import objects

from ironic_accel.conductor import agent_backend
from ironic_accel.conductor import guard
from ironic_accel.conductor import operation

#: States in which a node is nobody's: a reset of the BMC hurts nobody.
IDLE = frozenset({
    states.ENROLL, states.MANAGEABLE, states.AVAILABLE, states.CLEANFAIL,
    states.DEPLOYFAIL, states.INSPECTFAIL, states.ERROR})


def address(node: Any) -> str | None:
    """The BMC's address, the same for the same BMC, or None without one.

    Scheme, path, case and a trailing slash do not make another BMC of it; a
    port does, as several may stand behind one gateway.
    """
    raw = (node.driver_info or {}).get('redfish_address')
    if not isinstance(raw, str) or not raw.strip():
        return None
    text = raw.strip()
    parts = parse.urlsplit(text if '//' in text else f'//{text}',
                           scheme='https')
    host = (parts.hostname or '').lower()
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None:
        port = 80 if parts.scheme == 'http' else 443
    return f'{host}:{port}' if host else None


def others(task: Any) -> list[Any]:
    """The other nodes behind the BMC of a task's node."""
    mine = address(task.node)
    if mine is None:
        return []
    return [n for n in _all(task)
            if n.uuid != task.node.uuid and address(n) == mine]


def _all(task: Any) -> list[Any]:
    """All nodes, child nodes too, with what matters here."""
    nodes: list[Any] = objects.Node.list(
        task.context, filters={'include_children': True}, fields=[
            'uuid', 'provision_state', 'instance_uuid', 'driver_info',
            'driver_internal_info', 'reservation', 'parent_node'])
    return nodes


def _addresses(node: Any, nodes: list[Any]) -> set[str | None]:
    """The BMCs that a node's steps write through: its own, its children's.
    """
    return {address(n) for n in nodes
            if node.uuid in (n.uuid, n.parent_node)} - {None}


def writing(task: Any) -> str | None:
    """The uuid of another node that writes through the same BMC, or None.

    It does as long as its guard stands; what was seen to be over does not
    count, whatever is remembered of it. Nor does an intent that goes by way
    of the agent: it is none of the BMC's.
    """
    nodes = _all(task)
    mine = _addresses(task.node, nodes)
    for node in nodes:
        if node.uuid == task.node.uuid \
                or not mine & _addresses(node, nodes):
            continue
        raw = (node.driver_internal_info or {}).get(operation.RECORD_KEY)
        intent = (raw or {}).get('intent')
        if intent and intent.get('kind') == 'action' \
                and intent.get('way') != agent_backend.NAME \
                and guard.stands(node) is not None:
            return str(node.uuid)
    return None


def in_use(task: Any) -> str | None:
    """Why a reset of the whole BMC would hurt another node, or None."""
    for node in others(task):
        if node.instance_uuid or node.provision_state not in IDLE:
            return (f'node {node.uuid} behind the same BMC is '
                    f'{node.provision_state}')
        raw = (node.driver_internal_info or {}).get(operation.KEY)
        if raw:
            return (f'node {node.uuid} behind the same BMC is being worked '
                    'on')
    return None
