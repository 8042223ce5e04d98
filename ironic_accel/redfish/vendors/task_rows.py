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

"""Columns of the tables of task states, job states and rejections.

Sources of the standard states: DMTF Task v1.7 (``TaskState``) and Job v1.2
(``JobState``), by the long descriptions of their values.
"""

from __future__ import annotations

import dataclasses
import enum

#: Names of properties.
Path = tuple[str, ...]

#: Default wait for a busy service without Retry-After, seconds.
BUSY = 60.0


class Phase(enum.StrEnum):
    """The phase of a task or job, as far as it matters to other work."""

    #: It is running, or will continue by itself: the system is busy.
    GOING = 'going'
    #: Its change is staged and waits for a host reset: the system is idle,
    #: and the reset that activates it is allowed.
    WAITING = 'waiting'
    #: It runs as long as its service (a telemetry stream).
    SERVING = 'serving'
    #: It has ended, with or without success.
    OVER = 'over'
    #: Unknown: counts as running.
    UNKNOWN = 'unknown'


@dataclasses.dataclass(frozen=True, slots=True)
class TaskState:
    """The meaning of one state of a task or job.

    :ivar word: value of TaskState or JobState.
    :ivar good: whether an ended task succeeded.
    :ivar may_wait: whether a task in this state may wait for a host reset,
        as shown by its messages or by 100 %.
    :ivar begun: whether something may have been done already.
    :ivar going_ids: pattern of the Ids of jobs that continue by themselves in
        this state, whatever the ``phase`` of others.
    """

    word: str
    phase: Phase
    good: bool = False
    may_wait: bool = False
    begun: bool = True
    going_ids: str | None = None


#: States of both schemas. Suspended and Interrupted ones are "expected to
#: restart and therefore not complete"; a job in UserIntervention waits for an
#: operator.
STANDARD: tuple[TaskState, ...] = (
    TaskState('New', Phase.GOING, may_wait=True, begun=False),
    TaskState('Starting', Phase.GOING, may_wait=True),
    TaskState('Running', Phase.GOING),
    TaskState('Suspended', Phase.GOING, may_wait=True, begun=False),
    TaskState('Interrupted', Phase.GOING, may_wait=True),
    TaskState('Pending', Phase.GOING, may_wait=True, begun=False),
    TaskState('Stopping', Phase.GOING), TaskState('Cancelling', Phase.GOING),
    TaskState('Continue', Phase.GOING), TaskState('Validating', Phase.GOING),
    TaskState('UserIntervention', Phase.GOING, may_wait=True),
    TaskState('Service', Phase.SERVING),
    TaskState('Completed', Phase.OVER, good=True),
    TaskState('Killed', Phase.OVER), TaskState('Exception', Phase.OVER),
    TaskState('Cancelled', Phase.OVER), TaskState('Invalid', Phase.OVER))


@dataclasses.dataclass(frozen=True, slots=True)
class UnstartedTask:
    """How a service reports a slot for a task that was never started.

    :ivar state: the state of such a slot.
    :ivar path: path of the vendor's object.
    :ivar names: its properties; all existing ones must match.
    :ivar words: values which mean that nothing was started.
    """

    state: str
    path: Path
    names: tuple[str, ...]
    words: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class TaskRows:
    """The vendor-specific properties of tasks and jobs.

    :ivar states: additional states; the meaning of the standard ones cannot
        be changed.
    :ivar own_states: paths to an additional state.
    :ivar messages: paths to objects with a ``Message``.
    :ivar reset_words: pattern for the message of a task that waits for a
        host reset.
    :ivar unstarted: slots for tasks that were never started.
    :ivar no_end: EndTime value of a task that has not ended.
    :ivar types: prefixes of ``@odata.type`` of such resources:
        ``#AcmeJob.``.
    :ivar places: pattern of a job's Id, and the paths at which it may be
        read, with ``{}`` for the Id.
    :ivar named_by: MessageIds, without registry and version, whose arguments
        name the task of a write.
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
    """Responses that mean "not now".

    :ivar ids: MessageIds without registry and version.
    :ivar registry: pattern of the registry's prefix, if an id is not a
        standard one.
    :ivar statuses: HTTP statuses that mean "not now" by themselves; only in
        rows of the standard, not of a vendor.
    :ivar wait: seconds to wait without Retry-After.
    """

    ids: frozenset[str] = frozenset()
    registry: str = r'.*'
    statuses: frozenset[int] = frozenset()
    wait: float = BUSY
