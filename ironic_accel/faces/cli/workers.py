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

"""Threads that work on several BMCs at a time, and that can be interrupted.

A signal raises KeyboardInterrupt in the main thread only. The other threads
get it where they wait (``sleep``), so that each run ends as it does on a
single BMC: with its journal complete.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import threading
from typing import Generic
from typing import TypeVar

_T = TypeVar('_T')

#: Seconds after which the main thread checks for signals.
_WAKES = 0.5
#: Set while the threads of an interrupted command end.
_INTERRUPTED = threading.Event()


def sleep(seconds: float) -> None:
    """Wait.

    :raises: KeyboardInterrupt if the command is interrupted meanwhile.
    """
    if _INTERRUPTED.wait(max(seconds, 0.0)):
        raise KeyboardInterrupt


class Pool(Generic[_T]):
    """Runs jobs in threads, at most some at a time, in their order.

    :param jobs: what is called; an exception ends the command, once the jobs
        that were started have ended: they are interrupted.
    :param most: how many run concurrently.
    :param go_on: whether further jobs are started after a result.
    :ivar started: the jobs that were started.
    :ivar interrupted: whether the command was interrupted.
    """

    def __init__(self, jobs: Sequence[Callable[[], _T]], most: int,
                 go_on: Callable[[_T], bool]) -> None:
        self.started = 0
        self.interrupted = False
        self._jobs = jobs
        self._go_on = go_on
        self._stopped = False
        self._results: dict[int, _T | BaseException] = {}
        self._changed = threading.Condition()
        # Daemons: a second interruption ends the process at once.
        self._threads = [threading.Thread(target=self._work, daemon=True)
                         for _ in range(min(most, len(jobs)))]

    def results(self) -> Iterator[tuple[int, _T]]:
        """The results of all jobs that were started, in their order.

        After an interruption those of the jobs that had been started.

        :raises: what a job has raised; KeyboardInterrupt for a second
            interruption.
        """
        for thread in self._threads:
            thread.start()
        try:
            for number in range(len(self._jobs)):
                if not self._wait(number):
                    return
                result = self._results[number]
                if isinstance(result, BaseException):
                    self._end_all()
                    raise result
                yield number, result
        finally:
            self._stopped = True
            _INTERRUPTED.clear()

    def _end_all(self) -> None:
        """Wait until all jobs have ended that were started.

        The threads end with the process, wherever they are: in the middle of
        an upload of firmware, for example.
        """
        self._stopped = True
        _INTERRUPTED.set()
        for number in range(self.started):
            self._has(number)

    def _wait(self, number: int) -> bool:
        """Wait for a result; whether there is one."""
        try:
            return self._has(number)
        except KeyboardInterrupt:
            self.interrupted = self._stopped = True
            _INTERRUPTED.set()
            return self._has(number)

    def _has(self, number: int) -> bool:
        """Wait until a job has ended, or will not be started."""
        with self._changed:
            # A signal that another thread has got does not end a wait.
            while not self._changed.wait_for(
                    lambda: number in self._results or (
                        self._stopped and number >= self.started),
                    _WAKES):
                pass
            return number in self._results

    def _work(self) -> None:
        """Run jobs until there are no more."""
        while True:
            with self._changed:
                number = self.started
                if self._stopped or number >= len(self._jobs):
                    return
                self.started += 1
            result: _T | BaseException
            try:
                result = self._jobs[number]()
            except BaseException as exc:
                # The main thread raises it.
                result = exc
            with self._changed:
                self._results[number] = result
                if isinstance(result, BaseException) or (
                        not self._go_on(result)):
                    self._stopped = True
                self._changed.notify_all()
