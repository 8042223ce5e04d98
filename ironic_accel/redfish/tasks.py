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

"""What became of a write: tasks, their monitors, and what they say.

A task is read at its own resource (its percentage moves there alone on
NVIDIA's services), at its monitor where there is no such resource. One that
is gone, or that is another one by now, is unknown: never a success.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any

from sushy import exceptions

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish import connect
from ironic_accel.redfish.answers import Answer
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import normal
from ironic_accel.redfish.state import ALIVE

#: Task.TaskState (v1.7) of tasks that may go on by themselves.
_GOING = ALIVE | {'Suspended', 'Interrupted', 'Service'}
_OVER = frozenset({'Completed', 'Killed', 'Exception', 'Cancelled'})

#: (device id, component or mode, the service's Id for it)
Part = tuple[str, str, str]


def ticket(answer: Answer, parts: Iterable[Part]) -> dict[str, Any]:
    """What to remember of a write that a service took."""
    out: dict[str, Any] = {'kind': 'task', 'parts': [list(p) for p in parts]}
    doc = answer.doc
    if str(doc.get('@odata.type', '')).startswith('#Task.'):
        own = doc.get('@odata.id')
        if isinstance(own, str):
            out['task'] = normal(own)
        if isinstance(doc.get('StartTime'), str):
            out['start'] = doc['StartTime']
    if answer.location:
        place = normal(answer.location)
        if '/Tasks/' in place and 'task' not in out:
            out['task'] = _task_of(place)
        out['monitor'] = place
    if 'task' not in out and 'monitor' not in out:
        out['kind'] = 'done'
    return out


def _task_of(place: str) -> str:
    """The task whose monitor is below it, as OpenBMC has it."""
    for tail in ('/Monitor', '/TaskMonitor'):
        place = place.removesuffix(tail)
    return place


def poll(connector: connect.Connector, told: Mapping[str, Any]) -> Poll:
    """See how a write goes.

    :raises: Unreachable where the BMC does not answer.
    """
    parts: list[Part] = [tuple(p) for p in told.get('parts', ())]
    for name in ('task', 'monitor'):
        uri = told.get(name)
        if not uri:
            continue
        status, doc = _get(connector, uri)
        if status == 404 or (name == 'task' and status >= 400
                             and told.get('monitor')):
            continue
        if status >= 400:
            return Running(f'{uri} answers {status}')
        if not str(doc.get('@odata.type', '')).startswith('#Task.'):
            if status == 202:
                return Running('task under way')
            # A monitor that is done answers with the operation's result.
            return Ended(tuple(Result((d, c), True) for d, c, _ in parts))
        return _judge(doc, told, parts)
    return Unknown('its task is gone', hidden=True)


def _get(connector: connect.Connector, uri: str
         ) -> tuple[int, Mapping[str, Any]]:
    try:
        response = connect.reading(connector).get(
            uri, server_side_retries_left=0)
    except exceptions.HTTPError as error:
        return error.status_code or 500, {}
    except exceptions.SushyError as error:
        raise Unreachable(f'the BMC does not answer: {error}',
                          error_class=ErrorClass.TRANSIENT) from error
    try:
        doc = json.loads(response.content or b'{}')
    except ValueError:
        return 500, {}
    return response.status_code, doc if isinstance(doc, dict) else {}


def _judge(doc: Mapping[str, Any], told: Mapping[str, Any],
           parts: Sequence[Part]) -> Poll:
    task = Fields(doc, lambda uri, message: None)
    start, now = told.get('start'), doc.get('StartTime')
    if start and isinstance(now, str) and now != start:
        return Unknown(f'{task.uri} is another task by now', hidden=True)
    state = doc.get('TaskState')
    percent = task.number('PercentComplete')
    if not isinstance(state, str):
        return Running('task under way, in a state that it does not tell',
                       percent)
    if state in _OVER:
        return Ended(tuple(_results(task, state, parts)))
    if doc.get('EndTime') and percent == 100:
        return Unknown(f'{task.uri} says {state}, and that it has ended')
    if state in _GOING:
        name = task.text('Name') or 'task'
        return Running(f'{name} {state}', percent)
    return Running(f'task in an unknown state {state!r}', percent)


def _results(task: Fields, state: str, parts: Sequence[Part]
             ) -> Iterable[Result]:
    """One result per part: what is said of it, else the task's fate."""
    fate = state == 'Completed' and task.doc.get('TaskStatus') in (
        'OK', 'Warning', None)
    messages = task.parts('Messages')
    gravest = next((m for m in messages if _severity(m) == 'Critical'),
                   messages[-1] if messages else None)
    named_bad = {p for p in parts for m in messages
                 if _severity(m) == 'Critical' and _names(m, p)}
    for part in parts:
        about = [m for m in messages if _names(m, part)]
        bad = [m for m in about if _severity(m) == 'Critical']
        good = any('Success' in (m.text('MessageId') or '') for m in about)
        ref = (part[0], part[1])
        # Where a failed task blames some parts, the others may be fine: to
        # be read back, as everything is.
        spared = bool(named_bad) and not bad
        if not bad and (fate or good or spared):
            yield Result(ref, True)
        else:
            yield Result(ref, False, _detail(
                task, state, part, bad[0] if bad else gravest))


def _severity(message: Fields) -> str | None:
    return message.text('MessageSeverity') or message.text('Severity')


def _names(message: Fields, part: Part) -> bool:
    return any(text.rsplit('/', 1)[-1] == part[2]
               for text in message.texts('MessageArgs'))


def _detail(task: Fields, state: str, part: Part,
            message: Fields | None) -> Detail:
    text = message.text('Message') if message else None
    return Detail(
        f'{task.uri} ended {state}: {text or "no reason given"}',
        ErrorClass.PERMANENT, device=part[0], component=part[1],
        message_id=message.text('MessageId') if message else None)
