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

"""Active faults of a system: added, found and used up.

A fault is ``NAME[=VALUE]``; the names are in ``fault_catalogue``. ``match``
limits it to request paths (or component, mode and device ids) that contain
the text (that end with it, if it ends with ``$``). ``count`` limits the number
of times, ``skip`` exempts the first ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ironic_accel_emulator.fault_catalogue import KNOWN, PROPERTY


if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box
    from ironic_accel_emulator.tasks import Task


@dataclass
class Fault:
    """One active fault."""

    name: str
    value: str | None = None
    match: str | None = None
    method: str | None = None
    count: int | None = None
    skip: int = 0

    def concerns(self, what: str) -> bool:
        """Whether it applies to that path or id."""
        if self.match is None:
            return True
        if self.match.endswith('$'):
            return what.endswith(self.match[:-1])
        return self.match in what


class Faults:
    """The active faults of a system."""

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
        """Activate a fault.

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
        """Activate ``NAME[=VALUE][@MATCH][#COUNT]``, the syntax of
        ``--fault``.

        Raises ValueError for an unknown name or an invalid count.
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

    def lift(self, fault: Fault) -> None:
        """Remove this fault."""
        self._standing = [one for one in self._standing if one is not fault]

    def clear(self, name: str | None = None) -> None:
        """Remove one kind of fault, or all."""
        self._standing = [
            fault
            for fault in self._standing
            if name is not None and fault.name != name
        ]

    def find(
        self, name: str, what: str = '', method: str | None = None
    ) -> Fault | None:
        """Return the fault with that name that applies to ``what``."""
        for fault in self._standing:
            if fault.name != name or fault.count == 0:
                continue
            if not fault.concerns(what):
                continue
            if method and fault.method and fault.method != method:
                continue
            return fault
        return None

    def all(self, name: str, what: str) -> list[Fault]:
        """All faults with that name that apply to ``what``."""
        return [f for f in self._standing
                if f.name == name and f.count != 0 and f.concerns(what)]

    def changes_document(self, path: str) -> bool:
        """Whether a property fault is active for the document at a path."""
        return any(f.name in PROPERTY and f.concerns(path)
                   for f in self._standing)

    def stands(self, fault: Fault) -> bool:
        """Whether this fault has not been removed, even if it is used up."""
        return any(one is fault for one in self._standing)

    def active(self, name: str, what: str = '') -> bool:
        """Whether such a fault is active; does not use it up."""
        return self.find(name, what) is not None

    def take(
        self, name: str, what: str = '', method: str | None = None
    ) -> Fault | None:
        """As ``find``, and use the fault up once."""
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
        """The numeric value of an active fault, or ``default``."""
        fault = self.find(name, what)
        if fault is None or fault.value is None:
            return default
        return float(fault.value)

    def task_started(self, box: Box, task: Task) -> None:
        """Apply the active faults to a new update task."""
        if fault := self.take('task-new'):
            task.state = 'New'
            box.timeline.after(
                float(fault.value or 30), lambda: _run(task), 'task runs'
            )
        if fault := self.take('task-forgotten'):
            box.timeline.after(
                float(fault.value or 60), lambda: box.tasks.lose(task),
                'task forgotten',
            )  # fmt: skip
        task.hidden = self.take('task-purged') is not None
        task.fast = self.take('task-done') is not None

    def as_dict(self) -> list[dict[str, Any]]:
        """The active faults as JSON."""
        return [asdict(fault) for fault in self._standing]


def _run(task: Task) -> None:
    if task.state == 'New':
        task.state = 'Running'
