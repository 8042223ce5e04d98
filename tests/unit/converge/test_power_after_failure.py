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

"""The power of a host whose reset did not complete: it is on again."""

from __future__ import annotations

import dataclasses
from typing import Any
import uuid

import pytest

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge import reset_note
from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.record import Record
from tests.unit.converge import drive
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge.host import Clock
from tests.unit.converge.host import Host

WANTED = drive.profile({'d0': {'gpu': '2'}})
RULES = ResetRules('', ResetTimes(look=5, settle=10))
#: Seconds within which a run that has failed has ended.
BOUND = RULES.times.busy + RULES.times.hard + RULES.times.away + 60


class Seen(Box):
    """Devices that are read as the host and its BMC allow it."""

    host_power: Host

    def observe(self, known: Known = NOBODY) -> Inventory:
        """The inventory; Unreachable where the BMC is away."""
        inventory = super().observe(known)
        host = self.host_power
        if host.clock.now < host.away_until:
            raise Unreachable('no answer')
        busy = (Busy('task', '/redfish/v1/TaskService/Tasks/7', 'a task'),
                ) if host.clock.now < host.busy_until else ()
        return dataclasses.replace(
            inventory, busy=busy,
            host='off' if host.state == 'off' else inventory.host)


@dataclasses.dataclass
class Trial:
    """A run that has decided on a reset, its host and its journal."""

    rules: ResetRules = RULES

    def __post_init__(self) -> None:
        self.host = Host(Clock())
        self.box = Seen({'d0': {'gpu': Part('1', waiting='2')}}, {}, [])
        self.box.host_power = self.host
        self.host.clock.now = self.box.now
        self.disk = drive.Disk()
        self.record = loop.begin(WANTED, None, self.host.clock.now)
        out = self.advance()
        assert isinstance(out, outcome.Reset)

    def advance(self) -> outcome.Outcome:
        """One call of the loop."""
        self.box.now = self.host.clock.now
        out, self.record = loop.advance(
            self.box, drive.AllImages(), self.disk, WANTED, self.record,
            self.host.clock.now, drive.Catalogue())
        return out

    def noted(self, **ticket: Any) -> None:
        """The reset is as far as this note."""
        intent = self.record.intent
        assert intent is not None
        self.record = dataclasses.replace(
            self.record, intent=dataclasses.replace(
                intent, ticket={'at': self.host.clock.now, **ticket}))

    def late(self) -> None:
        """The time for the reset is over."""
        intent = self.record.intent
        assert intent is not None
        self.host.clock.now = intent.deadline + 1

    def end(self) -> Detail:
        """Call the loop until the run fails, as its callers do."""
        clock = self.host.clock
        process = HostResetter(self.host, self.disk.save, dataclasses.replace(
            self.rules, by=uuid.uuid4().hex))
        for _ in range(3000):
            out = self.advance()
            if isinstance(out, outcome.Failed):
                return out.error
            if isinstance(out, outcome.Wait):
                clock.now = max(out.until, clock.now + 0.5)
                continue
            assert isinstance(out, outcome.Reset)
            try:
                step = process.step(self.record, clock.now)
            except AccelError as exc:
                return exc.detail
            assert not step.performed
            self.record = step.record
            clock.now = max(step.until, clock.now)
        raise AssertionError('the run does not end')


OFF = [{'phase': 'off', 'asked': 'down'}, {'phase': 'off', 'asked': 'hard'},
       {'phase': 'aux'}, {'phase': 'bmc'}, {'phase': 'on'},
       {'phase': 'on', 'asked': 'hard'}, {'cut': True}]


@pytest.mark.parametrize('note', OFF)
@pytest.mark.parametrize('limit', ['of the reset', 'of the run'])
def test_late_reset_ends_with_the_host_on(
        note: dict[str, Any], limit: str) -> None:
    trial = Trial()
    trial.noted(**note)
    trial.host.state = 'off'
    trial.late()
    if limit == 'of the run':
        trial.record = dataclasses.replace(
            trial.record, deadline=trial.host.clock.now - 1)
    began = trial.host.clock.now
    error = trial.end()
    assert trial.host.asked == ['on']
    assert trial.host.state == 'on'
    assert trial.host.clock.now - began < BOUND
    assert 'the host is on again' in error.summary
    expected = ('limits.minutes' if limit == 'of the run'
                else 'did not complete in 1800 s')
    assert expected in error.summary


@pytest.mark.parametrize('note', [
    {}, {'phase': 'off'}, {'phase': 'reboot'}, {'phase': 'off',
                                                'asked': 'refused'}])
def test_host_that_the_reset_did_not_switch_off_is_left_alone(
        note: dict[str, Any]) -> None:
    """Somebody else did: it is his host."""
    trial = Trial()
    if note:
        trial.noted(**note)
    trial.host.state = 'off'
    trial.late()
    error = trial.end()
    assert trial.host.asked == []
    assert 'power' in str(error.todo)


@pytest.mark.parametrize('note', OFF)
def test_host_that_is_on_by_itself_is_not_powered_on(
        note: dict[str, Any]) -> None:
    trial = Trial()
    trial.noted(**note)
    trial.late()
    error = trial.end()
    assert trial.host.asked == []
    assert error.summary.endswith('; the host is on again')


@pytest.mark.parametrize('note', OFF)
def test_host_that_was_off_before_the_run_stays_off(
        note: dict[str, Any]) -> None:
    trial = Trial(dataclasses.replace(RULES, keep_off=True))
    trial.noted(**note)
    trial.host.state = 'off'
    trial.late()
    error = trial.end()
    assert trial.host.asked == []
    assert 'powered' not in error.summary


def test_host_is_not_powered_on_while_the_bmc_reports_an_update() -> None:
    trial = Trial()
    trial.noted(phase='aux')
    trial.host.state = 'off'
    trial.late()
    began = trial.host.clock.now
    trial.host.busy_until = began + 400
    trial.host.running = 'task 7'
    trial.host.before = lambda what: events.append(trial.host.clock.now)
    events: list[float] = []
    error = trial.end()
    assert trial.host.state == 'on'
    assert [round(e - began) for e in events] == [400]
    assert 'the host is on again' in error.summary


def test_update_that_does_not_end_is_named_with_the_host_that_is_off(
        ) -> None:
    trial = Trial()
    trial.noted(phase='aux')
    trial.host.state = 'off'
    trial.late()
    trial.host.busy_until = trial.host.clock.now + 1e6
    trial.host.running = 'task 7'
    began = trial.host.clock.now
    error = trial.end()
    assert trial.host.asked == []
    assert trial.host.clock.now - began < BOUND
    assert error.running == 'task 7'
    assert 'power it on once the update has ended' in str(error.todo)
    assert 'did not complete in 1800 s' in error.summary
    assert reset_note.is_switched_off(trial.record)


def test_bmc_that_cannot_tell_whether_it_is_idle_is_waited_for() -> None:
    """It was idle when the power was cut, and nothing was begun since."""
    trial = Trial()
    trial.noted(phase='aux')
    trial.host.state = 'off'
    trial.late()
    trial.host.busy_until = trial.host.clock.now + 1e6
    began = trial.host.clock.now
    events: list[float] = []
    trial.host.before = lambda what: events.append(trial.host.clock.now)
    error = trial.end()
    assert trial.host.asked == ['on']
    assert RULES.times.hard < events[0] - began < RULES.times.hard + 60
    assert 'the host is on again' in error.summary


@pytest.mark.parametrize('error', [
    Rejected('no'), Rejected('later', retry_after=60),
    Unreachable('no route'), OutcomeUnknown('broke off')])
def test_host_that_cannot_be_powered_on_is_named(error: AccelError) -> None:
    trial = Trial()
    trial.noted(phase='on')
    trial.host.state = 'off'
    trial.late()

    def fail(what: str) -> None:
        raise error

    trial.host.before = fail
    began = trial.host.clock.now
    end = trial.end()
    assert trial.host.state == 'off'
    assert trial.host.clock.now - began < BOUND
    assert 'did not complete in 1800 s' in end.summary
    assert 'may still be off: power it on' in str(end.todo)


def test_silent_bmc_ends_the_run_with_what_to_do() -> None:
    trial = Trial()
    trial.noted(phase='aux')
    trial.host.state = 'off'
    trial.late()
    trial.host.away_until = trial.host.clock.now + 1e6
    began = trial.host.clock.now
    end = trial.end()
    assert trial.host.clock.now - began < BOUND
    assert 'no answer' in end.summary
    assert 'may still be off: power it on' in str(end.todo)


@pytest.mark.parametrize('trouble', ['busy', 'away'])
def test_host_that_goes_off_before_the_reset_starts_over_is_powered_on(
        trouble: str) -> None:
    """A power off whose answer was lost is performed late, and the inventory
    that comes next is not possible for long."""
    trial = Trial()
    trial.noted(cut=True)
    clock = trial.host.clock
    trial.host.state = 'off'
    if trouble == 'busy':
        trial.host.busy_until = clock.now + 2000
        trial.host.running = 'task 7'
    else:
        trial.host.away_until = clock.now + 1000
    error = trial.end()
    assert trial.host.asked == ['on']
    assert trial.host.state == 'on'
    assert 'the host is on again' in error.summary


@pytest.mark.parametrize('save', range(1, 8))
@pytest.mark.parametrize('after', [False, True])
def test_run_killed_at_any_save_ends_with_the_host_on(
        save: int, after: bool) -> None:
    trial = Trial()
    trial.noted(phase='aux')
    trial.disk.save(trial.record)
    trial.host.state = 'off'
    trial.host.before = lambda what: None
    trial.late()
    dies = trial.disk.die_after if after else trial.disk.die_before
    dies.add(trial.disk.saves + save)
    while True:
        try:
            error = trial.end()
            break
        except drive.Crash:
            trial.host.clock.now += 20
            found = trial.disk.load()
            assert found is not None and found.started
            trial.record = found
    assert trial.host.state == 'on'
    assert trial.host.asked.count('on') <= 2
    assert 'did not complete' in error.summary


def test_reset_that_failed_does_not_count_as_tried() -> None:
    """Nothing stronger is called for: the next run repeats this one."""
    trial = Trial()
    before = [(x.item, x.resets, x.tried) for x in trial.record.staged]
    assert before
    trial.noted(phase='aux')
    trial.host.state = 'off'
    trial.late()
    trial.end()
    found = trial.disk.load()
    assert found is not None
    assert [(x.item, x.resets, x.tried) for x in found.staged] == [
        (item, 0, None) for item, _, _ in before]
    again: Record = loop.begin(WANTED, found, trial.host.clock.now)
    trial.record = again
    out = trial.advance()
    assert isinstance(out, outcome.Reset)


def test_reset_counts_once_it_is_performed() -> None:
    trial = Trial()
    performed = loop.reset_performed(trial.record, trial.host.clock.now)
    assert performed.intent is not None
    assert [(x.resets, x.tried) for x in performed.staged] == [
        (1, performed.intent.activation)]
    assert not reset_note.may_be_off(performed)
