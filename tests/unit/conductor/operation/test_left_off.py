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

"""A host that a reset of ours left off was not off before the next step."""

from __future__ import annotations

from typing import Any

from ironic.common import states
from ironic.conductor import utils as manager_utils
import pytest

from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.upkeep import cleanup
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.stage import Stage

stage = test_runner.stage

#: Requests to power on that a BMC turns down, more than any operation makes.
ALL = 10_000


def leave_off(stage: Stage) -> str:
    """Fail a step whose reset cannot power the host on again.

    :returns: the id of its operation.
    """
    stage.begin(profile='h100-new')
    with test_runner.turning_down(stage, ALL):
        told = stage.run(100)
    assert told['not_restored'] == states.POWER_ON
    assert stage.box.host == 'off'
    stage.node.maintenance = False
    stage.node.save()
    return str(told['id'])


def power(stage: Stage, state: str) -> None:
    """Change the power state, as an operator does."""
    task: Any = stage.acquire(stage.node)
    manager_utils.node_power_action(task, state)
    task.release_resources()
    stage.node.refresh()


@pytest.mark.parametrize(('step', 'args', 'outcome'), [
    ('apply_profile', {'profile': 'h100-new'}, 'converged'),
    ('refresh_traits', {}, 'done')])
def test_the_next_step_powers_the_host_on_and_leaves_it_on(
        stage: Stage, step: str, args: dict[str, str], outcome: str) -> None:
    assert leave_off(stage) == stage.info[keys.LEFT_OFF.name]
    stage.begin(step=step, node=stage.node, **args)
    assert stage.run(100)['outcome'] == outcome
    assert stage.box.host == 'on'
    assert keys.LEFT_OFF.name not in stage.info


def test_it_is_known_after_a_retry_that_fails_too(stage: Stage) -> None:
    leave_off(stage)
    stage.begin(profile='h100-new', node=stage.node)
    with test_runner.turning_down(stage, ALL):
        assert stage.run(100)['outcome'] == 'failed'
    assert stage.box.host == 'off'
    assert keys.LEFT_OFF.is_there(stage.node)
    stage.node.maintenance = False
    stage.begin(step='refresh_traits', node=stage.node)
    assert stage.run(100)['outcome'] == 'done'
    assert stage.box.host == 'on'


def test_it_is_known_after_a_refresh_that_may_not_power_on(
        stage: Stage) -> None:
    leave_off(stage)
    stage.node.provision_state = states.MANAGEABLE
    operation.begin_refresh(stage.node, power_on=False)
    stage.node.save()
    assert stage.run(100)['note'] == 'host off: not inventoried'
    assert stage.box.host == 'off'
    assert keys.LEFT_OFF.is_there(stage.node)


def test_a_host_that_an_operator_switched_off_since_was_off_before(
        stage: Stage) -> None:
    leave_off(stage)
    power(stage, states.POWER_ON)
    power(stage, states.POWER_OFF)
    assert not keys.LEFT_OFF.is_there(stage.node)
    stage.begin(step='refresh_traits', node=stage.node)
    assert stage.run(100)['outcome'] == 'done'
    assert stage.box.host == 'off'


def test_it_is_known_of_a_step_that_is_aborted_before_the_host_is_on(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with test_runner.turning_down(stage, ALL):
        for _ in range(100):
            current = stage.tick()
            if current is None or current.phase == 'restore':
                break
    assert current is not None
    stage.node.provision_state = states.CLEANFAIL
    stage.node.clean_step = {}
    stage.node.save()
    task = stage.acquire(stage.node)
    cleanup.reap(task)
    task.release_resources()
    stage.node.refresh()
    left = operation.load(stage.node)
    assert left is None or left.work == 'watch'
    assert stage.info[keys.LEFT_OFF.name] == current.id
    stage.begin(step='refresh_traits', node=stage.node)
    assert stage.run(100)['outcome'] == 'done'
    assert stage.box.host == 'on'


def test_a_host_that_was_off_is_off_again(stage: Stage) -> None:
    stage.box.host = 'off'
    stage.begin(step='refresh_traits', node=stage.make_node(
        power_state=states.POWER_OFF))
    assert stage.run(100)['outcome'] == 'done'
    assert stage.box.host == 'off'
    assert keys.LEFT_OFF.name not in stage.info
