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

"""Host resets of a caller without a conductor, in steps that can be lost.

``advance`` asks for a reset again at every call until it is performed. Each
phase is saved in the open intent's notes before it is done, so that a run
that dies between two phases goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Protocol

from ironic_accel.converge.advance import reset_performed
from ironic_accel.model.device import Effect
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Record


class Host(Protocol):
    """The host resets of one System; each call is one request."""

    def power_state(self) -> str:
        """``on``, ``off``, or a word for something between."""
        ...

    def power_on(self) -> None:
        """Ask for it."""
        ...

    def power_off(self, soft: bool) -> None:
        """Ask for it; softly is by way of the operating system."""
        ...

    def warm_reboot(self) -> None:
        """Ask for it."""
        ...

    def aux_cycle(self) -> None:
        """Cut the auxiliary power too; the host is off."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Pauses:
    """Times of a reset, in seconds.

    :ivar look: between two looks at the power state.
    :ivar soft: how long the operating system may take to power off; 0 does
        not ask it.
    :ivar hard: how long a host may take to be off, or on.
    :ivar away: how long the BMC may be away after an auxiliary cycle.
    :ivar settle: between the end of a reset and the first look at devices:
        BMCs show the old tree for a moment.
    """

    look: float = 5.0
    soft: float = 60.0
    hard: float = 120.0
    away: float = 600.0
    settle: float = 10.0


#: What each reset consists of.
_PHASES = {
    Effect.WARM_REBOOT: ('restart',),
    Effect.POWER_CYCLE: ('off', 'on'),
    Effect.AUX_CYCLE: ('off', 'aux', 'on'),
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Notes:
    """Where a reset is; kept in the ticket of the open intent.

    :ivar asked: what has been asked for in this phase: soft, hard or yes.
    :ivar since: epoch seconds of that, or of the phase's begin.
    """

    phase: str
    since: float
    asked: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """What came of one step: go on at ``until`` with ``record``.

    :ivar performed: whether it was the last one of the reset.
    """

    record: Record
    until: float
    summary: str
    performed: bool = False


class Resetter:
    """Performs the resets that a record's open intents ask for.

    :param save: makes a record durable.
    """

    def __init__(self, host: Host, save: Callable[[Record], None],
                 pauses: Pauses) -> None:
        self._host = host
        self._save = save
        self._pauses = pauses
        # What an earlier process noted, it may have died before asking.
        self._asked_here: _Notes | None = None
        self._saved: Record | None = None

    def step(self, record: Record, now: float) -> Step:
        """Do the next thing; the intent is marked as performed at the end.

        :param now: epoch seconds.
        :raises: AccelError where the host does not follow.
        """
        intent = record.intent
        if intent is None or intent.kind != 'reset':
            raise ValueError('no reset is asked for')
        phases = _PHASES[intent.effect]
        raw = dict(intent.ticket or {})
        notes = _Notes(**raw) if raw else _Notes(phases[0], now)
        do = {'restart': self._restart, 'off': self._off, 'aux': self._aux,
              'on': self._on}[notes.phase]
        self._saved = None
        try:
            return do(record, notes, now)
        except Unreachable:
            if now - notes.since > self._pauses.away:
                raise
            return Step(record, now + self._pauses.look, 'the BMC is away')
        except OutcomeUnknown:
            # It may have been done: it is noted as asked, and not repeated.
            return Step(self._saved or record, now + self._pauses.look,
                        'the BMC broke off, looking')

    def _restart(self, record: Record, notes: _Notes, now: float) -> Step:
        if notes.asked is None:
            record = self._ask(record, notes, 'yes', now)
            self._host.warm_reboot()
        return self._next(record, notes, now)

    def _aux(self, record: Record, notes: _Notes, now: float) -> Step:
        if notes.asked is None:
            record = self._ask(record, notes, 'yes', now)
            self._host.aux_cycle()
            return Step(record, now + self._pauses.settle,
                        'auxiliary power cycle')
        self._host.power_state()  # raises as long as the BMC is away
        return self._next(record, notes, now)

    def _off(self, record: Record, notes: _Notes, now: float) -> Step:
        if self._host.power_state() == 'off':
            return self._next(record, notes, now)
        late = now - notes.since > self._pauses.soft
        if notes.asked is None and self._pauses.soft > 0:
            record = self._ask(record, notes, 'soft', now)
            try:
                self._host.power_off(soft=True)
            except Rejected:
                record = self._ask(record, notes, 'hard', now)
                self._host.power_off(soft=False)
        elif notes.asked is None or (notes.asked == 'soft' and late):
            record = self._ask(record, notes, 'hard', now)
            self._host.power_off(soft=False)
        elif notes.asked == 'hard':
            record = self._insist(record, notes, now, 'off')
        return Step(record, now + self._pauses.look, 'powering off')

    def _on(self, record: Record, notes: _Notes, now: float) -> Step:
        if self._host.power_state() == 'on':
            return self._next(record, notes, now)
        if notes.asked is None:
            record = self._ask(record, notes, 'hard', now)
            self._host.power_on()
        else:
            record = self._insist(record, notes, now, 'on')
        return Step(record, now + self._pauses.look, 'powering on')

    def _insist(self, record: Record, notes: _Notes, now: float,
                wanted: str) -> Record:
        """Wait for a power state; ask again if another process asked."""
        if notes != self._asked_here:
            record = self._ask(record, notes, 'hard', now)
            if wanted == 'on':
                self._host.power_on()
            else:
                self._host.power_off(soft=False)
        elif now - notes.since > self._pauses.hard:
            raise AccelError(
                f'the host is not {wanted} {self._pauses.hard:.0f} s after '
                'it was asked', error_class=ErrorClass.NEEDS_OPERATOR,
                expected=wanted, seen=self._host.power_state(),
                todo='look at the host\'s power, then run again')
        return record

    def _ask(self, record: Record, notes: _Notes, asked: str,
             now: float) -> Record:
        """Save that something is asked for, before it is."""
        self._asked_here = _Notes(notes.phase, now, asked)
        return self._keep(record, self._asked_here)

    def _keep(self, record: Record, notes: _Notes) -> Record:
        if record.intent is None:
            raise ValueError('no reset is asked for')
        record = dataclasses.replace(record, intent=dataclasses.replace(
            record.intent, ticket=dataclasses.asdict(notes)))
        self._save(record)
        self._saved = record
        return record

    def _next(self, record: Record, notes: _Notes, now: float) -> Step:
        """The next phase, or the end."""
        if record.intent is None:
            raise ValueError('no reset is asked for')
        effect = record.intent.effect
        following = _PHASES[effect][_PHASES[effect].index(notes.phase) + 1:]
        if following:
            record = self._keep(record, _Notes(following[0], now))
            return Step(record, now, f'{notes.phase} is done')
        record = reset_performed(record, now)
        self._save(record)
        return Step(record, now + self._pauses.settle, f'{effect} is done',
                    performed=True)
