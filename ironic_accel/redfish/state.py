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

"""The state of the box as a whole: power, completeness, what goes on."""

from __future__ import annotations

from collections.abc import Iterable
import datetime
from typing import Any, Literal

from ironic_accel.model.device import Busy
from ironic_accel.model.device import Device
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.scope import Scope
from ironic_accel.redfish.settings import Settings

Power = Literal['on', 'off', 'unknown']

#: Resource.PowerState.
_POWER: dict[str, Power] = {
    'On': 'on', 'Off': 'off', 'Paused': 'on', 'PoweringOn': 'unknown',
    'PoweringOff': 'unknown'}

#: ComputerSystem.BootProgress.LastState before the devices are all there.
_EARLY = frozenset({
    'PrimaryProcessorInitializationStarted', 'BusInitializationStarted',
    'MemoryInitializationStarted', 'SecondaryProcessorInitializationStarted',
    'PCIResourceConfigStarted'})

#: Task.TaskState of tasks that are not over (Task v1.7). Suspended and
#: Interrupted ones wait for somebody, perhaps for ever.
ALIVE = frozenset({'New', 'Starting', 'Running', 'Pending', 'Stopping',
                   'Cancelling'})

#: NVIDIA bmcweb, BackgroundCopyStatus.
_COPYING = frozenset({'Pending', 'InProgress'})
_COPY_STATES = _COPYING | {'Completed', 'Failed', 'Unknown'}

#: Answers of members that are on their way up: 503 says so; 400 is what
#: adapters answer while the host is off; the others only soon after a reset.
_SURELY = frozenset({400, 503})
_PERHAPS = frozenset({404, 500, 502, 504})


def power(system: Fields) -> Power:
    """Whether the host is on."""
    word = system.word('PowerState', known=_POWER, needed=True)
    return _POWER[word] if word else 'unknown'


def boot_mark(system: Fields) -> str | None:
    """What changes at a host reset: LastResetTime (v1.12), or None."""
    return system.text('LastResetTime')


def tasks(reader: Reader, scope: Scope) -> tuple[Fields | None,
                                                 list[Fields]]:
    """The TaskService and its tasks."""
    uri = scope.root.link('Tasks')
    if uri is None:
        return None, []
    service = reader.deep(uri, scope.levels('TaskService') if
                          scope.levels('TaskService') > 1 else 0)
    if service is None:
        return None, []
    return service, reader.members(service.link('Tasks'))


def since_reset(service: Fields | None, system: Fields) -> float | None:
    """Seconds since the host's last reset by the BMC's own clock, or None.

    Both times are the BMC's; where they do not go together (the clock was
    set in between) nothing is known.
    """
    if service is None:
        return None
    now, then = (_moment(service.text('DateTime')),
                 _moment(system.text('LastResetTime')))
    if now is None or then is None:
        return None
    seconds = (now - then).total_seconds()
    return seconds if seconds >= 0 else None


def _moment(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def is_complete(reader: Reader, scope: Scope, host: Power,
                age: float | None, settings: Settings) -> bool:
    """Whether "not there" can be taken for "removed".

    :param age: seconds since the host's last reset, or None.
    """
    if host != 'on':
        return False
    if age is not None and age < settings.warm_up:
        return False
    system = scope.system
    stage = system.doc.get('BootProgress')
    if isinstance(stage, dict) and stage.get('LastState') in _EARLY:
        return False
    for one in scope.systems:
        status = one.doc.get('Status')
        state = status.get('State') if isinstance(status, dict) else None
        if state in ('Starting', 'StandbyOffline'):
            return False
    settled = age is not None and age >= settings.settle
    return settled or not any(
        status in _SURELY or (age is not None and status in _PERHAPS)
        for uri, status in reader.failures.items()
        if '/Processors' in uri or '/NetworkAdapters' in uri)


def busy(scope: Scope, found: Iterable[Fields], devices: Iterable[Device]
         ) -> tuple[Busy, ...]:
    """Tasks and background copies that are under way."""
    known = {}
    for dev in devices:
        for part in dev.components:
            known[part.id] = (dev.id, part.name)
    out = [_task(t, known) for t in found if _alive(t)]
    for chassis in scope.chassis.values():
        state = chassis.word('Oem', 'Nvidia', 'BackgroundCopyStatus',
                             known=_COPY_STATES)
        if state in _COPYING:
            out.append(Busy('background-copy', chassis.uri,
                            f'{chassis.uri}: background copy {state}'))
    return tuple(out)


def _alive(task: Fields) -> bool:
    """Whether a task is under way and may be one that writes firmware.

    What names another service as its target (a log collection) does not.
    """
    target = task.text('Payload', 'TargetUri')
    if target and target.startswith('/') and 'Update' not in target:
        return False
    return task.doc.get('TaskState') in ALIVE


def _task(task: Fields, known: dict[str, tuple[str, str]]) -> Busy:
    """A task, what it names of the node's, and the ticket to poll it."""
    percent = task.number('PercentComplete')
    named: dict[tuple[str, str], None] = {}
    for message in task.parts('Messages'):
        for text in message.texts('MessageArgs'):
            ref = known.get(text.rsplit('/', 1)[-1])
            if ref is not None:
                named[ref] = None
    name = task.text('Name') or 'task'
    ticket: dict[str, Any] = {'kind': 'task', 'task': task.uri, 'parts': [
        [*ref, key] for key, ref in known.items() if ref in named]}
    if isinstance(task.doc.get('StartTime'), str):
        ticket['start'] = task.doc['StartTime']
    return Busy('task', task.uri,
                f'{name} {task.doc.get("TaskState")}', percent,
                tuple(named), ticket=ticket)
