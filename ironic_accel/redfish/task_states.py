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

"""What the states of tasks and jobs mean: one table for readers and polls.

Sources: DMTF Task v1.7 (``TaskState``) and Job v1.2 (``JobState``), by the
long descriptions of their values; Dell's DellJob v1.2.0, whose schema an
iDRAC serves (``JobState``), and Dell's iDRAC-Redfish-Scripting, issues 32 (a
job that is scheduled is executed at the next reset of the server) and 266
(a job at 100 % says "server reboot pending" and is never marked completed).

A state that is not in the table, or not told, is not over.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import enum
from typing import Any


class Phase(enum.StrEnum):
    """What a task or job does now, as far as others are concerned."""

    #: It works, or goes on by itself: the box is busy.
    GOING = 'going'
    #: Its work is written and waits for a host reset: the box is idle, and
    #: the reset that activates it is allowed.
    WAITING = 'waiting'
    #: It runs for as long as its service does (a stream of telemetry).
    SERVING = 'serving'
    #: It is over, well or badly.
    OVER = 'over'
    #: Nobody can tell: as good as going.
    UNKNOWN = 'unknown'


#: Of both schemas. Suspended and Interrupted ones are "expected to restart
#: and therefore not complete"; a job in UserIntervention waits for somebody.
STATES: Mapping[str, Phase] = {
    'New': Phase.GOING, 'Starting': Phase.GOING, 'Running': Phase.GOING,
    'Suspended': Phase.GOING, 'Interrupted': Phase.GOING,
    'Pending': Phase.GOING, 'Stopping': Phase.GOING,
    'Cancelling': Phase.GOING, 'Continue': Phase.GOING,
    'Validating': Phase.GOING, 'UserIntervention': Phase.GOING,
    'Service': Phase.SERVING,
    'Completed': Phase.OVER, 'Killed': Phase.OVER,
    'Exception': Phase.OVER, 'Cancelled': Phase.OVER,
    'Invalid': Phase.OVER,
    # Dell's own.
    'Downloading': Phase.GOING, 'Downloaded': Phase.GOING,
    'Scheduling': Phase.GOING, 'ReadyForExecution': Phase.GOING,
    'Waiting': Phase.GOING, 'Paused': Phase.GOING,
    'Scheduled': Phase.WAITING, 'RebootPending': Phase.WAITING,
    'PendingActivation': Phase.WAITING,
    'Failed': Phase.OVER, 'CompletedWithErrors': Phase.OVER,
    'RebootFailed': Phase.OVER, 'RebootCompleted': Phase.OVER,
    'Unknown': Phase.UNKNOWN,
}

#: States that are over and did what they were to do.
GOOD = frozenset({'Completed', 'RebootCompleted'})

#: States in which a task may wait for a host reset without saying so in the
#: state: its messages, or 100 %, tell.
_MAY_WAIT = frozenset({
    'UserIntervention', 'Pending', 'Suspended', 'New', 'Starting'})

#: What a waiting one says, in lower case (iDRAC: "Task successfully
#: scheduled.", "Job completed, server reboot pending").
_WAITS = ('reboot pending', 'successfully scheduled', 'pending reboot',
          'after reboot', 'next reboot', 'upon reboot')

#: What services give for the end of one that has none.
_NO_TIME = frozenset({'', 'TIME_NA', 'TIME_NOW'})


def state_of(doc: Mapping[str, Any]) -> str | None:
    """``TaskState`` of a task, ``JobState`` of a job, None where untold."""
    for name in ('TaskState', 'JobState'):
        state = doc.get(name)
        if isinstance(state, str) and state:
            return state
    return None


def phase(doc: Mapping[str, Any]) -> Phase:
    """What a task or job does now.

    :param doc: the resource Task, Job or DellJob.
    """
    state = state_of(doc)
    if state is None:
        return Phase.UNKNOWN
    told = STATES.get(state, Phase.UNKNOWN)
    if told is Phase.OVER:
        return told
    words = ' '.join(_texts(doc)).lower()
    percent = doc.get('PercentComplete')
    if state in _MAY_WAIT and any(w in words for w in _WAITS):
        return Phase.WAITING
    if state == 'UserIntervention' and percent == 100:
        return Phase.WAITING
    return told


def ended(doc: Mapping[str, Any]) -> bool:
    """Whether an end is told, whatever the state says."""
    end = doc.get('EndTime')
    return isinstance(end, str) and end not in _NO_TIME


def _texts(doc: Mapping[str, Any]) -> Iterable[str]:
    """A DellJob has one message, the others a list of them."""
    if isinstance(doc.get('Message'), str):
        yield doc['Message']
    messages = doc.get('Messages')
    for one in messages if isinstance(messages, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get('Message'), str):
            yield one['Message']
