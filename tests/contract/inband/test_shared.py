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

"""One box seen both ways: by Redfish outside, by the tools inside."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import time

import pytest

from ironic_accel.converge.ports import Ready
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine import pci_functions
from ironic_accel.inband.tools.alveo import tool as alveo
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.mellanox import tool as mellanox
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.plan import Item
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import images
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside.shared import Inside
from ironic_accel_emulator import load_box


def _quiet(summary: str, percent: int | None) -> None:
    """Nobody listens."""


@pytest.fixture
def box() -> Box:
    return load_box('pcie-a100', clock=FakeClock())


@pytest.fixture
def inside(box: Box, tmp_path: Path,
           monkeypatch: pytest.MonkeyPatch) -> Inside:
    found = Inside(box, '1', tmp_path)
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(found.state.path))
    return found


@pytest.fixture
def host(inside: Inside) -> Machine:
    return Machine(str(inside.root), str(inside.path),
                   {'pynvml': nvml.__name__})


def _told(host: Machine, family: Family, address: str) -> DeviceReading:
    found = [f for f in pci_functions.scan(host)
             if f.address == address]
    seen = family.read(host, found)
    return seen.devices[address]


def _device(host: Machine, family: Family, kind: str, address: str) -> Device:
    told = _told(host, family, address)
    return Device('card', kind, address=address, fit=told.fit,
                  components=told.components, modes=told.modes)


def _restart(box: Box, kind: str = 'GracefulRestart') -> None:
    box.power.reset(box.hosts['1'], kind)
    box.advance(600)
    box.advance(600)


def test_serials_are_the_same_on_both_sides(inside: Inside,
                                            host: Machine) -> None:
    gpu = _told(host, nvidia_gpu.NvidiaGpu(), inside.addresses['GPU2'])
    card = _told(host, alveo.Alveo(), inside.addresses['FPGA1'])
    assert gpu.serial == '1324521000002'
    assert card.serial == 'XFL1ABCDEFG1'
    nic = next(f for f in pci_functions.scan(host)
               if f.address == inside.addresses['NIC6'])
    assert nic.serial == 'MT2245X00002'


def test_update_in_band_is_visible_out_of_band_after_the_reset(
        box: Box, inside: Inside, host: Machine, tmp_path: Path) -> None:
    family = mellanox.Mellanox()
    card = _device(host, family, 'nic', inside.addresses['NIC6'])
    path = tmp_path / 'image'
    digest = images.mlnx_image(path, '28.43.1014', 'MT_0000000834')
    results = family.update(
        host, card, [Item('card', 'nic', 'firmware', '28.43.1014')],
        Ready(str(path), path.stat().st_size, digest), None, False, _quiet)
    assert [r.ok for r in results] == [True]
    part = box.components['NIC6_ConnectX-7']
    before = box.document(part.uri)
    assert before is not None and before['Version'] == '28.38.1002'
    assert part.pending == '28.43.1014'
    _restart(box)
    after = box.document(part.uri)
    assert after is not None and after['Version'] == '28.43.1014'
    told = _told(host, family, card.address or '')
    assert [(c.running, c.pending) for c in told.components] == [
        ('28.43.1014', None)]


def test_reset_in_band_is_visible_out_of_band(box: Box, inside: Inside,
                                       host: Machine, tmp_path: Path) -> None:
    family = mellanox.Mellanox()
    card = _device(host, family, 'nic', inside.addresses['NIC6'])
    inside.state.write_firmware(card.address or '', 'nic', '28.43.1014')
    assert family.reset(host, card, Activation.DEVICE_RESET, _quiet) == ()
    inside.sync()
    assert box.components['NIC6_ConnectX-7'].running == '28.43.1014'


def test_mig_set_in_band_is_visible_out_of_band(
        box: Box, inside: Inside, host: Machine) -> None:
    family = nvidia_gpu.NvidiaGpu()
    card = _device(host, family, 'gpu', inside.addresses['GPU1'])
    item = Item('card', 'mig', 'mode', 'enabled')
    assert [r.ok for r in family.set(host, card, [item], _quiet)] == [True]
    inside.sync()
    assert box.modes['GPU1/mig'].pending is True
    assert family.reset(host, card, Activation.DEVICE_RESET, _quiet) == ()
    inside.sync()
    after = {m: (box.modes[m].current, box.modes[m].pending)
             for m in ('GPU1/mig', 'GPU2/mig')}
    assert after == {'GPU1/mig': (True, None), 'GPU2/mig': (False, None)}


def test_update_out_of_band_is_visible_in_band(box: Box, inside: Inside,
                                              host: Machine) -> None:
    box.components['Alveo_FPGA1_SHELL'].stage(
        'xilinx_u55c_gen3x16_xdma_base_3', '')
    _restart(box, 'PowerCycle')
    told = _told(host, alveo.Alveo(), inside.addresses['FPGA1'])
    assert {c.name: c.running for c in told.components} == {
        'shell': 'xilinx_u55c_gen3x16_xdma_base_3', 'sc': '7.1.20'}


def test_settings_hidden_from_the_bmc_are_pending_until_the_power_cycle(
        box: Box, inside: Inside, host: Machine) -> None:
    family = mellanox.Mellanox()
    card = _device(host, family, 'dpu', inside.addresses['NIC5'])
    item = Item('card', 'mode', 'mode', 'nic')
    assert [r.ok for r in family.set(host, card, [item], _quiet)] == [True]
    for kind, mode in (('GracefulRestart', 'dpu'), ('PowerCycle', 'nic')):
        _restart(box, kind)
        told = _told(host, family, card.address or '')
        assert next(m.current for m in told.modes
                    if m.name == 'mode') == mode


def test_another_process_finds_the_library(inside: Inside) -> None:
    code = ('import pynvml as p; p.nvmlInit(); print(p.nvmlDeviceGetSerial('
            f'p.nvmlDeviceGetHandleByPciBusId(b"{inside.addresses["GPU1"]}"'
            ')))')
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True,
        env={**os.environ, **inside.environment}, timeout=60, check=True)
    assert done.stdout.strip() == '1324521000001'


def _slow_burn(inside: Inside, folder: Path, pace: float
               ) -> subprocess.Popen[bytes]:
    with inside.state.change() as document:
        document['pace'] = pace
    images.mlnx_image(folder / 'image', '28.43.1014', 'MT_0000000834')
    running = subprocess.Popen(
        [inside.path / 'mstflint', '-d', inside.addresses['NIC6'], '-i',
         folder / 'image', '-y', 'burn'], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not inside.state.read()['cards'][inside.addresses['NIC6']][
            'parts']['nic'].get('flashing'):
        assert time.monotonic() < until and running.poll() is None
        time.sleep(0.01)
    return running


def test_reset_during_an_update_breaks_the_card(
        box: Box, inside: Inside, host: Machine, tmp_path: Path) -> None:
    running = _slow_burn(inside, tmp_path, 60.0)
    _restart(box)
    running.kill()
    running.wait()
    assert [v.kind for v in box.ledger.violations] == [
        'reset during a flash']
    assert box.devices['NIC6'].bricked
    assert not box.devices['NIC5'].bricked
    seen = mellanox.Mellanox().read(host, [
        f for f in pci_functions.scan(host)
        if f.address == inside.addresses['NIC6']])
    told = seen.devices[inside.addresses['NIC6']]
    assert told.components == ()
    assert any('Cannot open Device' in u.answer and 'firmware:nic' in u.facts
               for u in told.unread)


def test_update_that_is_not_interrupted_succeeds(
        box: Box, inside: Inside, tmp_path: Path) -> None:
    assert _slow_burn(inside, tmp_path, 0.2).wait(60) == 0
    _restart(box)
    assert box.components['NIC6_ConnectX-7'].running == '28.43.1014'
    assert box.ledger.violations == []


@pytest.mark.parametrize(('name', 'host_id', 'gpus'), [
    ('hgx-h100', 'System_0', 8), ('two-nodes', 'Node1', 2),
    ('plain', '1', 0)])
def test_shipped_systems_have_in_band_data(
        name: str, host_id: str, gpus: int, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Inside(load_box(name, clock=FakeClock()), host_id, tmp_path)
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(inside.state.path))
    host = Machine(str(inside.root), str(inside.path),
                   {'pynvml': nvml.__name__})
    seen = nvidia_gpu.NvidiaGpu().read(
        host, [f for f in pci_functions.scan(host) if f.vendor_id == '10de'])
    assert len({t.serial for t in seen.devices.values()} - {None}) == gpus
