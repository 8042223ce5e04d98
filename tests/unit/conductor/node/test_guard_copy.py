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

"""The mirror: what Ironic's core writes over is put back."""

from __future__ import annotations

from collections.abc import Iterator
import copy
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import release_mappings
from ironic.common import states
from ironic import objects
from oslo_config import cfg
import pytest

from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.upkeep import periodics
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import Stage

stage = test_runner.stage


def write_over(stage: Stage, old: dict[str, Any], **fields: Any) -> None:
    """What Ironic's core does for a conductor that lost the node."""
    there = objects.Node.get_by_id(
        stage.acquire(stage.node, shared=True).context, stage.node.id)
    there.driver_internal_info = old
    for name, value in fields.items():
        setattr(there, name, value)
    there.save()
    stage.node.refresh()


def burning(stage: Stage) -> dict[str, Any]:
    """A burn under way; what the node said before it began."""
    stage.begin(profile='h100-new')
    stage.node.refresh()
    old = copy.deepcopy(stage.info)
    stage.seconds = 1.0
    while not stage.box.flashing():
        stage.tick()
    return old


def test_keys_are_the_right_ones() -> None:
    assert guard_copy.KEYS == (
        'accel_guard',
        'accel_record',
        'accel_operation',
        'accel_clock',
        'accel_hold',
    )


def test_no_copy_without_an_update(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.tick()
    stage.run()
    assert guard_copy.copy_of(stage.node) is None


def test_power_lock_and_intent_are_copied(stage: Stage) -> None:
    burning(stage)
    kept = guard_copy.copy_of(stage.node)
    assert kept is not None
    assert kept.values[keys.GUARD.name] == stage.info[keys.GUARD.name]
    assert kept.values[keys.RECORD.name] == stage.info[
        keys.RECORD.name]
    assert kept.generation <= saving.generation(stage.node)
    assert guard_copy.overwritten(stage.node) is None
    assert guard_copy.all_overwritten() == set()


@pytest.fixture(params=[None, '32.0'])
def pin(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The release that all conductors of the test can read."""
    cfg.CONF.set_override('pin_release_version', request.param)
    yield request.param
    cfg.CONF.clear_override('pin_release_version')


def test_copy_has_the_version_that_all_conductors_read(
        stage: Stage, pin: str | None) -> None:
    """In a rolling upgrade it is that of the release before."""
    burning(stage)
    table = guard_copy._table()
    [row] = queries.select([table.c.version], table.c.node_id
                           == stage.node.id,
                           table.c.event_type == guard_copy.EVENT_TYPE)
    release = release_mappings.RELEASE_MAPPING[pin or 'master']
    assert row.version in release['objects']['NodeHistory']


@pytest.mark.parametrize('fields', [
    {}, {'provision_state': states.CLEANFAIL, 'maintenance': True},
    {'last_error': 'stale'}])
@pytest.mark.parametrize('wipe', [False, True])
def test_overwritten_values_are_restored(
        stage: Stage, acquire: Make, fields: dict[str, Any],
        wipe: bool) -> None:
    old = burning(stage)
    intent = stage.info[keys.RECORD.name]['intent']
    write_over(stage, {} if wipe else old, **fields)
    assert flash_guard.lock_of(stage.node) is None
    assert guard_copy.all_overwritten() == {stage.node.uuid}
    # The power is refused from the first moment on.
    task = acquire(stage.node, shared=True)
    with pytest.raises(exception.InvalidState, match='update in progress'):
        task.driver.power.validate(task)
    with pytest.raises(exception.DriverOperationError):
        task.driver.power.reboot(task)
    task.release_resources()
    task = acquire(stage.node)
    assert saving.restore_overwritten(task.node)
    assert not saving.restore_overwritten(task.node)
    task.release_resources()
    stage.node.refresh()
    assert stage.info[keys.RECORD.name]['intent'] == intent
    assert flash_guard.lock_of(stage.node) is not None
    assert guard_copy.all_overwritten() == set()
    events = [e.event for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id)]
    assert [e for e in events if 'another process overwrote' in e]


def test_overwritten_run_continues_without_a_second_push(
        stage: Stage) -> None:
    old = burning(stage)
    write_over(stage, old)
    stage.seconds = 40.0
    assert stage.run()['outcome'] == 'converged'
    assert set(stage.box.pushes.values()) == {1}
    assert stage.box.sins == []
    assert guard_copy.copy_of(stage.node) is None


def test_nothing_is_saved_before_it_is_restored(
        stage: Stage, acquire: Make) -> None:
    old = burning(stage)
    write_over(stage, old)
    task = acquire(stage.node)
    with pytest.raises(saving.NotOurs, match='overwritten'):
        saving.save(task.node)


def test_periodic_restores_overwritten_values(
        stage: Stage, acquire: Make) -> None:
    burning(stage)
    write_over(stage, {})
    assert operation.load(stage.node) is None

    class Manager:
        """The conductor's manager, as far as it is asked."""

        def iter_nodes(self, **_filters: Any) -> Any:
            """This conductor's nodes."""
            return [(stage.node.uuid, 'accel-redfish', '')]

    task = acquire(stage.node, shared=True)
    periodics.restore_all_overwritten(Manager(), task.context)
    stage.node.refresh()
    assert flash_guard.lock_of(stage.node) is not None
    assert operation.load(stage.node) is not None


def test_the_row_stays_the_youngest(stage: Stage) -> None:
    burning(stage)
    rows = [e for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id) if e.event_type == keys.GUARD_COPY.name]
    assert len(rows) == 1
    others = [e.created_at for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id) if e.event_type != keys.GUARD_COPY.name]
    assert rows[0].created_at >= max(others)


@pytest.mark.parametrize('skew', [-86400.0, -3600.0, 3600.0, 86400.0])
def test_the_time_of_a_node_is_put_back_too(
        stage: Stage, skew: float) -> None:
    """Without it a conductor's own clock would end the guard."""
    burning(stage)
    write_over(stage, {})
    begun = stage.box.now
    # The stage has put a mock there.
    with mock.patch.object(clock, 'now', lambda: stage.box.now + skew):
        task = stage.acquire(stage.node)
        assert saving.restore_overwritten(task.node)
        task.release_resources()
        stage.node.refresh()
        stage.tick()
        assert flash_guard.lock_of(stage.node) is not None
        assert abs(clock.elapsed(stage.node) - begun) < 60
    assert stage.box.sins == []


def held(stage: Stage, node: Any) -> None:
    task = stage.acquire(node)
    flash_guard.put_hold(task.node, 'audit', {'user': 'ops'})
    task.release_resources()


def test_a_hold_that_was_written_over_is_put_back(
        stage: Stage, acquire: Make) -> None:
    stage.begin(profile='h100-new')
    held(stage, stage.node)
    stage.node.refresh()
    write_over(stage, {k: v for k, v in stage.info.items()
                       if k not in (keys.HOLD.name, keys.FENCE.name)})
    assert flash_guard.hold_of(stage.node) is None
    for _ in range(3):
        assert 'is held by ops: audit' in stage.tick().progress
    assert stage.box.writes == 0
    told = '\n'.join(e.event for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id) if e.event_type == keys.EVENT.name)
    assert 'overwrote the hold of this node (audit)' in told
    assert 'baremetal accelerator unhold' in told
    assert 'an update in progress' not in told
    task = acquire(stage.node)
    flash_guard.lift_hold(task.node, 'done', {})
    task.release_resources()
    assert guard_copy.copy_of(stage.node) is None
    assert stage.run()['outcome'] == 'converged'


def test_overwritten_hold_of_a_child_still_holds(
        stage: Stage, acquire: Make) -> None:
    stage.node = stage.make_node()
    child = stage.make_node(parent_node=stage.node.uuid)
    held(stage, child)
    there = objects.Node.get_by_id(
        stage.acquire(stage.node, shared=True).context, child.id)
    there.driver_internal_info = {}
    there.save()
    task = acquire(stage.node, shared=True)
    assert flash_guard.why_held(task) == (
        f'child node {child.uuid} is held by ops: audit')


def test_copy_of_an_earlier_version_keeps_the_hold(
        stage: Stage) -> None:
    node = stage.make_node(driver_internal_info={
        keys.HOLD.name: {'reason': 'audit', 'by': None, 'at': 1.0}})
    guard_copy.restore(
        node, guard_copy.Kept(3, {keys.GUARD.name: {'what': 'x'}}))
    assert flash_guard.hold_of(node) is not None
    assert flash_guard.lock_of(node) is not None
