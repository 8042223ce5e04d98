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

"""What an operator accepts as unread, in the properties of a node."""

from __future__ import annotations

import types
from typing import Any

import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.node import keys
from ironic_accel.model.errors import BadInput


def node(value: Any) -> Any:
    return types.SimpleNamespace(driver_info={
        keys.ACCEPT_UNREAD.name: value})


A = '/redfish/v1/Systems/1/Memory/DIMM1'
B = '/redfish/v1/Chassis/1/NetworkAdapters/N1/Ports'


@pytest.mark.parametrize(('value', 'expected'), [
    (None, set()), ([], set()), ('', set()), ([A, B], {A, B}), (A, {A}),
    (f'{A}, {B}', {A, B}), (f'{A} {B}', {A, B})])
def test_accepted_paths(value: Any, expected: set[str]) -> None:
    assert bmc_session.accept_unread(node(value)) == expected


@pytest.mark.parametrize('value', [
    7, {'a': 1}, [7], ['/redfish/v1/TaskService'],
    [A, '/redfish/v1/Systems/1/Processors/GPU1'], 'http://bmc/redfish/v1/X',
    ['/redfish/v1/Chassis/1/PCIeDevices'], ['/redfish/v1/Systems'],
    ['/redfish/v1/UpdateService/FirmwareInventory/GPU1']])
def test_refused_paths(value: Any) -> None:
    with pytest.raises(BadInput, match='driver_info/accel_accept_unread'):
        bmc_session.accept_unread(node(value))
