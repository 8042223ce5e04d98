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

"""The save that ends a tick releases the node, or leaves it to its holder."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.db.sqlalchemy import api as db_api
from ironic import objects
import pytest

from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.upkeep import periodics
from tests.unit.conductor.node import test_db_retry
from tests.unit.conductor.node import test_saving
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import Stage

stage, statements = test_saving.stage, test_saving.statements
waits = test_saving.waits
OURS, OTHER = 'this-conductor', test_saving.OTHER


@pytest.fixture
def work(make_node: Make, context: Any) -> Iterator[Any]:
    """A task whose node has something to be saved."""
    node = make_node(provision_state=states.CLEANWAIT)
    with db_retry.acquire(context, node.uuid, purpose='testing') as task:
        saving.save(task.node)
        task.node.set_driver_internal_info('accel_test', 'last')
        yield task
    test_saving.give_up(node)


def stored(task: Any) -> Any:
    """The node of a task, as it is in the database."""
    return objects.Node.get_by_uuid(task.context, task.node_id)


def test_a_node_is_saved_and_released_at_once(
        work: Any, statements: list[str]) -> None:
    before = stored(work)
    statements.clear()
    saving.save_last(work)
    assert [text.split()[0] for text in statements] == ['UPDATE', 'SELECT']
    assert work.node is None
    after = stored(work)
    changed = {name for name in set(after.fields) - {'traits'}
               if getattr(after, name) != getattr(before, name)}
    assert changed == {'driver_internal_info', 'reservation', 'updated_at',
                       'provision_updated_at'}
    assert after.driver_internal_info['accel_test'] == 'last'
    assert after.reservation is None


def test_what_ironic_saves_is_released_by_the_task(work: Any) -> None:
    work.node.last_error = 'said'
    saving.save_last(work)
    assert not work.shared
    assert stored(work).reservation == OURS
    work.release_resources()
    after = stored(work)
    assert (after.reservation, after.last_error) == (None, 'said')


def other_state(node: Any) -> None:
    """An operator aborts the step, or deletes the node, meanwhile."""
    there = objects.Node.get_by_id(node._context, node.id)
    there.provision_state = states.CLEANFAIL
    there.save()


def other_token(node: Any) -> None:
    """Another process of this host name saves it."""
    saving.save(objects.Node.get_by_id(None, node.id))


def written_over(node: Any) -> None:
    """A process that lost the node long ago writes its old data."""
    there = objects.Node.get_by_id(node._context, node.id)
    there.driver_internal_info = {}
    there.save()


@pytest.mark.parametrize('meanwhile', [
    test_saving.take_over, lambda node: test_saving.take_over(node, True),
    other_state, other_token, written_over],
    ids=['taken over', 'taken over and back', 'state', 'token', 'overwritten'])
def test_a_node_that_changed_is_neither_saved_nor_released(
        work: Any, meanwhile: Callable[[Any], Any]) -> None:
    meanwhile(work.node)
    before = stored(work)
    with pytest.raises(saving.NotOurs):
        saving.save_last(work)
    after = stored(work)
    assert after.as_dict() == before.as_dict()
    assert after.reservation in (OURS, OTHER)
    if after.reservation == OTHER:
        with pytest.raises(exception.NodeLocked):
            work.release_resources()
        work.node = None


@contextlib.contextmanager
def no_answer(then: Callable[[], None]) -> Iterator[None]:
    """The answer to the first commit is lost; what happens after it."""
    database = test_db_retry.Database(lambda n: n == 1, committed=True)

    def sleep(seconds: float) -> None:
        # A connection that goes back to its pool sleeps for 0 s.
        if seconds:
            then()

    with mock.patch('oslo_db.api.time.sleep', autospec=True,
                    side_effect=sleep), database.failing():
        yield
    assert database.failures == 1


def nothing() -> None:
    """Nobody else has the node."""


@pytest.mark.parametrize('holder', [None, OURS, OTHER])
def test_a_node_is_not_taken_from_the_next_who_has_it(
        work: Any, holder: str | None) -> None:
    """Who reserved it since our commit has it, in whatever process."""
    uuid = work.node.uuid

    def reserve() -> None:
        if holder is not None:
            with mock.patch.object(db_api, '_session_for_write', write), \
                    mock.patch.object(db_api, '_session_for_read', read):
                objects.Node.reserve(None, holder, uuid)

    write, read = db_api._session_for_write, db_api._session_for_read
    with no_answer(reserve):
        saving.save_last(work)
    assert work.node is None
    after = stored(work)
    assert after.reservation == holder
    assert after.driver_internal_info['accel_test'] == 'last'


def test_a_copy_is_made_once_though_the_commit_is_not_answered(
        work: Any) -> None:
    keys.GUARD.put(work.node, {'what': 'gpu-0', 'kind': 'busy'})
    assert not saving.restore_overwritten(work.node)
    with no_answer(nothing):
        saving.save(work.node)
    assert len(guard_copy.stored(work.node)) == 1


def test_a_copy_that_was_removed_meanwhile_is_made_again(work: Any) -> None:
    keys.GUARD.put(work.node, {'what': 'gpu-0', 'kind': 'busy'})
    saving.save(work.node)
    assert not saving.restore_overwritten(work.node)
    for entry in objects.NodeHistory.list_by_node_id(None, work.node.id):
        entry.destroy()
    keys.GUARD.put(work.node, {'what': 'gpu-1', 'kind': 'busy'})
    saving.save(work.node)
    kept = guard_copy.copy_of(work.node)
    assert kept is not None
    assert kept.values[keys.GUARD.name]['what'] == 'gpu-1'


def test_a_tick_of_a_write_in_progress_is_six_statements(
        stage: Stage, context: Any, statements: list[str]) -> None:
    """With Ironic's lock, which takes ten by itself."""
    test_saving.until_polled(stage)
    uuid, before = stage.node.uuid, saving.generation(stage.node)
    with mock.patch.object(periodics, 'due', autospec=True,
                           return_value=True), \
            mock.patch.object(stage.box, 'sources', autospec=True) as read:
        # What is loaded once is loaded.
        periodics._tick(context, uuid)
        statements.clear()
        periodics._tick(context, uuid)
    assert [text.split()[0] for text in statements] == [
        'UPDATE', 'SELECT', 'SELECT', 'SELECT', 'UPDATE', 'UPDATE']
    read.assert_not_called()
    stage.node.refresh()
    assert stage.node.reservation is None
    assert saving.generation(stage.node) == before + 2
