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

"""The guard: nobody cuts the power of a box while it is being written.

It is a deadline under a key of its own in ``driver_internal_info``, so that
dropping the record of a run does not drop it. It is set in the same save as
the intent that it protects.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import datetime
import threading
from typing import Any
import weakref

from ironic.common import exception
from ironic import objects

from ironic_accel.conductor import clock

KEY = 'accel_guard'

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


def stands(node: Any, now: float | None = None) -> dict[str, Any] | None:
    """The guard of a node (``until``, ``what``), or None.

    :param node: a node, or anything with ``driver_internal_info``.
    :param now: epoch seconds.
    """
    guard: dict[str, Any] | None = (
        node.driver_internal_info or {}).get(KEY)
    if guard and guard['until'] > (clock.now() if now is None else now):
        return guard
    return None


def over(task: Any) -> tuple[dict[str, Any], Any] | None:
    """The guard that a task's node stands under, and whose it is.

    A child node (a DPU) stands under its parent's too: what is written to
    it is written by its parent, and it lives in the parent's power.
    """
    node = task.node
    standing = stands(node)
    if standing is None and node.parent_node:
        try:
            node = objects.Node.get_by_uuid(task.context, node.parent_node)
        except exception.NodeNotFound:
            return None
        standing = stands(node)
    return (standing, node) if standing else None


def put(node: Any, until: float, what: str) -> None:
    """Set the guard; the caller saves the node.

    :param until: epoch seconds at which it falls by itself.
    :param what: what must not be cut, in a few words.
    """
    node.set_driver_internal_info(KEY, {'until': until, 'what': what})
    remember(node)


def drop(node: Any) -> None:
    """Take the guard away; the caller saves the node."""
    node.del_driver_internal_info(KEY)
    _remembered.pop(node.uuid, None)


def remember(node: Any) -> None:
    """Keep what Ironic would wipe, until the guard is dropped."""
    info = node.driver_internal_info
    found = {k: info[k] for k in AGENT_KEYS if k in info}
    if found:
        _remembered[node.uuid] = found


def forget(node: Any) -> None:
    """Keep nothing of an agent whose power we are about to cut."""
    _remembered.pop(node.uuid, None)


def give_back(node: Any) -> None:
    """Restore what Ironic wiped before it asked; the caller saves."""
    for key, value in _remembered.get(node.uuid, {}).items():
        if key not in node.driver_internal_info:
            node.set_driver_internal_info(key, value)


def word(guard: dict[str, Any], node: Any) -> str:
    """Say why something is refused."""
    until = datetime.datetime.fromtimestamp(guard['until'], datetime.UTC)
    return (f"flash in progress on {guard['what']} of node {node.uuid} until "
            f'about {until:%Y-%m-%d %H:%M:%S} UTC; cutting the power now can '
            'destroy the device: try again later')


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
