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

"""DMTF's own client, redfish-utilities, against the shipped boxes.

A twin that only our reader understands would prove nothing. These commands
know neither: they walk the tree, list firmware, push images and reset hosts
by the specification, and what they print is held against the twin's state.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import json
from pathlib import Path
import subprocess
import sys

import pytest
import requests

from ironic_accel_emulator import Box
from ironic_accel_emulator import images
from ironic_accel_emulator import load_box
from ironic_accel_emulator import ScaledClock
from ironic_accel_emulator import shipped
from ironic_accel_emulator import TwinServer

pytest.importorskip('redfish_utilities')

INVENTORY = '/redfish/v1/UpdateService/FirmwareInventory'


@dataclasses.dataclass
class Client:
    """A twin and the commands of redfish-utilities for it."""

    box: Box
    url: str
    folder: Path
    password: str = 'secret'

    def run(self, command: str, *arguments: str
            ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        script = Path(sys.executable).parent / f'rf_{command}.py'
        return subprocess.run(
            [sys.executable, str(script), '-u', 'admin',
             '-p', self.password, '-r', self.url, *arguments],
            capture_output=True, text=True, timeout=240, cwd=self.folder,
            check=False)

    def says(self, command: str, *arguments: str) -> str:
        """What a command prints that succeeds."""
        done = self.run(command, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def firmware(self) -> dict[str, str]:
        """The versions that the client lists, by Id."""
        rows = (line.split('|') for line in self.says(
            'firmware_inventory', '-i').splitlines() if '|' in line)
        return {name.strip(): version.strip() for name, version in rows}

    def pass_time(self, seconds: float) -> None:
        """Let simulated time pass."""
        requests.post(f'{self.url}/_twin/clock', json={'advance': seconds},
                      timeout=10).raise_for_status()


Start = Callable[[str], Client]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Start]:
    """Starts a box: twenty minutes of flashing take about a second."""
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Client:
            box = load_box(name, clock=ScaledClock(1000), user='admin',
                           password='secret')
            return Client(box, stack.enter_context(TwinServer(box)),
                          tmp_path)

        yield start


def running(box: Box) -> dict[str, str]:
    """The versions that run, by the twin's own account."""
    return {part.id: part.running for part in box.components.values()}


def serials(box: Box) -> set[str]:
    """The serial numbers that hosts and devices have, placeholders aside."""
    uris = [*(h.uri for h in box.hosts.values()),
            *(d.uris[0] for d in box.devices.values())]
    found = {(box.documents.see(u) or {}).get('SerialNumber') for u in uris}
    return {s for s in found if s and s != 'NA'}


@pytest.mark.parametrize('name', shipped())
def test_every_device_is_in_its_inventory(client: Start, name: str) -> None:
    at = client(name)
    text = at.says('sys_inventory', '-details')
    printed = {line.rsplit(':', 1)[1].strip() for line in text.splitlines()
               if 'SerialNumber:' in line}
    wanted = serials(at.box)
    assert wanted
    assert wanted <= printed
    assert not at.box.ledger.writes


@pytest.mark.parametrize('name', shipped())
def test_it_lists_the_firmware_that_runs(client: Start, name: str) -> None:
    at = client(name)
    assert at.firmware() == running(at.box)


def test_a_multipart_update_lands_and_runs_after_a_power_cycle(
        client: Start, tmp_path: Path) -> None:
    at = client('pcie-a100')
    image = tmp_path / 'nic-fw'
    digest = images.mlnx_image(image, '32.43.1014', 'MT_0000000884')
    target = f'{INVENTORY}/NIC5_BlueField-3'
    text = at.says('update', '-i', str(image), '-t', target)
    assert 'Pushing the image to the service directly' in text
    assert 'Task is Done!' in text
    push, = at.box.ledger.pushes
    assert (push.transport, push.digest, push.targets) == (
        'multipart', digest, (target,))
    assert at.box.ledger.updates() == {('NIC5_BlueField-3', digest): 1}
    assert at.firmware()['NIC5_BlueField-3'] == '32.38.1002'
    at.says('power_reset', '-t', 'PowerCycle')
    at.pass_time(60)
    assert [r.kind for r in at.box.ledger.resets] == ['PowerCycle']
    assert at.firmware()['NIC5_BlueField-3'] == '32.43.1014'
    assert not at.box.ledger.violations


def test_a_multipart_update_without_targets_writes_all_that_fits(
        client: Start, tmp_path: Path) -> None:
    at = client('hgx-h100')
    image = tmp_path / 'bundle'
    digest = images.pldm_bundle(
        image, {'gpu': '96.00.A6.00.01', 'fpga': '3.11'})
    assert 'Task is Done!' in at.says('update', '-i', str(image))
    assert at.box.ledger.pushes[0].targets is None
    assert at.box.ledger.updates() == {
        (name, digest): 1 for name in (
            'HGX_FW_FPGA_0',
            *(f'HGX_FW_GPU_SXM_{n}' for n in range(1, 9)))}


def test_a_simple_update_is_fetched_and_lands(
        client: Start, tmp_path: Path) -> None:
    at = client('plain')
    image = tmp_path / 'nic-fw'
    digest = images.plain_image(image, 'nic', '22.0.0.0')
    target = f'{INVENTORY}/NIC1_Broadcom'
    at.says('update', '-i', image.as_uri(), '-t', target)
    push, = at.box.ledger.pushes
    assert (push.transport, push.targets) == ('simple-update', (target,))
    assert at.box.ledger.updates() == {('NIC1_Broadcom', digest): 1}


def test_what_is_no_image_ends_its_task_and_writes_nothing(
        client: Start, tmp_path: Path) -> None:
    at = client('pcie-a100')
    image = tmp_path / 'junk'
    image.write_text('no firmware')
    before = running(at.box)
    at.says('update', '-i', str(image))
    push, = at.box.ledger.pushes
    task = json.loads(at.says(
        'raw_request', '-req', f'/redfish/v1/TaskService/Tasks/{push.task}'))
    assert task['TaskState'] == 'Exception'
    assert any(m['MessageId'].endswith('VerificationFailed')
               for m in task['Messages'])
    assert (running(at.box), at.box.ledger.writes) == (before, [])


def test_wrong_credentials_are_turned_away(client: Start) -> None:
    at = client('plain')
    at.password = 'wrong'
    done = at.run('sys_inventory')
    assert done.returncode != 0
    assert 'BRCM00000001' not in done.stdout
    assert {e.status for e in at.box.ledger.requests
            if e.path != '/redfish/v1'} <= {401, 200}
    assert any(e.status == 401 for e in at.box.ledger.requests)
