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

"""The unit of an instance under a real systemd, with real virtual functions.

The files are those that the ramdisk writes into an instance; the machine
boots with them, as an instance does.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
import time
from typing import Any

import pytest

from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import target
from tests.functional.harness import process
from tests.vm import hardware
from tests.vm.hardware import NIC0
from tests.vm.hardware import NIC1
from tests.vm.harness import guest
from tests.vm.harness.guest import Guest
from tools import vm_images

SECONDS = 120.0
#: What is told of the unit: systemctl(1), show.
FIELDS = ('ActiveState', 'Result', 'ExecMainStatus', 'UnitFileState')
Boot = Callable[..., Guest]


def item(address: str, wanted: int) -> dict[str, Any]:
    """A mode of a document ``first-boot/1``."""
    return {'device': f'nic@{address}', 'address': address,
            'pci': '8086:10c9', 'mode': 'vfs', 'wanted': wanted}


@pytest.fixture
def boot(folder: pathlib.Path, reaper: process.Reaper) -> Iterator[Boot]:
    """Boots an instance with modes that it sets."""
    why = guest.why_not()
    if why is not None:
        pytest.skip(why)
    with contextlib.ExitStack() as stack:
        def made(name: str, *items: dict[str, Any]) -> Guest:
            own = folder / name
            (own / 'instance').mkdir(parents=True)
            deliver.inject(own / 'instance', deliver.files({
                'schema': 'first-boot/1', 'profile': 'vm', 'digest': 'sha256',
                'items': list(items)}))
            return stack.enter_context(guest.Guest(
                own, hardware.arguments(), {'instance': own / 'instance'},
                reaper=reaper))
        yield made


def unit(machine: Guest) -> dict[str, str]:
    """The state of the unit, once it has ended."""
    until = time.monotonic() + SECONDS
    while True:
        told = dict(line.partition('=')[::2] for line in machine.check(
            'systemctl', 'show', deliver.UNIT,
            f"--property={','.join(FIELDS)}").splitlines())
        if told['ActiveState'] in ('active', 'failed'):
            return told
        assert time.monotonic() < until, told
        time.sleep(1)


def numbers(machine: Guest) -> list[str | None]:
    """The virtual functions of both adapters, as the kernel has them."""
    return [machine.read(f'/sys/bus/pci/devices/{at}/sriov_numvfs')
            for at in (NIC0, NIC1)]


def test_a_real_debian_takes_the_files() -> None:
    why = guest.why_not()
    if why is not None:
        pytest.skip(why)
    found = target.examine(vm_images.root('bookworm'))
    assert (found.reasons, found.method) == ((), 'files')


def test_modes_are_set_at_each_boot(boot: Boot) -> None:
    machine = boot('sets', item(NIC0, 3), item(NIC1, 2))
    for boots in range(2):
        if boots:
            machine.reset()
        assert unit(machine) == {
            'ActiveState': 'active', 'Result': 'success',
            'ExecMainStatus': '0', 'UnitFileState': 'enabled'}
        assert numbers(machine) == ['3', '2']


def test_a_mode_that_cannot_be_set_fails_the_unit_and_no_other_mode(
        boot: Boot) -> None:
    machine = boot('fails', item(NIC0, 9), item(NIC1, 2))
    assert unit(machine)['Result'] == 'exit-code'
    assert numbers(machine) == ['0', '2']
    said = machine.check('journalctl', '-u', deliver.UNIT, '--no-pager')
    assert NIC0 in said and 'sriov_numvfs' in said
    # What is mended is set by the next start.
    machine.check('sed', '-i', 's/"wanted": 9/"wanted": 1/',
                  f'/{deliver.DOCUMENT}')
    machine.check('systemctl', 'restart', deliver.UNIT)
    assert unit(machine)['Result'] == 'success'
    assert numbers(machine) == ['1', '2']
