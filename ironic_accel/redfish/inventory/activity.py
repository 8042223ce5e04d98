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

"""The running work of a BMC: its tasks, its jobs, its UpdateService.

If one of them is listed and cannot be read, it is unknown whether the system
is idle, and it does not count as idle.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import re
from typing import Any

from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Device
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory import task_states
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors.task_rows import Phase

#: For a task, job or update service, and its members.
HOLDS = Impact(Role.SERVICE, holds=True, optional=False)

#: Target URIs of tasks that write no firmware and change no device.
_HARMLESS = re.compile(
    r'/(?:LogServices|AccountService|CertificateService|EventService|'
    r'SessionService|TelemetryService)(?:/|\Z)|Dump', re.I)


#: Path of the TaskService (DSP0266, URIs of the service root).
_TASKS = '/redfish/v1/TaskService'


@dataclasses.dataclass(frozen=True, slots=True)
class Activity:
    """The tasks and jobs of a BMC.

    :ivar service: the TaskService, for its clock; None if there is none.
    :ivar shown: tasks and jobs, each once.
    :ivar managers: the BMCs of the node and of its boards. A BMC whose own
        firmware is written is Updating (Resource.State), and aborts its
        other work when it restarts.
    """

    service: Fields | None
    shown: tuple[Fields, ...]
    managers: tuple[Fields, ...] = ()


def read(reader: Reader, scope: Scope) -> Activity:
    """Read the tasks and jobs; services without a link are absent."""
    deep = scope.levels.get('TaskService', 1)
    listed = reader.follow(scope.root, 'Tasks', HOLDS)
    if listed is None and reader.probe(_TASKS) is not None:
        # It exists although nothing links to it: its tasks count.
        listed = _TASKS
    service, shown = _service(reader, listed, 'Tasks',
                              deep if deep > 1 else 0)
    known = {last(t.uri) for t in shown}
    for job in _jobs(reader, scope):
        # The same work may be reported as a task and as a job.
        if last(job.uri) not in known:
            known.add(last(job.uri))
            shown.append(job)
    return Activity(service, tuple(shown), tuple(_managers(reader, scope)))


def _manager_uris(scope: Scope) -> dict[str, None]:
    return dict.fromkeys(
        uri for system in (*scope.systems, *scope.dpus)
        for uri in system.links('Links', 'ManagedBy'))


def _managers(reader: Reader, scope: Scope) -> Iterator[Fields]:
    uris = _manager_uris(scope)
    if len(uris) > 1 and reader.expands:
        # One request for all managers.
        reader.members(scope.root.link('Managers'), sufficient=(
            None if any(q.jobs for q in scope.quirks)
            else lambda doc: 'Status' in doc))
    for uri in uris:
        # A manager that does not exist counts as absent in the end, like
        # other sub-resources.
        shown = reader.read(uri, impact=Impact(holds=True))
        if shown is not None:
            yield shown


def read_again(reader: Reader, scope: Scope, before: Activity) -> Activity:
    """Read tasks and jobs again at the end of a long inventory.

    Work that started or ended meanwhile counts as running, as versions may
    have been read before its end. Work that had ended before does not.
    """
    folders = {t.uri.rpartition('/')[0] for t in before.shown}
    for name, inner in (('Tasks', 'Tasks'), ('JobService', 'Jobs')):
        uri = scope.root.link(name) or (_TASKS if name == 'Tasks' else '')
        service = reader.known(uri) if uri else None
        if service is not None:
            folders |= {uri, service.link(inner) or uri}
    for path in (q.jobs for q in scope.quirks if q.jobs):
        for uri in scope.system.links('Links', 'ManagedBy'):
            manager = reader.known(uri)
            folders |= {(manager and manager.link(*path)) or uri}
    going = [t for t in before.shown
             if task_states.phase(t.doc) is not Phase.OVER]
    folders |= {*_manager_uris(scope), scope.root.link('Managers') or ''}
    for uri in (*folders, *(t.uri for t in going)):
        reader.forget(uri)
    late = read(reader, scope)
    doing = {last(t.uri) for t in late.shown
             if _counts(t, task_states.phase(t.doc))}
    return Activity(late.service or before.service, (*late.shown, *(
        t for t in going if last(t.uri) not in doing)), late.managers)


def _service(reader: Reader, uri: str | None, name: str, levels: int = 0
             ) -> tuple[Fields | None, list[Fields]]:
    """A service and the members of its collection."""
    if uri is None:
        return None, []
    service = reader.deep(uri, levels, HOLDS)
    if service is None:
        return None, []
    if service.link(name) is None:
        reader.mark_unread(service.uri, f'a service without {name}', HOLDS)
        return service, []
    return service, _members(reader, service.link(name))


def _jobs(reader: Reader, scope: Scope) -> list[Fields]:
    listed = reader.follow(scope.root, 'JobService', HOLDS)
    if listed is not None:
        return _service(reader, listed, 'Jobs')[1]
    out = []
    for path in (q.jobs for q in scope.quirks if q.jobs):
        for uri in scope.system.links('Links', 'ManagedBy'):
            manager = reader.read(uri, impact=HOLDS)
            if manager is not None:
                out += _members(reader, manager.link(*path))
    return out


def _members(reader: Reader, uri: str | None) -> list[Fields]:
    """The tasks of a collection; a finished job is read once per process.

    A task that no longer exists when it is read has ended, unless the
    collection still lists it.
    """
    shown, unread = reader.listing(uri, HOLDS)
    if uri and any(reader.failures[u].status == 404 for u in unread):
        reader.fresh(uri)
        gone = set(unread)
        again, still = reader.listing(uri, HOLDS)
        shown, unread = again, still
        for one in gone - set(still):
            reader.failures.pop(one, None)
    for one in unread:
        reader.declare(one, HOLDS)
    return shown


def busy(reader: Reader, scope: Scope, activity: Activity,
         service: Fields | None, devices: Iterable[Device],
         resources: Iterable[Fields] = ()) -> Iterator[Busy]:
    """The running work that may write firmware or change a device.

    :param service: the UpdateService.
    :param resources: Systems, devices and firmware entries; one in state
        Updating (Resource.State) is being written, with or without a task.
    """
    known = {}
    for dev in devices:
        for part in dev.components:
            known[part.id] = (dev.id, part.name)
    for task in activity.shown:
        phase = task_states.phase(task.doc)
        if phase is Phase.WAITING:
            reader.warn(task.uri, 'waits for a host reset')
        elif _counts(task, phase):
            yield _busy(task, known)
    if service is not None:
        yield from _updating(scope, service)
    told = dict.fromkeys(r.uri for r in (*activity.managers, *resources)
                         if _is_updating(r))
    for uri in told:
        yield Busy('task', uri, f'{uri} is Updating')


def _is_updating(shown: Fields) -> bool:
    told = shown.doc.get('Status')
    return isinstance(told, dict) and told.get('State') == 'Updating'


def _counts(task: Fields, phase: Phase) -> bool:
    target = task.text('Payload', 'TargetUri') or ''
    if phase is Phase.OVER or _HARMLESS.search(target):
        return False
    if phase is Phase.SERVING:
        return 'Update' in target
    return phase is Phase.GOING or not task_states.ended(task.doc)


def _updating(scope: Scope, service: Fields) -> Iterator[Busy]:
    """Updates that an UpdateService reports by its state, without a task."""
    if _is_updating(service):
        yield Busy('task', service.uri, f'{service.uri} is Updating')
    for row in (*(q.update_state for q in scope.quirks if q.update_state),
                *(u for v in registry.vendors() for u in v.update_states)):
        state = service.text(*row.path)
        if state is not None and state.lower() not in row.idle:
            yield Busy('task', service.uri, f'{service.uri}: {state}',
                       service.number(*row.percent) if row.percent
                       else None)


def _busy(task: Fields, known: dict[str, tuple[str, str]]) -> Busy:
    """A task, the components of the node in it, and a ticket to poll it."""
    percent = task.number('PercentComplete')
    named: dict[tuple[str, str], None] = {}
    for message in task.parts('Messages'):
        for text in message.texts('MessageArgs'):
            ref = known.get(text.rsplit('/', 1)[-1])
            if ref is not None:
                named[ref] = None
    ticket: dict[str, Any] = {'kind': 'task', 'task': task.uri, 'parts': [
        [*ref, key] for key, ref in known.items() if ref in named]}
    if isinstance(task.doc.get('StartTime'), str):
        ticket['start'] = task.doc['StartTime']
    return Busy('task', task.uri, task_states.describe(task.doc), percent,
                tuple(named), ticket=ticket)


def disabled(reader: Reader, devices: Mapping[str, Device]
             ) -> tuple[Busy, ...]:
    """The disabled devices, each with the ticket to enable it.

    An operator may have disabled a device on purpose. Therefore only a run
    whose own reset was interrupted uses the ticket. Makes no request.

    :param devices: by their ids.
    """
    out = []
    for name, device in devices.items():
        shown = reader.known(device.uri) if device.uri else None
        if shown is not None and shown.doc.get('Enabled') is False:
            out.append(Busy(
                'disabled', shown.uri, f'{shown.uri} is disabled',
                targets=((name, 'enabled'),), ticket={
                    'kind': 'reset', 'items': [{
                        'refs': [], 'switch': shown.uri, 'off': True}]}))
    return tuple(out)
