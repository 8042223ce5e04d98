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

"""Closes the sessions with BMCs that Ironic's cache has dropped.

Ironic keeps the sessions of ``[redfish]connection_cache_size`` BMCs, drops the
oldest one for a new one, and leaves it open at the BMC until it expires there
(``SessionCache._expire_oldest_session``); so it does after an error. A BMC
has few sessions. Those of nodes of ours are closed here: one request each, in
threads of this module, once nobody uses them any more.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading
from typing import Any
import weakref

from ironic_accel.bounded.threads import ThreadPool
from ironic_accel.redfish.client import session
from ironic_accel import uptime

LOG = logging.getLogger(__name__)

#: Seconds between the drop of a session and its end: for requests of Ironic's
#: that began before, outside of a task with the node.
GRACE = 30.0
#: Sessions that wait to be closed; what is dropped beyond that expires at its
#: BMC.
MOST_WAITING = 1000
_THREADS = 2


class _Session:
    """A session, and who uses it.

    :ivar dropped: when it was found not to be in the cache any more.
    """

    def __init__(self, connector: Any, is_cached: Callable[[], bool]) -> None:
        self.connector, self.is_cached = connector, is_cached
        self.users: dict[int, weakref.ref[Any]] = {}
        self.dropped: float | None = None

    def is_over(self) -> bool:
        """Whether it was dropped, and nobody uses it."""
        self.users = {
            n: user for n, user in self.users.items() if user() is not None}
        return not self.users and self.dropped is not None and (
            uptime.steady() - self.dropped >= GRACE)

    def close(self) -> None:
        """Close it at the BMC, in a thread that nobody waits for."""
        try:
            session.disconnect(self.connector)
        except Exception as exc:
            LOG.debug('Failed to close a session with %(bmc)s: %(why)s', {
                'bmc': session.address(self.connector), 'why': exc})


class Sessions:
    """The sessions of one conductor with the BMCs of nodes of ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, _Session] = {}
        self._pool = ThreadPool('accel-session', lambda: _THREADS)

    def use(self, connector: Any, user: Any,
            is_cached: Callable[[], bool]) -> None:
        """Note a use of a session; after a login, close those that are over.

        :param user: for as long as this object exists, the session is used:
            a node, which exists as long as its task, or a backend.
        :param is_cached: whether Ironic still hands out the session.
        """
        with self._lock:
            known = self._known.get(id(connector))
            is_new = known is None
            if known is None:
                known = _Session(connector, is_cached)
                self._known[id(connector)] = known
            known.users[id(user)] = weakref.ref(user)
            over = self._take_over() if is_new else []
        for one in over:
            if self._pool.waiting < MOST_WAITING:
                self._pool.submit(one.close)
            else:
                session.forget(one.connector)

    def hold(self, connector: Any, user: Any) -> None:
        """Note another user of a session that is in use."""
        with self._lock:
            known = self._known.get(id(connector))
            if known is not None:
                known.users[id(user)] = weakref.ref(user)

    def _take_over(self) -> list[_Session]:
        """Take out those that are over. The lock is held."""
        for one in self._known.values():
            if one.is_cached():
                one.dropped = None
            elif one.dropped is None:
                one.dropped = uptime.steady()
        over = {n: one for n, one in self._known.items() if one.is_over()}
        for number in over:
            del self._known[number]
        return list(over.values())


#: Those of this conductor.
SESSIONS = Sessions()
