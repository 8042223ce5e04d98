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

"""The health of GPU memory, and the MAC addresses of DPUs and SmartNICs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.model.device import Device
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start

MEMORY = '/redfish/v1/Systems/HGX_Baseboard_0/Memory/GPU_2_DRAM_0'
GPU = '/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_2'


def change(at: Rig, path: str, **fields: Any) -> None:
    """Change properties of a resource."""
    document = dict(at.box.documents.get(path) or {})
    document.update(fields)
    at.box.documents.put(path, document)


def health(at: Rig) -> dict[str, str | None]:
    """The health of the GPUs, by path."""
    return {str(d.uri): d.health for d in at.backend.observe().devices
            if d.kind == 'gpu'}


@pytest.mark.parametrize('expand', [True, False])
@pytest.mark.parametrize(('said', 'expected'), [
    ({'RowRemappingFailed': True, 'RowRemappingPending': False}, 'Critical'),
    ({'RowRemappingFailed': False, 'RowRemappingPending': True}, 'Warning'),
    ({'RowRemappingFailed': False, 'RowRemappingPending': False}, 'OK')])
def test_a_failed_row_remapping_makes_the_gpu_unhealthy(
        rig: Start, captures: Path, expand: bool, said: dict[str, bool],
        expected: str) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0',
             expand=expand)
    change(at, MEMORY, Oem={'Nvidia': said})
    found = health(at)
    assert found.pop(GPU) == expected
    assert set(found.values()) == {'OK'}


def test_unhealthy_memory_makes_the_gpu_unhealthy(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    change(at, MEMORY, Status={'Health': 'Warning', 'State': 'Enabled'})
    assert health(at)[GPU] == 'Warning'


def test_healthy_memory_does_not_make_the_gpu_healthy(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    change(at, GPU, Status={'State': 'Enabled'})
    change(at, '/redfish/v1/Chassis/HGX_GPU_2/PCIeDevices/GPU_2', Status={})
    change(at, '/redfish/v1/Chassis/HGX_GPU_2', Status={})
    assert health(at)[GPU] is None


def test_missing_memory_leaves_only_the_health_unknown(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    change(at, GPU, Links={'Memory': [{'@odata.id': f'{MEMORY}_gone'}]})
    seen = at.backend.observe()
    assert health(at)[GPU] == 'OK'
    assert any(w.uri == f'{MEMORY}_gone' for w in seen.warnings)
    gpu = next(d for d in seen.devices if d.uri == GPU)
    # The health of the memory is unknown.
    assert gpu.unread == ('health',)
    assert [(u.source, u.about) for u in seen.unread] == [
        (f'{MEMORY}_gone', gpu.id)]


def dpu(at: Rig) -> Device:
    """The one DPU of a system."""
    [card] = [d for d in at.backend.observe().devices if d.kind == 'dpu']
    return card


def test_a_dpu_in_its_host_has_the_macs_of_its_ports(rig: Start) -> None:
    card = dpu(rig('pcie-a100'))
    assert len(card.macs) == 2
    assert all(m == m.lower() for m in card.macs)


def test_functions_take_precedence_over_ports(rig: Start) -> None:
    at = rig('pcie-a100')
    uri = str(dpu(at).uri)
    base = f'{uri}/NetworkDeviceFunctions'
    change(at, uri, NetworkDeviceFunctions={'@odata.id': base})
    function(at, base)
    assert dpu(at).macs == ('02:00:00:00:0a:0c', '02:00:00:00:0a:0b')


def function(at: Rig, base: str) -> None:
    """Add one function with two addresses."""
    at.box.documents.put(base, {
        '@odata.id': base, 'Members': [{'@odata.id': f'{base}/eth0f0'}]})
    at.box.documents.put(f'{base}/eth0f0', {
        '@odata.id': f'{base}/eth0f0', 'Ethernet': {
            'MACAddress': '02:00:00:00:0A:0B',
            'PermanentMACAddress': '02:00:00:00:0A:0C'}})


def test_adapters_of_a_dpu_s_own_system_are_its_parts(rig: Start) -> None:
    at = rig('bluefield-3')
    all_of_them = '/redfish/v1/Chassis/Card1/NetworkAdapters'
    adapter = f'{all_of_them}/NvidiaNetworkAdapter'
    base = f'{adapter}/NetworkDeviceFunctions'
    change(at, all_of_them, Members=[{'@odata.id': adapter}])
    at.box.documents.put(adapter, {
        '@odata.id': adapter, 'Id': 'NvidiaNetworkAdapter',
        'Manufacturer': 'Nvidia', 'Controllers': [],
        'NetworkDeviceFunctions': {'@odata.id': base}})
    function(at, base)
    assert dpu(at).macs == ('02:00:00:00:0a:0c', '02:00:00:00:0a:0b')


def test_ports_are_not_read_without_controllers(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    assert all(d.macs == () for d in at.backend.observe().devices)
    assert not any('/Ports' in r.path for r in at.box.ledger.requests)
