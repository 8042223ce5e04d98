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

"""A copy of power lock and intent where Ironic's own code never writes.

Ironic saves ``driver_internal_info`` as a whole. A process that lost the node
without knowing it overwrites what another conductor has begun since, and no
check of ours is involved. So while a node has a power lock, an open intent or
a hold, these are stored a second time, in an entry of the node history: Ironic
only adds such entries, and removes the oldest of more than
``[conductor]node_history_max_entries`` (ours is always among the youngest) and
those of a deleted node. The copy is written in the same transaction as the
node, with its fencing token, so an older token in the node shows that the node
was overwritten.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import json
from typing import Any
import uuid

from ironic import objects
from oslo_log import log
from oslo_utils import timeutils
import sqlalchemy

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node.node_cache import ScanCache
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node.queries import OtherNode

LOG = log.getLogger(__name__)

#: The type of the row in the node's history.
EVENT_TYPE = keys.GUARD_COPY.name
#: The keys of ``driver_internal_info`` that are kept: of the guard, the
#: record and the operation; of the time of the node, by which they are
#: measured, and which would be a conductor's without it; and of a hold.
KEYS = tuple(key.name for key in (
    keys.GUARD, keys.RECORD, keys.OPERATION, keys.CLOCK, keys.HOLD))
#: Those that an earlier version did not keep.
LATER = frozenset({keys.CLOCK.name, keys.HOLD.name})


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What the mirror has of a node.

    :ivar generation: of the save that it was part of.
    :ivar values: ``KEYS`` with their values, as far as there were any.
    """

    generation: int
    values: Mapping[str, Any]


def generation(info: Mapping[str, Any] | None) -> int:
    """The generation of the token in ``driver_internal_info``; 0 before."""
    number = (keys.FENCE.read(info) or '0').partition(':')[0]
    return int(number) if number.isdecimal() else 0


def stored(node: Any) -> list[str | None]:
    """The events in the history of a node that are copies of its guard.

    At most one, and none while the node has no guard.
    """
    return [row.event for row in queries.rows(
        _of_one_node(), {'number': node.id})]


def read_along(session: Any, node: Any) -> None:
    """Read them in the transaction that reserves a node; see ``remembered``.

    For ``db_retry.acquire``.
    """
    node._accel_copies = (keys.FENCE.of(node), list(session.execute(
        _of_one_node(), {'number': node.id}).scalars()))


def remembered(node: Any) -> list[str | None]:
    """As ``stored``, read once for the row that a node was read from.

    The copies change with its token alone: while the row has that, they are
    the same.
    """
    known = forget(node, keys.FENCE.of(node))
    if known is None:
        known = stored(node)
    node._accel_copies = (keys.FENCE.of(node), known)
    return known


def forget(node: Any, token: str | None) -> list[str | None] | None:
    """What is remembered for this token, or None; it is no longer."""
    seen, events = vars(node).pop('_accel_copies', (None, None))
    return events if seen == token else None


@functools.cache
def _of_one_node() -> Any:
    table = _table()
    return sqlalchemy.select(table.c.event).where(
        table.c.event_type == EVENT_TYPE,
        table.c.node_id == sqlalchemy.bindparam('number')).order_by(table.c.id)


def follow(node: Any, is_copied: bool) -> None:
    """Keep what a node has now; within the transaction that saves it.

    :param is_copied: whether the node has a copy already (``stored``).
    """
    info = node.driver_internal_info or {}
    from ironic.db.sqlalchemy import api as db_api
    with db_api._session_for_write() as session:
        table = _table()
        mine = [table.c.node_id == node.id, table.c.event_type == EVENT_TYPE]
        if not _worth(info):
            if is_copied:
                session.execute(sqlalchemy.delete(table).where(*mine))
            return
        values = {
            'event': json.dumps({'generation': generation(info), **{
                k: info[k] for k in KEYS if k in info}}),
            'created_at': timeutils.utcnow(),
            'conductor': node.reservation,
            # Ironic reads no entry of a later version than it supports: in a
            # rolling upgrade it is that of ``pin_release_version``.
            'version': objects.NodeHistory.get_target_version()}
        if ironic_series.HISTORY_STATE.present:
            values['state'] = node.provision_state
        # Ironic may have removed the entry since.
        if not is_copied or not session.execute(sqlalchemy.update(
                table).where(*mine).values(**values)).rowcount:
            session.execute(sqlalchemy.insert(table).values(
                uuid=str(uuid.uuid4()), node_id=node.id, severity='INFO',
                event_type=EVENT_TYPE, **values))


def copy_of(node: Any, events: Iterable[str | None] | None = None
            ) -> Kept | None:
    """The copy of a node's guard in its history, or None.

    :param node: with ``id``.
    :param events: as ``stored`` gives them, if they were read.
    """
    return next(filter(None, map(
        read, stored(node) if events is None else events)), None)


def overwritten(node: Any, events: Iterable[str | None] | None = None
                ) -> Kept | None:
    """The copy of the power lock of a node that was overwritten, or None.

    :param events: as of ``copy_of``.
    """
    kept = copy_of(node, events)
    return kept if kept is not None and is_newer(
        kept, node.driver_internal_info) else None


def all_overwritten() -> set[str]:
    """The uuids of the nodes that another process overwrote.

    Overwriting a node changes it, so only nodes that changed are compared with
    their copies.
    """
    kept = _copies([number for number, is_behind in _overwritten.values(
        queries.scanned()).items() if is_behind])
    return {row.uuid for row in queries.by_id(
                kept, ('uuid', 'driver_internal_info'))
            if is_newer(kept[row.id], row.driver_internal_info)}


def _compare(ids: list[int]) -> dict[int, bool]:
    """Whether each node is behind the copy of its guard."""
    kept = _copies(ids)
    found = dict.fromkeys(ids, False)
    for row in queries.by_id(kept, ('driver_internal_info',)):
        found[row.id] = is_newer(kept[row.id], row.driver_internal_info)
    return found


def with_copies_restored(found: Iterable[OtherNode]) -> list[OtherNode]:
    """Nodes as they would be if no process had overwritten them.

    For decisions about nodes that the caller does not hold: their own
    conductor restores them, and until then they are wrong.

    :param found: as they were read, before this was called: what began in
        between is in the copies by then, so that none of it is missed.
    """
    there = list(found)
    kept = _copies([n.id for n in there])
    return [dataclasses.replace(n, driver_internal_info=restored(
                n.driver_internal_info, kept[n.id]))
            if n.id in kept and is_newer(
                kept[n.id], n.driver_internal_info) else n for n in there]


def _copies(ids: Collection[int]) -> dict[int, Kept]:
    """The copies of guards by the id of their node.

    Few at any time: of nodes that something is written to.

    :param ids: of the nodes.
    """
    table = _table()
    columns = [table.c.node_id, table.c.event]
    ours = table.c.event_type == EVENT_TYPE
    rows = [row for part in queries.chunks(sorted(ids))
            for row in queries.select(
                columns, ours, table.c.node_id.in_(part))]
    found = {row.node_id: read(row.event) for row in rows}
    return {number: kept for number, kept in found.items() if kept}


def is_newer(kept: Kept, info: Mapping[str, Any] | None) -> bool:
    """Whether the node was overwritten after the copy was made.

    :param info: the current ``driver_internal_info`` of the node.
    """
    return kept.generation > generation(info)


def restore(node: Any, kept: Kept) -> None:
    """Restore the overwritten values; the caller saves the node."""
    node.driver_internal_info = restored(node.driver_internal_info, kept)


def restored(info: Mapping[str, Any] | None, kept: Kept) -> dict[str, Any]:
    """What a node's ``driver_internal_info`` would be otherwise."""
    found = dict(info or {})
    for key in KEYS:
        if key in kept.values:
            found[key] = kept.values[key]
        elif key not in LATER:
            found.pop(key, None)
    return found


def words(kept: Kept) -> str:
    """What was overwritten, for an operator."""
    found, todo = [], ''
    hold = keys.HOLD.read(kept.values)
    if hold:
        found.append(f"the hold of this node ({hold.get('reason')})")
        todo = ('; no write and no reset begins. To remove the hold: '
                'baremetal accelerator unhold')
    standing = keys.GUARD.read(kept.values)
    intent = (keys.RECORD.read(kept.values) or {}).get('intent')
    if standing or intent:
        what = f" ({standing.get('what')})" if standing else ''
        found.append(f'the record of an update in progress{what}')
        todo += ('; the update is monitored until it ends, no action is '
                 'required')
    return ('another process overwrote '
            f"{' and '.join(found) or 'the time of this node'}; it was "
            f'restored{todo}')


def _worth(info: Mapping[str, Any]) -> bool:
    return bool(keys.GUARD.read(info) or keys.HOLD.read(info)
                or (keys.RECORD.read(info) or {}).get('intent'))


def read(event: str | None) -> Kept | None:
    """What a row in a node's history has, or None where it is not read."""
    if not event:
        return None
    try:
        raw = json.loads(event)
        return Kept(int(raw['generation']),
                    {k: raw[k] for k in KEYS if k in raw})
    except (KeyError, TypeError, ValueError) as exc:
        LOG.error('Ignoring a malformed node history entry of type %(type)s: '
                  '%(why)s', {'type': EVENT_TYPE, 'why': repr(exc)})
        return None


def _table() -> Any:
    from ironic.db.sqlalchemy import models
    return models.NodeHistory.__table__


_overwritten: ScanCache[bool] = ScanCache(_compare)
