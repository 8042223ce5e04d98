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

"""What the families read in what real tools printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.fwupd import tool as fwupd
from ironic_accel.inband.tools.intel_gpu import tool as intel_gpu
from ironic_accel.inband.tools.mellanox import modes as mellanox_modes
from ironic_accel.inband.tools.mellanox import tool as mellanox
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from tests.unit.inband.tools import bench


@pytest.mark.parametrize(('name', 'version', 'psid'), [
    ('bluefield2', '24.33.1048', 'MT_0000000723'),
    ('bluefield3', '32.41.1000', 'MT_0000000998')])
def test_mstflint_query(name: str, version: str, psid: str) -> None:
    found = mellanox.parse_query(
        bench.document(f'mstflint-query-{name}.txt'))
    assert found['PSID'] == psid
    part = mellanox.firmware(found)
    assert part is not None
    assert (part.running, part.pending) == (version, None)
    assert part.shows_pending


def test_mstflint_query_with_an_image_that_waits() -> None:
    text = bench.document('mstflint-query-bluefield3.txt').replace(
        'FW Release Date', 'FW Version(Running):   32.39.1002\n'
        'FW Release Date')
    part = mellanox.firmware(mellanox.parse_query(text))
    assert part is not None
    assert (part.running, part.pending) == ('32.39.1002', '32.41.1000')


def test_mlxconfig_query() -> None:
    raw = json.loads(bench.document('mlxconfig-query.json'))
    modes, unread = mellanox_modes.read(
        raw['Device #1']['tlv_configuration'], None)
    assert {m.name: m.current for m in modes} == {
        'sriov': 'enabled', 'vf-limit': 16}
    assert [m.pending for m in modes] == [None, None]
    assert unread == ()


def test_gpu_tools_query(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    bench.prints(tmp_path, 'nvidia_gpu_tools.py', 'gpu-tools-query-h100.txt',
                 to='2')
    function = Function('0000:3a:00.0', '10de', '2321', '10de', '0001',
                        '030200')
    seen = nvidia_gpu.NvidiaGpu().read(host, [function])
    assert seen.warnings == ()
    assert [(m.name, m.current) for m in
            seen.devices['0000:3a:00.0'].modes] == [('cc', 'off')]


def test_gpu_tools_saying_that_it_was_set_is_not_a_mode(
        tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    bench.prints(tmp_path, 'nvidia_gpu_tools.py', 'gpu-tools-set-h100.txt',
                 to='2')
    function = Function('0000:43:00.0', '10de', '2330', '10de', '0001',
                        '030200')
    seen = nvidia_gpu.NvidiaGpu().read(host, [function])
    told = seen.devices['0000:43:00.0']
    assert [m.current for m in told.modes] == [None, None]
    assert [(u.source, u.facts) for u in told.unread] == [
        ('nvidia_gpu_tools.py', ('mode:cc',)),
        ('nvidia_gpu_tools.py', ('mode:ppcie',))]


def test_xpu_smi_list_of_devices_has_no_versions(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    bench.prints(tmp_path, 'xpu-smi', 'xpu-smi-discovery-list.json')
    function = Function('0000:4d:00.0', '8086', '56c0', '8086', '4905',
                        '038000')
    told = intel_gpu.IntelGpu().read(host, [function]).devices['0000:4d:00.0']
    assert (told.components, told.modes, told.serial) == ((), (), None)


@pytest.mark.parametrize(('ids', 'guid'), [
    # github.com/fwupd/fwupd, issue 7655: PCI\VEN_8086&DEV_A780.
    (('8086', 'a780'), 'd2e34a7c-ed41-5be7-bc67-304c11008b77'),
    # github.com/fwupd/fwupd, issue 4959: NVME\VEN_17AA&DEV_0006.
    (('17aa', '0006'), '70cc283d-bc6c-5b87-9977-17c5f95c3168'),
    # github.com/fwupd/fwupd, issue 10054: NVME\VEN_1ED0&DEV_2283.
    (('1ed0', '2283'), 'ba844351-0db5-5ff2-9662-48c79c149f6b')])
def test_fwupd_guids(ids: tuple[str, str], guid: str) -> None:
    assert guid in fwupd.guids(*ids)
