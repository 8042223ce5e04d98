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


"""The workers of a conductor: one lane for each kind of work.

Each lane is bounded by an option of its own, so that what hangs in one lane
takes nothing from another. What a lane cannot take at once is not lost:

``operations``
    ``[accelerator]max_workers``; ticks of operations, in Ironic's own pool.
``audit``
    ``[accelerator]audit_workers``; audits, in Ironic's own pool.
``verify``
    ``[accelerator]verify_workers``; reads of BMCs for the verify step and
    for inspections, in threads of this lane. A read waits in a queue; one
    that does not begin in time is reported as not read.
``images``
    ``[accelerator]image_workers``; downloads, in threads of this lane. An
    image waits in a queue, and the step reports it.

When a conductor stops, Ironic waits for the work in its own pool. ``stop``
ends the threads of the other lanes; they are daemons, so that one that hangs
does not keep the process from ending.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import operator
import threading
from typing import Any
from typing import TypeVar

from ironic.common import exception
from oslo_log import log

from ironic_accel.bounded.threads import Closed
from ironic_accel.bounded.threads import ThreadPool
from ironic_accel.conductor.config import metrics
from ironic_accel.conductor.config.options import CONF
from ironic_accel import uptime

LOG = log.getLogger(__name__)

Result = TypeVar('Result')

#: Seconds of one turn from which on a node counts as slow: a tick is one
#: request most of the time, and an inventory of a BMC that takes half a second
#: for each request ends within it.
SLOW = 10.0

#: Seconds after which a slow node that waits may take any place.
PATIENCE = 60.0

#: Seconds for which a slow node is remembered: it may have been moved.
FORGET = 3600.0

#: Seconds that ``stop`` waits for the threads of a lane.
STOP_TIMEOUT = 2.0


class NoFreeWorker(Exception):
    """All workers of a lane were in use for as long as the caller waits."""


class _Lane:
    """A lane, and the option that bounds it."""

    def __init__(self, name: str, option: str) -> None:
        self.name = name
        self.option = option

    @property
    def size(self) -> int:
        """How much of it runs at a time, at most."""
        return int(getattr(CONF.accelerator, self.option))

    def _tell(self, busy: int) -> None:
        metrics.gauge(f'workers.{self.name}.busy', busy)

    def _tell_full(self) -> None:
        metrics.count(f'workers.{self.name}.full')


class Queue(_Lane):
    """A lane whose nodes wait in a queue, and run in Ironic's own pool.

    The node that waits longest comes first, and a worker takes the next one
    when it ends, so that each node has its turn whatever its id is.

    A node takes a place for as long as its BMC takes to respond. One that
    takes longer than ``SLOW`` counts apart, and so does its next turn: as many
    slow nodes as the option allows run in addition to the others. Further slow
    ones wait for each other, for ``PATIENCE`` at most: a node may be slow
    because an image was just uploaded to it, and its update has to be polled
    although uploads to others take all these places.
    """

    def __init__(self, name: str, option: str) -> None:
        super().__init__(name, option)
        self._lock = threading.Lock()
        #: When each waiting node was queued, the one that waits longest first.
        self._waiting: dict[str, float] = {}
        #: Since when each node in progress had waited, when it began, and
        #: whether it was slow before.
        self._begun: dict[str, tuple[float, float, bool]] = {}
        #: Nodes whose last turn was slow, and when it ended.
        self._slow: dict[str, float] = {}

    @property
    def busy(self) -> int:
        """The number of nodes in progress."""
        with self._lock:
            return len(self._begun)

    def fill(self, due: Iterable[str]) -> None:
        """Set what waits: nodes that wait already keep their turn.

        :param due: the UUIDs of all nodes that are due, the one that is due
            longest first. Nodes in progress are left out.
        """
        now = uptime.steady()
        with self._lock:
            there = dict.fromkeys(due, now)
            kept = {uuid: since for uuid, since in self._waiting.items()
                    if uuid in there}
            self._waiting = {**kept, **{
                uuid: since for uuid, since in there.items()
                if uuid not in kept and uuid not in self._begun}}
            self._slow = {uuid: ended for uuid, ended in self._slow.items()
                          if now - ended < FORGET}
            longest = now - min(self._waiting.values(), default=now)
        metrics.gauge(f'workers.{self.name}.waited', longest)

    def start(self, manager: Any, work: Callable[[str], None]) -> None:
        """Start workers until all are in use or nothing waits.

        :param manager: Ironic's conductor manager.
        :param work: called in a worker with the UUID of a node. What it
            raises is logged.
        """
        while not is_stopping(manager) and (
                uuid := self._take()) is not None:
            try:
                manager._spawn_worker(self._run, manager, uuid, work)
            except BaseException as exc:
                # Whatever it is, no worker has the node: it keeps its turn.
                self._put_back(uuid)
                if not isinstance(exc, exception.NoFreeConductorWorker):
                    raise
                LOG.warning(
                    'Workers for %(lane)s: node %(node)s and others wait for '
                    'the next pass, all [conductor]workers_pool_size workers '
                    'of this conductor are in use',
                    {'lane': self.name, 'node': uuid})
                return

    def _run(self, manager: Any, uuid: str | None,
             work: Callable[[str], None]) -> None:
        """Work on a node, and on the next one after it."""
        while uuid is not None:
            try:
                work(uuid)
            except Exception:
                # The other nodes still have their turn with this worker.
                LOG.exception('Workers for %s: unexpected error with node %s',
                              self.name, uuid)
            finally:
                self._end(uuid)
            uuid = None if is_stopping(manager) else self._take()

    def _take(self) -> str | None:
        """The node that waits longest of those that may begin."""
        with self._lock:
            ordinary, slow = self._free()
            now = uptime.steady()
            uuid = next((u for u, since in self._waiting.items()
                         if (slow and u in self._slow)
                         or (ordinary and (u not in self._slow
                                           or now - since > PATIENCE))), None)
            full = uuid is None and bool(self._waiting)
            if uuid is not None:
                self._begun[uuid] = (self._waiting.pop(uuid), now,
                                     slow and uuid in self._slow)
            busy = len(self._begun)
        if full:
            self._tell_full()
        self._tell(busy)
        return uuid

    def _free(self) -> tuple[bool, bool]:
        """Whether an ordinary and whether a slow node may begin."""
        now, size = uptime.steady(), self.size
        slow = sum(known or now - begun > SLOW
                   for _, begun, known in self._begun.values())
        ordinary = len(self._begun) - slow + max(0, slow - size)
        return ordinary < size, slow < size

    def _end(self, uuid: str) -> None:
        now = uptime.steady()
        with self._lock:
            _, begun, _known = self._begun.pop(uuid)
            if now - begun > SLOW:
                self._slow[uuid] = now
            else:
                self._slow.pop(uuid, None)
            busy = len(self._begun)
        self._tell(busy)

    def _put_back(self, uuid: str) -> None:
        """Let a node that no worker took wait as before, for its turn."""
        with self._lock:
            since, _, _ = self._begun.pop(uuid)
            self._waiting = dict(sorted(
                {uuid: since, **self._waiting}.items(),
                key=operator.itemgetter(1)))
            busy = len(self._begun)
        self._tell(busy)


def is_stopping(manager: Any) -> bool:
    """Whether a conductor is about to stop, and waits for its workers.

    :param manager: Ironic's conductor manager; its flag was a bool before
        it became an event.
    """
    flag = manager._shutdown
    return bool(flag.is_set() if isinstance(flag, threading.Event) else flag)


class Threads(_Lane):
    """A lane with threads of its own and a queue in front of them."""

    def __init__(self, name: str, option: str) -> None:
        super().__init__(name, option)
        self._pool = ThreadPool(f'accel-{name}', lambda: self.size)
        self._before_stop: list[Callable[[], None]] = []

    @property
    def busy(self) -> int:
        """The number of threads that work."""
        return self._pool.busy

    def submit(self, function: Callable[[], Result]
               ) -> futures.Future[Result]:
        """Have a thread call a function, at once or when one is free.

        :raises: Closed once the conductor stops.
        """
        def call() -> Result:
            self._tell(self.busy)
            try:
                return function()
            finally:
                self._tell(self.busy - 1)

        if self.busy >= self.size:
            self._tell_full()
        return self._pool.submit(call)

    def run(self, function: Callable[[], Result], timeout: float) -> Result:
        """Call a function in a thread and wait for its result.

        :param timeout: seconds to wait, in the queue and for the result.
        :raises: NoFreeWorker where no thread began it in that time, or the
            conductor stops; TimeoutError where one did and has no result
            yet: the thread goes on, and its result is dropped.
        """
        try:
            future = self.submit(function)
            return future.result(timeout)
        except futures.TimeoutError:
            future.add_done_callback(self._late)
            if future.cancel():
                raise NoFreeWorker(
                    f'all {self.size} workers ([accelerator]{self.option}) '
                    f'were in use for {timeout:g} s') from None
            raise
        except (futures.CancelledError, Closed):
            raise NoFreeWorker('the conductor is stopping') from None

    def _late(self, future: futures.Future[Any]) -> None:
        """Log the result of work whose caller has timed out."""
        if not future.cancelled():
            LOG.debug('A worker of lane %(lane)s ended after its timeout: '
                      '%(outcome)s', {
                          'lane': self.name,
                          'outcome': future.exception() or 'done'})

    def before_stop(self, call: Callable[[], None]) -> None:
        """Register a function to be called first when the lane ends.

        :param call: tells the work in progress to end soon.
        """
        self._before_stop.append(call)

    def stop(self) -> None:
        """End the lane: what is queued is cancelled."""
        for call in self._before_stop:
            call()
        left = self._pool.close(STOP_TIMEOUT)
        if left:
            LOG.warning('Worker lane %(lane)s: %(count)d still running '
                        '%(seconds)g s after it was stopped', {
                            'count': left, 'lane': self.name,
                            'seconds': STOP_TIMEOUT})


OPERATIONS = Queue('operations', 'max_workers')
AUDIT = Queue('audit', 'audit_workers')
VERIFY = Threads('verify', 'verify_workers')
IMAGES = Threads('images', 'image_workers')


@atexit.register
def stop() -> None:
    """End the threads of all lanes."""
    for lane in (VERIFY, IMAGES):
        lane.stop()
