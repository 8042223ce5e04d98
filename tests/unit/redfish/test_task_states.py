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

"""The table of task and job states, against the schemas and real answers."""

from __future__ import annotations

import pathlib
import re
import tarfile
from typing import Any

import pytest

from ironic_accel.redfish import task_states
from ironic_accel.redfish.task_states import Phase


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
def test_what_a_task_does(doc: dict[str, Any], expected: Phase) -> None:
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
    assert set(names) <= set(task_states.STATES)


@pytest.mark.parametrize(('end', 'expected'), [
    ('2024-03-26T22:17:44-05:00', True), ('TIME_NA', False), (None, False),
    ('', False), (7, False)])
def test_an_end_that_is_none(end: Any, expected: bool) -> None:
    assert task_states.ended({'EndTime': end}) is expected
