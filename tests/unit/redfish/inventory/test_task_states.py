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

"""The table of task and job states, for the schemas and real responses."""

from __future__ import annotations

import pathlib
import re
import tarfile
from typing import Any

import pytest

from ironic_accel.redfish.inventory import task_states
from ironic_accel.redfish.vendors.task_rows import Phase


def job(state: Any, percent: int | None = None, *said: str
        ) -> dict[str, Any]:
    return {'TaskState': state, 'PercentComplete': percent,
            'Messages': [{'Message': text} for text in said]}


@pytest.mark.parametrize(('doc', 'expected'), [
    (job('Running', 100), Phase.GOING),
    (job('Suspended'), Phase.GOING),
    (job('Interrupted'), Phase.GOING),
    (job('UserIntervention', 40), Phase.GOING),
    (job('UserIntervention', 100), Phase.WAITING),
    (job('UserIntervention', None,
         'Job completed, server reboot pending'), Phase.WAITING),
    (job('Pending', 0, 'Task successfully scheduled.'), Phase.WAITING),
    (job('Pending', 0, 'Waiting for the lock'), Phase.GOING),
    (job('Running', 50, 'server reboot pending'), Phase.GOING),
    (job('Completed', 100, 'server reboot pending'), Phase.OVER),
    ({'JobState': 'Scheduled', 'Message': 'Task successfully scheduled.'},
     Phase.WAITING),
    ({'JobState': 'RebootPending'}, Phase.WAITING),
    ({'JobState': 'CompletedWithErrors'}, Phase.OVER),
    (job('Service'), Phase.SERVING),
    (job('Invented'), Phase.UNKNOWN), (job(None), Phase.UNKNOWN),
    (job(7), Phase.UNKNOWN), ({}, Phase.UNKNOWN),
    ({'TaskState': '', 'Messages': 'x'}, Phase.UNKNOWN),
    ({'TaskState': 'New', 'Messages': [None, {'Message': 3}]}, Phase.GOING)])
def test_the_phase_of_a_task(doc: dict[str, Any], expected: Phase) -> None:
    assert task_states.phase(doc) is expected


@pytest.mark.parametrize(('schema', 'enum'), [
    ('Task_v1.xml', 'TaskState'), ('Job_v1.xml', 'JobState')])
def test_every_state_of_the_schema_is_in_the_table(
        schemas: pathlib.Path, schema: str, enum: str) -> None:
    with tarfile.open(schemas / 'csdl.tar.gz') as archive:
        member = next(m for m in archive if m.name.endswith(schema))
        file = archive.extractfile(member)
        assert file is not None
        text = file.read().decode()
    body = re.search(f'EnumType Name="{enum}">(.*?)</EnumType>', text, re.S)
    assert body is not None
    names = re.findall('<Member Name="([A-Za-z]+)"', body[1])
    assert len(names) > 10
    assert set(names) <= set(task_states.states())


@pytest.mark.parametrize(('end', 'expected'), [
    ('2024-03-26T22:17:44-05:00', True), ('TIME_NA', False), (None, False),
    ('', False), (7, False)])
def test_placeholder_end_times(end: Any, expected: bool) -> None:
    assert task_states.ended({'EndTime': end}) is expected


#: Message of a network card's update in Dell's issue 266.
REBOOT = ('Job completed, server reboot pending In order to apply changes, '
          'recover from errors, or complete the operation, a component reset '
          'is required with the Reset action URI '
          "'/redfish/v1/Systems/System.Embedded.1/Actions/"
          "ComputerSystem.Reset' and ResetType 'PowerCycle'.")


@pytest.mark.parametrize('state', [
    'UserIntervention', 'Pending', 'Suspended', 'Interrupted'])
@pytest.mark.parametrize(('text', 'message_id', 'expected'), [
    (REBOOT, 'IDRAC.2.8.PR19', Phase.WAITING),
    ('a virtual A/C cycle of the server', 'X', Phase.WAITING),
    ('The update needs a host reset', 'X', Phase.WAITING),
    ('', 'Base.1.12.ResetRequired', Phase.WAITING),
    ('Awaiting for an action', 'Update.1.0.AwaitToActivate', Phase.WAITING),
    ('Lifecycle Controller in use. This job will start when Lifecycle '
     'Controller is available.', 'X', Phase.GOING),
    ('The BMC reset the component', None, Phase.GOING)])
def test_messages_of_tasks_that_wait_for_a_reset(
        state: str, text: str, message_id: Any, expected: Phase) -> None:
    assert task_states.phase({'TaskState': state, 'Messages': [
        {'Message': text, 'MessageId': message_id}]}) is expected


@pytest.mark.parametrize(('standard', 'own', 'expected', 'good'), [
    ('Completed', 'CompletedWithErrors', Phase.OVER, False),
    ('Completed', 'Failed', Phase.OVER, False),
    ('Completed', 'Running', Phase.GOING, False),
    ('Completed', 'Scheduled', Phase.WAITING, False),
    ('Completed', 'Completed', Phase.OVER, True),
    ('Pending', 'Scheduled', Phase.WAITING, False),
    ('Starting', 'Scheduled', Phase.WAITING, False),
    ('Running', 'Scheduled', Phase.GOING, False),
    ('Running', 'Completed', Phase.GOING, False)])
def test_the_job_state_of_an_idrac_task_counts(
        standard: str, own: str, expected: Phase, good: bool) -> None:
    doc = {'TaskState': standard, 'Oem': {'Dell': {'JobState': own}}}
    assert task_states.phase(doc) is expected
    assert task_states.good(doc) is good


@pytest.mark.parametrize('oem', [None, 3, [], {}, {'Dell': 'x'},
                                 {'Dell': {'JobState': 3}}])
def test_an_invalid_vendor_state_is_ignored(oem: Any) -> None:
    doc = {'TaskState': 'Completed', 'Oem': oem}
    assert task_states.phase(doc) is Phase.OVER
    assert task_states.good(doc)
    assert not task_states.good({'Oem': oem})


def test_a_job_that_reboots_the_host_counts_as_running() -> None:
    assert task_states.phase({
        'Id': 'RID_8431', 'JobState': 'RebootPending'}) is Phase.GOING
    assert task_states.phase({
        'Id': 'JID_8431', 'JobState': 'RebootPending'}) is Phase.WAITING


def test_the_description_of_a_task() -> None:
    assert task_states.describe({
        'Name': 'Update', 'TaskState': 'Pending', 'Messages': 3,
        'Oem': {'Dell': {'JobState': 'Scheduled', 'Message': 'later'}}}) == (
            'Update Pending / Scheduled: later')
    assert task_states.describe({'Name': 3}) == (
        'task in an unknown state')
