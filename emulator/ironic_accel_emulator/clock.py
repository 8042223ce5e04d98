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

"""The time of a simulated system: real, scaled or advanced explicitly."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Simulated time in seconds since the system was made."""

    def now(self) -> float:
        """Return the simulated seconds that have passed."""

    def advance(self, seconds: float) -> None:
        """Jump forward by so many simulated seconds."""

    def real_delay(self, seconds: float) -> float | None:
        """Real seconds until so many simulated ones have passed.

        None if only ``advance`` moves the time.
        """


class ScaledClock:
    """Simulated time that runs ``scale`` times as fast as real time."""

    def __init__(self, scale: float = 1.0) -> None:
        if scale <= 0:
            raise ValueError(f'time scale: {scale!r}: expected more than 0')
        self._scale = scale
        self._start = time.monotonic()
        self._skipped = 0.0

    def now(self) -> float:
        """Return the simulated seconds that have passed."""
        passed = time.monotonic() - self._start
        return passed * self._scale + self._skipped

    def advance(self, seconds: float) -> None:
        """Jump forward by so many simulated seconds."""
        self._skipped += seconds

    def real_delay(self, seconds: float) -> float | None:
        """Real seconds until so many simulated ones have passed."""
        return max(0.0, seconds / self._scale)


class FakeClock:
    """Simulated time that stands still until ``advance`` is called."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Return the simulated seconds that have passed."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Jump forward by so many simulated seconds."""
        if seconds < 0:
            raise ValueError(f'advance: {seconds!r}: expected 0 or more')
        self._now += seconds

    def real_delay(self, seconds: float) -> float | None:
        """None: only ``advance`` moves this clock."""
        return None
