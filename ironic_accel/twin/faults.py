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

"""Faults on request: one table of names, and how they are chosen.

A fault is ``NAME[=VALUE]``. ``match`` limits it to request paths (or
component, mode and device ids) that contain the text, ``count`` to so many
times, ``skip`` lets the first ones pass.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironic_accel.twin.box import Box
    from ironic_accel.twin.tasks import Task

# Faults of the HTTP exchange, by request path.
HTTP = {
    'busy': '503 with Retry-After (VALUE seconds, 5) to a request',
    'drop': 'the request is carried out and the connection dropped',
    'refuse': 'the connection is dropped before anything is done',
    'expire-session': '401 once to a request with a session token',
    'status': 'the status VALUE (such as 500) for a resource',
    'garbage': '200 with a body that is no JSON',
    'hang': 'no answer for VALUE real seconds (60)',
    'slow': 'an answer after VALUE real seconds (0.5)',
    'expand-error': '500 to a request with $expand',
    'expand-truncated': 'a body cut short to a request with $expand',
    'expand-wrong': 'collections answer $expand with references only',
}
# Faults of a document: VALUE is a property name or JSON pointer.
PROPERTY = {
    'null': 'a property is null',
    'absent': 'a property is missing',
    'wrong-type': 'a property has a list where none belongs',
    'unknown-enum': 'a property has a value outside its enumeration',
    'serial-zeros': 'all GPUs report a serial number of zeros',
}
# Faults of tasks and updates.
UPDATE = {
    'task-purged': 'a task is gone before the first poll',
    'task-done': 'a task is done before the first poll',
    'task-new': 'a task is New for VALUE seconds (30) first',
    'task-warning': 'a task ends Completed with TaskStatus Warning',
    'task-stuck': 'a task stays Running although the work is done',
    'task-early': 'PercentComplete is 100 while the state is Running',
    'fail-component': 'a component does not take the image',
    'silent-noop': 'an image is taken and nothing changes',
    'equal-refused': 'an equal version is refused: 400 SUP029',
    'foreign-task': "someone else's task runs for VALUE seconds (600)",
    'foreign-copy': 'a background copy runs that nobody here started',
    'vanish-after-bmc': 'a component is gone after a BMC reset',
}
# Faults of resets and of what follows them.
RESET = {
    'weak-reset': 'a reset does not activate what it should',
    'aux-refused': 'the auxiliary cycle is refused with 400',
    'late-devices': 'devices show VALUE seconds after power-on',
    'renumber': 'resource ids move at the next host reset',
}
KNOWN = {**HTTP, **PROPERTY, **UPDATE, **RESET}


@dataclass
class Fault:
    """One fault that stands."""

    name: str
    value: str | None = None
    match: str | None = None
    method: str | None = None
    count: int | None = None
    skip: int = 0


class Faults:
    """The faults that stand on a box."""

    def __init__(self) -> None:
        self._standing: list[Fault] = []

    def add(
        self,
        name: str,
        value: str | None = None,
        match: str | None = None,
        method: str | None = None,
        count: int | None = None,
        skip: int = 0,
    ) -> Fault:
        """Let a fault stand.

        Raises ValueError for a name that is not in ``KNOWN``.
        """
        if name not in KNOWN:
            raise ValueError(
                f'fault: {name!r}: expected one of {", ".join(KNOWN)}'
            )
        fault = Fault(name, value, match, method, count, skip)
        self._standing.append(fault)
        return fault

    def parse(self, text: str) -> Fault:
        """Let ``NAME[=VALUE][@MATCH][#COUNT]`` stand, as ``--fault`` has it.

        Raises ValueError for an unknown name or a count that is none.
        """
        rest, _, count = text.partition('#')
        rest, _, match = rest.partition('@')
        name, _, value = rest.partition('=')
        if count and not count.isdigit():
            raise ValueError(f'fault: {text!r}: expected a number after #')
        return self.add(
            name, value or None, match or None, None,
            int(count) if count else None,
        )  # fmt: skip

    def clear(self, name: str | None = None) -> None:
        """Lift one kind of fault, or all."""
        self._standing = [
            fault
            for fault in self._standing
            if name is not None and fault.name != name
        ]

    def find(
        self, name: str, what: str = '', method: str | None = None
    ) -> Fault | None:
        """Return the fault of that name that concerns ``what``, if any."""
        for fault in self._standing:
            if fault.name != name or fault.count == 0:
                continue
            if fault.match is not None and fault.match not in what:
                continue
            if method and fault.method and fault.method != method:
                continue
            return fault
        return None

    def stands(self, fault: Fault) -> bool:
        """Whether this very fault has not been lifted, used up or not."""
        return any(one is fault for one in self._standing)

    def active(self, name: str, what: str = '') -> bool:
        """Whether such a fault stands; it is not used up."""
        return self.find(name, what) is not None

    def take(
        self, name: str, what: str = '', method: str | None = None
    ) -> Fault | None:
        """As ``find``, and use it up once."""
        fault = self.find(name, what, method)
        if fault is None:
            return None
        if fault.skip > 0:
            fault.skip -= 1
            return None
        if fault.count is not None:
            fault.count -= 1
        return fault

    def number(self, name: str, default: float, what: str = '') -> float:
        """The number that a standing fault has, or ``default``."""
        fault = self.find(name, what)
        if fault is None or fault.value is None:
            return default
        return float(fault.value)

    def task_started(self, box: Box, task: Task) -> None:
        """Do to a new update task what stands for it."""
        if fault := self.take('task-new'):
            task.state = 'New'
            box.timeline.after(
                float(fault.value or 30), lambda: _run(task), 'task runs'
            )
        task.hidden = self.take('task-purged') is not None
        task.fast = self.take('task-done') is not None

    def as_dict(self) -> list[dict[str, Any]]:
        """The standing faults as JSON."""
        return [asdict(fault) for fault in self._standing]


def _run(task: Task) -> None:
    if task.state == 'New':
        task.state = 'Running'
