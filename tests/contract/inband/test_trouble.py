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

"""Trouble in band stays with the card that has it, and is said."""

from __future__ import annotations

import dataclasses
import pathlib
import threading
from typing import Any

import pytest

from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.inband.tools import loader
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.model import condition
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.identity import Source
from ironic_accel.model import unite
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools.state import State
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree
from tests.contract.inband import families
from tests.contract.inband.families import Case

#: A case for each vendor, the driver that holds its cards, and the tool
#: that goes wrong for the second of them.
VENDORS: tuple[tuple[Case, str | None, str], ...] = (
    (families.MELLANOX, 'mlx5_core', 'mstflint'),
    (families.A100, 'nvidia', 'nvml'),
    (families.FLEX, 'i915', 'xpu-smi'),
    (families.MI300X, 'amdgpu', 'amd-smi'),
    (families.OPAE, 'dfl-pci', 'fpgainfo'),
    (families.ALVEO, 'xclmgmt', 'xbmgmt'),
    (families.GAUDI_SPI, None, 'hl-fw-loader'))


def _address(number: int, vendor: int) -> str:
    return f'0000:{0x20 + 0x20 * number + vendor:02x}:00.0'


class Box:
    """A host with two cards of each vendor, and all families on it."""

    def __init__(self, folder: pathlib.Path,
                 vendors: tuple[tuple[Case, str | None, str], ...] = VENDORS,
                 patience: float = 30.0) -> None:
        self.tree = Tree(folder / 'root')
        self.state = State(folder / 'state.json')
        cards: dict[str, Any] = {}
        for number in (0, 1):
            for vendor, (case, driver, _) in enumerate(vendors):
                at = _address(number, vendor)
                f = case.function
                self.tree.add(Card(
                    at, (f.vendor_id, f.device_id, f.subsystem_vendor_id,
                         f.subsystem_id), f.class_code, driver=driver))
                card = dict(case.card)
                if 'serial' in card['facts']:
                    card['facts'] = {
                        **card['facts'],
                        'serial': f"{card['facts']['serial']}{number}"}
                cards[at] = card
        self.state.create(cards)
        names = {t for case, _, _ in vendors for t in case.tools}
        tools.install(folder / 'bin', self.state.path,
                      sorted(names - {'nvml'}))
        self.host = Machine(str(self.tree.root), str(folder / 'bin'),
                         {'pynvml': nvml.__name__})
        found, warnings, _ = loader.load()
        assert warnings == ()
        self.backend = LocalBackend(
            self.host, found, folder=str(folder / 'jobs'),
            patience=patience)

    def trouble(self, kind: str,
                vendors: tuple[tuple[Case, str | None, str], ...] = VENDORS
                ) -> None:
        """Let each vendor's tool go wrong for its second card."""
        for vendor, (_, _, tool) in enumerate(vendors):
            at = _address(1, vendor)
            # fpgainfo is told the parts of an address.
            self.state.fault(tool, kind, on=(
                f'-B 0x{at[5:7]}' if tool == 'fpgainfo' else at))


@pytest.fixture
def box(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    return Box(tmp_path)


def _at(seen: Inventory, address: str) -> Device:
    return next(d for d in seen.devices if d.address == address)


@pytest.mark.parametrize('kind', ['hang', 'garble'])
def test_failing_card_of_each_vendor_affects_no_other(
        box: Box, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    before = box.backend.observe()
    assert before.unread == () and before.complete
    monkeypatch.setattr(common, 'ASK', 8.0)
    box.trouble(kind)
    seen = box.backend.observe()
    assert seen.complete and not seen.busy
    assert all(seen.complete_of(d.kind) for d in seen.devices)
    assert [d.id for d in seen.devices] == [d.id for d in before.devices]
    for vendor, (_, _, tool) in enumerate(VENDORS):
        good = _at(seen, _address(0, vendor))
        assert good == _at(before, good.address or '')
        lost = _at(seen, _address(1, vendor))
        named = [u for u in seen.unread if u.about == lost.id]
        assert {u.source for u in named} >= {tool}
        assert set(lost.unread) == {f for u in named for f in u.facts}
        assert condition.healthy(good)
        assert not condition.healthy(lost)
        assert lost.unread and lost.serial == _at(
            before, lost.address or '').serial
        if kind == 'hang':
            assert all('in time' in u.answer for u in named
                       if u.source == tool)


def test_unread_facts_have_the_time_since_when(box: Box) -> None:
    box.trouble('garble')
    first, again = box.backend.observe(), box.backend.observe()
    assert first.unread
    assert {(u.source, u.about): u.since for u in first.unread} == {
        (u.source, u.about): u.since for u in again.unread}
    box.trouble('none')
    assert box.backend.observe().unread == ()


def test_answer_of_a_slow_tool_is_used_later(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a look gets is late: it is kept, and no tool is run twice."""
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    box = Box(tmp_path, VENDORS[:1], patience=0.0)
    seen = box.backend.observe()
    assert [len(d.components) for d in seen.devices] == [0, 0]
    assert all(d.is_unread('firmware:nic') for d in seen.devices)
    for thread in threading.enumerate():
        if thread.name.startswith('accel-look-'):
            thread.join(60)
    calls = len(box.state.read()['calls'])
    seen = box.backend.observe()
    assert all(d.component('nic') for d in seen.devices)
    assert not [u for u in seen.unread if u.source == 'mellanox']
    assert len(box.state.read()['calls']) == calls


#: NVML's number, the query that gives it, health, and what is unread.
NVML = [
    (999, 'HandleByPciBusId', 'Critical', {'identity', 'firmware', 'modes'}),
    (16, 'HandleByPciBusId', 'Critical', {'identity', 'firmware', 'modes'}),
    (15, 'HandleByPciBusId', 'Critical', {'identity', 'firmware', 'modes'}),
    (6, 'HandleByPciBusId', 'Critical', {'identity', 'firmware', 'modes'}),
    (10, 'HandleByPciBusId', None,
     {'identity', 'health', 'firmware', 'modes'}),
    (9, 'Init', None, {'identity', 'health', 'firmware', 'modes'}),
    (14, 'InforomImageVersion', 'Warning', {'firmware:inforom'}),
    (14, 'GetSerial', 'Warning', {'identity'}),
    (999, 'RemappedRows', 'Critical', {'health'}),
    (4, 'RemappedRows', 'OK', {'health'}),
    (15, 'GetMigMode', 'Critical', {'mode:mig'})]


@pytest.mark.parametrize(('number', 'query', 'health', 'unread'), NVML)
def test_nvml_answers_of_one_gpu(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        number: int, query: str, health: str | None,
        unread: set[str]) -> None:
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    box = Box(tmp_path, VENDORS[1:2])
    at = _address(1, 0)
    if query == 'GetSerial':
        # It was told before: the device keeps its name.
        assert box.backend.observe().device('gpu-13206200000011')
    box.state.fault('nvml', f'error-{number}', on=(
        query if query == 'Init' else f'{query} {at}'))
    seen = box.backend.observe()
    gpu = _at(seen, at)
    assert (gpu.health, set(gpu.unread)) == (health, unread)
    assert all(f'NVML error {number}' in u.answer for u in seen.unread)
    if query != 'Init':
        other = _at(seen, _address(0, 0))
        assert (other.health, other.unread) == ('OK', ())
    if query == 'GetSerial':
        assert gpu.id == 'gpu-13206200000011'
    if unread == {'firmware:inforom'}:
        assert gpu.serial == '13206200000011'
        assert {c.name: c.running for c in gpu.components} == {
            'gpu': '92.00.45.00.03', 'inforom': None}
        assert {m.name: m.current for m in gpu.modes} == {
            'mig': 'disabled', 'ecc': 'enabled'}


def test_hanging_query_keeps_the_earlier_answers(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    monkeypatch.setattr(common, 'ASK', 6.0)
    box = Box(tmp_path, VENDORS[1:2])
    box.state.fault('nvml', 'hang', on=f'GetMigMode {_address(1, 0)}')
    gpu = _at(box.backend.observe(), _address(1, 0))
    assert gpu.serial == '13206200000011'
    assert gpu.component('gpu') is not None
    assert set(gpu.unread) == {
        'mode:mig', 'mode:ecc', 'mode:persistence', 'mode:power-limit',
        'health'}


def test_gpu_without_its_loaded_driver_is_unread(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver failed for one of two: that is not "nobody was asked"."""
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    box = Box(tmp_path, VENDORS[1:2])
    box.tree.at(
        f'/sys/bus/pci/devices/{_address(1, 0)}/driver').unlink()
    seen = box.backend.observe()
    assert _at(seen, _address(1, 0)).is_unread('health')
    assert 'nvidia is loaded' in seen.unread[0].answer
    assert _at(seen, _address(0, 0)).health == 'OK'


def test_card_that_fell_off_the_bus_is_reported(box: Box) -> None:
    at = _address(1, 0)
    box.tree.put(f'/sys/bus/pci/devices/{at}/config', b'\xff' * 64)
    box.tree.put(f'/sys/bus/pci/devices/{_address(0, 0)}/config',
                 b'\xb3\x15\x21\x10' + b'\0' * 60)
    seen = box.backend.observe()
    assert (_at(seen, at).health, _at(seen, at).unread) == (
        'Critical', ('presence',))
    assert _at(seen, _address(0, 0)).unread == ()


def test_function_without_readable_ids_may_be_any_device(
        box: Box) -> None:
    box.tree.at('/sys/bus/pci/devices/0000:f0:00.0').mkdir()
    seen = box.backend.observe()
    assert not seen.complete_of('gpu') and not seen.complete_of('nic')
    assert [u.source for u in seen.unread] == [
        '/sys/bus/pci/devices/0000:f0:00.0']


class _Breaks(common.BaseFamily):
    """A plug-in of somebody else, which fails for one card."""

    name = 'breaks'

    def __init__(self, where: str) -> None:
        self._where = where

    def _fail(self, where: str, address: str) -> None:
        if where == self._where and address == _address(1, 1):
            raise KeyError('oh')

    def claims(self, function: Function, product: Any) -> bool:
        self._fail('claims', function.address)
        return function.vendor_id == '10de'

    def read(self, host: Machine, functions: Any) -> ToolReading:
        self._fail('read', functions[0].address)
        return ToolReading()

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        self._fail('sets', device.address or '')
        return frozenset({'mig'})


@pytest.mark.parametrize('where', ['claims', 'read', 'sets'])
def test_failing_plug_in_affects_its_own_devices_only(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        where: str) -> None:
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    box = Box(tmp_path, VENDORS[:2])
    broken: list[Family] = [_Breaks(where), nvidia_gpu.NvidiaGpu()]
    backend = LocalBackend(box.host, broken, folder=str(tmp_path / 'jobs'))
    seen = backend.observe()
    gpus = [_at(seen, _address(n, 1)) for n in (0, 1)]
    assert [g.health for g in gpus] == ['OK', 'OK']
    assert [bool(g.unread) for g in gpus] == [False, where == 'read']
    (transport,) = backend.transports(seen)
    assert {(g.id, 'mig') for g in gpus} <= transport.sets


@pytest.mark.parametrize(('facts', 'fault'), [
    ({'remapped': [0, 1, 0, 1]}, None), ({}, 'error-15')])
def test_health_of_the_bmc_does_not_override_that_of_the_gpu(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        facts: dict[str, Any], fault: str | None) -> None:
    """One GPU seen both ways: outside OK, inside it is broken or lost."""
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    box = Box(tmp_path, VENDORS[1:2])
    at = _address(1, 0)
    outside = dataclasses.replace(
        box.backend.observe(), seen_via=('redfish',))
    with box.state.change() as document:
        document['cards'][at]['facts'].update(facts)
    box.state.fault('nvml', fault, on=at)
    joined = unite.inventory((Source(outside, stable=True),
                              *box.backend.sources()))
    assert {d.address: d.health for d in joined.devices} == {
        _address(0, 0): 'OK', at: 'Critical'}
