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
long descriptions of their values; the vendors' tables for what is their own.

Two kinds of entry are no work at all, and stand there for good: a schedule
that is not set (Job v1.0, Schedule), and a slot for a task that nobody has
begun. A schedule that is set is something that the BMC will do by itself,
whenever that is: as good as going.

A state that is not in the table, or not told, is not over. Where a task tells
a state of the vendor's beside the standard one and the two differ, the graver
counts.
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


#: What a waiting one says.
_WAITS = (
    r'(reboot|reset|restart|power.?cycle)\w*\s+(is\s+)?(pending|required|'
    r'needed)|(pending|requires?|needs?)\s+(an?\s+|the\s+)?(\w+\s+)?'
    r'(reboot|reset|restart|power.?cycle)|'
    r'(next|after|upon)\s+(the\s+)?(next\s+)?(reboot|reset|restart)')

#: What its request says of the time to apply it.
_ON_RESET = re.compile(r'"@Redfish.OperationApplyTime"\s*:\s*"OnReset"')

#: MessageIds of one, without registry and version (DMTF Base and Update).
_WAIT_IDS = frozenset({'ResetRequired', 'AwaitToActivate'})

#: What a Schedule has where it is set (Schedule v1.2).
_SCHEDULED = ('InitialStartTime', 'RecurrenceInterval', 'EnabledDaysOfWeek',
              'EnabledDaysOfMonth', 'EnabledMonthsOfYear',
              'EnabledIntervals', 'MaxOccurrences')

@functools.lru_cache(maxsize=1)
def states() -> Mapping[str, TaskState]:
    """All states that are known, by their words."""
    return {s.word: s for s in (
        *STANDARD, *(s for row in _rows() for s in row.states))}


def _rows() -> list[TaskRows]:
    return [vendor.tasks for vendor in registry.vendors()]


@functools.lru_cache(maxsize=1)
def _waits() -> re.Pattern[str]:
    """What the message of a waiting one says."""
    return re.compile('|'.join((_WAITS, *(
        row.reset_words for row in _rows() if row.reset_words))), re.I)


def _may_wait(state: str | None) -> bool:
    known = states().get(state or '')
    return known is not None and known.may_wait


def _not_begun(state: str) -> bool:
    known = states().get(state)
    return known is not None and not known.begun


def state_of(doc: Mapping[str, Any]) -> str | None:
    """``TaskState`` of a task, ``JobState`` of a job, None where untold."""
    for name in ('TaskState', 'JobState'):
        state = doc.get(name)
        if isinstance(state, str) and state:
            return state
    return None


def phase(doc: Mapping[str, Any]) -> Phase:
    """What a task or job does now.

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
    """Whether one that is over says that it did what it was to do."""
    told = {s for s in (state_of(doc), own_state(doc)) if s is not None}
    return bool(told) and all(
        s in states() and states()[s].good for s in told)


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
    """When a job begins by itself, in words; None where no time is set."""
    told = doc.get('Schedule')
    if not isinstance(told, Mapping):
        return None
    said = [f'{name} {told[name]}' for name in _SCHEDULED if told.get(name)]
    return ', '.join(said)[:200] or None


def _is_empty_slot(doc: Mapping[str, Any], state: str) -> bool:
    """Whether it only stands for work that could be given to it."""
    if not _not_begun(state) or doc.get('PercentComplete') not in (
            None, 0) or doc.get('StartTime'):
        return False
    if isinstance(doc.get('Schedule'), Mapping):
        return schedule(doc) is None
    return any(_is_unstarted(doc, state, slot) for row in _rows()
               for slot in row.unstarted)


def _is_unstarted(doc: Mapping[str, Any], state: str, row: UnstartedTask
                  ) -> bool:
    own = _at(doc, row.path)
    words = [own[n] for n in row.names if n in own] if isinstance(
        own, Mapping) else []
    return state == row.state and bool(words) and all(
        isinstance(w, str) and w in row.words for w in words)


def _at(doc: Mapping[str, Any], path: Iterable[str]) -> Any:
    """What stands at a path; None where nothing does."""
    value: Any = doc
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def own_state(doc: Mapping[str, Any]) -> str | None:
    """The vendor's own state of a task, where it tells one."""
    for path in (p for row in _rows() for p in row.own_states):
        value = _at(doc, path)
        if isinstance(value, str) and value:
            return value
    return None


def said(doc: Mapping[str, Any]) -> str:
    """A task in few words: its name, its states, its last message."""
    name = doc.get('Name')
    told = dict.fromkeys(s for s in (state_of(doc), own_state(doc)) if s)
    last = next(reversed([t for t in _texts(doc) if t.strip()]), None)
    when = schedule(doc) if any(map(_not_begun, told)) else None
    return (f'{name if isinstance(name, str) and name else "task"} '
            f'{" / ".join(told) or "in an unknown state"}'
            + (f', scheduled for {when}' if when else '')
            + (f': {last[:200]}' if last else ''))


def ended(doc: Mapping[str, Any]) -> bool:
    """Whether an end is told, whatever the state says."""
    end = doc.get('EndTime')
    return isinstance(end, str) and end != '' and all(
        end not in row.no_end for row in _rows())


def _asks_for_reset(doc: Mapping[str, Any]) -> bool:
    """Whether the messages of a waiting one, or its request (Task v1.2,
    Payload), ask for a reset."""
    payload = doc.get('Payload')
    body = payload.get('JsonBody') if isinstance(payload, Mapping) else None
    if isinstance(body, str) and _ON_RESET.search(body[:65536]):
        return True
    return any(_waits().search(text) for text in _texts(doc)) or any(
        str(one.get('MessageId')).rsplit('.', 1)[-1] in _WAIT_IDS
        for one in _messages(doc))


def _texts(doc: Mapping[str, Any]) -> Iterable[str]:
    """The texts of its messages: a list of them, one of its own, or one in
    a vendor's object."""
    own = [_at(doc, path) for row in _rows() for path in row.messages]
    for one in (doc, *own, *_messages(doc)):
        text = one.get('Message') if isinstance(one, Mapping) else None
        if isinstance(text, str):
            yield text


def _messages(doc: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    told = doc.get('Messages')
    return [m for m in told if isinstance(m, Mapping)] if isinstance(
        told, list) else []
