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

"""Host resets as they are performed, over a host that can misbehave."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any
import uuid

import pytest

from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge.reset_note import is_switched_off
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from tests.unit.converge.host import Clock
from tests.unit.converge.host import Host

TIMES = ResetTimes(look=5, soft=60, hard=120, away=600, settle=10)


def resetter(host: Host, save: Callable[[Record], None],
             times: ResetTimes = TIMES) -> HostResetter:
    """What resets a host in a process of its own."""
    return HostResetter(host, save, ResetRules(uuid.uuid4().hex, times))


@dataclasses.dataclass
class Stage:
    """A host, a clock, and the records that were saved."""

    activation: Activation
    clock: Clock = dataclasses.field(default_factory=Clock)
    saved: list[Record] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.host = Host(self.clock)
        self.record = Record(intent=Intent(
            'reset', self.activation, self.clock.now, self.clock.now + 1800))

    def play(self, times: ResetTimes = TIMES, steps: int = 300) -> None:
        """Step until the reset is performed, or it fails."""
        process = resetter(self.host, self.saved.append, times)
        for _ in range(steps):
            step = process.step(self.record, self.clock.now)
            self.record = step.record
            self.clock.now = max(step.until, self.clock.now)
            if step.performed:
                return
        raise AssertionError(f'not performed in {steps} steps')

    def performed(self) -> bool:
        """Whether the last saved record says so."""
        intent = self.saved[-1].intent
        return bool(intent and (intent.ticket or {}).get('performed'))


@pytest.mark.parametrize('activation, asked', [
    (Activation.WARM_REBOOT, ['soft reboot']),
    (Activation.POWER_CYCLE, ['soft off', 'on']),
    (Activation.AUX_CYCLE, ['soft off', 'aux', 'on']),
])
def test_each_reset_asks_once_for_each_thing(
        activation: Activation, asked: list[str]) -> None:
    stage = Stage(activation)
    stage.play()
    assert stage.host.asked == asked
    assert stage.host.state == 'on'
    assert stage.performed()


def test_no_soft_off_where_it_is_not_wanted() -> None:
    stage = Stage(Activation.POWER_CYCLE)
    stage.play(dataclasses.replace(TIMES, soft=0))
    assert stage.host.asked == ['hard off', 'on']


@pytest.mark.parametrize(('marks', 'offered', 'deaf', 'asked'), [
    (True, ('GracefulRestart', 'GracefulShutdown'), (), ['soft reboot']),
    (True, ('GracefulRestart',), ('soft reboot',),
     ['soft reboot', 'reboot']),
    (False, ('GracefulRestart', 'GracefulShutdown'), (),
     ['soft off', 'on']),
    (False, ('GracefulShutdown',), ('soft off',), ['soft off', 'reboot']),
    (False, ('GracefulRestart',), (), ['soft reboot', 'reboot']),
    (True, ('GracefulShutdown',), (), ['soft off', 'on']),
    (True, (), (), ['reboot'])])
def test_a_warm_reboot_is_asked_of_the_operating_system_first(
        marks: bool, offered: tuple[str, ...], deaf: tuple[str, ...],
        asked: list[str]) -> None:
    stage = Stage(Activation.WARM_REBOOT)
    stage.host.marks, stage.host.offered = marks, offered
    stage.host.deaf = set(deaf)
    stage.play()
    assert stage.host.asked == asked
    assert stage.host.state == 'on'
    if asked[-1] == 'reboot' and len(asked) > 1:
        assert stage.clock.now - 1000 >= TIMES.soft


def test_no_soft_restart_where_it_is_not_wanted() -> None:
    stage = Stage(Activation.WARM_REBOOT)
    stage.play(dataclasses.replace(TIMES, soft=0))
    assert stage.host.asked == ['reboot']


def test_a_soft_restart_that_is_turned_down_is_forced() -> None:
    stage = Stage(Activation.WARM_REBOOT)

    def refuse(what: str) -> None:
        if what == 'soft reboot':
            raise Rejected('not supported')

    stage.host.before = refuse
    stage.play()
    assert stage.host.asked == ['reboot']


def test_a_host_that_shut_down_before_a_kill_is_powered_on() -> None:
    stage = Stage(Activation.WARM_REBOOT)
    stage.host.marks = False
    process = resetter(stage.host, stage.saved.append)
    stage.record = process.step(stage.record, stage.clock.now).record
    assert stage.host.state == 'off'
    stage.play()
    assert stage.host.asked == ['soft off', 'on']


def test_an_operating_system_that_does_not_listen_is_cut() -> None:
    stage = Stage(Activation.POWER_CYCLE)
    stage.host.deaf = {'soft off'}
    stage.play()
    assert stage.host.asked == ['soft off', 'hard off', 'on']
    assert stage.clock.now - 1000 >= TIMES.soft


@pytest.mark.parametrize(('activation', 'deaf', 'marks', 'asked'), [
    (Activation.POWER_CYCLE, 'soft off', True, ['soft off', 'hard off', 'on']),
    (Activation.AUX_CYCLE, 'soft off', True,
     ['soft off', 'hard off', 'aux', 'on']),
    (Activation.WARM_REBOOT, 'soft reboot', True, ['soft reboot', 'reboot']),
    (Activation.WARM_REBOOT, 'soft off', False, ['soft off', 'reboot'])])
def test_no_force_cuts_an_update_that_began_since_the_host_was_asked(
    activation: Activation, deaf: str, marks: bool, asked: list[str]
) -> None:
    stage = Stage(activation)
    stage.host.deaf, stage.host.marks = {deaf}, marks
    stage.host.busy_until = stage.clock.now + 400
    times: list[tuple[str, float]] = []
    stage.host.before = lambda what: times.append((what, stage.clock.now))
    stage.play()
    assert stage.host.asked == asked
    assert times[1][1] >= stage.host.busy_until
    assert stage.host.state == 'on'


def test_an_update_that_does_not_end_ends_the_run_with_the_host_on() -> None:
    stage = Stage(Activation.POWER_CYCLE)
    stage.host.deaf = {'soft off'}
    stage.host.busy_until = stage.clock.now + 1e6
    with pytest.raises(Rejected, match='not known to be idle'):
        stage.play()
    assert stage.host.asked == ['soft off']
    assert stage.host.state == 'on'
    assert stage.clock.now - 1000 <= TIMES.soft + TIMES.busy + 60


def test_a_host_that_cannot_be_asked_softly_is_cut() -> None:
    stage = Stage(Activation.POWER_CYCLE)

    def refuse(what: str) -> None:
        if what == 'soft off':
            raise Rejected('not supported')

    stage.host.before = refuse
    stage.play()
    assert stage.host.asked == ['hard off', 'on']


@pytest.mark.parametrize('deaf, words', [
    ({'soft off', 'hard off'}, 'not off'), ({'on'}, 'not on')])
def test_a_host_that_does_not_follow_is_an_error(
        deaf: set[str], words: str) -> None:
    stage = Stage(Activation.POWER_CYCLE)
    stage.host.deaf = deaf
    with pytest.raises(AccelError, match=words):
        stage.play()


def test_a_bmc_that_stays_away_is_an_error() -> None:
    stage = Stage(Activation.AUX_CYCLE)
    with pytest.raises(Unreachable):
        stage.play(dataclasses.replace(TIMES, away=30))


def test_a_request_that_never_left_is_sent_again() -> None:
    stage = Stage(Activation.WARM_REBOOT)
    calls: list[str] = []

    def fail_once(what: str) -> None:
        calls.append(what)
        if len(calls) == 1:
            raise Unreachable('no route')

    stage.host.before = fail_once
    stage.play()
    assert stage.host.asked == ['soft reboot']


@pytest.mark.parametrize(('activation', 'notes'), [
    (Activation.POWER_CYCLE, {'phase': 'off', 'asked': 'soft'}),
    (Activation.POWER_CYCLE, {'phase': 'off', 'asked': 'hard'}),
    (Activation.AUX_CYCLE, {'phase': 'off', 'asked': 'hard'}),
    (Activation.WARM_REBOOT, {'phase': 'restart', 'asked': 'soft',
                          'mark': 'boot 0'})])
def test_what_an_earlier_process_asked_for_is_begun_anew(
        activation: Activation, notes: dict[str, Any]) -> None:
    """The host is still on: the box is looked at before it is cut."""
    stage = Stage(activation)
    intent = stage.record.intent
    assert intent is not None
    stage.record = dataclasses.replace(
        stage.record, intent=dataclasses.replace(
            intent, ticket={'since': 900.0, **notes}))
    step = resetter(stage.host, stage.saved.append).step(
        stage.record, stage.clock.now)
    assert stage.host.asked == []
    # An inventory comes next; only that the host may go off is noted.
    assert step.record.intent == dataclasses.replace(
        intent, ticket={'cut': True})
    assert stage.saved == [step.record]
    stage.record = step.record
    stage.play()
    assert stage.performed()
    assert stage.host.state == 'on'


def test_a_request_whose_outcome_is_unknown_is_not_repeated() -> None:
    stage = Stage(Activation.WARM_REBOOT)
    calls: list[str] = []

    def lose(what: str) -> None:
        calls.append(what)
        raise OutcomeUnknown('broke off')

    stage.host.before = lose
    stage.play(dataclasses.replace(TIMES, soft=0))
    assert calls == ['reboot']
    assert stage.performed()


@pytest.mark.parametrize(('followed', 'calls'), [
    (True, ['soft reboot']), (False, ['soft reboot', 'reboot'])])
def test_a_soft_restart_that_is_lost_shows_by_what_the_host_does(
        followed: bool, calls: list[str]) -> None:
    stage = Stage(Activation.WARM_REBOOT)
    made: list[str] = []

    def lose(what: str) -> None:
        made.append(what)
        if what == 'soft reboot':
            stage.host.boots += followed
            raise OutcomeUnknown('broke off')

    stage.host.before = lose
    stage.play()
    assert made == calls
    assert stage.performed()


def busy(*what: str, times: int = 3, wait: float | None = 3.0
         ) -> Callable[[str], None]:
    """A BMC that turns some requests down a few times."""
    left = dict.fromkeys(what, times)

    def turn_down(asked: str) -> None:
        if left.get(asked, 0) > 0:
            left[asked] -= 1
            raise Rejected(f'{asked}: not now', wait)

    return turn_down


@pytest.mark.parametrize('activation, asked', [
    (Activation.WARM_REBOOT, ['soft reboot']),
    (Activation.POWER_CYCLE, ['soft off', 'on']),
    (Activation.AUX_CYCLE, ['soft off', 'aux', 'on'])])
@pytest.mark.parametrize('what', ['soft reboot', 'soft off', 'aux', 'on'])
@pytest.mark.parametrize('wait', [3.0, 100.0])
def test_a_busy_bmc_is_asked_again(
    activation: Activation, asked: list[str], what: str, wait: float
) -> None:
    stage = Stage(activation)
    stage.host.before = busy(what, wait=wait)
    stage.play()
    assert stage.host.asked == asked
    assert stage.host.state == 'on'
    assert stage.performed()


@pytest.mark.parametrize('wait', [3.0, None])
def test_a_bmc_that_never_powers_on_is_reported(wait: float | None) -> None:
    stage = Stage(Activation.POWER_CYCLE)
    stage.host.before = busy('on', times=10_000, wait=wait)
    with pytest.raises(AccelError) as error:
        stage.play()
    detail = error.value.detail
    assert 'on: not now' in detail.summary
    assert (detail.expected, detail.seen) == ('on', 'off')
    assert 'was powered off for the power-cycle' in (detail.todo or '')
    assert stage.clock.now - 1000 < TIMES.busy + 700
    assert not stage.performed()
    # Whoever runs again goes on there.
    stage.host.before = busy()
    stage.play()
    assert stage.host.state == 'on'


@pytest.mark.parametrize('answer', ['lost', 'turned down'])
def test_on_is_asked_for_again_whatever_was_answered(answer: str) -> None:
    stage = Stage(Activation.POWER_CYCLE)
    calls: list[float] = []

    def fail_twice(what: str) -> None:
        if what == 'on':
            calls.append(stage.clock.now)
            if len(calls) < 3:
                raise (OutcomeUnknown('broke off') if answer == 'lost'
                       else Rejected('HTTP 500'))

    stage.host.before = fail_twice
    stage.play()
    assert len(calls) == 3
    assert calls[-1] - calls[0] < TIMES.hard
    assert stage.host.state == 'on'


def test_a_host_is_on_again_where_its_auxiliary_power_was_not_cut() -> None:
    stage = Stage(Activation.AUX_CYCLE)
    stage.host.before = busy('aux', times=10_000, wait=None)
    with pytest.raises(AccelError, match='aux: not now'):
        stage.play()
    assert stage.host.asked == ['soft off', 'on']
    assert stage.host.state == 'on'
    assert not stage.performed()
    # It was not done, so the next run asks for all of it.
    stage.record = stage.saved[-1]
    stage.host.before = busy()
    stage.play()
    assert stage.host.asked == ['soft off', 'on', 'soft off', 'aux', 'on']


def test_a_busy_bmc_is_not_waited_for_without_end() -> None:
    stage = Stage(Activation.WARM_REBOOT)
    stage.host.before = busy('soft reboot', times=10_000, wait=60.0)
    with pytest.raises(Rejected, match='not now'):
        stage.play()
    assert TIMES.busy <= stage.clock.now - 1000 < TIMES.busy + 120
    assert not stage.performed()


def test_run_that_ends_reports_that_the_host_is_off() -> None:
    stage = Stage(Activation.POWER_CYCLE)
    stage.host.before = busy('on', times=10_000, wait=None)
    with pytest.raises(AccelError):
        stage.play()
    assert is_switched_off(stage.saved[-1])
    assert not is_switched_off(Record())
    assert not is_switched_off(stage.saved[0])


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize('activation', [
    Activation.WARM_REBOOT, Activation.POWER_CYCLE, Activation.AUX_CYCLE])
@pytest.mark.parametrize('save', range(8))
@pytest.mark.parametrize('after', [False, True])
def test_a_run_killed_at_any_save_goes_on_where_it_was(
        activation: Activation, save: int, after: bool) -> None:
    """What may be done once only is never asked for twice."""
    stage = Stage(activation)
    kept: list[Record] = []

    def keep(record: Record) -> None:
        if len(kept) == save and not after:
            raise Killed
        kept.append(record)
        if len(kept) == save + 1:
            raise Killed

    process = resetter(stage.host, keep)
    try:
        for _ in range(300):
            step = process.step(stage.record, stage.clock.now)
            stage.record = step.record
            stage.clock.now = max(step.until, stage.clock.now)
            if step.performed:
                break
    except Killed:
        stage.record = kept[-1] if kept else stage.record
        intent = stage.record.intent
        assert intent is not None
        if not (intent.ticket or {}).get('performed'):
            stage.play()
    assert stage.host.state == 'on'
    for once in ('reboot', 'aux'):
        assert stage.host.asked.count(once) <= 1
