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

"""Questions to devices and tools, in parallel, each in its own thread.

The caller decides how long it waits. A late answer is kept until the caller
asks the next time; a question that is still running is not asked again, so one
that hangs forever costs one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import dataclasses
import threading
import time
from typing import Any

#: The family that is asked (``mellanox``), and the address of the card.
Key = tuple[str, str]

#: Seconds for which an answer that came late still counts.
FRESH = 120.0


class NoAnswer(Exception):
    """A question that has no answer yet.

    :ivar asked: seconds since it was asked.
    """

    def __init__(self, asked: float) -> None:
        super().__init__(f'no answer in {asked:.0f} s')
        self.asked = asked


@dataclasses.dataclass(slots=True)
class _Question:
    """A question that is running, or whose answer was not fetched yet.

    :ivar void: something was written since: the answer does not count.
    """

    work: Callable[[], Any]
    future: futures.Future[Any]
    begun: float
    answered: float | None = None
    void: bool = False


class Questions:
    """The questions of one reader; for one thread that asks and fetches."""

    def __init__(self, fresh: float = FRESH) -> None:
        self._fresh = fresh
        self._asked: dict[Key, _Question] = {}

    def ask(self, key: Key, work: Callable[[], Any]) -> None:
        """Start a question, unless an earlier one with this key is still
        running or has a recent answer that was not fetched."""
        asked = self._asked.get(key)
        if asked is not None:
            asked.work = work
            late = time.monotonic() - (asked.answered or 0.0)
            if not asked.future.done() or (
                    not asked.void and late <= self._fresh):
                return
        self._asked[key] = _begin(key, work)

    def answer(self, key: Key, until: float) -> Any:
        """Wait for the answer to a question.

        :param until: how long to wait (``time.monotonic``).
        :raises: NoAnswer if there is none by then; otherwise what the work
            raised.
        """
        asked = self._asked[key]
        while True:
            left = max(0.0, until - time.monotonic())
            futures.wait([asked.future], left)
            if not asked.future.done():
                raise NoAnswer(time.monotonic() - asked.begun)
            if not asked.void:
                break
            asked = self._asked[key] = _begin(key, asked.work)
        del self._asked[key]
        return asked.future.result()

    def forget(self) -> None:
        """Discard all answers, after something was written."""
        for asked in tuple(self._asked.values()):
            asked.void = True


def _begin(key: Key, work: Callable[[], Any]) -> _Question:
    """Start a question in a daemon thread."""
    future: futures.Future[Any] = futures.Future()
    asked = _Question(work, future, time.monotonic())

    def answer() -> None:
        try:
            found = work()
        except Exception as exc:  # raised where the answer is fetched
            asked.answered = time.monotonic()
            future.set_exception(exc)
        else:
            asked.answered = time.monotonic()
            future.set_result(found)

    threading.Thread(target=answer, daemon=True,
                     name=f'accel-look-{"-".join(filter(None, key))}').start()
    return asked
