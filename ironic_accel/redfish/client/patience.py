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

"""How long something has been waited for, by a clock that only goes on.

Tickets outlive processes and go from one conductor to another, whose clocks
need not agree: what a ticket says of a time is not compared with another
machine's. Whoever takes a ticket over waits anew, once.
"""

from __future__ import annotations

from collections.abc import Callable

#: How many waits are remembered at a time.
_MOST = 256


class Patience:
    """Since when this process waits for what.

    :param clock: seconds that only go on.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def lasts(self, what: str, seconds: float) -> bool:
        """Whether something has been waited for no longer than that; the
        first question about it begins the wait."""
        now = self._clock()
        while len(self._since) >= _MOST and what not in self._since:
            self._since.pop(next(iter(self._since)))
        return now - self._since.setdefault(what, now) < seconds
