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

"""One way to save: fenced, whole or not at all, tried again."""

from __future__ import annotations

import ast
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any
from unittest import mock

from ironic.common import context as ironic_context
from ironic.common import states
from ironic.db.sqlalchemy import api as db_api
from ironic import objects
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import enginefacade
import pytest
import sqlalchemy
import sqlalchemy.orm

import ironic_accel.conductor
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving

from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.operation import step_end
from ironic_accel.conductor.publication import traits
from ironic_accel.model.trait_meaning import PRESENT
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
OTHER = 'another-conductor'
BEGUN = {'intent': 'of the other conductor'}


@pytest.fixture
def waits() -> Iterator[Any]:
    """Nobody waits between two tries."""
    with mock.patch('oslo_db.api.time.sleep', autospec=True) as slept:
        yield slept


def take_over(node: Any, release: bool = False) -> dict[str, Any]:
    """What another conductor does that has the node now; what it saved.

    :param release: whether it is through with it, and the node locked by
        this conductor again.
    """
    objects.Node.release(None, 'this-conductor', node.id)
    theirs = objects.Node.reserve(
        ironic_context.get_admin_context(), OTHER, node.id)
    theirs.set_driver_internal_info('accel_theirs', BEGUN)
    saving.save(theirs)
    if release:
        objects.Node.release(None, OTHER, node.id)
        objects.Node.reserve(None, 'this-conductor', node.id)
    return everything(node)


def give_up(node: Any) -> None:
    """Free the node, whoever has it."""
    there = objects.Node.get_by_id(None, node.id)
    if there.reservation:
        objects.Node.release(None, there.reservation, node.id)


def everything(node: Any) -> dict[str, Any]:
    """All that is said of a node in the database."""
    there = objects.Node.get_by_id(None, node.id)
    rows = objects.FirmwareComponentList.get_by_node_id(None, node.id)
    return {
        'info': there.driver_internal_info, 'error': there.last_error,
        'state': there.provision_state, 'maintenance': there.maintenance,
        'power': there.power_state, 'step': there.clean_step,
        'traits': sorted(objects.TraitList.get_by_node_id(
            None, node.id).get_trait_names()),
        'rows': sorted((r.component, r.current_version) for r in rows),
        'history': [e.event for e in objects.NodeHistory.list_by_node_id(
            None, node.id) if e.event_type != keys.GUARD_COPY.name]}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL statements that were executed, without BEGIN."""
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != 'BEGIN':
            made.append(statement)

    engine = enginefacade.writer.get_engine()
    sqlalchemy.event.listen(engine, 'before_cursor_execute', note)
    yield made
    sqlalchemy.event.remove(engine, 'before_cursor_execute', note)


@pytest.mark.parametrize('touch', [False, True])
def test_a_save_of_internal_info_alone_is_two_statements(
        make_node: Make, acquire: Make, statements: list[str], touch: bool
        ) -> None:
    node = acquire(make_node()).node
    before = objects.Node.get_by_id(None, node.id)
    node.set_driver_internal_info('accel_test', {'a': [1]})
    statements.clear()
    saving.save(node, touch=touch)
    assert [text.split()[0] for text in statements] == ['UPDATE', 'SELECT']
    after = objects.Node.get_by_id(None, node.id)
    assert after.driver_internal_info['accel_test'] == {'a': [1]}
    assert after.driver_internal_info == node.driver_internal_info
    assert not node.obj_what_changed()
    assert after.updated_at == node.updated_at > before.updated_at
    changed = {name for name in set(after.fields) - {'traits'}
               if getattr(after, name) != getattr(before, name)}
    assert changed == {'driver_internal_info', 'updated_at'} | (
        {'provision_updated_at'} if touch else set())


def test_a_save_of_more_than_internal_info_is_made_by_ironic(
        make_node: Make, acquire: Make) -> None:
    node = acquire(make_node()).node
    node.set_driver_internal_info('accel_test', 1)
    node.last_error = 'x' * 100_000
    saving.save(node)
    after = objects.Node.get_by_id(None, node.id)
    assert after.driver_internal_info['accel_test'] == 1
    # Ironic truncates it.
    assert set(after.last_error) == {'x'}
    assert len(after.last_error) < 100_000


def test_what_is_not_saved_is_still_to_be_saved(
        make_node: Make, acquire: Make, waits: Any) -> None:
    node = acquire(make_node()).node
    node.set_driver_internal_info('accel_test', 1)
    with mock.patch.object(sqlalchemy.orm.Session, 'commit', autospec=True,
                           side_effect=db_exc.DBError('no space left')), \
            pytest.raises(db_exc.DBError):
        saving.save(node)
    assert 'accel_test' not in objects.Node.get_by_id(
        None, node.id).driver_internal_info
    saving.save(node)
    assert objects.Node.get_by_id(
        None, node.id).driver_internal_info['accel_test'] == 1


@pytest.mark.parametrize('released', [False, True])
@pytest.mark.parametrize('write', [
    lambda task: saving.save(task.node),
    lambda task: saving.save(task.node, touch=True),
    lambda task: saving.history(task.node, 'stale'),
    lambda task: saving.check(task.node),
    lambda task: step_end.hand_back(task, 'clean'),
    lambda task: step_end.fail(
        task, Operation(kind='clean', step='x'), 'stale', nothing=False),
    lambda task: step_end.fail(
        task, Operation(kind='clean', step='x'), 'stale', nothing=True),
    lambda task: step_end.fail(
        task, Operation(kind='service', step='x'), 'stale', nothing=True),
    lambda task: saving.process_event(task, 'fail'),
    lambda task: traits.change(task, {'CUSTOM_ACCEL_STALE': PRESENT}, ()),
    lambda task: traits.change(task, {}, ['CUSTOM_ACCEL_GPU']),
    lambda task: inventory_store.save(task, sample.box()),
    lambda task: inventory_store.sync_firmware(task, sample.box())],
    ids=['save', 'touch', 'history', 'check', 'resume', 'fail',
         'fail in place', 'stay active', 'event', 'trait',
         'untrait', 'inventory', 'firmware'])
def test_conductor_that_lost_a_node_writes_nothing(
        make_node: Make, acquire: Make, released: bool,
        write: Callable[[Any], None]) -> None:
    task = acquire(make_node(provision_state=states.CLEANWAIT))
    traits.change(task, {'CUSTOM_ACCEL_GPU': PRESENT}, ())
    saving.save(task.node)
    task.node.last_error = 'stale'
    task.node.set_driver_internal_info('accel_stale', True)
    after = take_over(task.node, released)
    with pytest.raises(saving.NotOurs, match='saved 2 times'):
        write(task)
    assert everything(task.node) == after
    assert inventory_store.load(task) is None
    give_up(task.node)


def test_node_in_another_state_is_not_saved(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(provision_state=states.CLEANWAIT))
    there = objects.Node.get_by_id(task.context, task.node.id)
    there.provision_state = states.DELETING
    there.save()
    with pytest.raises(saving.NotOurs, match='in deleting'):
        saving.save(task.node)


def test_node_can_be_saved_many_times(make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    for number in range(1, 4):
        task.node.extra = {'number': number}
        saving.save(task.node)
        assert saving.generation(task.node) == number
    assert objects.Node.get_by_id(None, task.node.id).extra == {'number': 3}
    saving.save(task.node, forget=True)
    assert saving.token(objects.Node.get_by_id(None, task.node.id)) is None


@pytest.mark.parametrize('error', [
    db_exc.DBConnectionError(), db_exc.DBDeadlock(), db_exc.DBError()])
@pytest.mark.parametrize('times', [1, db_retry.TRIES])
@pytest.mark.parametrize('committed', [False, True])
def test_a_save_that_failed_is_tried_again(
        make_node: Make, acquire: Make, waits: Any, error: Exception,
        times: int, committed: bool) -> None:
    task = acquire(make_node())
    saving.save(task.node)
    real = db_api._session_for_write
    failed: list[int] = []

    class Breaking:
        """A transaction whose connection breaks."""

        def __init__(self) -> None:
            self.inner = real()

        def __enter__(self) -> Any:
            if not committed and len(failed) < times:
                failed.append(1)
                raise error
            return self.inner.__enter__()

        def __exit__(self, *what: Any) -> Any:
            self.inner.__exit__(*what)
            if committed and len(failed) < times:
                failed.append(1)
                raise error

    task.node.set_driver_internal_info('accel_kept', 'yes')
    with mock.patch.object(db_api, '_session_for_write', Breaking):
        saving.save(task.node)
    assert len(failed) == times
    there = objects.Node.get_by_id(None, task.node.id)
    assert there.driver_internal_info['accel_kept'] == 'yes'
    saving.save(task.node)


def test_permanent_database_error_is_not_retried(
        make_node: Make, acquire: Make, waits: Any) -> None:
    task = acquire(make_node())
    with mock.patch.object(saving, '_fenced', autospec=True,
                           side_effect=db_exc.DBDataError()) as asked, \
            pytest.raises(db_exc.DBDataError):
        saving.save(task.node)
    assert asked.call_count == 1


def test_a_tick_that_cannot_save_is_made_again(
        stage: Stage, waits: Any) -> None:
    stage.begin(profile='h100-new')
    stage.tick()
    before = everything(stage.node)
    with mock.patch.object(saving, '_fenced', autospec=True,
                           side_effect=db_exc.DBConnectionError()):
        stage.tick()
    assert everything(stage.node) == before
    assert stage.run()['outcome'] == 'converged'
    assert set(stage.box.pushes.values()) == {1}


class Failing:
    """A database some of whose transactions fail.

    :param at: the first one that does, and how many.
    :param committed: whether what they wrote is there all the same.
    """

    def __init__(self, at: int, times: int, committed: bool) -> None:
        self.failing = range(at, at + times)
        self.committed = committed
        self.real = db_api._session_for_write
        self.count = self.depth = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Any]:
        """One of them; those within others are theirs."""
        outermost = self.depth == 0
        self.count += outermost
        fails = outermost and self.count in self.failing
        if fails and not self.committed:
            raise db_exc.DBDeadlock
        self.depth += 1
        try:
            with self.real() as session:
                yield session
        finally:
            self.depth -= 1
        if fails:
            raise db_exc.DBConnectionError


@pytest.mark.parametrize('committed', [False, True])
@pytest.mark.parametrize('times', [1, 2, db_retry.TRIES])
@pytest.mark.parametrize('at', range(1, 10))
def test_the_end_of_a_run_survives_a_failing_database(
        stage: Stage, waits: Any, at: int, times: int,
        committed: bool) -> None:
    """Wherever it fails: a node that has left our care in a wait state
    would be Ironic's to end, with its power off."""
    stage.begin(profile='h100-new')
    task = stage.acquire(stage.node)
    failing = Failing(at, times, committed)
    with mock.patch.object(db_api, '_session_for_write', failing):
        step_end.fail(task, Operation(kind='clean', step='x'), 'said',
                      nothing=True)
    assert failing.count >= 4
    stage.node.refresh()
    assert stage.node.provision_state == states.CLEANFAIL
    assert stage.node.target_provision_state == states.MANAGEABLE
    assert stage.node.last_error == 'said'
    assert stage.node.clean_step == {}
    assert stage.box.writes == 0


@pytest.mark.parametrize('released', [False, True])
@pytest.mark.parametrize('call', range(1, 23))
def test_taken_over_at_any_call_of_a_run(
        stage: Stage, call: int, released: bool) -> None:
    stage.begin(profile='h100-new')
    calls = 0
    after: dict[str, Any] = {}
    asked: list[str] = []
    written = -1

    def watched(name: str, real: Any) -> Any:
        def called(*args: Any, **more: Any) -> Any:
            nonlocal calls, written
            calls += 1
            if after:
                asked.append(name)
            answer = real(*args, **more)
            if calls == call:
                after.update(take_over(stage.node, released))
                written = stage.box.writes
            return answer
        return called

    with mock.patch.multiple(stage.box, **{
            name: watched(name, getattr(stage.box, name)) for name in (
                'sources', 'transports', 'start', 'poll', 'commit')}), \
            mock.patch.object(bmc_session, 'backend', watched(
                'backend', bmc_session.backend)), \
            mock.patch.object(history, 'note_write', watched(
                'evidence', history.note_write)):
        for _ in range(60):
            task = stage.acquire(stage.node)
            runner.tick(task)
            if after:
                break
            if task.node is not None:
                task.release_resources()
            stage.node.refresh()
            stage.box.now += stage.seconds
    assert after, f'only {calls} calls'
    assert everything(stage.node) == after
    assert stage.box.writes == written
    assert not {'start', 'commit', 'evidence'} & set(asked)
    assert stage.resumed == []
    give_up(stage.node)


def until_polled(stage: Stage) -> None:
    """Begin a run, and tick until its first write is in progress."""
    stage.begin(profile='h100-new')
    stage.seconds = 1.0
    while not (stage.box.flashing() and stage.info[
            keys.RECORD.name]['intent'].get('ticket')):
        assert stage.tick() is not None


def test_a_poll_of_a_write_in_progress_is_three_statements(
        stage: Stage, statements: list[str]) -> None:
    until_polled(stage)
    task = stage.acquire(stage.node)
    before = saving.generation(task.node)
    with mock.patch.object(stage.box, 'sources', autospec=True) as read:
        statements.clear()
        runner.tick(task)
    # The copy of the guard is read, and follows the node where it is saved.
    assert [text.split()[0] for text in statements] == [
        'SELECT', 'UPDATE', 'UPDATE']
    read.assert_not_called()
    after = objects.Node.get_by_id(None, stage.node.id)
    assert saving.generation(after) == before + 1
    assert stage.node.provision_updated_at <= after.provision_updated_at


@pytest.mark.parametrize('watched', [False, True])
def test_who_had_the_node_before_an_inventory_begins_no_write_after_it(
        stage: Stage, watched: bool) -> None:
    """Two processes of one host name hold a node by the same reservation."""
    until_polled(stage)
    if watched:
        stage.node.set_driver_internal_info(keys.OPERATION.name, {
            **stage.info[keys.OPERATION.name], 'work': 'watch'})
        stage.node.provision_state = states.CLEANFAIL
        stage.node.save()
    stale: Any = None
    read = 0
    real = stage.box.sources

    def sources() -> Any:
        nonlocal read
        read += 1
        with pytest.raises(saving.NotOurs):
            saving.check(stale)
        return real()

    stage.seconds = 40.0
    with mock.patch.object(stage.box, 'sources', sources):
        for _ in range(60):
            task = stage.acquire(stage.node)
            stale = objects.Node.get_by_id(None, stage.node.id)
            runner.tick(task)
            if task.node is not None:
                task.release_resources()
            stage.node.refresh()
            stage.box.now += stage.seconds
            if operation.load(stage.node) is None:
                break
    assert read >= 2
    assert stage.box.sins == []


def test_a_poll_by_who_lost_the_node_saves_nothing(stage: Stage) -> None:
    until_polled(stage)
    task = stage.acquire(stage.node)
    after: dict[str, Any] = {}
    real = stage.box.poll

    def poll(ticket: Any) -> Any:
        after.update(take_over(stage.node, False))
        return real(ticket)

    with mock.patch.object(stage.box, 'poll', poll):
        runner.tick(task)
    assert after and everything(stage.node) == after
    give_up(stage.node)


#: What writes to Ironic's database, by the name that it is called by.
WRITERS = frozenset({
    'save', 'create', 'destroy', 'process_event', 'touch_provisioning',
    'node_history_record', 'notify_conductor_resume_operation',
    'step_error_handler', 'store_inspection_data', '_session_for_write'})
#: Where else one of these names stands, and why it may.
ALLOWED = {
    ('inventory_store.py', 'store_inspection_data'): 'inside of saving.write',
    ('inventory_store.py', 'create'): 'inside of saving.write',
    ('inventory_store.py', '_session_for_write'): 'inside of saving.write',
    ('ironic_series.py', 'node_history_record'): 'called by saving.history',
    ('guard_copy.py', '_session_for_write'): 'inside of saving.save',
    ('db_retry.py', '_session_for_write'): "around Ironic's reservation",
    ('step_end.py', 'notify_conductor_resume_operation'):
        'after saving.check',
    ('traits.py', 'create'): 'inside of saving.write',
    ('traits.py', 'destroy'): 'inside of saving.write'}
#: Objects whose method of that name is none of Ironic's.
PORTS = frozenset({'saving', 'journal', 'inventory_store'})


def test_nothing_else_writes_to_the_database() -> None:
    found = set()
    folder = pathlib.Path(ironic_accel.conductor.__file__).parent
    for path in sorted(folder.rglob('*.py')):
        if path.name == 'saving.py':
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(call, ast.Attribute) \
                    or call.attr not in WRITERS:
                continue
            owner = call.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(
                owner, 'attr', '')
            if name not in PORTS:
                found.add((path.name, call.attr))
    assert found == set(ALLOWED)


def test_the_guard_is_saved_with_the_intent(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    while not stage.box.flashing():
        stage.tick()
    info = objects.Node.get_by_id(None, stage.node.id).driver_internal_info
    assert info[keys.GUARD.name] and info[keys.RECORD.name]['intent']
