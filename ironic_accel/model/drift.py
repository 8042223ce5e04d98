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

"""The differences between two inventories of one system."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from typing import Literal

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Value
from ironic_accel.model import matching
from ironic_accel.model.plan import plain

#: What can differ; ``vanished``, ``appeared`` and ``unread`` are whole
#: devices.
What = Literal['vanished', 'appeared', 'unread', 'health', 'firmware',
               'mode']


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    :ivar device: the device's id.
    :ivar name: of the component or mode; empty for the device itself.
    :ivar waiting: whether it is a value that waits for a reset.
    """

    device: str
    what: What
    name: str = ''
    before: Value | None = None
    after: Value | None = None
    waiting: bool = False

    def __str__(self) -> str:
        if self.what in ('vanished', 'appeared'):
            return f'{self.device} {self.what}'
        if self.what == 'unread':
            return f'{self.device} could not be read'
        name = self.name or self.what
        if self.waiting:
            return (f'{self.device} {name} {_text(self.before)}, '
                    f'{_text(self.after)} pending')
        return (f'{self.device} {name} {_text(self.before)} > '
                f'{_text(self.after)}')


def differences(before: Inventory, after: Inventory
                ) -> tuple[Difference, ...]:
    """What differs, device by device.

    A value that one inventory does not have is no difference, and a device
    of a kind that was not read completely may still be present. The
    devices of both have the same ids (``model.identity``).
    """
    old = {d.id: d for d in before.devices}
    new = {d.id: d for d in after.devices}
    found = [Difference(i, 'vanished') for i, d in old.items()
             if i not in new and after.complete_of(d.kind)]
    found += [Difference(i, 'appeared') for i, d in new.items()
              if i not in old and before.complete_of(d.kind)]
    for name, device in old.items():
        if name in new:
            found += _of_device(device, new[name])
    return tuple(found)


def _of_device(old: Device, new: Device) -> Iterator[Difference]:
    if new.is_unread() and not old.is_unread():
        yield Difference(old.id, 'unread')
    if None not in (old.health, new.health) and old.health != new.health:
        yield Difference(old.id, 'health', '', old.health, new.health)
    for part in old.components:
        now = new.component(part.name)
        if now is not None:
            yield from _changed(old.id, 'firmware', part.name, (
                part.running, now.running), (part.pending, now.pending))
    for mode in old.modes:
        there = new.mode(mode.name)
        if there is not None:
            yield from _changed(old.id, 'mode', mode.name, (
                mode.current, there.current), (mode.pending, there.pending),
                mode.unordered)


def _changed(device: str, what: What, name: str,
             running: tuple[Value | None, Value | None],
             pending: tuple[Value | None, Value | None],
             unordered: bool = False) -> Iterator[Difference]:
    before, after = running
    if before is None or after is None:
        return
    if not matching.same_value(before, after, unordered):
        yield Difference(device, what, name, before, after)
    waits = pending[1]
    if waits is not None and waits != pending[0] \
            and not matching.same_value(waits, after, unordered):
        yield Difference(device, what, name, after, waits, True)


def _text(value: Value | None) -> str:
    shown = plain(value)
    if isinstance(shown, list):
        return '+'.join(str(v) for v in shown)
    return 'unknown' if shown is None else str(shown)
