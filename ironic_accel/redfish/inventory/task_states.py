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

"""The meaning of task and job states, for inventories and polls.

Sources: DMTF Task v1.7 (``TaskState``) and Job v1.2 (``JobState``), by the
long descriptions of their values; the vendors' tables for their own states.

Two kinds of permanent entry are no work at all: a schedule that is not set
(Job v1.0, Schedule), and a slot for a task that was never started. A schedule
that is set will be started by the BMC at some time, and counts as running.

A state that is not in the table, or not reported, does not count as ended. If
a task has both a standard and a vendor's state and they differ, the one with
more impact counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import functools
import re
from typing import Any

from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors.task_rows import Phase
from ironic_accel.redfish.vendors.task_rows import STANDARD
from ironic_accel.redfish.vendors.task_rows import TaskRows
from ironic_accel.redfish.vendors.task_rows import TaskState
from ironic_accel.redfish.vendors.task_rows import UnstartedTask


#: Message texts of a task that waits for a reset.
_WAITS = (
    r'(reboot|reset|restart|power.?cycle)\w*\s+(is\s+)?(pending|required|'
    r'needed)|(pending|requires?|needs?)\s+(an?\s+|the\s+)?(\w+\s+)?'
    r'(reboot|reset|restart|power.?cycle)|'
    r'(next|after|upon)\s+(the\s+)?(next\s+)?(reboot|reset|restart)')

#: Apply time in the request of such a task.
_ON_RESET = re.compile(r'"@Redfish.OperationApplyTime"\s*:\s*"OnReset"')

#: MessageIds of such a task, without registry and version (DMTF Base and
#: Update).
_WAIT_IDS = frozenset({'ResetRequired', 'AwaitToActivate'})

#: Properties of a Schedule that is set (Schedule v1.2).
_SCHEDULED = ('InitialStartTime', 'RecurrenceInterval', 'EnabledDaysOfWeek',
              'EnabledDaysOfMonth', 'EnabledMonthsOfYear',
              'EnabledIntervals', 'MaxOccurrences')

@functools.lru_cache(maxsize=1)
def states() -> Mapping[str, TaskState]:
    """All known states, by their names."""
    return {s.word: s for s in (
        *STANDARD, *(s for row in _rows() for s in row.states))}


def _rows() -> list[TaskRows]:
    return [vendor.tasks for vendor in registry.vendors()]


@functools.lru_cache(maxsize=1)
def _waits() -> re.Pattern[str]:
    """Pattern for the message of a task that waits for a reset."""
    return re.compile('|'.join((_WAITS, *(
        row.reset_words for row in _rows() if row.reset_words))), re.I)


def _may_wait(state: str | None) -> bool:
    known = states().get(state or '')
    return known is not None and known.may_wait


def _not_begun(state: str) -> bool:
    known = states().get(state)
    return known is not None and not known.begun


def state_of(doc: Mapping[str, Any]) -> str | None:
    """``TaskState`` of a task, ``JobState`` of a job, or None."""
    for name in ('TaskState', 'JobState'):
        state = doc.get(name)
        if isinstance(state, str) and state:
            return state
    return None


def phase(doc: Mapping[str, Any]) -> Phase:
    """The phase of a task or job.

    :param doc: the resource Task or Job, or a vendor's own like it.
    """
    state, own = state_of(doc), own_state(doc)
    if own is None:
        return _phase(doc, state)
    told, more = _phase(doc, state), _phase(doc, own)
    if more is Phase.WAITING and (told is Phase.OVER
                                  or _may_wait(state)):
        return more
    return more if told is Phase.OVER else told


def good(doc: Mapping[str, Any]) -> bool:
    """Whether an ended task or job reports success."""
    told = {s for s in (state_of(doc), own_state(doc)) if s is not None}
    return bool(told) and all(s in states() and states()[s].good for s in told)


def _phase(doc: Mapping[str, Any], state: str | None) -> Phase:
    if state is None:
        return Phase.UNKNOWN
    known = states().get(state)
    told = known.phase if known is not None else Phase.UNKNOWN
    if told is Phase.OVER or _is_empty_slot(doc, state):
        return Phase.OVER
    if _not_begun(state) and schedule(doc):
        return Phase.GOING
    if known is not None and known.going_ids and re.fullmatch(
            known.going_ids, str(doc.get('Id'))):
        return Phase.GOING
    if state == 'UserIntervention' and doc.get('PercentComplete') == 100:
        return Phase.WAITING
    if _may_wait(state) and _asks_for_reset(doc):
        return Phase.WAITING
    return told


def schedule(doc: Mapping[str, Any]) -> str | None:
    """When a scheduled job starts; None if no time is set."""
    told = doc.get('Schedule')
    if not isinstance(told, Mapping):
        return None
    said = [f'{name} {told[name]}' for name in _SCHEDULED if told.get(name)]
    return ', '.join(said)[:200] or None


def _is_empty_slot(doc: Mapping[str, Any], state: str) -> bool:
    """Whether it is only a slot for work that has not been started."""
    if not _not_begun(state) or doc.get('PercentComplete') not in (
            None, 0) or doc.get('StartTime'):
        return False
    if isinstance(doc.get('Schedule'), Mapping):
        return schedule(doc) is None
    return any(_is_unstarted(doc, state, slot) for row in _rows()
               for slot in row.unstarted)


def _is_unstarted(doc: Mapping[str, Any], state: str, row: UnstartedTask
                  ) -> bool:
    own = _value_at(doc, row.path)
    words = [own[n] for n in row.names if n in own] if isinstance(
        own, Mapping) else []
    return state == row.state and bool(words) and all(
        isinstance(w, str) and w in row.words for w in words)


def _value_at(doc: Mapping[str, Any], path: Iterable[str]) -> Any:
    """The value at a path, or None."""
    value: Any = doc
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def own_state(doc: Mapping[str, Any]) -> str | None:
    """The vendor's own state of a task, or None."""
    for path in (p for row in _rows() for p in row.own_states):
        value = _value_at(doc, path)
        if isinstance(value, str) and value:
            return value
    return None


def describe(doc: Mapping[str, Any]) -> str:
    """A short description of a task: name, states and last message."""
    name = doc.get('Name')
    told = dict.fromkeys(s for s in (state_of(doc), own_state(doc)) if s)
    last = next(reversed([t for t in _texts(doc) if t.strip()]), None)
    when = schedule(doc) if any(map(_not_begun, told)) else None
    return (f'{name if isinstance(name, str) and name else "task"} '
            f'{" / ".join(told) or "in an unknown state"}'
            + (f', scheduled for {when}' if when else '')
            + (f': {last[:200]}' if last else ''))


def ended(doc: Mapping[str, Any]) -> bool:
    """Whether an end is reported, whatever the state."""
    end = doc.get('EndTime')
    return isinstance(end, str) and end != '' and all(
        end not in row.no_end for row in _rows())


def _asks_for_reset(doc: Mapping[str, Any]) -> bool:
    """Whether the messages of a task, or its request (Task v1.2, Payload),
    require a reset."""
    payload = doc.get('Payload')
    body = payload.get('JsonBody') if isinstance(payload, Mapping) else None
    if isinstance(body, str) and _ON_RESET.search(body[:65536]):
        return True
    return any(_waits().search(text) for text in _texts(doc)) or any(
        str(one.get('MessageId')).rsplit('.', 1)[-1] in _WAIT_IDS
        for one in _messages(doc))


def _texts(doc: Mapping[str, Any]) -> Iterable[str]:
    """The message texts of a task: a list, a single one, or that of a
    vendor's object."""
    own = [_value_at(doc, path) for row in _rows() for path in row.messages]
    for one in (doc, *own, *_messages(doc)):
        text = one.get('Message') if isinstance(one, Mapping) else None
        if isinstance(text, str):
            yield text


def _messages(doc: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    told = doc.get('Messages')
    return [m for m in told if isinstance(m, Mapping)] if isinstance(
        told, list) else []
