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

"""What a tick works with, and what it does by the name of its work.

It works with the ports of the converge loop: the backend, the images, and
the node itself as journal.

An operation names its work (``Operation.work``), because it outlives the
process that began it. The function of that name is registered with
``register_work`` where it is defined, by the module that the step imports.

Such a function is called once per tick, with the node locked exclusively. It
starts at most one action on the devices, saves the node before it does, and
returns None to be called again, or the ending. It may raise any AccelError,
which ends the operation, and Unreachable, which has the tick repeated a
limited number of times.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
from typing import Any
from typing import Protocol
from typing import TypeVar

from ironic.common import exception

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.access import images
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import backends
from ironic_accel.conductor.operation.backends import GuardedBackend
from ironic_accel.conductor.publication import withdraw
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Pace
from ironic_accel.converge import write_watch
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Profile
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

    def __init__(self, task: Any, current: Operation) -> None:
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
        operation.check_held(node, self._current)
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
            flash_guard.put(node, _describe(intent), intent.since,
                            _longest(intent), intent.kind)
        saving.save(node)

    def _check_bmc(self) -> None:
        other = related_nodes.writing_node(self._task)
        if other:
            raise BmcBusy(
                f'waiting for node {other}, which has an update in progress '
                'on the same BMC', error_class=ErrorClass.TRANSIENT,
                node=self._task.node.uuid)


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


def _describe(intent: Intent) -> str:
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


@dataclasses.dataclass
class Context:
    """One tick: the node, the operation as it changes, and the ports.

    :ivar operation: the operation; ``change`` replaces it.
    :ivar now: the time of the node (``elapsed``), for all that is waited
        for.
    :ivar wall: epoch seconds at the beginning of the tick, by the clock that
        all conductors share, for what is stored and compared later.
    """

    task: Any
    operation: Operation
    now: float
    backend: GuardedBackend
    journal: NodeJournal
    images: Images
    facts: catalog.Catalog
    pace: Pace
    wall: float

    @property
    def node(self) -> Any:
        """The node."""
        return self.task.node

    def change(self, **changes: Any) -> None:
        """Change the operation; it is saved with the node.

        However long it is to rest, Ironic hears of it in between.
        """
        if 'due' in changes:
            changes['due'] = clock.pause(
                self.now, changes['due'], self.operation.kind)
        self.operation = self.operation.but(
            changes=tuple(history.dump(self.backend.changes)), **changes)
        operation.store(self.node, self.operation)


#: The longest pause between two polls of a write in seconds, and its part of
#: the time that was waited: neither a conductor with many updates in progress
#: nor their BMCs are polled each few seconds for minutes, and an update ends a
#: twentieth later at most.
LONGEST_POLL, SHARE = 30.0, 1 / 20


def pace(current: Operation, waited: float = 0.0) -> Pace:
    """The timeouts of an operation, from the options.

    :param waited: seconds for which a write, or what is published, has been
        waited for.
    """
    options = CONF.accelerator
    fetch = float(options.poll_interval)
    step = max(fetch, min(LONGEST_POLL, waited * SHARE))
    return Pace(poll=step, look=step, fetch=fetch,
                incomplete=options.stable_timeout,
                appear=options.appear_timeout,
                unreachable=(options.agent_timeout if current.in_band
                             else options.bmc_timeout),
                lost=options.lost_task_timeout,
                gone=options.lost_update_timeout,
                busy=options.busy_timeout, action=options.write_timeout,
                reset=options.reset_timeout)


def pace_of(node: Any, current: Operation, now: float) -> Pace:
    """The timeouts of an operation, by what it has waited for already."""
    intent = (keys.RECORD.of(node) or {}).get('intent') or {}
    since = (current.started if current.work == operation.REFRESH_WORK
             else intent.get('since') if intent.get('kind') == 'action' else 0)
    return pace(current, now - since if since else 0.0)


def make(task: Any, current: Operation, now: float | None = None,
         read_with: str | None = None) -> Context:
    """The context of a tick.

    :param read_with: see ``GuardedBackend``.
    :raises: Unreachable where the BMC does not answer.
    """
    updates = True
    if current.kind == 'deploy' and current.work == 'apply':
        updates = 'burn_at_deploy' in profile_of(task.node, current).allow
    elapsed = clock.elapsed(task.node) if now is None else now
    return Context(
        task, current, elapsed,
        GuardedBackend(task, current, backends.backend(task, current),
                       updates, read_with),
        NodeJournal(task, current), images.ON_DEMAND, catalogue.catalogue(),
        pace_of(task.node, current, elapsed),
        clock.shared() if now is None else now)


def profile_of(node: Any, current: Operation) -> Profile:
    """The profile of an operation, limited to what its step may do.

    :raises: LaterFormat; BadInput if it was removed or is no longer valid.
    """
    found = profile_snapshot.load(node)
    if found is not None:
        return found
    if current.inline:
        raise BadInput('the inline profile of the step was removed from the '
                       'node')
    return profiles.site_profiles().get(current.profile)


def limited(profile: Profile, current: Operation) -> Profile:
    """The profile with its strongest reset cut to what the step allows."""
    if current.activation is None:
        return profile
    return profile.limited(Activation(current.activation))


class End(Protocol):
    """The end of an operation (``completion.Ending``)."""

    def finish(self, task: Any) -> None:
        """End the operation of a task's node, and its step."""


Work = TypeVar('Work', bound=Callable[[Context], End | None])

_registered: dict[str, Callable[[Context], End | None]] = {}


def register_work(name: str) -> Callable[[Work], Work]:
    """Register the function that does the work of a name.

    :raises: ValueError where that name has a function already.
    """
    def decorate(function: Work) -> Work:
        if name in _registered:
            raise ValueError(f'work {name} is registered twice')
        _registered[name] = function
        return function

    return decorate


def do_work(ctx: Context) -> End | None:
    """Do the work of the operation at hand once.

    :raises: AccelError, also where this conductor does not know the work: a
        later version began it.
    """
    name = ctx.operation.work
    if name not in _registered:
        raise AccelError(
            f'step {ctx.operation.step} needs work {name!r}, which this '
            'conductor does not support',
            error_class=ErrorClass.NEEDS_OPERATOR,
            expected=', '.join(sorted(_registered)), seen=name,
            todo='upgrade this conductor, or run the step again')
    return _registered[name](ctx)
