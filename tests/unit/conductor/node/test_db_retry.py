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

"""A database that is lost and comes back, wherever a run is."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import threading
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.conductor import rpcapi
from ironic.conf import CONF
from ironic.db.sqlalchemy import api as db_api
from ironic import objects
from oslo_db import exception as db_exc
import pytest
import sqlalchemy

from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.operation import step_end
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import Stage

stage = test_runner.stage


def lost() -> Exception:
    """As oslo.db reports MySQL's 2006 and 2013."""
    error: Exception = db_exc.DBConnectionError(
        sqlalchemy.exc.OperationalError('SELECT 1', {}, Exception(
            2013, 'Lost connection to MySQL server during query')))
    return error


def locked() -> Exception:
    """As SQLAlchemy reports SQLite's SQLITE_BUSY; oslo.db leaves it so."""
    return sqlalchemy.exc.OperationalError(
        'UPDATE nodes', {}, Exception('database is locked'))


@pytest.fixture(autouse=True)
def waits() -> Iterator[Any]:
    """Nobody waits between two tries."""
    with mock.patch('oslo_db.api.time.sleep', autospec=True) as slept:
        yield slept


class Database:
    """Transactions of which some fail, reading or writing.

    :param fails: whether one fails, by its number from 1.
    :param committed: whether what it wrote is there all the same.
    """

    def __init__(self, fails: Callable[[int], bool],
                 error: Callable[[], Exception] = lost,
                 committed: bool = False) -> None:
        self._fails, self._error = fails, error
        self._committed = committed
        self.failures = self.count = self._depth = 0

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Let them fail meanwhile."""
        with contextlib.ExitStack() as stack:
            for name in ('_session_for_read', '_session_for_write'):
                stack.enter_context(mock.patch.object(
                    db_api, name, self._wrapped(getattr(db_api, name))))
            yield

    def _wrapped(self, real: Callable[[], Any]) -> Callable[[], Any]:
        @contextlib.contextmanager
        def session() -> Iterator[Any]:
            outermost = self._depth == 0
            self.count += outermost
            fails = outermost and self._fails(self.count)
            self.failures += fails
            if fails and not self._committed:
                raise self._error()
            self._depth += 1
            try:
                with real() as inner:
                    yield inner
            finally:
                self._depth -= 1
            if fails:
                raise self._error()
        return session


def run(stage: Stage, database: Database, most: int = 90) -> dict[str, Any]:
    """Tick until it is over, with the database only there as it is."""
    for _ in range(most):
        task = stage.acquire(stage.node)
        with database.failing():
            runner.tick(task)
        if task.node is not None:
            task.release_resources()
        stage.node.refresh()
        stage.box.now += stage.seconds
        if 'accel_operation' not in stage.info:
            return dict(stage.result)
    raise AssertionError(f'not over after {most} ticks: {stage.info}')


@pytest.mark.parametrize('committed', [False, True])
@pytest.mark.parametrize('error', [lost, locked])
@pytest.mark.parametrize('offset', [0, 5, 9])
def test_a_run_converges_though_every_thirteenth_transaction_fails(
        stage: Stage, error: Callable[[], Exception], offset: int,
        committed: bool) -> None:
    """A power action of Ironic's is about eight, and is made again whole."""
    stage.begin(profile='h100-new')
    database = Database(lambda n: n % 13 == offset, error, committed)
    assert run(stage, database)['outcome'] == 'converged'
    assert database.failures > 5
    assert set(stage.box.pushes.values()) == {1}
    assert stage.resumed == ['clean']
    assert 'CUSTOM_ACCEL_IS_H100_NEW' in stage.traits


@pytest.mark.parametrize('begins', [1, 9, 30, 60, 90])
def test_an_outage_longer_than_all_tries_ends_no_run(
        stage: Stage, begins: int) -> None:
    stage.begin(profile='h100-new')
    outage = range(begins, begins + 3 * db_retry.TRIES)
    database = Database(lambda n: n in outage)
    assert run(stage, database)['outcome'] == 'converged'
    assert database.failures == len(outage)
    assert set(stage.box.pushes.values()) == {1}
    assert stage.resumed == ['clean']


def test_a_step_begins_though_every_fourth_transaction_fails(
        stage: Stage) -> None:
    database = Database(lambda n: n % 4 == 1)
    real = stage.acquire

    def acquire(node: Any) -> Any:
        task = real(node)
        vendor = task.driver.vendor
        execute = vendor.execute_clean_step

        def begin(*args: Any) -> Any:
            with database.failing():
                return execute(*args)
        vendor.execute_clean_step = begin
        stack.callback(vendor.__dict__.pop, 'execute_clean_step')
        return task

    with contextlib.ExitStack() as stack:
        stage.acquire = acquire
        stage.begin(profile='h100-new')
    stage.acquire = real
    assert database.failures > 0
    assert stage.run()['outcome'] == 'converged'


def test_an_attempt_within_another_is_made_once() -> None:
    calls = []

    def inner() -> None:
        calls.append(1)
        raise lost()

    with pytest.raises(db_exc.DBConnectionError):
        db_retry.call(lambda: db_retry.call(inner))
    assert len(calls) == 1 + db_retry.TRIES


@pytest.mark.parametrize('error', [
    db_exc.DBNonExistentTable('nodes'),
    exception.NodeNotFound(node='x'), exception.NoFreeConductorWorker()])
def test_what_will_fail_again_is_not_repeated(error: Exception) -> None:
    calls = []

    def attempt() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        db_retry.call(attempt)
    assert len(calls) == 1


@pytest.mark.parametrize('committed', [False, True])
@pytest.mark.parametrize('times', [1, 20])
def test_a_node_is_released_when_the_database_is_back(
        make_node: Make, acquire: Make, committed: bool, times: int) -> None:
    node = make_node()
    task = acquire(node)
    database = Database(lambda n: n <= times, committed=committed)
    with database.failing():
        db_retry.release(task)
    assert task.node is None
    node.refresh()
    assert node.reservation is None
    # Again, as Ironic does at the end of a worker.
    task.release_resources()


def test_a_node_is_released_whose_work_and_release_fail(
        make_node: Make, context: Any) -> None:
    node = make_node()
    database = Database(lambda n: n <= 3)
    with pytest.raises(db_exc.DBConnectionError), \
            db_retry.acquire(context, node.uuid, purpose='testing'), \
            database.failing():
        objects.Node.get_by_id(None, node.id)
    node.refresh()
    assert node.reservation is None


@pytest.mark.parametrize('committed', [False, True])
def test_a_step_is_resumed_though_the_release_of_its_node_fails(
        make_node: Make, acquire: Make, committed: bool) -> None:
    task = acquire(make_node(provision_state='clean wait'))
    uuid, node = task.node.uuid, task.node
    with mock.patch.object(rpcapi, 'ConductorAPI', autospec=True) as made, \
            mock.patch.object(saving, 'check', autospec=True):
        made.return_value.get_current_topic.return_value = 'here'
        database = Database(lambda n: n == (2 if committed else 1),
                            committed=committed)
        with database.failing():
            step_end.hand_back(task, 'clean')
    assert database.failures == 1
    made.return_value.continue_node_clean.assert_called_once_with(
        mock.ANY, uuid, topic='here')
    node.refresh()
    assert node.reservation is None


def test_a_step_is_resumed_though_the_call_of_the_conductor_fails(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(provision_state='clean wait'))
    uuid = task.node.uuid
    with mock.patch.object(rpcapi, 'ConductorAPI', autospec=True) as made:
        ask = made.return_value.continue_node_clean
        ask.side_effect = [locked(), None]
        step_end.hand_back(task, 'clean')
    assert [c.args[1] for c in ask.call_args_list] == [uuid, uuid]


@pytest.fixture
def kept() -> Iterator[int]:
    """How many connections Ironic's pool keeps: as by default."""
    CONF.set_override('max_pool_size', 5, 'database')
    yield 5
    CONF.clear_override('max_pool_size', 'database')


@contextlib.contextmanager
def all_turns_taken(kept: int) -> Iterator[None]:
    """As many threads as may be use the database, until this ends."""
    begun, end = threading.Barrier(kept), threading.Event()

    def work() -> None:
        begun.wait(30)
        end.wait(60)

    with futures.ThreadPoolExecutor(kept - 1) as pool:
        running = [pool.submit(db_retry.call, work) for _ in range(kept - 1)]
        begun.wait(30)
        try:
            yield
        finally:
            end.set()
        for one in running:
            one.result(60)


def test_no_more_threads_use_the_database_than_have_a_kept_connection(
        kept: int) -> None:
    with mock.patch.object(db_retry, 'PATIENCE', 600), \
            futures.ThreadPoolExecutor(1) as pool:
        with all_turns_taken(kept):
            further = pool.submit(db_retry.call, lambda: 'read')
            assert not futures.wait([further], 0.3).done
        assert further.result(60) == 'read'


def test_a_turn_that_is_waited_for_in_vain_stops_nobody(kept: int) -> None:
    with mock.patch.object(db_retry, 'PATIENCE', 0.01), all_turns_taken(kept):
        assert db_retry.call(lambda: 'read') == 'read'


def test_what_waits_for_another_process_takes_no_turn(kept: int) -> None:
    with mock.patch.object(db_retry, 'PATIENCE', 600), all_turns_taken(kept):
        assert db_retry.call(lambda: 'asked', remote=True) == 'asked'


def test_a_failure_gives_its_turn_back(kept: int) -> None:
    with mock.patch.object(db_retry, 'PATIENCE', 600):
        for _ in range(2 * kept):
            with pytest.raises(ValueError, match='no turn is lost'):
                db_retry.call(mock.Mock(side_effect=ValueError(
                    'no turn is lost')))


def test_a_pool_without_a_limit_gives_everybody_a_turn() -> None:
    CONF.set_override('max_pool_size', 0, 'database')
    try:
        with mock.patch.object(db_retry, 'PATIENCE', 600), \
                all_turns_taken(8):
            assert db_retry.call(lambda: 'read') == 'read'
    finally:
        CONF.clear_override('max_pool_size', 'database')
