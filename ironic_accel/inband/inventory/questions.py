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

"""Questions to devices and tools, side by side, each in a thread of its own.

Who asks waits no longer than he likes. An answer that comes later is kept
and heard the next time; a question that still runs is never asked twice, so
one that hangs for ever costs one thread and itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import dataclasses
import threading
import time
from typing import Any

#: A subject: who is asked (``mellanox``), and about which card.
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
class _Asked:
    """A question under way, or answered and not heard yet.

    :ivar void: something was written since: its answer says nothing.
    """

    work: Callable[[], Any]
    future: futures.Future[Any]
    begun: float
    answered: float | None = None
    void: bool = False


class Questions:
    """The questions of one looker; for one thread that asks and hears."""

    def __init__(self, fresh: float = FRESH) -> None:
        self._fresh = fresh
        self._asked: dict[Key, _Asked] = {}

    def ask(self, key: Key, work: Callable[[], Any]) -> None:
        """Begin a question, unless an earlier one of the key still runs or
        was answered a moment ago and not heard."""
        asked = self._asked.get(key)
        if asked is not None:
            asked.work = work
            late = time.monotonic() - (asked.answered or 0.0)
            if not asked.future.done() or (
                    not asked.void and late <= self._fresh):
                return
        self._asked[key] = _begin(key, work)

    def hear(self, key: Key, until: float) -> Any:
        """The answer to what was asked.

        :param until: how long to wait for it (``time.monotonic``).
        :raises: NoAnswer where there is none by then; else what the work
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
        """Something was written: answers to what was asked are void."""
        for asked in tuple(self._asked.values()):
            asked.void = True


def _begin(key: Key, work: Callable[[], Any]) -> _Asked:
    """Ask in a thread that keeps nobody from ending."""
    future: futures.Future[Any] = futures.Future()
    asked = _Asked(work, future, time.monotonic())

    def answer() -> None:
        try:
            found = work()
        except Exception as exc:  # told to whoever hears the answer
            asked.answered = time.monotonic()
            future.set_exception(exc)
        else:
            asked.answered = time.monotonic()
            future.set_result(found)

    threading.Thread(target=answer, daemon=True,
                     name=f'accel-look-{"-".join(filter(None, key))}').start()
    return asked
