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

"""Simulated time for all time functions of this process.

    with at(clock):
        time.monotonic(), time.time()   # the clock's
        time.sleep(60)                  # moves it

It does not work for threads that wait for each other: everything inside the
context must run in one thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from unittest import mock

from ironic_accel_emulator.clock import FakeClock

#: Start of simulated time: 2026-01-01 in epoch seconds.
EPOCH = 1767225600.0


@contextlib.contextmanager
def at(clock: FakeClock) -> Iterator[None]:
    """Replace the functions of ``time`` by those of the clock."""
    patches = {
        'time': lambda: EPOCH + clock.now(),
        'monotonic': lambda: 1000.0 + clock.now(),
        'sleep': lambda seconds: clock.advance(max(0.0, seconds)),
    }
    with contextlib.ExitStack() as stack:
        for name, act in patches.items():
            stack.enter_context(mock.patch.object(time, name, new=act))
        yield
