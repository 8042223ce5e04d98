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
import functools
import threading
from typing import Any
from typing import ParamSpec
from typing import TypeVar

from ironic.common import exception
from ironic.conductor import task_manager
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
import sqlalchemy

#: How often a failed attempt is repeated: within about twelve seconds, as
#: long as a restart of a database or a failover takes.
TRIES = 6

#: The same for the release of a node: ten minutes.
RELEASE_TRIES = 150

Answer = TypeVar('Answer')
Arguments = ParamSpec('Arguments')

#: What will fail again: the values are at fault, not the database.
_FOR_GOOD = (db_exc.DBConstraintError, db_exc.DBDataError,
             db_exc.DBDuplicateEntry, db_exc.DBReferenceError,
             db_exc.DBNonExistentTable, db_exc.DBNotSupportedError)

_inside = threading.local()


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


def call(function: Callable[[], Answer]) -> Answer:
    """Call a function that reads or writes the database, until it succeeds.

    Within another attempt it is called once: a transaction that has failed
    is over, and the outer attempt begins the next.

    :param function: what may be called again after any failure, also where
        it is not known whether what it wrote was committed.
    :raises: the error of the database if it persists, or will fail again.
    """
    if getattr(_inside, 'attempt', False):
        return function()
    _inside.attempt = True
    try:
        return _briefly(function)
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
def acquire(context: Any, node: str, **options: Any) -> Iterator[Any]:
    """A task of Ironic's whose node is released whatever the database does.

    :param options: of ``ironic.conductor.task_manager.acquire``.
    :raises: as that does; an error of the database if the node could not be
        read or reserved.
    """
    task = task_manager.acquire(context, node, **options)
    try:
        with task:
            yield task
    except Exception as exc:
        if is_transient(exc):
            release(task)
        raise


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
