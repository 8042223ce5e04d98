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

"""What was not read is no proof, no count, no reason and no trait."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model import condition
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Mode
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import selection
from ironic_accel.model import traits
from tests.unit.model.test_planner import box
from tests.unit.model.test_planner import ECC
from tests.unit.model.test_planner import GPU
from tests.unit.model.test_planner import gpu
from tests.unit.model.test_planner import NEWER
from tests.unit.model.test_planner import plan
from tests.unit.model.test_planner import profile

CATALOG = catalog_mod.load()
ON = dataclasses.replace(ECC, current='enabled')
SAME = {'gpu': Firmware('96.00.01')}


def names(seen: Inventory) -> set[str]:
    """Traits of what is there, without the prefix."""
    found = [*traits.presence(seen, CATALOG), *traits.modes(seen, CATALOG)]
    return {t.name.removeprefix('CUSTOM_ACCEL_') for t in found}


def hiding(*kinds: str, **more: Any) -> Unread:
    """A collection that does not answer."""
    return Unread('/redfish/v1/Chassis', 'HTTP 503', kinds=kinds, **more)


def with_unread(seen: Inventory, *unread: Unread) -> Inventory:
    """A look with what it did not read."""
    return dataclasses.replace(seen, unread=unread)


@pytest.mark.parametrize('fact', ['firmware', 'firmware:gpu', 'presence',
                                  'identity'])
@pytest.mark.parametrize('wanted', [SAME, NEWER])
def test_firmware_that_something_unread_could_change(
        fact: str, wanted: dict[str, Firmware]) -> None:
    seen = box(gpu(0, unread=(fact,)))
    made = plan(seen, profile(wanted), transports=())
    assert made.untold
    assert not made.satisfied
    assert not made.stages


@pytest.mark.parametrize(('fact', 'about'), [
    ('firmware:gpu', True), ('modes', False), ('mode:ecc', False),
    ('firmware:erot', False)])
def test_only_what_it_could_change_is_spoilt(fact: str, about: bool) -> None:
    made = plan(box(gpu(0, unread=(fact,))), profile(SAME))
    assert made.untold is about
    assert bool(made.satisfied) is not about


@pytest.mark.parametrize('modes', [
    (), (ECC,), (dataclasses.replace(ECC, current='enabled'),),
    (dataclasses.replace(ECC, current=None, pending='enabled'),)])
@pytest.mark.parametrize('fact', ['modes', 'mode:ecc'])
def test_a_mode_that_was_not_read_is_not_refused_for_what_it_lacks(
        fact: str, modes: tuple[Mode, ...]) -> None:
    made = plan(box(gpu(0, modes=modes, unread=(fact,))),
                profile(modes={'ecc': 'enabled'}), transports=())
    assert made.untold
    assert not made.satisfied
    assert 'does not have' not in made.refused[0].reason


def test_a_value_that_stands_as_unread_is_no_version() -> None:
    part = dataclasses.replace(GPU, running=None, standing=Standing.UNREAD)
    mode = dataclasses.replace(ECC, current=None, standing=Standing.UNREAD)
    made = plan(box(gpu(0, components=(part,), modes=(mode,))),
                profile(SAME, {'ecc': 'enabled'}))
    assert made.untold
    assert {r.item.name for r in made.refused} == {'gpu', 'ecc'}


def test_contradiction_is_refused_with_both_values() -> None:
    part = dataclasses.replace(GPU, running=None, conflicts=(
        'redfish: 96.00.01', 'agent: 96.00.02'))
    made = plan(box(gpu(0, components=(part,))), profile(NEWER))
    assert made.untold
    assert 'redfish: 96.00.01, agent: 96.00.02' in made.refused[0].reason


def test_the_source_is_named_with_its_answer() -> None:
    seen = with_unread(box(gpu(0)), Unread(
        '/redfish/v1/Chassis/G0', 'HTTP 500', 'gpu-0',
        facts=('firmware:gpu',)))
    made = plan(seen, profile(SAME))
    assert made.untold
    assert made.refused[0].reason == (
        'cannot read /redfish/v1/Chassis/G0 (gpu-0): HTTP 500')
    assert made.to_dict()['refused'][0]['unread'] is True


@pytest.mark.parametrize(('kinds', 'spoilt'), [
    (('gpu',), True), (('gpu', 'nic'), True), (('nic', 'dpu'), False),
    (('baseboard',), False), (KINDS, True)])
@pytest.mark.parametrize('count', [Count(0), Count(1), Count(2, 2)])
def test_a_count_that_something_unread_could_change(
        kinds: tuple[str, ...], spoilt: bool, count: Count) -> None:
    seen = with_unread(box(gpu(0), gpu(1)), hiding(*kinds))
    made = plan(seen, profile(SAME, count=count))
    assert made.untold is spoilt
    if spoilt:
        assert 'HTTP 503' in made.refused[0].reason


@pytest.mark.parametrize(('device', 'possible'), [
    (Device('x', 'gpu', unread=('presence',)), True),
    (Device('x', 'gpu', product='nvidia-h100-sxm', unread=('identity',)),
     True),
    (Device('x', 'gpu', product='nvidia-t4', unread=('presence',)), False),
    (Device('x', 'ai', unread=('presence',)), True),
    (Device('x', 'nic', unread=('presence',)), False),
    (Device('x', 'gpu', unread=('health',)), False)])
def test_a_device_that_the_group_may_select(
        device: Device, possible: bool) -> None:
    match: dict[str, tuple[str, ...]] = {
        'kind': ('gpu',), 'product': ('nvidia-h100-sxm',)}
    made = plan(box(gpu(0), device), profile(SAME, match=match))
    assert made.untold is possible
    if possible:
        assert 'x could not be read' in made.refused[0].reason


def test_what_is_known_to_be_wrong_is_refused_whatever_is_unread() -> None:
    seen = with_unread(box(gpu(0, health='Critical')), hiding('gpu'))
    made = plan(seen, profile(SAME))
    assert not made.untold
    assert made.refused[0].seen == 'Critical'


def test_kind_that_two_transports_count_differently_has_no_count() -> None:
    seen = dataclasses.replace(box(gpu(0)), uncounted=('gpu',))
    assert plan(seen, profile(SAME)).untold


def test_missing_transport_is_unread_while_the_update_service_is_unread(
        ) -> None:
    held = Unread('/redfish/v1/UpdateService', 'HTTP 500', holds=True)
    made = plan(with_unread(box(gpu(0)), held), profile(NEWER), transports=())
    assert made.untold
    assert 'UpdateService' in made.refused[0].reason


@pytest.mark.parametrize(('health', 'told', 'unread', 'refused'), [
    ('ok', 'OK', (), None), ('ok', None, (), None),
    ('ok', None, ('health',), True), ('ok', 'OK', ('health',), True),
    ('ok', 'OK', ('state',), True), ('ok', 'Warning', ('health',), False),
    ('proved', 'OK', (), None), ('proved', None, (), False),
    ('proved', None, ('health',), True), ('any', 'Critical', (), None),
    ('any', None, ('health',), None), ('any', 'OK', ('state',), True)])
def test_health_that_was_not_reported(health: str, told: str | None,
                                  unread: tuple[str, ...],
                                  refused: bool | None) -> None:
    made = plan(box(gpu(0, health=told, unread=unread)), profile(
        SAME, health=health, count=Count(0)))
    assert (made.untold if made.refused else None) is refused


@pytest.mark.parametrize('state', [
    'Disabled', 'Absent', 'UnavailableOffline', 'Deferring', 'Quiesced',
    'StandbyOffline', 'Starting', 'Updating', 'InTest', 'Degraded',
    'Broken'])
@pytest.mark.parametrize('health', ['ok', 'any'])
def test_a_state_that_is_not_usable_does_not_count(
        state: str, health: str) -> None:
    seen = box(gpu(0), gpu(1, state=state))
    made = plan(seen, profile(SAME, count=Count(2, 2), health=health))
    assert any(r.item.name == 'count' and r.seen == 1
               for r in made.refused)
    assert names(seen) == {'GPU', 'GPU_X1', 'GPU_NVIDIA_H100_SXM',
                           'DEGRADED'}


@pytest.mark.parametrize('state', [None, *sorted(condition.USABLE)])
def test_a_state_that_is_usable_counts(state: str | None) -> None:
    seen = box(gpu(0), gpu(1, state=state))
    assert plan(seen, profile(SAME, count=Count(2, 2))).converged
    assert 'GPU_X2' in names(seen)


@pytest.mark.parametrize(('current', 'steady'), [
    ('nic', True), ('dpu', False), (None, False)])
def test_a_bluefield_in_nic_mode_stands_by(
        current: str | None, steady: bool) -> None:
    dpu = Device('dpu-1', 'dpu', product='nvidia-bluefield-3',
                 state='StandbyOffline', modes=(Mode('mode', current),))
    assert condition.usable(dpu) is steady
    assert ('DEGRADED' in names(box(dpu))) is not steady


def test_a_device_that_was_not_read_costs_its_kind_alone() -> None:
    dpu = Device('n', 'dpu', product='nvidia-bluefield-3')
    seen = box(gpu(0, modes=(ON,)), gpu(1, unread=('presence',)), dpu)
    assert names(seen) == {'GPU', 'GPU_NVIDIA_H100_SXM', 'DEGRADED', 'DPU',
                           'DPU_X1', 'DPU_NVIDIA_BLUEFIELD_3'}


@pytest.mark.parametrize('fact', ['health', 'state'])
def test_health_that_was_not_read_costs_that_device_alone(
        fact: str) -> None:
    seen = box(gpu(0), gpu(1), gpu(2, unread=(fact,)))
    assert names(seen) == {'GPU', 'GPU_X2', 'GPU_NVIDIA_H100_SXM',
                           'DEGRADED'}


def test_a_fact_named_beside_the_device_counts_as_its_own() -> None:
    seen = with_unread(box(gpu(0), gpu(1)), Unread(
        'nvml', 'no answer in 20 s', 'gpu-1', facts=('health',)))
    assert 'GPU_X1' in names(seen)
    assert 'DEGRADED' in names(seen)


@pytest.mark.parametrize(('kinds', 'counted', 'degraded'), [
    (('gpu',), False, True), (('nic',), True, True),
    (('baseboard',), True, False), ((), True, False)])
def test_a_collection_that_was_not_read(
        kinds: tuple[str, ...], counted: bool, degraded: bool) -> None:
    found = names(with_unread(box(gpu(0, modes=(ON,))), hiding(*kinds)))
    assert ('GPU_X1' in found) is counted
    assert ('GPU_ECC' in found) is counted
    assert ('DEGRADED' in found) is degraded
    assert 'GPU' in found


def test_incomplete_inventory_gives_no_count_and_no_mode_trait() -> None:
    seen = dataclasses.replace(box(gpu(0, modes=(ON,))), complete=False)
    assert names(seen) == {'GPU', 'GPU_NVIDIA_H100_SXM', 'DEGRADED'}


@pytest.mark.parametrize('other', [
    gpu(1, modes=(ON,), unread=('modes',)),
    gpu(1, modes=(ON,), unread=('mode:ecc',)),
    gpu(1, modes=(), unread=('modes',)),
    gpu(1, modes=(dataclasses.replace(ECC, current=None, conflicts=(
        'redfish: enabled', 'agent: disabled')),)),
    gpu(1, modes=(ECC,), unread=('health',))])
def test_a_mode_that_one_may_not_have_is_no_trait(other: Device) -> None:
    assert 'GPU_ECC' not in names(box(gpu(0, modes=(ON,)), other))


def test_a_nic_that_may_be_a_dpu_degrades_a_plain_one_does_not() -> None:
    assert names(box(Device('n', 'nic', unread=('presence',)))) == {
        'DEGRADED'}
    assert names(box(Device('n', 'nic', product='broadcom-x',
                            unread=('presence',)))) == set()


def test_no_baseline_is_selected_after_one_that_could_not_be_read() -> None:
    first = Profile('first', (Group('g', {'kind': ('gpu',)}, Count(8, 8)),))
    second = Profile('second', (Group('g', {'kind': ('gpu',)}),))
    assert selection.first([first, second], box(gpu(0))).profile is second
    choice = selection.first([first, second], with_unread(
        box(gpu(0)), hiding('gpu')))
    assert (choice.profile, choice.untold) == (None, True)
    assert 'HTTP 503' in choice.words


FACTS = st.sampled_from(['presence', 'health', 'state', 'identity',
                         'firmware', 'firmware:gpu', 'modes', 'mode:ecc'])


@given(st.lists(st.sets(FACTS, max_size=2), min_size=1, max_size=4),
       st.sets(st.sampled_from(KINDS), max_size=2), st.booleans())
def test_nothing_is_proved_of_what_was_not_read(
        facts: list[set[str]], kinds: set[str], settled: bool) -> None:
    """Whatever is unread: a proof, an X trait and a mode trait need all
    that they stand on."""
    devices = [gpu(n, modes=(ON,), unread=tuple(sorted(f)))
               for n, f in enumerate(facts)]
    seen = dataclasses.replace(
        box(*devices), complete=settled,
        unread=(hiding(*kinds),) if kinds else ())
    made = plan(seen, profile(SAME, {'ecc': 'enabled'},
                              count=Count(len(facts), len(facts))))
    spoilt = any(facts) or 'gpu' in kinds or not settled
    assert made.converged is not spoilt
    assert bool(made.refused) is spoilt
    assert not made.stages
    for proof in made.satisfied:
        device = seen.device(proof.item.device)
        assert device is not None
        what = 'firmware:gpu' if proof.item.name == 'gpu' else 'mode:ecc'
        assert not device.is_unread(what)
    found = names(seen)
    assert ('DEGRADED' in found) or not (
        kinds - {'baseboard'} or not settled or any(
            f & {'presence', 'health', 'state'} for f in facts))
    if any('presence' in f for f in facts) or 'gpu' in kinds or not settled:
        assert not any(n.startswith('GPU_X') for n in found)
        assert 'GPU_ECC' not in found


def test_a_component_of_many_is_spoilt_by_its_listed_name() -> None:
    board = Device('b', 'baseboard', components=(
        Component('erot', 'E0', '1'), Component('erot-1', 'E1', '1')),
        unread=('firmware:erot',))
    made = plan(box(board), profile(
        {'erot': Firmware('1')}, match={'kind': ('baseboard',)}))
    assert {r.item.name for r in made.refused} == {'erot', 'erot-1'}


@pytest.mark.parametrize(('missing', 'items'), [
    ('components', {'firmware': SAME}),
    ('modes', {'modes': {'ecc': 'enabled'}})])
@pytest.mark.parametrize(('hidden', 'about', 'unread'), [
    ('gpu', None, True), ('nic', None, False), ('gpu', 'gpu@other', False)])
def test_what_an_unread_collection_would_tell_is_not_said_to_be_missing(
        missing: str, items: dict[str, Any], hidden: str,
        about: str | None, unread: bool) -> None:
    """A card seen by its PCIe function alone, its own collection unread."""
    bare: dict[str, Any] = {missing: ()}
    seen = dataclasses.replace(
        box(gpu(0, **bare)), unread=(hiding(hidden, about=about),))
    no = plan(seen, profile(**items)).refused
    assert [r.unread for r in no if r.item.device == 'gpu-0'] == [unread]
