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

"""How many files a profile goes through until the PATCH leaves."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any

from ironic.common import states
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer
import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import runner
from tests.unit.conductor import sample
from tools import files_touched

#: Files from the beginning of a tick until its PATCH leaves, without those
#: that only read the inventory before it.
#: Where history entries have no project, they go by ironic_series.
MOST = 45 if ironic_series.HISTORY_PROJECT.present else 46

Make = Callable[..., Any]


def test_a_profile_goes_through_few_files_to_the_bmc(
        make_node: Make, acquire: Make, profiles: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    profiles.joinpath('ecc.yaml').write_text(sample.yaml_of({
        'profile': 1, 'name': 'ecc', 'devices': {'gpus': {
            'match': {'kind': 'gpu'}, 'count': 8,
            'modes': {'ecc': 'disabled'}}}}))
    box = load_box('hgx-h100')
    with TwinServer(box) as url:
        node = make_node(
            driver_info={'redfish_address': url, 'redfish_system_id':
                         '/redfish/v1/Systems/System_0'},
            provision_state=states.CLEANING,
            target_provision_state=states.MANAGEABLE)
        task = acquire(node)
        state = task.driver.vendor.execute_clean_step(
            task, {'step': 'apply_profile', 'args': {'profile': 'ecc'}})
        task.node.provision_state = state
        task.node.clean_step = {'step': 'apply_profile',
                                'interface': 'vendor'}
        task.node.save()
        with files_touched.traced() as trace:
            runner.tick(task)
        node.refresh()
        left = operation.load(node)
        assert left is not None, node.driver_internal_info
        assert box.ledger.count('PATCH') == 8, left.progress
    with capsys.disabled():
        print(f'\n{files_touched.report(trace)}')
    assert trace.sent
    assert trace.files.keys() >= {
        'conductor/operation/runner.py', 'converge/execute.py',
        'model/stages.py', 'redfish/actions/mode_setter.py',
        'redfish/client/writer.py'}
    assert len(trace.files) <= MOST
