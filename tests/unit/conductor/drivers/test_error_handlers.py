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

"""No handler of Ironic's cuts a flash, and none is left half done."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.conductor import cleaning
from ironic.conductor import manager
from ironic.conductor import servicing
from ironic.conductor import utils
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import context
from ironic_accel.model.errors import Unreachable
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.operation import test_step_end
from tests.unit.conductor.operation.test_step_end import World

Make = Callable[..., Any]
stage = test_runner.stage
world = test_step_end.world

OPTIONS = ('poweroff_in_cleanfail', 'poweroff_in_servicefail',
           'force_power_state_during_sync')


@pytest.fixture(autouse=True)
def power_off() -> Iterator[None]:
    """Nodes that fail are powered off."""
    for name in OPTIONS:
        CONF.set_override(name, True, group='conductor')
    yield
    for name in OPTIONS:
        CONF.clear_override(name, group='conductor')


def guarded(world: World, state: str, **fields: Any) -> Any:
    """A task of a node in some state, on which a guard stands."""
    node = world.stage.node = world.stage.make_node(
        boot_interface='redfish-virtual-media', deploy_interface='direct',
        **{'provision_state': state, **fields})
    task = world.stage.acquire(node)
    flash_guard.put(task.node, 'gpu-0', 0.0, 600)
    saving.save(task.node)
    return task


def ended(world: World, task: Any, state: str, *texts: str) -> None:
    """Nothing was cut, and the node tells why it is where it is."""
    if task.node is not None:
        task.release_resources()
    node = world.stage.node
    node.refresh()
    assert world.power == [] and world.stage.box.host == 'on'
    assert flash_guard.lock_of(node) is not None
    assert node.provision_state == state
    for text in texts:
        assert text in node.last_error
        assert text in world.history


STEP = {'step': 'x', 'interface': 'vendor', 'abortable': True}
CLEAN = {'clean_step': STEP}
SERVICE = {'service_step': STEP}


@pytest.mark.parametrize('target', [states.MANAGEABLE, states.AVAILABLE])
@pytest.mark.parametrize('step', [STEP, {}])
@pytest.mark.parametrize('state', [states.CLEANING, states.CLEANWAIT])
def test_a_clean_fails_with_its_reason(
        world: World, state: str, step: Any, target: str) -> None:
    task = guarded(world, state, clean_step=step,
                   target_provision_state=target)
    with pytest.raises(exception.DriverOperationError):
        utils.cleaning_error_handler(task, 'said', 'the disk is broken')
    ended(world, task, states.CLEANFAIL, 'the disk is broken',
          'firmware update in progress on gpu-0')
    node = world.stage.node
    assert node.maintenance is bool(step)
    assert node.target_provision_state == (
        states.MANAGEABLE if target == states.MANAGEABLE
        else states.AVAILABLE)


@pytest.mark.parametrize('step', [STEP, {}])
@pytest.mark.parametrize('state', [states.SERVICING, states.SERVICEWAIT])
def test_a_service_fails_with_its_reason(
        world: World, state: str, step: Any) -> None:
    task = guarded(world, state, service_step=step,
                   target_provision_state=states.ACTIVE)
    with pytest.raises(exception.DriverOperationError):
        utils.servicing_error_handler(task, 'said', 'the disk is broken')
    ended(world, task, states.SERVICEFAIL, 'the disk is broken',
          'firmware update in progress on gpu-0')


@pytest.mark.parametrize('target', [states.MANAGEABLE, states.AVAILABLE])
def test_a_clean_that_begins_over_a_write_fails(
        world: World, target: str) -> None:
    task = guarded(world, states.CLEANING, target_provision_state=target)
    with contextlib.suppress(exception.DriverOperationError):
        cleaning.do_node_clean(task)
    ended(world, task, states.CLEANFAIL,
          'firmware update in progress on gpu-0')


def test_a_service_that_begins_over_a_write_fails(world: World) -> None:
    task = guarded(world, states.SERVICING,
                   target_provision_state=states.ACTIVE)
    with contextlib.suppress(exception.DriverOperationError):
        servicing.do_node_service(task, [])
    ended(world, task, states.SERVICEFAIL,
          'firmware update in progress on gpu-0')


@pytest.mark.parametrize(('callback', 'state', 'fields', 'reason'), [
    (utils.cleanup_cleanwait_timeout, states.CLEANFAIL, CLEAN,
     'Timeout reached while cleaning'),
    (utils.abort_on_conductor_take_over, states.CLEANFAIL, CLEAN,
     'conductor take over'),
    (cleaning.do_node_clean_abort, states.CLEANFAIL, CLEAN,
     'Failed to tear down cleaning'),
    (utils.cleanup_servicewait_timeout, states.SERVICEFAIL, SERVICE,
     'Timeout reached while servicing'),
    (servicing.do_node_service_abort, states.SERVICEFAIL, SERVICE,
     'Failed to tear down service'),
    (utils.abort_on_conductor_take_over, states.DEPLOYFAIL, {},
     'conductor take over'),
    (utils.cleanup_rescuewait_timeout, states.RESCUEFAIL, {},
     'update in progress')])
def test_later_error_keeps_the_reason(
        world: World, callback: Callable[[Any], None], state: str,
        fields: dict[str, Any], reason: str) -> None:
    task = guarded(world, state, **fields)
    with contextlib.suppress(exception.DriverOperationError):
        callback(task)
    ended(world, task, state, reason)


@pytest.mark.parametrize('clean_up', [True, False])
def test_a_deploy_fails_with_its_reason(
        world: World, clean_up: bool) -> None:
    task = guarded(world, states.DEPLOYWAIT,
                   target_provision_state=states.ACTIVE)
    utils.deploying_error_handler(task, 'said', 'the disk is broken',
                                  clean_up=clean_up)
    ended(world, task, states.DEPLOYFAIL, 'the disk is broken')


def test_a_rescue_fails(world: World) -> None:
    task = guarded(world, states.RESCUING,
                   target_provision_state=states.RESCUE)
    utils.rescuing_error_handler(task, 'no ramdisk')
    ended(world, task, states.RESCUEFAIL,
          'firmware update in progress on gpu-0')


@pytest.mark.parametrize('recorded', [states.POWER_OFF, states.POWER_ON])
def test_the_power_sync_changes_nothing(world: World, recorded: str) -> None:
    """What is recorded is given while a guard stands, so nothing differs;
    and one that asked all the same is refused and goes on."""
    task = guarded(world, states.MANAGEABLE, power_state=recorded)
    other = (states.POWER_ON if recorded == states.POWER_OFF
             else states.POWER_OFF)
    with contextlib.ExitStack() as stack:
        # What else a pass asks the BMC for; the health since Ironic 35.
        for name in ('vendor', 'boot_mode', 'health'):
            if hasattr(utils, f'node_cache_{name}'):
                stack.enter_context(mock.patch.object(
                    utils, f'node_cache_{name}', autospec=True))
        assert manager.do_sync_power_state(task, 0) == 0
        with mock.patch.object(type(task.driver.power), 'get_power_state',
                               autospec=True, return_value=other):
            assert manager.do_sync_power_state(task, 0) == 1
    ended(world, task, states.MANAGEABLE)
    assert world.stage.node.power_state == recorded


@pytest.mark.parametrize('kind', ['clean', 'service'])
def test_failed_step_performs_no_power_action(
        world: World, kind: str) -> None:
    args = ({'max_activation': 'aux-cycle', 'allow_disruption': True}
            if kind == 'service' else {})
    world.begin(kind, {'step': 'apply_profile', 'args': {
        'profile': 'h100-new', **args}}, boot='redfish-virtual-media',
        deploy='direct')
    while not world.stage.box.flashing():
        assert world.stage.tick() is not None
    waits = world.stage.node.provision_state
    with mock.patch.object(context, 'make', autospec=True,
                           side_effect=Unreachable('no session')):
        for _ in range(120):
            world.stage.tick()
            if world.stage.node.provision_state != waits:
                break
    node = world.stage.node
    assert node.provision_state == (
        states.CLEANFAIL if kind == 'clean' else states.SERVICEFAIL)
    assert flash_guard.lock_of(node) is not None
    assert 'no session' in node.last_error
    assert world.power == []
    assert 'Failed to change power state' not in world.history
