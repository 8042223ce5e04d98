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
    A node that finds no place stays due and is picked by a later pass.
``audit``
    ``[accelerator]audit_workers``; audits, in Ironic's own pool. A node that
    finds no place stays in the queue of the audit.
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
from concurrent import futures
import threading
from typing import Any
from typing import TypeVar

from oslo_log import log

from ironic_accel.bounded.threads import Closed
from ironic_accel.bounded.threads import ThreadPool
from ironic_accel.conductor.config import metrics
from ironic_accel.conductor.config.options import CONF

LOG = log.getLogger(__name__)

Result = TypeVar('Result')

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


class Places(_Lane):
    """A lane whose work runs in Ironic's own pool."""

    def __init__(self, name: str, option: str) -> None:
        super().__init__(name, option)
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def busy(self) -> int:
        """The number of places in use."""
        with self._lock:
            return self._taken

    def acquire(self) -> bool:
        """Take a place, if one is free."""
        with self._lock:
            free = self._taken < self.size
            self._taken += int(free)
            taken = self._taken
        if free:
            self._tell(taken)
        else:
            self._tell_full()
        return free

    def release(self) -> None:
        """Give a place back.

        :raises: ValueError where none is taken.
        """
        with self._lock:
            if not self._taken:
                raise ValueError(f'lane {self.name}: no place is taken')
            self._taken -= 1
            taken = self._taken
        self._tell(taken)


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


OPERATIONS = Places('operations', 'max_workers')
AUDIT = Places('audit', 'audit_workers')
VERIFY = Threads('verify', 'verify_workers')
IMAGES = Threads('images', 'image_workers')


@atexit.register
def stop() -> None:
    """End the threads of all lanes."""
    for lane in (VERIFY, IMAGES):
        lane.stop()
