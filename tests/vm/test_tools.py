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

"""What the vendors' and the distribution's own programs print in the machine,
and what the tool families make of it.

No device of the machine is a Mellanox adapter: what counts is that a program
that cannot read its device is never taken for a device without firmware.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import pathlib
import re
from typing import Any

import pytest

from tests.functional.harness import process
from tests.vm import hardware
from tests.vm.hardware import NIC0
from tests.vm.hardware import NVME
from tests.vm.harness import guest
from tests.vm.harness.guest import Guest
from tools import vm_images

#: Nothing is there.
ABSENT = '0000:0f:00.0'


@pytest.fixture(scope='module', params=vm_images.SUITES)
def tools(request: Any, machine: Guest, folder: pathlib.Path,
          reaper: process.Reaper) -> Iterator[Guest]:
    """A machine with the tools of one release of Debian."""
    if request.param == vm_images.SUITES[0]:
        yield machine
        return
    why = guest.why_not(request.param)
    if why is not None:
        pytest.skip(why)
    own = folder / request.param
    own.mkdir()
    with guest.Guest(own, hardware.arguments(), suite=request.param,
                     reaper=reaper) as made:
        yield made


@pytest.mark.parametrize(('address', 'user', 'reason'), [
    (NIC0, None, 'Operation not supported'),
    (ABSENT, None, 'No such file'),
    (NIC0, 'nobody', 'Permission denied')])
def test_mstflint_says_that_it_cannot_open_a_device(
        tools: Guest, address: str, user: str | None, reason: str) -> None:
    said = tools.run('mstflint', '-d', address, '-qq', 'query', user=user)
    assert said.rc == 1
    assert said.out.startswith(f'-E- Cannot open Device: {address}. '), said
    # mstflint 4.31 (Debian 13) gives no reason.
    assert reason in said.out or said.out.strip().endswith(f'{address}.')


def test_what_mstflint_and_mstconfig_cannot_open_is_unread(
        machine: Guest) -> None:
    for address, reason in ((NIC0, 'Operation not supported'),
                            (ABSENT, 'No such file or directory')):
        told = machine.call('ask', family='mellanox', address=address)
        one = told['devices'][address]
        assert one['components'] == [] and told['warnings'] == []
        answers = {u['source']: u['answer'] for u in one['unread']}
        assert reason in answers['mstflint']
        assert 'Failed to open the device' in answers['mstconfig']
        facts = {f for u in one['unread'] for f in u['facts']}
        assert {'firmware:nic', 'identity'} <= facts


def test_firmware_that_fwupd_does_not_list_is_not_reported(
        machine: Guest) -> None:
    """QEMU's controller has one slot, and takes no firmware; fwupd 2.0 does
    not list it.
    """
    log = json.loads(machine.check('nvme', 'fw-log', '/dev/nvme0',
                                   '-o', 'json'))['nvme0']
    assert log['Active Firmware Slot (afi)'] == 1
    assert re.search(r'\(1\.0', log['Firmware Rev Slot 1'])
    refused = machine.run('nvme', 'fw-commit', '/dev/nvme0', '-s', '1',
                          '-a', '1')
    assert refused.rc and 'Invalid Command Opcode' in (
        refused.out + refused.err)
    # The daemon starts on the bus, and looks at all its plug-ins first.
    listed = json.loads(machine.check('fwupdmgr', 'get-devices', '--json',
                                      seconds=400))['Devices']
    assert {d['Plugin'] for d in listed} == {'cpu'}
    seen = machine.call('observe')
    found, = (d for d in seen['devices'] if d['address'] == NVME)
    assert not found['components'] and found['serial'] is None
    assert any(w['uri'] == NVME and 'versions and modes are unknown'
               in w['message'] for w in seen['warnings']), seen['warnings']


def test_a_device_node_is_nobodys_to_read(tools: Guest) -> None:
    said = tools.run('nvme', 'fw-log', '/dev/nvme0', '-o', 'json',
                     user='nobody')
    assert said.rc and 'Permission denied' in said.out + said.err


def test_lspci_ethtool_and_devlink_name_the_device_as_sysfs_does(
        tools: Guest) -> None:
    name = tools.check('ls', f'/sys/bus/pci/devices/{NIC0}/net').strip()
    said = dict(line.partition(': ')[::2] for line in tools.check(
        'ethtool', '-i', name).splitlines())
    assert (said['driver'], said['bus-info']) == ('igb', NIC0)
    # igb is in no devlink: there is nothing to flash with it.
    assert json.loads(tools.check('devlink', 'dev', 'info', '-j')) == {
        'info': {}}
    one = tools.check('lspci', '-Dnn', '-s', NIC0)
    assert one.startswith(NIC0) and '[8086:10c9]' in one
    assert tools.check('lspci', '-Dnn', '-s', ABSENT) == ''
