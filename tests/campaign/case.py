# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""One case of the campaign: a scene, and all that goes wrong in it.

A case is data: it is made from a seed and a number, printed as JSON, played
again from that, and made smaller by leaving troubles out.
"""

from __future__ import annotations

import dataclasses
import json
import random
from typing import Any


@dataclasses.dataclass(frozen=True)
class Trouble:
    """One fault of the twin, and when it stands.

    :ivar at: simulated seconds after the begin; None with a ``phase``.
    :ivar phase: what the box has to be doing when it begins (``moments``).
    :ivar lasts: seconds after which it is lifted; None for good.
    :ivar count: how many times; None for any number.
    """

    name: str
    value: str | None = None
    match: str | None = None
    method: str | None = None
    count: int | None = None
    skip: int = 0
    at: float | None = 0.0
    phase: str | None = None
    lasts: float | None = None


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happens to the box by itself, or by another's hand.

    :ivar what: ``health`` (a device becomes Critical), ``gone`` (a device
        falls off), ``foreign`` (somebody else's update begins), ``copy``,
        ``off`` (somebody switches the host off and leaves it), ``mains``
        (its power fails, for ``lasts`` seconds), ``agent`` (the agent in
        the host starts again), or ``none``.
    """

    what: str
    at: float
    device: str = ''
    lasts: float = 600.0


@dataclasses.dataclass(frozen=True)
class Case:
    """All there is to know of one run.

    :ivar login: whether the BMC asks for a user, and gives a session.
    :ivar deaths: the saves (counted from 1) at which the process dies,
        before (negative) or after them.
    :ivar stops: (port call, seconds): at that call of a port the first of
        two conductors stands still for so long, and the second takes over.
    :ivar skews: seconds by which the times of day of the conductors' machines
        are off; each new process runs on the next of them.
    :ivar jumps: (when, seconds): the times of day are set while it runs.
    :ivar burn: seconds that a burn by a tool inside the host takes.
    """

    scene: str
    seed: int = 0
    number: int = 0
    power: str | None = None
    login: bool = False
    expand: bool = True
    pace: float = 30.0
    troubles: tuple[Trouble, ...] = ()
    events: tuple[Event, ...] = ()
    deaths: tuple[int, ...] = ()
    stops: tuple[tuple[int, float], ...] = ()
    skews: tuple[float, ...] = ()
    jumps: tuple[tuple[float, float], ...] = ()
    burn: float = 0.0

    def dump(self) -> str:
        """As JSON, without what is as usual."""
        return json.dumps(_plain(self), separators=(',', ':'))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name))
                for f in dataclasses.fields(value)
                if getattr(value, f.name) != f.default}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def load(text: str) -> Case:
    """A case from its JSON.

    :raises: ValueError, TypeError for what is none.
    """
    raw = json.loads(text)
    raw['troubles'] = tuple(Trouble(**t) for t in raw.get('troubles', ()))
    raw['events'] = tuple(Event(**e) for e in raw.get('events', ()))
    raw['deaths'] = tuple(raw.get('deaths', ()))
    raw['stops'] = tuple((c, s) for c, s in raw.get('stops', ()))
    raw['skews'] = tuple(raw.get('skews', ()))
    raw['jumps'] = tuple((w, s) for w, s in raw.get('jumps', ()))
    return Case(**raw)


def drawn(seed: int, number: int) -> random.Random:
    """The dice of one case: the same for ever."""
    return random.Random(f'{seed}/{number}')  # noqa: S311 - no secret
