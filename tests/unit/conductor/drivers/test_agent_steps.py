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
"""The agent's steps in the conductor: what is listed, run and refused."""

from __future__ import annotations

from collections.abc import Callable
import re
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conductor import steps as conductor_steps
from ironic.drivers.modules import agent_base
import pytest

from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import operation
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import ramdisk
from tests.unit.conductor.ramdisk import begin
from tests.unit.conductor.ramdisk import Ramdisk
from tests.unit.conductor.ramdisk import STEP
from tests.unit.conductor.refusal import refused
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
inside = ramdisk.inside
Make = Callable[..., Any]


def test_a_service_is_not_interrupted_unless_it_may_be(
        stage: Stage, inside: Ramdisk) -> None:
    begin(stage, 'service')
    told = stage.run()
    assert told['outcome'] == 'refused'
    assert stage.box.writes == 0


@pytest.mark.parametrize(('kind', 'info', 'step', 'words'), [
    ('clean', {'cleaning_disable_ramdisk': True}, {}, 'disable_ramdisk'),
    ('service', {'service_disable_ramdisk': True}, {}, 'disable_ramdisk'),
    ('deploy', {}, {'priority': 80}, 'priority 80 .*expected 81 to 99'),
    ('deploy', {}, {'priority': 150}, 'priority 150'),
    ('clean', {}, {'args': {}}, 'profile: required argument missing'),
    ('clean', {}, {'args': {'profile': 'both-ways', 'x': 1}},
     'x: unknown argument'),
    ('clean', {}, {'args': {'profile': 'no-such'}}, 'no-such'),
])
def test_it_is_refused_where_it_cannot_run(
        stage: Stage, inside: Ramdisk, acquire: Make, kind: str,
        info: dict[str, Any], step: dict[str, Any], words: str) -> None:
    stage.node.provision_state = {
        'clean': states.CLEANING, 'deploy': states.DEPLOYING,
        'service': states.SERVICING}[kind]
    for key, value in info.items():
        stage.node.set_driver_internal_info(key, value)
    stage.node.save()
    task = acquire(stage.node)
    getattr(task.driver.vendor, f'execute_{kind}_step')(task, {
        'step': STEP, 'args': {'profile': 'both-ways'}, **step})
    assert re.search(words, refused(task.node))


def test_deploy_priorities_lie_between_boot_and_image(
        stage: Stage, inside: Ramdisk, acquire: Make) -> None:
    stage.node.provision_state = states.DEPLOYING
    stage.node.save()
    task = acquire(stage.node)
    assert task.driver.vendor.execute_deploy_step(task, {
        'step': STEP, 'priority': 90, 'args': {'profile': 'both-ways'},
    }) == states.DEPLOYWAIT


@pytest.mark.parametrize('kind', ['clean', 'deploy'])
def test_the_steps_of_the_agent_are_listed(
        make_node: Make, acquire: Make, kind: str) -> None:
    theirs = {'step': STEP, 'interface': 'vendor', 'priority': 0}
    node = make_node(driver_internal_info={f'agent_cached_{kind}_steps': {
        'vendor': [theirs],
        'deploy': [{**theirs, 'interface': 'deploy'}]}})
    task = acquire(node, shared=True)
    found = getattr(task.driver.vendor, f'get_{kind}_steps')(task)
    listed, = [s for s in found if s['step'] == STEP]
    # The conductor runs the step, so its own arguments are listed.
    assert listed == {**theirs, 'argsinfo': steps.APPLY}
    assert 'apply_profile' in {s['step'] for s in found}


@pytest.mark.parametrize('kind', ['clean', 'deploy', 'service'])
def test_the_conductor_declares_no_in_band_step(
        make_node: Make, acquire: Make, kind: str) -> None:
    """One that it knew would boot no ramdisk in a service."""
    task = acquire(make_node(), shared=True)
    declared = getattr(task.driver.vendor, f'{kind}_steps')
    assert STEP not in {s['step'] for s in declared}


@pytest.mark.parametrize('kind', ['clean', 'deploy', 'service'])
def test_steps_of_other_managers_go_to_the_agent(
        make_node: Make, acquire: Make, kind: str) -> None:
    task = acquire(make_node())
    step = {'step': 'upgrade_something', 'interface': 'vendor', 'args': {}}
    with mock.patch.object(agent_base, 'execute_step', autospec=True,
                           return_value='wait') as run:
        done = getattr(task.driver.vendor, f'execute_{kind}_step')(
            task, step)
    assert done == 'wait'
    run.assert_called_once_with(task, step, kind)


@pytest.mark.parametrize('kind', ['clean', 'deploy', 'service'])
@pytest.mark.parametrize('given', ['max_activation', 'max_effect'])
def test_a_ramdisk_that_knows_max_effect_alone_accepts_both_names(
        make_node: Make, acquire: Make, kind: str, given: str) -> None:
    """Ironic checks the arguments by what the ramdisk's agent declares."""
    node = make_node(driver_internal_info={f'agent_cached_{kind}_steps': {
        'vendor': [{'step': STEP, 'interface': 'vendor', 'priority': 0,
                    'abortable': False, 'reboot_requested': False,
                    'argsinfo': {
                        'profile': {'description': '', 'required': True},
                        'max_effect': {'description': '',
                                       'required': False}}}]}})
    asked = {'step': STEP, 'interface': 'vendor', 'priority': 0,
             'args': {'profile': 'both-ways', given: 'none'}}
    check = getattr(conductor_steps, f'_validate_user_{kind}_steps')
    assert check(acquire(node), [asked]) == [asked]


def test_the_step_takes_max_activation_by_its_deprecated_name(
        stage: Stage, inside: Ramdisk,
        caplog: pytest.LogCaptureFixture) -> None:
    begin(stage, 'service', max_effect='power-cycle', allow_disruption=True)
    stage.node.refresh()
    current = operation.load(stage.node)
    assert current is not None
    assert current.activation == 'power-cycle'
    assert f'argument max_effect of step {STEP} is deprecated' in caplog.text


def test_different_values_for_both_names_are_refused(
        stage: Stage, inside: Ramdisk) -> None:
    begin(stage, 'clean', max_activation='none', max_effect='warm-reboot')
    stage.node.refresh()
    assert "its deprecated name, is 'warm-reboot'" in refused(stage.node)
