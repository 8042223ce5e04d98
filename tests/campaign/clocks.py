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

"""Clocks of conductors that are wrong, by hours, and set while they run.

The time of a run is counted by the conductor's own count (``elapsed``); what
it asks is told by the machine on which a process of the case runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from typing import Any
from unittest import mock

from ironic_accel.conductor.node import clock
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import virtual


class Node:
    """As much of a node as the count is kept with."""

    def __init__(self) -> None:
        self.driver_internal_info: dict[str, Any] = {}

    def set_driver_internal_info(self, key: str, value: Any) -> None:
        """As Ironic's."""
        self.driver_internal_info[key] = value


class Clocks:
    """The clocks of a case.

    :param true: the time that really goes by.
    :param skews: seconds by which each machine's time of day is off; as
        many machines as there are; the next process is on the next one.
    :param jumps: (when, by how much) all times of day are set, that of the
        database with them.
    """

    def __init__(self, true: FakeClock, skews: Sequence[float],
                 jumps: Sequence[tuple[float, float]]) -> None:
        self._true = true
        self._skews = skews or (0.0,)
        self._jumps = jumps
        self._node = Node()
        self._started = 0

    def machine(self) -> int:
        """Where the next process runs."""
        self._started += 1
        return (self._started - 1) % len(self._skews)

    def _set(self) -> float:
        now = self._true.now()
        return sum(by for when, by in self._jumps if now >= when)

    @contextlib.contextmanager
    def _of(self, machine: int) -> Iterator[None]:
        now = self._true.now()
        shared = virtual.EPOCH + now + self._set()
        told = {'now': shared + self._skews[machine],
                'steady': 5000.0 * (machine + 1) + now,
                'boot': f'boot-{machine}', 'database': shared}
        with contextlib.ExitStack() as stack:
            for name, value in told.items():
                stack.enter_context(mock.patch.object(
                    clock, name, new=lambda value=value: value))
            yield

    def now(self, machine: int) -> float:
        """The time of the run as a process on that machine has it."""
        with self._of(machine):
            return clock.mark(self._node)
