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

"""Queries about other nodes than the one at hand.

No other module lists nodes. Ironic's own lists load whole rows and make
objects of them, which costs a conductor seconds in a cloud of thousands of
nodes. Here each query selects only the columns and nodes that it needs.

Ironic has no columns for our keys in ``driver_internal_info``, which is JSON
in a TEXT column. So that column is read once for each change of a node
(``node_cache``), and each query reads again the nodes that it finds.

Several nodes may share one BMC, and each may have its address in another
notation: ``bmc_address`` gives the normalized one.

A result may be outdated when it is used. A caller that makes a decision by it
holds a node of its own, saves first what it is about to do, and queries after
that: of two that begin at the same time at least one finds the other.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
import functools
import ipaddress
import re
from typing import Any
from urllib import parse

import sqlalchemy

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config.options import HARDWARE_TYPES
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node.node_cache import NodeScan
from ironic_accel.conductor.node.node_cache import Scan
from ironic_accel.conductor.node.node_cache import ScanCache
from ironic_accel.conductor.node.node_cache import ScannedNode

#: Values in one condition: SQLite takes 999 in the versions of old.
CHUNK = 500


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True)
class OtherNode:
    """What is read of a node that is not the one at hand; never saved.

    The fields are those of Ironic's node.
    """

    id: int
    uuid: str
    name: str | None
    driver: str
    driver_info: Mapping[str, Any]
    driver_internal_info: Mapping[str, Any]
    provision_state: str | None
    power_state: str | None
    maintenance: bool
    instance_uuid: str | None
    reservation: str | None
    parent_node: str | None


FIELDS = tuple(field.name for field in dataclasses.fields(OtherNode))


def node(uuid: str) -> OtherNode | None:
    """A node, or None if it does not exist."""
    return nodes([uuid]).get(uuid)


def nodes(uuids: Iterable[str]) -> dict[str, OtherNode]:
    """Nodes by uuid, oldest first, as far as they are there."""
    column = _nodes().c.uuid
    found = [n for part in chunks(sorted(set(uuids)))
             for n in _others(column.in_(part))]
    return {n.uuid: n for n in sorted(found, key=lambda n: n.id)}


def children(uuid: str) -> list[OtherNode]:
    """The child nodes of a node, oldest first."""
    return list(map(other, rows(_of_parent(), {'parent': uuid})))


@functools.cache
def _of_parent() -> Any:
    table = _nodes()
    return sqlalchemy.select(*(table.c[f] for f in FIELDS)).where(
        table.c.parent_node == sqlalchemy.bindparam('parent')).order_by(
            table.c.id)


def family(uuid: str) -> list[OtherNode]:
    """A node and its child nodes, oldest first."""
    table = _nodes()
    return _others(sqlalchemy.or_(
        table.c.uuid == uuid, table.c.parent_node == uuid))


def behind_bmc(addresses: Collection[str]) -> list[OtherNode]:
    """The nodes behind any of some BMCs, child nodes too, oldest first.

    :param addresses: of the BMCs, see ``bmc_address``.
    """
    if not addresses:
        return []
    table = _nodes()
    text = sqlalchemy.type_coerce(table.c.driver_info, sqlalchemy.Text)
    found = select([table.c.uuid, table.c.driver_info],
                    lambda database: may_have_bmc(
                        text, addresses, database))
    return list(nodes(row.uuid for row in found
                      if bmc_address(row) in addresses).values())


def count_bmcs() -> int:
    """How many BMCs all nodes with Redfish have."""
    rows = select([_nodes().c.uuid, _nodes().c.driver_info])
    return len({bmc_address(row) for row in rows} - {None})


def with_key(key: str, columns: Collection[str] = (), *,
             unreserved: bool = False,
             provision_states: Collection[str] = ()) -> list[Any]:
    """The nodes whose internal info has a key, oldest first.

    :param columns: what to read besides ``uuid`` and ``driver_internal_info``.
    :param unreserved: only nodes that are not reserved.
    :param provision_states: only nodes in these states.
    """
    having = _having(key, _known_keys.values(_scan.now()))
    names = {'uuid', 'driver_internal_info', 'reservation',
             'provision_state', *columns}
    # The scan may be outdated, so the conditions are checked on each row
    # again.
    return [row for row in by_id(having, names)
            if key in (row.driver_internal_info or ())
            and not (unreserved and row.reservation)
            and (not provision_states
                 or row.provision_state in provision_states)]


def _having(key: str, known: Mapping[int, frozenset[str]]) -> list[int]:
    # To go through 10,000 nodes for each question is a third of a pass.
    global _found
    last = _found
    if last[0] is not known:
        last = _found = known, {}
    if key not in last[1]:
        last[1][key] = [i for i, names in known.items() if key in names]
    return last[1][key]


def by_id(ids: Collection[int], columns: Collection[str]) -> list[Any]:
    """Some columns of nodes, by their ids; oldest first.

    :param columns: what to read besides ``id``.
    """
    table = _nodes()
    names = {'id', *columns}
    return [row for part in chunks(sorted(ids)) for row in select(
        [table.c[n] for n in sorted(names)], table.c.id.in_(part))]


def served(manager: Any, uuids: Iterable[str] | None = None,
           **filters: Any) -> Iterator[tuple[str, str]]:
    """The nodes that this conductor manages, each with its driver.

    :param manager: Ironic's conductor manager, which has the hash ring.
    :param uuids: of the nodes in question; None for all.
    :param filters: of Ironic's nodes.
    """
    parts: Iterable[dict[str, Any]] = [{}] if uuids is None else (
        {'uuid_in': part} for part in chunks(list(dict.fromkeys(uuids))))
    for part in parts:
        for uuid, driver, *_rest in _list_served(manager, {
                **filters, **part, 'include_children': True}):
            yield str(uuid), str(driver)


@db_retry.repeated
def _list_served(manager: Any, filters: Mapping[str, Any]) -> list[Any]:
    return list(manager.iter_nodes(filters=filters))


def managed(manager: Any, uuids: Iterable[str] | None = None,
            **filters: Any) -> Iterator[str]:
    """Those with a hardware type of ironic-accel; see ``served``."""
    return (uuid for uuid, driver in served(manager, uuids, **filters)
            if driver in HARDWARE_TYPES)


def _read_keys(ids: list[int]) -> dict[int, frozenset[str]]:
    return {row.id: frozenset(k for k in row.driver_internal_info or ()
                          if k.startswith(keys.PREFIX))
            for row in by_id(ids, ('driver_internal_info',))}


def _others(condition: Any) -> list[OtherNode]:
    table = _nodes()
    return list(map(other, select([table.c[f] for f in FIELDS], condition)))


def other(row: Any) -> OtherNode:
    """A node, of a row with ``FIELDS`` and maybe others."""
    return OtherNode(**{**{name: getattr(row, name) for name in FIELDS},
                        'driver_info': row.driver_info or {},
                        'driver_internal_info':
                            row.driver_internal_info or {}})


def _nodes() -> Any:
    # Its models have to be imported after Ironic's configuration.
    from ironic.db.sqlalchemy import models
    return models.Node.__table__


def _read_scan(since: datetime.datetime, entire: bool
               ) -> tuple[list[ScannedNode], tuple[int, int]]:
    """The nodes that changed since; see ``node_cache.ReadNodes``."""
    table, sql = _nodes(), sqlalchemy.func
    changed = sql.coalesce(table.c.updated_at, table.c.created_at)
    columns = [changed, table.c.provision_state, table.c.reservation]
    recent = sqlalchemy.or_(changed >= since, changed.is_(None))
    if not _has_digests():
        return [(*row, 0, None) for row in select(
            [table.c.id, *columns],
            sqlalchemy.true() if entire else recent)], (0, 0)
    # One statement, so that no change comes between; the others are one row.
    rows = select([
        sqlalchemy.case((recent, table.c.id), else_=0).label('number'),
        *map(sql.max, columns), sqlalchemy.cast(sql.sum(sql.crc32(
            sql.concat_ws('|', table.c.id, *columns))), sqlalchemy.BigInteger),
        sql.count()], group='number')
    return ([(*row[:5], None) for row in rows if row[0]],
            next(((row[5], row[4]) for row in rows if not row[0]), (0, 0)))


def _read_contents() -> dict[int, int]:
    """A digest of each row, by the id of the node, if the database has one."""
    table, sql = _nodes(), sqlalchemy.func
    digest = sql.crc32(sql.concat_ws('|', *table.c)).label('content')
    return dict(map(tuple, select([table.c.id, digest]))) if (
        _has_digests()) else {}


def _has_digests() -> bool:
    """Whether the database computes CRC-32: MySQL and MariaDB do."""
    return str(CONF.database.connection).startswith('mysql')


def scanned(fresh: bool = False) -> Scan:
    """All nodes with the time of their last change, read a moment ago.

    :param fresh: compare them now, for a caller that makes a decision by it.
    """
    return _scan.now(fresh)


_scan = NodeScan(_read_scan, _read_contents)
_known_keys: ScanCache[frozenset[str]] = ScanCache(_read_keys)
#: The keys of nodes, as known, and which nodes have a key that was asked for.
_found: tuple[Mapping[int, frozenset[str]], dict[str, list[int]]] = ({}, {})


@db_retry.repeated
def rows(statement: Any, values: Mapping[str, Any]) -> list[Any]:
    """The rows of a statement that was made once, for what each tick asks.

    SQLAlchemy compiles a statement once, but knows it again only by going
    through all of it, which it does once for each object.
    """
    from ironic.db.sqlalchemy import api as db_api
    with db_api._session_for_read() as session:
        return list(session.execute(statement, values).all())


@db_retry.repeated
def select(columns: list[Any], *conditions: Any, group: str | None = None
           ) -> list[Any]:
    """Rows, oldest first.

    :param conditions: conditions, or functions of a dialect's name.
    :param group: the label of a column: one row for each of its values.
    """
    from ironic.db.sqlalchemy import api as db_api
    with db_api._session_for_read() as session:
        database = session.get_bind().dialect.name
        chosen = sqlalchemy.select(*columns).where(*(
            c(database) if callable(c) else c for c in conditions))
        return list(session.execute(
            chosen.group_by(group) if group else chosen.order_by(
                columns[0].table.c.id)).all())


def chunks(values: list[Any]) -> Iterator[list[Any]]:
    """The values in parts, each for one condition."""
    for start in range(0, len(values), CHUNK):
        yield values[start:start + CHUNK]


def bmc_address(node: Any) -> str | None:
    """The address of the BMC as ``HOST:PORT``, or None without one.

    Scheme, path, case, a trailing slash or dot and the notation of an IP
    address make no difference; a port does, because several BMCs may share one
    gateway. An invalid address gives None: no session is made with it either.

    :param node: a node, or anything with ``driver_info``.
    """
    raw = (node.driver_info or {}).get('redfish_address')
    if not isinstance(raw, str) or not raw.strip():
        return None
    text = raw.strip()
    try:
        parts = parse.urlsplit(text if '//' in text else f'//{text}',
                               scheme='https')
    except ValueError:
        return None
    host = _host(parts.hostname or '')
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None:
        port = 80 if parts.scheme == 'http' else 443
    return f'{host}:{port}' if host else None


def _host(text: str) -> str:
    """A name or an IP address, written in one way."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        # A name with its root at the end (RFC 1034) is the same name.
        return text.lower().removesuffix('.')


def like(text: str) -> str:
    """What finds a text in a column by LIKE with the escape character ``/``.
    """
    return '%' + re.sub('[/%_]', r'/\g<0>', text) + '%'


def may_have_bmc(column: Any, addresses: Iterable[str], database: str) -> Any:
    """The SQL condition that a ``driver_info`` may have such an address.

    It misses no notation and finds more nodes than those with the address, so
    ``of`` must be compared too. JSON escapes non-ASCII and control characters,
    which are removed from an address when it is read; so every value with a
    backslash matches, too.

    :param column: the JSON text of ``driver_info``.
    :param addresses: as ``of`` gives them.
    :param database: the name of SQLAlchemy's dialect.
    """
    # LIKE of SQLite ignores the case of ASCII, and is a third faster without
    # two calls of lower() for each row.
    holds = column.contains if database == 'sqlite' else column.icontains
    texts = {t for a in addresses for t in _host_texts(a.rpartition(':')[0])}
    return sqlalchemy.or_(*(holds(t, autoescape=True)
                            for t in ('\\', *sorted(texts))))


def _host_texts(host: str) -> tuple[str, ...]:
    """Texts of which every notation of an address contains at least one.

    An IPv6 address ends with the last of its eight groups, or with four
    decimals (RFC 4291, 2.2), before its bracket or its zone. The group may
    have leading zeros or, if it is zero, be left out.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (host,)
    if isinstance(address, ipaddress.IPv4Address):
        return (host,)
    last = address.packed[-2:].hex().lstrip('0')
    ends = (last,) if last else (':', '0')
    decimals = str(ipaddress.IPv4Address(address.packed[-4:]))
    return tuple(end + close for end in (*ends, decimals)
                 for close in (']', '%'))
