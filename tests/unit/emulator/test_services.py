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

"""Update and task services of many vendors, each as a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel_emulator.images import pldm_bundle
from tests.unit.emulator.conftest import UPDATE, Client, MakeClient

NEW = '96.00.A6.00.01'
ROOT = '/redfish/v1'
GPUS = [f'{UPDATE}/FirmwareInventory/HGX_FW_GPU_SXM_{n}' for n in (1, 2)]
ECC = {'MemorySummary': {'ECCModeEnabled': False}}
GPU = f'{ROOT}/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1'


@pytest.fixture
def hgx(client: MakeClient) -> Client:
    return client('hgx-h100')


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / 'bundle.fwpkg'
    pldm_bundle(path, {'gpu': NEW}, size=2048)
    return path


def waiting(hgx: Client) -> set[str]:
    """The ids of the components with a pending version."""
    return {c.id for c in hgx.box.components.values() if c.pending == NEW}


@pytest.mark.parametrize(('fault', 'status', 'body'), [
    ('bare', 202, b''), ('bare=200', 200, b''),
    ('success', 200, b'Success')])
def test_a_push_is_accepted_without_a_task(
        hgx: Client, image: Path, fault: str, status: int, body: bytes
        ) -> None:
    hgx.box.faults.parse(f'{fault}#1')
    reply = hgx.push(image, {'Targets': GPUS})
    assert reply.status == status
    assert 'Location' not in reply.headers
    assert body in reply.encoded()
    assert [t.name for t in hgx.box.tasks.running] == ['Update']
    hgx.box.advance(3000)
    assert len(waiting(hgx)) == 2


@pytest.mark.parametrize('status', [400, 409, 429, 500, 503])
def test_a_push_is_refused_and_leaves_nothing(
        hgx: Client, image: Path, status: int) -> None:
    hgx.box.faults.parse(f'push-refused={status}#1')
    assert hgx.push(image, {'Targets': GPUS}).status == status
    assert hgx.box.ledger.pushes == []
    assert hgx.push(image, {'Targets': GPUS}).status == 202


def test_one_target_at_a_time(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('one-target')
    assert hgx.push(image, {'Targets': GPUS}).status == 400
    assert hgx.push(image, {'Targets': GPUS[:1]}).status == 202
    hgx.box.advance(3000)
    assert waiting(hgx) == {'HGX_FW_GPU_SXM_1'}


def test_ignored_targets(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('targets-ignored')
    hgx.push(image, {'Targets': GPUS[:1]})
    hgx.box.advance(3000)
    assert len(waiting(hgx)) == 8
    assert hgx.box.ledger.pushes[0].targets == (GPUS[0],)


def test_a_job_of_the_job_service(hgx: Client, image: Path) -> None:
    assert 'JobService' not in hgx.get(ROOT)
    hgx.box.faults.parse('jobs')
    reply = hgx.push(image, {'Targets': GPUS})
    place = reply.headers['Location']
    assert (place, reply.body) == (f'{ROOT}/JobService/Jobs/JID_0', None)
    jobs = hgx.get(hgx.get(hgx.get(ROOT)['JobService']['@odata.id'])[
        'Jobs']['@odata.id'])
    assert [m['@odata.id'] for m in jobs['Members']] == [place]
    assert hgx.get(f'{ROOT}/TaskService/Tasks')['Members'] == []
    assert hgx.get(place)['JobState'] == 'Running'
    hgx.box.advance(3000)
    done = hgx.get(place)
    assert (done['JobState'], done['PercentComplete']) == ('Completed', 100)


@pytest.mark.parametrize('root_lists', [True, False])
def test_a_job_of_an_idrac(client: MakeClient, capture: Any,
                           root_lists: bool) -> None:
    dell = client(capture('dell-r750-h100'))
    root = dell.box.documents.get(ROOT) or {}
    if not root_lists:
        root.pop('JobService')
        dell.box.documents.put(ROOT, root)
    dell.box.faults.parse('jobs')
    task = dell.box.updates.start_foreign(60)
    place = '/JobService/' if root_lists else '/Oem/Dell/'
    assert f'{place}Jobs/JID_' in task.uri
    found = dell.get(task.uri)
    assert found['@odata.type'].startswith(
        '#Job.' if root_lists else '#DellJob.')
    assert (found['JobState'], 'JobStatus' in found) == (
        'Running', root_lists)
    assert ('JobService' in dell.get(ROOT)) is root_lists


def test_a_task_that_waits_for_a_reset(hgx: Client, image: Path) -> None:
    hgx.box.faults.parse('task-waits')
    task = str(hgx.push(image, {'Targets': GPUS}).body['@odata.id'])
    hgx.box.advance(3000)
    found = hgx.get(task)
    assert (found['TaskState'], found['PercentComplete']) == (
        'UserIntervention', 100)
    assert hgx.box.tasks.running == []
    hgx.box.faults.clear('task-waits')
    hgx.reset('ForceRestart')
    hgx.box.advance(10)
    assert hgx.get(task)['TaskState'] == 'Completed'


def test_a_monitor_that_returns_an_error(
        hgx: Client, image: Path) -> None:
    reply = hgx.push(image, {'Targets': GPUS})
    hgx.box.faults.parse('monitor-error#1')
    found = hgx.send('GET', reply.headers['Location'])
    assert (found.status, 'error' in found.body) == (200, True)
    assert hgx.send('GET', reply.headers['Location']).status == 202


@pytest.mark.parametrize(('form', 'good', 'bad'), [
    ('weak', lambda tag: tag, lambda tag: tag.removeprefix('W/')),
    ('strong', lambda tag: tag.removeprefix('W/'), lambda tag: tag),
    ('quoted', lambda tag: tag.strip('"').join('""'), lambda tag: tag)])
def test_if_match_in_one_form_only(
        hgx: Client, form: str, good: Any, bad: Any) -> None:
    path = hgx.get(GPU)['@Redfish.Settings']['SettingsObject']['@odata.id']
    hgx.box.faults.parse(f'if-match={form}')
    tag = hgx.send('GET', path).headers['ETag']
    assert hgx.patch(path, ECC).status == 428
    for wrong in (bad(tag), '*', '"x"'):
        found = hgx.send('PATCH', path, ECC, {'if-match': wrong})
        assert found.status == 412, wrong
    assert hgx.box.ledger.writes == []
    found = hgx.send('PATCH', path, ECC, {'if-match': good(tag)})
    assert found.status == 200
    assert [w.item for w in hgx.box.ledger.writes] == ['GPU_SXM_1/ecc']


@pytest.mark.parametrize(('fault', 'path', 'text'), [
    ('hmc-down', GPU, b'HMC communication failed'),
    ('tasks-down', f'{ROOT}/TaskService', b'ServiceTemporarily')])
def test_an_unavailable_service(
        hgx: Client, fault: str, path: str, text: bytes) -> None:
    hgx.box.faults.parse(fault)
    found = hgx.send('GET', path)
    assert found.status == 503
    assert text in found.encoded()
    assert hgx.send('GET', f'{ROOT}/Systems/System_0').status == 200


@pytest.mark.parametrize('fault', [True, False])
def test_a_dpu_in_nic_mode_stays_paused(
        client: MakeClient, fault: bool) -> None:
    dpu = client('bluefield-3')
    if fault:
        dpu.box.faults.parse('nic-mode-offline')
    assert dpu.get(f'{ROOT}/Systems/Bluefield')['PowerState'] == 'On'
    dpu.box.modes['Bluefield/mode'].current = 'NicMode'
    found = dpu.get(f'{ROOT}/Systems/Bluefield')
    assert (found['PowerState'] == 'Paused') is fault
    assert (found['Status']['State'] == 'StandbyOffline') is fault
