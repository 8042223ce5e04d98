# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Changes that another client has staged for the next host reset.

A pending update as a task or a job, BIOS settings, or firmware that was
written and not activated. A host reset applies them, which is recorded as a
violation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironic_accel_emulator.documents import Document

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

#: Name of the pending update.
NAME = 'Firmware Update: BIOS'
VERSION = '9.9.9-of-others'
CARRIED = 'a change staged by another client was applied'


def begin(box: Box, kind: str, value: str | None) -> None:
    """Stage a change: the faults ``foreign-job``, ``-settings`` and
    ``-firmware`` of the catalogue."""
    {'foreign-job': _job, 'foreign-settings': _settings,
     'foreign-firmware': _firmware}[kind](box, value)


def _job(box: Box, state: str | None) -> None:
    task = box.tasks.new(NAME)
    task.state, task.foreign = state or 'Scheduled', True
    if task.state == 'UserIntervention':
        task.percent = 100
    if task.state not in ('New', 'Pending'):
        # A generic service has only these two.
        task.say('IDRAC.2.8.JCP001', (), 'Task successfully scheduled.',
                 'OK')


def carried_out(box: Box) -> None:
    """Apply the pending updates after a host reset."""
    for task in list(box.tasks.all.values()):
        if task.foreign and not task.ended:
            task.foreign, task.state = False, 'Running'
            box.violate(CARRIED, task.uri)
            box.tasks.end(task, 'Completed')


def _settings(box: Box, name: str | None) -> None:
    """Stage BIOS settings of the first host, adding a BIOS if needed."""
    host = next(iter(box.hosts.values()))
    bios = f'{host.uri}/Bios'
    now: Document = dict(box.documents.see(bios) or {})
    attributes = {**now.get('Attributes', {}), name or 'BootMode': 'Uefi'}
    box.documents.put(bios, {
        '@odata.id': bios, '@odata.type': '#Bios.v1_2_0.Bios', 'Id': 'Bios',
        'Name': 'BIOS', **now, 'Attributes': attributes,
        '@Redfish.Settings': {
            '@odata.type': '#Settings.v1_3_5.Settings',
            'SettingsObject': {'@odata.id': f'{bios}/Settings'}}})
    box.documents.put(f'{bios}/Settings', {
        '@odata.id': f'{bios}/Settings', '@odata.type': '#Bios.v1_2_0.Bios',
        'Id': 'Settings', 'Name': 'Pending BIOS',
        'Attributes': {name or 'BootMode': 'Legacy'}})
    system = box.documents.see(host.uri) or {}
    system['Bios'] = {'@odata.id': bios}


def _firmware(box: Box, component: str | None) -> None:
    """Stage a version of a component without activating it."""
    part = next(p for p in box.components.values()
                if component is None or p.id == component)
    part.stage(VERSION, '0' * 64)
