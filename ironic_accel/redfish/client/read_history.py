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

"""What this process remembers of BMCs: readings, and what they were before.

``Readings`` has the resources of one inventory. ``ReadHistory`` answers three
questions that depend on more than one reading: since when a resource is
unread; whether a resource that is listed but never exists is simply not
installed; and whether the tree of a BMC is still growing. Nothing is kept
beyond the process. A new process starts again, which only takes longer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
import operator
import threading
import time
from typing import Any

from ironic_accel.redfish.client.json_document import normal

Doc = Mapping[str, Any]

#: Number of "does not exist" responses after which a listed sub-resource
#: counts as absent, and their minimum distance, seconds.
TIMES = 3
APART = 60.0

#: Seconds for which a link that is no longer reported counts as lost: a new
#: BMC firmware may have removed it.
_LINKED = 86400.0

#: Seconds for which the result of a ``$expand`` check is valid.
_TRIED = 3600.0

#: Maximum number of BMCs, and of resources of one BMC.
_BMCS = 2048
_RESOURCES = 512

#: Maximum number of waits of one ``WaitTimes``.
_WAITS = 256


@dataclasses.dataclass(slots=True)
class _Bmc:
    """The history of one BMC: first failures, "does not exist" responses,
    resources that existed, equal inventories, types that ``$expand`` returns
    completely, reported links, and cached readings."""

    since: OrderedDict[str, float]
    missing: OrderedDict[str, tuple[int, float]]
    there: OrderedDict[str, None]
    steady: dict[str, tuple[Hashable, float]]
    expands: OrderedDict[tuple[str, frozenset[str]], tuple[bool, float]]
    links: OrderedDict[tuple[str, str], float]
    notes: OrderedDict[str, tuple[Any, float]]


#: The clocks of the process, looked up at each call: they may be simulated
#: ones by then.
_MONOTONIC = functools.partial(operator.methodcaller('monotonic'), time)
_EPOCH = functools.partial(operator.methodcaller('time'), time)


class ReadHistory:
    """The reading history of one process; thread-safe.

    :param clock: monotonic seconds; ``time.monotonic``.
    :param wall: epoch seconds; ``time.time``.
    :ivar now: the clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] | None = None,
                 wall: Callable[[], float] | None = None) -> None:
        self.now = clock or _MONOTONIC
        self._wall = wall or _EPOCH
        self._lock = threading.Lock()
        self._bmcs: OrderedDict[str, _Bmc] = OrderedDict()

    def _of(self, bmc: str) -> _Bmc:
        found = self._bmcs.get(bmc)
        if found is None:
            found = self._bmcs[bmc] = _Bmc(
                OrderedDict(), OrderedDict(), OrderedDict(), {},
                OrderedDict(), OrderedDict(), OrderedDict())
        self._bmcs.move_to_end(bmc)
        while len(self._bmcs) > _BMCS:
            self._bmcs.popitem(last=False)
        return found

    def failed(self, bmc: str, uri: str) -> float:
        """Record a failed read.

        :returns: epoch seconds of the first failure in a row, for display
            only.
        """
        with self._lock:
            known = self._of(bmc).since
            first = known.setdefault(uri, self._wall())
            _bound(known)
            return first

    def succeeded(self, bmc: str, uri: str) -> None:
        """Record a successful read: the resource exists."""
        with self._lock:
            known = self._of(bmc)
            known.since.pop(uri, None)
            known.missing.pop(uri, None)
            known.there[uri] = None
            _bound(known.there)

    def failed_otherwise(self, bmc: str, uri: str) -> None:
        """Record another failure than "does not exist": restarts the count.
        """
        with self._lock:
            self._of(bmc).missing.pop(uri, None)

    def is_absent(self, bmc: str, uri: str, counts: bool) -> bool:
        """Record that a listed sub-resource does not exist.

        :param counts: whether this inventory counts: the host is on, and
            nothing is running.
        :returns: whether it counts as absent, which takes several such
            responses. A resource that this process has read before never
            counts as absent.
        """
        with self._lock:
            known = self._of(bmc)
            if uri in known.there:
                return False
            times, last = known.missing.get(uri, (0, 0.0))
            now = self.now()
            if times < TIMES and counts and (
                    not times or now - last >= APART or now < last):
                times = times + 1 if now >= last else 1
                known.missing[uri] = (times, now)
                _bound(known.missing)
            return times >= TIMES

    def is_link_lost(self, bmc: str, uri: str, name: str, told: bool) -> bool:
        """Record whether a resource has a link.

        :returns: whether the link is missing although an earlier inventory
            had it: a resource does not lose a collection.
        """
        with self._lock:
            known = self._of(bmc).links
            now = self.now()
            if told:
                known[uri, name] = now
                known.move_to_end((uri, name))
                while len(known) > _RESOURCES:
                    known.popitem(last=False)
            when = known.get((uri, name))
            return not told and when is not None and (
                when <= now <= when + _LINKED)

    def expands_whole(self, bmc: str, kind: str, shape: frozenset[str]
                      ) -> bool | None:
        """Whether ``$expand`` returns resources of a type completely.

        None if it was not checked within the last hour.

        :param kind: the type, and the form of the Id.
        :param shape: the names of the properties of one as expanded; it was
            checked with one that has the same.
        """
        with self._lock:
            whole, when = self._of(bmc).expands.get(
                (kind, shape), (False, None))
            now = self.now()
            if when is None or not when <= now <= when + _TRIED:
                return None
            return whole

    def tried_expand(self, bmc: str, kind: str, shape: frozenset[str],
                     whole: bool) -> None:
        """Record whether ``$expand`` returned a resource completely."""
        with self._lock:
            known = self._of(bmc).expands
            known[kind, shape] = (whole, self.now())
            known.move_to_end((kind, shape))
            while len(known) > _RESOURCES:
                known.popitem(last=False)

    def remember(self, bmc: str, name: str, value: Any) -> None:
        """Cache a reading that is too expensive for each inventory."""
        with self._lock:
            known = self._of(bmc).notes
            known[name] = (value, self.now())
            _bound(known)

    def recall(self, bmc: str, name: str, young: float) -> Any | None:
        """A cached reading that is younger than ``young`` seconds, or None.
        """
        with self._lock:
            value, when = self._of(bmc).notes.get(name, (None, 0.0))
            now = self.now()
            return value if when <= now <= when + young else None

    def steady(self, bmc: str, system: str, seen: Hashable) -> float:
        """Seconds for which the inventories of a System have been equal.

        :param seen: value to compare.
        """
        with self._lock:
            known = self._of(bmc).steady
            now = self.now()
            before = known.get(system)
            if before is None or before[0] != seen or now < before[1]:
                known[system] = (seen, now)
                return 0.0
            return now - before[1]

    def unsteady(self, bmc: str, system: str) -> None:
        """Forget earlier inventories: the System is off or starting."""
        with self._lock:
            self._of(bmc).steady.pop(system, None)


def _bound(known: OrderedDict[str, Any]) -> None:
    while len(known) > _RESOURCES:
        known.popitem(last=False)


#: The history of this process, unless a caller has its own.
PROCESS = ReadHistory()


class WaitTimes:
    """The start times of the waits of this process.

    Tickets survive a process and move between conductors, whose clocks may
    differ. Times of another machine are therefore not compared; a process
    that takes over a ticket restarts each wait once.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def is_young(self, what: str, seconds: float) -> bool:
        """Whether a wait has lasted less than ``seconds`` so far.

        The first call for ``what`` starts the wait.
        """
        now = self._clock()
        while len(self._since) >= _WAITS and what not in self._since:
            self._since.pop(next(iter(self._since)))
        return now - self._since.setdefault(what, now) < seconds


class Readings(dict[str, Doc]):
    """Resources by path, with the time at which each was read.

    A new inventory starts with none, or with those that are young enough for
    it; these are known as kept.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._at: dict[str, float] = {}
        self._kept: dict[str, Doc] = {}

    def __setitem__(self, uri: str, doc: Doc) -> None:
        super().__setitem__(uri, doc)
        self._at[uri] = self._clock()

    def begin(self, age: Callable[[str], float] | None) -> None:
        """Start a new inventory.

        :param age: readings that are not older than so many seconds, by
            their path, are kept; None keeps none.
        """
        now = self._clock()
        old = [] if age is None else [
            (uri, doc, self._at[uri]) for uri, doc in self.items()
            if (most := age(uri)) and 0 <= now - self._at[uri] <= most]
        self.clear()
        self._at.clear()
        for uri, doc, at in old:
            self[uri] = doc
            # It does not become younger by being kept.
            self._at[uri] = at
        self._kept = dict(self)

    def kept(self) -> list[str]:
        """The paths of what is from an earlier inventory."""
        return [uri for uri, doc in self._kept.items()
                if self.get(uri) is doc]

    def add_all(self, value: Any) -> Iterator[str]:
        """Add every complete resource within a response that is not known,
        or only from an earlier inventory.

        :returns: the paths of what was added.
        """
        if isinstance(value, Mapping):
            told = value.get('@odata.id')
            uri = normal(told) if isinstance(told, str) else ''
            if uri and '@odata.type' in value and (
                    self.get(uri) is self._kept.get(uri)):
                self[uri] = value
                yield uri
            for inner in value.values():
                yield from self.add_all(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from self.add_all(inner)
