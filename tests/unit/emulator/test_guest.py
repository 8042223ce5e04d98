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

"""A guest runs only while its host is on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_accel_emulator.guest import Guest
from tests.unit.emulator.conftest import Client, MakeClient

SYSTEM = '/redfish/v1/Systems/1'
BOOT = 60
# A child process, an orphan in another session, and the boot device, which is
# written last and atomically.
SCRIPT = """
(setsid sleep 1000 & echo $! > {0}/orphan)
sleep 1000 & echo $! > {0}/child
echo $TWIN_BOOT > {0}/part && mv {0}/part {0}/boot
wait
"""


def lives(pid: int) -> bool:
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(')')[2].split()[0] not in 'ZX'


class Machine:
    """A system that is off, and its guest."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.guest = Guest(
            client.box, '1', ['sh', '-c', SCRIPT.format(folder)], {}
        )

    def reset(self, kind: str, seconds: float) -> None:
        assert self.client.reset(kind, '1').status == 204
        self.client.box.advance(seconds)

    def booted(self) -> str:
        """The boot device of the guest, whose processes are running."""
        told = self.folder / 'boot'
        end = time.monotonic() + 20
        while not told.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        text = told.read_text().strip()
        told.unlink()
        assert [lives(p) for p in self.pids()] == [True, True]
        return text

    def pids(self) -> list[int]:
        return [
            int((self.folder / n).read_text()) for n in ('child', 'orphan')
        ]


@pytest.fixture
def machine(client: MakeClient, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(client('plain', power='Off'), tmp_path)
    yield made
    made.guest.end()


def test_a_guest_runs_only_while_the_host_is_on(machine: Machine) -> None:
    machine.reset('On', 2 + BOOT)
    assert machine.booted() == 'Hdd'
    first = machine.pids()
    machine.reset('ForceRestart', 2 + BOOT)
    assert [lives(p) for p in first] == [False, False]
    machine.booted()
    second = machine.pids()
    assert second != first
    machine.reset('ForceOff', 2)
    assert [lives(p) for p in second] == [False, False]
    assert machine.guest.boots == ['Hdd', 'Hdd']


def test_a_boot_device_that_is_set_once_is_used_up(machine: Machine) -> None:
    machine.client.patch(SYSTEM, {'Boot': {
        'BootSourceOverrideEnabled': 'Once',
        'BootSourceOverrideTarget': 'Pxe'}})  # fmt: skip
    machine.reset('On', 2 + BOOT)
    assert machine.booted() == 'Pxe'
    boot = machine.client.get(SYSTEM)['Boot']
    assert boot['BootSourceOverrideEnabled'] == 'Disabled'
    machine.client.patch(SYSTEM, {'Boot': {
        'BootSourceOverrideEnabled': 'Continuous',
        'BootSourceOverrideTarget': 'Cd'}})  # fmt: skip
    for _ in range(2):
        machine.reset('ForceRestart', 2 + BOOT)
        machine.booted()
    assert machine.guest.boots == ['Pxe', 'Cd', 'Cd']


def test_a_power_cut_before_the_boot_prevents_it(
    machine: Machine,
) -> None:
    machine.reset('On', 2 + BOOT / 2)
    machine.reset('ForceOff', 2 + 2 * BOOT)
    assert machine.guest.boots == []
