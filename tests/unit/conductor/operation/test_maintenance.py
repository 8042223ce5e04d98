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

"""Reads go on in maintenance, and a stale operation is in nobody's way."""

from __future__ import annotations

import json
from typing import Any

from ironic.common import exception
from ironic.common import states
from ironic import objects
import pytest

from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import step_end
from ironic_accel.conductor.upkeep import periodics
from tests.unit.conductor.operation.test_runner import stage
from tests.unit.conductor.stage import Stage

__all__ = ['stage']


def refresh(stage: Stage, node: Any, **args: Any) -> operation.Operation:
    """Request a refresh, as the API does; gives its operation."""
    stage.node = node
    task = stage.acquire(node)
    vendor = task.driver.vendor
    try:
        vendor.validate(task, 'accel_refresh', http_method='POST', **args)
        vendor.accel_refresh(task, http_method='POST', **args)
    finally:
        task.release_resources()
    node.refresh()
    found = operation.load(node)
    assert found is not None
    return found


@pytest.mark.parametrize('state', [
    states.MANAGEABLE, states.CLEANFAIL, states.SERVICEFAIL,
    states.DEPLOYFAIL, states.INSPECTFAIL])
def test_a_node_in_maintenance_is_refreshed(
        stage: Stage, state: str) -> None:
    node = stage.make_node(provision_state=state, maintenance=True)
    assert not refresh(stage, node).power_on
    assert periodics.due(node)
    told = stage.run()
    assert (told['outcome'], told['found']) == ('done', 2)
    assert 'CUSTOM_ACCEL_GPU_X2' in stage.traits


def test_a_host_in_maintenance_is_not_powered_on_to_be_read(
        stage: Stage) -> None:
    node = stage.make_node(provision_state=states.MANAGEABLE)
    stage.box.host = 'off'
    assert refresh(stage, node).power_on
    node.maintenance = True
    node.save()
    told = stage.run()
    assert stage.box.host == 'off'
    assert told['note'] == ('host off: not inventoried (in maintenance it is '
                            'not powered on)')
    with pytest.raises(exception.InvalidState, match='node power on'):
        refresh(stage, node, power_on=True)


def test_a_node_that_is_worked_on_is_not_refreshed(stage: Stage) -> None:
    node = stage.make_node(provision_state=states.CLEANWAIT)
    with pytest.raises(exception.InvalidState, match='cannot refresh'):
        refresh(stage, node)


def test_a_stale_operation_ends_as_stopped_when_the_next_begins(
        stage: Stage) -> None:
    """An operator set maintenance, aborted, and managed the node by hand."""
    stage.begin(profile='h100-new')
    while not stage.box.pushes:
        stage.tick()
    stage.node.refresh()
    stage.node.provision_state = states.MANAGEABLE
    stage.node.save()
    stale = operation.load(stage.node)
    assert stale is not None
    current = refresh(stage, stage.node)
    assert current.id != stale.id
    doc, = [json.loads(e.event.partition('\n')[2])
            for e in objects.NodeHistory.list_by_node_id(
                None, stage.node.id)
            if e.event_type == 'accelerator' and '\n' in e.event]
    assert (doc['id'], doc['outcome']) == (stale.id, 'stopped')
    record = operation.load_record(stage.node)
    # What may still be written is taken over.
    assert record is not None and record.intent is not None


@pytest.mark.parametrize(('current', 'state', 'ended'), [
    ({'kind': 'clean'}, 'clean wait', False),
    ({'kind': 'clean'}, 'cleaning', False),
    ({'kind': 'clean'}, 'clean failed', True),
    ({'kind': 'clean'}, 'service wait', True),
    ({'kind': 'service'}, 'active', True),
    ({'kind': 'deploy'}, 'wait call-back', False),
    ({'kind': 'idle', 'state': 'active'}, 'active', False),
    ({'kind': 'idle', 'state': 'active'}, 'deleting', True),
    ({'kind': 'idle'}, 'active', False),
    ({'kind': 'idle', 'work': 'watch', 'state': 'active'}, 'cleaning', False),
    ({'kind': 'of a later version'}, 'active', True)])
def test_the_provision_state_shows_whether_an_operation_has_ended(
        current: Any, state: str, ended: bool) -> None:
    stored: Any = {'step': 'x', **current}
    assert keys.has_ended(stored, state) is ended


@pytest.mark.parametrize(('values', 'nothing', 'expected'), [
    ({'kind': 'idle', 'work': 'look'}, True,
     'baremetal accelerator refresh UUID'),
    ({'kind': 'clean'}, False,
     'baremetal accelerator history UUID --failed, then baremetal node '
     'maintenance unset UUID, then baremetal node manage UUID, then '
     'baremetal accelerator apply UUID --profile p'),
    ({'kind': 'service', 'step': 'apply_profile_in_band'}, True,
     'baremetal accelerator history UUID --failed, then baremetal '
     'accelerator apply UUID --profile p --via agent'),
    ({'kind': 'service', 'inline': True}, False,
     'baremetal accelerator history UUID --failed, then baremetal node '
     'maintenance unset UUID, then baremetal accelerator apply UUID '
     '--profile FILE (FILE: the one with profile p)'),
    ({'kind': 'service', 'disruption': True}, True,
     'baremetal accelerator history UUID --failed, then baremetal '
     'accelerator apply UUID --profile p --max-activation warm-reboot '
     '--allow-disruption'),
    ({'kind': 'clean', 'work': 'reset', 'step': 'reset_devices'}, False,
     'baremetal accelerator history UUID --failed, then baremetal node '
     'maintenance unset UUID, then baremetal node manage UUID, then '
     'run the step again'),
    ({'kind': 'deploy'}, False,
     'baremetal accelerator history UUID --failed')])
def test_a_failure_names_the_commands_to_run_next(
        stage: Stage, values: dict[str, Any], nothing: bool, expected: str
        ) -> None:
    node = stage.make_node()
    if 'disruption' in values:
        node.service_step = {'step': 'apply_profile', 'args': {
            'max_activation': 'warm-reboot', 'allow_disruption': True}}
    current = operation.Operation(**{
        'step': 'apply_profile', 'profile': 'p', **values})
    assert step_end.next_commands(node, current, nothing) == (
        expected.replace('UUID', node.uuid))
