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

"""Parents and children mind each other."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

from ironic.common import exception
from ironic.common import states
from ironic.conf import CONF
import pytest

from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from tests.unit.conductor.family import Family
from tests.unit.conductor.family import Make
from tests.unit.conductor.family import staged
from tests.unit.conductor.refusal import refused
from tests.unit.conductor import sample


@pytest.fixture
def family(make_node: Make, acquire: Make, profiles: pathlib.Path
           ) -> Iterator[Family]:
    """A host and the card in it, with all that is around them."""
    with staged(make_node, acquire, profiles) as made:
        yield made


def test_child_withdraws_what_its_parent_changes(
        family: Family) -> None:
    family.card.modes['d0']['ecc'].current = 'enabled'
    family.refresh(family.child)
    family.run(family.child)
    assert 'CUSTOM_ACCEL_GPU_ECC' in family.traits(family.child)
    profile = sample.mode_profile('card-off', ecc='disabled')
    profile['devices']['gpus'].pop('count')
    family.begin(family.parent, 'apply_profile', profile=profile)
    while not family.card.writes:
        assert family.tick(family.parent) is not None
    assert not {t for t in family.traits(family.child)
                if '_IS_' in t or t.endswith('_ECC')}
    # What is seen meanwhile is no basis for anything.
    family.card.now += 60
    family.refresh(family.child)
    left = family.tick(family.child)
    assert left is not None
    assert left.progress == 'an operation on the parent node is in progress'


def test_the_guard_of_a_parent_covers_its_child(
        family: Family) -> None:
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    while not family.card.writes:
        family.tick(family.parent)
    assert flash_guard.lock_of(family.parent)
    task = family.acquire(family.child)
    with pytest.raises(exception.InvalidState,
                       match=f'of node {family.parent.uuid}'):
        task.driver.power.validate(task)
    with pytest.raises(exception.DriverOperationError):
        task.driver.power.set_power_state(task, states.POWER_OFF)
    family.card.host = 'off'
    assert task.driver.power.get_power_state(task) == 'power on'
    task.release_resources()
    assert family.powered == []


@pytest.mark.parametrize('state', [states.CLEANING, states.ACTIVE])
def test_a_child_that_is_not_idle_is_neither_written_nor_reset(
        family: Family, state: str) -> None:
    family.state(family.child, state)
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    told = family.run(family.parent)
    assert told['outcome'] == 'refused'
    assert f'child node {family.child.uuid} is {state}' in (
        told['error']['summary'])
    assert family.card.writes == 0
    assert family.powered == []


def test_disruption_allowed_is_for_the_instance_on_a_child_too(
        family: Family) -> None:
    family.state(family.child, states.ACTIVE)
    family.begin(family.parent, 'apply_profile', profile='card-ecc',
                 allow_disruption=True)
    assert family.run(family.parent)['outcome'] == 'converged'


def test_write_waits_for_an_operation_on_the_child(
        family: Family) -> None:
    family.refresh(family.child)
    family.run(family.child)
    held = family.acquire(family.child)
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    for _ in range(3):
        left = family.tick(family.parent)
    assert left is not None
    assert left.progress.startswith('waiting for a child node')
    assert family.card.writes == 0
    record = operation.load_record(family.parent)
    assert record is not None
    assert record.intent is None
    held.release_resources()
    assert family.run(family.parent)['writes'] == 1


def test_reset_waits_for_an_operation_on_the_child(
        family: Family) -> None:
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    while not family.card.writes:
        family.tick(family.parent)
    family.state(family.child, states.CLEANWAIT)
    for _ in range(6):
        left = family.tick(family.parent)
    assert left is not None
    assert left.progress == (
        f'waiting: child node {family.child.uuid} is clean wait')
    assert family.powered == []
    family.state(family.child, states.MANAGEABLE)
    held = family.acquire(family.child)
    left = family.tick(family.parent)
    assert left is not None
    assert left.progress == (
        f'waiting: child node {family.child.uuid} is locked')
    held.release_resources()
    assert family.run(family.parent)['outcome'] == 'converged'
    assert family.powered == [
        ('parent', 'soft power off'), ('parent', 'power on')]


def test_a_child_with_power_of_its_own_is_left_on(family: Family) -> None:
    family.child.driver_info = {**family.child.driver_info,
                                'has_dedicated_power_supply': True}
    family.child.save()
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    assert family.run(family.parent)['outcome'] == 'converged'
    assert [who for who, _ in family.powered] == ['parent', 'parent']


def test_steps_of_a_child_only_read(family: Family) -> None:
    for step, args in (('apply_profile', {'profile': 'card-ecc'}),
                       ('reset_devices', {})):
        family.begin(family.child, step, **args)
        family.child.refresh()
        assert f'its parent {family.parent.uuid}' in refused(family.child)
    family.begin(family.child, 'refresh_traits')
    told = family.run(family.child)
    assert (told['outcome'], told['writes']) == ('done', 0)
    assert family.traits(family.child) == {
        'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X1'}


def test_child_is_not_powered_on_for_an_inventory(family: Family) -> None:
    family.card.host = 'off'
    family.refresh(family.child)
    told = family.run(family.child)
    assert told['note'] == 'host off: not inventoried'
    assert family.powered == []


def test_a_child_has_no_general_baseline(family: Family) -> None:
    CONF.set_override('baseline_profile', 'card-ecc', group='accelerator')
    try:
        task = family.acquire(family.child)
        assert task.driver.vendor.apply_baseline(task) is None
        task.node.driver_info = {**task.node.driver_info,
                                 'accel_baseline': 'card-ecc'}
        with pytest.raises(exception.InvalidParameterValue,
                           match='is a child node'):
            task.driver.vendor.apply_baseline(task)
        task.release_resources()
    finally:
        CONF.clear_override('baseline_profile', group='accelerator')
