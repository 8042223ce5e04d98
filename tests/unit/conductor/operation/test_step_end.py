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

"""What is refused, or fails before anything, leaves the power alone.

Ironic's own conductor code ends each operation here, on boot and deploy
interfaces of its own; what reaches the power interface is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conductor import cleaning
from ironic.conductor import deployments
from ironic.conductor import servicing
from ironic.conductor import utils as manager_utils
from ironic.drivers.modules.redfish import boot as redfish_boot
from ironic.drivers.modules.redfish import power as redfish_power
from ironic import objects
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import context
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Unreachable
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
Make = Callable[..., Any]

BOOTS = ('redfish-virtual-media', 'redfish-https', 'ipxe')
DEPLOYS = ('direct', 'ramdisk', 'custom-agent')
FIRST = {
    'clean': (cleaning.do_next_clean_step, states.CLEANING),
    'deploy': (deployments.do_next_deploy_step, states.DEPLOYING),
    'service': (servicing.do_next_service_step, states.SERVICING)}
GOES_ON = {'clean': cleaning.continue_node_clean,
           'deploy': deployments.continue_node_deploy,
           'service': servicing.continue_node_service}
FAILED = {'clean': states.CLEANFAIL, 'deploy': states.DEPLOYFAIL,
          'service': states.ACTIVE}


class World:
    """A node whose operations Ironic itself begins, goes on with and ends.

    :ivar power: what was asked of the power interface, in order.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.power: list[str] = []

    def begin(self, kind: str, *steps: dict[str, Any], boot: str, deploy: str,
              **fields: Any) -> None:
        """Begin an operation that boots no ramdisk."""
        first, state = FIRST[kind]
        listed = [{'interface': 'vendor', 'priority': 0, 'abortable': False,
                   'args': {}, **step} for step in steps]
        info = {**fields.pop('held', {}), f'{kind}_steps': listed,
                'cleaning_disable_ramdisk': True,
                'service_disable_ramdisk': True}
        self.stage.node = self.stage.make_node(
            boot_interface=boot, deploy_interface=deploy,
            provision_state=state, driver_internal_info=info,
            **{'target_provision_state': (
                states.MANAGEABLE if kind == 'clean' else states.ACTIVE),
               **fields})
        task = self.stage.acquire(self.stage.node)
        first(task, 0)
        if task.node is not None:
            task.release_resources()
        self.stage.node.refresh()

    def run(self, most: int = 60) -> dict[str, Any]:
        """Tick to the end; gives the result."""
        for _ in range(most):
            if self.stage.tick() is None:
                return self.stage.result
        raise AssertionError(f'not over: {self.stage.info}')

    @property
    def history(self) -> str:
        """The node's history, in one text."""
        return '\n'.join(e.event for e in objects.NodeHistory.list_by_node_id(
            None, self.stage.node.id))


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    """The stage, with Ironic's own next step in the place of an RPC."""
    made = World(stage)

    def resume(task: Any, kind: str) -> None:
        uuid = task.node.uuid
        task.release_resources()
        node = objects.Node.get_by_uuid(None, uuid)
        following = stage.acquire(node)
        # As the RPC's receiver does before the worker.
        target = node.target_provision_state if kind == 'clean' else None
        following.process_event('resume', target_state=target)
        GOES_ON[kind](following)
        if following.node is not None:
            following.release_resources()

    real = {name: getattr(redfish_power.RedfishPower, name)
            for name in ('set_power_state', 'reboot')}

    def set_power(this: Any, task: Any, state: str,
                  timeout: int | None = None) -> None:
        made.power.append(state)
        real['set_power_state'](this, task, state, timeout=timeout)

    def reboot(this: Any, task: Any, timeout: int | None = None) -> None:
        made.power.append('reboot')
        real['reboot'](this, task, timeout=timeout)

    with mock.patch.multiple(redfish_power.RedfishPower,
                             set_power_state=set_power, reboot=reboot), \
        mock.patch.object(redfish_boot.RedfishVirtualMediaBoot, '_eject_all',
                          autospec=True), \
        mock.patch.object(manager_utils, 'node_update_cache', autospec=True):
        # The stage has put a mock there.
        said: Any = manager_utils.notify_conductor_resume_operation
        said.side_effect = resume
        yield made


#: An automated clean of a node that somebody holds.
HELD: dict[str, Any] = {
    'held': {keys.HOLD.name: {'reason': 'audit', 'by': 'ops', 'at': 1.0}},
    'target_provision_state': states.AVAILABLE}
APPLY: dict[str, Any] = {
    'step': 'apply_profile', 'args': {'profile': 'h100-strict'}}
REFUSED: dict[str, dict[str, Any]] = {
    'by the plan': APPLY,
    'by an argument': {'step': 'apply_profile', 'args': {
        'profile': 'h100-new', 'max_activation': 'gentle'}},
    'by a name': {'step': 'apply_profile', 'args': {'profile': 'other'}},
}


def refusing(kind: str, why: str) -> dict[str, Any]:
    """A step that is refused in an operation of some kind."""
    step = REFUSED[why]
    if kind == 'clean' and why == 'by the plan':
        return {**step, 'args': {**step['args'], 'max_activation': 'none'}}
    return step


@pytest.mark.parametrize('deploy', DEPLOYS)
@pytest.mark.parametrize('boot', BOOTS)
@pytest.mark.parametrize('kind', FIRST)
def test_a_refusal_touches_no_power(
        world: World, kind: str, boot: str, deploy: str) -> None:
    world.begin(kind, refusing(kind, 'by the plan'), boot=boot,
                deploy=deploy)
    assert world.run()['outcome'] == 'refused'
    assert world.power == []
    assert world.stage.node.provision_state == FAILED[kind]
    assert world.stage.box.host == 'on'
    assert 'refused, nothing was changed' in world.stage.node.last_error
    assert 'refused, nothing was changed' in world.history
    assert world.stage.node.maintenance is (kind == 'clean')


@pytest.mark.parametrize('why', REFUSED)
@pytest.mark.parametrize('kind', FIRST)
def test_whatever_refuses_it_does_so_without_power(
        world: World, kind: str, why: str) -> None:
    CONF.set_override('poweroff_in_cleanfail', True, group='conductor')
    CONF.set_override('poweroff_in_servicefail', True, group='conductor')
    try:
        world.begin(kind, refusing(kind, why), boot='redfish-virtual-media',
                    deploy='direct')
        assert world.run()['outcome'] == 'refused'
    finally:
        CONF.clear_override('poweroff_in_cleanfail', group='conductor')
        CONF.clear_override('poweroff_in_servicefail', group='conductor')
    assert world.power == []
    assert world.stage.node.provision_state == FAILED[kind]


@pytest.mark.parametrize('boot', BOOTS)
@pytest.mark.parametrize('kind', FIRST)
def test_failed_inventory_changes_no_power_state(
        world: World, kind: str, boot: str) -> None:
    world.begin(kind, APPLY, boot=boot, deploy='direct')
    with mock.patch.object(context, 'make', autospec=True,
                           side_effect=Unreachable('no session')):
        told = world.run()
    assert (told['outcome'], told['error']['summary']) == (
        'failed', 'no session')
    assert world.power == []
    assert world.stage.node.provision_state == FAILED[kind]
    assert 'no session' in world.history


@pytest.mark.parametrize('boot', BOOTS)
@pytest.mark.parametrize('kind', ['clean', 'service'])
def test_a_no_op_touches_no_power(
        world: World, kind: str, boot: str) -> None:
    for device in world.stage.box.parts.values():
        device['gpu'].current = sample.NEW
    for device in world.stage.box.modes.values():
        device['ecc'].current = 'enabled'
    world.begin(kind, APPLY, boot=boot, deploy='direct')
    assert world.run()['outcome'] == 'converged'
    assert world.power == []
    assert world.stage.node.provision_state == (
        states.ACTIVE if kind == 'service' else states.MANAGEABLE)
    assert world.stage.node.last_error is None


def test_the_steps_that_are_left_are_dropped_and_named(world: World) -> None:
    world.begin('service', APPLY, {'step': 'refresh_traits'},
                {'interface': 'bios', 'step': 'factory_reset'},
                boot='redfish-virtual-media', deploy='direct')
    assert world.run()['step'] == 'apply_profile'
    assert world.stage.node.provision_state == states.ACTIVE
    assert ('steps that were not run: vendor.refresh_traits, '
            'bios.factory_reset'
            in world.stage.node.last_error)
    assert world.stage.resumed == []
    assert world.stage.result['outcome'] == 'refused'


def test_service_without_changes_ends_active(world: World) -> None:
    world.begin('service', {'step': 'refresh_traits'}, APPLY,
                boot='redfish-virtual-media', deploy='direct')
    world.run()
    assert world.run()['outcome'] == 'refused'
    assert world.stage.node.provision_state == states.ACTIVE
    assert world.power == []


@pytest.mark.parametrize('before', [
    {'interface': 'bios', 'step': 'apply_configuration'},
    {'step': 'reset_devices', 'args': {'allow_disruption': True}}])
def test_a_service_that_changed_something_before_fails(
        world: World, before: dict[str, Any]) -> None:
    """It is in between: that has to be seen, and costs no power."""
    world.stage.box.resettable = Activation.DEVICE_RESET
    bios = mock.patch('ironic.drivers.modules.noop.NoBIOS.'
                      'execute_service_step', autospec=True,
                      return_value=None)
    with bios:
        world.begin('service', before, APPLY, boot='redfish-virtual-media',
                    deploy='direct')
        told = world.run()
        if told['step'] == 'reset_devices':
            told = world.run()
    assert told['outcome'] == 'refused'
    assert told['changed_before'] is True
    assert world.stage.node.provision_state == states.SERVICEFAIL
    assert world.stage.node.maintenance
    assert world.power == []


@pytest.mark.parametrize('converges', [True, False])
def test_an_abort_of_a_service_without_a_ramdisk_touches_no_power(
        world: World, converges: bool) -> None:
    """Ironic's own would power the host off and leave it so."""
    if converges:
        for device in world.stage.box.parts.values():
            device['gpu'].current = sample.NEW
        for device in world.stage.box.modes.values():
            device['ecc'].current = 'enabled'
    world.begin('service', APPLY, {'step': 'refresh_traits'},
                boot='redfish-virtual-media', deploy='direct')
    node = world.stage.node
    node.service_step = {**node.service_step, 'abort_after': True}
    node.save()
    world.run()
    assert world.power == []
    assert world.stage.node.provision_state == states.ACTIVE
    assert 'steps that were not run: vendor.refresh_traits' in (
        world.stage.node.last_error)


@pytest.mark.parametrize('boot', BOOTS)
def test_a_clean_that_ironic_begins_over_a_write_fails_and_is_not_stuck(
        world: World, boot: str) -> None:
    """``provide`` asks no interface first: the worker does, and takes
    nothing but an invalid parameter for a failure."""
    node = world.stage.node = world.stage.make_node(
        boot_interface=boot, deploy_interface='direct',
        provision_state=states.CLEANING,
        target_provision_state=states.AVAILABLE)
    task = world.stage.acquire(node)
    flash_guard.put(task.node, 'gpu-0', 0.0, 600)
    saving.save(task.node)
    cleaning.do_node_clean(task)
    task.release_resources()
    node.refresh()
    assert node.provision_state == states.CLEANFAIL
    assert 'firmware update in progress on gpu-0' in node.last_error
    assert world.power == []
    assert flash_guard.lock_of(node) is not None


@pytest.mark.parametrize(('on_failure', 'state'), [
    ('fail', states.CLEANFAIL), ('quarantine', states.AVAILABLE)])
def test_an_automated_clean_of_a_held_node_with_a_baseline(
        world: World, on_failure: str, state: str) -> None:
    """Nobody gets a node that was not brought to its baseline; nothing is
    written, and no power is touched for it."""
    CONF.set_override('baseline_on_failure', on_failure,
                      group='accelerator')
    try:
        world.begin('clean', {'step': 'apply_baseline'},
                    {'step': 'refresh_traits'},
                    boot='redfish-virtual-media', deploy='direct',
                    driver_info={'redfish_address': 'https://bmc',
                                 'redfish_system_id': '/s/1',
                                 'accel_baseline': 'h100-new'},
                    **HELD)
        told = world.run()
    finally:
        CONF.clear_override('baseline_on_failure', group='accelerator')
    node = world.stage.node
    # In quarantine Ironic goes on with the next step, which looks.
    assert (told['step'], told['outcome']) == (
        ('apply_baseline', 'refused') if on_failure == 'fail'
        else ('refresh_traits', 'done'))
    assert node.provision_state == state
    assert world.power == []
    assert (world.stage.box.writes, world.stage.box.resets) == (0, [])
    assert 'is held by ops: audit' in node.last_error
    assert node.maintenance
    assert flash_guard.hold_of(node) is not None


def test_automated_clean_of_a_held_node_without_baseline_continues(
        world: World) -> None:
    world.begin('clean', {'step': 'apply_baseline'},
                {'step': 'refresh_traits'},
                boot='redfish-virtual-media', deploy='direct', **HELD)
    assert world.run()['step'] == 'refresh_traits'
    assert world.stage.node.provision_state == states.AVAILABLE
    assert world.power == []


@pytest.mark.parametrize('kind', ['clean', 'service'])
def test_failure_during_a_run_does_not_tear_down(
        world: World, kind: str) -> None:
    """It fails; the host stays as it was."""
    args = ({'max_activation': 'aux-cycle', 'allow_disruption': True}
            if kind == 'service' else {})
    world.begin(kind, {'step': 'apply_profile', 'args': {
        'profile': 'h100-new', **args}}, boot='redfish-virtual-media',
        deploy='direct')
    while not world.stage.box.flashing():
        assert world.stage.tick() is not None
    with mock.patch.object(context, 'make', autospec=True,
                           side_effect=Unreachable('no session')):
        # Nobody hears of the write: it is watched for as long as one takes.
        told = world.run(120)
    assert told['outcome'] == 'failed'
    assert world.stage.node.provision_state == (
        states.CLEANFAIL if kind == 'clean' else states.SERVICEFAIL)
    assert world.power == []
