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


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    """A value, and the ``updated_at`` of its node when it was read."""

    at: datetime.datetime | None
    value: Value


#: A node of a scan: its id; when it was changed last, or made (naive, in UTC);
#: its provision state; the conductor that holds it, or None. A plain tuple,
#: because there are as many as nodes.
ScannedNode = tuple[int, datetime.datetime | None, str | None, str | None]


class NodeScan:
    """One pass over all nodes for all questions of the same moment.

    The periodics of a conductor run at the same time and ask different
    questions about all nodes. The first one reads the few columns of
    ``ScannedNode``; those that ask within ``SHARED`` seconds use the same
    rows.

    :param read: reads the columns of all nodes, oldest first.
    """

    def __init__(self, read: Callable[[], list[ScannedNode]]) -> None:
        self._lock = threading.Lock()
        self._read = read
        self._at = float('-inf')
        self._rows: list[ScannedNode] = []

    def rows(self, fresh: bool = False) -> list[ScannedNode]:
        """The nodes, oldest first.

        :param fresh: read them now, for who decides by what it finds.
        """
        with self._lock:
            now = time.monotonic()
            if fresh or not 0 <= now - self._at < SHARED:
                self._rows = self._read()
                self._at = now
            return self._rows


class NodeCache(Generic[Value]):
    """Something about each node, by the id of the node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, _Entry[Value]] = {}
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
                     if i not in known or known[i].at != at]
            fresh = read(stale) if stale else {}
            for number in stale:
                known.pop(number, None)
            found = {i: known[i].value for i in there if i in known}
            for number, value in fresh.items():
                found[number] = value
                if not _is_recent(there[number], now):
                    known[number] = _Entry(there[number], value)
            return found


class ScanCache(Generic[Value]):
    """Something about each node of a scan; worked out once for each scan.

    :param read: reads it of nodes, by id; a value has to be hashable.
    """

    def __init__(self, read: Callable[[list[int]], Mapping[int, Value]]
                 ) -> None:
        self._lock = threading.Lock()
        self._cache: NodeCache[Value] = NodeCache()
        self._read = read
        self._rows: list[ScannedNode] = []
        self._found: Mapping[Value, list[int]] = {}

    def ids(self, rows: list[ScannedNode]) -> Mapping[Value, list[int]]:
        """The ids of the nodes of a scan by their value."""
        with self._lock:
            if rows is not self._rows:
                found: dict[Value, list[int]] = {}
                for number, value in self._cache.values(
                        {row[0]: row[1] for row in rows}, clock.shared(),
                        self._read).items():
                    found.setdefault(value, []).append(number)
                self._found, self._rows = found, rows
            return self._found


def _is_recent(at: datetime.datetime | None, now: float) -> bool:
    """Whether a node changed so recently that the next change may be missed.

    :param at: naive, in UTC; None if unknown.
    """
    return at is None or at.replace(
        tzinfo=datetime.UTC).timestamp() > now - RECENT
