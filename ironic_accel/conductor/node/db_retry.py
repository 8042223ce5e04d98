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

"""Attempts at Ironic's database, repeated where it fails for a moment.

Ironic repeats a write after a deadlock (``retry_on_deadlock``), and some
where SQLite is locked (ironic 39, db/sqlalchemy/api.py, wrap_sqlite_retry),
but no read and nothing whose connection was lost. SQLite refuses a reader
while another transaction commits, and a transaction that was read before it
was written without any waiting (https://sqlite.org/lockingv3.html; with
Ironic's defaults the journal is a rollback journal). A restart of MySQL or a
failover loses each connection (errors 2006 and 2013). Neither says anything
about the node.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import copy
import functools
import threading
from typing import Any
from typing import ParamSpec
from typing import TypeVar

from ironic.common import exception
from ironic.conductor import task_manager
from ironic import objects
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
from oslo_log import log
from oslo_utils import timeutils
import sqlalchemy
import tenacity

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config.options import CONF
from ironic_accel.model.errors import AccelError

LOG = log.getLogger(__name__)

#: How often a failed attempt is repeated: within about twelve seconds, as
#: long as a restart of a database or a failover takes.
TRIES = 6

#: The same for the release of a node: ten minutes.
RELEASE_TRIES = 150

#: Seconds for which a thread waits for a turn with the database.
PATIENCE = 10.0

Answer = TypeVar('Answer')
Arguments = ParamSpec('Arguments')

#: What will fail again: the values are at fault, not the database.
_FOR_GOOD = (db_exc.DBConstraintError, db_exc.DBDataError,
             db_exc.DBDuplicateEntry, db_exc.DBReferenceError,
             db_exc.DBNonExistentTable, db_exc.DBNotSupportedError)

_inside = threading.local()

#: Turns with the database, by how many threads have one at a time.
_turns = functools.cache(threading.BoundedSemaphore)


def is_transient(exc: BaseException) -> bool:
    """Whether an error of the database may disappear at the next attempt.

    Ironic raises TemporaryFailure itself where SQLite stays locked; those
    derived from it are about other things (NoFreeConductorWorker).
    """
    if isinstance(exc, _FOR_GOOD):
        return False
    return type(exc) is exception.TemporaryFailure or isinstance(exc, (
        db_exc.DBError, sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError,
        sqlalchemy.exc.PendingRollbackError))


def _attempts(tries: int) -> Callable[[Callable[[], Answer]], Answer]:
    @oslo_db_api.wrap_db_retry(
        max_retries=tries, retry_interval=0.125, max_retry_interval=4,
        retry_on_disconnect=True, retry_on_deadlock=True,
        exception_checker=is_transient)
    def attempts(function: Callable[[], Answer]) -> Answer:
        return function()

    made: Callable[[Callable[[], Answer]], Answer] = attempts
    return made


_briefly = _attempts(TRIES)
_patiently = _attempts(RELEASE_TRIES)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait for a turn with the database.

    Ironic's pool keeps ``[database]max_pool_size`` connections (5), and closes
    each one above them when it is returned (SQLAlchemy, QueuePool). A new one
    takes more CPU time than a tick, because PyMySQL prepares TLS for it. So
    as many workers use the database at a time as there are kept connections,
    less one for Ironic's own requests; most workers wait for their BMCs.

    Whoever waits for a turn holds no transaction and no other turn, and goes
    on without one after a while.
    """
    size = CONF.database.max_pool_size
    turns = _turns(max(1, size - 1)) if size else None
    if turns is None or getattr(_inside, 'turn', False) \
            or not turns.acquire(timeout=PATIENCE):
        yield
        return
    _inside.turn = True
    try:
        yield
    finally:
        _inside.turn = False
        turns.release()


def call(function: Callable[[], Answer], remote: bool = False) -> Answer:
    """Call a function that reads or writes the database, until it succeeds.

    Within another attempt it is called once: a transaction that has failed
    is over, and the outer attempt begins the next.

    :param function: what may be called again after any failure, also where
        it is not known whether what it wrote was committed.
    :param remote: whether it waits for another process too: it takes no turn
        from those that do not.
    :raises: the error of the database if it persists, or will fail again.
    """
    if getattr(_inside, 'attempt', False):
        return function()
    _inside.attempt = True
    try:
        return _briefly(function if remote else _turn()(function))
    finally:
        _inside.attempt = False


def repeated(function: Callable[Arguments, Answer]
             ) -> Callable[Arguments, Answer]:
    """Decorate a function that is to be called so."""
    @functools.wraps(function)
    def called(*args: Arguments.args, **options: Arguments.kwargs) -> Answer:
        return call(lambda: function(*args, **options))
    return called


@contextlib.contextmanager
def acquire(context: Any, node: str, *, purpose: str, shared: bool = False,
            retry: bool = True, load_driver: bool = True,
            also: Callable[[Any, Any], None] | None = None) -> Iterator[Any]:
    """A task of Ironic's whose node is released whatever the database does.

    :param node: its UUID.
    :param purpose: as of ``ironic.conductor.task_manager.acquire``.
    :param shared: do not reserve the node.
    :param retry: wait for a node that is reserved (Ironic's options
        ``[conductor]node_locked_retry_*``).
    :param load_driver: load the driver of the node, once it is reserved.
    :param also: called with a session and the node that is reserved in it, to
        read what goes with the node in the same transaction.
    :raises: as that does; an error of the database if the node could not be
        read or reserved: it is not reserved by this task then.
    """
    task = call(lambda: task_manager.acquire(
        context, node, shared=True, load_driver=load_driver, purpose=purpose)
        ) if shared else _without_node(context, node, purpose)
    try:
        with contextlib.ExitStack() as stack, task:
            if not shared:
                reserve(task, retry, also)
                if load_driver:
                    task.load_driver()
            try:
                yield task
            finally:
                # Ironic releases the node at the end, if nobody has yet.
                if not task.shared:
                    stack.enter_context(_turn())
    except Exception as exc:
        if is_transient(exc):
            release(task)
        raise


_first: Any = None


def _without_node(context: Any, uuid: str, purpose: str) -> Any:
    """A task of Ironic's for ``reserve``, which reads its node.

    Ironic reads the node before it reserves it, and again after that, which
    is most of what its lock costs. So the task is a copy of the first one,
    as Ironic copies tasks itself (task_manager.py).
    """
    global _first
    _first = _first or call(lambda: task_manager.acquire(
        context, uuid, shared=True, load_driver=False, purpose=purpose))
    context.ensure_thread_contain_context()
    task = copy.copy(_first)
    task.node, task.fsm = None, _first.fsm.copy()
    task.context, task.node_id, task._purpose = context, uuid, purpose
    task._debug_timer = timeutils.StopWatch().start()
    return task


def visit(context: Any, uuid: str, purpose: str,
          work: Callable[[Any], Answer], *, interface: type = object,
          **options: Any) -> Answer | None:
    """Call a function with one of several nodes, or log why it failed.

    Whatever is wrong with one node (a driver that this conductor cannot load,
    a row that cannot be saved), the others have their turn all the same.

    :param purpose: what is done, as in "while refreshing it".
    :param work: takes a task.
    :param interface: base class of the vendor or accelerator interfaces of
        these nodes; any other node is left alone.
    :param options: of ``acquire``.
    :returns: what ``work`` does; None where it was not called, or has failed.
    """
    # Ironic runs workers and periodics in the same threads. This one may have
    # served a user's request before, whom it would name in the history of the
    # node.
    context.update_store()
    try:
        with acquire(context, uuid, retry=False, purpose=purpose,
                     **options) as task:
            if declared_steps.interface_type(task.driver, interface):
                return work(task)
    except Exception as exc:
        # What the node has in the database is what the next attempt goes on
        # with. The text of any other exception may contain secrets.
        known = isinstance(exc, AccelError | exception.IronicException)
        tell = (LOG.info if isinstance(
            exc, exception.NodeLocked | exception.NodeNotFound) else
            LOG.warning if known or is_transient(exc) else LOG.exception)
        tell('Node %(node)s: skipped while %(purpose)s: %(why)s', {
            'node': uuid, 'purpose': purpose,
            'why': exc if known else type(exc).__name__})
    return None


def reserve(task: Any, retry: bool = False,
            also: Callable[[Any, Any], None] | None = None) -> None:
    """Reserve the node of a task (``upgrade_lock``), or leave it as it is.

    Ironic commits a reservation and reads the node after that (ironic 39,
    db/sqlalchemy/api.py, reserve_node). Where only the reading fails, nobody
    would release the node until its conductor is restarted. So both are one
    transaction here.

    :param task: with a shared lock; nothing happens to another one.
    :param retry: as of ``acquire``.
    :param also: as of ``acquire``.
    :raises: NodeLocked, NodeNotFound; an error of the database if it persists:
        the node is not reserved by this task then, unless the answer to the
        commit was lost and the database did not come back for ten minutes.
    """
    if not task.shared:
        return
    options = CONF.conductor
    # Waiting for a reserved node is outside of the transaction: within, MySQL
    # would repeat its first answer.
    for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(exception.NodeLocked),
            stop=tenacity.stop_after_attempt(
                options.node_locked_retry_attempts if retry else 1),
            wait=tenacity.wait_fixed(options.node_locked_retry_interval),
            reraise=True):
        with attempt:
            call(lambda: _reserve(task, also))


@functools.cache
def _statements() -> tuple[Any, Any, Any]:
    """To reserve a node, to read it, and to read its traits.

    SQLAlchemy compiles a statement once, but knows it again only by going
    through all of it, which it does once for each object.
    """
    from ironic.db.sqlalchemy import models
    nodes, traits = models.Node.__table__, models.NodeTrait.__table__
    mine = nodes.c.uuid == sqlalchemy.bindparam('mine')
    return (
        sqlalchemy.update(nodes).where(
            mine, nodes.c.reservation.is_(None)).values(
                reservation=sqlalchemy.bindparam('host')),
        sqlalchemy.select(nodes).where(mine),
        sqlalchemy.select(traits).where(
            traits.c.node_id == sqlalchemy.bindparam('number')))


def _reserve(task: Any, also: Callable[[Any, Any], None] | None = None
             ) -> None:
    """Reserve the node of a task and read it, in one transaction.

    What can wait for somebody else comes in this order, the same in every
    thread, and before anything is held that others wait for:

    1. Ironic's lock of this process for reservations. Taken after the row, it
       would be waited for by a holder of the row, and its holder would wait
       for the row.
    2. The row, by the statement that reserves it. On SQLite it reserves the
       database for writing before anything was read.

    :raises: NodeLocked, NodeNotFound; an error of the database: it is not
        reserved then.
    """
    from ironic.db.sqlalchemy import api as db_api
    take, read, read_traits = _statements()
    mine = {'mine': task.node.uuid if task.node else task.node_id}

    @db_api.synchronized(db_api.RESERVATION_SEMAPHORE, fair=True)
    def reserved() -> Any:
        node = None
        try:
            with db_api._session_for_write() as session:
                done = session.execute(take, {**mine, 'host': CONF.host})
                row = session.execute(read, mine).one_or_none()
                if row is None:
                    raise exception.NodeNotFound(node=task.node_id)
                if done.rowcount != 1:
                    raise exception.NodeLocked(
                        node=row.uuid, host=row.reservation)
                # As Ironic reads it, which loads its tags too.
                node = objects.Node._from_db_object(
                    task.context, objects.Node(), {**row._mapping, 'traits': [
                        t._mapping for t in session.execute(
                            read_traits, {'number': row.id})]})
                if also is not None:
                    also(session, node)
        except Exception:
            # Whatever failed: whoever else of this process reserves a node
            # waits for us. So if it is reserved by this host after a commit
            # without an answer, it is by this one.
            if node is None or not _patiently(
                    lambda: _is_reserved_here(node.id)):
                raise
        return node

    task.node, task.shared = reserved(), False


def _is_reserved_here(node_id: int) -> bool:
    from ironic.db.sqlalchemy import api as db_api
    from ironic.db.sqlalchemy import models
    table = models.Node.__table__
    with db_api._session_for_read() as session:
        return bool(session.execute(
            sqlalchemy.select(table.c.reservation).where(
                table.c.id == node_id)).scalar_one_or_none() == CONF.host)


def release(task: Any) -> None:
    """Release the node of a task.

    A node whose release failed would stay reserved until its conductor is
    restarted, so it is repeated for ten minutes. A conductor that was
    missed for so long has lost the node to another one.

    :param task: of Ironic's; a released one is left as it is.
    :raises: the error of the database if it persists.
    """
    def let_go() -> None:
        try:
            task.release_resources()
        except (exception.NodeNotLocked, exception.NodeLocked):
            # It was released; only the answer was lost, or another conductor
            # has taken the node over.
            task.node = None
            task.release_resources()

    _patiently(let_go)
