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

"""Changes that are pending until the next host reset, by any client.

Jobs and tasks by their states (``task_states``); pending firmware in entries
that are no component of a device; BIOS attributes whose settings object has
another value than the BIOS (Settings v1.4: applied at the next reset),
except on services that apply such values only by a job, which is in their
list of jobs.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import re
from typing import Any

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Waiting
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_history import ReadHistory
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory import components
from ironic_accel.redfish.inventory import modes
from ironic_accel.redfish.inventory import system_state
from ironic_accel.redfish.inventory import task_states
from ironic_accel.redfish.inventory.activity import Activity
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors.task_rows import Phase

#: Words in the names of jobs and tasks that write firmware.
_UPDATES = re.compile(r'firmware|update', re.I)

#: Maximum number of attributes in a message.
_NAMED = 4

#: Seconds for which BIOS settings, which are large, are cached.
_YOUNG = 60.0


def find(reader: Reader, scope: Scope, doing: Activity,
         entries: Iterable[Fields], owned: Collection[str],
         history: ReadHistory) -> Iterator[Waiting]:
    """The pending changes; a few requests for the BIOS of the System.

    :param owned: paths of the entries that are components of devices, which
        report pending versions themselves.
    """
    yield from _tasks(doing, system_state.boot_mark(scope.system))
    for entry in entries:
        if entry.uri in owned:
            continue
        running = entry.text('Version')
        _, waits = components.pending(entry, running)
        if waits is not None:
            # Slots change at a power cut of the board.
            yield Waiting('firmware', entry.uri,
                          f'{last(entry.uri)} {waits}', Activation.AUX_CYCLE)
    if not any(q.bios_by_job for q in scope.quirks):
        bmc, key = reader.address, f'{scope.system.uri} bios'
        found = history.recall(bmc, key, _YOUNG)
        if found is None:
            found = tuple(_bios(reader, scope.system))
            history.remember(bmc, key, found)
        yield from found


def _tasks(doing: Activity, reset: str | None) -> Iterator[Waiting]:
    """Tasks and jobs that wait for a host reset.

    One at 100 % that is older than the last reset has been applied: some
    services never mark such a job as completed.
    """
    for task in doing.shown:
        if task_states.phase(task.doc) is not Phase.WAITING:
            continue
        began = system_state.moment(task.text('StartTime'))
        booted = system_state.moment(reset)
        if task.number('PercentComplete') == 100 and (
                began is not None and booted is not None
                and began < booted):
            continue
        words = ' '.join(str(task.doc.get(n) or '') for n in (
            'Name', 'JobType', 'Description'))
        target = task.text('Payload', 'TargetUri') or ''
        yield Waiting('task', task.uri, task_states.describe(task.doc),
                      updates=_UPDATES.search(words + target) is not None)


def _bios(reader: Reader, system: Fields) -> Iterator[Waiting]:
    """BIOS attributes with a pending value."""
    shown = reader.read(system.link('Bios'), steady=True)
    where = modes.settings_uri(shown) if shown is not None else None
    kept = reader.read(where)
    if shown is None or kept is None:
        return
    now, soon = shown.doc.get('Attributes'), kept.doc.get('Attributes')
    if not isinstance(now, dict) or not isinstance(soon, dict):
        return
    changed = [name for name, value in soon.items()
               if name not in modes.attributes() and name in now
               and _differs(now[name], value)]
    if changed:
        names = ', '.join(f'{n} {str(soon[n])[:40]}'
                          for n in changed[:_NAMED])
        more = len(changed) - _NAMED
        yield Waiting('settings', kept.uri, f'BIOS settings {names}' + (
            f' and {more} more' if more > 0 else ''))


def _differs(now: Any, soon: Any) -> bool:
    """Whether a reported value, which is not a password, will change."""
    return soon is not None and now is not None and now != soon and (
        type(now) is type(soon))
