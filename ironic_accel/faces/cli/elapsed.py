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

"""The time of a run: counted, and kept with its journal.

Deadlines of a record are times of this count. It begins with the time of day
and is moved on by the seconds since the start of the machine; a clock that
is set by hours, as that of a host is in its first minutes, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
import time
from typing import Any

from ironic_accel import uptime

#: Seconds that the count moves on at most where the machine was started
#: again since: nobody counted, and the time of day may have been set. It
#: counts too little rather than too much.
STEP = 600.0


class Elapsed:
    """A count that goes on where the last run over a journal left it.

    :param mark: what ``mark`` gave that one, or None.
    """

    def __init__(self, mark: Mapping[str, Any] | None = None) -> None:
        wall = time.time()
        self._since = uptime.steady()
        self._at = wall
        if mark is None:
            return
        self._at = float(mark['at'])
        if mark['boot'] == uptime.boot():
            self._at += max(0.0, self._since - float(mark['steady']))
        else:
            self._at += min(max(0.0, wall - float(mark['wall'])), STEP)

    def now(self) -> float:
        """The time of the run."""
        return self._at + uptime.steady() - self._since

    def mark(self) -> dict[str, Any]:
        """What has to be kept, to go on from there."""
        return {'at': self.now(), 'boot': uptime.boot(),
                'steady': uptime.steady(), 'wall': time.time()}
