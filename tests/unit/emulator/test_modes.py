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

"""Modes: where they are written, their activation and persistence."""

from __future__ import annotations

import threading

import pytest
import requests

from ironic_accel_emulator import FakeClock, TwinServer, load_box

from tests.unit.emulator.conftest import Client, MakeClient

H100 = '/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1'
A100 = '/redfish/v1/Systems/1/Processors/GPU1'


def mig(box: Client, path: str) -> bool:
    return bool(box.get(path)['Oem']['Nvidia']['MIGModeEnabled'])


def ecc(box: Client, path: str) -> bool:
    return bool(box.get(path)['MemorySummary']['ECCModeEnabled'])


def test_ecc_is_pending_in_the_settings_object(client: MakeClient) -> None:
    hgx = client('hgx-h100')
    change = {'MemorySummary': {'ECCModeEnabled': False}}
    assert hgx.patch(H100, change).status == 400
    assert hgx.patch(f'{H100}/Settings', change).status == 200
    assert (ecc(hgx, H100), ecc(hgx, f'{H100}/Settings')) == (True, False)
    hgx.reset('ForceRestart')
    hgx.box.advance(60)
    assert not ecc(hgx, H100)
    hgx.reset('PowerCycle')
    hgx.box.advance(60)
    assert not ecc(hgx, H100)


def test_mig_on_hopper_is_immediate_and_volatile(
    client: MakeClient,
) -> None:
    hgx = client('hgx-h100')
    hgx.patch(H100, {'Oem': {'Nvidia': {'MIGModeEnabled': True}}})
    assert mig(hgx, H100)
    hgx.reset('ForceRestart')
    hgx.box.advance(60)
    assert not mig(hgx, H100)


def test_mig_on_ampere_needs_a_reset_and_persists(client: MakeClient) -> None:
    box = client('pcie-a100')
    box.patch(A100, {'Oem': {'Nvidia': {'MIGModeEnabled': True}}})
    assert not mig(box, A100)
    assert box.post(f'{A100}/Actions/Processor.Reset').status == 204
    assert box.send('GET', A100).status == 404
    box.box.advance(5)
    assert mig(box, A100)
    box.reset('PowerCycle', '1')
    box.box.advance(60)
    assert mig(box, A100)


def test_confidential_computing_is_set_one_mode_per_request(
    client: MakeClient,
) -> None:
    hgx = client('hgx-h100')
    both = {'CCModeEnabled': True, 'CCDevModeEnabled': False}
    reply = hgx.patch(f'{H100}/Settings', {'Oem': {'Nvidia': both}})
    assert 'QueryCombinationInvalid' in reply.body['error']['code']
    one = {'Oem': {'Nvidia': {'CCModeEnabled': True}}}
    assert hgx.patch(f'{H100}/Settings', one).status == 200


@pytest.mark.parametrize(
    ('body', 'code'),
    [
        ({'Oem': {'Nvidia': {'MIGModeEnabled': 'yes'}}}, 'ValueTypeError'),
        ({'Oem': {'Nvidia': {'Sparkle': True}}}, 'PropertyUnknown'),
        ({'Model': 'better'}, 'PropertyNotWritable'),
    ],
)
def test_invalid_patches_change_nothing(
    client: MakeClient, body: dict[str, object], code: str
) -> None:
    hgx = client('hgx-h100')
    reply = hgx.patch(H100, body)
    assert reply.status == 400
    assert code in reply.body['error']['code']
    assert hgx.box.ledger.writes == []


def test_sriov_and_fpga_settings(client: MakeClient) -> None:
    box = client('pcie-a100')
    nic = '/redfish/v1/Chassis/1/NetworkAdapters/NIC5'
    wanted = {
        'ControllerCapabilities': {
            'VirtualizationOffload': {'SRIOV': {'SRIOVEnabled': True}}
        }
    }
    assert box.patch(nic, {'Controllers': [wanted]}).status == 200
    fpga = '/redfish/v1/Systems/1/Processors/FPGA1'
    change = {'FPGA': {'PCIeVirtualFunctions': 4}}
    assert box.patch(fpga, change).status == 200
    assert box.get(fpga)['FPGA']['PCIeVirtualFunctions'] == 0
    box.reset('ForceRestart', '1')
    box.box.advance(60)
    assert box.get(fpga)['FPGA']['PCIeVirtualFunctions'] == 4
    sriov = box.get(nic)['Controllers'][0]['ControllerCapabilities']
    assert sriov['VirtualizationOffload']['SRIOV']['SRIOVEnabled']


def test_bluefield_3_mode_needs_the_parents_power_cycle(
    client: MakeClient,
) -> None:
    parent = client('pcie-a100')
    dpu = Client(load_box('bluefield-3', clock=FakeClock()))
    parent.box.attach(dpu.box)
    oem = '/redfish/v1/Systems/Bluefield/Oem/Nvidia'
    bad = dpu.post(f'{oem}/Actions/Mode.Set', {'Mode': 'Toaster'})
    assert bad.status == 400
    dpu.post(f'{oem}/Actions/Mode.Set', {'Mode': 'NicMode'})
    parent.reset('ForceRestart', '1')
    parent.box.advance(60)
    assert dpu.get(oem)['Mode'] == 'DpuMode'
    parent.reset('PowerCycle', '1')
    parent.box.advance(60)
    assert dpu.get(oem)['Mode'] == 'NicMode'


def test_a_card_in_another_process_follows_its_host_s_power() -> None:
    """Its own resets, which only reset its processor, keep the mode."""
    dpu = Client(
        load_box('bluefield-3', clock=FakeClock(), slot_powered=True)
    )
    parent = Client(load_box('pcie-a100', clock=FakeClock()))
    oem = '/redfish/v1/Systems/Bluefield/Oem/Nvidia'
    mode = dpu.box.modes['Bluefield/mode']
    with TwinServer(dpu.box) as card, TwinServer(parent.box) as host:
        told = requests.post(
            f'{host}/_twin/card', json={'url': card}, timeout=10
        )
        assert told.json() == {'cards': 1}
        dpu.post(f'{oem}/Actions/Mode.Set', {'Mode': 'NicMode'})
        for kind in ('ForceOff', 'On'):
            dpu.reset(kind, 'Bluefield')
            dpu.box.advance(60)
        assert mode.current == 'DpuMode'
        parent.reset('PowerCycle', '1')
        parent.box.advance(60)
        for thread in threading.enumerate():
            if thread.name == f'power of {card}':
                thread.join(30)
        assert mode.current == 'NicMode'
        assert dpu.box.ledger.count('POST') == 3


def test_bluefield_2_mode_is_a_bios_attribute(client: MakeClient) -> None:
    dpu = client('bluefield-2')
    bios = '/redfish/v1/Systems/Bluefield/Bios'
    change = {'Attributes': {'NicMode': 'NicMode'}}
    assert dpu.patch(f'{bios}/Settings', change).status == 200
    assert dpu.get(bios)['Attributes']['NicMode'] == 'DpuMode'
    dpu.post('/_twin/effect', {'effect': 'power-cycle'})
    assert dpu.get(bios)['Attributes']['NicMode'] == 'NicMode'
