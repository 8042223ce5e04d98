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

"""The reservation of nodes on MariaDB: row locks, snapshots, lost servers."""

from __future__ import annotations

from collections.abc import Iterator
import concurrent.futures
import contextlib
import json
import threading
import time
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import api as db_api
from oslo_db import exception as db_exc
import pymysql
import pytest
import sqlalchemy

from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from tests.unit.conductor.stage import Make

#: Seconds within which everything here is over, several times.
BOUND = 30.0


@pytest.fixture
def node(server: sqlalchemy.Engine, make_node: Make) -> Any:
    """A node that nobody has reserved."""
    return make_node()


@pytest.fixture
def at_once() -> Iterator[Any]:
    """Nobody waits between two tries."""
    with mock.patch('oslo_db.api.time.sleep', autospec=True) as slept:
        yield slept


def reservation(node: Any) -> str | None:
    """As it stands in the database."""
    node.refresh()
    found: str | None = node.reservation
    return found


def hold(connection: sqlalchemy.Connection, node: Any) -> None:
    """Lock the row of a node, as a save of another process does."""
    connection.execute(sqlalchemy.text(
        'UPDATE nodes SET extra = extra WHERE id = :id'), {'id': node.id})


def test_a_node_is_reserved_and_released(
        server: sqlalchemy.Engine, node: Any, context: Any) -> None:
    with db_retry.acquire(context, node.uuid, purpose='testing') as task:
        assert task.node.reservation == reservation(node) == CONF.host
        with pytest.raises(exception.NodeLocked), db_retry.acquire(
                context, node.uuid, retry=False, purpose='testing'):
            raise AssertionError('it is reserved')
    assert server.dialect.name == 'mysql'
    assert reservation(node) is None


def test_a_node_that_is_lost_while_it_is_read_is_not_reserved(
        server: sqlalchemy.Engine, node: Any, context: Any,
        at_once: Any) -> None:
    """The server ends the connection before the commit."""
    tries = []

    def kill(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if 'FROM node_traits' in statement:
            tries.append(1)
            mine = connection.connection.dbapi_connection.thread_id()
            with server.connect() as other:
                other.execute(sqlalchemy.text(f'KILL CONNECTION {mine:d}'))

    sqlalchemy.event.listen(server, 'before_cursor_execute', kill)
    try:
        with pytest.raises(db_exc.DBConnectionError), \
                db_retry.acquire(context, node.uuid, purpose='testing'):
            raise AssertionError('it was not read')
    finally:
        sqlalchemy.event.remove(server, 'before_cursor_execute', kill)
    assert len(tries) == 1 + db_retry.TRIES
    assert reservation(node) is None


@pytest.mark.parametrize('committed', [False, True])
def test_a_node_is_reserved_though_the_server_is_lost_at_the_commit(
        server: sqlalchemy.Engine, node: Any, context: Any,
        committed: bool, at_once: Any) -> None:
    real = pymysql.connections.Connection.commit
    lost: list[Any] = []

    def commit(connection: Any) -> None:
        if committed:
            real(connection)
        if not lost:
            lost.append(connection)
            connection._force_close()
            raise pymysql.err.OperationalError(
                2013, 'Lost connection to MySQL server during query')
        if not committed:
            real(connection)

    with db_retry.acquire(context, node.uuid, shared=True,
                          purpose='testing') as task:
        with mock.patch.object(pymysql.connections.Connection, 'commit',
                               autospec=True, side_effect=commit):
            db_retry.reserve(task)
        assert len(lost) == 1
        assert reservation(node) == task.node.reservation == CONF.host
    assert reservation(node) is None


def test_a_row_that_is_being_saved_is_waited_for(
        server: sqlalchemy.Engine, node: Any, context: Any) -> None:
    """And what was saved is what is read: the snapshot comes after it."""
    def work() -> Any:
        with db_retry.acquire(context, node.uuid, purpose='testing') as task:
            return task.node.extra

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with server.begin() as other:
            hold(other, node)
            future = pool.submit(work)
            time.sleep(0.5)
            assert not future.done()
            other.execute(sqlalchemy.text(
                "UPDATE nodes SET extra = :extra WHERE id = :id"),
                {'id': node.id, 'extra': json.dumps({'rack': 7})})
        assert future.result(BOUND) == {'rack': 7}
    assert reservation(node) is None


def test_a_reservation_that_waits_for_another_locks_no_row(
        server: sqlalchemy.Engine, node: Any, context: Any) -> None:
    """Ironic reserves one node at a time in a process, and waits meanwhile."""
    def work() -> None:
        with db_retry.acquire(context, node.uuid, purpose='testing'):
            pass

    def reserve_another() -> None:
        futures.append(pool.submit(work))
        time.sleep(0.5)
        assert not futures[0].done()
        with server.begin() as other:
            other.execute(sqlalchemy.text(
                'SET SESSION innodb_lock_wait_timeout = 1'))
            hold(other, node)

    futures: list[concurrent.futures.Future[None]] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        db_api.synchronized(db_api.RESERVATION_SEMAPHORE, fair=True)(
            reserve_another)()
        futures[0].result(BOUND)
    assert reservation(node) is None


def test_one_of_many_that_ask_at_once_gets_the_node(
        node: Any, context: Any) -> None:
    """Half of them ask as Ironic does; one has it at a time."""
    holders = []
    most = 0

    def work(number: int) -> int:
        nonlocal most
        acquire = (task_manager.acquire, db_retry.acquire)[number % 2]
        got = 0
        for _ in range(20):
            with contextlib.suppress(exception.NodeLocked), acquire(
                    context, node.uuid, retry=False,
                    purpose='testing') as task:
                holders.append(number)
                most = max(most, len(holders))
                assert task.node.reservation == CONF.host
                time.sleep(0.002)
                holders.remove(number)
                got += 1
        return got

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = [f.result(BOUND) for f in [
            pool.submit(work, n) for n in range(8)]]
    assert most == 1
    assert sum(got) > 0
    assert reservation(node) is None


def test_many_workers_use_no_more_connections_than_the_pool_keeps(
        server: sqlalchemy.Engine, make_node: Make, context: Any) -> None:
    """A connection above those is closed when it is returned, and made anew
    for the next worker, which takes longer than the worker's own work."""
    nodes = [make_node() for _ in range(16)]
    used, most, lock = 0, 0, threading.Lock()

    def taken(*_: Any) -> None:
        nonlocal used, most
        with lock:
            used += 1
            most = max(most, used)
        # The others are here meanwhile, where they may be.
        time.sleep(0.02)

    def returned(*_: Any) -> None:
        nonlocal used
        with lock:
            used -= 1

    def work(uuid: str) -> None:
        # As a tick does. Ironic makes reservations one after another by a
        # lock of its own, but nothing else.
        with db_retry.acquire(context, uuid, purpose='testing',
                              also=guard_copy.read_along) as task:
            assert not queries.children(uuid)
            saving.save(task.node)

    sqlalchemy.event.listen(server, 'checkout', taken)
    sqlalchemy.event.listen(server, 'checkin', returned)
    try:
        with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
            for done in [pool.submit(work, node.uuid) for node in nodes]:
                done.result(120)
    finally:
        sqlalchemy.event.remove(server, 'checkout', taken)
        sqlalchemy.event.remove(server, 'checkin', returned)
    assert 1 < most < CONF.database.max_pool_size
