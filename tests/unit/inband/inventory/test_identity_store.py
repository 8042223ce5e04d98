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

"""Who a card is, told and remembered; VPD that says nothing."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.model import carry_over
from ironic_accel.model.device import Inventory
from ironic_accel.model import device_marks
from ironic_accel.model import identity
from ironic_accel.model.identity import Source
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside.tools.state import State
from ironic_accel_emulator.inside.tree import Tree
from tests.unit.inband import sample
from tests.unit.inband.tools import h200

GPU = 'gpu-1650000000001'


class FakeMachine:
    """The machine with an H200, and agents on it one after another."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.host = h200.machine(folder)
        self.state = State(folder / 'state.json')
        self.state.create({h200.AT: h200.card()})
        self.boot('first')

    def boot(self, mark: str) -> None:
        path = self.folder / 'root/proc/sys/kernel/random/boot_id'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(mark)

    def silent(self) -> None:
        """NVML tells nothing of the GPU any more."""
        self.state.fault('nvml', 'error-10')

    def read(self) -> Inventory:
        """A look of an agent that was just started."""
        return LocalBackend(
            Machine(self.host.root, self.host.path,
                    {'pynvml': nvml.__name__}),
            [nvidia_gpu.NvidiaGpu()],
            folder=str(self.folder / 'run')).observe()


@pytest.fixture
def machine(tmp_path: pathlib.Path,
            monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    return FakeMachine(tmp_path)


def test_restarted_agent_knows_the_card(
    machine: FakeMachine,
) -> None:
    before = machine.read()
    machine.silent()
    after = machine.read()
    (gpu,) = after.devices
    assert (gpu.id, gpu.serial, gpu.model) == (
        GPU, '1650000000001', 'NVIDIA H200')
    # Remembered is who it is, and nothing that it would have to say now.
    assert gpu.is_unread('identity') and gpu.is_unread('health')
    assert (gpu.health, gpu.components, gpu.modes) == (None, (), ())
    assert carry_over.missing(after, before) == ()


def test_identity_is_unknown_after_a_reboot(
        machine: FakeMachine) -> None:
    """Another card may sit there: who it is has to be told anew. Whoever
    kept the last look takes it for the card of that place meanwhile."""
    before = machine.read()
    machine.silent()
    machine.boot('second')
    after = machine.read()
    (gpu,) = after.devices
    assert (gpu.id, gpu.serial) == (f'gpu@{h200.AT}', None)
    assert gpu.is_unread('identity') and gpu.is_unread('health')
    (joined,) = identity.identify((Source(after, stable=True),),
                                  device_marks.identities(before))
    assert [d.id for d in joined.devices] == [GPU]
    assert carry_over.missing(joined, before) == ()
    assert joined.devices[0].is_unread('firmware:gpu')


def test_another_card_at_the_address_has_its_own_identity(
        machine: FakeMachine) -> None:
    machine.read()
    machine.silent()
    path = machine.folder / f'root/sys/bus/pci/devices/{h200.AT}'
    (path / 'subsystem_device').write_text('0x18be')
    assert machine.read().devices[0].serial is None


_BAD: list[Any] = [
    '', '[]', '{}', '\0', '[' * 9999, {'schema': 'known/9'},
    {'devices': 7}, {'devices': [7]}, {'devices': [{}]},
    {'devices': [{'address': 'x', 'kind': 'is-h100'}]},
    {'devices': [{'pci': ['10de']}]}, {'devices': [{'pci': [1, 2, 3, 4]}]},
    {'devices': [{'serial': 'x' * 9999}]}, {'devices': [{}] * 9999}]


@pytest.mark.parametrize('bad', _BAD, ids=range(len(_BAD)))
def test_invalid_identity_store_counts_as_none(
        machine: FakeMachine, bad: Any) -> None:
    machine.read()
    path = machine.folder / 'run/known.json'
    good = json.loads(path.read_text())
    if isinstance(bad, dict):
        device = good['devices'][0]
        more = [{**device, **d} if isinstance(d, dict) and d else d
                for d in bad['devices']] if isinstance(
                    bad.get('devices'), list) else bad.get('devices')
        bad = {**good, **bad, **({'devices': more} if 'devices' in bad
                                 else {})}
    path.write_text(bad if isinstance(bad, str) else json.dumps(bad))
    machine.silent()
    (gpu,) = machine.read().devices
    assert (gpu.id, gpu.serial) == (f'gpu@{h200.AT}', None)


def test_identity_store_that_others_may_write_is_ignored(
        machine: FakeMachine) -> None:
    machine.read()
    (machine.folder / 'run/known.json').chmod(0o666)
    machine.silent()
    assert machine.read().devices[0].serial is None


# Vital product data.

class Broken(Machine):
    """VPD of one function that is there and cannot be read."""

    port: str = sample.NIC[0]

    def read_bytes(self, path: str, most: int = 1 << 20) -> bytes | None:
        if path.endswith(f'{self.port}/vpd'):
            return None
        return super().read_bytes(path, most)

    def trouble(self, path: str) -> str | None:
        if path.endswith(f'{self.port}/vpd'):
            return 'Input/output error'
        return super().trouble(path)


def _look(folder: pathlib.Path, *broken: str) -> Inventory:
    tree, host = sample.machine(folder)
    for at in sample.NIC:
        if at not in broken:
            tree.put(f'/sys/bus/pci/devices/{at}/vpd', b'')
    found = Broken(host.root, host.path)
    if broken:
        found.port = broken[0]
    else:
        found.port = 'none'
    return LocalBackend(found, [], folder=str(folder / 'jobs')).observe()


def _nic(seen: Inventory) -> Any:
    return next(d for d in seen.devices if d.kind == 'nic')


@pytest.mark.parametrize('port', sample.NIC)
def test_vpd_that_cannot_be_read_is_unread(tmp_path: pathlib.Path,
                                           port: str) -> None:
    seen = _look(tmp_path, port)
    nic = _nic(seen)
    assert nic.serial is None and nic.is_unread('identity')
    (unread,) = seen.unread
    assert (unread.source, unread.answer, unread.about) == (
        f'/sys/bus/pci/devices/{port}/vpd', 'Input/output error', nic.id)


def test_card_without_vpd_has_no_identity_from_it(
        tmp_path: pathlib.Path) -> None:
    """An empty one: the kernel found no EEPROM."""
    seen = _look(tmp_path)
    assert seen.unread == () and not _nic(seen).is_unread('identity')


def test_vpd_of_one_port_is_that_of_the_card(tmp_path: pathlib.Path) -> None:
    _, host = sample.machine(tmp_path)
    found = Broken(host.root, host.path)
    seen = LocalBackend(found, [], folder=str(tmp_path / 'jobs')).observe()
    assert _nic(seen).serial == 'MT2049X00001'
    assert seen.unread == ()


@pytest.mark.parametrize('raw', [b'\xff' * 64, b'\0' * 64, b'\x90\xff\xff'])
def test_garbage_in_the_place_of_vpd_is_unread(
        tmp_path: pathlib.Path, raw: bytes) -> None:
    tree, host = sample.machine(tmp_path)
    for at in sample.NIC:
        tree.put(f'/sys/bus/pci/devices/{at}/vpd', raw)
    seen = LocalBackend(host, [], folder=str(tmp_path / 'jobs')).observe()
    assert {u.answer for u in seen.unread} == {
        'no vital product data'}
    assert _nic(seen).is_unread('identity')


def test_reason_why_a_file_cannot_be_read(tmp_path: pathlib.Path) -> None:
    host = Machine(str(tmp_path))
    Tree(tmp_path).put('/sys/x', 'y')
    assert host.trouble('/sys/x') is None
    assert host.trouble('/sys/none') is None
    assert host.trouble('/sys') == 'Is a directory'


def test_readable_function_has_nothing_unread(
        tmp_path: pathlib.Path) -> None:
    seen = LocalBackend(sample.machine(tmp_path)[1], [],
                        folder=str(tmp_path / 'jobs')).observe()
    assert dataclasses.replace(seen, unread=()) == seen
