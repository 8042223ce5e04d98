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

"""Each fault, as seen by a client."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from ironic_accel_emulator import inside
from ironic_accel_emulator.fault_catalogue import KNOWN, TOOL, lines
from ironic_accel_emulator.faults import Faults
from ironic_accel_emulator.images import pldm_bundle

from tests.unit.emulator.conftest import UPDATE, Client, MakeClient
from tests.unit.emulator.test_power import AUX, GPUS

NEW = '96.00.A6.00.01'
GPU = f'{GPUS}/GPU_SXM_1'


@pytest.fixture
def hgx(client: MakeClient) -> Client:
    return client('hgx-h100')


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / 'bundle.fwpkg'
    pldm_bundle(path, {'gpu': NEW})
    return path


def push(hgx: Client, image: Path) -> str:
    """Push to all GPUs; return the task."""
    reply = hgx.push(image, {'Targets': []})
    assert reply.status == 202
    return str(reply.body['@odata.id'])


def test_parse_and_limits() -> None:
    faults = Faults()
    fault = faults.parse('status=500@/GPU_SXM_1#2')
    assert (fault.value, fault.match, fault.count) == (
        '500', '/GPU_SXM_1', 2,
    )  # fmt: skip
    assert faults.take('status', '/x/GPU_SXM_2') is None
    assert faults.take('status', '/x/GPU_SXM_1')
    assert faults.take('status', '/x/GPU_SXM_1')
    assert faults.take('status', '/x/GPU_SXM_1') is None
    with pytest.raises(ValueError, match="fault: 'gremlins'"):
        faults.parse('gremlins')
    with pytest.raises(ValueError, match='number after #'):
        faults.parse('busy#many')


def test_the_catalogue_lists_every_fault() -> None:
    printed = [line.split()[0] for line in lines()]
    assert set(KNOWN) <= set(printed)


def test_the_catalogue_lists_every_fault_of_the_tools() -> None:
    meant = set()
    for file in Path(inside.__file__).parent.rglob('*.py'):
        meant |= set(re.findall(
            r"(?:trouble|fault) (?:==|in) \(?'([a-z-]+)'",
            file.read_text('utf-8')))
    assert {'hang', 'half', 'lost'} <= meant
    assert meant <= set(TOOL)


def test_a_match_with_a_dollar_is_the_end_of_a_path() -> None:
    faults = Faults()
    faults.parse('status@/Systems$')
    assert faults.find('status', '/redfish/v1/Systems')
    assert faults.find('status', '/redfish/v1/Systems/1') is None


def test_skip_exempts_the_first_requests() -> None:
    faults = Faults()
    faults.add('busy', skip=1, count=1)
    found = [faults.take('busy') is not None for _ in range(3)]
    assert found == [False, True, False]


def test_every_fault_can_be_activated() -> None:
    faults = Faults()
    for name in KNOWN:
        faults.parse(name)
    assert len(faults.as_dict()) == len(KNOWN)
    faults.clear('busy')
    assert len(faults.as_dict()) == len(KNOWN) - 1
    faults.clear()
    assert faults.as_dict() == []


def test_busy_returns_retry_after(hgx: Client) -> None:
    hgx.box.faults.parse('busy=7#1')
    reply = hgx.send('GET', GPU)
    assert (reply.status, reply.headers['Retry-After']) == (503, '7')
    assert hgx.send('GET', GPU).status == 200


def test_drop_performs_the_push(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('drop@update-multipart#1')
    assert hgx.push(image, {'Targets': []}).drop
    assert len(hgx.box.ledger.pushes) == 1


def test_refuse_does_nothing(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('refuse@update-multipart#1')
    assert hgx.push(image, {'Targets': []}).drop
    assert hgx.box.ledger.pushes == []


def test_slow_and_hang_take_real_time(hgx: Client) -> None:
    hgx.box.faults.parse('slow=0.05#1')
    hgx.box.faults.parse('hang=0.1@GPU_SXM_1#1')
    spent = []
    for _ in range(3):
        start = time.monotonic()
        assert hgx.send('GET', GPU).status == 200
        spent.append(time.monotonic() - start)
    assert spent[0] >= 0.1
    assert spent[1] >= 0.05


def test_status_and_garbage_affect_one_resource(hgx: Client) -> None:
    hgx.box.faults.parse('status=404@GPU_SXM_1')
    hgx.box.faults.parse('garbage@GPU_SXM_2')
    assert hgx.send('GET', GPU).status == 404
    reply = hgx.send('GET', f'{GPUS}/GPU_SXM_2')
    assert (reply.status, reply.encoded()[:6]) == (200, b'<html>')
    assert hgx.send('GET', f'{GPUS}/GPU_SXM_3').status == 200


@pytest.mark.parametrize(
    ('fault', 'shown'),
    [
        ('null', None),
        ('wrong-type', ['of', 'the', 'wrong', 'type']),
        ('unknown-enum', 'TwinInvented'),
    ],
)
def test_property_faults(hgx: Client, fault: str, shown: Any) -> None:
    hgx.box.faults.parse(f'{fault}=/Status/Health@GPU_SXM_1')
    assert hgx.get(GPU)['Status']['Health'] == shown
    assert hgx.get(f'{GPUS}/GPU_SXM_2')['Status']['Health'] == 'OK'


def test_absent_property(hgx: Client) -> None:
    hgx.box.faults.parse('absent=SerialNumber@GPU_SXM_1')
    assert 'SerialNumber' not in hgx.get(GPU)


def test_serials_of_zeros(hgx: Client) -> None:
    hgx.box.faults.parse('serial-zeros')
    serials = {
        hgx.get(f'{GPUS}/GPU_SXM_{n}')['SerialNumber'] for n in range(1, 9)
    }
    assert serials == {'0000000000000'}


def test_expand_faults(hgx: Client) -> None:
    path = f'{GPUS}?$expand=.($levels=1)'
    whole = hgx.send('GET', path).encoded()
    hgx.box.faults.parse('expand-error#1')
    assert hgx.send('GET', path).status == 500
    hgx.box.faults.parse('expand-truncated#1')
    cut = hgx.send('GET', path)
    assert cut.truncate
    assert len(cut.encoded()) < len(whole)
    hgx.box.faults.parse('expand-wrong#1')
    wrong = hgx.send('GET', path).body['Members']
    assert {tuple(member) for member in wrong} == {('@odata.id',)}
    assert hgx.send('GET', path).encoded() == whole


def test_task_purged_before_the_first_poll(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('task-purged#1')
    reply = hgx.push(image, {'Targets': []})
    assert hgx.send('GET', reply.headers['Location']).status == 404
    hgx.box.advance(1500)
    assert len(hgx.box.ledger.writes) == 8


def test_task_done_before_the_first_poll(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('task-done#1')
    assert hgx.get(push(hgx, image))['TaskState'] == 'Completed'


def test_task_new_first(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('task-new=30#1')
    task = push(hgx, image)
    assert hgx.get(task)['TaskState'] == 'New'
    hgx.box.advance(31)
    assert hgx.get(task)['TaskState'] == 'Running'


def test_task_warning_and_stuck_and_early(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('task-warning#1')
    task = push(hgx, image)
    hgx.box.advance(1500)
    found = hgx.get(task)
    assert (found['TaskState'], found['TaskStatus']) == (
        'Completed', 'Warning',
    )  # fmt: skip
    hgx.box.faults.parse('task-early')
    hgx.box.faults.parse('task-stuck#1')
    pldm_bundle(image, {'gpu': '97.00.00.00.01'})
    task = push(hgx, image)
    hgx.box.advance(200)
    assert hgx.get(task)['PercentComplete'] == 100
    hgx.box.advance(1500)
    assert hgx.get(task)['TaskState'] == 'Running'
    assert len(hgx.box.ledger.writes) == 16


def test_one_of_eight_fails(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('fail-component@GPU_SXM_5')
    task = push(hgx, image)
    hgx.box.advance(1500)
    assert hgx.get(task)['TaskState'] == 'Exception'
    assert len(hgx.box.ledger.writes) == 7


def test_silent_noop(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('silent-noop')
    push(hgx, image)
    hgx.box.advance(1500)
    parts = hgx.box.components.values()
    assert {part.pending for part in parts} == {None}


def test_weak_reset_needs_a_second_aux_cycle(
    hgx: Client, image: Path
) -> None:
    hgx.box.faults.parse('weak-reset')
    push(hgx, image)
    hgx.box.advance(1500)
    hgx.reset('ForceOff')
    for expected in (False, True):
        hgx.box.advance(5)
        hgx.post(AUX, {'ResetType': 'AuxPowerCycle'})
        hgx.box.advance(121)
        found = hgx.version('HGX_FW_GPU_SXM_1') == NEW
        assert found is expected


def test_weak_reset_of_a_mode_needs_one_step_more(hgx: Client) -> None:
    hgx.box.faults.parse('weak-reset@ecc')
    change = {'MemorySummary': {'ECCModeEnabled': False}}
    hgx.patch(f'{GPU}/Settings', change)
    hgx.reset('ForceRestart')
    hgx.box.advance(60)
    assert hgx.get(GPU)['MemorySummary']['ECCModeEnabled']
    hgx.reset('PowerCycle')
    hgx.box.advance(60)
    assert not hgx.get(GPU)['MemorySummary']['ECCModeEnabled']


def test_aux_refused(hgx: Client) -> None:
    hgx.box.faults.parse('aux-refused')
    hgx.reset('ForceOff')
    hgx.box.advance(5)
    assert hgx.post(AUX, {'ResetType': 'AuxPowerCycle'}).status == 400
    assert hgx.box.power.bmc_away is False


def test_late_devices(hgx: Client) -> None:
    hgx.box.faults.parse('late-devices=300')
    hgx.reset('ForceRestart')
    hgx.box.advance(200)
    assert hgx.get(GPUS)['Members'] == []
    hgx.box.advance(110)
    assert len(hgx.get(GPUS)['Members']) == 9


def test_renumber_moves_cards_with_their_state(hgx: Client) -> None:
    first = hgx.get(GPU)['SerialNumber']
    change = {'MemorySummary': {'ECCModeEnabled': False}}
    hgx.patch(f'{GPU}/Settings', change)
    hgx.box.misbehave('renumber')
    hgx.reset('ForceRestart')
    hgx.box.advance(60)
    moved = hgx.get(f'{GPUS}/GPU_SXM_2')
    assert moved['SerialNumber'] == first
    assert not moved['MemorySummary']['ECCModeEnabled']
    assert hgx.get(GPU)['MemorySummary']['ECCModeEnabled']
    chassis = hgx.get('/redfish/v1/Chassis/HGX_GPU_SXM_2')
    assert chassis['SerialNumber'] == first


def test_vanish_after_bmc(hgx: Client) -> None:
    hgx.box.faults.parse('vanish-after-bmc@HGX_FW_GPU_SXM_4')
    hgx.post('/redfish/v1/Managers/BMC_0/Actions/Manager.Reset')
    hgx.box.advance(91)
    assert hgx.send('GET', f'{GPUS}/GPU_SXM_4').status == 404


def test_equal_refused(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('equal-refused')
    pldm_bundle(image, {'gpu': hgx.version('HGX_FW_GPU_SXM_1')})
    reply = hgx.push(image, {'Targets': []})
    assert reply.status == 400
    assert 'SUP029' in reply.body['error']['code']


def test_control_is_not_bmc_traffic(hgx: Client, image: Path) -> None:
    hgx.post('/_twin/fault', {'name': 'foreign-task', 'value': 100})
    hgx.post('/_twin/fault', {'name': 'foreign-copy'})
    hgx.post('/_twin/clock', {'advance': 10})
    hgx.post('/_twin/device', {'device': 'GPU_SXM_2', 'present': False})
    drift = {'component': 'HGX_FW_FPGA_0', 'running': '9.9'}
    hgx.post('/_twin/device', drift)
    bad = hgx.post('/_twin/device', {'device': 'GPU_SXM_99'})
    assert bad.status == 400
    state = hgx.get('/_twin/state')
    assert state['time'] == 10
    assert not state['devices']['GPU_SXM_2']['shown']
    assert set(state['copying'].values()) == {'InProgress'}
    assert hgx.box.ledger.requests == []
    assert hgx.version('HGX_FW_FPGA_0') == '9.9'
    assert hgx.push(image, {'Targets': []}).status == 503
    tasks = hgx.get('/redfish/v1/TaskService/Tasks')
    assert tasks['Members@odata.count'] == 1
    assert hgx.get('/_twin/ledger')['by_method'] == {'GET': 3, 'POST': 1}
    assert hgx.get(UPDATE)['MultipartHttpPushUri']
