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

"""A GPU that somebody uses: one sentence, and nothing half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.plan import Item
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools.state import State
from tests.unit.inband.tools import bench
from tests.unit.inband.tools import h200


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A simulated NVML that has what the real one told."""
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    found = State(tmp_path / 'state.json')
    found.create({h200.AT: h200.card()})
    return found


def _gpu(tmp_path: Path) -> tuple[Machine, Device]:
    _, seen = h200.read(tmp_path, nvidia_gpu.NvidiaGpu())
    (tmp_path / 'root/proc/704').mkdir(parents=True, exist_ok=True)
    (tmp_path / 'root/proc/704/comm').write_text('python3\n')
    tools.install(tmp_path / 'bin', tmp_path / 'state.json',
                  ['nvidia-smi'])
    return Machine(str(tmp_path / 'root'), str(tmp_path / 'bin'),
                {'pynvml': nvml.__name__}), seen.devices[0]


def _mode(state: State) -> tuple[Any, Any]:
    found = state.read()['cards'][h200.AT]['settings']['mig']
    return found['current'], found['pending']


def _use(state: State, *pids: int) -> None:
    with state.change() as document:
        document['cards'][h200.AT]['facts']['processes'] = list(pids)


def _set(host: Machine, gpu: Device, *modes: str) -> list[str | None]:
    wanted = {'mig': 'enabled', 'ecc': 'disabled'}
    results = nvidia_gpu.NvidiaGpu().set(
        host, gpu, [Item(gpu.id, m, 'mode', wanted[m]) for m in modes],
        bench.quiet)
    return [r.detail.summary if r.detail else None for r in results]


def test_no_mode_is_set_on_a_gpu_in_use(
        tmp_path: Path, state: State) -> None:
    host, gpu = _gpu(tmp_path)
    _use(state, 704, 99999)
    said = _set(host, gpu, 'ecc', 'mig')
    assert said == [
        'the GPU is in use by process 704 (python3), process 99999: its MIG '
        'mode cannot be set; nothing was changed'] * 2
    assert _mode(state) == (0, None)
    assert not [c for c in state.read()['calls'] if 'set' in c[1]]
    # ECC waits for a reboot anyway.
    assert _set(host, gpu, 'ecc') == [None]
    _use(state)
    assert _set(host, gpu, 'mig') == [None]
    assert _mode(state)[0] == 1


def test_users_of_a_gpu_are_in_every_inventory(
        tmp_path: Path, state: State) -> None:
    host, _ = _gpu(tmp_path)
    _use(state, 704)
    seen = LocalBackend(host, [nvidia_gpu.NvidiaGpu()],
                        folder=str(tmp_path / 'jobs')).observe()
    (warning,) = seen.warnings
    assert warning.uri == f'nvml {h200.AT}'
    assert 'in use by process 704 (python3)' in warning.message
    assert seen.devices[0].health == 'OK'


def test_pending_mode_of_a_gpu_in_use_is_set_back(
        tmp_path: Path, state: State) -> None:
    """A client that NVML does not list: a daemon that holds the GPU."""
    host, gpu = _gpu(tmp_path)
    state.fault('nvml', 'in-use', on='set mig')
    assert _set(host, gpu, 'mig') == [
        'NVML: the GPU is in use by another client; its mig mode is '
        'unchanged']
    assert _mode(state) == (0, None)
    state.fault('nvml', 'fail', on='set mig')
    assert _set(host, gpu, 'mig') == [
        'NVML: the GPU is in use by another client; its mig mode is '
        'unchanged']


@pytest.mark.parametrize('pids', [(704,), ()])
def test_gpu_in_use_is_not_reset(
        tmp_path: Path, state: State, pids: tuple[int, ...]) -> None:
    host, gpu = _gpu(tmp_path)
    _use(state, *pids)
    state.fault('nvidia-smi', 'fail')
    (result,) = nvidia_gpu.NvidiaGpu().reset(
        host, gpu, Activation.DEVICE_RESET, bench.quiet)
    assert result.detail is not None and result.detail.todo is not None
    assert result.detail.summary == (
        'the GPU is in use by process 704 (python3): it was not reset' if pids
        else 'nvidia-smi did not reset the GPU: In use by another client')
    assert bool([c for c in state.read()['calls'] if c[0] == 'nvidia-smi']
                ) is not bool(pids)


@pytest.mark.parametrize(('text', 'why'), [
    # NVIDIA/gpu-operator, issue 118: driver 450.
    ('GPU 00000000:C1:00.0 is currently in use by another process.\n\n1 '
     'device is currently being used by one or more other processes.\n',
     'currently in use by another process'),
    # NVIDIA/NVSentinel, issue 1690.
    ('The following GPUs could not be reset:\n  GPU 00000000:1A:00.0: In '
     'use by another client\n\n1 device is currently\n',
     'In use by another client')])
def test_what_nvidia_smi_printed_where_it_did_not_reset(
        tmp_path: Path, state: State, text: str, why: str) -> None:
    host, gpu = _gpu(tmp_path)
    (tmp_path / 'said').write_text(text)
    bench.prints(tmp_path, 'nvidia-smi', str(tmp_path / 'said'), status=255)
    (result,) = nvidia_gpu.NvidiaGpu().reset(
        host, gpu, Activation.DEVICE_RESET, bench.quiet)
    assert result.detail is not None
    assert result.detail.summary == (
        f'nvidia-smi did not reset the GPU: {why}')


@pytest.mark.parametrize('driver', ['nouveau', 'vfio-pci'])
def test_gpu_with_another_driver_gets_a_warning(
        tmp_path: Path, state: State, driver: str) -> None:
    host = h200.machine(tmp_path)
    link = tmp_path / f'root/sys/bus/pci/devices/{h200.AT}/driver'
    link.unlink()
    link.symlink_to(f'../../drivers/{driver}')
    seen = LocalBackend(host, [nvidia_gpu.NvidiaGpu()],
                        folder=str(tmp_path / 'jobs')).observe()
    (gpu,) = seen.devices
    assert (gpu.health, gpu.modes, gpu.unread) == (None, (), ())
    said = ' '.join(w.message for w in seen.warnings)
    assert f'driver {driver} is bound to the GPU' in said
    assert 'no tool could be asked about this device' in said
