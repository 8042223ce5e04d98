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

"""Refreshes of two nodes, one after another, if a device has moved.

The node that the device left is refreshed first, which withdraws its traits;
then the node that has the device now. Each refresh is an operation with a lock
of its own, begun by the conductor that manages the node: no worker ever holds
two nodes, and pending refreshes are stored in the database.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
from typing import Any

from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.publication import device_ownership

LOG = log.getLogger(__name__)

#: Maximum number of refreshes of a node that cannot be refreshed.
MOST = 3
#: Inventory intervals between two checks of a node that waits for another one.
PATIENCE = 6

#: Provision states in which a host that is off is powered on for a refresh.
FREE = frozenset({states.MANAGEABLE, states.AVAILABLE})


def may_wait(ctx: Context) -> bool:
    """Let a refresh wait until another node no longer reports a device.

    It waits until its own deadline, and not at all if the other node cannot be
    refreshed. Its traits are not published then; the node is refreshed again
    once the other one no longer reports the device.
    """
    doubt = device_ownership.doubt_of(ctx.node)
    if doubt.obstacles or ctx.now > ctx.operation.deadline:
        device_ownership.tell(ctx.node, 'traits are not published: '
                                        f'{doubt.words}')
        return False
    ctx.change(due=ctx.now + PATIENCE * ctx.pace.look, progress=doubt.words,
               percent=None, failures=0)
    return True


def begin_refreshes(manager: Any, context: Any, interface: type) -> None:
    """Begin the pending refreshes of nodes of this conductor.

    :param interface: base class of the vendor interfaces of these nodes.
    """
    waiting = device_ownership.waiting()
    if not waiting:
        return
    wanted = pending_refreshes(waiting)
    for uuid, _driver in queries.served(
            manager, wanted, reserved=False,
            provision_state_in=keys.REFRESH_STATES):
        db_retry.visit(
            context, uuid, 'refreshing the node of a moved device',
            functools.partial(_begin, wanted[uuid]), interface=interface)


def pending_refreshes(waiting: list[Any]) -> Mapping[str, float]:
    """The nodes to be refreshed, with the time at which the reason arose.

    :param waiting: rows of nodes that wait for others.
    """
    there = queries.nodes({
        w.node for row in waiting for w in device_ownership.waits_of(row)})
    wanted: dict[str, float] = {}
    for row in waiting:
        waits = device_ownership.waits_of(row)
        still = [w for w in waits
                 if not device_ownership.over(w, there.get(w.node))]
        since = max(w.since for w in waits)
        for uuid in {w.node for w in still} or {str(row.uuid)}:
            wanted[uuid] = max(since, wanted.get(uuid, 0.0))
    return wanted


def _begin(since: float, task: Any) -> None:
    """Begin a refresh of a locked node, unless one is in progress or was
    recently.
    """
    node = task.node
    if not operation.can_refresh(node):
        return
    now = clock.shared()
    looks = keys.LOOKS.of(node)
    if looks is None or looks['since'] != since:
        looks = {'since': since, 'times': 0, 'at': 0.0}
    if looks['times'] >= MOST \
            or now - looks['at'] < CONF.accelerator.stable_timeout:
        return
    keys.LOOKS.put(node, {
        **looks, 'times': looks['times'] + 1, 'at': now})
    operation.begin_refresh(node, keys.FOLLOW_UP_STEP,
                            power_on=node.provision_state in FREE)
    saving.save(node)
