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

"""What differs between two looks."""

from __future__ import annotations

import dataclasses

import pytest

from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model import drift
from ironic_accel.model.reading_status import Unread

GPU = Device(
    'gpu-1', 'gpu', health='OK', components=(Component('gpu', 'A', '1.0'),),
    modes=(Mode('ecc', 'enabled'),))
CARD = Device('crypto-1', 'crypto', modes=(
    Mode('services', ('asym', 'sym'), unordered=True),))


def box(*devices: Device, complete: bool = True,
        unread: tuple[Unread, ...] = ()) -> Inventory:
    return Inventory('1', 'on', complete, devices=devices, unread=unread)


def said(old: Device, new: Device) -> list[str]:
    return [str(d) for d in drift.differences(box(old), box(new))]


def firmware(**fields: str | None) -> Device:
    return dataclasses.replace(GPU, components=(dataclasses.replace(
        GPU.components[0], **fields),))  # type: ignore[arg-type]


def services(*words: str) -> Device:
    return dataclasses.replace(CARD, modes=(dataclasses.replace(
        CARD.modes[0], current=words),))


@pytest.mark.parametrize(('old', 'new', 'expected'), [
    (GPU, GPU, []),
    (GPU, firmware(running='1.1'), ['gpu-1 gpu 1.0 > 1.1']),
    (GPU, firmware(running=None), []),
    (firmware(running=None), GPU, []),
    (GPU, firmware(pending='1.1'), ['gpu-1 gpu 1.0, 1.1 pending']),
    (firmware(pending='1.1'), firmware(pending='1.1'), []),
    (GPU, firmware(pending='1.0'), []),
    (GPU, dataclasses.replace(GPU, health='Warning'),
     ['gpu-1 health OK > Warning']),
    (GPU, dataclasses.replace(GPU, health=None), []),
    (GPU, dataclasses.replace(GPU, modes=()), []),
    (CARD, services('sym', 'asym'), []),
    (CARD, services('sym'), ['crypto-1 services asym+sym > sym']),
])
def test_what_is_known_of_both_is_compared(
        old: Device, new: Device, expected: list[str]) -> None:
    assert said(old, new) == expected


def test_devices_come_and_go() -> None:
    found = drift.differences(box(GPU), box(CARD))
    assert [(d.device, d.what) for d in found] == [
        ('gpu-1', 'vanished'), ('crypto-1', 'appeared')]
    assert [str(d) for d in found] == ['gpu-1 vanished',
                                       'crypto-1 appeared']


HIDDEN = Unread('/redfish/v1/Chassis', 'HTTP 503', kinds=('gpu',))


@pytest.mark.parametrize(('before', 'after', 'found'), [
    (box(GPU), box(complete=False), []),
    (box(complete=False), box(GPU), []),
    (box(GPU), box(unread=(HIDDEN,)), []),
    (box(unread=(HIDDEN,)), box(GPU), []),
    (box(GPU), box(unread=(dataclasses.replace(
        HIDDEN, kinds=('nic',)),)), ['gpu-1 vanished'])])
def test_incomplete_kind_has_no_vanished_and_no_new_devices(
        before: Inventory, after: Inventory, found: list[str]) -> None:
    assert [str(d) for d in drift.differences(before, after)] == found
