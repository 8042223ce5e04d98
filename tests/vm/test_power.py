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

"""A simulated BMC whose host is a virtual machine: power, reset, boot device.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
import pathlib
import shlex
import sys
import time
from typing import Any

import pytest
from qemu.qmp import QMPError

from tests.functional.harness import ports
from tests.functional.harness import process
from tests.functional.harness import rest
from tests.vm import hardware
from tests.vm.harness import guest

SECONDS = 60.0


class Box:
    """The BMC, and the way into its host."""

    def __init__(self, url: str, folder: pathlib.Path) -> None:
        self._bmc = rest.RestClient(url, {})
        self._folder = folder

    @property
    def system(self) -> dict[str, Any]:
        """The document of the host."""
        listed: Any = self._bmc.get('/redfish/v1/Systems')
        found: Any = self._bmc.get(listed['Members'][0]['@odata.id'])
        return dict(found)

    def reset(self, kind: str) -> None:
        """Ask for a reset or a change of power."""
        action = self.system['Actions']['#ComputerSystem.Reset']['target']
        self._bmc.post(action, {'ResetType': kind})

    def boot_from(self, device: str) -> None:
        """Set the device of the next boot."""
        self._bmc.request('PATCH', self.system['@odata.id'], {'Boot': {
            'BootSourceOverrideEnabled': 'Once',
            'BootSourceOverrideTarget': device}})

    def console(self) -> guest.Console | None:
        """The way into the machine; None if none runs."""
        made = guest.Console(self._folder)
        try:
            made.connect()
        except (OSError, QMPError):
            made.close()
            return None
        return made

    def up(self) -> guest.Console:
        """The machine, once it has booted."""
        until = time.monotonic() + SECONDS + guest.BOOT
        while True:
            made = self.console()
            if made is not None:
                try:
                    made.wait_up()
                except guest.GuestError:
                    # That of before a reset ends under our hands.
                    made.close()
                else:
                    return made
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.fixture
def box(folder: pathlib.Path, reaper: process.Reaper) -> Iterator[Box]:
    """A box that is off."""
    why = guest.why_not()
    if why is not None:
        pytest.skip(why)
    own = folder / 'box'
    own.mkdir()
    settings = own / 'settings.json'
    settings.write_text(json.dumps({
        'folder': str(own), 'devices': hardware.arguments(), 'shares': {}}))
    with contextlib.closing(ports.Ports()) as free:
        port = free.take()
        emulator = process.Process('emulator', [
            sys.executable, '-m', 'ironic_accel_emulator', '--port',
            str(port), '--system', 'plain', '--power', 'off',
            '--time-scale', '60', '--inside', str(own / 'inside'),
            '--guest', shlex.join([
                sys.executable, '-m', 'tests.vm.harness.run_machine',
                str(settings)])], folder=own, reaper=reaper)
        emulator.start()
        try:
            emulator.wait_ready(lambda: 'listening on' in emulator.tail())
            yield Box(f'http://127.0.0.1:{port}', own)
        finally:
            emulator.stop()


def test_the_bmc_has_the_power_of_the_machine(box: Box) -> None:
    assert box.console() is None
    box.reset('On')
    machine = box.up()
    first = machine.read('/proc/sys/kernel/random/boot_id')
    assert 'vm.boot=Hdd' in (machine.read('/proc/cmdline') or '')
    machine.close()
    box.boot_from('Pxe')
    box.reset('ForceRestart')
    machine = box.up()
    assert machine.read('/proc/sys/kernel/random/boot_id') != first
    assert 'vm.boot=Pxe' in (machine.read('/proc/cmdline') or '')
    machine.close()
    box.reset('ForceOff')
    until = time.monotonic() + SECONDS
    while (there := box.console()) is not None:
        there.close()
        assert time.monotonic() < until
        time.sleep(0.2)
    assert box.system['PowerState'] == 'Off'
