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

"""Values read from nodes, kept in memory until the nodes change.

A question about the internal info of every node of a cloud reads it once, and
then only that of nodes whose ``updated_at`` has changed. Ironic sets that with
each change of a node.

What may be stale: MySQL stores whole seconds, so the later of two changes
within one second may be missed. So nothing is kept of a node that was changed
less than ``RECENT`` seconds ago. A conductor whose clock is further behind
than that is offline to Ironic; if it writes all the same, a kept value is
wrong for at most ``LONGEST`` seconds. No write to a BMC is decided by a kept
value.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import threading
import time
from typing import Generic, TypeVar

from ironic_accel.conductor.node import clock

Value = TypeVar('Value')

#: Seconds after its change within which a node is read again each time; as
#: long as a conductor may be silent before it is offline, by default.
RECENT = 60.0
#: Seconds after which all nodes are read again.
LONGEST = 600.0
#: Seconds for which one scan answers the questions of one pass.
SHARED = 1.0
#: Seconds after which a scan reads all nodes, not only those that changed: so
#: long the change of a conductor is missed whose clock is behind by more than
#: ``RECENT``, and a deleted node is still in the scan.
ENTIRE = 60.0


#: A node of a scan: its id; when it was changed last, or made (naive, in UTC);
#: its provision state; the conductor that holds it, or None. A plain tuple,
#: because there are as many as nodes.
ScannedNode = tuple[int, datetime.datetime | None, str | None, str | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Scan:
    """The nodes at one moment; never changed, so that threads can share it.

    :ivar number: a later scan has a higher one.
    :ivar nodes: by id, oldest first.
    :ivar read: the number of the last scan that read a node, by id.
    """

    number: int
    nodes: Mapping[int, ScannedNode]
    read: Mapping[int, int]


class NodeScan:
    """One pass over the nodes for all questions of the same moment.

    The periodics of a conductor run at the same time and ask different
    questions about all nodes. The first one reads the few columns of
    ``ScannedNode``; those that ask within ``SHARED`` seconds use the same
    scan. Only nodes that may have changed since the last scan are read: those
    whose change is at most ``RECENT`` seconds older than it.

    :param read: reads the columns of the nodes that changed at a time (naive,
        in UTC) or later, or at an unknown time; oldest first.
    """

    def __init__(self, read: Callable[[datetime.datetime], list[ScannedNode]]
                 ) -> None:
        self._lock = threading.Lock()
        self._read = read
        self._at = self._entire_at = float('-inf')
        self._time = 0.0
        self._scan = Scan(0, {}, {})

    def now(self, fresh: bool = False) -> Scan:
        """The nodes.

        :param fresh: read all of them now, for who decides by what it finds.
        """
        with self._lock:
            now = time.monotonic()
            if not fresh and 0 <= now - self._at < SHARED:
                return self._scan
            entire = fresh or not 0 <= now - self._entire_at < ENTIRE
            at, old = _slowest(), Scan(0, {}, {}) if entire else self._scan
            # A clock that was set, back or forth, hides no change.
            since = 0.0 if entire else min(at, self._time) - RECENT
            rows = {row[0]: row for row in self._read(_naive(since))}
            if rows or entire:
                number = self._scan.number + 1
                self._scan = Scan(number, {**old.nodes, **rows}, {
                    **old.read, **dict.fromkeys(rows, number)})
            self._at, self._time = now, at
            if entire:
                self._entire_at = now
            return self._scan


class NodeCache(Generic[Value]):
    """Something about each node, by the id of the node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: With the time of the change up to which a value is known.
        self._known: dict[int, tuple[datetime.datetime | None, Value]] = {}
        self._began = float('-inf')
        self._basis: object = None

    def values(self, there: Mapping[int, datetime.datetime | None],
               now: float, read: Callable[[list[int]], Mapping[int, Value]],
               basis: object = None) -> dict[int, Value]:
        """What is so of some nodes; of those that changed it is read.

        :param there: when each of the nodes changed last, as it is now.
        :param now: epoch seconds by the clock that all conductors share.
        :param read: reads it of nodes, by id; what it leaves out is read
            again next time.
        :param basis: what else the values depend on: with another one all
            are read again.
        """
        with self._lock:
            if basis != self._basis or not 0 <= now - self._began < LONGEST:
                self._known, self._began, self._basis = {}, now, basis
            known = self._known
            stale = [i for i, at in there.items()
                     if i not in known or known[i][0] != at]
            fresh = read(stale) if stale else {}
            for number in stale:
                known.pop(number, None)
            found = {i: known[i][1] for i in there if i in known}
            for number, value in fresh.items():
                found[number] = value
                if not _is_recent(there[number], now):
                    known[number] = there[number], value
            return found


class ScanCache(Generic[Value]):
    """Something about each node of a scan; worked out once for each scan.

    :param read: reads it of nodes, by id.
    """

    def __init__(self, read: Callable[[list[int]], Mapping[int, Value]]
                 ) -> None:
        self._lock = threading.Lock()
        self._cache: NodeCache[Value] = NodeCache()
        self._read = read
        self._number = 0
        self._values: Mapping[int, Value] = {}

    def values(self, scan: Scan) -> Mapping[int, Value]:
        """What is so of the nodes of a scan, or of a later one, by id."""
        with self._lock:
            there = {} if scan.number <= self._number else {
                i: scan.nodes[i][1] for i, number in scan.read.items()
                if number > self._number}
            if there:
                found = self._cache.values(there, _slowest(), self._read)
                kept = {i: value for i, value in self._values.items()
                        if i in scan.nodes and i not in there}
                self._values = {**kept, **found}
            self._number = max(scan.number, self._number)
            return self._values


def _is_recent(at: datetime.datetime | None, now: float) -> bool:
    """Whether a node changed so recently that the next change may be missed.

    :param at: naive, in UTC; None if unknown.
    """
    return at is None or at > _naive(now - RECENT)


def _slowest() -> float:
    """Epoch seconds by the clock of this conductor, which stamps its changes,
    or by that of the database, whichever is behind.
    """
    return min(time.time(), clock.shared())


def _naive(at: float) -> datetime.datetime:
    """Epoch seconds as Ironic's database has them, in UTC."""
    return datetime.datetime.fromtimestamp(
        at, datetime.UTC).replace(tzinfo=None)
