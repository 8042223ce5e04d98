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

To transfer every row costs a conductor more than all else here. So MySQL, and
MariaDB, compare the rows themselves, by CRC-32; other databases send all.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Set
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
#: Seconds after which the contents of all nodes are compared.
LONGEST = 600.0
#: Seconds for which one scan answers the questions of one pass.
SHARED = 1.0
#: Seconds after which a scan compares all nodes, not only those that changed:
#: so long the change of a conductor is missed whose clock is behind by more
#: than ``RECENT``, and a deleted node is still in the scan.
ENTIRE = 60.0


#: A node of a scan: its id; when it was changed last, or made (naive, in UTC);
#: its provision state; the conductor that holds it, or None; the CRC-32 of
#: these, or 0; a digest of its content when these were compared last, None if
#: it has changed since. A plain tuple, because there are as many as nodes.
ScannedNode = tuple[int, datetime.datetime | None, str | None, str | None,
                    int, int | None]
#: Reads the nodes that changed at a time (naive, in UTC) or later, or at an
#: unknown time; and how many others there are, with the sum of their CRC-32.
#: If the database cannot tell, it reads all where it is asked for these.
ReadNodes = Callable[[datetime.datetime, bool],
                     tuple[list[ScannedNode], tuple[int, int]]]


@dataclasses.dataclass(frozen=True, slots=True)
class Scan:
    """The nodes at one moment; never changed, so that threads can share it.

    :ivar number: a later scan has a higher one.
    :ivar nodes: by id.
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

    Every ``ENTIRE`` seconds the others are compared with what is known of
    them, and all are read if they differ; every ``LONGEST`` seconds the
    contents are compared.

    :param contents: reads a digest of the content of each node, by id; empty
        if the database has none: all count as changed then.
    """

    def __init__(self, read: ReadNodes,
                 contents: Callable[[], Mapping[int, int]]) -> None:
        self._lock = threading.Lock()
        self._read, self._contents = read, contents
        self._at = self._entire_at = self._compared_at = float('-inf')
        self._time = 0.0
        self._scan = Scan(0, {}, {})

    def now(self, fresh: bool = False) -> Scan:
        """The nodes.

        :param fresh: compare all of them now, for who decides by what it
            finds.
        """
        with self._lock:
            now = time.monotonic()
            if not fresh and 0 <= now - self._at < SHARED:
                return self._scan
            entire = fresh or not 0 <= now - self._entire_at < ENTIRE
            compare = not 0 <= now - self._compared_at < LONGEST
            at = _slowest()
            # A clock that was set, back or forth, hides no change.
            since = _naive(max(0.0, min(at, self._time) - RECENT))
            self._scan = self._next(since, entire, compare)
            self._at, self._time = now, at
            self._entire_at = now if entire else self._entire_at
            self._compared_at = now if compare else self._compared_at
            return self._scan

    def _next(self, since: datetime.datetime, entire: bool, compare: bool
              ) -> Scan:
        old, number = self._scan.nodes, self._scan.number + 1
        (read, others), kept = self._read(since, entire), old
        if entire:
            kept = _only(old.keys() - {row[0] for row in read}, old)
            if others != (len(kept), sum(row[4] for row in kept.values())):
                kept, (read, _none) = {}, self._read(_naive(0.0), False)
        if not (read or compare or len(kept) < len(old)):
            return self._scan
        rows = {row[0]: old[row[0]] if row[0] in old
                and old[row[0]][:5] == row[:5] else row for row in read}
        nodes = {**kept, **rows}
        if compare:
            digests = self._contents()
            nodes = rows = {i: (*row[:5], digests.get(i, number))
                            for i, row in nodes.items()}
        return Scan(number, nodes, {
            **(self._scan.read if kept else {}),
            **dict.fromkeys(rows, number)})


class ScanCache(Generic[Value]):
    """Something about each node of a scan; read of those that changed.

    :param read: reads it of nodes, by id; what it leaves out has none until
        the node is scanned again.
    """

    def __init__(self, read: Callable[[list[int]], Mapping[int, Value]]
                 ) -> None:
        self._lock = threading.Lock()
        self._read = read
        self._number = 0
        self._basis: object = None
        self._values: Mapping[int, Value] = {}
        #: The nodes as they were, if their values hold until they change.
        self._known: Mapping[int, ScannedNode] = {}

    def values(self, scan: Scan, basis: object = None
               ) -> Mapping[int, Value]:
        """What is so of the nodes of a scan, or of a later one, by id.

        :param basis: what else the values depend on: with another one all
            are read again.
        """
        with self._lock:
            if basis != self._basis:
                self._number, self._known, self._basis = 0, {}, basis
            if scan.number <= self._number:
                return self._values
            stale = {i: scan.nodes[i] for i, number in scan.read.items()
                     if number > self._number
                     and self._known.get(i) != scan.nodes[i]}
            now, left = _slowest(), scan.nodes.keys() - stale.keys()
            fresh = self._read(sorted(stale)) if stale else {}
            self._values = {**_only(left, self._values), **fresh}
            self._known = {**_only(left, self._known), **{
                i: stale[i] for i in fresh
                if not _is_recent(stale[i][1], now)}}
            self._number = scan.number
            return self._values


def _only(ids: Set[int], values: Mapping[int, Value]) -> dict[int, Value]:
    return {i: value for i, value in values.items() if i in ids}


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
