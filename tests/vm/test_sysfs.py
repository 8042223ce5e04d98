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

"""What the local backend reads and writes, judged by the kernel and lspci."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.vm import hardware
from tests.vm.hardware import NIC0
from tests.vm.hardware import NIC1
from tests.vm.hardware import NVME
from tests.vm.harness.guest import Guest

DEVICES = '/sys/bus/pci/devices'
SECONDS = 60.0


def device(machine: Guest, address: str) -> dict[str, Any] | None:
    """A device of an inventory that is read now."""
    found = [d for d in machine.call('observe')['devices']
             if d['address'] == address]
    assert len(found) < 2
    return found[0] if found else None


def can(machine: Guest) -> dict[str, Any]:
    """What can be set and reset now, by address."""
    ids = {d['id']: d['address'] for d in machine.call('observe')['devices']}
    now = machine.call('can')
    return {'sets': {(ids[i], name) for i, name in now['sets']},
            'resets': {ids[i]: how for i, how in now['resets'].items()}}


def identity(machine: Guest, address: str) -> str:
    """The id of a device."""
    found = device(machine, address)
    assert found is not None
    return str(found['id'])


def virtual(machine: Guest, address: str) -> int:
    """How many virtual functions the kernel has of a device."""
    names = machine.check('ls', f'{DEVICES}/{address}').split()
    return sum(n.startswith('virtfn') for n in names)


def vfs(found: dict[str, Any] | None) -> Any:
    """The mode ``vfs`` of a device."""
    assert found is not None
    return found['modes']['vfs']['current']


def set_vfs(machine: Guest, address: str, wanted: int) -> dict[str, Any]:
    """The one result of a write of the mode ``vfs``."""
    said = machine.call('do', verb='set', name='vfs', wanted=wanted,
                        device=identity(machine, address))
    result, = said['results']
    return dict(result)


def finish(machine: Guest, ticket: dict[str, Any]) -> dict[str, Any]:
    """The end of a write."""
    until = time.monotonic() + SECONDS
    while (said := machine.call('poll', ticket=ticket))['state'] == 'Running':
        assert time.monotonic() < until, said
        time.sleep(0.2)
    return dict(said)


@pytest.fixture
def unbound(machine: Guest) -> Any:
    """nic0 without a driver."""
    machine.check('sh', '-c', f'echo {NIC0} > /sys/bus/pci/drivers/igb/unbind')
    yield
    machine.check('sh', '-c', f'test -e {DEVICES}/{NIC0}/driver || '
                              f'echo {NIC0} > /sys/bus/pci/drivers/igb/bind')


def test_the_devices_are_those_of_lspci(machine: Guest) -> None:
    blocks = machine.check('lspci', '-Dvmmn').strip().split('\n\n')
    known = {}
    for block in blocks:
        fields = dict(re.split(r':\t', line, maxsplit=1)
                      for line in block.splitlines())
        known[fields['Slot']] = fields
    found = {d['address']: d for d in machine.call('observe')['devices']}
    # Bridges, disks of the platform and the rest are no products.
    assert set(found) == {NIC0, NIC1, NVME}
    for address, one in found.items():
        said = known[address]
        assert one['pci'] == {
            'vendor_id': said['Vendor'], 'device_id': said['Device'],
            'subsystem_vendor_id': said['SVendor'],
            'subsystem_id': said['SDevice']}, address
    assert known[NIC0]['Class'] == '0200'
    assert known[NVME]['Class'] == '0108'


def test_the_platform_is_what_the_firmware_says(machine: Guest) -> None:
    seen = machine.call('observe')
    assert seen['system'] == hardware.UUID == machine.check(
        'dmidecode', '-s', 'system-uuid').strip().lower()
    assert seen['boot'] == machine.read('/proc/sys/kernel/random/boot_id')
    nic0, nic1 = device(machine, NIC0), device(machine, NIC1)
    assert nic0 is not None and nic1 is not None
    # QEMU makes the table before buses have numbers: its slot is nowhere.
    said = machine.check('dmidecode', '-t', '9')
    assert hardware.SLOT in said and 'Bus Address: 00ff:ff' in said
    assert nic0['location'] is None
    # The platform gives the buses behind pcie.0 no node.
    assert [machine.read(f'{DEVICES}/{at}/numa_node')
            for at in (NIC0, NIC1)] == ['-1', '1']
    assert (nic0['numa_node'], nic1['numa_node']) == (None, 1)
    mac = machine.check('sh', '-c', f'cat {DEVICES}/{NIC0}/net/*/address')
    assert nic0['macs'] == [mac.strip()]
    assert f"{nic0['link']['speed']}" in (machine.read(
        f'{DEVICES}/{NIC0}/current_link_speed') or '')


def test_a_device_without_vpd_has_no_serial_and_lacks_nothing(
        machine: Guest) -> None:
    seen = machine.call('observe')
    assert machine.read(f'{DEVICES}/{NIC0}/vpd') is None
    assert not [u for u in seen['unread'] if u['about'] == NIC0]
    nic0 = device(machine, NIC0)
    assert nic0 is not None and nic0['serial'] is None


@pytest.mark.parametrize('wanted', [3, 5, 0, 2])
def test_virtual_functions_are_set_and_read_back(
        machine: Guest, wanted: int) -> None:
    assert set_vfs(machine, NIC0, wanted)['ok']
    assert virtual(machine, NIC0) == wanted
    assert vfs(device(machine, NIC0)) == wanted


def test_the_kernel_refuses_another_number_and_we_go_by_way_of_zero(
        machine: Guest) -> None:
    set_vfs(machine, NIC0, 2)
    path = f'{DEVICES}/{NIC0}/sriov_numvfs'
    raw = machine.run('sh', '-c', f'echo 3 > {path}')
    assert raw.rc, 'the kernel has changed its rule'
    set_vfs(machine, NIC0, 3)
    assert virtual(machine, NIC0) == 3


def test_more_than_the_device_has_changes_nothing(machine: Guest) -> None:
    set_vfs(machine, NIC0, 2)
    total = int(machine.read(f'{DEVICES}/{NIC0}/sriov_totalvfs') or 0)
    result = set_vfs(machine, NIC0, total + 1)
    assert not result['ok']
    assert result['detail']['seen'] == str(total)
    assert virtual(machine, NIC0) == 2


def test_a_virtual_function_that_is_passed_on_rules_writes_out(
        machine: Guest) -> None:
    set_vfs(machine, NIC0, 1)
    name = machine.check('readlink', f'{DEVICES}/{NIC0}/virtfn0').strip()[-12:]
    machine.check('modprobe', 'pci-stub')
    machine.check('sh', '-c', f'echo pci-stub > {DEVICES}/{name}/'
                  f'driver_override; test ! -e {DEVICES}/{name}/driver || '
                  f'echo {name} > {DEVICES}/{name}/driver/unbind; '
                  f'echo {name} > /sys/bus/pci/drivers_probe')
    try:
        seen = machine.call('observe')
        assert any('pci-stub' in str(w) and name in str(w)
                   for w in seen['warnings']), seen['warnings']
        now = can(machine)
        assert (NIC0, 'vfs') not in now['sets']
        assert (NIC1, 'vfs') in now['sets']
        assert not set_vfs(machine, NIC0, 0)['ok']
        assert virtual(machine, NIC0) == 1
    finally:
        machine.check('sh', '-c', f'echo {name} > /sys/bus/pci/drivers/'
                                  'pci-stub/unbind')
        set_vfs(machine, NIC0, 0)


def test_slot_power_resets_a_card_without_a_driver(
        machine: Guest, unbound: None) -> None:
    assert can(machine)['resets'].get(NIC0) == 'device-reset'
    ticket = machine.call('start', verb='reset',
                          device=identity(machine, NIC0))
    # QEMU ejects the card of a slot without power: it has to be put back.
    machine.wait_event('DEVICE_DELETED', device='nic0')
    assert device(machine, NIC0) is None
    machine.qmp('device_add', **hardware.AGAIN)
    said = finish(machine, ticket)
    assert all(r['ok'] for r in said['results'])
    assert device(machine, NIC0) is not None


def test_a_card_in_use_is_not_reset(machine: Guest) -> None:
    assert NIC0 not in can(machine)['resets']
    said = machine.call('do', verb='reset',
                          device=identity(machine, NIC0))
    assert [r['ok'] for r in said['results']] == [False]
    assert (machine.read(f'{DEVICES}/{NIC0}/vendor')) == '0x8086'


def test_a_card_is_seen_to_come_and_to_go(machine: Guest) -> None:
    assert device(machine, hardware.EMPTY) is None
    machine.qmp('device_add', **hardware.NEW)
    until = time.monotonic() + SECONDS
    while (found := device(machine, hardware.EMPTY)) is None:
        assert time.monotonic() < until
    assert found['product'] == 'qemu-igb'
    machine.qmp('device_del', id='nic2')
    machine.wait_event('DEVICE_DELETED', device='nic2')
    assert device(machine, hardware.EMPTY) is None


def test_a_foreign_process_that_writes_firmware_is_waited_for(
        machine: Guest) -> None:
    machine.check('sh', '-c', "printf '#!/bin/sh\nsleep 300\n' > "
                  '/run/mstflint; chmod +x /run/mstflint; '
                  f'setsid /run/mstflint -d {NIC0} burn > /dev/null 2>&1 & '
                  'echo $! > /run/pid')
    pid = machine.read('/run/pid')
    try:
        busy, = machine.call('observe')['busy']
        assert 'mstflint' in busy['summary'] and NIC0 in busy['summary']
        with pytest.raises(Exception, match='mstflint'):
            machine.call('start', verb='set', name='vfs', wanted=1,
                         device=identity(machine, NIC0))
        # The process writes another card.
        assert set_vfs(machine, NIC1, 1)['ok']
    finally:
        machine.check('sh', '-c', f'kill -9 -{pid} || kill -9 {pid}')
    assert machine.call('observe')['busy'] == []


def test_a_job_that_a_reboot_cuts_is_unknown_afterwards(
        machine: Guest, unbound: None) -> None:
    before = machine.call('observe')['boot']
    ticket = machine.call('start', verb='reset',
                          device=identity(machine, NIC0))
    machine.wait_event('DEVICE_DELETED', device='nic0')
    machine.reset()
    assert machine.call('observe')['boot'] != before
    said = machine.call('poll', ticket=ticket)
    assert said['state'] == 'Unknown' and 'rebooted' in said['reason']
    assert device(machine, NIC0) is None
    machine.qmp('device_add', **hardware.AGAIN)
    until = time.monotonic() + SECONDS
    while device(machine, NIC0) is None:
        assert time.monotonic() < until
    # Nothing of before is left: virtual functions do not outlive a reboot.
    assert vfs(device(machine, NIC1)) == 0
