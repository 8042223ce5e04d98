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

"""What was read of nodes is read again once they change."""

from __future__ import annotations

import datetime
import random
import time
from unittest import mock
import zlib

import pytest

from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import node_cache

#: When the nodes changed, and a time at which that is long ago.
CHANGED = datetime.datetime(2026, 1, 1)
NOW = CHANGED.replace(tzinfo=datetime.UTC).timestamp() + 3600


class Nodes:
    """Nodes with a value each, and a cache of it.

    :ivar read: the nodes that were read at the last question.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there: dict[int, node_cache.ScannedNode] = {}
        for number in (1, 2):
            self.put(number)
        self.values = {1: 'a', 2: 'b'}
        self.cache: node_cache.ScanCache[str] = node_cache.ScanCache(
            self._read)
        self.read: list[int] = []
        self.now = NOW
        monkeypatch.setattr(time, 'time', lambda: self.now)
        monkeypatch.setattr(clock, 'shared', lambda: self.now + 5)

    def put(self, number: int,
            changed: datetime.datetime | None = CHANGED,
            content: int | None = None) -> None:
        """Have a node, as it was scanned."""
        self.there[number] = number, changed, 'available', None, 0, content

    def ask(self, now: float = NOW, basis: object = None) -> dict[int, str]:
        """What the cache says of the nodes, which were all scanned again."""
        self.read, self.now = [], now
        number = self.cache._number + 1
        return dict(self.cache.values(node_cache.Scan(
            number, dict(self.there), dict.fromkeys(self.there, number)),
            basis))

    def _read(self, ids: list[int]) -> dict[int, str]:
        self.read = ids
        return {i: self.values[i] for i in ids if i in self.values}


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """Two nodes that were asked about once."""
    made = Nodes(monkeypatch)
    assert made.ask() == {1: 'a', 2: 'b'}
    assert made.read == [1, 2]
    return made


def test_unchanged_node_is_read_once(nodes: Nodes) -> None:
    nodes.values = {}
    assert nodes.ask() == {1: 'a', 2: 'b'}
    assert nodes.read == []


@pytest.mark.parametrize('later', [1, -1, 3000])
def test_changed_node_is_read_again(nodes: Nodes, later: int) -> None:
    """Also where the clock of who changed it is behind."""
    nodes.put(2, CHANGED + datetime.timedelta(seconds=later))
    nodes.values[2] = 'c'
    assert nodes.ask() == {1: 'a', 2: 'c'}
    assert nodes.read == [2]


def test_node_with_another_content_is_read_again(nodes: Nodes) -> None:
    for content in (7, 8, 0):
        nodes.put(2, CHANGED, content)
        nodes.values[2] = f'at {content}'
        for read in ([2], []):
            assert nodes.ask() == {1: 'a', 2: f'at {content}'}
            assert nodes.read == read


def test_recently_changed_node_is_read_each_time(nodes: Nodes) -> None:
    """It may change again within the same second, which MySQL cannot tell."""
    # By the clock that is behind, of this conductor and the database's.
    just = NOW - node_cache.RECENT + 1
    nodes.put(2, naive(just), 7)
    nodes.ask()
    nodes.values[2] = 'c'
    assert nodes.ask() == {1: 'a', 2: 'c'}
    assert nodes.read == [2]
    later = NOW + node_cache.RECENT
    nodes.ask(later)
    nodes.ask(later)
    assert nodes.read == []


def test_new_node_is_read_and_deleted_node_is_left_out(
        nodes: Nodes) -> None:
    del nodes.there[1]
    nodes.put(3)
    nodes.values[3] = 'c'
    assert nodes.ask() == {2: 'b', 3: 'c'}
    assert nodes.read == [3]


def test_missing_value_is_read_again(nodes: Nodes) -> None:
    nodes.put(3)
    for _ in range(2):
        assert 3 not in nodes.ask()
        assert nodes.read == [3]


def test_node_without_a_time_is_read_each_time(nodes: Nodes) -> None:
    nodes.put(1, None, 7)
    for _ in range(2):
        nodes.ask()
        assert nodes.read == [1]


def test_all_is_read_again_on_another_basis(nodes: Nodes) -> None:
    """Also where nothing was scanned since."""
    last = node_cache.Scan(nodes.cache._number, nodes.there,
                           dict.fromkeys(nodes.there, 1))
    for basis, read in (('other', [1, 2]), ('other', []), (None, [1, 2])):
        nodes.read = []
        assert nodes.cache.values(last, basis) == {1: 'a', 2: 'b'}
        assert nodes.read == read


class Table:
    """A table with two nodes of long ago, and a scan of it.

    :ivar rows: of the table, by id.
    :ivar contents: what else is in them, by id.
    :ivar since: the times since when the scan read.
    :ivar now: seconds of every clock that the scan reads.
    :param digests: whether the database computes CRC-32.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, digests: bool
                 ) -> None:
        self.rows: dict[int, node_cache.ScannedNode] = {}
        self.contents: dict[int, str] = {}
        self.digests = digests
        self.since: list[datetime.datetime] = []
        self.now = self.database = self.own = NOW
        monkeypatch.setattr(node_cache, 'SHARED', 1.0)
        monkeypatch.setattr(time, 'monotonic', lambda: self.now)
        monkeypatch.setattr(time, 'time', lambda: self.own)
        monkeypatch.setattr(clock, 'shared', lambda: self.database)
        self.scan = node_cache.NodeScan(self.read, self.digest)
        for number in (1, 2):
            self.put(number, NOW - 3600)

    def put(self, number: int, at: float | None, state: str = 'available'
            ) -> None:
        """Change a node, by the clock of who changes it."""
        changed = None if at is None else naive(at)
        self.rows[number] = (
            number, changed, state, None, zlib.crc32(
                f'{number}|{changed}|{state}'.encode()
            ) if self.digests else 0, None)
        self.contents.setdefault(number, 'something')

    def drop(self, number: int) -> None:
        """Delete a node."""
        del self.rows[number], self.contents[number]

    def read(self, since: datetime.datetime, check: bool) -> tuple[
            list[node_cache.ScannedNode], tuple[int, int]]:
        self.since.append(since)
        if check and not self.digests:
            since = datetime.datetime.min
        found = [row for row in self.rows.values()
                 if row[1] is None or row[1] >= since]
        others = [row for row in self.rows.values() if row not in found]
        return found, (len(others), sum(row[4] for row in others))

    def digest(self) -> dict[int, int]:
        return {i: zlib.crc32(f'{self.rows[i]}|{content}'.encode())
                for i, content in self.contents.items()
                } if self.digests else {}

    def later(self, seconds: float, fresh: bool = False
              ) -> dict[int, node_cache.ScannedNode]:
        """The nodes after some time, without the digests of contents."""
        self.now += seconds
        self.own += seconds
        self.database += seconds
        return {i: (*row[:5], None)
                for i, row in self.scan.now(fresh).nodes.items()}


def naive(at: float) -> datetime.datetime:
    """As Ironic's database has it."""
    return datetime.datetime.fromtimestamp(
        at, datetime.UTC).replace(tzinfo=None)


@pytest.fixture(params=[True, False], ids=['digests', 'none'])
def table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
          ) -> Table:
    """A table that was scanned once, of a database of either kind."""
    made = Table(monkeypatch, request.param)
    assert made.later(0) == made.rows
    assert made.since == [naive(0)]
    return made


def test_scan_is_shared_for_a_moment(table: Table) -> None:
    first = table.scan.now()
    table.later(0.9)
    assert table.scan.now() is first
    table.scan.now(fresh=True)
    assert len(table.since) == 2
    table.later(1.0)
    assert len(table.since) == 3


def test_only_nodes_that_may_have_changed_are_read_again(
        table: Table) -> None:
    table.later(5)
    # By a clock that is as far behind as one may be.
    table.put(2, table.now - node_cache.RECENT, 'active')
    table.put(3, table.now)
    table.put(4, None)
    assert table.later(5) == table.rows
    assert table.since[1:] == [
        naive(NOW - node_cache.RECENT), naive(NOW + 5 - node_cache.RECENT)]


@pytest.mark.parametrize('name', ['own', 'database'])
def test_change_by_the_clock_that_is_behind_is_found(
        table: Table, name: str) -> None:
    """This conductor's own, or that of those whose clocks are right."""
    setattr(table, name, NOW - 1000)
    table.later(5)
    table.put(3, getattr(table, name))
    assert table.later(5) == table.rows
    assert naive(0) not in table.since[1:]


@pytest.mark.parametrize('name', ['own', 'database'])
@pytest.mark.parametrize('seconds', [-1000.0, 1000.0])
def test_clock_that_is_set_hides_no_change(
        table: Table, name: str, seconds: float) -> None:
    """Neither of a change before it was set, nor of one after it."""
    for number in (3, 4, 5):
        table.put(number, table.own)
        if number == 4:
            setattr(table, name, getattr(table, name) + seconds)
        assert table.later(5) == table.rows
    assert naive(0) not in table.since[1:]


def test_change_by_a_clock_far_behind_is_found_by_the_next_entire_scan(
        table: Table) -> None:
    """And so is a deleted node."""
    table.put(1, NOW - 2000, 'active')
    table.drop(2)
    seen = table.later(5)
    assert seen[1][2] == 'available'
    assert 2 in seen
    assert table.later(node_cache.ENTIRE - 5) == table.rows


def test_who_decides_by_it_has_all_nodes_read(table: Table) -> None:
    table.put(1, NOW - 2000, 'active')
    table.drop(2)
    assert table.later(0, fresh=True) == table.rows


def test_nodes_that_are_as_they_were_are_not_read_again(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database compares them; also if some of them changed."""
    table = Table(monkeypatch, digests=True)
    table.scan.now()
    for _ in range(3):
        assert table.later(node_cache.ENTIRE) == table.rows
        table.put(3, table.now)
        assert table.later(0, fresh=True) == table.rows
    table.later(node_cache.ENTIRE + 5)
    first = table.scan.now(fresh=True)
    assert table.scan.now(fresh=True) is first
    assert naive(0) not in table.since[1:]


def test_last_node_is_deleted(table: Table) -> None:
    """None is left, and there is nothing that would differ."""
    table.drop(1)
    table.put(2, table.now)
    assert table.later(node_cache.ENTIRE) == table.rows
    table.drop(2)
    assert table.later(node_cache.ENTIRE) == {}


@pytest.mark.parametrize('seed', range(8))
def test_scan_has_what_the_table_has(table: Table, seed: int) -> None:
    """At once what a clock changed that is right, the rest in a minute."""
    chance = random.Random(seed)  # noqa: S311
    unseen: set[int] = set()
    for number in range(3, 200):
        for _ in range(chance.randrange(3)):
            node = chance.choice([*table.rows, number])
            behind = chance.choice([0, 30, node_cache.RECENT, 1000])
            if node in table.rows and chance.random() < 0.2:
                table.drop(node)
                unseen.add(node)
            else:
                table.put(node, table.now - behind,
                          chance.choice(['available', 'active']))
                (unseen.add if behind > node_cache.RECENT
                 else unseen.discard)(node)
        seconds = chance.choice([5, 5, 5, node_cache.ENTIRE])
        seen = table.later(seconds)
        if seconds == node_cache.ENTIRE:
            unseen.clear()
        assert {i: row for i, row in seen.items() if i not in unseen} == {
            i: row for i, row in table.rows.items() if i not in unseen}
        assert table.scan.now().read.keys() == seen.keys()


def test_scan_that_fails_is_made_again(table: Table) -> None:
    """The time that it would have read since is not forgotten."""
    table.put(3, NOW)
    for name in ('_read', '_contents'):
        with mock.patch.object(table.scan, name, autospec=True,
                               side_effect=OSError):
            for seconds in (5, node_cache.LONGEST):
                if name == '_read' or seconds > 5:
                    with pytest.raises(OSError):
                        table.later(seconds)
        assert table.scan._scan.nodes.keys() == {1, 2}
    assert table.later(0) == table.rows


class Values:
    """What is so of the nodes of a table.

    :ivar values: by id.
    :ivar asked: what was read, each time.
    """

    def __init__(self) -> None:
        self.values = {1: 'gpu', 2: 'gpu'}
        self.asked: list[list[int]] = []
        self.cache: node_cache.ScanCache[str] = node_cache.ScanCache(
            self.read)

    def read(self, ids: list[int]) -> dict[int, str]:
        self.asked.append(ids)
        return {i: self.values[i] for i in ids if i in self.values}


def test_value_of_a_scan_is_worked_out_once(table: Table) -> None:
    there = Values()
    for _ in range(3):
        assert there.cache.values(table.scan.now()) == {1: 'gpu', 2: 'gpu'}
    there.values[2] = 'dpu'
    table.later(5)
    table.put(2, table.now)
    table.later(5)
    assert there.cache.values(table.scan.now()) == {1: 'gpu', 2: 'dpu'}
    assert there.asked == [[1, 2], [2]]


def test_node_that_changed_is_read_again_for_a_while(table: Table) -> None:
    """It may change again within the same second, which MySQL cannot tell."""
    there = Values()
    there.cache.values(table.scan.now())
    table.put(2, table.now)
    for second in range(5, int(node_cache.RECENT) + 5, 5):
        table.later(5)
        there.values[2] = f'at {second} s'
        assert there.cache.values(table.scan.now()) == {
            1: 'gpu', 2: f'at {second} s'}
        assert there.asked[-1] == [2]
    reads = len(there.asked)
    table.later(5)
    assert there.cache.values(table.scan.now())[2] == f'at {second} s'
    assert len(there.asked) == reads


def test_cache_that_missed_scans_reads_what_changed_in_all_of_them(
        table: Table) -> None:
    """And one that comes with an older scan gets the values of the later."""
    there = Values()
    old = table.scan.now()
    there.cache.values(old)
    table.put(1, table.now)
    there.values = {1: 'dpu', 2: 'fpga', 3: 'nic'}
    table.later(50)
    table.put(3, table.now)
    table.later(9)
    there.asked.clear()
    new = {1: 'dpu', 2: 'gpu', 3: 'nic'}
    assert there.cache.values(table.scan.now()) == new
    for each in (table.scan.now(), old, table.scan.now()):
        assert there.cache.values(each) == new
    assert there.asked == [[1, 3]]


def test_deleted_node_has_no_value_after_an_entire_scan(
        table: Table) -> None:
    there = Values()
    there.cache.values(table.scan.now())
    table.drop(2)
    table.later(node_cache.ENTIRE)
    assert there.cache.values(table.scan.now()) == {1: 'gpu'}


def test_content_that_changed_within_the_same_second_is_found(
        table: Table) -> None:
    """By a clock far behind, so that it was not recent when it was read."""
    there = Values()
    there.cache.values(table.scan.now())
    for number in (1, 2):
        table.put(number, NOW - 1000)
    table.later(node_cache.ENTIRE)
    there.cache.values(table.scan.now())
    there.values[2] = 'dpu'
    table.contents[2] = 'something else'
    table.later(node_cache.LONGEST - 2 * node_cache.ENTIRE)
    there.asked.clear()
    assert there.cache.values(table.scan.now()) == {1: 'gpu', 2: 'gpu'}
    table.later(node_cache.ENTIRE)
    assert there.cache.values(table.scan.now()) == {1: 'gpu', 2: 'dpu'}
    # What changed after the contents were compared is read with the next ones.
    assert there.asked == [[1, 2]]
    for values in ('fpga', 'nic'):
        there.asked.clear()
        there.values[2] = table.contents[2] = values
        table.later(node_cache.LONGEST)
        assert there.cache.values(table.scan.now()) == {1: 'gpu', 2: values}
        assert there.asked == [[2] if table.digests else [1, 2]]


def test_values_are_not_read_again_for_a_node_that_is_gone(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all nodes are."""
    table, there = Table(monkeypatch, digests=True), Values()
    there.cache.values(table.scan.now())
    table.drop(2)
    table.later(node_cache.ENTIRE)
    assert there.cache.values(table.scan.now()) == {1: 'gpu'}
    table.later(node_cache.LONGEST)
    assert there.cache.values(table.scan.now()) == {1: 'gpu'}
    assert there.asked == [[1, 2]]
    assert table.since.count(naive(0)) == 2


def test_values_that_could_not_be_read_are_read_next_time(
        table: Table) -> None:
    there = Values()
    there.cache.values(table.scan.now())
    table.put(2, table.now)
    table.later(5)
    with mock.patch.object(there.cache, '_read', autospec=True,
                           side_effect=OSError), pytest.raises(OSError):
        there.cache.values(table.scan.now())
    there.values[2] = 'dpu'
    assert there.cache.values(table.scan.now())[2] == 'dpu'
