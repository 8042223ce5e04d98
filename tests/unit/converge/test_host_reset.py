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

"""What comes next in a host reset, whatever is read and whoever dies.

The random part lets a process die at each save, lets the BMC answer
anything, lets somebody's work begin between any two steps and sets the clock
forth and back.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import itertools
import math
from typing import Any

from hypothesis import event
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.converge import host_reset
from ironic_accel.converge import reset_note
from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge.reset_note import Asked
from ironic_accel.converge.reset_note import ResetNote
from ironic_accel.converge.reset_note import ResetPhase
from ironic_accel.converge.reset_terms import Act
from ironic_accel.converge.reset_terms import CutAuxPower
from ironic_accel.converge.reset_terms import Graceful
from ironic_accel.converge.reset_terms import HostReadings
from ironic_accel.converge.reset_terms import Need
from ironic_accel.converge.reset_terms import ReadingKind
from ironic_accel.converge.reset_terms import ResetDone
from ironic_accel.converge.reset_terms import ResetFailed
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.converge.reset_terms import Restart
from ironic_accel.converge.reset_terms import SetPower
from ironic_accel.converge.reset_terms import StartOver
from ironic_accel.converge.reset_terms import WaitUntil
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record

NOW = 10_000.0
RESETS = [Activation.WARM_REBOOT, Activation.POWER_CYCLE, Activation.AUX_CYCLE]
COMMAND = ResetRules('me')
CONDUCTOR = ResetRules(
    'me', ResetTimes(hard=1800, away=900, busy=1800, again=5, aux_settle=30,
                     settle=0),
    graceful=(Graceful.SHUTDOWN,), waits=True, restart_once=False,
    calls_all=True, restores=True)
RAMDISK = dataclasses.replace(
    CONDUCTOR, ramdisk=True,
    times=dataclasses.replace(CONDUCTOR.times, soft=0.0))
NO_POWER_OFF = dataclasses.replace(
    CONDUCTOR, graceful=(Graceful.MARKED_RESTART,))
FORCED_ONLY = dataclasses.replace(
    COMMAND, times=dataclasses.replace(COMMAND.times, soft=0.0))
NO_AGENT = dataclasses.replace(RAMDISK, can_inventory=False)
ALL_RULES = [COMMAND, CONDUCTOR, RAMDISK, NO_AGENT, NO_POWER_OFF, FORCED_ONLY]

ALL_READ = frozenset(ReadingKind)
ON = HostReadings(ALL_READ, power='on')
OFF = HostReadings(ALL_READ, power='off')
UNTOLD = HostReadings(ALL_READ)
BUSY = dataclasses.replace(
    ON, busy=Rejected('an update runs', retry_after=30))


def note(phase: str, asked: Asked | None = None, ago: float = 0.0,
         **more: Any) -> ResetNote:
    """A note of this process, or of another one."""
    return ResetNote(ResetPhase(phase), NOW - ago, **{
        'by': 'me', 'asked': asked, **more})


def act(activation: Activation, made: ResetNote, seen: HostReadings,
        rules: ResetRules = COMMAND) -> Act:
    """What comes next."""
    return host_reset.next_act(activation, rules, made, seen, NOW)[0]


@pytest.mark.parametrize(('made', 'seen', 'expected'), [
    # Nothing is asked for before it is read whether it is needed.
    (note('off'), HostReadings(), Need(ReadingKind.POWER)),
    (note('off'), ON, SetPower('off', soft=True)),
    (note('off'), UNTOLD, SetPower('off', soft=True)),
    (note('off'), BUSY, WaitUntil),
    (note('off', Asked.SHUTDOWN), ON, WaitUntil),
    (note('off', Asked.SHUTDOWN, 61), ON, SetPower('off')),
    (note('off', Asked.SHUTDOWN, 61), UNTOLD, SetPower('off')),
    (note('off', Asked.SHUTDOWN, 61), BUSY, WaitUntil),
    (note('off', Asked.SHUTDOWN, 961), BUSY, ResetFailed),
    (note('off', Asked.REFUSED), ON, SetPower('off')),
    (note('off', Asked.REFUSED), BUSY, WaitUntil),
    # One that was answered is repeated, within its bound.
    (note('off', Asked.FORCED, 31, answered=True, again=NOW), ON,
     SetPower('off')),
    (note('off', Asked.FORCED, 31, answered=True, again=NOW), BUSY,
     WaitUntil),
    (note('off', Asked.FORCED, 9, answered=True, again=NOW + 21), ON,
     WaitUntil),
    (note('off', Asked.FORCED, 121, answered=True), ON, ResetFailed),
    # One that was not is looked at first.
    (note('off', Asked.FORCED, 31, again=NOW), ON, StartOver()),
    (note('off', Asked.FORCED, 31, again=NOW), UNTOLD, StartOver()),
    (note('off', Asked.FORCED, 9, again=NOW + 21), ON, WaitUntil),
    *((note('off', asked, 31, by='it'), seen, StartOver())
      for asked in (None, *Asked) for seen in (ON, UNTOLD, BUSY)),
    *((note('off', asked, 31, by=by), OFF, WaitUntil)
      for asked in (None, *Asked) for by in ('me', 'it')),
    # The auxiliary power of a host that is not off is not cut.
    (note('aux'), HostReadings(), Need(ReadingKind.POWER)),
    (note('aux'), OFF, CutAuxPower()),
    (note('aux'), ON, StartOver()),
    (note('aux'), UNTOLD, WaitUntil),
    # Once it has failed, the host is powered on.
    (note('aux', ago=121), UNTOLD, WaitUntil),
    (note('aux'), dataclasses.replace(BUSY, power='off'), WaitUntil),
    # An answer from before the cycle does not count.
    (note('bmc'), ON, WaitUntil),
    (note('bmc', ago=9), HostReadings(), WaitUntil),
    (note('bmc', ago=11), HostReadings(), Need(ReadingKind.BMC)),
    (note('bmc', ago=11), UNTOLD, WaitUntil),
    (note('bmc', ago=601), HostReadings(away=Unreachable('x')), ResetFailed),
    (note('bmc', ago=599), HostReadings(away=Unreachable('x')), WaitUntil),
    # Who is not let in is not waited for, unless the host may be off by it.
    (note('off', ago=9), HostReadings(away=NoAccess('x')), ResetFailed),
    *((note('off', asked, 9), HostReadings(away=NoAccess('x')), WaitUntil)
      for asked in (Asked.SHUTDOWN, Asked.FORCED)),
    (note('bmc', ago=11), HostReadings(away=NoAccess('x')), WaitUntil),
    (note('on', ago=11), HostReadings(away=NoAccess('x')), WaitUntil),
    # On does no harm: it is asked for until the host is on, or for long.
    (note('on'), OFF, SetPower('on')),
    (note('on'), UNTOLD, SetPower('on')),
    (note('on'), BUSY, ResetDone()),
    (note('on', Asked.FORCED, 31, again=NOW), OFF, SetPower('on')),
    (note('on', Asked.FORCED, 121), OFF, ResetFailed),
    (note('on', Asked.FORCED, 121, later=True, again=NOW), OFF,
     SetPower('on')),
    (note('on', Asked.FORCED, 901, later=True), OFF, ResetFailed),
    (note('on', Asked.FORCED, 9e9, by='it'), OFF, SetPower('on')),
    (note('on', failed={'summary': 'no', 'class': 'permanent'}), OFF,
     SetPower('on')),
    (note('on', failed={'summary': 'no', 'class': 'permanent'}), ON,
     ResetFailed)])
def test_what_comes_next_in_a_cycle(
        made: ResetNote, seen: HostReadings, expected: Any) -> None:
    found = act(Activation.AUX_CYCLE, made, seen)
    if isinstance(expected, type):
        assert isinstance(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize(('made', 'seen', 'expected'), [
    *((note('off', asked, by=by, again=NOW), seen, expected)
      for asked, by in ((None, 'it'), (Asked.FORCED, 'it'),
                        (Asked.FORCED, 'me'))
      for seen, expected in (
          (HostReadings(frozenset({ReadingKind.POWER}), power='on'),
           Need(ReadingKind.IDLE)),
          (ON, SetPower('off')), (BUSY, WaitUntil))),
    (note('aux'), ON, WaitUntil)])
def test_next_act_without_an_inventory(
        made: ResetNote, seen: HostReadings, expected: Any) -> None:
    found, after = host_reset.next_act(
        Activation.AUX_CYCLE, NO_AGENT, made, seen, NOW)
    if isinstance(expected, type):
        assert isinstance(found, expected)
    else:
        assert found == expected
    assert after.phase is ResetPhase.OFF


MARKED = dataclasses.replace(ON, mark='b')
OFFERS = dataclasses.replace(MARKED, offers_restart=True,
                             offers_shutdown=True)


@pytest.mark.parametrize(('made', 'seen', 'rules', 'expected'), [
    (note('reboot'), OFFERS, COMMAND, Restart(soft=True)),
    (note('reboot'), dataclasses.replace(OFFERS, mark=None), COMMAND,
     SetPower('off', soft=True)),
    (note('reboot'), dataclasses.replace(
        OFFERS, mark=None, offers_shutdown=False), COMMAND,
     Restart(soft=True)),
    (note('reboot'), MARKED, COMMAND, Restart(soft=False)),
    (note('reboot'), dataclasses.replace(
        MARKED, busy=Rejected('x', retry_after=1)), COMMAND, WaitUntil),
    (note('reboot'), OFFERS, CONDUCTOR, SetPower('off', soft=True)),
    (note('reboot'), OFFERS, NO_POWER_OFF, Restart(soft=True)),
    (note('reboot'), dataclasses.replace(OFFERS, mark=None), NO_POWER_OFF,
     Restart(soft=False)),
    (note('reboot'), OFFERS, RAMDISK, Restart(soft=False)),
    (note('reboot'), OFF, COMMAND, WaitUntil),
    (note('reboot', by='it'), OFFERS, COMMAND, StartOver()),
    (note('reboot', Asked.RESTART, 5, mark='a'), MARKED, COMMAND,
     ResetDone()),
    (note('reboot', Asked.RESTART, 5, mark='a', by='it'), MARKED, COMMAND,
     ResetDone()),
    (note('reboot', Asked.RESTART, 5, mark='b'), MARKED, COMMAND, WaitUntil),
    (note('reboot', Asked.RESTART, 5, mark='a'), ON, COMMAND, WaitUntil),
    (note('reboot', Asked.RESTART, 5), MARKED, COMMAND, WaitUntil),
    (note('reboot', Asked.RESTART, 61, mark='b'), MARKED, COMMAND,
     Restart(soft=False)),
    (note('reboot', Asked.RESTART, 61, mark='b', by='it'), MARKED, COMMAND,
     StartOver()),
    (note('reboot', Asked.SHUTDOWN, 5), ON, COMMAND, WaitUntil),
    (note('reboot', Asked.SHUTDOWN, 5), OFF, COMMAND, WaitUntil),
    (note('reboot', Asked.SHUTDOWN, 61), ON, COMMAND, Restart(soft=False)),
    (note('reboot', Asked.SHUTDOWN, 61), BUSY, COMMAND, WaitUntil),
    # One request of Redfish counts, Ironic's off and on is looked at.
    (note('reboot', Asked.FORCED), ON, COMMAND, ResetDone()),
    (note('reboot', Asked.FORCED, by='it'), ON, COMMAND, ResetDone()),
    (note('reboot', Asked.FORCED, by='it'), OFF, COMMAND, WaitUntil),
    (note('reboot', Asked.FORCED, answered=True), ON, CONDUCTOR,
     ResetDone()),
    (note('reboot', Asked.FORCED), ON, CONDUCTOR, StartOver()),
    (note('reboot', Asked.FORCED), UNTOLD, CONDUCTOR, StartOver()),
    (note('reboot', Asked.FORCED), OFF, CONDUCTOR, WaitUntil),
    # Without an agent nobody takes an inventory; the BMC has to be idle.
    *((note('reboot', asked, by='it'), seen, NO_AGENT, expected)
      for asked in (None, Asked.FORCED) for seen, expected in (
          (ON, Restart(soft=False)), (BUSY, WaitUntil))),
    # The ramdisk boots, whatever has come on by itself.
    (note('on'), ON, CONDUCTOR, SetPower('on')),
    (note('on'), ON, RAMDISK, Restart(soft=False)),
    (note('on'), BUSY, RAMDISK, WaitUntil),
    (note('on'), OFF, RAMDISK, SetPower('on')),
    (note('on', Asked.FORCED, answered=True), ON, RAMDISK, ResetDone())])
def test_what_comes_next_in_a_warm_reboot(
        made: ResetNote, seen: HostReadings, rules: ResetRules,
        expected: Any) -> None:
    found = act(Activation.WARM_REBOOT, made, seen, rules)
    if isinstance(expected, type):
        assert isinstance(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize(('ticket', 'expected'), [
    # The command, before there was one sequence for both.
    ({'phase': 'restart', 'since': 5.0, 'asked': None, 'failed': None,
      'mark': None}, ResetNote(ResetPhase.REBOOT, 5.0)),
    ({'phase': 'restart', 'since': 5.0, 'asked': 'soft', 'mark': 'a'},
     ResetNote(ResetPhase.REBOOT, 5.0, asked=Asked.RESTART, mark='a')),
    ({'phase': 'restart', 'since': 5.0, 'asked': 'down'},
     ResetNote(ResetPhase.REBOOT, 5.0, asked=Asked.SHUTDOWN)),
    ({'phase': 'off', 'since': 5.0, 'asked': 'soft'},
     ResetNote(ResetPhase.OFF, 5.0, asked=Asked.SHUTDOWN)),
    ({'phase': 'off', 'since': 5.0, 'asked': 'hard'},
     ResetNote(ResetPhase.OFF, 5.0, asked=Asked.FORCED)),
    ({'phase': 'aux', 'since': 5.0, 'asked': None},
     ResetNote(ResetPhase.AUX, 5.0)),
    ({'phase': 'aux', 'since': 5.0, 'asked': 'yes'},
     ResetNote(ResetPhase.BMC, 5.0)),
    ({'phase': 'on', 'since': 5.0, 'asked': 'hard', 'failed': {
        'summary': 'no', 'class': 'permanent'}},
     ResetNote(ResetPhase.ON, 5.0, asked=Asked.FORCED, failed={
         'summary': 'no', 'class': 'permanent'})),
    # The conductor.
    ({'phase': 'reboot', 'at': 5.0, 'by': 'x', 'children': ['c']},
     ResetNote(ResetPhase.REBOOT, 5.0, 'x')),
    ({'phase': 'reboot', 'at': 5.0, 'mark': 'a', 'children': []},
     ResetNote(ResetPhase.REBOOT, 5.0, asked=Asked.RESTART, mark='a')),
    ({'phase': 'bmc', 'at': 5.0, 'children': []},
     ResetNote(ResetPhase.BMC, 5.0)),
    ({'phase': 'on', 'at': 5.0}, ResetNote(ResetPhase.ON, 5.0)),
    ({'children': ['c']}, None), ({}, None)])
def test_notes_of_earlier_releases_are_read(
        ticket: dict[str, Any], expected: ResetNote | None) -> None:
    assert reset_note.load(ticket) == expected


@pytest.mark.parametrize('ticket', [
    {'phase': 'melt', 'at': 1.0}, {'phase': 'off', 'at': None},
    {'phase': 'off', 'at': 1.0, 'asked': 'twice'}, {'phase': 3}])
def test_a_note_of_a_later_release_is_left_alone(
        ticket: dict[str, Any]) -> None:
    with pytest.raises(AccelError, match='later release'):
        reset_note.load(ticket)


@given(st.builds(
    ResetNote, st.sampled_from(ResetPhase), st.floats(0, 1e10),
    st.text(max_size=3), st.sampled_from([None, *Asked]), st.booleans(),
    st.none() | st.floats(0, 1e10), st.none() | st.text(max_size=3),
    st.none() | st.just({'summary': 'no', 'class': 'permanent'}),
    st.text(max_size=3), st.booleans()))
def test_a_note_is_read_back(made: ResetNote) -> None:
    # What is asked for shows in it by the phase: the cycle has a phase of
    # its own once it is asked for, a shutdown is no restart.
    read = reset_note.load(made.to_ticket())
    if (
        made.asked is None
        and made.phase is ResetPhase.REBOOT
        and made.mark is not None
    ):
        assert read == dataclasses.replace(made, asked=Asked.RESTART)
    elif made.phase is ResetPhase.AUX and made.asked is not None:
        assert read is not None and read.phase is ResetPhase.BMC
    elif made.phase is ResetPhase.OFF and made.asked is Asked.RESTART:
        assert read == dataclasses.replace(made, asked=Asked.SHUTDOWN)
    else:
        assert read == made


class Killed(BaseException):
    """The process dies here."""


class Ironic(Exception):
    """A power call of Ironic failed, whatever became of it."""


CUTS = ('soft off', 'hard off', 'soft reboot', 'hard reboot', 'aux')


@dataclasses.dataclass
class World:
    """A host, whose BMC answers what is drawn.

    :ivar answers: what becomes of requests and readings, in this order;
        all is well once they are used up.
    """

    answers: list[str]
    rules: ResetRules
    now: float = NOW
    power: str = 'on'
    boots: int = 0
    marks: bool = True
    busy_until: float = 0.0
    #: When the host does what it was asked for, and what that is.
    delayed: list[tuple[float, str]] = dataclasses.field(
        default_factory=list)
    asked: list[str] = dataclasses.field(default_factory=list)
    #: Forced requests of which nobody knows what became of them.
    unknown: set[str] = dataclasses.field(default_factory=set)
    wrongs: list[str] = dataclasses.field(default_factory=list)
    #: Saves left until the process dies, and whether before the save.
    dies: list[tuple[int, bool]] = dataclasses.field(default_factory=list)
    late: bool = False

    def next(self) -> str:
        """What becomes of the next request."""
        return self.answers.pop(0) if self.answers else 'well'

    @property
    def busy(self) -> bool:
        """Whether somebody's update runs."""
        return self.now < self.busy_until

    def passes(self, until: float) -> None:
        """Time goes by."""
        self.now = max(self.now, until)
        for due in [d for d in self.delayed if d[0] <= self.now]:
            self.delayed.remove(due)
            self.carry_out(due[1])

    def carry_out(self, what: str) -> None:
        """The host does what it was asked for."""
        if what in ('soft off', 'hard off'):
            self.power = 'off'
        elif what == 'on':
            self.boots += self.power != 'on'
            self.power = 'on'
        elif what == 'aux' or self.power == 'on':
            self.boots += 1
        elif self.rules.waits:
            # Ironic's reboot of a host that is off powers it on.
            self.power = 'on'

    # HostPower

    def _read(self) -> str:
        answer = self.next()
        if answer in ('away', 'lost', 'broken'):
            raise Unreachable('no answer')
        return answer

    def power_state(self) -> str:
        return 'unknown' if self._read() == 'untold' else self.power

    def boot_mark(self) -> str | None:
        told = self._read() != 'untold' and self.marks
        return str(self.boots) if told else None

    def offers(self, kind: str) -> bool:
        return self._read() != 'untold'

    def check_bmc(self) -> None:
        self._read()

    def check_idle(self) -> None:
        if self._read() == 'untold' or self.busy:
            raise Rejected('not known to be idle', retry_after=30)
        if not self.rules.can_inventory:
            self.unknown.clear()

    def power_on(self) -> None:
        self._ask('on')

    def power_off(self, soft: bool) -> None:
        self._ask('soft off' if soft else 'hard off')

    def warm_reboot(self, soft: bool = False) -> None:
        self._ask('soft reboot' if soft else 'hard reboot')

    def aux_cycle(self) -> None:
        if self.power != 'off':
            self.wrongs.append('aux of a host that is on')
        self._ask('aux')

    def _ask(self, what: str) -> None:
        on = self.power == 'on' or what == 'aux'
        if what in CUTS and on and self.busy:
            self.wrongs.append(f'{what} while busy')
        if what in self.unknown and on:
            self.wrongs.append(f'{what} twice, the first unknown')
        self.asked.append(what)
        answer = self.next()
        if answer == 'away':
            raise Unreachable('no route')
        if answer == 'later':
            raise Rejected(f'{what}: not now', retry_after=60)
        if answer == 'refused' or ('reboot' in what and not on
                                   and not self.rules.waits):
            raise Rejected(f'{what}: no')
        forced = what in ('hard off', 'hard reboot', 'aux')
        if answer == 'late' and not self.rules.waits:
            self.delayed.append((self.now + 40, what))
            self.late = True
        elif answer not in ('untold', 'ignored', 'broken-before', 'late'):
            self.carry_out(what)
        if answer in ('lost', 'untold'):
            self.unknown |= {what} if forced else set()
            raise OutcomeUnknown('broke off')
        if answer in ('broken', 'broken-before', 'ignored', 'late') \
                and self.rules.waits:
            # Ironic waits for the power state: it does not come.
            self.unknown |= {what} if forced else set()
            raise Ironic(what)

    # Its caller

    def save(self, record: Record) -> None:
        """Keep the record, or die before or after it."""
        if self.dies:
            left, before = self.dies[0]
            self.dies[0] = left - 1, before
            if left <= 0:
                self.dies.pop(0)
                if not before:
                    self.kept = record
                raise Killed
        self.kept = record


@dataclasses.dataclass
class Run:
    """The loop as it calls for a reset, through crashes."""

    world: World
    activation: Activation
    jumps: list[float]
    work: list[float]
    error: AccelError | None = None
    performed: bool = False

    def to_the_end(self) -> None:
        """Step until it is performed, failed, or out of time."""
        world = self.world
        begin = Record(intent=Intent(
            'reset', self.activation, world.now, world.now + 1800))
        world.kept = record = begin
        for number in itertools.count():
            process = HostResetter(
                world, world.save, dataclasses.replace(
                    world.rules, by=f'process {number}'))
            try:
                self._live(process, record)
                return
            except Killed:
                record = world.kept
                # A forced request may have been on its way.
                note_ = reset_note.load(self.ticket(record))
                if note_ is not None and note_.asked is Asked.FORCED:
                    world.unknown |= {
                        ResetPhase.OFF: {'hard off'},
                        ResetPhase.REBOOT: {'hard reboot'}}.get(
                            note_.phase, set())
            assert number < 20

    @staticmethod
    def ticket(record: Record) -> Mapping[str, Any]:
        assert record.intent is not None
        return record.intent.ticket or {}

    def _live(self, process: HostResetter, record: Record) -> None:
        """One process, until the end.

        :raises: Killed.
        """
        world = self.world
        assert record.intent is not None
        for _ in range(3000):
            if self.ticket(record).get('performed'):
                self.performed = True
                return
            if world.now > record.intent.deadline:
                return
            if 'phase' not in self.ticket(record):
                # An inventory: what the loop decides rests on.
                if world.busy:
                    world.passes(world.now + 30)
                    continue
                world.unknown.clear()
            try:
                step = process.step(record, world.now)
            except Ironic:
                record = world.kept
                self._goes_by(world.now + 10)
                continue
            except AccelError as error:
                self.error = error
                return
            assert math.isfinite(step.until)
            assert step.until <= world.now + 1800
            record = step.record
            self._goes_by(step.until)
        raise AssertionError(f'no end: {world.asked}')

    def _goes_by(self, until: float) -> None:
        world = self.world
        world.passes(until)
        if self.jumps:
            world.now = max(0.0, world.now + self.jumps.pop(0))
        if self.work:
            world.busy_until = max(world.busy_until,
                                   world.now + self.work.pop(0))


ANSWERS = st.lists(st.sampled_from(
    ['well'] * 6 + ['away', 'later', 'refused', 'late', 'ignored', 'lost',
                    'untold', 'broken', 'broken-before']), max_size=30)


@given(st.sampled_from(RESETS), st.sampled_from(ALL_RULES), ANSWERS,
       st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=4),
       st.lists(st.sampled_from([0.0, 0.0, 0.0, -3600.0, -5.0, 100.0, 700.0]),
                max_size=8),
       st.lists(st.sampled_from([0.0, 0.0, 0.0, 50.0, 400.0, 5000.0]),
                max_size=10),
       st.booleans(), st.sampled_from(['on', 'on', 'off']))
def test_a_reset_ends_and_cuts_nothing_off(
        activation: Activation, rules: ResetRules, answers: list[str],
        dies: list[tuple[int, bool]], jumps: list[float],
        work: list[float], marks: bool, power: str) -> None:
    if rules is NO_POWER_OFF:
        activation = Activation.WARM_REBOOT
    world = World(answers, rules, marks=marks, power=power, dies=dies)
    run = Run(world, activation, jumps, work)
    run.to_the_end()
    assert world.wrongs == []
    event('performed' if run.performed
          else f'failed: {type(run.error).__name__}' if run.error
          else 'out of time')
    if run.performed:
        # What the host does late may come after all that was seen of it.
        assert world.power == 'on' or world.late, world.asked
    if run.error is not None and world.power == 'off' and power == 'on' \
            and not rules.restores and not world.delayed:
        phase = run.ticket(world.kept).get('phase')
        assert 'switched off' in (run.error.detail.todo or '') or (
            phase not in reset_note.SWITCHED_OFF)


@given(st.sampled_from(RESETS), st.sampled_from(ALL_RULES),
       st.builds(ResetNote, st.sampled_from(ResetPhase),
                 st.floats(0, 2e4), st.sampled_from(['me', 'it']),
                 st.sampled_from([None, *Asked]), st.booleans(),
                 st.none() | st.floats(0, 2e4),
                 st.sampled_from([None, 'a', 'b'])),
       st.builds(HostReadings, st.frozensets(st.sampled_from(ReadingKind)),
                 st.booleans(), st.sampled_from([None, 'on', 'off']),
                 st.sampled_from([None, 'a', 'b']), st.booleans(),
                 st.booleans(), st.sampled_from(
                     [None, Rejected('x', retry_after=math.inf),
                      Rejected('x', retry_after=math.nan)])))
def test_whatever_is_read_and_noted_one_act_comes_of_it(
        activation: Activation, rules: ResetRules, made: ResetNote,
        seen: HostReadings) -> None:
    if made.phase not in reset_note.PHASES[activation]:
        return
    found, after = host_reset.next_act(activation, rules, made, seen, NOW)
    assert after.at <= NOW
    if isinstance(found, WaitUntil):
        assert NOW <= found.until <= NOW + 1800
    if isinstance(found, Need):
        assert found.reading not in seen.read
    cut = (isinstance(found, SetPower) and found.state == 'off'
           and seen.power != 'off')
    if cut or isinstance(found, Restart | CutAuxPower):
        idle = ReadingKind.IDLE in seen.read and seen.busy is None
        assert idle or (seen.inventoried and made.asked is None)
        assert after.asked is not None or after.phase is ResetPhase.BMC
        assert after.by == 'me'
    if isinstance(found, CutAuxPower):
        assert seen.power == 'off'
    if made.by != 'me' and made.phase in (ResetPhase.OFF,
                                          ResetPhase.REBOOT):
        # What another process asked for is not asked for again.
        assert isinstance(
            found, Need | WaitUntil | StartOver | ResetDone | ResetFailed) or (
                (found == SetPower('off') and seen.power == 'off')
                or not rules.can_inventory)
