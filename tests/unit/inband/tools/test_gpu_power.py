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

"""Power limit and persistence of a GPU through NVML, as an H200 answers.

Sources: nvml-queries-h200-580.txt and nvidia-smi-q-h200-580.txt (values and
range of a real H200); NVML API reference (what the driver forgets when).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge.ports import Result
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.nvidia_gpu import nvml
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.model import catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model.plan import Item
from ironic_accel.model import planner
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model.reading_status import Standing
from ironic_accel_emulator.inside import nvml as simulated
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


def _seen(tmp_path: Path) -> tuple[Machine, LocalBackend, Device]:
    backend, seen = h200.read(tmp_path, nvidia_gpu.NvidiaGpu())
    host = Machine(str(tmp_path / 'root'), str(tmp_path / 'bin'),
                   {'pynvml': simulated.__name__})
    return host, backend, seen.devices[0]


def _set(host: Machine, gpu: Device, **modes: Value) -> list[Result]:
    return list(nvidia_gpu.NvidiaGpu().set(
        host, gpu, [Item(gpu.id, n.replace('_', '-'), 'mode', v)
                    for n, v in modes.items()], bench.quiet))


def _settings(state: State) -> dict[str, Any]:
    found: dict[str, Any] = state.read()['cards'][h200.AT]['settings']
    return found


def test_limit_is_set_in_watts_and_kept_by_persistence(
        tmp_path: Path, state: State) -> None:
    host, backend, gpu = _seen(tmp_path)
    assert [r.ok for r in _set(host, gpu, power_limit=500)] == [True]
    assert _settings(state)['power-limit']['current'] == 500000
    limit = backend.observe().devices[0].mode('power-limit')
    assert limit is not None
    assert (limit.current, limit.pending, limit.minimum, limit.maximum) == (
        500, None, 200, 700)
    assert (limit.activation, limit.persistent) == ('none', False)


def test_limit_without_persistence_is_lost_and_fails(
        tmp_path: Path, state: State) -> None:
    """The call succeeds, and the next process sees the default again."""
    host, _, gpu = _seen(tmp_path)
    assert [r.ok for r in _set(host, gpu, persistence='disabled')] == [True]
    (result,) = _set(host, gpu, power_limit=500)
    assert not result.ok and result.detail is not None
    assert 'did not keep the power limit' in result.detail.summary
    assert (result.detail.expected, result.detail.seen) == ('500', '700')
    assert 'persistence: enabled' in (result.detail.todo or '')
    # In one action persistence comes first, whatever the order asked for.
    assert [r.ok for r in _set(host, gpu, power_limit=500,
                               persistence='enabled')] == [True, True]
    assert _settings(state)['power-limit']['current'] == 500000


@pytest.mark.parametrize('fault', ['lie', 'error-4', 'lost'])
def test_limit_that_the_driver_does_not_take_fails(
        tmp_path: Path, state: State, fault: str) -> None:
    host, _, gpu = _seen(tmp_path)
    state.fault('nvml', fault, on='set power-limit')
    (result,) = _set(host, gpu, power_limit=500)
    assert not result.ok
    assert _settings(state)['power-limit']['current'] == 700000


@pytest.mark.parametrize(('wanted', 'refused'), [
    (199, '199'), (701, '701'), (200, None), (700, None)])
def test_plan_refuses_a_limit_beyond_the_range_of_the_gpu(
        tmp_path: Path, state: State, wanted: int,
        refused: str | None) -> None:
    backend, seen = h200.read(tmp_path, nvidia_gpu.NvidiaGpu())
    profile = Profile('p', (Group('gpus', {'kind': ('gpu',)}, modes={
        'power-limit': wanted}),))
    plan = planner.make_plan(
        seen, profile, (), backend.transports(seen), catalog.load())
    assert [str(r.seen) for r in plan.refused] == [refused] * bool(refused)
    for one in plan.refused:
        assert one.expected == '200 to 700'


#: An answer about the limit, its range, and the mode as it is read.
ODD = [
    ({'value': 700000}, {'value': [200000]}, Standing.UNREAD),
    ({'value': 700000}, {'value': [700000, 200000]}, Standing.UNREAD),
    ({'value': '700 W'}, {'value': [200000, 700000]}, Standing.UNREAD),
    ({'error': 999, 'text': 'Unknown Error'}, {'value': [1, 2]},
     Standing.UNREAD),
    ({'value': 700000}, {'error': 15, 'text': 'GPU is lost'},
     Standing.UNREAD)]


@pytest.mark.parametrize(('limit', 'bounds', 'standing'), ODD)
def test_odd_answers_about_the_limit_are_unread(
        limit: dict[str, Any], bounds: dict[str, Any],
        standing: Standing) -> None:
    told = nvml.told({
        **h200.answers(), 'nvmlDeviceGetPowerManagementLimit': limit,
        'nvmlDeviceGetPowerManagementLimitConstraints': bounds}, 'silence')
    mode = next(m for m in told.modes if m.name == 'power-limit')
    assert (mode.current, mode.standing) == (None, standing)
    assert ('mode:power-limit',) in [u.facts for u in told.unread]


@pytest.mark.parametrize(('answer', 'mode'), [
    ({'value': 1},
     Mode('persistence', 'enabled', standing=Standing.REPORTED)),
    ({'value': 0},
     Mode('persistence', 'disabled', standing=Standing.REPORTED)),
    ({'value': 7}, Mode('persistence', standing=Standing.UNREAD)),
    ({'value': 'on'}, Mode('persistence', standing=Standing.UNREAD)),
    ({'error': 3, 'text': 'Not Supported'}, None)])
def test_persistence_as_it_is_reported(answer: dict[str, Any],
                                       mode: Mode | None) -> None:
    told = nvml.told({**h200.answers(),
                      'nvmlDeviceGetPersistenceMode': answer}, 'silence')
    assert next((m for m in told.modes if m.name == 'persistence'),
                None) == mode
