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
"""The in-band step, run by the conductor with the agent as its hand."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import pathlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic import objects
import pytest

from ironic_accel.conductor.access import ramdisk as ramdisk_module
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.model.device import Activation
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import ramdisk
from tests.unit.conductor.ramdisk import begin
from tests.unit.conductor.ramdisk import BOTH
from tests.unit.conductor.ramdisk import burn_by_agent
from tests.unit.conductor.ramdisk import Ramdisk
from tests.unit.conductor.refusal import refused
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Stage
from tests.unit.converge.box import Part

stage = test_runner.stage
inside = ramdisk.inside
Make = Callable[..., Any]


def _flags(stage: Stage) -> set[str]:
    return {k for k in stage.info if k.endswith('_reboot')}


@pytest.mark.parametrize(('kind', 'more'), [
    ('clean', {}), ('deploy', {}),
    ('service', {'max_activation': 'power-cycle', 'allow_disruption': True})])
def test_one_plan_uses_both_transports(
        stage: Stage, inside: Ramdisk, kind: str,
        more: dict[str, Any]) -> None:
    begin(stage, kind, **more)
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert told['proved'] == 4
    assert stage.box.resets == [Activation.POWER_CYCLE]
    assert max(stage.box.pushes.values()) == 1
    assert stage.box.sins == []
    assert stage.resumed == [kind]
    started = [r['request']['action'] for r in inside.asked('start')]
    assert {a['verb'] for a in started} == {'set'}
    # One command for both GPUs.
    assert [[c['item']['device'] for c in a['changes']]
            for a in started] == [['gpu-0', 'gpu-1']]
    assert (inside.prepared, inside.boots) == (1, 2)
    assert _flags(stage) == set()
    assert flash_guard.lock_of(stage.node) is None


def test_update_through_the_agent(
        stage: Stage, inside: Ramdisk) -> None:
    burn_by_agent(stage)
    begin(stage)
    while not stage.box.flashing():
        assert stage.tick() is not None
    standing = flash_guard.lock_of(stage.node)
    assert standing is not None
    assert standing['what'] == 'gpu-0, gpu-1'
    told = stage.run()
    assert told['outcome'] == 'converged'
    (burn,) = [r['request'] for r in inside.asked('start')
               if r['request']['action']['verb'] == 'update']
    assert burn['image']['sha256'] == sample.DIGEST
    assert [d['serial'] for d in burn['devices']] == ['gpu-0', 'gpu-1']
    assert burn['sources']['schemes'] == ['file', 'http', 'https']


def test_the_power_of_a_host_in_an_in_band_flash_is_not_cut(
        stage: Stage, inside: Ramdisk, acquire: Make) -> None:
    burn_by_agent(stage)
    stage.seconds = 1.0
    begin(stage)
    while not stage.box.flashing():
        assert stage.tick() is not None
    task = acquire(stage.node, shared=True)
    with pytest.raises(exception.InvalidState, match='update in progress'):
        task.driver.power.validate(task)
    with pytest.raises(exception.DriverOperationError):
        task.driver.power.reboot(task)


def test_an_absent_ramdisk_is_waited_for_without_the_lock(
        stage: Stage, inside: Ramdisk) -> None:
    """Heartbeats find the node free, and the BMC is left alone."""
    begin(stage)
    while not inside.prepared:
        assert stage.tick() is not None
    stage.seconds = 1.0
    while not ramdisk_module.is_there(stage.node):
        current = stage.tick()
        if current is not None and current.awaits is not None:
            looks = inside.redfish.looks
            assert current.due - stage.box.now == ramdisk_module.LOOK - 1
            assert not periodics.due(stage.node)
            stage.tick()
            assert inside.redfish.looks == looks
        inside.world()
        stage.node.refresh()
    assert periodics.due(stage.node)


def test_item_without_transport_is_refused_by_name(
        stage: Stage, inside: Ramdisk) -> None:
    for modes in stage.box.modes.values():
        modes['ecc'].transport = 'nobody'
    begin(stage)
    told = stage.run()
    assert told['outcome'] == 'refused'
    assert 'component ecc' in stage.node.last_error
    assert stage.box.writes == 0


def test_without_redfish_the_agent_does_it_all(
        stage: Stage, make_node: Make, profiles: pathlib.Path) -> None:
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(BOTH))
    for parts in (*stage.box.parts.values(), *stage.box.modes.values()):
        for part in parts.values():
            part.transport = 'agent'
    with ramdisk.staged(stage, make_node) as inside:
        # The hardware type of the test is Redfish's: only the address is
        # gone, which is what the steps go by.
        stage.node.driver_info = {}
        stage.node.save()
        begin(stage)
        told = stage.run()
        assert told['outcome'] == 'converged'
        assert inside.redfish.looks == 0
        stage.begin('clean', 'apply_profile', stage.node,
                    profile='both-ways')
        stage.node.refresh()
        assert 'use apply_profile_in_band' in refused(stage.node)


def test_without_redfish_no_auxiliary_cycle_is_begun(
        stage: Stage, inside: Ramdisk) -> None:
    burn_by_agent(stage)
    for parts in stage.box.parts.values():
        parts['gpu'].claimed = Activation.AUX_CYCLE
    stage.node.driver_info = {}
    stage.node.save()
    begin(stage)
    told = stage.run()
    assert told['outcome'] == 'refused'
    assert 'auxiliary power cycle requires Redfish' in stage.node.last_error
    assert stage.box.writes == 0


def test_the_baseline_waits_for_the_ramdisk_that_it_was_run_in(
        stage: Stage, inside: Ramdisk) -> None:
    """The next step of an automated cleaning needs the agent."""
    for modes in stage.box.modes.values():
        modes['ecc'].transport = 'redfish'
    stage.node.driver_info = {**stage.node.driver_info,
                              'accel_baseline': 'both-ways'}
    stage.node.save()
    stage.begin('clean', 'apply_baseline', stage.node)
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert (inside.prepared, inside.boots) == (1, 2)
    assert ramdisk_module.is_there(stage.node)
    assert inside.calls == []
    assert _flags(stage) == set()


def test_baseline_uses_both_transports_with_a_ramdisk(
        stage: Stage, inside: Ramdisk) -> None:
    stage.node.driver_info = {**stage.node.driver_info,
                              'accel_baseline': 'both-ways'}
    stage.node.set_driver_internal_info(
        'hardware_manager_version', {ramdisk_module.MANAGER: '1'})
    stage.node.save()
    stage.begin('clean', 'apply_baseline', stage.node)
    assert stage.run()['outcome'] == 'converged'
    assert len(inside.asked('start')) == 1
    stage.begin('clean', 'refresh_traits', stage.node)
    before = len(inside.asked('observe'))
    told = stage.run()
    assert (told['outcome'], told['found']) == ('done', 2)
    assert len(inside.asked('observe')) == before + 1


def test_in_band_writes_of_neighbours_do_not_wait_for_each_other(
        stage: Stage, inside: Ramdisk, make_node: Make,
        acquire: Make) -> None:
    """They share a BMC, and nothing of it is used."""
    burn_by_agent(stage)
    stage.seconds = 1.0
    begin(stage)
    while not stage.box.flashing():
        assert stage.tick() is not None
    other = acquire(make_node(), shared=True)
    assert queries.bmc_address(other.node) == queries.bmc_address(stage.node)
    assert related_nodes.writing_node(other) is None
    open_write = {keys.RECORD.name: {'intent': {
        'kind': 'action', 'transport': 'redfish', 'deadline': 0.0}}}
    make_node(driver_internal_info=open_write)
    # Seen to be over, and not settled yet.
    assert related_nodes.writing_node(other) is None
    make_node(driver_internal_info={
        **open_write, keys.GUARD.name: {'what': 'gpu-1'}})
    assert related_nodes.writing_node(other) is not None
    stage.seconds = 40.0
    assert stage.run()['outcome'] == 'converged'


def test_an_auxiliary_cycle_boots_the_ramdisk_again(
        stage: Stage, inside: Ramdisk) -> None:
    for parts in stage.box.parts.values():
        parts['gpu'].claimed = parts['gpu'].real = Activation.AUX_CYCLE
    begin(stage)
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert Activation.AUX_CYCLE in stage.box.resets
    assert (inside.prepared, inside.boots) == (1, 2)


@pytest.mark.parametrize('dies_after', range(1, 38))
def test_a_conductor_may_die_after_any_save(
        stage: Stage, inside: Ramdisk, dies_after: int) -> None:
    class Died(BaseException):
        """The process is gone."""

    saves = 0
    real = guard_copy.follow

    def save(node: Any, *args: Any, **more: Any) -> None:
        """The last statement of a save; nothing is committed yet."""
        nonlocal saves
        real(node, *args, **more)
        saves += 1
        if saves == dies_after:
            raise Died

    begin(stage)
    with mock.patch.object(guard_copy, 'follow', autospec=True,
                           side_effect=save), pytest.raises(Died):
        stage.run()
    # What a restart does with the locks of its own host.
    with contextlib.suppress(exception.NodeNotLocked):
        objects.Node.release(None, 'this-conductor', stage.node.id)
    flash_guard._remembered.clear()
    stage.node.refresh()
    told = stage.run() if operation.load(stage.node) else stage.result
    assert told['outcome'] == 'converged'
    assert max(stage.box.pushes.values()) == 1
    assert stage.box.sins == []
    assert stage.resumed == ['clean']


def test_a_node_in_maintenance_is_left_alone(
        stage: Stage, inside: Ramdisk) -> None:
    begin(stage)
    stage.node.refresh()
    assert periodics.due(stage.node)
    stage.node.maintenance = True
    assert not periodics.due(stage.node)


@pytest.mark.parametrize(('restore', 'due'), [
    (None, True), ('power off', False)])
def test_an_inventory_goes_on_in_maintenance_unless_it_has_to_power_off(
        stage: Stage, restore: str | None, due: bool) -> None:
    node = stage.make_node()
    task = stage.acquire(node)
    task.driver.vendor.accel_refresh(task, http_method='POST')
    current = operation.load(task.node)
    assert current is not None
    operation.store(task.node, current.but(restore=restore))
    task.node.maintenance = True
    assert periodics.due(task.node) is due
    task.release_resources()


def test_a_weak_mode_is_set_after_the_last_reset(
        stage: Stage, inside: Ramdisk) -> None:
    """What does not survive a reboot is set by the agent that stays."""
    for modes in stage.box.modes.values():
        modes['ecc'] = Part('disabled', claimed=Activation.NONE,
                            real=Activation.NONE, persistent=False,
                            default='disabled', transport='agent')
    begin(stage)
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert told['volatile'] == ['gpu-0/ecc', 'gpu-1/ecc']
    assert 'CUSTOM_ACCEL_IS_BOTH_WAYS' not in stage.traits


def test_the_reboot_of_another_step_is_left_to_it(
        stage: Stage, make_node: Make) -> None:
    """Before the agent is booted in a deploy the flag is somebody else's."""
    stage.begin('deploy', node=make_node(driver_internal_info={
        'deployment_reboot': True}), profile='h100-new')
    assert stage.run()['outcome'] == 'converged'
    assert _flags(stage) == {'deployment_reboot'}


@pytest.mark.parametrize('kind', ['clean', 'service'])
def test_a_call_of_the_agent_leaves_the_step_to_us(
        stage: Stage, inside: Ramdisk, acquire: Make, kind: str) -> None:
    """Ironic's own handling of a heartbeat, in the middle of the step."""
    begin(stage, kind, **({} if kind == 'clean' else {
        'max_activation': 'power-cycle', 'allow_disruption': True}))
    assert stage.tick() is not None
    before = operation.load(stage.node)
    calls = len(inside.calls)
    task = acquire(stage.node, shared=True)
    task.driver.deploy.heartbeat(task, 'http://192.0.2.9:10', '13.0')
    task.release_resources()
    stage.node.refresh()
    assert stage.info['agent_url'] == 'http://192.0.2.9:10'
    assert stage.node.provision_state == operation.WAIT_STATES[kind]
    assert operation.load(stage.node) == before
    assert len(inside.calls) == calls
    assert stage.run()['outcome'] == 'converged'
