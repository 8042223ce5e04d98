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

"""Other nodes are asked about in one place, and few of them are read."""

from __future__ import annotations

import ast
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import datetime
import pathlib
from typing import Any
from unittest import mock

from ironic.db.sqlalchemy import models
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils
import pytest
import sqlalchemy

import ironic_accel
from ironic_accel.conductor.node import node_cache
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.upkeep import cleanup
from tests.unit.conductor import stage as stages
from tests.unit.conductor.stage import Stage

Make = Callable[..., Any]

#: What lists Ironic's nodes, or opens its database, by its name.
LISTS = frozenset({
    '_session_for_read', '_session_for_write', 'dbapi', 'get_node_list',
    'get_node_list_columns', 'get_nodeinfo_list', 'iter_nodes',
    'node_periodic'})
#: The same of Ironic's Node, by the name of the method.
OF_NODE = frozenset({'list', 'get_by_id', 'get_by_uuid', 'get', 'get_by_name'})
QUERIES = 'conductor/node/queries.py'
#: Where else one of these names stands, and why it may.
ALLOWED = {
    ('conductor/config/ironic_series.py', 'node_periodic'):
        'its code, which is read and not called',
    ('conductor/node/clock.py', '_session_for_read'):
        'the time of the database',
    ('conductor/node/db_retry.py', '_session_for_read'):
        'whether the reservation of a node was committed',
    ('conductor/node/db_retry.py', '_session_for_write'):
        "around Ironic's own reservation of a node",
    ('conductor/node/guard_copy.py', '_session_for_write'):
        "the row in the history of the task's own node",
    ('conductor/node/inventory_store.py', '_session_for_write'):
        "a firmware component of the task's own node",
    ('conductor/node/profile_agreement.py', 'dbapi'):
        'the conductors',
    ('conductor/node/saving.py', '_session_for_write'):
        "the row of the task's own node"}


def asking(tree: ast.AST) -> Iterator[str]:
    """The names by which a module lists nodes or opens the database."""
    for found in ast.walk(tree):
        if not isinstance(found, ast.Attribute):
            continue
        owner = found.value
        if found.attr in LISTS or (
                found.attr in OF_NODE and 'Node' in (
                    getattr(owner, 'attr', ''), getattr(owner, 'id', ''))):
            yield found.attr


def test_nothing_else_lists_nodes() -> None:
    folder = pathlib.Path(ironic_accel.__file__).parent
    found = {}
    for path in sorted(folder.rglob('*.py')):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        found[path.relative_to(folder).as_posix()] = set(asking(tree))
    assert found.pop(QUERIES) >= {'_session_for_read', 'iter_nodes'}
    assert {(path, name) for path, names in found.items()
            for name in names} == set(ALLOWED)


@pytest.mark.parametrize(('line', 'told'), [
    ('objects.Node.list(context)', ['list']),
    ('node.Node.get_by_uuid(context, uuid)', ['get_by_uuid']),
    ('objects.Node.dbapi.get_node_list()', ['get_node_list', 'dbapi']),
    ('manager.iter_nodes(filters={})', ['iter_nodes']),
    ('objects.NodeHistory.list_by_node_id(context, 1)', []),
    ('[].list', []), ('task.node.save()', [])])
def test_names_that_count_as_a_query(line: str, told: list[str]) -> None:
    assert list(asking(ast.parse(line))) == told


@pytest.fixture
def stage(make_node: Make, acquire: Make, profiles: pathlib.Path
          ) -> Iterator[Stage]:
    """A box behind the ports."""
    with stages.staged(make_node, acquire, profiles) as made:
        yield made


@pytest.fixture
def cloud(context: Any) -> Iterator[list[str]]:
    """A thousand nodes more, each behind a BMC of its own."""
    uuids = [uuidutils.generate_uuid() for _ in range(1000)]
    table = models.Node.__table__
    with enginefacade.writer.get_engine().begin() as connection:
        connection.execute(sqlalchemy.insert(table), [{
            'uuid': uuid, 'driver': 'accel-redfish',
            'provision_state': 'available', 'conductor_group': '',
            'updated_at': datetime.datetime(2026, 1, 1),
            'driver_info': {'redfish_address': f'https://bmc-{n}.example'},
            'driver_internal_info': {
                'accel_fence': '1:0', 'accel_claims': {
                    'at': 1.0, 'system': 's', 'of': [f'{n:016x}']}},
        } for n, uuid in enumerate(uuids)])
    yield uuids
    with enginefacade.writer.get_engine().begin() as connection:
        connection.execute(sqlalchemy.delete(table).where(
            table.c.uuid.in_(uuids)))


class Reads:
    """What the questions about other nodes select.

    :ivar cells: rows times columns, by the columns.
    """

    def __init__(self) -> None:
        self.cells: list[tuple[tuple[str, ...], int]] = []
        self.real, self.real_rows = queries.select, queries.rows

    def rows_of(self, statement: Any, values: Mapping[str, Any]
                ) -> list[Any]:
        """As the real ``rows``."""
        rows = self.real_rows(statement, values)
        self.cells.append((tuple(statement.selected_columns.keys()),
                           len(rows)))
        return rows

    def select(self, columns: list[Any], *conditions: Any,
               **options: Any) -> list[Any]:
        """As the real one."""
        rows = self.real(columns, *conditions, **options)
        self.cells.append((tuple(c.name for c in columns), len(rows)))
        return rows

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return sum(number for _columns, number in self.cells)


@pytest.fixture
def reads() -> Iterator[Reads]:
    """Counts what is read."""
    made = Reads()
    with mock.patch.object(queries, 'select', autospec=True,
                           side_effect=made.select), \
            mock.patch.object(queries, 'rows', autospec=True,
                              side_effect=made.rows_of):
        yield made


def test_a_tick_that_writes_reads_no_other_bmc_s_nodes(
        stage: Stage, make_node: Make, cloud: list[str], reads: Reads
        ) -> None:
    """Of a thousand nodes and one neighbour it reads the neighbour."""
    make_node()
    stage.begin(profile='h100-new')
    for _ in range(20):
        reads.cells.clear()
        written = stage.box.writes
        stage.tick()
        if stage.box.writes > written:
            break
    else:
        raise AssertionError('nothing was written')
    asked = [columns for columns, _number in reads.cells]
    # Before the intent is saved, and right before the write; bench/queries.py
    # adds up what that costs.
    assert asked.count(('uuid', 'driver_info')) == 2
    assert asked.count(('node_id', 'event')) == 2
    assert asked.count(('event',)) == 4
    assert len(asked) == 2 * 4 + 3 + 4
    # Nobody loads more of a node that only its address is asked of.
    assert {c for c in asked if 'driver_internal_info' not in c} <= {
        ('uuid', 'driver_info'), ('node_id', 'event'), ('event',)}
    assert 4 <= reads.rows <= 60


def test_passes_over_a_thousand_quiet_nodes_read_none_twice(
        cloud: list[str], reads: Reads) -> None:
    for times in range(3):
        reads.cells.clear()
        assert not set(cleanup.found(['available'])) & set(cloud)
        full = sum(n for columns, n in reads.cells
                   if 'driver_internal_info' in columns)
        assert full >= 1000 if not times else full < 50
    assert queries.with_key('accel_operation') == []
    assert len(queries.with_key('accel_claims')) >= 1000
    # The text of the key elsewhere is not the key.
    assert queries.with_key('of') == []


def scanned(reads: Reads) -> int:
    """How many nodes the last scan read."""
    return [number for columns, number in reads.cells
            if 'coalesce' in columns][-1]


def test_a_pass_reads_and_finds_what_changed(
        make_node: Make, acquire: Make, cloud: list[str], reads: Reads
        ) -> None:
    key = 'accel_operation'
    assert queries.with_key(key) == []
    assert scanned(reads) == len(cloud)
    reads.cells.clear()
    # The row, as any process of Ironic may write it.
    table = models.Node.__table__
    with enginefacade.writer.get_engine().begin() as connection:
        connection.execute(sqlalchemy.update(table).where(
            table.c.uuid == cloud[7]).values(driver_internal_info={key: {}}))
    made = make_node(driver_internal_info={key: {}})
    found = queries.with_key(key)
    assert [row.uuid for row in found] == [cloud[7], made.uuid]
    assert scanned(reads) == 2
    # One row each in the scan, of what is kept, and of what is found.
    assert reads.rows <= 3 * 2
    assert not any(queries.scanned().nodes[row.id][3] for row in found)
    acquire(made)
    assert [i for i, node in queries.scanned().nodes.items() if node[3]] == [
        made.id]
    with enginefacade.writer.get_engine().begin() as connection:
        connection.execute(sqlalchemy.delete(table).where(
            table.c.uuid == cloud[7]))
    assert [row.uuid for row in queries.with_key(key)] == [made.uuid]


def test_changes_without_a_time_are_read_each_time(
        cloud: list[str], reads: Reads) -> None:
    table = models.Node.__table__
    queries.scanned()
    with enginefacade.writer.get_engine().begin() as connection:
        connection.execute(sqlalchemy.update(table).where(
            table.c.uuid == cloud[0]).values(
                updated_at=None, created_at=None))
    for _ in range(2):
        queries.scanned()
        assert scanned(reads) == 1


def test_all_nodes_are_read_again_after_a_while(
        cloud: list[str], reads: Reads, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    """Also one that a clock far behind has stamped."""
    assert queries.with_key('accel_operation') == []
    table = models.Node.__table__
    with enginefacade.writer.get_engine().begin() as connection:
        connection.execute(sqlalchemy.update(table).where(
            table.c.uuid == cloud[0]).values(
                updated_at=datetime.datetime(2026, 1, 2),
                driver_internal_info={'accel_operation': {}}))
    assert queries.with_key('accel_operation') == []
    monkeypatch.setattr(node_cache, 'ENTIRE', 0.0)
    assert [row.uuid for row in queries.with_key('accel_operation')] == [
        cloud[0]]
    assert scanned(reads) == len(cloud)
