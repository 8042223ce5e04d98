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

"""Saving of nodes: fenced, atomic and retried.

A conductor that was cut off from the database, or stopped for longer than its
heartbeat timeout, can lose a node to another one without knowing it. Its data
of the node are stale then, and Ironic saves whole columns: it would overwrite
what the other one has begun since. So every save carries a fencing token: a
generation that grows by one with each save of ours and a mark that no other
save has. One UPDATE of the node's row compares it, and with it reservation and
provision state, in the same transaction as the data; if they are not as they
were read, nothing is written.

Saves of Ironic's own code cannot be compared: ``check`` is called right before
them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import datetime
import functools
import json
import uuid
from typing import Any
from typing import TypeVar

from oslo_log import log
from oslo_utils import timeutils
import sqlalchemy

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import queries
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass

LOG = log.getLogger(__name__)

Answer = TypeVar('Answer')

#: What an event without a worker changes on a node (ironic 39,
#: conductor/task_manager.py process_event).
_OF_AN_EVENT = frozenset({'provision_state', 'target_provision_state'})


class NotOurs(AccelError):
    """The node was taken from us: nothing may be written any more."""

    #: The token that the node has instead.
    found: str | None = None


def token(node: Any) -> str | None:
    """The token that a node was read with, or None before the first."""
    return keys.FENCE.of(node) or None


def generation(node: Any) -> int:
    """The generation of a node's token; 0 before the first."""
    return guard_copy.generation(node.driver_internal_info)


def save_last(task: Any) -> None:
    """Save, touch and release the node of a task: see ``save``."""
    if save(task.node, touch=True, release=True):
        task.shared = True
        task.release_resources()


def save(node: Any, forget: bool = False, touch: bool = False,
         past: int | None = None, release: bool = False) -> bool:
    """Save the changes of a node that this conductor still holds.

    :param node: a node that is locked by us, as it was read and changed.
    :param forget: remove the token, if ironic-accel is disabled for the node.
    :param touch: tell Ironic that the operation is alive, too.
    :param past: the generation of the values that were restored from the copy.
    :param release: release the node too, if that takes no other statement.
    :returns: whether it was released.
    :raises: NotOurs; nothing was written then. An error of the database if it
        persists.
    """
    old = token(node)
    number = max(generation(node), past or 0) + 1
    new = None if forget else f'{number}:{uuid.uuid4().hex[:12]}'
    # Copies change with the token alone: while the row has it, so are they.
    known = guard_copy.forget(node, old)
    _put(node, new)
    changed = set(node._changed_fields)

    def attempt() -> bool:
        nonlocal known
        # A save that was rolled back has cleared the changes of the object.
        node._changed_fields |= changed
        now = timeutils.utcnow()
        values = _of_info_alone(node, now, touch, release)
        releases = release and values is not None
        copies, known = known, None
        # A connection may break after the commit: our new token shows that,
        # and whoever has reserved the node since then keeps it.
        try:
            with _fenced(node, {old, old if releases else new}, changed,
                         values):
                copies = guard_copy.stored(node) if copies is None else copies
                if past is None:
                    _check_kept(node, number, copies)
                if values is None:
                    node.save()
                    if touch:
                        node.touch_provisioning()
                guard_copy.follow(node, is_copied=bool(copies))
        except NotOurs as exc:
            if not releases or exc.found != new:
                raise
        if values is not None:
            node.updated_at = now.replace(tzinfo=datetime.UTC)
            node.obj_reset_changes()
        return releases

    try:
        return db_retry.call(attempt)
    except BaseException:
        _put(node, old)
        raise


def claim(node: Any, read_with: str) -> None:
    """Save a node, unless it was saved since it was read.

    From then on a conductor that had it before can no longer save it, or
    begin a write.

    :param read_with: its token when it was read.
    :raises: NotOurs.
    """
    if token(node) == read_with:
        save(node)


def _of_info_alone(node: Any, now: datetime.datetime, touch: bool,
                   release: bool) -> dict[str, Any] | None:
    """The columns to write where only ``driver_internal_info`` changed.

    That is every tick of an operation. Ironic's own save reads the row with
    its traits and tags before and after that: six more queries.

    :returns: None where Ironic has to save the node.
    """
    if set(node._changed_fields) != {'driver_internal_info'}:
        return None
    return {'driver_internal_info': node.driver_internal_info,
            'updated_at': now,
            **({'provision_updated_at': now} if touch else {}),
            **({'reservation': None} if release else {})}


def restore_overwritten(node: Any) -> bool:
    """Restore and save what another process overwrote.

    It comes before anything else that is done to a locked node.

    :returns: whether anything was restored.
    :raises: NotOurs.
    """
    kept = guard_copy.overwritten(node, guard_copy.remembered(node))
    if kept is None:
        return False
    text = guard_copy.words(kept)
    LOG.error('Node %(node)s: %(text)s', {'node': node.uuid, 'text': text})
    history(node, text)
    guard_copy.restore(node, kept)
    save(node, past=kept.generation)
    return True


def write(node: Any, function: Callable[[], Answer]) -> Answer:
    """Write to other tables of Ironic's, if we still hold the node.

    :param function: what writes; to the database only, since it is called
        again if that fails.
    :raises: NotOurs; nothing was written then.
    """
    def attempt() -> Answer:
        with _fenced(node, {token(node)}):
            return function()

    answer: Answer = db_retry.call(attempt)
    return answer


def save_row(node: Any, row: Any) -> None:
    """Save another object of Ironic's, if we still hold its node.

    :raises: NotOurs; nothing was written then.
    """
    changed = set(row._changed_fields)

    def attempt() -> None:
        row._changed_fields |= changed
        row.save()

    write(node, attempt)


def check(node: Any) -> None:
    """Make sure that we still hold a node, right before something that the
    database cannot undo.

    :raises: NotOurs.
    """
    def attempt() -> None:
        with _fenced(node, {token(node)}):
            pass

    db_retry.call(attempt)


def history(node: Any, event: str, *, error: bool = False,
            user: str | None = None, project: str | None = None,
            event_type: str = keys.EVENT.name) -> None:
    """Add an entry to the history of a node that we still hold.

    :param error: whether to set it as ``last_error`` of the node too; the
        caller saves the node.
    :param event_type: of Ironic, for an entry that Ironic would make itself.
    :raises: NotOurs.
    """
    write(node, lambda: ironic_series.node_history_record(
        node, event=event, event_type=event_type, error=error, user=user,
        project=project))


def process_event(task: Any, event: str,
                  target_state: str | None = None) -> None:
    """Change the provision state of a node that we still hold.

    :raises: NotOurs. An error of the database if it persists.
    """
    node = task.node
    before = node.provision_state

    def attempt() -> None:
        if node.provision_state == before:
            with _fenced(node, {token(node)}):
                task.process_event(event, target_state=target_state)
            return
        # The state machine of Ironic has accepted the event, and does so once;
        # only the row was not written, or it is not known whether it was.
        node._changed_fields |= _OF_AN_EVENT
        with _fenced(node, {token(node)}, _OF_AN_EVENT):
            node.save()

    db_retry.call(attempt)


def _check_kept(node: Any, number: int, copies: Collection[str | None]
                ) -> None:
    """Make sure that no other process overwrote the copied values.

    :param number: the generation that is about to be saved.
    :param copies: as ``guard_copy.stored`` gives them.
    :raises: NotOurs: the next tick restores them first.
    """
    for kept in filter(None, map(guard_copy.read, copies)):
        if kept.generation > number:
            raise NotOurs(
                'the record of an update in progress was overwritten',
                node=node.uuid, error_class=ErrorClass.TRANSIENT,
                expected=f'saved {kept.generation} times',
                seen=f'saved {number - 1} times')


def _put(node: Any, value: str | None) -> None:
    if value is None:
        keys.FENCE.drop(node)
    else:
        keys.FENCE.put(node, value)


@contextlib.contextmanager
def _fenced(node: Any, tokens: Collection[str | None],
            changed: Collection[str] = (),
            values: Mapping[str, Any] | None = None) -> Iterator[None]:
    """A transaction that holds the node's row, or writes nothing.

    Whatever Ironic's objects write within is part of it: its sessions of one
    thread share a transaction (oslo.db's enginefacade).

    :param changed: fields that differ from the row, besides those that the
        object lists as changed.
    :param values: columns of the row to write; without any it is only held.
    :raises: NotOurs.
    """
    from ironic.db.sqlalchemy import api as db_api
    is_like = {'reservation': node.reservation}
    if 'provision_state' not in {*changed, *node._changed_fields}:
        is_like['provision_state'] = node.provision_state
    found = sorted({_part(value) for value in tokens})
    written = values or {}
    with db_api._session_for_write() as session:
        # It locks the row, where the row is as it was; without values it
        # changes nothing.
        held = session.execute(
            _update(tuple((k, v is None) for k, v in is_like.items()),
                    tuple(part == _ANY for part in found),
                    tuple(sorted(written))),
            {'number': node.id, **{f'is_{k}': v for k, v in is_like.items()},
             **{f'token{i}': part for i, part in enumerate(found)},
             **{f'new_{k}': v for k, v in written.items()}})
        if held.rowcount != 1:
            raise _not_ours(session, node)
        yield


@functools.cache
def _update(is_like: tuple[tuple[str, bool], ...], none: tuple[bool, ...],
            columns: tuple[str, ...]) -> Any:
    """The statement of a fence: made once, see ``queries.rows``.

    Its parameters are ``number``, ``is_COLUMN``, ``token0`` and so on, and
    ``new_COLUMN``.

    :param is_like: columns that are compared, and whether with NULL.
    :param none: for each token, whether it is that there is none.
    :param columns: to write.
    """
    from ironic.db.sqlalchemy import models
    table, value = models.Node.__table__, sqlalchemy.bindparam
    info = sqlalchemy.type_coerce(
        table.c.driver_internal_info, sqlalchemy.Text)
    parts = [info.like(value(f'token{i}'), escape='/')
             for i in range(len(none))]
    return sqlalchemy.update(table).where(
        table.c.id == value('number'),
        *(table.c[name].is_(None) if is_null
          else table.c[name] == value(f'is_{name}')
          for name, is_null in is_like),
        sqlalchemy.or_(*(
            sqlalchemy.or_(info.is_(None), sqlalchemy.not_(part))
            if is_none else part
            for part, is_none in zip(parts, none, strict=True)))
    ).values({name: value(f'new_{name}', type_=table.c[name].type)
              for name in columns}
             or {'id': table.c.id, 'updated_at': table.c.updated_at})


def _part(value: str | None) -> str:
    """What ``driver_internal_info`` is like with a token, or with any."""
    return _ANY if value is None else queries.like(
        json.dumps({keys.FENCE.name: value})[1:-1])


_ANY = queries.like(f'"{keys.FENCE.name}": ')


def _not_ours(session: Any, node: Any) -> NotOurs:
    """The error for a node that is not as it was read."""
    from ironic.db.sqlalchemy import models
    table = models.Node.__table__
    there = session.execute(sqlalchemy.select(
        table.c.reservation, table.c.provision_state,
        table.c.driver_internal_info).where(
            table.c.id == node.id)).one_or_none()
    seen = 'no such node' if there is None else _words(
        there.reservation, there.provision_state,
        keys.FENCE.of(there))
    error = NotOurs('this conductor no longer holds the node', node=node.uuid,
                    error_class=ErrorClass.TRANSIENT, seen=seen,
                    expected=_words(node.reservation, node.provision_state,
                                    token(node)))
    error.found = None if there is None else keys.FENCE.of(there)
    return error


def _words(reservation: str | None, state: str | None,
           found: str | None) -> str:
    return (f'reserved by {reservation} in {state}, saved '
            f"{(found or '0').partition(':')[0]} times")
