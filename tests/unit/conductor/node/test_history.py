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

import json
from typing import Any
from unittest import mock

from ironic.common import context as ironic_context
from ironic.common import states
from ironic import objects
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history as node_history
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import context as contexts
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.converge.ports import Pace
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import Action
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


def documents(stage: Stage) -> list[dict[str, Any]]:
    """The documents of the ends of operations, oldest first."""
    found = [e.event.partition('\n')[2] for e in history(stage)]
    return [json.loads(text) for text in found if text]


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
    assert {e.user for e in events} == {'alice'}
    if ironic_series.HISTORY_PROJECT.present:
        assert {e.project for e in events} == {'operations'}


def test_an_end_has_devices_values_images_and_who_asked(stage: Stage) -> None:
    acquire = stage.acquire
    by(stage, 'alice')
    stage.begin(profile='h100-new')
    stage.acquire = acquire
    told = stage.run()
    doc, = documents(stage)
    assert (doc['outcome'], doc['id'], doc['user'], doc['request']) == (
        'converged', told['id'], 'alice', REQUEST)
    assert doc['system'] == stage.node.uuid
    gpu, = [c for c in doc['changes']
            if (c['device'], c['component']) == ('gpu-0', 'gpu')]
    assert (gpu['serial'], gpu['from'], gpu['to'], gpu['result']) == (
        'gpu-0', sample.OLD, sample.NEW, 'verified')
    assert len(gpu['image_sha256']) == 64
    assert {c['component'] for c in doc['changes']} == {'gpu', 'ecc'}
    line = history(stage)[-1].event.partition('\n')[0]
    assert line.startswith('apply_profile h100-new: converged in ')


def test_a_refused_step_is_in_the_history(stage: Stage) -> None:
    stage.begin('deploy', profile='h100-strict')
    assert stage.run()['outcome'] == 'refused'
    doc, = documents(stage)
    assert doc['outcome'] == 'refused'
    assert {c['result'] for c in doc['changes']} == {'refused'}
    assert (doc['writes'], doc['user']) == (0, None)


def test_a_failed_write_has_its_message_and_is_not_verified(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    start = stage.box.start
    no = Rejected(Detail('the image was rejected',
                         message_id='Update.1.0.VerificationFailed'))

    def turned_down(action: Action, *args: Any, **more: Any) -> Any:
        if action.verb == 'update':
            raise no
        return start(action, *args, **more)

    with mock.patch.object(stage.box, 'start', side_effect=turned_down,
                           autospec=True):
        assert stage.run()['outcome'] == 'failed'
    doc, = documents(stage)
    assert doc['outcome'] == 'failed'
    assert doc['message_id'] == 'Update.1.0.VerificationFailed'
    rows = [c for c in doc['changes'] if c['component'] == 'gpu']
    assert {(c['result'], c['message_id'], c['message']) for c in rows} == {
        ('failed', 'Update.1.0.VerificationFailed',
         'the image was rejected')}
    assert 'the image was rejected' in doc['error']


def test_a_write_in_progress_at_the_end_is_unknown(stage: Stage) -> None:
    stage.begin(profile=site_profile('brief', limits={'minutes': 1}))
    stage.seconds = 30.0
    stage.box.flash = 4000
    stage.node.refresh()
    while stage.node.provision_state == states.CLEANWAIT:
        stage.tick()
    doc = documents(stage)[0]
    assert 'unknown' in {c['result'] for c in doc['changes']}
    assert 'verified' not in {
        c['result'] for c in doc['changes'] if c['component'] == 'gpu'}


def test_a_process_that_dies_in_a_write_loses_no_change(stage: Stage) -> None:
    """What is about to be written is saved before it is sent."""
    stage.begin(profile='h100-new')

    class Died(BaseException):
        pass

    with mock.patch.object(stage.box, 'start', side_effect=Died,
                           autospec=True), pytest.raises(Died):
        stage.run()
    objects.Node.release(None, 'this-conductor', stage.node.id)
    stage.node.refresh()
    current = operation.load(stage.node)
    assert current is not None
    assert {c.name for c in node_history.changes_of(
        stage.node, current)} <= {'gpu', 'ecc'}
    assert node_history.changes_of(stage.node, current)
    assert stage.run(200)['outcome'] == 'converged'
    assert {c['from'] for c in documents(stage)[-1]['changes']
            if c['component'] == 'gpu'} == {sample.OLD}


def test_an_operation_that_ends_from_outside_is_stopped(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    while not stage.box.pushes:
        stage.tick()
    task = stage.acquire(stage.node)
    task.node.provision_state = states.CLEANFAIL
    task.node.save()
    cleanup.reap(task)
    task.release_resources()
    doc = documents(stage)[-1]
    assert doc['outcome'] == 'stopped'
    assert 'the node is clean failed' in doc['error']
    assert {c['result'] for c in doc['changes']} == {'unknown'}


def test_malformed_changes_of_an_operation_are_ignored(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.node.refresh()
    current = operation.load(stage.node)
    assert current is not None
    assert node_history.changes_of(
        stage.node, current.but(changes=(['x'],))) == ()


def test_history_of_an_unrequested_write(stage: Stage) -> None:
    by(stage, None)
    stage.begin(profile='h100-new')
    assert stage.run()['asked'] == {}
    assert {(e.user, getattr(e, 'project', None))
            for e in history(stage)} == {(None, None)}


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
