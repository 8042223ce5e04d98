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

"""The emulator over a real socket, with independent clients."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import sushy
from sushy.resources.system import processor

from ironic_accel_emulator import (
    FakeClock,
    ScaledClock,
    TwinServer,
    cli,
    load_box,
)
from ironic_accel_emulator.images import pldm_bundle

UPDATE = '/redfish/v1/UpdateService'


@pytest.fixture
def hgx() -> Iterator[TwinServer]:
    server = TwinServer(load_box('hgx-h100', clock=FakeClock()))
    with server:
        yield server


def test_sushy_reads_and_powers_the_system(hgx: TwinServer) -> None:
    service = sushy.Sushy(hgx.url)
    host = service.get_system('/redfish/v1/Systems/System_0')
    # The baseboard's system has no Actions, which the schema (ComputerSystem
    # 1.22.0) leaves to the BMC and sushy of 2025.2 requires.
    board = processor.ProcessorCollection(
        service._conn, '/redfish/v1/Systems/HGX_Baseboard_0/Processors')
    models = [p.model for p in board.get_members()]
    assert models.count('NVIDIA H100 80GB HBM3') == 8
    assert host.power_state == sushy.PowerState.ON
    host.reset_system(sushy.ResetType.FORCE_OFF)
    hgx.box.advance(3)
    host.refresh(force=True)
    assert host.power_state == sushy.PowerState.OFF
    inventory = service.get_update_service().firmware_inventory
    assert len(inventory.get_members()) == 52


def test_push_with_expect_and_keep_alive(
    hgx: TwinServer, tmp_path: Path
) -> None:
    image = tmp_path / 'bundle.fwpkg'
    digest = pldm_bundle(image, {'gpu': '96.00.A6.00.01'}, size=3 << 20)
    with requests.Session() as session, image.open('rb') as stream:
        reply = session.post(
            hgx.url + f'{UPDATE}/update-multipart',
            files=[
                ('UpdateParameters', (None, '{}', 'application/json')),
                ('UpdateFile', ('fw', stream, 'application/octet-stream')),
            ],
            headers={'Expect': '100-continue'},
            timeout=30,
        )
        assert reply.status_code == 202
        assert session.get(hgx.url + '/redfish/v1', timeout=30).ok
    assert [push.digest for push in hgx.box.ledger.pushes] == [digest]


def test_a_too_large_body_is_not_requested(hgx: TwinServer) -> None:
    address = urlsplit(hgx.url)
    link = http.client.HTTPConnection(str(address.hostname), address.port)
    link.putrequest('POST', f'{UPDATE}/update')
    link.putheader('Content-Length', str(1 << 40))
    link.putheader('Content-Type', 'application/octet-stream')
    link.putheader('Expect', '100-continue')
    link.endheaders()
    assert link.getresponse().status == 413
    link.close()


def test_an_interrupted_upload_leaves_nothing(hgx: TwinServer) -> None:
    address = urlsplit(hgx.url)
    link = http.client.HTTPConnection(str(address.hostname), address.port)
    link.putrequest('POST', f'{UPDATE}/update')
    link.putheader('Content-Length', '1000')
    link.endheaders(b'only a little')
    link.close()
    assert requests.get(hgx.url + '/redfish/v1', timeout=30).ok
    assert hgx.box.ledger.pushes == []


def test_an_unavailable_bmc_closes_the_connection(hgx: TwinServer) -> None:
    hgx.box.power.bmc_reset('/redfish/v1/Managers/BMC_0')
    with pytest.raises(requests.ConnectionError):
        requests.get(hgx.url + '/redfish/v1', timeout=30)
    hgx.box.advance(91)
    assert requests.get(hgx.url + '/redfish/v1', timeout=30).ok


def test_an_unchanged_etag_returns_no_body(hgx: TwinServer) -> None:
    url = hgx.url + '/redfish/v1/Systems/System_0'
    tag = requests.get(url, timeout=30).headers['ETag']
    same = requests.get(url, headers={'If-None-Match': tag}, timeout=30)
    assert (same.status_code, same.content) == (304, b'')
    requests.patch(url, json={'AssetTag': 'mine'}, timeout=30)
    other = requests.get(url, headers={'If-None-Match': tag}, timeout=30)
    assert other.json()['AssetTag'] == 'mine'
    stale = requests.patch(
        url, json={'AssetTag': 'x'}, headers={'If-Match': tag}, timeout=30
    )
    assert stale.status_code == 412


def test_expand_costs_by_resource(hgx: TwinServer) -> None:
    path = '/redfish/v1/Systems/HGX_Baseboard_0/Processors'
    found = requests.get(
        hgx.url + path + '?$expand=.($levels=1)', timeout=30
    ).json()
    assert found['Members'][0]['Model'] == 'NVIDIA H100 80GB HBM3'
    assert hgx.box.ledger.requests[-1].cost == 20 + 9 * 10
    plain = requests.get(hgx.url + path, timeout=30).json()
    assert set(plain['Members'][0]) == {'@odata.id'}


@pytest.mark.parametrize('text', ['.($levels=9)', 'all', '.($levels=0)'])
def test_an_invalid_expand_returns_400(hgx: TwinServer, text: str) -> None:
    url = f'{hgx.url}/redfish/v1/Systems?$expand={text}'
    assert requests.get(url, timeout=30).status_code == 400


def test_expand_is_refused_if_not_supported() -> None:
    with TwinServer(load_box('plain', clock=FakeClock())) as url:
        reply = requests.get(
            url + '/redfish/v1/Systems?$expand=.', timeout=30
        )
    assert reply.status_code == 501


def test_passwords_and_sessions_over_tls() -> None:
    box = load_box(
        'plain', clock=FakeClock(), user='admin', password='secret'
    )
    server = TwinServer(box, tls=True)
    with server as url, requests.Session() as session:
        session.trust_env = False
        session.verify = str(server.certificate)
        systems = url + '/redfish/v1/Systems'
        assert session.get(url + '/redfish/v1').status_code == 200
        assert session.get(systems).status_code == 401
        assert session.get(systems, auth=('admin', 'x')).status_code == 401
        assert session.get(systems, auth=('admin', 'secret')).ok
        reply = session.post(
            url + '/redfish/v1/SessionService/Sessions',
            json={'UserName': 'admin', 'Password': 'secret'},
        )
        token = {'X-Auth-Token': reply.headers['X-Auth-Token']}
        assert reply.status_code == 201
        assert session.get(systems, headers=token).ok
        box.faults.parse('expire-session#1')
        assert session.get(systems, headers=token).status_code == 401
        assert session.get(systems, headers=token).status_code == 401
    assert server.certificate is not None
    assert not server.certificate.exists()


def test_retry_after_is_in_real_seconds() -> None:
    slow = load_box('plain', clock=FakeClock())
    fast = load_box('plain', clock=ScaledClock(60.0))
    assert slow.retry_after(30) == 30
    assert fast.retry_after(120) == 2
    assert fast.retry_after(1) == 1


def test_events_run_without_a_request() -> None:
    box = load_box('plain', clock=ScaledClock(100.0))
    told: list[str] = []
    off = box.timeline.changed

    def hook(system: str, state: str) -> None:
        told.append(state)
        off.notify_all()

    box.on_power(hook)
    with TwinServer(box), box.lock:
        box.power.reset(box.hosts['1'], 'ForceOff')
        assert off.wait_for(lambda: told == ['Off'], timeout=30)


def test_command_serves_until_it_is_stopped() -> None:
    command = [
        sys.executable, '-m', 'ironic_accel_emulator', '--system', 'pcie-a100',
        '--power', 'off', '--time-scale', '1000',
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said, _, url = process.stdout.readline().strip().rpartition(' ')
        system = requests.get(url + '/redfish/v1/Systems/1', timeout=30)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert (said, code) == ('listening on', 0)
    assert system.json()['PowerState'] == 'Off'


def test_the_deprecated_option_of_the_system_warns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(['--box', 'plain', '--fault', 'x']) == 2
    said = capsys.readouterr().err
    assert '--box is deprecated and will be removed; use --system' in said
    assert "fault: 'x'" in said
    with pytest.raises(SystemExit):
        cli.main(['--box', 'plain', '--capture', 'x.tgz'])


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (['--system', 'nothing'], "system: 'nothing'"),
        (['--system', 'plain', '--fault', 'x'], "fault: 'x'"),
        (['--system', 'plain', '--user', 'me'], 'give both or neither'),
        (['--system', 'plain', '--time-scale', '0'], 'time scale: 0.0'),
        (['--system', 'plain', '--timing', 'flash'], "--timing: 'flash'"),
        (['--system', 'plain', '--timing', 'x=1'], 'options.timing.x: 1.0'),
    ],
)
def test_command_reports_invalid_arguments(
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(arguments) == 2
    assert complaint in capsys.readouterr().err
