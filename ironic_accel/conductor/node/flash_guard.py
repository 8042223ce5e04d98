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

"""The power lock and the hold: what must not be cut, and what not begun.

A node is not powered off while a device is written. The power lock has a key
of its own in ``driver_internal_info``, so that dropping the record of a run
does not drop it, and it is set in the same save as the intent that it
protects. No clock ends it: only an inventory that finds the node idle
(``guard_followup``), or an operator.

With a hold nothing new is begun, and what runs is watched to its end. The
option ``[accelerator]allow_writes`` stops all nodes of a conductor, and is
read again at SIGHUP; a hold stops one node, and those that are written to in
the same run: its children.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import datetime
import threading
from typing import Any
from typing import cast
import weakref

from oslo_config import cfg
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import StoredGuard
from ironic_accel.conductor.node.stored_values import StoredHold
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import held

LOG = log.getLogger(__name__)

#: What Ironic forgets of the agent when it acts on the power, before the
#: power interface is asked (ironic/conductor/utils.py,
#: wipe_internal_info_on_power_off). Copies stay in memory: a second copy of
#: a token in the database would not be masked by the API.
AGENT_KEYS = ('agent_url', 'agent_secret_token', 'agent_verify_ca',
              'agent_start_attempted', 'agent_cached_clean_steps',
              'agent_cached_deploy_steps', 'agent_cached_service_steps')

_remembered: dict[str, dict[str, Any]] = {}
_ours: weakref.WeakSet[Any] = weakref.WeakSet()
_ours_lock = threading.Lock()


def lock_of(node: Any) -> StoredGuard | None:
    """The guard of a node, or None.

    :param node: a node, or anything with ``driver_internal_info``.
    """
    return keys.GUARD.of(node) or None


def applicable(task: Any) -> tuple[StoredGuard, Any] | None:
    """The power lock that applies to the node of a task, and its node.

    The lock of the parent applies to a child node (a DPU) too: it is written
    by steps of its parent and gets its power from it.
    """
    node = task.node
    standing = _anywhere(node)
    if standing is None and node.parent_node:
        node = queries.node(node.parent_node)
        if node is None:
            return None
        standing = _anywhere(node)
    return (standing, node) if standing else None


def _anywhere(node: Any) -> StoredGuard | None:
    """The power lock of a node, also if another process overwrote it."""
    standing = lock_of(node)
    if standing is None:
        kept = guard_copy.overwritten(node)
        standing = keys.GUARD.read(kept.values) if kept else None
    return standing


def put(node: Any, what: str, now: float, longest: float,
        kind: str = 'action') -> None:
    """Set the guard; the caller saves the node.

    :param what: what must not be cut, in a few words.
    :param now: the time of the node (``elapsed``).
    :param longest: seconds that it takes at most, as far as is known.
    """
    before = lock_of(node)
    keys.GUARD.put(node, {
        'what': what, 'kind': kind, 'since': now, 'longest': longest,
        'state': 'begun', 'quiet': 0, 'moved': now, 'last': '',
        'told': False, 'until': clock.now() + longest,
        'over': bool(before and kind == 'reset'
                     and before.get('kind') != 'reset')})
    remember(node)


def change(node: Any, **values: Any) -> StoredGuard:
    """Note what was seen of what is guarded; the caller saves the node."""
    found = cast(StoredGuard, {**(lock_of(node) or {}), **values})
    keys.GUARD.put(node, found)
    return found


def end_reset(node: Any) -> None:
    """A host reset is over, or was given up; the caller saves the node.

    It writes nothing itself; what was guarded before is guarded on.
    """
    standing = lock_of(node)
    if standing is None or standing.get('kind') != 'reset':
        return
    if standing.get('over'):
        change(node, kind='action', quiet=0, state='unknown', over=False)
    else:
        drop(node)


def drop(node: Any) -> None:
    """Take the guard away; the caller saves the node."""
    keys.GUARD.drop(node)
    _remembered.pop(node.uuid, None)


def remember(node: Any) -> None:
    """Keep what Ironic would wipe, until the guard is dropped, or the
    operation ends that needs it."""
    info = node.driver_internal_info
    found = {k: info[k] for k in AGENT_KEYS if k in info}
    if found:
        _remembered[node.uuid] = found


def forget(node: Any) -> None:
    """Keep nothing of an agent that nobody waits for any more, or whose power
    we are about to cut."""
    _remembered.pop(node.uuid, None)


def give_back(node: Any) -> None:
    """Restore what Ironic wiped before it asked; the caller saves."""
    for key, value in _remembered.get(node.uuid, {}).items():
        if key not in node.driver_internal_info:
            node.set_driver_internal_info(key, value)


def refusal(guard: StoredGuard, node: Any) -> str:
    """The reason for which a power action is refused."""
    at = guard.get('until', 0.0)
    until = datetime.datetime.fromtimestamp(at, datetime.UTC)
    when = (f'until about {until:%Y-%m-%d %H:%M:%S} UTC'
            if at > clock.now()
            else 'for longer than expected')
    return (f"firmware update in progress on {guard['what']} of node "
            f'{node.uuid} {when}; powering the node off now can destroy the '
            'device. Try again later')


@contextlib.contextmanager
def passing(task: Any) -> Iterator[None]:
    """Let the power actions of this task pass: they are our own.

    The task itself is marked, not the thread: Ironic waits for a power state
    in another one.
    """
    with _ours_lock:
        _ours.add(task)
    try:
        yield
    finally:
        with _ours_lock:
            _ours.discard(task)


def passes(task: Any) -> bool:
    """Whether this task is our own, or its parent is reset by one.

    Ironic powers child nodes off with their parent, by tasks of its own.
    """
    with _ours_lock:
        if task in _ours:
            return True
        parent = task.node.parent_node
        return parent is not None and any(
            t.node is not None and t.node.uuid == parent for t in _ours)


class Held(AccelError):
    """Nothing may be begun now; nothing was saved and nothing was begun."""


def hold_of(node: Any) -> StoredHold | None:
    """The hold of a node, or None.

    :param node: a node, or anything with ``driver_internal_info``.
    """
    return keys.HOLD.of(node) or None


def writes_allowed() -> bool:
    """Whether this conductor may write.

    oslo.config reports a value that is not a boolean when it is read, not at
    SIGHUP. It counts as false: an exception here would end the runs that are
    to be monitored.
    """
    try:
        return bool(CONF.accelerator.allow_writes)
    except cfg.ConfigFileValueError as exc:
        LOG.error('Writes are disabled: %s', exc)
        return False


def why_held(task: Any) -> str | None:
    """Why nothing new may be begun on a node, or None.

    :param task: of the node; its children are asked too, because they are
        written to in its runs.
    """
    if not writes_allowed():
        return (f'writes are disabled on conductor {CONF.host}'
                ' ([accelerator]allow_writes is not true)')
    # Values of a child that Ironic overwrote are read from their copy; the
    # node itself is restored before anything is done to it.
    for kind, node in (('node', task.node), *(
            ('child node', child)
            for child in guard_copy.with_copies_restored(
                queries.children(task.node.uuid)))):
        hold = hold_of(node)
        if hold is not None:
            return f'{kind} {node.uuid} is {held(hold)}'
    return None


def check_hold(task: Any) -> None:
    """Make sure that a write, a reset or a power on may begin.

    :raises: Held.
    """
    found = why_held(task)
    if found:
        raise Held('waiting, no write or reset begins: '
                   f'{found}', node=task.node.uuid,
                   error_class=ErrorClass.TRANSIENT,
                   todo='the operation continues when the hold is removed')


def put_hold(node: Any, reason: str, asked: Mapping[str, str]) -> None:
    """Hold a node, and save it.

    :param asked: who asks (``operation.asked_by``).
    :raises: NotOurs.
    """
    keys.HOLD.put(node, {
        'reason': reason, 'by': asked.get('user'), 'at': clock.now()})
    saving.history(node, f'held, no write or reset begins: {reason}',
                   user=asked.get('user'), project=asked.get('project'))
    saving.save(node)


def lift_hold(node: Any, reason: str, asked: Mapping[str, str]) -> None:
    """Remove the hold of a node, and save it.

    :raises: NotOurs.
    """
    keys.HOLD.drop(node)
    saving.history(node, f'no longer held: {reason}',
                   user=asked.get('user'), project=asked.get('project'))
    saving.save(node)
