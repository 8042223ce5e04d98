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

"""MariaDB compares the nodes itself, and sends those that changed."""

from __future__ import annotations

from collections.abc import Iterator
import datetime
from typing import Any

from ironic.db.sqlalchemy import models
from oslo_utils import uuidutils
import pytest
import sqlalchemy

from ironic_accel.conductor.node import node_cache
from ironic_accel.conductor.node import queries

#: When a node changed last, long ago.
THEN = datetime.datetime(2026, 1, 1)
#: A long one of a node, and what is not ASCII.
LONG: dict[str, Any] = {'long': 'text|' * 10000}


@pytest.fixture
def ids(server: sqlalchemy.Engine) -> list[int]:
    """Nodes that changed long ago, one of them with a time that is unknown."""
    infos: list[dict[str, Any]] = [{}, {'accel_operation': {}}, LONG, {}, {}]
    with server.begin() as connection:
        connection.execute(sqlalchemy.delete(models.Node))
        connection.execute(sqlalchemy.insert(models.Node.__table__), [{
            'id': number, 'uuid': uuidutils.generate_uuid(),
            'driver': 'accel-redfish', 'driver_internal_info': info,
            'provision_state': 'available', 'description': '\u00e9\u6f22',
            'updated_at': THEN if number < len(infos) else None}
            for number, info in enumerate(infos, 1)])
        connection.execute(sqlalchemy.update(models.Node).values(
            created_at=None, updated_at=models.Node.updated_at))
    return [number for number, _ in enumerate(infos, 1)]


def change(server: sqlalchemy.Engine, *ids: int, **values: Any) -> None:
    """Write rows, by any clock."""
    table = models.Node.__table__
    with server.begin() as connection:
        connection.execute(sqlalchemy.update(table).where(
            table.c.id.in_(ids)).values(**{'updated_at': THEN, **values}))


class Statements:
    """What the server was asked, and how many rows it sent."""

    def __init__(self, server: sqlalchemy.Engine) -> None:
        self.rows: list[int] = []
        sqlalchemy.event.listen(server, 'after_cursor_execute', self._add)

    def _add(self, connection: Any, cursor: Any, statement: str,
             *_args: Any) -> None:
        if 'nodes' in statement:
            self.rows.append(cursor.rowcount)


@pytest.fixture
def statements(server: sqlalchemy.Engine) -> Iterator[Statements]:
    made = Statements(server)
    yield made
    sqlalchemy.event.remove(server, 'after_cursor_execute', made._add)


def entire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute passes."""
    monkeypatch.setattr(queries._scan, '_entire_at', float('-inf'))


def test_nodes_that_are_as_they_were_are_one_row(
        server: sqlalchemy.Engine, ids: list[int], statements: Statements,
        monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.dialect.name == 'mysql'
    first = queries.scanned()
    assert set(first.nodes) == set(ids)
    assert all(type(row[4]) is type(row[5]) is int
               for row in first.nodes.values())
    statements.rows.clear()
    entire(monkeypatch)
    found = queries.scanned()
    # The node without a time, and the others.
    assert statements.rows == [2]
    assert found.nodes == first.nodes
    queries.scanned(fresh=True)
    assert statements.rows == [2, 2]


@pytest.mark.parametrize('values', [
    {'provision_state': 'active'}, {'provision_state': None},
    {'reservation': 'other'},
    {'updated_at': THEN + datetime.timedelta(seconds=1)},
    {'updated_at': THEN - datetime.timedelta(days=900)}])
def test_change_by_a_clock_far_behind_is_found_in_a_minute(
        server: sqlalchemy.Engine, ids: list[int],
        values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = queries.scanned().nodes
    change(server, ids[0], **values)
    assert queries.scanned().nodes == before
    entire(monkeypatch)
    after = queries.scanned().nodes
    assert {i for i in ids if after[i] != before[i]} == {ids[0]}
    assert after[ids[0]][:4] == (
        ids[0], values.get('updated_at', THEN),
        values.get('provision_state', 'available'), values.get('reservation'))


def test_change_by_a_right_clock_is_found_at_once(
        server: sqlalchemy.Engine, ids: list[int],
        statements: Statements, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the scan that compares all, which sends the same row."""
    key = 'accel_operation'
    assert [row.id for row in queries.with_key(key)] == [ids[1]]
    change(server, ids[0], updated_at=datetime.datetime.now(
        datetime.UTC).replace(tzinfo=None), driver_internal_info={key: {}})
    with server.begin() as connection:
        new = connection.execute(sqlalchemy.insert(models.Node).values(
            uuid=uuidutils.generate_uuid(), driver='accel-redfish',
            driver_internal_info={key: {}})).lastrowid
    assert [row.id for row in queries.with_key(key)] == [*ids[:2], new]
    scan = queries.scanned()
    entire(monkeypatch)
    statements.rows.clear()
    assert queries.scanned().nodes == scan.nodes
    # The two that changed, the one without a time, and the others.
    assert statements.rows == [4]


def test_deleted_node_is_gone_in_a_minute(
        server: sqlalchemy.Engine, ids: list[int],
        monkeypatch: pytest.MonkeyPatch) -> None:
    queries.scanned()
    for number in ids:
        with server.begin() as connection:
            connection.execute(sqlalchemy.delete(models.Node).where(
                models.Node.id == number))
        entire(monkeypatch)
        assert set(queries.scanned().nodes) == {i for i in ids if i > number}


def test_content_that_changed_within_the_same_second_is_found(
        server: sqlalchemy.Engine, ids: list[int],
        monkeypatch: pytest.MonkeyPatch, statements: Statements) -> None:
    """By a clock far behind: the second of two changes."""
    assert [row.id for row in queries.with_key('accel_operation')] == [ids[1]]
    change(server, ids[2], driver_internal_info={
        **LONG, 'accel_operation': {}})
    entire(monkeypatch)
    assert [row.id for row in queries.with_key('accel_operation')] == [ids[1]]
    monkeypatch.setattr(node_cache, 'LONGEST', 0.0)
    statements.rows.clear()
    assert [row.id for row in queries.with_key('accel_operation')] == [
        ids[1], ids[2]]
    # The one without a time, and the others; the contents of all; what is kept
    # of two, and what is found.
    assert statements.rows == [2, 5, 2, 2]
