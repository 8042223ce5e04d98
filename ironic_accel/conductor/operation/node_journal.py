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

"""The node as journal of the loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironic.common import exception

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.publication import withdraw
from ironic_accel.converge import write_watch
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record


class BmcBusy(AccelError):
    """Another node writes through the same BMC: later.

    Nothing was saved and nothing was begun, so it is no attempt.
    """


class NodeJournal:
    """Keeps the record in ``driver_internal_info`` of a locked node.

    :param task: a task that holds the node exclusively.
    :param current: the operation that the record belongs to.
    """

    def __init__(self, task: Any, current: operation.Operation) -> None:
        self._task = task
        self._current = current

    def save(self, record: Record) -> None:
        """Keep the record; with an intent in it, first what goes with it.

        The traits of what is about to change are withdrawn before the
        intent is durable, and the guard is set in the same save.

        :raises: NotOurs, BmcBusy, Held, or AccelError where the record is too
            large; nothing is saved then.
        """
        node = self._task.node
        check_ours(self._task, self._current)
        intent = record.intent
        fresh = intent is not None and _is_new(node, intent)
        if fresh:
            flash_guard.check_hold(self._task)
        if fresh and intent is not None and intent.kind == 'action' \
                and intent.transport != agent_backend.NAME:
            self._check_bmc()
        devices, kinds = (_changing(record, intent)
                          if intent is not None and fresh
                          else (set(), set()))
        _withdraw_children(self._task, kinds)
        operation.store_record(node, record)
        if fresh:
            withdraw.withdraw(
                self._task, withdraw.changing(devices, kinds))
        if intent is None:
            # The node stays locked until it is found idle after the write.
            flash_guard.end_reset(node)
            _guard_begun(node, record)
        elif fresh or flash_guard.lock_of(node) is None:
            flash_guard.put(node, describe(intent), intent.since,
                      _longest(intent), intent.kind)
        saving.save(node)

    def _check_bmc(self) -> None:
        other = related_nodes.writing_node(self._task)
        if other:
            raise BmcBusy(
                f'waiting for node {other}, which has an update in progress '
                'on the same BMC', error_class=ErrorClass.TRANSIENT,
                node=self._task.node.uuid)


def check_ours(task: Any, current: operation.Operation) -> None:
    """Make sure that this conductor still holds the node.

    A conductor that lost its connection to the database for a long time may
    have lost its reservation to another one.

    :raises: NotOurs.
    """
    saving.check(task.node)
    there = operation.load(task.node)
    if there is None or there.id != current.id:
        raise saving.NotOurs(
            'another operation is in progress on the node',
            node=task.node.uuid, error_class=ErrorClass.TRANSIENT,
            expected=current.step, seen=there.step if there else 'none')


def _longest(intent: Intent) -> float:
    """Seconds that an intent takes at most, as far as is known."""
    options = CONF.accelerator
    if intent.kind == 'reset':
        return float(options.reset_timeout)
    if intent.verb == 'update':
        return float(options.lost_update_timeout)
    return float(options.lost_task_timeout)


def _guard_begun(node: Any, record: Record) -> None:
    """Guard what our reset of the host may have begun to write, unseen."""
    if flash_guard.lock_of(node) is not None:
        return
    longest = float(CONF.accelerator.lost_update_timeout)
    now = clock.elapsed(node)
    items = write_watch.may_run(record, now, longest)
    if items:
        flash_guard.put(node, _devices(items), now, longest, 'busy')


def describe(intent: Intent) -> str:
    """What an intent is about, in a few words."""
    if intent.kind == 'reset':
        return f'the host ({intent.activation})'
    return _devices(intent.items)


def _devices(items: Iterable[Item]) -> str:
    devices = sorted({i.device for i in items})
    if not devices:
        return 'an accelerator'
    more = f' and {len(devices) - 3} more' if len(devices) > 3 else ''
    return ', '.join(devices[:3]) + more


def _is_new(node: Any, intent: Intent) -> bool:
    """Whether this intent was not saved before (its ticket may be new)."""
    old = (keys.RECORD.of(node) or {}).get('intent')
    return not old or (old['since'], old['key'], old['kind']) != (
        intent.since, intent.key, intent.kind)


def _changing(record: Record, intent: Intent) -> tuple[set[str], set[str]]:
    """The devices that an intent changes, and their kinds."""
    if intent.kind == 'reset':
        devices = {x.item.device for x in record.staged}
    else:
        devices = {i.device for i in intent.items}
    return devices, {record.identities[d][0] for d in devices
                     if d in record.identities}


def _withdraw_children(task: Any, kinds: set[str]) -> None:
    """Withdraw the traits of child nodes that are about to change.

    :raises: BmcBusy if one of them has an operation in progress: nothing is
        saved then.
    """
    try:
        withdraw.from_children(task, kinds)
    except exception.NodeLocked as exc:
        raise BmcBusy(f'waiting for a child node: {exc}',
                      error_class=ErrorClass.TRANSIENT,
                      node=task.node.uuid) from exc
