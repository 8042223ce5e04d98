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

"""A job that an earlier version began goes on after an upgrade."""

from __future__ import annotations

import json
import pathlib

from ironic_accel.inband.jobs.job_store import Jobs
from ironic_accel.inband.jobs.job_store import StoredJob

RECORDED = pathlib.Path(__file__).with_name('documents') / 'job.json'


def test_a_stored_job_is_read_to_the_same_value() -> None:
    assert StoredJob.from_dict(json.loads(RECORDED.read_text())) == StoredJob(
        'ab12', 'agent', 'update', (('0000:17:00.0', 'nic'),),
        ('0000:17:00.0',), 'b7a1', 1.7e9, {'0000:17:00.0': 'nic-1'},
        'nic-fw', 'mlxburn: 40 %', 40, (4711, 99), ((4712, None),), None,
        None, 55.5)


def test_job_of_the_release_before_is_polled_with_its_ticket(
        tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'ab12'
    folder.mkdir()
    (folder / 'job.json').write_text(RECORDED.read_text())
    jobs = Jobs(str(tmp_path))
    job = jobs.load('ab12')
    assert job is not None
    assert job.ticket == {'transport': 'agent', 'job': 'ab12'}
    assert job.busy().kind == 'flash'
    jobs.save(job)
    assert jobs.load('ab12') == job
