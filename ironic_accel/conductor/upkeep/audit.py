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

"""The audit: a periodic inventory of every node, so that its traits are true.

A pass reads the ids of nodes only; due nodes are in a queue in memory, spread
over the interval. A BMC is read without any lock; the inventory is published
under the lock of the node if the node is unchanged since the inventory began.
Nothing is written to a device, and no host is powered on.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
import threading
from typing import Any
import zlib

from ironic.common import exception
from ironic.common import faults
from oslo_log import log

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config import metrics
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import context as contexts
from ironic_accel.conductor.upkeep import audit_result
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError

LOG = log.getLogger(__name__)

#: Seconds between two lists of the nodes that there are, at most.
LIST = 60.0


class Due:
    """The nodes of this conductor, and when each is to be audited."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[str, float] = {}
        self._silent: dict[str, float] = {}
        self._partial: dict[str, float] = {}
        self._listed = float('-inf')

    def stale(self, now: float, interval: float) -> bool:
        """Whether the nodes should be listed again; true once per interval."""
        with self._lock:
            if 0 <= now - self._listed < min(LIST, interval):
                return False
            self._listed = now
            return True

    def learn(self, uuids: set[str], now: float, interval: float) -> None:
        """Take in the nodes that there are.

        A new one is due some time within the interval, the same for the
        same node, so that a conductor that starts does not ask every BMC at
        once.
        """
        with self._lock:
            for gone in set(self._at) - uuids:
                del self._at[gone]
                self._silent.pop(gone, None)
                self._partial.pop(gone, None)
            for uuid in uuids - set(self._at):
                share = zlib.crc32(uuid.encode()) / 0xffffffff
                self._at[uuid] = now + share * interval

    def due(self, now: float) -> list[str]:
        """The nodes that are due, the one that is due longest first."""
        with self._lock:
            return [uuid for _at, uuid in sorted(
                [(at, uuid) for uuid, at in self._at.items() if at <= now])]

    def is_due(self, uuid: str, now: float) -> bool:
        """Whether a node is due: it may have been audited since ``due``."""
        with self._lock:
            return self._at.get(uuid, math.inf) <= now

    def put(self, uuid: str, at: float) -> None:
        """Set when a node is due next (``clock.steady``)."""
        with self._lock:
            self._at[uuid] = at

    def silent(self, uuid: str, now: float) -> float:
        """Seconds since a node first could not be seen any more."""
        with self._lock:
            return now - self._silent.setdefault(uuid, now)

    def partial(self, uuid: str, now: float, is_so: bool) -> float:
        """Seconds since inventories of a node first left something unread.

        :param is_so: whether this one did; a complete one resets the time.
        """
        with self._lock:
            if not is_so:
                self._partial.pop(uuid, None)
                return 0.0
            return now - self._partial.setdefault(uuid, now)

    def heard(self, uuid: str) -> None:
        """Note that a node can be seen."""
        with self._lock:
            self._silent.pop(uuid, None)


_due = Due()


def begin(manager: Any, context: Any, interface: type,
          queue: Due = _due) -> None:
    """Hand due nodes to workers.

    :param interface: base class of the vendor interfaces of these nodes.
    """
    now, options = clock.steady(), CONF.accelerator
    if queue.stale(now, options.audit_interval):
        queue.learn(set(queries.managed(
            manager, provision_state_in=list(options.audit_states))),
            now, options.audit_interval)
    due = queue.due(now)
    metrics.gauge('audit.due', len(due))
    workers.AUDIT.fill(due)
    workers.AUDIT.start(
        manager, lambda uuid: _work(context, uuid, interface, queue))


def _work(context: Any, uuid: str, interface: type, queue: Due) -> None:
    if not queue.is_due(uuid, clock.steady()):
        return
    # As in db_retry.visit: the thread may have served a user's request.
    context.update_store()
    wait = float(CONF.accelerator.audit_retry)
    try:
        with metrics.timer('audit.node'):
            outcome = audit(context, uuid, interface, queue)
        metrics.count(f'audit.{outcome}')
        if outcome in _SETTLED:
            wait = float(CONF.accelerator.audit_interval)
        LOG.debug('Audit of node %(node)s: %(outcome)s',
                  {'node': uuid, 'outcome': outcome})
    except Exception:
        # The node is audited again later, which a lost error would prevent:
        # of the database, of another driver that cannot be loaded.
        LOG.exception('Unexpected error in the audit of node %s', uuid)
        metrics.count('audit.failed')
    finally:
        queue.put(uuid, clock.steady() + wait)


#: What an audit may come to that needs no other one soon.
_SETTLED = frozenset({'clean', 'drift', 'off', 'maintenance', 'foreign',
                      'gone'})


def audit(context: Any, uuid: str, interface: type, queue: Due) -> str:
    """Audit one node, and return the outcome as a word.

    ``clean``, ``drift``, ``off`` (the host), ``busy`` (the node is in use),
    ``partial`` (something could not be read, and may be readable next time),
    ``silent`` (no response or no stable inventory), ``void`` (silent for too
    long), ``overtaken`` (the node changed meanwhile), ``maintenance`` (in
    maintenance and not inventoried yet: its driver may be about to change),
    ``foreign`` (another driver) and ``gone`` (deleted).
    """
    try:
        with db_retry.acquire(context, uuid, shared=True,
                                  purpose='auditing it') as task:
            if not declared_steps.interface_type(task.driver, interface):
                return 'foreign'
            if in_maintenance(task.node) and not keys.SUMMARY.is_there(
                    task.node):
                return 'maintenance'
            if is_in_use(task.node):
                return 'busy'
            mark = revision(task.node)
            ctx, seen, why = _read_bmc(task)
    except exception.NodeNotFound:
        return 'gone'
    if seen is not None and seen.host == 'off':
        queue.heard(uuid)
        return 'off'
    if ctx is None or seen is None:
        return _silent(context, uuid, mark, why, queue)
    queue.heard(uuid)
    # What could not be read may be readable next time. Past the limit the rest
    # is published, without the traits that the unread part could change.
    since = queue.partial(uuid, clock.steady(), seen.partial)
    if seen.partial and since < CONF.accelerator.stable_timeout:
        return 'partial'
    try:
        with db_retry.acquire(context, uuid, shared=False, retry=False,
                                  purpose='publishing the result of an '
                                          'audit') as task:
            # What a parent writes to is not as it was seen, whether or not
            # anything was withdrawn from the child for it.
            if revision(task.node) != mark or is_in_use(task.node) \
                    or flash_guard.applicable(task) is not None:
                return 'overtaken'
            return 'drift' if audit_result.settle(
                task, seen, ctx.backend.all_transports, ctx.wall) else 'clean'
    except (exception.NodeLocked, exception.NodeNotFound, saving.NotOurs):
        return 'overtaken'


def in_maintenance(node: Any) -> bool:
    """Whether a node is in maintenance by an operator or a failed step.

    Not if Ironic put it there because its BMC does not respond: it counts for
    how long.
    """
    return bool(node.maintenance and node.fault != faults.POWER_FAILURE)


def is_in_use(node: Any) -> bool:
    """Whether a node is in use, or in a state that is not audited."""
    return bool(
        operation.load(node) is not None
        or operation.later_version(node) is not None
        or flash_guard.lock_of(node) is not None or node.target_provision_state
        or node.provision_state not in CONF.accelerator.audit_states)


def revision(node: Any) -> tuple[Any, ...]:
    """The fields of a node that must not have changed since an inventory
    began.
    """
    info: Mapping[str, Any] = node.driver_internal_info or {}
    return (node.provision_state, node.instance_uuid, node.driver,
            node.driver_info, {k: v for k, v in info.items()
                               if k.startswith(keys.PREFIX)})


def _read_bmc(task: Any) -> tuple[
        contexts.Context | None, Inventory | None, str]:
    """Read the BMC: the context and the inventory, or why there is none.

    With the host off there is no context, because its devices are unknown.
    """
    try:
        ctx = contexts.make(
            task, operation.refresh('idle', 'audit', power_on=False))
        seen = ctx.backend.observe()
    except (AccelError, exception.IronicException) as exc:
        return None, None, f'{type(exc).__name__}: {exc}'
    if seen.host == 'off':
        return None, seen, ''
    if seen.busy:
        return None, None, f'{seen.busy[0].kind} {seen.busy[0].summary}'
    if not seen.complete:
        return None, None, seen.unready
    return ctx, seen, ''


def _silent(context: Any, uuid: str, mark: tuple[Any, ...], why: str,
            queue: Due) -> str:
    """Put up with a node that cannot be seen, for a while."""
    since = queue.silent(uuid, clock.steady())
    bound = CONF.accelerator.audit_unreachable_timeout
    LOG.warning('Node %(node)s could not be audited for %(since)d s: %(why)s',
                {'node': uuid, 'since': since, 'why': why})
    if not bound or since < bound:
        return 'silent'
    try:
        with db_retry.acquire(context, uuid, shared=False, retry=False,
                                  purpose='voiding verifications') as task:
            if revision(task.node) != mark or is_in_use(task.node):
                return 'overtaken'
            audit_result.void(task, f'not reachable for {since:.0f} s ({why})')
            return 'void'
    except (exception.NodeLocked, exception.NodeNotFound, saving.NotOurs):
        return 'overtaken'
