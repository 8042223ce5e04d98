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

"""Polls of a BMC without a lock on the node.

Most ticks of a firmware update find that its task is still running, and most
inventories of a host that starts that the BMC still discovers its devices.
Neither decides anything. So a worker asks the BMC first, without reserving
the node, and if nothing has changed it saves nothing and waits for the next
poll: the node stays free for users, and the database is left alone. Whatever
else the BMC answers, and any error, is left to a tick with a lock, which asks
again.

At least each ``SAVE`` seconds there is such a tick, for each node at another
time, so that those of many nodes that began together spread. It saves the
progress for users, the elapsed time of the node for another conductor, and
tells Ironic that the operation is alive.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from typing import NoReturn
import zlib

from ironic.common import exception
from oslo_log import log

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config.options import HARDWARE_TYPES
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node.queries import OtherNode
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation import runner
from ironic_accel.converge.composite import TRANSPORT
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Running
from ironic_accel.model.errors import AccelError
from ironic_accel.model.record import Record
from ironic_accel.redfish.backend import NAME

LOG = log.getLogger(__name__)

#: Seconds, and intervals of ``[accelerator]poll_interval``, between two ticks
#: that save a node.
SAVE, POLLS = 30.0, 6

#: When the next poll of a node is due, in its own time, with the token that
#: the node had at the last one: whoever saves it gives it another.
_next: dict[str, tuple[str, float]] = {}

#: The nodes that the last pass found due.
_found: dict[str, OtherNode] = {}


def due(node: Any, current: Operation) -> float:
    """When an operation is due, in the time of its node."""
    known, at = _next.get(node.uuid, (None, 0.0))
    unchanged = known is not None and known == saving.token(node)
    return max(current.due, at) if unchanged else current.due


def set_found(nodes: Iterable[OtherNode]) -> None:
    """Set which nodes are due, as they were read.

    A node that was read longer ago than the last pass is not polled here.
    """
    global _found
    _found = {node.uuid: node for node in nodes}


def keep(uuids: Iterable[str]) -> None:
    """Forget every node but these, which have an operation."""
    for uuid in set(_next).difference(uuids):
        _next.pop(uuid, None)


def nothing_new(uuid: str) -> bool:
    """Poll the BMC of a node that is due; whether its tick can be left out.

    It is called in a worker and changes nothing on the node or its BMC.
    """
    node = _found.pop(uuid, None)
    try:
        return node is not None and _nothing_new(node)
    except (AccelError, exception.IronicException) as exc:
        # The tick with a lock asks again and reports it.
        LOG.debug('Node %s: polled without a lock: %s', uuid, exc)
    except Exception:
        # A defect of the poll must not keep the node from its tick.
        LOG.exception('Node %s: unexpected error while polling its BMC '
                      'without a lock; polling it with one', uuid)
    return False


def _nothing_new(node: OtherNode) -> bool:
    current = operation.load(node)
    if current is None or not _may_be_polled(node, current):
        return False
    now = clock.elapsed(node)
    until = now + context.pace_of(node, current, now).poll
    if (_saved(node) + _longest(node, current) < until
            or not _still_waits(node, current)):
        return False
    _next[node.uuid] = (saving.token(node) or '', until)
    return True


def _saved(node: OtherNode) -> float:
    """When a tick saved a node last, in its own time."""
    mark = keys.CLOCK.of(node)
    return float(mark['at']) if mark else 0.0


def _longest(node: OtherNode, current: Operation) -> float:
    """Seconds for which a node need not be saved."""
    part = zlib.crc32((saving.token(node) or '').encode()) / 2 ** 32
    return (1 + part) / 2 * clock.pause(0.0, min(
        SAVE, POLLS * CONF.accelerator.poll_interval), current.kind)


def _may_be_polled(node: OtherNode, current: Operation) -> bool:
    """Whether the next tick does no more than to ask the BMC of this node."""
    if not (saving.token(node) and node.driver in HARDWARE_TYPES
            and node.parent_node is None and queries.bmc_address(node)
            and not clock.is_uncounted(node) and current.failures == 0
            and runner.only_polls(node, current)):
        return False
    if current.work == operation.REFRESH_WORK:
        # One inventory at least has found it incomplete.
        return bool(current.progress and not current.in_band
                    and current.restore is None
                    and clock.elapsed(node) <= current.deadline
                    and keys.GUARD.of(node) is None)
    record = operation.load_record(node)
    return (record is not None and record.waiting is None
            and _ticket(record).get(TRANSPORT, NAME) == NAME)


def _still_waits(node: OtherNode, current: Operation) -> bool:
    """Whether the BMC shows what the operation waits for to end.

    :raises: AccelError, and errors of Ironic.
    """
    bmc: Backend = bmc_session.backend(node, before_write=_refuse)
    if current.work != operation.REFRESH_WORK:
        record = operation.load_record(node)
        return record is not None and isinstance(
            bmc.poll(_ticket(record)), Running)
    return any(source.inventory.host != 'off' and (
        source.inventory.busy or not source.inventory.complete)
        for source in bmc.sources()[:1])


def _ticket(record: Record) -> dict[str, Any]:
    return dict((record.intent.ticket if record.intent else None) or {})


def _refuse() -> NoReturn:
    """Send nothing that changes anything.

    :raises: NotOurs.
    """
    raise saving.NotOurs('this conductor does not hold the node')
