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

"""Systems that respond in this process, in simulated time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from ironic_accel_emulator import Box, FakeClock, load_box
from ironic_accel_emulator import virtual
from ironic_accel_emulator.bmc.direct import Network

ROOT = '/redfish/v1'
GPUS = f'{ROOT}/Systems/HGX_Baseboard_0/Processors'


@pytest.fixture
def network() -> Iterator[Network]:
    clock = FakeClock()
    made = Network(clock)
    made.box = load_box('hgx-h100', clock=clock)  # type: ignore[attr-defined]
    made.url = made.add(made.box)  # type: ignore[attr-defined]
    with made, virtual.at(clock):
        yield made


@pytest.fixture
def box(network: Network) -> Box:
    return network.box  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def url(network: Network) -> str:
    return network.url  # type: ignore[attr-defined,no-any-return]


def get(url: str, timeout: float = 30.0) -> requests.Response:
    return requests.get(url, timeout=timeout, allow_redirects=False)


def test_requests_read_and_write_the_system(box: Box, url: str) -> None:
    found = get(f'{url}{ROOT}/Systems/System_0')
    assert found.json()['PowerState'] == 'On'
    assert found.headers['ETag']
    path = f'{ROOT}/Systems/System_0/Actions/ComputerSystem.Reset'
    answer = requests.post(
        url + path, json={'ResetType': 'ForceOff'}, timeout=5
    )
    assert answer.status_code == 204
    time.sleep(5)
    box.tick()
    assert box.hosts['System_0'].power == 'Off'


def test_another_host_is_never_reached(network: Network, url: str) -> None:
    with pytest.raises(requests.ConnectionError, match='no such host'):
        requests.get('http://192.0.2.66/redfish/v1', timeout=1,
                     headers={'X-Auth-Token': 'secret'})
    assert network.strays == ['http://192.0.2.66/redfish/v1 X-Auth-Token']


@pytest.mark.parametrize(('patience', 'waits'), [(30, False), (90, True)])
def test_a_hang_costs_simulated_seconds(
        box: Box, url: str, patience: float, waits: bool) -> None:
    box.faults.parse('hang=60@/Systems$')
    before = time.monotonic()
    if waits:
        assert get(f'{url}{ROOT}/Systems', patience).status_code == 200
    else:
        with pytest.raises(requests.ReadTimeout):
            get(f'{url}{ROOT}/Systems', patience)
    assert time.monotonic() - before == pytest.approx(
        min(60, patience), abs=0.1)


def test_a_dropped_connection_raises_a_connection_error(
        box: Box, url: str) -> None:
    box.faults.parse('refuse#1')
    with pytest.raises(requests.ConnectionError, match='Connection aborted'):
        get(f'{url}{ROOT}')
    assert get(f'{url}{ROOT}').status_code == 200


def test_a_truncated_body_raises_an_error(box: Box, url: str) -> None:
    box.faults.parse('cut@/Systems$')
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(f'{url}{ROOT}/Systems')


@pytest.mark.parametrize(('fault', 'status', 'body'), [
    ('empty', 200, '{}'),
    ('body=[]', 200, '[]'),
    ('body=503:{"error": "busy"}', 503, '{"error": "busy"}'),
    ('status=405', 405, None),
    ('garbage', 200, '<html>{"not": json'),
])
def test_replies_in_place_of_the_correct_one(
        box: Box, url: str, fault: str, status: int, body: str | None
        ) -> None:
    box.faults.parse(f'{fault}@/Systems$')
    found = get(f'{url}{ROOT}/Systems')
    assert found.status_code == status
    assert body is None or found.text == body
    assert get(f'{url}{ROOT}/Systems/System_0').status_code == 200


def test_any_text_as_retry_after(box: Box, url: str) -> None:
    box.faults.parse('busy=a year@/Systems$')
    found = get(f'{url}{ROOT}/Systems')
    assert (found.status_code, found.headers['Retry-After']) == (
        503, 'a year')


def test_another_resource_and_a_redirect(box: Box, url: str) -> None:
    box.faults.parse('other@/Systems$')
    box.faults.parse('redirect@/Chassis$')
    assert get(f'{url}{ROOT}/Systems').json()['@odata.id'] in (
        ROOT, f'{ROOT}/')
    found = get(f'{url}{ROOT}/Chassis')
    assert (found.status_code, found.headers['Location']) == (
        307, f'http://192.0.2.66{ROOT}/Chassis')


def test_a_short_collection_counts_more_than_it_lists(
        box: Box, url: str) -> None:
    box.faults.parse(f'short=2@{GPUS}$')
    found = get(url + GPUS).json()
    assert found['Members@odata.count'] - len(found['Members']) == 2


@pytest.mark.parametrize('query', ['', '$expand=.($levels=1)'])
def test_pages_are_followed_to_the_end(
        box: Box, url: str, query: str) -> None:
    whole = [m['@odata.id'] for m in get(url + GPUS).json()['Members']]
    box.faults.parse(f'pages=3@{GPUS}$')
    at, seen = f'{GPUS}?{query}', []
    while at:
        page = get(url + at).json()
        assert len(page['Members']) <= 3
        assert ('Model' in page['Members'][0]) is bool(query)
        seen += [m['@odata.id'] for m in page['Members']]
        at = page.get('Members@odata.nextLink', '')
    assert seen == whole


def test_expanded_members_lack_a_property(box: Box, url: str) -> None:
    box.faults.parse(f'expand-drops=ProcessorType@{GPUS}$')
    found = get(f'{url}{GPUS}?$expand=.($levels=1)').json()
    assert found['Members']
    assert not any('ProcessorType' in m for m in found['Members'])
    assert all('Model' in m for m in found['Members'])
    assert 'ProcessorType' in get(
        f'{url}{GPUS}/GPU_SXM_1').json()


def test_absolute_links_and_other_values(
        box: Box, url: str) -> None:
    box.faults.parse('absolute=http://10.0.0.9@/Systems$')
    box.faults.parse('says=/Status/State:"StandbyOffline"@GPU_SXM_1$')
    assert get(f'{url}{ROOT}/Systems').json()['Members'][0][
        '@odata.id'].startswith('http://10.0.0.9/redfish/v1/Systems/')
    assert get(f'{url}{GPUS}/GPU_SXM_1').json()['Status'][
        'State'] == 'StandbyOffline'


def test_a_forgotten_task_continues_its_work(box: Box, url: str) -> None:
    box.faults.parse('task-forgotten=20')
    task = box.updates.start_foreign(600)
    box.faults.task_started(box, task)
    time.sleep(30)
    assert get(url + task.uri).status_code == 404
    assert box.tasks.running == [task]
    time.sleep(600)
    box.tick()
    assert box.tasks.running == []
