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

"""Ticks of an operation, on Ironic's objects and a box that is simulated."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.drivers.modules.redfish import power as redfish_power
from ironic import objects
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation import host_reset
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.operation import step_end
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Intent
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import site_profile
from tests.unit.conductor.stage import Stage
from tests.unit.conductor.stage import staged
from tests.unit.converge.box import Job


@pytest.fixture
def stage(make_node: Make, acquire: Make, profiles: pathlib.Path
          ) -> Iterator[Stage]:
    """A box behind the ports: BMC, Ironic's power, images, the RPC."""
    with staged(make_node, acquire, profiles) as made:
        yield made


def test_a_profile_is_brought_about_and_published(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert (told['writes'], told['resets'], told['proved']) == (3, 1, 4)
    assert stage.box.sins == []
    assert stage.resumed == ['clean']
    assert {'CUSTOM_ACCEL_IS_H100_NEW', 'CUSTOM_ACCEL_CAN_H100_NEW',
            'CUSTOM_ACCEL_GPU_X2', 'CUSTOM_ACCEL_GPU_ECC'} <= stage.traits
    assert flash_guard.lock_of(stage.node) is None
    left = set(stage.info) & {keys.OPERATION.name, keys.RECORD.name,
                              keys.PROFILE.name, keys.GUARD.name}
    assert left == set()
    rows = objects.FirmwareComponentList.get_by_node_id(None, stage.node.id)
    assert {r.current_version for r in rows} == {sample.NEW}


def test_doing_it_again_changes_nothing(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.run()
    stage.begin(node=stage.node, profile='h100-new')
    told = stage.run()
    assert (told['outcome'], told['writes'], told['resets']) == (
        'converged', 0, 0)


def test_a_run_sends_what_its_plan_counts(stage: Stage) -> None:
    stage.begin(step='refresh_traits')
    stage.run()
    stage.node.provision_state = states.MANAGEABLE
    stage.node.save()
    task = stage.acquire(stage.node)
    planned = task.driver.vendor.accel_plan(
        task, http_method='POST', profile='h100-new', kind='clean')['plan']
    task.release_resources()
    assert not (planned['blocked'] or planned['refused'])
    stage.begin(node=stage.node, profile='h100-new')
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert planned['counts'] == {name: told[name] for name in (
        'writes', 'device_resets', 'resets')}


def test_an_agent_is_forgotten_with_the_operation_that_it_served(
        stage: Stage) -> None:
    """A later update would give its token back to a node without an agent."""
    stage.begin(step='refresh_traits')
    task = stage.acquire(stage.node)
    task.node.set_driver_internal_info('agent_secret_token', 'of-a-ramdisk')
    task.node.save()
    task.release_resources()
    assert stage.run()['outcome'] == 'done'
    stage.node.del_driver_internal_info('agent_secret_token')
    flash_guard.give_back(stage.node)
    assert 'agent_secret_token' not in stage.info


def test_a_profile_that_does_not_apply_has_no_trait(
        stage: Stage, profiles: pathlib.Path) -> None:
    data = sample.mode_profile('fpgas')
    data['devices'] = {'cards': {
        'match': {'kind': 'fpga'}, 'count': {'min': 0},
        'modes': {'virtual-functions': 2}}}
    profiles.joinpath('fpgas.yaml').write_text(sample.yaml_of(data))
    stage.begin(profile='fpgas')
    told = stage.run()
    assert (told['outcome'], told['error']) == ('does-not-apply', None)
    assert told['no_is'].startswith('the profile does not apply')
    assert (told['writes'], told['resets']) == (0, 0)
    assert stage.resumed == ['clean']
    assert 'CUSTOM_ACCEL_GPU_X2' in stage.traits
    assert not {'CUSTOM_ACCEL_IS_FPGAS', 'CUSTOM_ACCEL_CAN_FPGAS'
                } & stage.traits
    # It is not what the node was brought to.
    assert keys.APPLIED.of(stage.node) is None


def test_traits_go_before_the_first_write(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.run()
    for device in stage.box.parts.values():
        device['gpu'].current = sample.OLD
    seen = []
    start = stage.box.start

    def watched(*args: Any, **more: Any) -> Any:
        seen.append(stage.traits)
        return start(*args, **more)

    stage.begin(node=stage.node, profile='h100-new')
    with mock.patch.object(stage.box, 'start', autospec=True,
                           side_effect=watched):
        stage.run()
    assert seen
    for traits in seen:
        assert not {'CUSTOM_ACCEL_IS_H100_NEW',
                    'CUSTOM_ACCEL_GPU_ECC'} & traits


def test_node_is_locked_during_a_write(stage: Stage) -> None:
    stage.seconds = 1.0
    stage.begin(profile='h100-new')
    while not stage.box.flashing():
        assert stage.tick() is not None
    standing = flash_guard.lock_of(stage.node)
    assert standing is not None
    assert standing['what'] == 'gpu-0, gpu-1'
    record = operation.load_record(stage.node)
    assert record is not None
    assert record.intent is not None
    assert record.intent.ticket


def test_a_host_that_was_off_is_off_again(stage: Stage) -> None:
    stage.box.host = 'off'
    stage.begin(profile='h100-new', node=stage.make_node(
        power_state=states.POWER_OFF))
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert stage.box.host == 'off'
    assert stage.node.power_state == states.POWER_OFF
    assert stage.resumed == ['clean']


def test_step_of_a_later_version_fails_with_the_reason(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.node.refresh()
    current = operation.load(stage.node)
    assert current is not None
    operation.store(stage.node, current.but(work='teleport'))
    stage.node.save()
    told = stage.run()
    assert told['outcome'] == 'failed'
    assert told['error']['seen'] == 'teleport'
    assert 'upgrade this conductor' in told['error']['todo']
    assert stage.box.writes == 0


def test_a_service_step_powers_nothing_on(stage: Stage) -> None:
    stage.box.host = 'off'
    stage.begin('service', profile='h100-new')
    told = stage.run()
    assert told['outcome'] == 'failed'
    assert 'must not power it on' in told['error']['summary']
    assert stage.box.host == 'off'
    assert stage.resumed == ['service']


def test_service_step_without_consent_is_refused(
        stage: Stage) -> None:
    stage.begin('service', profile='h100-new')
    told = stage.run()
    assert told['outcome'] == 'refused'
    assert stage.box.writes == 0
    assert 'max_activation of the step is none' in stage.node.last_error


def test_deploy_step_without_consent_does_not_update(stage: Stage) -> None:
    stage.begin('deploy', profile='h100-strict')
    told = stage.run()
    assert told['outcome'] == 'refused'
    assert stage.box.writes == 0
    assert 'allow: [burn_at_deploy]' in stage.node.last_error
    assert stage.node.provision_state == states.DEPLOYFAIL


def test_deploy_step_with_consent_updates(stage: Stage) -> None:
    stage.begin('deploy', profile='h100-new')
    assert stage.run()['outcome'] == 'converged'
    assert stage.resumed == ['deploy']


@pytest.mark.parametrize('dies_after', range(1, 14))
def test_a_conductor_may_die_after_any_save(
        stage: Stage, dies_after: int) -> None:
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

    stage.box.host = 'off'
    stage.begin(profile='h100-new')
    with mock.patch.object(guard_copy, 'follow', autospec=True,
                           side_effect=save):
        try:
            stage.run()
        except Died:
            # What a restart does with the locks of its own host.
            objects.Node.release(None, 'this-conductor', stage.node.id)
    stage.node.refresh()
    told = stage.run() if operation.load(stage.node) else stage.result
    assert told['outcome'] == 'converged'
    assert max(stage.box.pushes.values()) == 1
    assert stage.box.sins == []
    assert stage.resumed == ['clean']
    assert stage.box.host == 'off'


def test_a_bmc_that_is_away_is_waited_for(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with mock.patch.object(stage.box, 'sources', autospec=True,
                           side_effect=Unreachable('no answer')):
        for _ in range(3):
            current = stage.tick()
            assert 'no answer' in current.progress
    assert stage.run()['outcome'] == 'converged'


def test_consecutive_session_errors_fail_the_step(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with mock.patch.object(context, 'make', autospec=True,
                           side_effect=Unreachable('no session')):
        told = stage.run(20)
    assert told['error']['summary'] == 'no session'
    assert stage.node.provision_state == states.CLEANFAIL
    assert 'no session' in stage.node.last_error
    assert stage.node.clean_step == {}


@pytest.mark.parametrize('where', ['session', 'inventory'])
def test_a_bmc_that_lets_nobody_in_fails_the_step_at_once(
        stage: Stage, where: str) -> None:
    stage.begin(profile='h100-new')
    denied = NoAccess('the BMC rejected the credentials',
                      todo='set driver_info/redfish_password')
    patched = (mock.patch.object(context, 'make', autospec=True,
                                 side_effect=denied)
               if where == 'session' else
               mock.patch.object(stage.box, 'sources', autospec=True,
                                 side_effect=denied))
    with patched:
        assert stage.tick() is None
    assert stage.node.provision_state == states.CLEANFAIL
    assert 'next: set driver_info/redfish_password' in stage.node.last_error


def test_a_bmc_that_restarts_for_the_run_is_waited_for(stage: Stage) -> None:
    """After an auxiliary cycle a BMC may not know its users yet."""
    stage.begin(profile='h100-new')
    stage.tick()
    record = operation.load_record(stage.node)
    assert record is not None
    node = stage.acquire(stage.node).node
    now = clock.elapsed(node)
    operation.store_record(node, dataclasses.replace(record, intent=Intent(
        'reset', Activation.AUX_CYCLE, now, now + 1800,
        ticket={'phase': 'bmc', 'at': now})))
    node.save()
    objects.Node.release(None, 'this-conductor', node.id)
    with mock.patch.object(context, 'make', autospec=True,
                           side_effect=NoAccess('wrong certificate')):
        current = stage.tick()
    assert current.progress == 'wrong certificate'


def test_an_update_in_progress_outlasts_a_bmc_that_lets_nobody_in(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    while (record := operation.load_record(stage.node)) is None or (
            record.intent is None or record.intent.verb != 'update'):
        assert stage.tick() is not None
    denied = NoAccess('the BMC rejected the credentials')
    with mock.patch.object(context, 'make', autospec=True,
                           side_effect=denied):
        current = stage.tick()
    assert current.progress == 'the BMC rejected the credentials'
    with mock.patch.object(stage.box, 'sources', autospec=True,
                           side_effect=denied), \
            mock.patch.object(stage.box, 'poll', autospec=True,
                              side_effect=denied):
        current = stage.tick()
    assert 'the update may be in progress' in current.progress
    assert stage.run()['outcome'] == 'converged'


def test_unknown_exception_fails_the_step_without_its_text(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with mock.patch.object(stage.box, 'sources', autospec=True,
                           side_effect=KeyError('s3cret')):
        told = stage.run(2)
    assert told['outcome'] == 'failed'
    assert 'unexpected KeyError' in stage.node.last_error
    assert 's3cret' not in stage.node.last_error
    assert stage.node.provision_state == states.CLEANFAIL


def test_a_node_that_was_taken_is_left_alone(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    task = stage.acquire(stage.node)
    with mock.patch.object(stage.box, 'start', autospec=True) as start:
        objects.Node.release(None, 'this-conductor', stage.node.id)
        objects.Node.reserve(None, 'another-conductor', stage.node.id)
        runner.tick(task)
        objects.Node.release(None, 'another-conductor', stage.node.id)
    start.assert_not_called()
    stage.node.refresh()
    left = operation.load_record(stage.node)
    assert left is not None and left.intent is None


def test_an_open_write_of_a_neighbour_is_waited_for(stage: Stage) -> None:
    neighbour = stage.make_node(driver_internal_info={
        keys.GUARD.name: {'what': 'gpu-7'}, keys.RECORD.name: {'intent': {
            'kind': 'action', 'deadline': 0.0}}})
    stage.begin(profile='h100-new')
    for _ in range(3):
        current = stage.tick()
    assert stage.box.writes == 0
    assert neighbour.uuid in current.progress
    neighbour.driver_internal_info = {}
    neighbour.save()
    assert stage.run()['outcome'] == 'converged'


def test_the_auxiliary_cycle_is_asked_for_once(stage: Stage) -> None:
    want_aux(stage)
    stage.begin(profile='h100-new')
    told = stage.run()
    assert told['outcome'] == 'converged'
    stage.aux.aux_cycle.assert_called_once_with()
    assert stage.box.resets[-1] is Activation.AUX_CYCLE
    assert stage.box.host == 'on'


def test_no_step_powers_off_for_a_cycle_that_the_bmc_does_not_offer(
        stage: Stage) -> None:
    want_aux(stage)
    stage.box.offers_aux = False
    stage.begin(profile='h100-new')
    assert stage.run()['outcome'] == 'refused'
    assert ('refused, nothing was changed: its activation needs an auxiliary '
            'power cycle, and the BMC offers none') in stage.node.last_error
    assert (stage.box.writes, stage.box.resets) == (0, [])
    stage.aux.aux_cycle.assert_not_called()


def test_a_busy_bmc_is_asked_for_the_cycle_again(stage: Stage) -> None:
    want_aux(stage)
    real = stage.aux.aux_cycle.side_effect
    stage.aux.aux_cycle.side_effect = [
        Rejected('busy', retry_after=1), None]
    stage.begin(profile='h100-new')
    while stage.aux.aux_cycle.call_count < 2:
        assert stage.tick() is not None
    real()
    assert stage.run()['outcome'] == 'converged'


def test_a_refused_cycle_ends_and_the_host_is_on_again(
        stage: Stage) -> None:
    want_aux(stage)
    stage.aux.aux_cycle.side_effect = Rejected('no such action')
    stage.begin(profile='h100-new')
    told = stage.run()
    assert told['outcome'] == 'failed'
    assert told['error']['summary'] == (
        'no such action; the host is on again')
    stage.aux.aux_cycle.assert_called_once_with()
    assert stage.box.host == 'on'
    assert flash_guard.lock_of(stage.node) is None
    record = operation.load_record(stage.node)
    assert record is not None
    assert record.intent is None
    assert {x.item.name for x in record.staged} >= {'gpu'}


@pytest.mark.parametrize('running', [None, 'task 7'])
def test_cycle_past_its_limit_ends_with_the_host_on(
        stage: Stage, running: str | None) -> None:
    """Somebody's update begins once the host is off, and ends late."""
    want_aux(stage)
    off_at: list[float] = []
    asked: list[tuple[float, str]] = []

    def check() -> None:
        if stage.box.host == 'off':
            off_at.append(stage.box.now)
            if stage.box.now - off_at[0] < 3000:
                raise Rejected('not known to be idle', retry_after=30,
                               running=running,
                               error_class=ErrorClass.TRANSIENT)

    stage.aux.check_idle.side_effect = check
    real = redfish_power.RedfishPower.set_power_state

    def power(this: Any, task: Any, state: str,
              timeout: int | None = None) -> None:
        asked.append((stage.box.now, state))
        real(this, task, state, timeout=timeout)

    stage.begin(profile='h100-new')
    with mock.patch.multiple(redfish_power.RedfishPower,
                             set_power_state=power):
        told = stage.run(300)
    assert told['outcome'] == 'failed'
    assert 'the host is on again' in told['error']['summary']
    assert 'not_restored' not in told
    stage.aux.aux_cycle.assert_not_called()
    ons = [now for now, state in asked if state == states.POWER_ON]
    assert len(ons) == 1
    if running:
        assert ons[0] - off_at[0] >= 3000
    assert stage.box.host == 'on'
    record = operation.load_record(stage.node)
    assert record is not None
    assert {x.tried for x in record.staged} == {None}


def test_host_that_is_guarded_for_long_is_reported_as_off(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.tick()
    current = operation.load(stage.node)
    assert current is not None
    stage.box.host = 'off'
    flash_guard.put(stage.node, 'gpu-0', stage.box.now, 1e9, 'busy')
    operation.store(stage.node, current.but(
        phase='restore', restore=states.POWER_ON, due=stage.box.now,
        deadline=stage.box.now - 1, outcome={
            'outcome': 'failed', 'error': Detail('it failed').to_dict()}))
    stage.node.save()
    told = stage.run(3)
    assert told['not_restored'] == states.POWER_ON
    summary = told['error']['summary']
    assert 'an update of gpu-0 may still be in progress' in summary
    assert f'baremetal node power on {stage.node.uuid}' in summary


class _Died(BaseException):
    """The conductor dies: nothing may catch it."""


def test_reset_of_another_conductor_is_verified_first(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It died before it asked; somebody else has begun an update since."""
    stage.begin(profile='h100-new')

    def dies(*_: Any, **__: Any) -> None:
        raise _Died

    real = host_reset.power
    monkeypatch.setattr(host_reset, 'power', dies)
    with pytest.raises(_Died):
        for _ in range(60):
            stage.tick()
    objects.Node.release(None, 'this-conductor', stage.node.id)
    monkeypatch.setattr(host_reset, 'power', real)
    monkeypatch.setattr(host_reset, '_HERE', 'another')
    stage.box.jobs['theirs'] = Job({}, stage.box.now + 400.0, set(), False)
    while stage.box.flashing():
        assert stage.box.host == 'on'
        assert stage.tick() is not None
    assert (stage.box.resets, stage.box.sins) == ([], [])
    assert stage.run()['outcome'] == 'converged'
    assert stage.box.sins == []


def want_aux(stage: Stage) -> None:
    for device in stage.box.parts.values():
        device['gpu'].claimed = device['gpu'].real = Activation.AUX_CYCLE


def test_failed_baseline_is_quarantined_if_configured(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.run()
    for device in stage.box.parts.values():
        device['gpu'].current = '99.00.00.00.01'
    conf = CONF
    conf.set_override('baseline_profile', 'h100-new', group='accelerator')
    conf.set_override('baseline_on_failure', 'quarantine',
                      group='accelerator')
    try:
        stage.begin(step='apply_baseline', node=stage.node)
        told = stage.run()
    finally:
        conf.clear_override('baseline_profile', group='accelerator')
        conf.clear_override('baseline_on_failure', group='accelerator')
    assert told['outcome'] == 'refused'
    assert stage.resumed == ['clean', 'clean']
    assert stage.node.maintenance
    assert stage.traits == {'CUSTOM_ACCEL_DEGRADED'}


def test_devices_are_reset_and_inventoried(stage: Stage) -> None:
    stage.box.resettable = Activation.DEVICE_RESET
    stage.begin(step='reset_devices')
    told = stage.run()
    assert (told['outcome'], told['writes'], told['found']) == ('done', 2, 2)
    assert told['device_resets'] == 2
    assert stage.resumed == ['clean']


def test_devices_without_reset_fail_the_step(stage: Stage) -> None:
    stage.begin(step='reset_devices', devices=['gpu-0'])
    told = stage.run()
    assert told['outcome'] == 'failed'
    assert 'gpu-0' in stage.node.last_error


def test_a_refresh_publishes_and_restores(stage: Stage) -> None:
    stage.box.host = 'off'
    node = stage.make_node(power_state=states.POWER_OFF)
    task = stage.acquire(node)
    vendor = task.driver.vendor
    vendor.validate(task, 'accel_refresh', http_method='POST')
    asked = vendor.accel_refresh(task, http_method='POST')
    task.release_resources()
    stage.node = node
    told = stage.run()
    assert (told['id'], told['operation']) == (asked['id'], 'idle')
    assert 'CUSTOM_ACCEL_GPU_X2' in stage.traits
    assert 'CUSTOM_ACCEL_CAN_H100_NEW' in stage.traits
    assert stage.box.host == 'off'
    assert stage.resumed == []
    task = stage.acquire(node)
    shown = task.driver.vendor.accel_inventory(task, http_method='GET')
    assert [d['id'] for d in shown['inventory']['devices']] == [
        'gpu-0', 'gpu-1']
    assert shown['age'] == stage.seconds * 2
    planned = task.driver.vendor.accel_plan(
        task, http_method='POST', profile='h100-new')
    assert [s['reset'] for s in planned['plan']['stages']] == ['power-cycle']
    assert inventory_store.load(task) is not None


@pytest.mark.parametrize('step', [
    'apply_profile', 'apply_profile_in_band', 'apply_baseline',
    'reset_devices', 'refresh_traits', 'note_tenant', 'deliver_first_boot'])
def test_stale_step_is_removed(
        make_node: Make, acquire: Make, step: str) -> None:
    task = acquire(make_node(
        provision_state=states.DEPLOYFAIL,
        deploy_step={'step': step, 'interface': 'vendor'}))
    assert cleanup.wanted(task.node)
    cleanup.reap(task)
    assert task.node.deploy_step == {}
    task.node.deploy_step = {'step': 'somebody_s', 'interface': 'vendor'}
    assert not cleanup.wanted(task.node)


def test_leftovers_of_a_kill_are_removed_from_a_failed_node(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.seconds = 1.0
    while not stage.box.flashing():
        assert stage.tick() is not None
    node = stage.node
    node.provision_state = states.CLEANFAIL
    node.maintenance = True
    node.save()
    assert cleanup.wanted(node)
    task = stage.acquire(node)
    cleanup.reap(task)
    task.release_resources()
    node.refresh()
    assert node.clean_step == {}
    assert not [k for k in node.driver_internal_info
                if k.endswith('_polling')]
    # What is being written goes on, guarded and watched to its end.
    assert flash_guard.lock_of(node) is not None
    watched = operation.load(node)
    assert watched is not None and watched.work == 'watch'
    assert periodics.due(node)
    assert not cleanup.wanted(node)
    stage.seconds = 40.0
    while stage.tick() is not None:
        assert flash_guard.lock_of(node) is not None
    assert not stage.box.flashing()
    assert flash_guard.lock_of(node) is None
    record = operation.load_record(node)
    assert record is not None and record.intent is None
    assert {x.item.name for x in record.staged} == {'gpu'}


def die_at_the_end(stage: Stage, call: Any, name: str) -> None:
    """Let the process die where it is about to tell Ironic of the end."""
    class Died(BaseException):
        """The process is gone."""

    with mock.patch.object(call, name, autospec=True, side_effect=Died), \
            pytest.raises(Died):
        stage.run()
    objects.Node.release(None, 'this-conductor', stage.node.id)
    stage.node.refresh()
    assert operation.load(stage.node) is None
    assert stage.node.provision_state == states.CLEANWAIT


def clear(stage: Stage, seconds: float) -> bool:
    """What the periodic does after some seconds, and whether it was due."""
    stage.box.now += seconds
    found = stage.node.uuid in cleanup.found(periodics.OTHER_STATES)
    if found:
        task = stage.acquire(stage.node)
        cleanup.reap(task)
        task.release_resources()
    stage.node.refresh()
    return found


def test_ironic_is_told_again_of_a_step_that_ended(stage: Stage) -> None:
    """Nothing of ours is in progress any more, and the node waits."""
    stage.begin(profile='h100-new')
    die_at_the_end(stage, step_end, 'resume')
    assert not clear(stage, 0)
    assert not clear(stage, cleanup.TELL_AGAIN / 2)
    assert stage.resumed == []
    assert clear(stage, cleanup.TELL_AGAIN)
    assert stage.resumed == ['clean']
    assert stage.result['outcome'] == 'converged'
    # Ironic has as long to go on, and does not wait any more then.
    assert not clear(stage, cleanup.TELL_AGAIN / 2)
    stage.node.del_driver_internal_info('cleaning_polling')
    stage.node.save()
    assert not clear(stage, 2 * cleanup.TELL_AGAIN)


def test_a_step_fails_whose_process_died_at_its_failure(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with mock.patch.object(context, 'make', autospec=True,
                           side_effect=Unreachable('no session')):
        die_at_the_end(stage, step_end, 'fail')
    assert clear(stage, 2 * cleanup.TELL_AGAIN)
    assert stage.node.provision_state == states.CLEANFAIL
    assert 'no session' in stage.node.last_error
    assert stage.resumed == []


@pytest.mark.parametrize('step', [
    {'step': 'update', 'interface': 'firmware'},
    {'step': 'reset_devices', 'interface': 'vendor'}])
def test_ironic_is_not_told_of_the_end_of_another_step(
        stage: Stage, step: dict[str, str]) -> None:
    """A later step of the same clean waits, and uses the same flag."""
    stage.begin(profile='h100-new')
    die_at_the_end(stage, step_end, 'resume')
    stage.node.clean_step = step
    stage.node.save()
    assert not clear(stage, 2 * cleanup.TELL_AGAIN)
    stage.node.clean_step = {'step': 'apply_profile', 'interface': 'vendor'}
    stage.node.maintenance = True
    stage.node.save()
    assert not clear(stage, 2 * cleanup.TELL_AGAIN)


@pytest.mark.parametrize(('waited', 'pause'), [
    (0.0, 5.0), (90.0, 5.0), (200.0, 10.0), (580.0, 29.0), (1000.0, 30.0)])
def test_a_long_update_is_polled_less_often(
        stage: Stage, waited: float, pause: float) -> None:
    stage.begin(profile='h100-new')
    stage.seconds = 1.0
    while not stage.box.flashing():
        assert stage.tick() is not None
    for job in stage.box.jobs.values():
        job.ends = stage.box.now + 10000
    since = stage.info[keys.RECORD.name]['intent']['since']
    stage.box.now = since + waited
    current = stage.tick()
    assert current is not None
    assert current.due - (since + waited) == pytest.approx(pause)


def test_an_interval_above_the_longest_pause_is_kept(stage: Stage) -> None:
    CONF.set_override('poll_interval', 60, 'accelerator')
    stage.begin(profile='h100-new')
    while not stage.box.flashing():
        assert stage.tick() is not None
    now = stage.box.now
    current = stage.tick()
    assert current is not None and current.due == pytest.approx(now + 60)


def test_a_write_that_outlives_its_step_is_watched_to_its_end(
        stage: Stage) -> None:
    stage.begin(profile=site_profile('brief', limits={'minutes': 1}))
    stage.seconds = 1.0
    while not stage.box.flashing():
        assert stage.tick() is not None
    stage.seconds = 30.0
    for job in stage.box.jobs.values():
        job.ends = stage.box.now + 200
    while stage.node.provision_state == states.CLEANWAIT:
        stage.tick()
    told = stage.result
    assert told['outcome'] == 'failed'
    assert 'still running' in stage.node.last_error
    assert stage.node.provision_state == states.CLEANFAIL
    assert stage.box.flashing()
    assert flash_guard.lock_of(stage.node) is not None
    while stage.tick() is not None:
        pass
    assert not stage.box.flashing()
    assert flash_guard.lock_of(stage.node) is None
    assert stage.result == told
    assert stage.box.sins == []


def test_write_is_in_the_history(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.run()
    events = [e.event for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id)]
    assert [e for e in events if e.startswith(
        f'update gpu {sample.OLD} > {sample.NEW} on gpu-0, gpu-1; image '
        f'bundle sha256 {sample.DIGEST} (apply_profile h100-new, clean)')]
    assert [e for e in events if 'set ecc disabled > enabled on' in e]
    assert [e for e in events if 'apply_profile h100-new: converged' in e]


def turning_down(stage: Stage, times: int) -> Any:
    """A BMC that says "not now" to On for a while."""
    left = [times]
    real = redfish_power.RedfishPower.set_power_state

    def power(this: Any, task: Any, state: str,
              timeout: int | None = None) -> None:
        if state == states.POWER_ON and left[0] > 0:
            left[0] -= 1
            raise exception.RedfishError(error='503, Retry-After 3')
        real(this, task, state, timeout=timeout)

    return mock.patch.multiple(redfish_power.RedfishPower,
                               set_power_state=power)


def test_a_host_that_is_off_for_a_reset_is_powered_on_again(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with turning_down(stage, CONF.accelerator.max_failures - 1):
        told = stage.run()
    assert told['outcome'] == 'converged'
    assert stage.box.host == 'on'


def test_even_a_failed_run_powers_its_host_on_again(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with turning_down(stage, CONF.accelerator.max_failures + 3):
        told = stage.run(100)
    assert told['outcome'] == 'failed'
    assert 'not_restored' not in told
    assert stage.box.host == 'on'


def test_host_that_stays_off_is_reported(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    with turning_down(stage, 10_000):
        told = stage.run(100)
    assert told['outcome'] == 'failed'
    assert told['not_restored'] == states.POWER_ON
    for text in (told['error']['summary'], stage.node.last_error):
        assert 'the power state was not restored to power on' in text
        assert '503, Retry-After 3' in text
        assert f'baremetal node power on {stage.node.uuid}' in text
    assert stage.node.provision_state == states.CLEANFAIL


def test_verification_is_kept_if_the_power_is_not_restored(
        stage: Stage) -> None:
    stage.box.host = 'off'
    stage.begin(profile='h100-new', node=stage.make_node(
        power_state=states.POWER_OFF))
    real = redfish_power.RedfishPower.set_power_state

    def power(this: Any, task: Any, state: str,
              timeout: int | None = None) -> None:
        current = operation.load(task.node)
        if current is not None and current.phase == 'restore':
            raise exception.RedfishError(error='503')
        real(this, task, state, timeout=timeout)

    with mock.patch.multiple(redfish_power.RedfishPower,
                             set_power_state=power):
        told = stage.run(100)
    assert told['outcome'] == 'converged'
    assert told['not_restored'] == states.POWER_OFF
    assert 'the power state was not restored to power off' in (
        stage.node.last_error)


@pytest.mark.parametrize(('marks', 'offered', 'asked'), [
    (['a', 'a', 'b'], True, [states.SOFT_REBOOT]),
    (['a'], True, [states.SOFT_REBOOT, 'reboot']),
    ([None], True, ['reboot']), (['a'], False, ['reboot'])])
def test_a_host_that_is_not_powered_off_restarts_softly_first(
        stage: Stage, marks: list[str | None], offered: bool,
        asked: list[str]) -> None:
    """What runs on an active node with disable_power_off is asked first."""
    seen: list[str] = []
    told = iter(marks)
    last = [marks[-1]]

    def mark() -> str | None:
        last[0] = next(told, last[0])
        return last[0]

    stage.aux.boot_mark.side_effect = mark
    stage.aux.offers.return_value = offered

    def power(_self: Any, _task: Any, state: str,
              timeout: int | None = None) -> None:
        seen.append(state)
        if len(asked) == 1:
            stage.box.host_reset(Activation.WARM_REBOOT)

    def reboot(_self: Any, _task: Any, timeout: int | None = None) -> None:
        seen.append('reboot')
        stage.box.host_reset(Activation.WARM_REBOOT)

    stage.begin('service', profile=sample.mode_profile(
        'ecc', ecc='enabled'), max_activation='warm-reboot',
        allow_disruption=True, node=stage.make_node(disable_power_off=True))
    with mock.patch.multiple(redfish_power.RedfishPower,
                             set_power_state=power, reboot=reboot):
        told_result = stage.run(100)
    assert told_result['outcome'] == 'converged', told_result
    assert seen == asked


@pytest.mark.parametrize('off', [True, False])
def test_no_force_cuts_an_update_that_began_since_the_host_was_asked(
        stage: Stage, off: bool) -> None:
    """The host stays on; where it may not be powered off it is restarted."""
    seen: list[str] = []
    stage.aux.boot_mark.return_value = 'a'
    stage.aux.check_idle.side_effect = Rejected(
        'the BMC is not known to be idle', retry_after=30,
        error_class=ErrorClass.TRANSIENT)

    def power(_self: Any, _task: Any, state: str,
              timeout: int | None = None) -> None:
        seen.append(state)
        if state == states.SOFT_POWER_OFF:
            raise exception.PowerStateFailure(pstate=state)
        if state == states.POWER_OFF:
            stage.box.host = 'off'
        elif state == states.POWER_ON and stage.box.host == 'off':
            stage.box.host_reset(Activation.POWER_CYCLE)

    def reboot(_self: Any, _task: Any, timeout: int | None = None) -> None:
        seen.append('reboot')
        stage.box.host_reset(Activation.WARM_REBOOT)

    forced = {states.POWER_OFF, 'reboot'}
    stage.begin('service', profile=sample.mode_profile(
        'ecc', ecc='enabled'), max_activation='power-cycle' if off
        else 'warm-reboot', allow_disruption=True,
        node=stage.make_node(disable_power_off=not off))
    with mock.patch.multiple(redfish_power.RedfishPower,
                             set_power_state=power, reboot=reboot):
        for _ in range(200):
            if stage.aux.check_idle.call_count > 2:
                break
            stage.tick()
        assert seen
        assert not forced & set(seen)
        assert stage.box.host == 'on'
        stage.aux.check_idle.side_effect = None
        told = stage.run(200)
    assert told['outcome'] == 'converged', told
    assert forced & set(seen)
    assert stage.box.host == 'on'
