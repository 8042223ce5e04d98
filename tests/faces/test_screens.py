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

"""The screens of ``ironic-accel`` that a new user sees first."""

from __future__ import annotations

import pytest

from tests.faces.conftest import Boot
from tests.faces.conftest import Run


@pytest.fixture(autouse=True)
def small_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('COLUMNS', 'LINES'):
        monkeypatch.delenv(name, raising=False)


def test_the_inventory_of_an_eight_gpu_system_fits_one_screen(
        boot: Boot, run: Run) -> None:
    said = run('inventory', '--bmc', boot('hgx-h100').url)
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, '')
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert any(line.startswith('  8 gpu') for line in lines)
    assert '!' not in said.out


def test_a_gpu_that_differs_stands_out(boot: Boot, run: Run) -> None:
    machine = boot('hgx-h100')
    machine.box.faults.parse('says=/Status/Health:"Critical"@GPU_SXM_3$')
    machine.box.components['HGX_FW_GPU_SXM_3'].running = '96.00.30.00.01'
    said = run('inventory', '--bmc', machine.url)
    lines = said.out.splitlines()
    assert len(lines) <= 24
    [marked] = [line for line in lines if line.startswith('! gpu-')]
    assert marked.split() == ['!', 'gpu-1653223000003', 'Critical', 'gpu',
                              '96.00.30.00.01', '-']
    assert any(line.startswith('  7 gpu') for line in lines)


def test_long_has_a_row_for_each_device(boot: Boot, run: Run) -> None:
    said = run('inventory', '--bmc', boot('hgx-h100').url, '--long')
    for number in range(1, 9):
        assert f'gpu-165322300000{number} ' in said.out
    assert 'GPU_SXM_8' in said.out


def test_show_prints_one_device(boot: Boot, run: Run) -> None:
    url = boot('hgx-h100').url
    said = run('show', 'GPU_SXM_3', '--bmc', url)
    assert (said.code, said.err) == (0, '')
    assert 'gpu-1653223000003' in said.out
    assert 'active after: aux-cycle' in said.out
    assert '1653223000004' not in said.out
    document = run('show', '1653223000003', '--bmc', url, '--json').document
    assert (document['schema'], document['device']['id']) == (
        'device/1', 'gpu-1653223000003')


def test_show_names_the_devices_of_the_system_for_an_unknown_one(
        boot: Boot, run: Run) -> None:
    said = run('show', 'gpu-9', '--bmc', boot('pcie-a100').url)
    assert (said.code, said.out) == (2, '')
    assert "device 'gpu-9' not found" in said.err
    assert 'gpu-1324521000001' in said.err


def test_many_warnings_do_not_push_the_devices_off_the_screen(
        boot: Boot, run: Run) -> None:
    machine = boot('hgx-h100')
    for name in [*machine.box.components][:6]:
        machine.box.faults.parse(f'status=500@FirmwareInventory/{name}$')
    machine.box.faults.parse('expand-error')
    short = run('inventory', '--bmc', machine.url, '--once')
    every = run('inventory', '--bmc', machine.url, '--once', '--long')
    assert len(every.err.splitlines()) > 5
    assert len(short.err.splitlines()) == 5
    assert 'use --long to see them all' in short.err
