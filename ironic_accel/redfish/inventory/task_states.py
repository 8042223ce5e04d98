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

Two kinds of entry are no work at all, and stand there for good: a schedule
that is not set (Job v1.0, Schedule: Lenovo's XCC lists PowerOff, PowerOn and
Restart as Suspended jobs with an empty one), and a slot for a task that
nobody has begun (Cisco's CIMC: TaskState New with ``NA`` in its own state).
A schedule that is set is something that the BMC will do by itself, whenever
that is: as good as going.

A state that is not in the table, or not told, is not over. iDRAC's tasks
tell its own state beside the standard one (sushy 5.14,
``oem/dell/constants.py``): where the two differ the graver counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import enum
import re
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
    'UserIntervention', 'Pending', 'Suspended', 'Interrupted', 'Waiting',
    'Paused', 'New', 'Starting'})

#: What a waiting one says (iDRAC: "Task successfully scheduled.", "Job
#: completed, server reboot pending"; its script: "virtual a/c cycle").
_WAITS = re.compile(
    r'(reboot|reset|restart|power.?cycle)\w*\s+(is\s+)?(pending|required|'
    r'needed)|(pending|requires?|needs?)\s+(an?\s+|the\s+)?(\w+\s+)?'
    r'(reboot|reset|restart|power.?cycle)|successfully scheduled|'
    r'(next|after|upon)\s+(the\s+)?(next\s+)?(reboot|reset|restart)|'
    r'virtual a/?c', re.I)

#: What its request says of the time to apply it.
_ON_RESET = re.compile(r'"@Redfish.OperationApplyTime"\s*:\s*"OnReset"')

#: MessageIds of one, without registry and version (DMTF Base and Update).
_WAIT_IDS = frozenset({'ResetRequired', 'AwaitToActivate'})

#: iDRAC's jobs that reboot the host themselves.
_REBOOT_JOB = re.compile(r'RID_\d+')

#: Where a vendor keeps a state of its own beside the standard one.
_OWN_STATES = (('Oem', 'Dell', 'JobState'),)

#: A vendor's own words for a task that was never begun (recorded tree of a
#: Cisco UCS S3260: Oem.Cisco of its ten tasks), and states that say no more.
_NEVER_BEGUN = frozenset({'NA', 'N/A', 'None'})
_OWN_STATUS = ('ExportStatus', 'ImportStatus', 'UpdateStatus')

#: What a Schedule has where it is set (Schedule v1.2).
_SCHEDULED = ('InitialStartTime', 'RecurrenceInterval', 'EnabledDaysOfWeek',
              'EnabledDaysOfMonth', 'EnabledMonthsOfYear',
              'EnabledIntervals', 'MaxOccurrences')

#: States in which nothing is done yet.
_NOT_BEGUN = frozenset({'New', 'Pending', 'Suspended', 'Scheduled'})

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
    state, own = state_of(doc), own_state(doc)
    if own is None:
        return _phase(doc, state)
    told, more = _phase(doc, state), _phase(doc, own)
    if more is Phase.WAITING and (told is Phase.OVER
                                  or state in _MAY_WAIT):
        return more
    return more if told is Phase.OVER else told


def good(doc: Mapping[str, Any]) -> bool:
    """Whether one that is over says that it did what it was to do."""
    told = {state_of(doc), own_state(doc)} - {None}
    return bool(told) and told <= GOOD


def _phase(doc: Mapping[str, Any], state: str | None) -> Phase:
    if state is None:
        return Phase.UNKNOWN
    told = STATES.get(state, Phase.UNKNOWN)
    if told is Phase.OVER or _is_empty_slot(doc, state):
        return Phase.OVER
    if state in _NOT_BEGUN and schedule(doc):
        return Phase.GOING
    if state == 'RebootPending' and _REBOOT_JOB.fullmatch(
            str(doc.get('Id'))):
        return Phase.GOING
    if state == 'UserIntervention' and doc.get('PercentComplete') == 100:
        return Phase.WAITING
    if state in _MAY_WAIT and _asks_for_reset(doc):
        return Phase.WAITING
    return told


def schedule(doc: Mapping[str, Any]) -> str | None:
    """When a job begins by itself, in words; None where no time is set."""
    told = doc.get('Schedule')
    if not isinstance(told, Mapping):
        return None
    said = [f'{name} {told[name]}' for name in _SCHEDULED if told.get(name)]
    return ', '.join(said)[:200] or None


def _is_empty_slot(doc: Mapping[str, Any], state: str) -> bool:
    """Whether it only stands for work that could be given to it."""
    if state not in _NOT_BEGUN or doc.get('PercentComplete') not in (
            None, 0) or doc.get('StartTime'):
        return False
    if isinstance(doc.get('Schedule'), Mapping):
        return schedule(doc) is None
    oem = doc.get('Oem')
    own = oem.get('Cisco') if isinstance(oem, Mapping) else None
    words = [own[n] for n in _OWN_STATUS if n in own] if isinstance(
        own, Mapping) else []
    return state == 'New' and bool(words) and all(
        isinstance(w, str) and w in _NEVER_BEGUN for w in words)


def own_state(doc: Mapping[str, Any]) -> str | None:
    """The vendor's own state of a task, where it tells one."""
    for path in _OWN_STATES:
        value: Any = doc
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value:
            return value
    return None


def said(doc: Mapping[str, Any]) -> str:
    """A task in few words: its name, its states, its last message."""
    name = doc.get('Name')
    states = dict.fromkeys(s for s in (state_of(doc), own_state(doc)) if s)
    last = next(reversed([t for t in _texts(doc) if t.strip()]), None)
    when = schedule(doc) if states.keys() & _NOT_BEGUN else None
    return (f'{name if isinstance(name, str) and name else "task"} '
            f'{" / ".join(states) or "in a state that it does not tell"}'
            + (f', begins by itself: {when}' if when else '')
            + (f': {last[:200]}' if last else ''))


def ended(doc: Mapping[str, Any]) -> bool:
    """Whether an end is told, whatever the state says."""
    end = doc.get('EndTime')
    return isinstance(end, str) and end not in _NO_TIME


def _asks_for_reset(doc: Mapping[str, Any]) -> bool:
    """Whether the messages of a waiting one, or its request (Task v1.2,
    Payload), ask for a reset."""
    payload = doc.get('Payload')
    body = payload.get('JsonBody') if isinstance(payload, Mapping) else None
    if isinstance(body, str) and _ON_RESET.search(body[:65536]):
        return True
    return any(_WAITS.search(text) for text in _texts(doc)) or any(
        str(one.get('MessageId')).rsplit('.', 1)[-1] in _WAIT_IDS
        for one in _messages(doc))


def _texts(doc: Mapping[str, Any]) -> Iterable[str]:
    """A DellJob has one message, the others a list of them."""
    oem: Any = doc.get('Oem')
    dell = oem.get('Dell') if isinstance(oem, Mapping) else None
    for one in (doc, dell, *_messages(doc)):
        text = one.get('Message') if isinstance(one, Mapping) else None
        if isinstance(text, str):
            yield text


def _messages(doc: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    told = doc.get('Messages')
    return [m for m in told if isinstance(m, Mapping)] if isinstance(
        told, list) else []
