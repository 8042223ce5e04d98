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

"""Columns of the tables that say what tasks, jobs and refusals mean.

Sources of the standard states: DMTF Task v1.7 (``TaskState``) and Job v1.2
(``JobState``), by the long descriptions of their values.
"""

from __future__ import annotations

import dataclasses
import enum

#: Names of properties.
Path = tuple[str, ...]

#: How long a busy service is left alone where it does not say, seconds.
BUSY = 60.0


class Phase(enum.StrEnum):
    """What a task or job does now, as far as others are concerned."""

    #: It works, or goes on by itself: the system is busy.
    GOING = 'going'
    #: Its work is written and waits for a host reset: the system is idle,
    #: and the reset that activates it is allowed.
    WAITING = 'waiting'
    #: It runs for as long as its service does (a stream of telemetry).
    SERVING = 'serving'
    #: It is over, well or badly.
    OVER = 'over'
    #: Nobody can tell: as good as going.
    UNKNOWN = 'unknown'


@dataclasses.dataclass(frozen=True, slots=True)
class TaskState:
    """What one state of a task or job means.

    :ivar word: as TaskState or JobState has it.
    :ivar good: whether one that is over did what it was to do.
    :ivar may_wait: whether one in it may wait for a host reset without
        saying so in the state: its messages, or 100 %, tell.
    :ivar begun: whether something may have been done already.
    :ivar going_ids: matches the Ids of jobs that go on by themselves in this
        state, whatever ``phase`` says of others.
    """

    word: str
    phase: Phase
    good: bool = False
    may_wait: bool = False
    begun: bool = True
    going_ids: str | None = None


#: Of both schemas. Suspended and Interrupted ones are "expected to restart
#: and therefore not complete"; a job in UserIntervention waits for somebody.
STANDARD: tuple[TaskState, ...] = (
    TaskState('New', Phase.GOING, may_wait=True, begun=False),
    TaskState('Starting', Phase.GOING, may_wait=True),
    TaskState('Running', Phase.GOING),
    TaskState('Suspended', Phase.GOING, may_wait=True, begun=False),
    TaskState('Interrupted', Phase.GOING, may_wait=True),
    TaskState('Pending', Phase.GOING, may_wait=True, begun=False),
    TaskState('Stopping', Phase.GOING),
    TaskState('Cancelling', Phase.GOING),
    TaskState('Continue', Phase.GOING),
    TaskState('Validating', Phase.GOING),
    TaskState('UserIntervention', Phase.GOING, may_wait=True),
    TaskState('Service', Phase.SERVING),
    TaskState('Completed', Phase.OVER, good=True),
    TaskState('Killed', Phase.OVER),
    TaskState('Exception', Phase.OVER),
    TaskState('Cancelled', Phase.OVER),
    TaskState('Invalid', Phase.OVER),
)


@dataclasses.dataclass(frozen=True, slots=True)
class UnstartedTask:
    """How a service shows a slot for a task that nobody has begun.

    :ivar state: the state that such a slot has.
    :ivar path: the object with the vendor's own words.
    :ivar names: properties of it, all that are there of which count.
    :ivar words: the words that say that nothing was begun.
    """

    state: str
    path: Path
    names: tuple[str, ...]
    words: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class TaskRows:
    """What a vendor's tasks and jobs have of their own.

    :ivar states: beside the standard ones; none of those can be given
        another meaning.
    :ivar own_states: paths to a state beside the standard one.
    :ivar messages: paths to objects with a ``Message``.
    :ivar reset_words: pattern found in the message of one that waits for a
        host reset.
    :ivar unstarted: slots for tasks that were never begun.
    :ivar no_end: what is given as the EndTime of one that has not ended.
    :ivar types: beginnings of ``@odata.type`` of such resources:
        ``#AcmeJob.``.
    :ivar places: pattern of a job's Id, and the paths at which it may be
        read, with ``{}`` for the Id.
    :ivar named_by: MessageIds, without registry and version, that name the
        task of a write in their arguments.
    """

    states: tuple[TaskState, ...] = ()
    own_states: tuple[Path, ...] = ()
    messages: tuple[Path, ...] = ()
    reset_words: str | None = None
    unstarted: tuple[UnstartedTask, ...] = ()
    no_end: frozenset[str] = frozenset()
    types: tuple[str, ...] = ()
    places: tuple[tuple[str, tuple[str, ...]], ...] = ()
    named_by: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class NotNow:
    """Answers that mean "not now".

    :ivar ids: MessageIds without registry and version.
    :ivar registry: matches the registry's prefix, where an id is no
        standard one.
    :ivar statuses: HTTP statuses that say so by themselves; the standard's
        alone, no vendor's.
    :ivar wait: seconds, where no Retry-After says how long.
    """

    ids: frozenset[str] = frozenset()
    registry: str = r'.*'
    statuses: frozenset[int] = frozenset()
    wait: float = BUSY
