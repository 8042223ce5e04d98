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

"""``baremetal accelerator progress``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]
RUNNING: dict[str, Any] = {
    'id': 'run-1', 'work': 'apply', 'step': 'apply_profile', 'kind': 'clean',
    'profile': 'ecc-on', 'progress': 'writing gpu', 'percent': 40}


def busy(make_cloud: MakeCloud, role: str = 'admin') -> Cloud:
    """A node with an operation in progress."""
    cloud = make_cloud(role)
    cloud.add('one', provision_state='clean wait',
              driver_internal_info={'accel_operation': RUNNING})

    def progress(node: dict[str, Any], body: Any) -> Any:
        info = node['driver_internal_info']
        return 200, {'operation': info.get('accel_operation'),
                     'result': info.get('accel_result'),
                     'guard': {'what': 'gpu-0'}, 'stopped': None}
    cloud.passthru['accel_progress'] = progress
    return cloud


@pytest.mark.parametrize('role', ['admin', 'reader'])
def test_the_operation_in_progress_is_shown(
        make_cloud: MakeCloud, role: str) -> None:
    told = run(busy(make_cloud, role), 'progress', 'one', '-f', 'json')
    assert told.status == 0
    assert {k: told.data[k] for k in (
        'in_progress', 'step', 'profile', 'progress', 'percent')} == {
            'in_progress': True, 'step': 'apply_profile',
            'profile': 'ecc-on', 'progress': 'writing gpu', 'percent': 40}
    assert told.data['power_locked_for'] == (
        'gpu-0' if role == 'admin' else None)


def test_a_caller_who_may_read_neither_is_denied(
        make_cloud: MakeCloud) -> None:
    told = run(busy(make_cloud, 'lessee'), 'progress', 'one')
    assert told.status == 1
    assert 'not permitted to call accel_progress' in told.err


@pytest.mark.parametrize(('outcome', 'status'), [
    ('converged', 0), ('refused', 3), ('failed', 4)])
def test_wait_ends_with_the_operation_and_its_exit_code(
        make_cloud: MakeCloud, outcome: str, status: int) -> None:
    cloud = busy(make_cloud)
    reads: list[int] = []

    def read(node: dict[str, Any]) -> None:
        reads.append(1)
        if len(reads) == 2:
            node['provision_state'] = 'manageable'
            node['driver_internal_info'] = {'accel_result': result(
                outcome=outcome)}
    cloud.on_read = read
    told = run(cloud, 'progress', 'one', '--wait', '60', '-f', 'json')
    assert (told.status, told.data['in_progress'],
            told.data['last_outcome']) == (status, False, outcome)


def test_wait_without_an_operation_shows_the_last_result(
        make_cloud: MakeCloud) -> None:
    cloud = busy(make_cloud)
    cloud.nodes['one']['driver_internal_info'] = {'accel_result': result(
        outcome='failed', error={'summary': 'the BMC rejected the image',
                                 'class': 'permanent'})}
    told = run(cloud, 'progress', 'one', '--wait', '-f', 'json')
    assert (told.status, told.data['in_progress']) == (0, False)
    assert 'the BMC rejected the image' in told.data['last_error']


def test_wait_ends_at_its_limit(make_cloud: MakeCloud) -> None:
    told = run(busy(make_cloud), 'progress', 'one', '--wait', '1', '-f',
               'json')
    assert (told.status, told.data['in_progress']) == (4, True)
    assert 'not waited for longer than 1 s' in told.err
