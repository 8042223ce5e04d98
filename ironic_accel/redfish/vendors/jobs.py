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

"""Where vendors show the job that a write became.

Sources: Dell's iDRAC-Redfish-Scripting
(DeviceFirmwareMultipartUploadREDFISH.py: a job is read as a task, then under
JobService and under the manager's own jobs, where tasks are forgotten
sooner), and the R750 capture, which has all of these places; fwupd
``plugins/redfish/fu-redfish-smc-device.c`` and Intel xpumanager (Supermicro
names its task in the message of an ``Accepted`` body); DMTF's Update
registry, OperationTransitionedToJob.
"""

from __future__ import annotations

import re

#: Pattern of a job's Id, and the places at which it may be read.
PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r'JID_[0-9]+', (
        '/redfish/v1/TaskService/Tasks/{}',
        '/redfish/v1/JobService/Jobs/{}',
        '/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/Jobs/{}',
        '/redfish/v1/Managers/iDRAC.Embedded.1/Jobs/{}')),
)

#: MessageIds, without registry and version, that name a task in their
#: arguments.
NAMES_TASK = frozenset({
    'OemSimpleupdateAcceptedMessage', 'OperationTransitionedToJob'})

#: What the path of a task, a job or a monitor looks like.
IS_TASK = re.compile(
    r'/redfish/v1/(.+/)?(Tasks|TaskMonitors?|Jobs)/[^/]+(/\w*Monitor)?')


def places(job_id: str) -> tuple[str, ...]:
    """Other paths at which a job of that Id may be read."""
    for pattern, templates in PLACES:
        if re.fullmatch(pattern, job_id):
            return tuple(t.format(job_id) for t in templates)
    return ()
