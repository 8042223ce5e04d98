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

"""Updates as jobs of the JobService, or of an iDRAC's manager.

Redfish Job v1.2 (DSP2046); DellJob v1.4 at
``Managers/iDRAC.Embedded.1/Oem/Dell/Jobs``, linked in the manager as
``Links.Oem.Dell.Jobs``. They exist while the fault ``jobs`` is active.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironic_accel_emulator import pointers
from ironic_accel_emulator.documents import ROOT, Document, target

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box
    from ironic_accel_emulator.tasks import Task

SERVICE = f'{ROOT}/JobService'
JOBS = f'{SERVICE}/Jobs'
_DELL = '/Links/Oem/Dell/Jobs'


def place(box: Box) -> str:
    """The collection of the system's jobs."""
    if 'JobService' in (box.documents.see(ROOT) or {}):
        return JOBS
    for manager in box.managers:
        found = target(
            pointers.get(box.documents.see(manager) or {}, _DELL)
        )
        if found is not None:
            return found
    return JOBS


def is_collection(box: Box, path: str) -> bool:
    """Whether a path is that collection, on a system with jobs."""
    if path != JOBS and not path.endswith('/Oem/Dell/Jobs'):
        return False  # without reading the documents
    return box.faults.active('jobs') and path == place(box)


def listed(box: Box, root: Document) -> None:
    """Add the link to the job service to a service root."""
    if box.faults.active('jobs') and place(box) == JOBS:
        root['JobService'] = {'@odata.id': SERVICE}


def service(box: Box, path: str) -> Document | None:
    """The job service, if it is at that path."""
    if path != SERVICE or not box.faults.active('jobs'):
        return None
    return {
        '@odata.id': SERVICE,
        '@odata.type': '#JobService.v1_0_4.JobService',
        'Id': 'JobService',
        'Name': 'Job Service',
        'ServiceEnabled': True,
        'Status': {'State': 'Enabled', 'Health': 'OK'},
        'Jobs': {'@odata.id': JOBS},
    }


def document(box: Box, job: Task) -> Document:
    """The resource of a job."""
    dell = job.place != JOBS
    kind = '#DellJob.v1_4_0.DellJob' if dell else '#Job.v1_2_3.Job'
    found: Document = {
        '@odata.id': job.uri,
        '@odata.type': kind,
        'Id': job.id,
        'Name': job.name,
        'JobState': _DELL_STATES.get(job.state, job.state)
        if dell
        else job.state,
        'StartTime': box.timestamp(job.started),
        'PercentComplete': job.percent,
        'Messages': list(job.messages),
    }
    if dell:
        found['JobType'] = 'FirmwareUpdate'
        found['Message'] = job.messages[-1]['Message']
    else:
        found['JobStatus'] = job.status
    if job.ended is not None:
        found['EndTime'] = box.timestamp(job.ended)
    return found


#: JobState of DellJob if it differs from TaskState.
_DELL_STATES = {'Exception': 'Failed', 'UserIntervention': 'Scheduled'}
