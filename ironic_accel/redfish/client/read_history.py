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

"""What this process remembers of BMCs: earlier readings and its waits.

Three questions depend on more than one reading: since when a resource is
unread; whether a resource that is listed and never there is simply not
installed; and whether the tree of a BMC is still growing. Nothing of it
outlives the process: a new one starts anew, which only takes longer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Hashable
import dataclasses
import threading
import time
from typing import Any

#: Answers of "not there" that tell a listed sub-resource absent, and how far
#: they have to be apart, seconds.
TIMES = 3
APART = 60.0

#: How long a link is missed that is told no more: a BMC may have got another
#: firmware since. Seconds.
_LINKED = 86400.0

#: How long it is believed what ``$expand`` does, seconds.
_TRIED = 3600.0

#: BMCs remembered, and resources of one BMC.
_BMCS = 2048
_RESOURCES = 512

#: Waits remembered by one ``Patience``.
_WAITS = 256


@dataclasses.dataclass(slots=True)
class _Bmc:
    """One BMC's: first failures, "not there" and when, what was there,
    steadiness, which resources ``$expand`` gives whole, which links
    were told, and what is dear to read and was read a moment ago."""

    since: OrderedDict[str, float]
    missing: OrderedDict[str, tuple[int, float]]
    there: OrderedDict[str, None]
    steady: dict[str, tuple[Hashable, float]]
    expands: OrderedDict[str, tuple[bool, float]]
    links: OrderedDict[tuple[str, str], float]
    notes: OrderedDict[str, tuple[Any, float]]


class LookHistory:
    """The memory of one process; safe to use from several threads.

    :param clock: seconds that only go on; ``time.monotonic``.
    :param wall: epoch seconds; ``time.time``.
    """

    def __init__(self, clock: Callable[[], float] | None = None,
                 wall: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._bmcs: OrderedDict[str, _Bmc] = OrderedDict()

    def now(self) -> float:
        """Seconds that only go on."""
        return self._clock() if self._clock else time.monotonic()

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
        """Note a failed read.

        :returns: epoch seconds of the first of the failures in a row, for
            people: nothing is waited for by it.
        """
        with self._lock:
            known = self._of(bmc).since
            first = known.setdefault(
                uri, self._wall() if self._wall else time.time())
            _bound(known)
            return first

    def succeeded(self, bmc: str, uri: str) -> None:
        """Note that a resource was read: it is there, and was before."""
        with self._lock:
            known = self._of(bmc)
            known.since.pop(uri, None)
            known.missing.pop(uri, None)
            known.there[uri] = None
            _bound(known.there)

    def broke(self, bmc: str, uri: str) -> None:
        """Note an answer that is not "not there": counting begins anew."""
        with self._lock:
            self._of(bmc).missing.pop(uri, None)

    def is_absent(self, bmc: str, uri: str, counts: bool) -> bool:
        """Note that a listed sub-resource is said not to be there.

        :param counts: whether this look may count: the host is on, and
            nothing is under way.
        :returns: whether that was said often enough to be believed. What
            this process has read before was there, and is not believed to
            be absent.
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

    def lost_link(self, bmc: str, uri: str, name: str, told: bool) -> bool:
        """Note whether a resource tells a link.

        :returns: whether it does not, and did in an earlier look: what is
            built in does not lose a collection.
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

    def expands_whole(self, bmc: str, kind: str) -> bool | None:
        """Whether ``$expand`` gives resources of a type whole.

        None where nobody has tried it for an hour.
        """
        with self._lock:
            good, when = self._of(bmc).expands.get(kind, (False, None))
            now = self.now()
            if when is None or not when <= now <= when + _TRIED:
                return None
            return good

    def tried_expand(self, bmc: str, kind: str, whole: bool) -> None:
        """Note whether ``$expand`` gave a resource of a type whole."""
        with self._lock:
            known = self._of(bmc).expands
            known[kind] = (whole, self.now())
            _bound(known)

    def remember(self, bmc: str, name: str, value: Any) -> None:
        """Note what was read, where it is too dear to be read at each look.
        """
        with self._lock:
            known = self._of(bmc).notes
            known[name] = (value, self.now())
            _bound(known)

    def recall(self, bmc: str, name: str, young: float) -> Any | None:
        """What was noted within so many seconds, or None."""
        with self._lock:
            value, when = self._of(bmc).notes.get(name, (None, 0.0))
            now = self.now()
            return value if when <= now <= when + young else None

    def steady(self, bmc: str, system: str, seen: Hashable) -> float:
        """Seconds for which a System's looks have all shown the same.

        :param seen: what is compared.
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
        """The System is off or starting: earlier looks say nothing."""
        with self._lock:
            self._of(bmc).steady.pop(system, None)


def _bound(known: OrderedDict[str, Any]) -> None:
    while len(known) > _RESOURCES:
        known.popitem(last=False)


#: What this process remembers, unless its caller has another.
PROCESS = LookHistory()


class Patience:
    """Since when this process has been waiting for what.

    Tickets outlive processes and pass from one conductor to another, whose
    clocks may differ: times of another machine are not compared. A process
    that takes a ticket over starts each wait anew, once.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def is_young(self, what: str, seconds: float) -> bool:
        """Whether a wait is shorter than ``seconds`` so far.

        The first call for ``what`` starts the wait.
        """
        now = self._clock()
        while len(self._since) >= _WAITS and what not in self._since:
            self._since.pop(next(iter(self._since)))
        return now - self._since.setdefault(what, now) < seconds
