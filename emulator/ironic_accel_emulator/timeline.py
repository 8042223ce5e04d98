# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The future events of a system, in the order of simulated time."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ironic_accel_emulator.clock import Clock


@dataclass(order=True)
class Event:
    """A future event of a system."""

    due: float
    number: int
    act: Callable[[], None] = field(compare=False)
    label: str = field(compare=False, default='')
    cancelled: bool = field(compare=False, default=False)


class Timeline:
    """The events of one system, run in the order of their due times.

    Within an event ``now`` is that event's due time, so that a chain of events
    runs in the same way after a jump of the clock as in slow time.
    """

    def __init__(self, clock: Clock, lock: threading.RLock) -> None:
        self.clock = clock
        self.changed = threading.Condition(lock)
        self._events: list[Event] = []
        self._numbers = itertools.count()
        self._at: float | None = None

    @property
    def now(self) -> float:
        """Simulated seconds for the event that is running."""
        return self.clock.now() if self._at is None else self._at

    def after(
        self, delay: float, act: Callable[[], None], label: str = ''
    ) -> Event:
        """Call ``act`` in ``delay`` simulated seconds."""
        event = Event(self.now + delay, next(self._numbers), act, label)
        with self.changed:
            heapq.heappush(self._events, event)
            self.changed.notify_all()
        return event

    def run_due(self) -> None:
        """Run all due events; the caller holds the system's lock."""
        if self._at is not None:
            return
        limit = self.clock.now()
        try:
            while self._events and self._events[0].due <= limit:
                event = heapq.heappop(self._events)
                if event.cancelled:
                    continue
                self._at = event.due
                event.act()
        finally:
            self._at = None

    def next_due(self) -> float | None:
        """Simulated seconds until the next event; None without one."""
        live = [event for event in self._events if not event.cancelled]
        return min(live).due - self.clock.now() if live else None
