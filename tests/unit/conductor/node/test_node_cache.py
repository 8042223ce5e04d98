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
import time

import pytest

from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import node_cache
from ironic_accel.conductor.node.node_cache import NodeCache

#: When the nodes changed, and a time at which that is long ago.
CHANGED = datetime.datetime(2026, 1, 1)
NOW = CHANGED.replace(tzinfo=datetime.UTC).timestamp() + 3600


class Nodes:
    """Nodes with a value each, and a cache of it.

    :ivar read: the nodes that were read at the last question.
    """

    def __init__(self) -> None:
        self.there: dict[int, datetime.datetime | None] = {
            1: CHANGED, 2: CHANGED}
        self.values = {1: 'a', 2: 'b'}
        self.cache: NodeCache[str] = NodeCache()
        self.read: list[int] = []

    def ask(self, now: float = NOW, basis: object = None) -> dict[int, str]:
        """What the cache says of the nodes."""
        self.read = []

        def read(ids: list[int]) -> dict[int, str]:
            self.read = sorted(ids)
            return {i: self.values[i] for i in ids if i in self.values}

        return self.cache.values(self.there, now, read, basis)


@pytest.fixture
def nodes() -> Nodes:
    """Two nodes that were asked about once."""
    made = Nodes()
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
    nodes.there[2] = CHANGED + datetime.timedelta(seconds=later)
    nodes.values[2] = 'c'
    assert nodes.ask() == {1: 'a', 2: 'c'}
    assert nodes.read == [2]


def test_recently_changed_node_is_read_each_time(nodes: Nodes) -> None:
    """It may change again within the same second, which MySQL cannot tell."""
    just = NOW - node_cache.RECENT / 2
    nodes.there[2] = datetime.datetime.fromtimestamp(
        just, datetime.UTC).replace(tzinfo=None)
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
    nodes.there = {2: CHANGED, 3: CHANGED}
    nodes.values[3] = 'c'
    assert nodes.ask() == {2: 'b', 3: 'c'}
    assert nodes.read == [3]


def test_missing_value_is_read_again(nodes: Nodes) -> None:
    nodes.there[3] = CHANGED
    for _ in range(2):
        assert 3 not in nodes.ask()
        assert nodes.read == [3]


def test_node_without_a_time_is_read_each_time(nodes: Nodes) -> None:
    nodes.there[1] = None
    for _ in range(2):
        nodes.ask()
        assert nodes.read == [1]


@pytest.mark.parametrize(('now', 'basis'), [
    (NOW + node_cache.LONGEST, None), (NOW - 1, None), (NOW, 'other')])
def test_all_is_read_again_after_a_while_and_on_another_basis(
        nodes: Nodes, now: float, basis: object) -> None:
    """And where the clock that all share was set back."""
    nodes.ask(now, basis)
    assert nodes.read == [1, 2]


def scan(reads: list[int]) -> node_cache.NodeScan:
    """A scan of two nodes that counts how often they are read."""
    def read() -> list[node_cache.ScannedNode]:
        reads.append(len(reads))
        return [(n, CHANGED, 'available', None) for n in (1, 2)]

    return node_cache.NodeScan(read)


def test_scan_is_shared_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_cache, 'SHARED', 1.0)
    now = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    reads: list[int] = []
    made = scan(reads)
    first = made.rows()
    now[0] += 0.9
    assert made.rows() is first
    assert made.rows(fresh=True) is not first
    now[0] += 1.0
    made.rows()
    assert len(reads) == 3


def test_value_of_a_scan_is_worked_out_once(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, 'shared', lambda: NOW)
    asked: list[list[int]] = []
    value = ['gpu']

    def read(ids: list[int]) -> dict[int, str]:
        asked.append(ids)
        return dict.fromkeys(ids, value[0])

    cache: node_cache.ScanCache[str] = node_cache.ScanCache(read)
    rows = scan([]).rows()
    for _ in range(3):
        assert cache.ids(rows) == {'gpu': [1, 2]}
    changed = [rows[0], (2, CHANGED.replace(day=2), 'available', None)]
    value[0] = 'dpu'
    assert cache.ids(changed) == {'gpu': [1], 'dpu': [2]}
    assert asked == [[1, 2], [2]]
