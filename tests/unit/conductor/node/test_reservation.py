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

"""A node is reserved and read, or not reserved, whatever the database does.

The other users of the database are real connections here: only SQLite knows
who waits for whom.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import concurrent.futures
import contextlib
import itertools
import pathlib
import sqlite3
import threading
import time
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import api as db_api
from ironic.drivers.modules import ipxe
from ironic import objects
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils
import pytest
import sqlalchemy
import sqlalchemy.orm

from ironic_accel.conductor.node import db_retry
from tests.unit.conductor.node import test_db_retry
from tests.unit.conductor.stage import Make

lost, locked = test_db_retry.lost, test_db_retry.locked
Error = Callable[[], Exception]

#: Seconds for which SQLite waits by itself in these tests; 5 by default.
BUSY = 0.2
#: Longer than what takes part in a deadlock takes to give up.
BOUND = 8.0


@pytest.fixture(autouse=True)
def busy(database: pathlib.Path) -> Iterator[None]:
    """Connections that do not wait for long, and tries close together."""
    engine = enginefacade.writer.get_engine()

    def shorten(connection: Any, _record: Any) -> None:
        connection.execute(f'PRAGMA busy_timeout={BUSY * 1000:.0f}')

    sqlalchemy.event.listen(engine, 'connect', shorten, insert=True)
    engine.dispose()
    yield
    sqlalchemy.event.remove(engine, 'connect', shorten)
    engine.dispose()


@pytest.fixture
def at_once() -> Iterator[Any]:
    """Nobody waits between two tries."""
    with mock.patch('oslo_db.api.time.sleep', autospec=True) as slept:
        yield slept


@pytest.fixture
def somebody(database: pathlib.Path
             ) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Connections of another process, closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(sqlite3.connect(
            database, timeout=2, isolation_level=None,
            check_same_thread=False)))


@contextlib.contextmanager
def reserving(context: Any, uuid: str) -> Iterator[
        concurrent.futures.Future[float]]:
    """Reserve and release a node in a thread that has begun to.

    It gives the seconds that it took.
    """
    begun = threading.Event()

    def work() -> float:
        start = time.monotonic()
        begun.set()
        with db_retry.acquire(context, uuid, purpose='testing') as task:
            assert task.node.reservation == CONF.host
        return time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        assert begun.wait(BOUND)
        # Several times as long as it takes to come to where it waits.
        time.sleep(3 * BUSY)
        yield future


def reservation(node: Any) -> str | None:
    """As it stands in the database."""
    node.refresh()
    found: str | None = node.reservation
    return found


def test_a_task_and_its_node_are_as_ironic_makes_them(
        make_node: Make, acquire: Make, context: Any) -> None:
    node = make_node(extra={'rack': 7}, name='seven')
    objects.TraitList.create(context, node.id, ['CUSTOM_A', 'CUSTOM_B'])
    db_api.Connection().set_node_tags(node.id, ['blue'])
    theirs = acquire(node)
    expected, spare = theirs.node, vars(theirs).keys()
    theirs.release_resources()
    for _ in range(2):
        with db_retry.acquire(context, node.uuid, purpose='testing') as task:
            assert vars(task).keys() == spare
            assert (task.shared, task.node_id, task.context) == (
                False, node.uuid, context)
            assert task.fsm.current_state == expected.provision_state
            ours = task.node
            assert ours._changed_fields == expected._changed_fields == set()
            assert ours._context is context
            assert set(ours.traits.get_trait_names()) == {
                'CUSTOM_A', 'CUSTOM_B'}
            assert {**ours.as_dict(), 'updated_at': None} == {
                **expected.as_dict(), 'updated_at': None}
            assert [p.address for p in task.ports] == []
            assert isinstance(task.driver.boot, type(
                acquire(node, shared=True).driver.boot))
        assert task.node is None and task.fsm is None


def test_a_node_that_is_gone_is_not_found(context: Any) -> None:
    with pytest.raises(exception.NodeNotFound), db_retry.acquire(
            context, uuidutils.generate_uuid(), purpose='testing'):
        raise AssertionError('there is none')


@contextlib.contextmanager
def unreadable(errors: Iterator[Exception]) -> Iterator[list[int]]:
    """Reading a node's traits fails, as often as there are errors."""
    tries: list[int] = []
    engine = enginefacade.writer.get_engine()

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if 'FROM node_traits' in statement:
            tries.append(1)
            for error in errors:
                raise error

    sqlalchemy.event.listen(engine, 'before_cursor_execute', fail)
    try:
        yield tries
    finally:
        sqlalchemy.event.remove(engine, 'before_cursor_execute', fail)


@pytest.mark.parametrize('error', [lost, locked])
def test_a_node_is_not_reserved_that_cannot_be_read_after_it(
        make_node: Make, context: Any, error: Error, at_once: Any) -> None:
    """Ironic commits a reservation before it reads the node."""
    node = make_node()
    with unreadable(error() for _ in itertools.count()) as tries, \
            pytest.raises(type(error())), \
            db_retry.acquire(context, node.uuid, purpose='testing'):
        raise AssertionError('it was not read')
    assert len(tries) == 1 + db_retry.TRIES
    assert reservation(node) is None


@pytest.mark.parametrize('error', [lost, locked])
def test_a_node_is_reserved_that_can_be_read_later(
        make_node: Make, context: Any, error: Error, at_once: Any) -> None:
    node = make_node()
    with unreadable(error() for _ in range(2)) as tries, \
            db_retry.acquire(context, node.uuid, purpose='testing') as task:
        assert not task.shared
        assert len(tries) == 3
        assert reservation(node) == task.node.reservation == CONF.host
    assert reservation(node) is None


@pytest.mark.parametrize('error', [lost, locked])
def test_a_node_is_not_reserved_where_its_commit_fails(
        make_node: Make, context: Any, error: Error, at_once: Any) -> None:
    node = make_node()
    with db_retry.acquire(context, node.uuid, shared=True,
                          purpose='testing') as task:
        with mock.patch.object(sqlalchemy.orm.Session, 'commit',
                               autospec=True, side_effect=error()), \
                pytest.raises(type(error())):
            db_retry.reserve(task)
        assert task.shared
        assert reservation(node) is None
    assert reservation(node) is None


def test_a_node_is_reserved_whose_commit_is_not_answered(
        make_node: Make, context: Any, at_once: Any) -> None:
    node = make_node()
    real = sqlalchemy.orm.Session.commit

    def commit(session: Any) -> None:
        real(session)
        raise lost()

    with db_retry.acquire(context, node.uuid, shared=True,
                          purpose='testing') as task:
        with mock.patch.object(sqlalchemy.orm.Session, 'commit',
                               autospec=True, side_effect=commit) as commits:
            db_retry.reserve(task)
        commits.assert_called_once()
        assert not task.shared
        assert reservation(node) == task.node.reservation == CONF.host
    assert reservation(node) is None


def test_a_node_of_another_task_is_left_to_it(
        make_node: Make, acquire: Make, context: Any) -> None:
    node = make_node()
    holder = acquire(node)
    with pytest.raises(exception.NodeLocked), \
            db_retry.acquire(context, node.uuid, retry=False,
                             purpose='testing'):
        raise AssertionError('it is reserved')
    db_retry.reserve(holder)
    assert reservation(node) == CONF.host
    assert not holder.shared


def test_a_reserved_node_is_waited_for_outside_of_a_transaction(
        make_node: Make, acquire: Make, context: Any,
        somebody: Callable[[], sqlite3.Connection]) -> None:
    node = make_node()
    holder = acquire(node)
    CONF.set_override('node_locked_retry_attempts', 3, 'conductor')
    CONF.set_override('node_locked_retry_interval', 7, 'conductor')
    tries = []

    def attempt(task: Any, also: Any) -> None:
        tries.append(task.node)
        real(task, also)

    def sleep(seconds: float) -> None:
        if seconds != 7:
            return
        # Nobody could, in a transaction that has read or written.
        somebody().execute('BEGIN EXCLUSIVE').execute('ROLLBACK')
        if len(tries) == 2:
            holder.node.boot_interface = 'ipxe'
            holder.node.save()
            holder.release_resources()

    real = db_retry._reserve
    try:
        with mock.patch.object(db_retry, '_reserve', autospec=True,
                               side_effect=attempt), \
                mock.patch('tenacity.nap.time.sleep', autospec=True,
                           side_effect=sleep), \
                db_retry.acquire(
                    context, node.uuid, purpose='testing') as task:
            assert task.node.reservation == CONF.host
            # The driver is that of the node as it was reserved.
            assert isinstance(task.driver.boot, ipxe.iPXEBoot)
    finally:
        CONF.clear_override('node_locked_retry_attempts', 'conductor')
        CONF.clear_override('node_locked_retry_interval', 'conductor')
    assert tries == [None] * 3
    assert reservation(node) is None


def test_a_reservation_that_waits_to_write_keeps_nobody_from_committing(
        make_node: Make, context: Any,
        somebody: Callable[[], sqlite3.Connection]) -> None:
    """Somebody has the database reserved for writing (RESERVED)."""
    node = make_node()
    other = somebody()
    other.execute('BEGIN IMMEDIATE')
    other.execute('UPDATE nodes SET id = id')
    with reserving(context, node.uuid) as future:
        assert not future.done()
        other.execute('COMMIT')
        assert future.result(BOUND) < BOUND
    assert reservation(node) is None


def test_a_reservation_waits_for_a_commit_that_waits_for_a_reader(
        make_node: Make, context: Any,
        somebody: Callable[[], sqlite3.Connection]) -> None:
    """Somebody waits to commit, so that nobody begins to read (PENDING)."""
    node = make_node()
    reader, other = somebody(), somebody()
    reader.execute('BEGIN').execute('SELECT id FROM nodes').fetchall()
    other.execute('BEGIN IMMEDIATE')
    other.execute('UPDATE nodes SET id = id')
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        commit = pool.submit(other.execute, 'COMMIT')
        with reserving(context, node.uuid) as future:
            assert not future.done()
            reader.execute('ROLLBACK')
            commit.result(BOUND)
            assert future.result(BOUND) < BOUND
    assert reservation(node) is None


def test_a_reservation_is_rolled_back_that_a_reader_keeps_from_committing(
        make_node: Make, context: Any,
        somebody: Callable[[], sqlite3.Connection]) -> None:
    node = make_node()
    reader, other = somebody(), somebody()
    reader.execute('BEGIN').execute('SELECT id FROM nodes').fetchall()
    with reserving(context, node.uuid) as future:
        assert not future.done()
        # Between two tries anybody else may write.
        other.execute('BEGIN IMMEDIATE')
        assert other.execute(
            'SELECT reservation FROM nodes WHERE id = ?',
            (node.id,)).fetchone() == (None,)
        other.execute('ROLLBACK')
        reader.execute('ROLLBACK')
        assert future.result(BOUND) < BOUND
    assert reservation(node) is None


def test_a_reservation_that_waits_for_another_holds_nothing_of_the_database(
        make_node: Make, context: Any,
        somebody: Callable[[], sqlite3.Connection]) -> None:
    """Ironic reserves one node at a time in a process, and waits meanwhile."""
    node = make_node()
    other = somebody()

    def reserve_another() -> None:
        future = stack.enter_context(reserving(context, node.uuid))
        assert not future.done()
        other.execute('BEGIN EXCLUSIVE')
        other.execute('COMMIT')
        futures.append(future)

    futures: list[concurrent.futures.Future[float]] = []
    with contextlib.ExitStack() as stack:
        db_api.synchronized(db_api.RESERVATION_SEMAPHORE, fair=True)(
            reserve_another)()
        assert futures[0].result(BOUND) < BOUND
    assert reservation(node) is None


def test_reservations_of_ironic_and_of_ours_are_no_deadlock(
        make_node: Make, context: Any,
        somebody: Callable[[], sqlite3.Connection]) -> None:
    """Eight threads at once, with somebody else at the database."""
    nodes = [make_node() for _ in range(8)]
    over = threading.Event()

    def disturb() -> None:
        database = somebody()
        while not over.is_set():
            database.execute('BEGIN IMMEDIATE')
            over.wait(BUSY / 4)
            database.execute('ROLLBACK')
            over.wait(BUSY / 4)

    def work(number: int) -> None:
        acquire = (task_manager.acquire, db_retry.acquire)[number % 2]
        for _ in range(4):
            with acquire(context, nodes[number].uuid,
                         purpose='testing') as task:
                assert task.node.reservation == CONF.host

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        disturbing = pool.submit(disturb)
        try:
            for future in [pool.submit(work, n) for n in range(8)]:
                future.result(60)
        finally:
            over.set()
        disturbing.result(BOUND)
    assert time.monotonic() - start < 60
    assert [reservation(node) for node in nodes] == [None] * 8
