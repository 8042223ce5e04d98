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


"""A bounded pool of daemon threads.

An executor of the standard library refuses work once the main thread of a
service has ended, and a thread of it that hangs keeps the process from
ending. Daemon threads do neither.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from concurrent import futures
import threading
import time
from typing import Any
from typing import TypeVar

Result = TypeVar('Result')


class Closed(RuntimeError):
    """The pool takes no more work."""


class ThreadPool:
    """At most so many threads, and a queue in front of them.

    A thread is started when there is work for it and ends when the queue is
    empty, so an idle pool has none.

    :param name: prefix of the names of the threads.
    :param size: gives the number of threads at most; asked each time.
    """

    def __init__(self, name: str, size: Callable[[], int]) -> None:
        self._name = name
        self._size = size
        self._lock = threading.Lock()
        self._queue: collections.deque[
            tuple[futures.Future[Any], Callable[[], Any]]] = (
                collections.deque())
        self._threads: set[threading.Thread] = set()
        self._closed = False

    @property
    def busy(self) -> int:
        """The number of threads that work."""
        with self._lock:
            return len(self._threads)

    @property
    def waiting(self) -> int:
        """The number of functions in the queue."""
        with self._lock:
            return len(self._queue)

    def submit(self, function: Callable[[], Result]
               ) -> futures.Future[Result]:
        """Have a thread call a function, at once or when one is free.

        ``cancel`` of the future takes the function out of the queue; it
        returns False once a thread has begun it.

        :raises: Closed.
        """
        future: futures.Future[Result] = futures.Future()
        with self._lock:
            if self._closed:
                raise Closed(f'{self._name}: the pool is closed')
            self._queue.append((future, function))
            if len(self._threads) < self._size():
                thread = threading.Thread(
                    target=self._work, name=self._name, daemon=True)
                self._threads.add(thread)
                thread.start()
        return future

    def close(self, timeout: float) -> int:
        """Cancel what is in the queue and wait for the threads.

        :param timeout: seconds to wait, for all of them together.
        :returns: how many threads have not ended by then; as daemons they
            do not keep the process from ending.
        """
        with self._lock:
            self._closed = True
            queued = [future for future, _function in self._queue]
            self._queue.clear()
            threads = list(self._threads)
        for future in queued:
            future.cancel()
        until = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return sum(thread.is_alive() for thread in threads)

    def _work(self) -> None:
        """Work until the queue is empty."""
        while True:
            with self._lock:
                if not self._queue:
                    self._threads.discard(threading.current_thread())
                    return
                future, function = self._queue.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as exc:
                # Whatever it is belongs to who waits for the future.
                future.set_exception(exc)
            else:
                future.set_result(result)
            # Nothing of a call outlives it while the thread waits.
            del future, function
