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

"""The stop switch, and the end of a guard by hand."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
from typing import Any
from unittest import mock

from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import states
from ironic import objects
from oslo_config import cfg
import pytest

from ironic_accel.conductor.config import options as accel_conf
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.drivers import policies
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import periodics
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import refusal
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import site_profile
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
SWITCHES = ['option', 'hold']


def asking(role: str) -> Any:
    """The context of a request of somebody with a role."""
    return ironic_context.RequestContext(
        user_id='u', system_scope='all', roles=[role])


def call(acquire: Make, node: Any, method: str, **args: Any) -> Any:
    """POST a passthru method, as Ironic does for an administrator."""
    task = acquire(node)
    task.context = asking('admin')
    try:
        task.driver.vendor.validate(
            task, method=method, http_method='POST', **args)
        return getattr(task.driver.vendor, method)(
            task, http_method='POST', **args)
    finally:
        task.release_resources()
        node.refresh()


@pytest.fixture
def writable() -> Iterator[None]:
    """Whatever a test switches is as it was afterwards."""
    yield
    CONF.clear_override('allow_writes', group='accelerator')


def stop(stage: Stage, how: str) -> None:
    """Throw the switch."""
    if how == 'option':
        CONF.set_override('allow_writes', False, group='accelerator')
    else:
        call(stage.acquire, stage.node, 'accel_hold', reason='audit')


def go(stage: Stage, how: str) -> None:
    """Throw it back."""
    if how == 'option':
        CONF.set_override('allow_writes', True, group='accelerator')
    else:
        call(stage.acquire, stage.node, 'accel_unhold', reason='done')


@pytest.mark.parametrize('how', SWITCHES)
def test_held_run_waits_and_continues_afterwards(
        stage: Stage, writable: None, how: str) -> None:
    stage.begin(profile='h100-new')
    stop(stage, how)
    for _ in range(3):
        current = stage.tick()
        assert 'no write or reset begins' in current.progress
    assert (stage.box.writes, stage.box.resets) == (0, [])
    record = operation.load_record(stage.node)
    assert record is not None and record.intent is None
    assert flash_guard.lock_of(stage.node) is None
    go(stage, how)
    told = stage.run()
    assert (told['outcome'], told['writes']) == ('converged', 3)


@pytest.mark.parametrize('how', SWITCHES)
def test_running_update_is_monitored_and_not_activated_while_held(
        stage: Stage, writable: None, how: str) -> None:
    stage.begin(profile='h100-new')
    stage.seconds = 1.0
    while not stage.box.flashing():
        stage.tick()
    stop(stage, how)
    writes = stage.box.writes
    while stage.box.flashing():
        stage.seconds = 20.0
        assert stage.tick() is not None
        assert flash_guard.lock_of(stage.node) is not None
    for _ in range(4):
        current = stage.tick()
    assert 'no write or reset begins' in current.progress
    assert (stage.box.writes, stage.box.resets) == (writes, [])
    assert stage.box.sins == []
    go(stage, how)
    assert stage.run()['outcome'] == 'converged'


@pytest.mark.parametrize('how', SWITCHES)
def test_no_host_is_powered_on_either(
        stage: Stage, writable: None, how: str) -> None:
    stage.box.host = 'off'
    stage.begin(profile='h100-new', node=stage.make_node(
        power_state=states.POWER_OFF))
    stop(stage, how)
    assert 'no write or reset begins' in stage.tick().progress
    assert stage.box.host == 'off'


@pytest.mark.parametrize('how', SWITCHES)
@pytest.mark.parametrize(('kind', 'step', 'args'), [
    ('clean', 'apply_profile', {'profile': 'h100-new'}),
    ('service', 'apply_profile', {'profile': 'h100-new'}),
    ('deploy', 'apply_profile', {'profile': 'h100-new'}),
    ('clean', 'apply_profile_in_band', {'profile': 'h100-new'}),
    ('clean', 'apply_baseline', {}), ('clean', 'reset_devices', {}),
    ('service', 'reset_devices', {'allow_disruption': True}),
    ('deploy', 'deliver_first_boot', {'profile': 'h100-new'})])
def test_a_stop_after_the_call_ends_the_step_as_refused(
        stage: Stage, writable: None, how: str, kind: str, step: str,
        args: dict[str, Any]) -> None:
    """The body raises nothing: Ironic would cut the power for it."""
    stage.node = stage.make_node(driver_info={
        'redfish_address': 'https://bmc', 'redfish_system_id': '/s/1',
        'accel_baseline': 'h100-new'})
    stop(stage, how)
    stage.begin(kind, node=stage.node, step=step, **args)
    stage.node.refresh()
    assert f'{step} refused' in refusal.refused(stage.node)
    # What another run left to be remembered is as it was.
    assert operation.load_record(stage.node) is None
    told = stage.run()
    assert told['outcome'] == 'refused'
    assert (stage.box.writes, stage.box.resets, stage.box.host) == (
        0, [], 'on')


def test_automated_clean_without_changes_continues_while_held(
        stage: Stage, writable: None) -> None:
    """A node without a baseline is not failed for the switch."""
    stage.node = stage.make_node()
    stop(stage, 'hold')
    task = stage.acquire(stage.node)
    assert task.driver.vendor.apply_baseline(task) is None


def test_refresh_runs_while_held(stage: Stage, writable: None) -> None:
    stage.node = stage.make_node()
    stop(stage, 'hold')
    stage.begin(node=stage.node, step='refresh_traits')
    assert stage.run()['outcome'] == 'done'


def test_a_run_that_is_held_ends_at_its_limit(
        stage: Stage, writable: None) -> None:
    stage.begin(profile=site_profile(
        'brief', limits={'minutes': 1}))
    stop(stage, 'option')
    told = stage.run(10)
    assert (told['outcome'], told['writes']) == ('failed', 0)


def test_hold_is_in_progress_and_history(
        stage: Stage, writable: None) -> None:
    stage.node = stage.make_node()
    stop(stage, 'hold')
    task = stage.acquire(stage.node, shared=True)
    assert flash_guard.why_held(task) == (
        f'node {stage.node.uuid} is held by u: audit')
    shown = task.driver.vendor.accel_progress(task, http_method='GET')
    assert 'is held by u: audit' in shown['stopped']
    go(stage, 'hold')
    task.node.refresh()
    assert flash_guard.why_held(task) is None
    events = [e.event for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id)]
    assert events == ['held, no write or reset begins: audit',
                      'no longer held: done']


def test_hold_of_a_child_holds_its_parent(
        make_node: Make, acquire: Make) -> None:
    parent = make_node()
    child = make_node(parent_node=parent.uuid)
    call(acquire, child, 'accel_hold', reason='audit')
    task = acquire(parent, shared=True)
    told = f'child node {child.uuid} is held by u: audit'
    assert flash_guard.why_held(task) == told
    shown = task.driver.vendor.accel_progress(task, http_method='GET')
    assert shown['stopped'] == told
    with pytest.raises(flash_guard.Held, match=told):
        flash_guard.check_hold(task)


def test_unknown_user_is_left_out_of_a_hold(
        make_node: Make, acquire: Make) -> None:
    """Without Keystone Ironic asks nobody who he is."""
    node = make_node(driver_internal_info={
        keys.HOLD.name: {'reason': 'audit', 'by': None, 'at': 1.0}})
    assert flash_guard.why_held(acquire(node)) == (
        f'node {node.uuid} is held: audit')


def test_the_option_is_read_again_at_sighup(
        make_node: Make, acquire: Make, tmp_path: pathlib.Path) -> None:
    """As oslo.service has it done for a conductor: mutate_config_files."""
    file = tmp_path / 'ironic.conf'

    def written(text: str) -> None:
        file.write_text(f'[accelerator]\n{text}\n')

    written('allow_writes = true')
    conf = cfg.ConfigOpts()
    conf.register_opts(accel_conf.OPTIONS, group='accelerator')
    conf.register_opt(cfg.StrOpt('host', default='one'))
    conf(['--config-file', str(file)], project='ironic')
    task = acquire(make_node())
    with mock.patch.object(flash_guard, 'CONF', conf):
        flash_guard.check_hold(task)
        written('allow_writes = false')
        # It is SIGHUP that has it read, not the file's change.
        flash_guard.check_hold(task)
        conf.mutate_config_files()
        with pytest.raises(
            flash_guard.Held, match='disabled on conductor one'):
            flash_guard.check_hold(task)
        written('allow_writes = true')
        conf.mutate_config_files()
        flash_guard.check_hold(task)
        # A typing error is no consent, and ends no run.
        written('allow_writes = perhaps')
        conf.mutate_config_files()
        with pytest.raises(
            flash_guard.Held, match='disabled on conductor one'):
            flash_guard.check_hold(task)


@pytest.mark.parametrize('reason', [None, '', '  ', 7, 'x' * 501, 'a\nb'])
@pytest.mark.parametrize('method', [
    'accel_hold', 'accel_unhold', 'accel_unlock'])
def test_a_reason_is_wanted(
        make_node: Make, acquire: Make, method: str,
        reason: object) -> None:
    with pytest.raises(exception.InvalidParameterValue, match='reason'):
        call(acquire, make_node(), method, reason=reason)


def watched(stage: Stage) -> None:
    """A write that outlived its step."""
    stage.begin(profile=site_profile(
        'brief', limits={'minutes': 1}))
    stage.seconds = 1.0
    while not stage.box.flashing():
        stage.tick()
    for job in stage.box.jobs.values():
        job.ends = stage.box.now + 1e6
    stage.seconds = 40.0
    while stage.node.provision_state == states.CLEANWAIT:
        stage.tick()
    assert flash_guard.lock_of(stage.node) is not None


def test_a_guard_is_ended_by_hand_and_not_set_again(stage: Stage) -> None:
    watched(stage)
    told = call(stage.acquire, stage.node, 'accel_unlock',
                reason='the BMC was replaced')
    assert told['was']['what'] == 'gpu-0, gpu-1'
    assert flash_guard.lock_of(stage.node) is None
    assert operation.load(stage.node) is None
    assert not cleanup.wanted(stage.node) and not periodics.due(stage.node)
    task = stage.acquire(stage.node, shared=True)
    task.driver.power.validate(task)
    last = objects.NodeHistory.list_by_node_id(None, stage.node.id)[-1]
    assert 'power lock of gpu-0, gpu-1 removed by an operator' in last.event
    assert 'the BMC was replaced' in last.event
    # The next run still knows of the write.
    record = operation.load_record(stage.node)
    assert record is not None and record.intent is not None


def test_node_with_a_run_in_progress_is_not_unlocked(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.seconds = 1.0
    while not stage.box.flashing():
        stage.tick()
    with pytest.raises(exception.InvalidState, match='is in progress'):
        call(stage.acquire, stage.node, 'accel_unlock', reason='why not')
    assert flash_guard.lock_of(stage.node) is not None


def test_unlock_without_power_lock_is_refused(
        make_node: Make, acquire: Make) -> None:
    with pytest.raises(exception.InvalidState, match='has no power lock'):
        call(acquire, make_node(), 'accel_unlock', reason='why not')


@pytest.mark.parametrize(('method', 'name'), [
    ('accel_hold', policies.HOLD), ('accel_unhold', policies.HOLD),
    ('accel_unlock', policies.UNLOCK)])
@pytest.mark.parametrize('may', [False, True])
def test_each_has_a_policy_of_its_own(
        make_node: Make, acquire: Make, method: str, name: str,
        may: bool) -> None:
    node = make_node()
    there = acquire(node)
    flash_guard.put(there.node, 'gpu-1', 0.0, 600)
    there.node.save()
    there.release_resources()
    CONF.set_override('auth_strategy', 'keystone')
    try:
        task = acquire(node)
        task.context = asking('admin' if may else 'reader')
        if may:
            task.driver.vendor.validate(task, method=method, reason='so')
        else:
            with pytest.raises(exception.HTTPForbidden, match=name):
                task.driver.vendor.validate(
                    task, method=method, reason='so')
    finally:
        CONF.clear_override('auth_strategy')
        task.release_resources()


def test_the_policies_are_documented() -> None:
    assert {r.name for r in policies.list_rules()
            if not r.name.startswith('baremetal:step:execute:')} == {
        policies.HOLD, policies.UNLOCK}
