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

"""Cards that have other resource ids after a reset.

The hardware is unchanged, but the URIs of the cards are exchanged, like after
a different order of enumeration. The properties and the state of a card move
with it: serial number, firmware, modes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironic_accel_emulator.documents import Document
from ironic_accel_emulator.parts import Component, Device

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

_IDENTITY = ('SerialNumber', 'UUID', 'Location')
_FIRMWARE = (
    'running', 'pending', 'pending_digest', 'inactive', 'active_slot',
    'resets_seen',
)  # fmt: skip


def renumber(box: Box) -> None:
    """Exchange the names of the first two GPUs of each host."""
    for host in box.hosts:
        gpus = [
            device
            for device in box.devices.values()
            if device.kind == 'gpu' and device.host == host
        ]
        if len(gpus) > 1:
            _trade(box, gpus[0], gpus[1])


def _trade(box: Box, first: Device, second: Device) -> None:
    for one, two in zip(first.uris, second.uris, strict=False):
        documents = box.documents.get(one), box.documents.get(two)
        if documents[0] is not None and documents[1] is not None:
            _trade_identity(documents[0], documents[1])
            box.documents.put(one, documents[0])
            box.documents.put(two, documents[1])
    for part in _parts(box, first):
        for other in _parts(box, second):
            if part.key == other.key:
                _swap(part, other, _FIRMWARE)
    for mode in box.modes.values():
        twin = box.modes.get(f'{second.id}/{mode.name}')
        if mode.device == first.id and twin is not None:
            _swap(mode, twin, ('current', 'pending', 'resets_seen'))


def _parts(box: Box, device: Device) -> list[Component]:
    return [c for c in box.components.values() if c.device == device.id]


def _trade_identity(one: Document, two: Document) -> None:
    for name in _IDENTITY:
        if name in one and name in two:
            one[name], two[name] = two[name], one[name]


def _swap(one: object, two: object, names: tuple[str, ...]) -> None:
    for name in names:
        mine, theirs = getattr(one, name), getattr(two, name)
        setattr(one, name, theirs)
        setattr(two, name, mine)
