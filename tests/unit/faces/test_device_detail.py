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

"""One device, found by what an operator has at hand."""

from __future__ import annotations

import pytest

from ironic_accel.faces import device_detail
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.errors import BadInput
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.serialization import inventory_to_dict

DOC = inventory_to_dict(Inventory('/S', 'on', True, devices=(
    Device('gpu-1', 'gpu', serial='S1', location='Slot 1', components=(
        Component('gpu', 'F', '1.0', '2.0', updateable=True),),
        modes=(Mode('ecc', standing=Standing.UNREAD),),
        unread=('health',)),
    Device('gpu-2', 'gpu', serial='0', location='Slot 2'),
    Device('gpu-3', 'gpu', serial='0', location='Slot 3'))))


@pytest.mark.parametrize('name', ['gpu-1', 'S1', 'Slot 1'])
def test_a_device_is_found_by_id_serial_or_location(name: str) -> None:
    assert device_detail.find(DOC, name)['id'] == 'gpu-1'


def test_a_serial_of_two_devices_is_ambiguous() -> None:
    with pytest.raises(BadInput, match=r"2 devices have the serial '0'.*"
                                       'gpu-2, gpu-3'):
        device_detail.find(DOC, '0')


def test_an_unknown_device_is_answered_with_those_that_are_there() -> None:
    with pytest.raises(BadInput, match=r"'x' not found.*3: gpu-1 .. gpu-3"):
        device_detail.find(DOC, 'x')


def test_the_table_has_pending_and_unread_values() -> None:
    rows = {name: text for name, text in device_detail.table(
        DOC, DOC['devices'][0]).rows}
    assert rows['components'] == (
        'gpu 1.0 > 2.0 (updateable: yes, active after: -)')
    assert rows['modes'].startswith('ecc not read (allowed: -')
    assert rows['health'] == 'not read'
    assert rows['host'] == 'on'
    assert 'numa_node' not in rows
