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

"""QAT services, virtual functions and slot power, by files of sysfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_accel.inband.tools.qat import tool as qat
from ironic_accel.inband.tools.sriov import tool as sriov
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Mode
from ironic_accel.model.plan import Item
from tests.unit.inband.tools import bench

QAT = '0000:6b:00.0'
NIC = '0000:17:00.0'


def _services(*words: str) -> Item:
    return Item('card', 'services', 'mode', words)


def test_services_are_a_set_in_one_order(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    bench.files(tmp_path, f'sys/bus/pci/devices/{QAT}/qat', state='up\n',
                cfg_services='dc;asym;sym\n')
    assert qat.services(host, QAT) == ('sym', 'asym', 'dc')


def test_services_that_the_driver_refuses(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    where = bench.files(tmp_path, f'sys/bus/pci/devices/{QAT}/qat',
                        state='up\n')
    (where / 'cfg_services').mkdir()
    device = bench.device('crypto', QAT, Mode('services', ('sym',)))
    results = qat.Qat().set(host, device, [_services('dc')], bench.quiet)
    assert [r.ok for r in results] == [False]
    detail = results[0].detail
    assert detail is not None and 'cfg_services' in detail.summary
    assert (where / 'state').read_text().strip() == 'up'


def test_invalid_services_are_ignored(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    device = bench.device('crypto', QAT, Mode('services', ('sym',)))
    results = qat.Qat().set(host, device, [_services('magic')], bench.quiet)
    assert [r.ok for r in results] == [False]


def test_qat_is_reset_by_its_state(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    device = bench.device('crypto', QAT)
    assert qat.Qat().resets(host, device) is Activation.NONE
    where = bench.files(tmp_path, f'sys/bus/pci/devices/{QAT}/qat',
                        state='up\n')
    assert qat.Qat().resets(host, device) is Activation.DEVICE_RESET
    assert qat.Qat().reset(host, device, Activation.DEVICE_RESET,
                           bench.quiet) == ()
    assert (where / 'state').read_text() == 'up'


@pytest.mark.parametrize('wanted', [0, 16])
def test_vfs(tmp_path: Path, wanted: int) -> None:
    host = bench.host(tmp_path)
    where = bench.files(tmp_path, f'sys/bus/pci/devices/{NIC}',
                        sriov_totalvfs='16\n', sriov_numvfs='4\n')
    item = Item('card', 'vfs', 'mode', wanted)
    results = sriov.Sriov().set(host, bench.device('nic', NIC), [item],
                                bench.quiet)
    assert [r.ok for r in results] == [True]
    assert (where / 'sriov_numvfs').read_text() == str(wanted)


def test_more_vfs_than_there_are(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    where = bench.files(tmp_path, f'sys/bus/pci/devices/{NIC}',
                        sriov_totalvfs='16\n', sriov_numvfs='4\n')
    item = Item('card', 'vfs', 'mode', 17)
    results = sriov.Sriov().set(host, bench.device('nic', NIC), [item],
                                bench.quiet)
    detail = results[0].detail
    assert detail is not None
    assert (detail.expected, detail.seen) == ('17', '16')
    assert (where / 'sriov_numvfs').read_text() == '4\n'


def _slot(folder: Path, card: str = '0000:17:00') -> Path:
    bench.files(folder, f'sys/bus/pci/devices/{NIC}', vendor='0x15b3\n')
    return bench.files(folder, 'sys/bus/pci/slots/3', address=f'{card}\n',
                       power='1\n')


def test_slot_power_of_a_card_without_a_driver(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    slot = _slot(tmp_path)
    device = bench.device('nic', NIC)
    assert sriov.Sriov().resets(host, device) is Activation.DEVICE_RESET
    assert sriov.Sriov().reset(host, device, Activation.DEVICE_RESET,
                               bench.quiet) == ()
    assert (slot / 'power').read_text() == '1'


def test_slot_power_is_refused_while_a_driver_is_bound(
        tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    slot = _slot(tmp_path)
    other = bench.files(tmp_path, 'sys/bus/pci/devices/0000:17:00.1')
    (other / 'driver').symlink_to('../../../bus/pci/drivers/mlx5_core')
    device = bench.device('nic', NIC)
    assert sriov.Sriov().resets(host, device) is Activation.NONE
    results = sriov.Sriov().reset(host, device, Activation.DEVICE_RESET,
                                  bench.quiet)
    assert [r.ok for r in results] == [False]
    detail = results[0].detail
    assert detail is not None
    assert detail.seen == '0000:17:00.1 (mlx5_core)'
    assert (slot / 'power').read_text() == '1\n'


def test_card_that_does_not_appear_after_slot_power_is_a_failure(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sriov, 'BACK', 0.0)
    host = bench.host(tmp_path)
    _slot(tmp_path)
    (tmp_path / 'root/sys/bus/pci/devices' / NIC / 'vendor').unlink()
    results = sriov.Sriov().reset(host, bench.device('nic', NIC),
                                  Activation.DEVICE_RESET, bench.quiet)
    assert [r.ok for r in results] == [False]


def test_another_slot_is_not_touched(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    slot = _slot(tmp_path, '0000:18:00')
    device = bench.device('nic', NIC)
    assert sriov.Sriov().resets(host, device) is Activation.NONE
    assert not sriov.Sriov().reset(host, device, Activation.DEVICE_RESET,
                                   bench.quiet)[0].ok
    assert (slot / 'power').read_text() == '1\n'
