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

"""Time and power follow the box, whatever the clocks say."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic import objects
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.operation import guard_followup
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.converge import ports
from ironic_accel.model.activity import Busy
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import loader
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import site_profile
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
DAY = 86400.0


class Clocks:
    """The clocks of several conductors over one database."""

    def __init__(self) -> None:
        self.real = 5_000_000.0
        self.skew = 0.0
        self.shared = 0.0
        self.boot = 'a'
        self.started = 4_000_000.0

    def to(self, boot: str, skew: float, started: float = 0.0) -> None:
        """Another conductor's machine, started at another time."""
        self.boot, self.skew, self.started = boot, skew, started


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Clocks that a test sets."""
    made = Clocks()
    monkeypatch.setattr(clock, 'now', lambda: made.real + made.skew)
    monkeypatch.setattr(clock, 'steady', lambda: made.real - made.started)
    monkeypatch.setattr(clock, 'boot', lambda: made.boot)
    monkeypatch.setattr(clock, 'database',
                        lambda: made.real + made.shared)
    monkeypatch.setattr(clock, '_asked', None)
    return made


@pytest.mark.parametrize('skew', [DAY, -DAY, 3600.0, -3600.0, 0.0])
def test_a_clock_that_is_set_changes_nothing(
        make_node: Make, clocks: Clocks, skew: float) -> None:
    node = make_node()
    begun = clock.mark(node)
    assert begun == clocks.real
    for seconds in (5, 300, 7200):
        clocks.real += seconds
        clocks.skew += skew
        assert clock.mark(node) == clock.elapsed(node) == clocks.real


@pytest.mark.parametrize('skew', [3600.0, -3600.0, DAY, -DAY])
def test_another_conductor_counts_on(
        make_node: Make, clocks: Clocks, skew: float) -> None:
    node = make_node()
    clock.mark(node)
    clocks.to('b', skew)
    clocks.real += 90
    assert clock.is_uncounted(node)
    assert clock.elapsed(node) == clocks.real - 90
    assert clock.mark(node) == clocks.real
    assert not clock.is_uncounted(node)


@pytest.mark.parametrize(('jump', 'counted'), [
    (DAY, clock.STEP), (-DAY, 0.0), (-90.0, 0.0), (0.0, 90.0)])
def test_a_database_whose_clock_is_set_counts_too_little_at_most(
        make_node: Make, clocks: Clocks, jump: float,
        counted: float) -> None:
    node = make_node()
    begun = clock.mark(node)
    clocks.to('b', 0)
    clocks.shared = jump
    clocks.real += 90
    assert clock.mark(node) - begun == counted


def test_time_never_goes_back(make_node: Make, clocks: Clocks) -> None:
    node = make_node()
    seen = [clock.mark(node)]
    for boot, skew, step in (('a', -DAY, -50.0), ('b', DAY, 10.0),
                             ('a', 0.0, -500.0), ('a', -DAY, 3.0)):
        clocks.to(boot, skew, 4_000_000.0)
        clocks.real += step
        seen.append(clock.mark(node))
    assert seen == sorted(seen)


def test_the_clocks_are_real() -> None:
    before = clock.steady()
    assert 0 <= clock.steady() - before < 10
    assert clock.boot() == clock.boot() and len(clock.boot()) > 35


def test_time_of_the_database_is_read(make_node: Make) -> None:
    assert abs(clock.database() - clock.now()) < 10
    # Not in whole seconds: looks of one second have an order.
    assert any(clock.database() % 1 for _ in range(3))


@pytest.mark.parametrize('skew', [-DAY, -3600.0, 3600.0, DAY])
def test_stored_times_do_not_use_a_conductor_clock(
        make_node: Make, clocks: Clocks, skew: float) -> None:
    begun = clock.shared()
    assert begun == clocks.real
    clocks.skew = skew
    for seconds in (1, 40, 7200):
        clocks.real += seconds
        assert clock.shared() == clocks.real
    # The database is asked for it now and then, not for each node.
    clocks.shared = 50.0
    assert clock.shared() == clocks.real
    clocks.real += clock.ASK
    assert clock.shared() == clocks.real + 50
    # Another start of the machine: what it counted by is worth nothing.
    clocks.started = clocks.real - 5
    assert clock.shared() == clocks.real + 50


def profile() -> Any:
    """A site profile that says something."""
    return loader.load_data(site_profile('h100-new'))


@pytest.mark.parametrize('skew', [-DAY, -3600.0, 3600.0, DAY])
def test_a_proof_is_as_old_as_it_is_on_every_conductor(
        make_node: Make, clocks: Clocks, skew: float) -> None:
    node, one = make_node(), profile()
    CONF.set_override('verification_max_age', 7200, group='accelerator')
    try:
        verification.keep(node, one, ['gpu-0'])
        clocks.to('b', skew)
        clocks.real += 7000
        assert verification.void(node, {one.name: one}) == {}
        clocks.real += 300
        assert verification.void(node, {one.name: one}) == {
            one.name: 'the verification has expired'}
    finally:
        CONF.clear_override('verification_max_age', group='accelerator')


def test_a_proof_of_later_than_now_is_none(
        make_node: Make, clocks: Clocks) -> None:
    """The clock of the database was set back: its age is not known."""
    node, one = make_node(), profile()
    CONF.set_override('verification_max_age', 7200, group='accelerator')
    try:
        verification.keep(node, one, ['gpu-0'])
        clocks.shared = -DAY
        clocks.real += clock.ASK
        assert verification.void(node, {one.name: one}) == {
            one.name: 'the verification has expired'}
        # What conductors differ by that ask at different moments is none.
        clocks.shared = 1.0 - verification.AHEAD - clock.ASK
        clocks.real += clock.ASK
        assert verification.void(node, {one.name: one}) == {}
    finally:
        CONF.clear_override('verification_max_age', group='accelerator')


@pytest.mark.parametrize('skew', [-DAY, -3600.0, 3600.0, DAY])
@pytest.mark.parametrize('shared', [0.0, -DAY])
def test_data_from_before_a_tenant_left_are_not_trusted(
        make_node: Make, clocks: Clocks, skew: float,
        shared: float) -> None:
    """Whoever looked, and whoever saw the tenant go."""
    node = make_node()
    seen_at = clock.shared()
    node.set_driver_internal_info(keys.SUMMARY.name, {'at': seen_at})
    clocks.to('b', skew)
    clocks.shared = shared
    clocks.real += 600
    inventory_store.tenant_gone(node)
    assert node.driver_internal_info[keys.INSIDE_VOID.name] >= seen_at


def test_a_foreign_count_is_due_at_once_and_then_waits(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.begin(profile='h100-new')
    current = stage.tick()
    assert current is not None
    operation.store(stage.node, current.but(due=stage.box.now + 300))
    stage.node.save()
    assert not periodics.due(stage.node)
    monkeypatch.setattr(clock, 'boot', lambda: 'another')
    assert periodics.due(stage.node)
    asked = stage.box.writes
    left = stage.tick()
    assert (left.due, stage.box.writes) == (current.but(
        due=stage.box.now - stage.seconds + 300).due, asked)
    assert not periodics.due(stage.node)


@pytest.mark.parametrize('after', [365 * DAY, float('inf'), float('nan')])
def test_a_bmc_cannot_put_a_run_to_sleep(
        stage: Stage, after: float) -> None:
    stage.begin(profile='h100-new')
    with mock.patch.object(stage.box, 'start', autospec=True,
                           side_effect=Rejected('busy', retry_after=after)):
        current = stage.tick()
    assert current.due <= stage.box.now + CONF.conductor.\
        clean_callback_timeout / 3
    assert stage.run(40)['outcome'] == 'converged'


def burning(stage: Stage, seconds: float = 1e6) -> None:
    """A burn that goes on for long."""
    stage.seconds = 1.0
    while not stage.box.flashing():
        assert stage.tick() is not None
    for job in stage.box.jobs.values():
        job.ends = stage.box.now + seconds
    stage.seconds = 300.0


def failed(stage: Stage) -> dict[str, Any]:
    """Tick until the step has failed; its result."""
    for _ in range(200):
        stage.tick()
        if stage.node.provision_state == states.CLEANFAIL:
            return stage.result
    raise AssertionError('the step goes on')


def refused(stage: Stage, make_task: Callable[..., Any]) -> None:
    """Nobody's power call passes."""
    task = make_task(stage.node, shared=True)
    with pytest.raises(exception.InvalidState, match='update in progress'):
        task.driver.power.validate(task)
    with pytest.raises(exception.DriverOperationError):
        task.driver.power.set_power_state(task, states.POWER_OFF)
    with pytest.raises(exception.DriverOperationError):
        task.driver.power.reboot(task)
    task.release_resources()


@pytest.mark.parametrize('host', ['off', 'on'])
def test_update_longer_than_any_deadline_is_never_powered_off(
        stage: Stage, acquire: Make, host: str) -> None:
    stage.box.host = host
    stage.begin(profile='h100-new', node=stage.make_node(
        power_state=states.POWER_ON if host == 'on' else states.POWER_OFF))
    burning(stage)
    told = failed(stage)
    assert 'still running' in stage.node.last_error
    assert told['outcome'] == 'failed'
    for _ in range(12):
        assert stage.tick() is not None
        refused(stage, acquire)
        assert stage.box.host == 'on'
    assert stage.box.sins == []
    for job in stage.box.jobs.values():
        job.ends = stage.box.now
    while stage.tick() is not None:
        refused(stage, acquire)
    assert flash_guard.lock_of(stage.node) is None
    assert stage.result == told


def test_a_clock_that_jumps_ends_no_guard(
        stage: Stage, acquire: Make) -> None:
    stage.begin(profile='h100-new')
    burning(stage)
    for skew in (DAY, -DAY, 100 * DAY):
        with mock.patch.object(clock, 'now', lambda s=skew:
                               stage.box.now + s):
            current = stage.tick()
            assert current.work == 'apply'
            refused(stage, acquire)
    assert clock.elapsed(stage.node) == stage.box.now


def forget_tasks(stage: Stage) -> Any:
    """The BMC forgets its tasks: nothing is told of them any more."""
    real = stage.box.sources

    def sources() -> Any:
        return sample.sources(
            dataclasses.replace(real()[0].inventory, busy=()))

    return mock.patch.multiple(
        stage.box, sources=sources, poll=lambda _ticket: ports.Unknown(
            'no such task', hidden=True))


def test_a_task_that_is_forgotten_is_guarded_as_long_as_promised(
        stage: Stage, acquire: Make) -> None:
    stage.begin(profile=site_profile(
        'brief', limits={'minutes': 1}))
    burning(stage)
    failed(stage)
    begun = stage.info[keys.GUARD.name]['since']
    with forget_tasks(stage):
        while stage.tick() is not None:
            refused(stage, acquire)
    assert flash_guard.lock_of(stage.node) is None
    assert stage.box.now - begun > CONF.accelerator.lost_update_timeout
    assert stage.box.now - begun < (
        CONF.accelerator.lost_update_timeout + 4 * stage.seconds)


def test_a_version_that_shows_ends_the_wait_for_a_forgotten_task(
        stage: Stage) -> None:
    stage.begin(profile=site_profile(
        'brief', limits={'minutes': 1}))
    burning(stage, 300)
    failed(stage)
    with forget_tasks(stage):
        while stage.tick() is not None:
            pass
    assert not stage.box.flashing()
    assert flash_guard.lock_of(stage.node) is None
    begun = stage.result['started']
    assert stage.box.now - begun < CONF.accelerator.lost_update_timeout


def test_a_bmc_that_falls_silent_is_given_as_long(
        stage: Stage, acquire: Make) -> None:
    stage.begin(profile=site_profile(
        'brief', limits={'minutes': 1}))
    burning(stage)
    failed(stage)
    begun = stage.info[keys.GUARD.name]['since']
    gone = Unreachable('no route to the BMC')
    # The last that was heard of it is that it runs: so it is not given up.
    with mock.patch.multiple(stage.box, poll=mock.Mock(side_effect=gone),
                             sources=mock.Mock(side_effect=gone)):
        while stage.tick() is not None:
            refused(stage, acquire)
    assert flash_guard.lock_of(stage.node) is None
    assert stage.box.now - begun > CONF.accelerator.lost_update_timeout
    events = [e.event for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id)]
    assert [e for e in events if 'removed the power lock of' in e
            and 'no route to the BMC' in e]


def test_one_idle_inventory_is_not_enough(stage: Stage, acquire: Make) -> None:
    stage.begin(profile=site_profile(
        'brief', limits={'minutes': 1}))
    burning(stage)
    failed(stage)
    for job in stage.box.jobs.values():
        job.ends = stage.box.now
    assert stage.tick() is not None
    refused(stage, acquire)
    real = stage.box.sources
    copying = Busy('copy', 'background copy')
    with mock.patch.object(stage.box, 'sources', lambda: sample.sources(
            dataclasses.replace(real()[0].inventory, busy=(copying,)))):
        for _ in range(6):
            assert stage.tick() is not None
            refused(stage, acquire)
    assert stage.tick() is not None
    refused(stage, acquire)
    assert stage.tick() is None
    assert flash_guard.lock_of(stage.node) is None


def test_missing_progress_is_reported_once_and_does_not_unlock(
        stage: Stage, acquire: Make) -> None:
    stage.begin(profile=site_profile(
        'brief', limits={'minutes': 1}))
    burning(stage)
    failed(stage)
    limit = guard_followup.STUCK * CONF.accelerator.lost_update_timeout
    stage.seconds = limit / 4
    with mock.patch.object(stage.box, 'poll', autospec=True,
                           return_value=ports.Running('writing', 7)):
        for _ in range(12):
            assert stage.tick() is not None
            refused(stage, acquire)
    told = [e for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id) if 'has shown no progress for' in e.event]
    assert len(told) == 1 and told[0].severity == 'ERROR'
    assert 'accelerator unlock' in told[0].event


def test_runs_over_an_old_write_do_not_wait_longer_each_time(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    burning(stage)
    waited = []
    for _ in range(3):
        told = failed(stage)
        waited.append(told['seconds'])
        while flash_guard.lock_of(stage.node):
            flash_guard.drop(stage.node)
            stage.node.del_driver_internal_info(keys.OPERATION.name)
            stage.node.save()
        stage.node.maintenance = False
        stage.begin(profile='h100-new', node=stage.node)
    # The first waits for the write, the others for their own limit.
    assert max(waited) < 120 * 60 + 2 * stage.seconds


def test_power_lock_without_operation_is_monitored(
        make_node: Make, acquire: Make) -> None:
    for state in (states.MANAGEABLE, states.ERROR, states.RESCUEFAIL,
                  states.INSPECTFAIL):
        task = acquire(make_node(provision_state=state))
        flash_guard.put(task.node, 'gpu-1', 0.0, 600)
        assert cleanup.wanted(task.node)
        cleanup.reap(task)
        current = operation.load(task.node)
        assert current is not None and current.work == 'watch'
        assert flash_guard.lock_of(task.node) is not None
        assert state in periodics.WORK_STATES
        assert periodics.due(task.node)
        assert not cleanup.wanted(task.node)
