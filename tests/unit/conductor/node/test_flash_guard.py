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

"""The guard, and the power interface behind it."""

from __future__ import annotations

from collections.abc import Callable
import time
import types
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.conductor import utils as manager_utils
from ironic.drivers.modules.redfish import power as redfish_power
import pytest

from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import guard_followup
from ironic_accel.conductor.operation import context
from ironic_accel.converge.ports import Pace
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Record
from ironic_accel.model.record import Staged

Make = Callable[..., Any]


@pytest.fixture
def upstream() -> Any:
    """Ironic's Redfish power interface, which talks to the BMC."""
    with mock.patch.multiple(
            redfish_power.RedfishPower, autospec=True,
            get_power_state=mock.DEFAULT, set_power_state=mock.DEFAULT,
            reboot=mock.DEFAULT) as methods:
        yield methods


def guarded(task: Any, seconds: float = 600) -> None:
    flash_guard.put(task.node, 'gpu-1', time.time(), seconds)
    task.node.save()


def test_validate_refuses_with_device_and_time(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    task.driver.power.validate(task)
    guarded(task)
    with pytest.raises(exception.InvalidState,
                       match=r'firmware update in progress on gpu-1 .* '
                             r'until about 20'):
        task.driver.power.validate(task)
    assert exception.InvalidState.code == 409


@pytest.mark.parametrize('seconds', [-86400, -1, 0, 4e9])
def test_no_clock_ends_a_guard(
        make_node: Make, acquire: Make, seconds: float) -> None:
    task = acquire(make_node())
    guarded(task, seconds)
    with pytest.raises(exception.InvalidState, match='update in progress'):
        task.driver.power.validate(task)
    assert flash_guard.lock_of(task.node) is not None


def test_invalid_driver_info_is_still_reported(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(driver_info={}))
    with pytest.raises(exception.MissingParameterValue,
                       match='redfish_address'):
        task.driver.power.validate(task)


@pytest.mark.parametrize('target', [
    states.POWER_OFF, states.REBOOT, states.SOFT_POWER_OFF])
def test_power_actions_are_refused_and_nothing_is_forgotten(
        make_node: Make, acquire: Make, upstream: Any, target: str) -> None:
    known = {'agent_url': 'https://192.0.2.9', 'agent_secret_token': 'x' * 8,
             'agent_cached_clean_steps': {'deploy': []}}
    task = acquire(make_node(driver_internal_info=known))
    guarded(task)
    with pytest.raises(exception.DriverOperationError,
                       match='update in progress'):
        manager_utils.node_power_action(task, target)
    upstream['set_power_state'].assert_not_called()
    upstream['reboot'].assert_not_called()
    task.node.refresh()
    assert task.node.driver_internal_info.items() >= known.items()
    assert task.node.power_state == states.POWER_ON


def test_the_recorded_power_state_is_given(
        make_node: Make, acquire: Make, upstream: Any) -> None:
    upstream['get_power_state'].return_value = states.POWER_OFF
    task = acquire(make_node())
    assert task.driver.power.get_power_state(task) == states.POWER_OFF
    guarded(task)
    assert task.driver.power.get_power_state(task) == states.POWER_ON


def test_our_own_actions_pass(
        make_node: Make, acquire: Make, upstream: Any) -> None:
    upstream['get_power_state'].return_value = states.POWER_ON
    task = acquire(make_node())
    guarded(task)
    with flash_guard.passing(task):
        manager_utils.node_power_action(task, states.POWER_OFF)
    upstream['set_power_state'].assert_called_once_with(
        task.driver.power, task, states.POWER_OFF, timeout=None)
    assert not flash_guard.passes(task)


def test_another_task_does_not_pass(
        make_node: Make, acquire: Make, upstream: Any) -> None:
    node = make_node()
    ours = acquire(node)
    guarded(ours)
    theirs = acquire(node, shared=True)
    with flash_guard.passing(ours), pytest.raises(
            exception.DriverOperationError):
        theirs.driver.power.reboot(theirs)


def test_dropping_gives_the_power_back(
        make_node: Make, acquire: Make, upstream: Any) -> None:
    task = acquire(make_node())
    guarded(task)
    flash_guard.drop(task.node)
    task.node.save()
    task.driver.power.validate(task)
    task.driver.power.reboot(task)
    upstream['reboot'].assert_called_once_with(
        task.driver.power, task, timeout=None)


@pytest.mark.parametrize(('begun', 'sure', 'kept'), [
    (-10, False, True), (-10, True, False), (-9e4, False, False),
    (None, False, False)])
def test_update_started_by_our_reset_is_locked(
        make_node: Make, acquire: Make, begun: float | None, sure: bool,
        kept: bool) -> None:
    """The box shows no task of it; idle looks do not end the guard."""
    task = acquire(make_node())
    current = operation.Operation(kind='clean', step='apply_profile',
                                  work='apply')
    operation.store(task.node, current)
    task.node.save()
    now = clock.elapsed(task.node)
    record = Record(staged=(Staged(
        Item('gpu-1', 'gpu', 'firmware', '2'), Activation.WARM_REBOOT, 1,
        Activation.WARM_REBOOT, sure=sure,
        begun=None if begun is None else now + begun),))
    context.NodeJournal(task, current).save(record)
    standing = flash_guard.lock_of(task.node)
    assert (standing is not None) is kept
    if standing is not None:
        assert standing['what'] == 'gpu-1'
        ctx: Any = types.SimpleNamespace(
            node=task.node, operation=current, now=now, pace=Pace())
        assert guard_followup.is_open(ctx)
