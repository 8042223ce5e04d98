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

"""Host power, hidden resources, and the auxiliary cycle."""

from __future__ import annotations

import pytest

from tests.unit.emulator.conftest import MakeClient

GPUS = '/redfish/v1/Systems/HGX_Baseboard_0/Processors'
HOST = '/redfish/v1/Systems/System_0'
AUX = '/redfish/v1/Chassis/BMC_0/Actions/Oem/NvidiaChassis.AuxPowerReset'


def test_devices_are_hidden_while_off_and_starting(
    client: MakeClient,
) -> None:
    hgx = client('hgx-h100')
    assert len(hgx.get(GPUS)['Members']) == 9
    hgx.reset('ForceOff')
    hgx.box.advance(2)
    assert hgx.get(HOST)['PowerState'] == 'Off'
    assert hgx.get(GPUS)['Members@odata.count'] == 0
    assert hgx.send('GET', f'{GPUS}/GPU_SXM_1').status == 404
    assert hgx.version('HGX_FW_GPU_SXM_1')
    hgx.reset('On')
    hgx.box.advance(2)
    assert hgx.get(HOST)['PowerState'] == 'On'
    assert hgx.get(GPUS)['Members'] == []
    hgx.box.advance(45)
    assert len(hgx.get(GPUS)['Members']) == 9


def test_adapters_answer_400_while_off(client: MakeClient) -> None:
    box = client('pcie-a100', power='Off')
    adapters = '/redfish/v1/Chassis/1/NetworkAdapters'
    assert len(box.get(adapters)['Members']) == 2
    assert box.send('GET', f'{adapters}/NIC5').status == 400


def test_boot_mark_changes_at_host_resets_only(client: MakeClient) -> None:
    hgx = client('hgx-h100')
    before = hgx.get(HOST)['LastResetTime']
    hgx.box.advance(100)
    assert hgx.get(HOST)['LastResetTime'] == before
    hgx.reset('ForceRestart')
    hgx.box.advance(10)
    assert hgx.get(HOST)['LastResetTime'] > before


def test_boot_mark_is_absent_where_there_was_none(
    client: MakeClient,
) -> None:
    nodes = client('two-nodes')
    assert 'LastResetTime' not in nodes.get('/redfish/v1/Systems/Node0')


def test_two_nodes_have_separate_power(client: MakeClient) -> None:
    nodes = client('two-nodes')
    nodes.reset('ForceOff', 'Node0')
    nodes.box.advance(5)
    systems = '/redfish/v1/Systems'
    assert nodes.get(f'{systems}/Node0')['PowerState'] == 'Off'
    assert nodes.get(f'{systems}/Node1')['PowerState'] == 'On'
    assert len(nodes.get(f'{systems}/Node0/Processors')['Members']) == 1
    assert len(nodes.get(f'{systems}/Node1/Processors')['Members']) == 3


def test_power_hooks_are_called_for_every_change(client: MakeClient) -> None:
    hgx = client('hgx-h100')
    told: list[tuple[str, str]] = []
    hgx.box.on_power(lambda system, state: told.append((system, state)))
    hgx.reset('PowerCycle')
    hgx.box.advance(60)
    hgx.reset('GracefulShutdown')
    hgx.box.advance(14)
    assert told == [('System_0', 'Off'), ('System_0', 'On')]
    hgx.box.advance(1)
    assert told[-1] == ('System_0', 'Off')


@pytest.mark.parametrize('kind', ['ForceRestart', 'PowerCycle'])
def test_a_restart_needs_the_host_on(client: MakeClient, kind: str) -> None:
    hgx = client('hgx-h100', power='Off')
    assert hgx.reset(kind).status == 409


def test_unknown_reset_type_and_missing_one(client: MakeClient) -> None:
    hgx = client('hgx-h100')
    assert hgx.reset('Explode').status == 400
    path = f'{HOST}/Actions/ComputerSystem.Reset'
    reply = hgx.post(path)
    assert 'ActionParameterMissing' in reply.body['error']['code']


def test_aux_cycle_needs_the_host_off_and_restarts_the_bmc(
    client: MakeClient,
) -> None:
    hgx = client('hgx-h100')
    reply = hgx.post(AUX, {'ResetType': 'AuxPowerCycle'})
    assert reply.status == 400
    assert 'ChassisPowerStateOffRequired' in reply.body['error']['code']
    hgx.reset('ForceOff')
    hgx.box.advance(5)
    assert hgx.post(AUX, {'ResetType': 'AuxPowerCycle'}).status == 204
    assert hgx.send('GET', '/redfish/v1').drop
    hgx.box.advance(120)
    assert hgx.get(HOST)['PowerState'] == 'Off'
    assert [r.kind for r in hgx.box.ledger.resets][-1] == 'AuxPowerCycle'


def test_forced_aux_cycle_powers_the_host_on_again(client: MakeClient) -> None:
    hgx = client('hgx-h100')
    hgx.post(AUX, {'ResetType': 'AuxPowerCycleForce'})
    hgx.box.advance(125)
    assert hgx.get(HOST)['PowerState'] == 'On'
