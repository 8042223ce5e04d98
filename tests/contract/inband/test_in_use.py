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

"""What somebody's driver holds is not written; what is refused is undone."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Unknown
from ironic_accel.inband.jobs import job_store
from ironic_accel.inband.machine import device_users
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.family import ANY
from ironic_accel.inband.tools import loader
from ironic_accel.inband.tools.qat import tool as qat
from ironic_accel.inband.tools.sriov import tool as sriov
from ironic_accel.model.errors import AccelError
from ironic_accel.model.plan import Item
from ironic_accel.model.reading_status import Standing
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree
from tests.contract.inband.test_core_backend import NIC
from tests.contract.inband.test_core_backend import Slow
from tests.contract.inband.test_core_backend import wait
from tests.unit.inband import sample
from tests.unit.inband.tools import bench

PORTS = ('0000:17:00.0', '0000:17:00.1')


def _bind(tree: Tree, address: str, driver: str | None) -> None:
    link = tree.at(f'/sys/bus/pci/devices/{address}/driver')
    if link.is_symlink():
        link.unlink()
    if driver is not None:
        link.symlink_to(f'../../../bus/pci/drivers/{driver}')


@pytest.mark.parametrize(('drivers', 'why'), [
    (('mlx5_core', 'mlx5_core'), None), ((None, None), None),
    (('vfio-pci', 'mlx5_core'), 'vfio-pci is bound to 0000:17:00.0'),
    (('mlx5_core', 'vfio-pci'), 'vfio-pci is bound to 0000:17:00.1'),
    (('mlx5_core', 'nouveau'), 'nouveau is bound to 0000:17:00.1'),
    (('uio_pci_generic', None), 'uio_pci_generic is bound to 0000:17:00.0')])
def test_card_with_a_bound_driver_is_not_written(
        tmp_path: pathlib.Path, drivers: tuple[str | None, str | None],
        why: str | None) -> None:
    tree, host = sample.machine(tmp_path)
    for port, driver in zip(PORTS, drivers, strict=True):
        _bind(tree, port, driver)
    sample.tool(tmp_path, 'burner', 'echo done')
    backend = sample.backend(tmp_path, host, sample.Burner(tmp_path))
    seen = backend.observe()
    (transport,) = backend.transports(seen)
    assert any('is passed to' in w.message for w in seen.warnings) is any(
        d in device_users.GIVEN_AWAY for d in drivers)
    assert ((NIC, 'nic') in transport.updates) is (why is None)
    assert ((NIC, 'sriov') in transport.sets) is (why is None)
    assert (NIC in transport.resets) is (why is None)
    for action in (sample.burn(NIC), sample.set_sriov(NIC),
                   sample.reset(NIC)):
        end = wait(backend, backend.start(action, sample.image(tmp_path)))
        assert isinstance(end, Ended)
        (result,) = end.results
        assert result.ok is (why is None)
        assert why is None or (
            result.detail is not None and why in result.detail.summary)
    # A refusal has touched nothing.
    assert (tmp_path / 'state-sriov').exists() is (why is None)
    assert (tmp_path / 'state-reset').exists() is (why is None)


def test_virtual_functions_of_a_virtual_machine_are_in_use(
        tmp_path: pathlib.Path) -> None:
    tree, host = sample.machine(tmp_path)
    vf = '0000:18:00.2'
    tree.put(f'/sys/bus/pci/devices/{vf}/vendor', '0x15b3')
    tree.at(f'/sys/bus/pci/devices/{PORTS[1]}/virtfn0').symlink_to(
        f'../{vf}')
    family = sample.Burner(tmp_path)
    for driver, held in (('mlx5_core', False), (None, False),
                         ('vfio-pci', True)):
        _bind(tree, vf, driver)
        assert (device_users.against(host, family.beside, PORTS[0], 'set')
                is not None) is held


def test_driver_of_the_audio_function_does_not_make_a_gpu_in_use(
        tmp_path: pathlib.Path) -> None:
    tree, host = sample.machine(tmp_path, Card(
        '0000:ca:00.1', ('10de', '228b', '10de', '0'), '040300',
        driver='snd_hda_intel'))
    families = {f.name: f for f in loader.load()[0]}
    gpu = families['nvidia_gpu']
    assert device_users.against(host, gpu.beside, sample.GPU, 'reset') is None
    _bind(tree, '0000:ca:00.1', 'vfio-pci')
    assert device_users.against(
        host, gpu.beside, sample.GPU, 'reset') is not None


def test_every_family_names_the_drivers_beside_which_it_writes() -> None:
    for family in loader.load()[0]:
        for verb, driver in family.beside:
            assert verb in ('update', 'set', 'reset')
            assert driver not in device_users.GIVEN_AWAY
            assert driver != ANY or family.generic


# Virtual functions: a kernel that refuses.

class Refusing(Machine):
    """A host whose kernel refuses some numbers of some ports."""

    def __init__(self, *args: Any, **known: Any) -> None:
        super().__init__(*args, **known)
        self.refuses: dict[str, str] = {}

    def write(self, path: str, text: str) -> None:
        at = path.split('/')[-2]
        if self.refuses.get(at) == text:
            raise AccelError(f'{path}: {text!r} is not accepted',
                             seen='Cannot allocate memory')
        super().write(path, text)


def _two_ports(folder: pathlib.Path, *numbers: int) -> Refusing:
    bench.host(folder)
    for port, number in zip(PORTS, numbers, strict=True):
        bench.files(folder, f'sys/bus/pci/devices/{port}',
                    sriov_totalvfs='16\n', sriov_numvfs=f'{number}\n')
    return Refusing(str(folder / 'root'), str(folder / 'bin'),
                    modules={'pynvml': None})


def _numbers(host: Machine) -> list[str | None]:
    return [host.read(f'/sys/bus/pci/devices/{p}/sriov_numvfs')
            for p in PORTS]


def _functions() -> list[Function]:
    return [Function(p, '15b3', '101d', '', '', '020000', totalvfs=16)
            for p in PORTS]


@pytest.mark.parametrize(('numbers', 'shown'), [
    ((4, 4), 4), ((0, 0), 0), ((4, 0), None), ((0, 4), None)])
def test_both_ports_of_a_card_are_read(
        tmp_path: pathlib.Path, numbers: tuple[int, int],
        shown: object) -> None:
    host = _two_ports(tmp_path, *numbers)
    seen = sriov.Sriov().read(host, _functions())
    (mode,) = seen.devices[PORTS[0]].modes
    assert (mode.current, mode.standing) == (shown, Standing.NOT_REPORTED)
    assert seen.devices[PORTS[0]].unread == ()
    assert [w.message for w in seen.warnings] == ([] if shown is not None
        else [f'its ports have different numbers of virtual functions: '
              f'{numbers[0]} of {PORTS[0]}, {numbers[1]} of {PORTS[1]}'])
    results = sriov.Sriov().set(
        host, bench.device('nic', PORTS[0]),
        [Item('card', 'vfs', 'mode', 8)], bench.quiet)
    assert [r.ok for r in results] == [True]
    assert _numbers(host) == ['8', '8']


def test_unreadable_port_does_not_get_the_value_of_the_other(
        tmp_path: pathlib.Path) -> None:
    host = _two_ports(tmp_path, 4, 4)
    (tmp_path / 'root/sys/bus/pci/devices' / PORTS[1]
     / 'sriov_numvfs').write_text('')
    told = sriov.Sriov().read(host, _functions()).devices[PORTS[0]]
    assert [(m.current, m.standing) for m in told.modes] == [
        (None, Standing.UNREAD)]
    assert [u.facts for u in told.unread] == [('mode:vfs',)]


@pytest.mark.parametrize('refuses', PORTS)
@pytest.mark.parametrize('numbers', [(4, 4), (4, 0), (0, 2)])
def test_refused_number_of_vfs_restores_the_earlier_one(
        tmp_path: pathlib.Path, refuses: str,
        numbers: tuple[int, int]) -> None:
    host = _two_ports(tmp_path, *numbers)
    host.refuses = {refuses: '16'}
    (result,) = sriov.Sriov().set(
        host, bench.device('nic', PORTS[0]),
        [Item('card', 'vfs', 'mode', 16)], bench.quiet)
    assert not result.ok and result.detail is not None
    assert 'the earlier number is restored' in result.detail.summary
    assert _numbers(host) == [str(n) for n in numbers]


def test_failure_to_restore_is_reported(tmp_path: pathlib.Path) -> None:
    host = _two_ports(tmp_path, 4, 4)

    class Worse(Refusing):
        def write(self, path: str, text: str) -> None:
            if text != '0':
                raise AccelError('no', seen='Invalid argument')
            super().write(path, text)

    worse = Worse(host.root, host.path, modules={'pynvml': None})
    (result,) = sriov.Sriov().set(
        worse, bench.device('nic', PORTS[0]),
        [Item('card', 'vfs', 'mode', 16)], bench.quiet)
    assert result.detail is not None
    assert 'could not be restored' in result.detail.summary
    assert '0 of 0000:17:00.0' in str(result.detail.seen)


@pytest.mark.parametrize('refused', ['cfg_services', 'up'])
def test_refused_services_leave_the_device_unchanged(
        tmp_path: pathlib.Path, refused: str) -> None:
    class Kernel(Machine):
        """It takes the services, and does not come up with them."""

        def write(self, path: str, text: str) -> None:
            new = (self.read(f'{path.rpartition("/")[0]}/cfg_services')
                   == 'sym;dc')
            if refused in path or (text == refused and new):
                raise AccelError('no', seen='Invalid argument')
            super().write(path, text)

    bench.host(tmp_path)
    at = '0000:6b:00.0'
    where = bench.files(tmp_path, f'sys/bus/pci/devices/{at}/qat',
                        state='up\n', cfg_services='asym\n')
    host = Kernel(str(tmp_path / 'root'), str(tmp_path / 'bin'),
                  modules={'pynvml': None})
    (result,) = qat.Qat().set(
        host, bench.device('crypto', at),
        [Item('card', 'services', 'mode', ('sym', 'dc'))], bench.quiet)
    assert not result.ok and result.detail is not None
    assert 'the earlier services are restored' in (
        result.detail.summary)
    assert ((where / 'state').read_text().strip(),
            (where / 'cfg_services').read_text().strip()) == ('up', 'asym')


# Jobs that do not come back.

def test_hanging_job_is_unknown_after_its_limit(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, host = sample.machine(tmp_path)
    family = Slow(tmp_path)
    backend = sample.backend(tmp_path, host, family)
    ticket = backend.start(sample.set_sriov(NIC))
    monkeypatch.setitem(job_store._LIMITS, 'set', -1.0)
    end = backend.poll(ticket)
    assert isinstance(end, Unknown)
    assert 'the set of 0000:17:00.0 has not ended' in end.reason
    # It may still write: the card stays busy, and says so.
    (busy,) = backend.observe().busy
    assert 'has not ended' in busy.summary
    family.go.set()
    assert isinstance(wait(backend, ticket), Ended)


@pytest.mark.parametrize('text', [
    '{"schema": "job/2"}', '{"schema": "job/2", "refs": 1}', '[]', '\0',
    '{"schema": "job/2", "refs": [[1]], "cards": [], "worker": [], '
    '"flashes": []}'])
def test_invalid_job_is_unknown(tmp_path: pathlib.Path,
                                       text: str) -> None:
    _, host = sample.machine(tmp_path)
    backend = sample.backend(tmp_path, host, sample.Burner(tmp_path))
    folder = tmp_path / 'jobs' / ('f' * 32)
    folder.mkdir(parents=True)
    (folder / 'job.json').write_text(text)
    assert backend.observe().busy == ()
    assert isinstance(backend.poll({'job': 'f' * 32}), Unknown)
