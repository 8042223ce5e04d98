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

"""Follow the task or job of a write until it ends.

A task or job is read at its own resource (which may be the only one that
reports a percentage), at the other URIs that its vendor has for it, and at
its task monitor. Only the state in one of them ends a write. The result is
unknown if the task is gone, has been replaced by another one, or was not
named in the response to the write: it is no success, and may still be
running.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import re
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
from ironic_accel.model import strict_json
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.connector import LoginRejected
from ironic_accel.redfish.client import responses
from ironic_accel.redfish.client.responses import Answer
from ironic_accel.redfish.client import retry_rules
from ironic_accel.redfish.client import session
from ironic_accel.redfish.inventory import task_states
from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors.task_rows import Phase

#: (device id, component or mode, the service's Id for it)
Part = tuple[str, str, str]

_TYPES = ('#Task.', '#Job.')
#: Pattern of the path of a task, a job or a task monitor.
_PATH = re.compile(
    r'/redfish/v1/(.+/)?(Tasks|TaskMonitors?|Jobs)/[^/]+(/\w*Monitor)?')
#: MessageIds whose arguments name a task (DMTF Update registry).
_NAMES_TASK = frozenset({'OperationTransitionedToJob'})
_GONE = frozenset({404, 410})


def ticket(answer: Answer, parts: Iterable[Part], when: str | None = None
           ) -> dict[str, Any]:
    """The ticket of a write that a service accepted.

    Its ``kind`` is ``task`` if there is a task to follow, else ``watch``:
    the write was accepted, and only the device shows the result.

    :param when: the OperationApplyTime of the request.
    """
    out: dict[str, Any] = {'kind': 'task', 'parts': [list(p) for p in parts]}
    if when in ('OnReset', 'OnStartUpdateRequest'):
        out['when'] = when
    doc = answer.doc
    own = doc.get('@odata.id')
    if isinstance(own, str) and (_is_task(doc) or _names_task(own)):
        out['task'] = normal(own)
        if isinstance(doc.get('StartTime'), str):
            out['start'] = doc['StartTime']
    monitor = answer.location or doc.get('TaskMonitor')
    if isinstance(monitor, str) and monitor:
        out['monitor'] = place = normal(monitor)
        if 'task' not in out and ('/Tasks/' in place or '/Jobs/' in place):
            out['task'] = _task_of(place)
    if 'task' not in out and 'monitor' not in out:
        named = _named(doc)
        if named is None:
            return {**out, 'kind': 'watch', 'said': _describe(answer)}
        out['task'] = named
    return out


def _is_task(doc: Mapping[str, Any]) -> bool:
    """Whether a body is a Task or a Job."""
    kind = doc.get('@odata.type')
    types = (*_TYPES, *(t for v in registry.vendors()
                        for t in v.tasks.types))
    return (isinstance(kind, str) and kind.startswith(types)) or (
        task_states.state_of(doc) is not None)


def _names_task(uri: str) -> bool:
    return _PATH.fullmatch(normal(uri)) is not None


def _named(doc: Mapping[str, Any]) -> str | None:
    """The task that a message of the response names, or None."""
    named_by = _NAMES_TASK.union(
        *(v.tasks.named_by for v in registry.vendors()))
    for one in responses.messages(doc):
        name = str(one.get('MessageId')).rsplit('.', 1)[-1]
        args = one.get('MessageArgs')
        if name in named_by and isinstance(args, list):
            for text in args:
                if isinstance(text, str) and _names_task(text):
                    return normal(text)
    return None


def _describe(answer: Answer) -> str:
    """A short description of a response without a task."""
    text = responses.message(answer.doc)[1]
    return f'HTTP {answer.status} without a task' + (
        f': {text[:200]}' if text else '')


def _task_of(place: str) -> str:
    """The URI of the task whose monitor has a URI below it."""
    for tail in ('/Monitor', '/TaskMonitor'):
        place = place.removesuffix(tail)
    return place


def poll(connector: session.Connector, told: Mapping[str, Any]) -> Poll:
    """Read the state of a write.

    :raises: Unreachable if the BMC does not respond.
    """
    parts: list[Part] = [tuple(p) for p in told.get('parts', ())]
    busy, lost = '', ''
    for uri, is_task in _uris(told):
        status, doc = _get(connector, uri)
        if status in _GONE:
            continue
        if status < 400 and _is_task(doc):
            return _state_of_task(uri, doc, told, parts, is_task)
        if status == 202:
            return Running('the task is running')
        if status >= 500 or retry_rules.wait(
                status, responses.message_ids(doc), None) is not None:
            busy = busy or f'{uri} returned HTTP {status}'
        elif not is_task and _succeeded(status, doc):
            return Ended(tuple(Result((d, c), True) for d, c, _ in parts))
        else:
            lost = lost or f'{uri} returned HTTP {status} without a task'
    if busy:
        return Running(busy)
    return Unknown(lost or 'the BMC no longer has the task', hidden=True)


def _uris(told: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """The URIs to read, and whether each is the task's own resource."""
    task, monitor = told.get('task'), told.get('monitor')
    found: dict[str, bool] = {}
    for uri in (task, monitor):
        if isinstance(uri, str) and uri:
            found.setdefault(uri, uri == task)
            for other in _other_places(last(uri)):
                found.setdefault(other, True)
    return list(found.items())


def _other_places(job_id: str) -> list[str]:
    """Other paths at which a vendor reports a job with that Id."""
    return [path.format(job_id) for vendor in registry.vendors()
            for pattern, paths in vendor.tasks.places
            if re.fullmatch(pattern, job_id) for path in paths]


def _succeeded(status: int, doc: Mapping[str, Any]) -> bool:
    """Whether the response of a task monitor is that of a success.

    A monitor returns the response of the operation itself (DSP0266, task
    monitors): no content, or messages without an error. An empty object or a
    resource is not a result.
    """
    if status == 204:
        return True
    messages = list(responses.messages(doc))
    return status in (200, 201) and bool(messages) and all(
        str(m.get('MessageSeverity') or m.get('Severity')).upper() == 'OK'
        for m in messages)


def _get(connector: session.Connector, uri: str
         ) -> tuple[int, Mapping[str, Any]]:
    """One read: the status, and the body where it is an object."""
    try:
        response = session.reading(connector).get(
            uri, server_side_retries_left=0)
    except LoginRejected as error:
        raise session.failure(connector, error) from error
    except exceptions.HTTPError as error:
        body = getattr(error, 'body', None)
        return error.status_code or 500, (
            {'error': body} if isinstance(body, dict) else {})
    except exceptions.SushyError as error:
        raise session.failure(connector, error) from error
    if not response.content:
        return response.status_code, {}
    try:
        return response.status_code, strict_json.parse_object(response.content)
    except strict_json.NotJson:
        return response.status_code, {}


def running(connector: session.Connector, root: Fields) -> list[str]:
    """Short descriptions of the running tasks of a BMC; best effort.

    For messages only: whether a BMC is idle is a question for the inventory.
    At most a few tasks are read.
    """
    out: list[str] = []
    try:
        service = _get(connector, root.link('Tasks') or '')[1]
        tasks = Fields(service, lambda uri, message: None).link('Tasks')
        listed = _get(connector, tasks or '')[1] if tasks else {}
        links = Fields(listed, lambda uri, message: None).links('Members')
        for uri in reversed(links[-8:]):
            doc = _get(connector, uri)[1]
            if _is_task(doc) and task_states.phase(doc) in (
                    Phase.GOING, Phase.UNKNOWN):
                out.append(task_states.describe(doc))
    except Unreachable:
        return out
    return out


def _state_of_task(uri: str, doc: Mapping[str, Any], told: Mapping[str, Any],
                   parts: Sequence[Part], is_task: bool) -> Poll:
    """The result that a Task or Job reports."""
    task = Fields(doc, lambda uri, message: None)
    start, now = told.get('start'), doc.get('StartTime')
    if start and isinstance(now, str) and now != start:
        return Unknown(f'{uri} is now a different task', hidden=True)
    if is_task and task.uri and last(task.uri) != last(uri):
        return Unknown(f'{uri} returned {task.uri}', hidden=True)
    percent = task.number('PercentComplete')
    phase = task_states.phase(doc)
    if told.get('when') and (
            task_states.state_of(doc) == 'Pending') and _good_so_far(doc):
        phase = Phase.WAITING
    if phase is Phase.OVER:
        return Ended(tuple(_results(task, parts, _has_succeeded(doc))))
    if phase is Phase.WAITING:
        return Ended(tuple(_results(task, parts, True)), at_reset=True)
    if task_states.ended(doc) and percent == 100:
        return Unknown(f'{uri} reports state {task_states.state_of(doc)} '
                       'and also an end', hidden=True)
    return Running(task_states.describe(doc), percent)


def _has_succeeded(doc: Mapping[str, Any]) -> bool:
    """Whether an ended task succeeded."""
    return task_states.good(doc) and _good_so_far(doc)


def _good_so_far(doc: Mapping[str, Any]) -> bool:
    return all(doc.get(name) in ('OK', 'Warning', None)
               for name in ('TaskStatus', 'JobStatus'))


def _results(task: Fields, parts: Sequence[Part], fate: bool
             ) -> Iterable[Result]:
    """One result per part: by a message about it, else by the task's state.
    """
    state = task_states.state_of(task.doc) or 'unknown'
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
        # If a failed task blames some parts, the others may be good: they
        # are read back, as everything is.
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
        f'{task.uri or "the task"} ended in state {state}: '
        f'{text or "no reason given"}',
        ErrorClass.PERMANENT, device=part[0], component=part[1],
        message_id=message.text('MessageId') if message else None)
