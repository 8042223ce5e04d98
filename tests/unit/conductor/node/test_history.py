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

"""Who asked, what a failure leaves, and which nodes a deploy may convert."""

from __future__ import annotations

from ironic.common import context as ironic_context
from ironic.common import states
from ironic import objects
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import context as contexts
from ironic_accel.converge.ports import Pace
from tests.unit.conductor.operation.test_runner import stage
from tests.unit.conductor import sample
from tests.unit.conductor.stage import site_profile
from tests.unit.conductor.stage import Stage

__all__ = ['stage']

REQUEST = 'req-6ac9ab12-7e0f-4ee8-8e3c-0a4d9d4d55f1'


def history(stage: Stage) -> list[objects.NodeHistory]:
    """What the node's history has of ours."""
    return [e for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id) if e.event_type == 'accelerator']


def by(stage: Stage, user: str | None) -> None:
    """Let what is asked for next be asked for by a user."""
    acquire = stage.acquire

    def asked(node: object) -> object:
        task = acquire(node)
        task.context = ironic_context.RequestContext(
            user_id=user, project_id=user and 'operations',
            request_id=REQUEST, overwrite=False)
        return task

    stage.acquire = asked


def test_history_names_the_user(stage: Stage) -> None:
    acquire = stage.acquire
    by(stage, 'alice')
    stage.begin(profile='h100-new')
    # The ticks are the conductor's own, on nobody's account.
    stage.acquire = acquire
    told = stage.run()
    assert told['asked'] == {'user': 'alice', 'project': 'operations',
                             'request': REQUEST}
    events = history(stage)
    assert [e.event for e in events if e.event.startswith(
        f'update gpu {sample.OLD} > {sample.NEW}')
        and e.event.endswith(f'(apply_profile h100-new, clean, {REQUEST})')]
    assert {(e.user, e.project) for e in events} == {
        ('alice', 'operations')}


def test_history_of_an_unrequested_write(stage: Stage) -> None:
    by(stage, None)
    stage.begin(profile='h100-new')
    assert stage.run()['asked'] == {}
    assert {(e.user, e.project) for e in history(stage)} == {(None, None)}


def test_refresh_names_the_user(stage: Stage) -> None:
    by(stage, 'bob')
    node = stage.make_node()
    task = stage.acquire(node)
    task.driver.vendor.accel_refresh(task, http_method='POST')
    task.release_resources()
    node.refresh()
    found = operation.load(node)
    assert found is not None
    assert found.asked['user'] == 'bob'


@pytest.mark.parametrize('target', [states.MANAGEABLE, states.AVAILABLE])
def test_a_failure_that_ironic_cannot_end_ends_all_the_same(
        stage: Stage, target: str) -> None:
    """Ironic is told to power failed nodes off, and a flash forbids it."""
    stage.begin(profile=site_profile('brief', limits={'minutes': 1}))
    stage.node.target_provision_state = target
    stage.node.save()
    stage.seconds = 1.0
    while not stage.box.flashing():
        assert stage.tick() is not None
    stage.seconds = 30.0
    for job in stage.box.jobs.values():
        job.ends = stage.box.now + 200
    CONF.set_override('poweroff_in_cleanfail', True, group='conductor')
    try:
        while stage.node.provision_state == states.CLEANWAIT:
            stage.tick()
    finally:
        CONF.clear_override('poweroff_in_cleanfail', group='conductor')
    node = stage.node
    assert node.provision_state == states.CLEANFAIL
    assert node.target_provision_state == (
        target if target == states.MANAGEABLE else states.AVAILABLE)
    assert node.power_state == states.POWER_ON
    assert 'still running' in node.last_error
    assert node.clean_step == {}
    assert not [k for k in node.driver_internal_info
                if k.endswith('_polling')]
    assert stage.result['outcome'] == 'failed'
    assert stage.box.host == 'on'
    # What is written goes on, guarded, and is watched to its end.
    assert stage.box.flashing()
    assert flash_guard.lock_of(node) is not None
    watched = operation.load(node)
    assert watched is not None
    assert watched.work == 'watch'
    while stage.tick() is not None:
        pass
    assert flash_guard.lock_of(node) is None
    assert stage.box.sins == []


def test_can_trait_needs_consent_to_update_at_deploy(stage: Stage) -> None:
    """Both profiles want the new firmware; one lets a deploy burn it."""
    stage.begin(step='refresh_traits')
    stage.run()
    assert 'CUSTOM_ACCEL_CAN_H100_NEW' in stage.traits
    assert 'CUSTOM_ACCEL_CAN_H100_STRICT' not in stage.traits
    stage.begin(profile='h100-strict', node=stage.node)
    assert stage.run()['outcome'] == 'converged'
    assert 'CUSTOM_ACCEL_CAN_H100_STRICT' in stage.traits
    # A mode alone is no burn.
    for device in stage.box.modes.values():
        device['ecc'].current = 'disabled'
    stage.begin(step='refresh_traits', node=stage.node)
    stage.run()
    assert 'CUSTOM_ACCEL_IS_H100_STRICT' not in stage.traits
    assert 'CUSTOM_ACCEL_CAN_H100_STRICT' in stage.traits


TIMES = {'poll_interval': 'poll', 'stable_timeout': 'incomplete',
         'appear_timeout': 'appear', 'bmc_timeout': 'unreachable',
         'lost_task_timeout': 'lost', 'lost_update_timeout': 'gone',
         'busy_timeout': 'busy', 'write_timeout': 'action',
         'reset_timeout': 'reset'}


@pytest.mark.parametrize(('option', 'field'), TIMES.items())
def test_every_time_of_the_loop_is_an_option(
        stage: Stage, option: str, field: str) -> None:
    current = operation.Operation(kind='clean', step='apply_profile')
    own = {'incomplete': 900}.get(field, getattr(Pace(), field))
    assert getattr(contexts.pace(current), field) == own
    CONF.set_override(option, 77, group='accelerator')
    try:
        assert getattr(contexts.pace(current), field) == 77
        with pytest.raises(ValueError, match='Should be greater'):
            CONF.set_override(option, 0, group='accelerator')
    finally:
        CONF.clear_override(option, group='accelerator')
