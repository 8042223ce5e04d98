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

"""Time that does not change when the clock of the machine is set.

``Elapsed`` counts the time of a run on the command line. Deadlines of a
record are times of this count. It starts with the time of day and advances by
the seconds since the machine was started: a clock that is set by hours, as
that of a host in its first minutes, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import os
import pathlib
import time
from typing import Any

#: Most that a restart of the machine adds to a count, seconds.
STEP = 600.0


def steady() -> float:
    """Seconds since this machine was started, those in suspend included.

    It cannot be set, and is not comparable with that of another machine.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@functools.cache
def boot() -> str:
    """An identifier of the start that ``steady`` counts from.

    A time namespace may shift ``steady`` for a container
    (time_namespaces(7)); its inode is therefore part of the identifier.
    """
    found = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text(
        encoding='ascii').strip()
    try:
        return f'{found}/{os.stat("/proc/self/ns/time").st_ino}'
    except FileNotFoundError:
        return found


class Elapsed:
    """A count of seconds that continues that of the last run of a journal.

    :param mark: what ``mark`` returned in that run, or None.
    """

    def __init__(self, mark: Mapping[str, Any] | None = None) -> None:
        wall = time.time()
        self._since = steady()
        self._at = wall
        if mark is None:
            return
        self._at = float(mark['at'])
        if mark['boot'] == boot():
            self._at += max(0.0, self._since - float(mark['steady']))
        else:
            self._at += min(max(0.0, wall - float(mark['wall'])), STEP)

    def now(self) -> float:
        """The time of the run."""
        return self._at + steady() - self._since

    def mark(self) -> dict[str, Any]:
        """What the journal keeps, to continue from there."""
        return {'at': self.now(), 'boot': boot(),
                'steady': steady(), 'wall': time.time()}
