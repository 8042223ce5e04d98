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

"""Lookups in an inventory that fail the test if there is no result."""

from __future__ import annotations

from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel_emulator import Box
from ironic_accel_emulator.documents import Document


def one(inventory: Inventory, kind: str) -> Device:
    """The first device of a kind."""
    return next(d for d in inventory.devices if d.kind == kind)


def device(inventory: Inventory, device_id: str) -> Device:
    """The device with that id."""
    found = inventory.device(device_id)
    assert found is not None, f'no {device_id} in the inventory'
    return found


def part(of: Device, name: str) -> Component:
    """The component with that name."""
    found = of.component(name)
    assert found is not None, f'{of.id} has no component {name}'
    return found


def mode(of: Device, name: str) -> Mode:
    """The mode with that name."""
    found = of.mode(name)
    assert found is not None, f'{of.id} has no mode {name}'
    return found


def part_at(inventory: Inventory, device_id: str, name: str) -> Component:
    """The component with that name of the device with that id."""
    return part(device(inventory, device_id), name)


def mode_at(inventory: Inventory, device_id: str, name: str) -> Mode:
    """The mode with that name of the device with that id."""
    return mode(device(inventory, device_id), name)


def document(box: Box, path: str) -> Document:
    """A copy of the emulator's document at a path."""
    found = box.documents.get(path)
    assert found is not None, f'the emulator has no {path}'
    return found
