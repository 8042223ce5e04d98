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

"""The state that a decision about a host reset is made from."""

from __future__ import annotations

import dataclasses

from ironic_accel.converge.reset_note import Asked
from ironic_accel.converge.reset_note import PHASES
from ironic_accel.converge.reset_note import ResetNote
from ironic_accel.converge.reset_note import ResetPhase
from ironic_accel.converge.reset_note import SWITCHED_OFF
from ironic_accel.converge.reset_terms import Act
from ironic_accel.converge.reset_terms import CutAuxPower
from ironic_accel.converge.reset_terms import HostReadings
from ironic_accel.converge.reset_terms import Need
from ironic_accel.converge.reset_terms import PowerAct
from ironic_accel.converge.reset_terms import ReadingKind
from ironic_accel.converge.reset_terms import ResetFailed
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.converge.reset_terms import Restart
from ironic_accel.converge.reset_terms import SetPower
from ironic_accel.converge.reset_terms import WaitUntil
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable


@dataclasses.dataclass(frozen=True, slots=True)
class ResetCase:
    """The state that one decision is made from."""

    activation: Activation
    rules: ResetRules
    note: ResetNote
    seen: HostReadings
    now: float

    @property
    def times(self) -> ResetTimes:
        return self.rules.times

    @property
    def ours(self) -> bool:
        """Whether this very process has noted it."""
        return self.note.by == self.rules.by

    @property
    def late(self) -> float:
        """Seconds since the phase began, or since it was asked for."""
        return self.now - self.note.at

    def has(self, reading: ReadingKind) -> bool:
        return reading in self.seen.read

    def checked(self, act: PowerAct) -> tuple[Act, ResetNote]:
        """An act that ends in a power cut, once the BMC is known to be idle.

        The first one after an inventory rests on that, unless an operating
        system that had to be asked cannot be.
        """
        note, seen, times = self.note, self.seen, self.times
        forced = act in (SetPower('off'), Restart(soft=False))
        rests = seen.inventoried and note.asked is None and not (
            forced and times.soft > 0)
        if not rests:
            if not self.has(ReadingKind.IDLE):
                return Need(ReadingKind.IDLE), note
            if seen.busy is not None:
                return self.not_now(seen.busy)
        if isinstance(act, CutAuxPower):
            return act, ResetNote(ResetPhase.BMC, self.now, self.rules.by)
        if act == Restart(soft=True):
            return act, dataclasses.replace(
                self.asking(Asked.RESTART), mark=seen.mark)
        return act, self.asking(Asked.FORCED if forced else Asked.SHUTDOWN)

    def asking(self, asked: Asked) -> ResetNote:
        """The note that something is asked for; the time is that of the first
        time."""
        note = self.note
        return dataclasses.replace(
            note, asked=asked, answered=False, by=self.rules.by,
            at=note.at if note.asked is asked else self.now,
            again=self.now + self.times.again)

    def wait(self, why: str) -> tuple[Act, ResetNote]:
        return WaitUntil(self.now + self.times.look, why), self.note

    def next_phase(self) -> tuple[Act, ResetNote]:
        phases = PHASES[self.activation]
        place = phases.index(self.note.phase) + 1
        return (WaitUntil(self.now, f'{self.activation}: {phases[place]}'),
                ResetNote(phases[place], self.now, self.rules.by))

    def bmc_away(self, error: Unreachable) -> tuple[Act, ResetNote]:
        # A host that this reset may have switched off is not given up at
        # once.
        lasting = isinstance(error, NoAccess) and not self.note.may_be_off
        if self.late <= self.times.away and not lasting:
            return self.wait('waiting for the BMC')
        if self.note.phase is ResetPhase.BMC:
            error = Unreachable(
                'the BMC did not come back after an auxiliary power cycle: '
                f'{error.detail.summary}', node=error.detail.node,
                error_class=ErrorClass.NEEDS_OPERATOR,
                expected=f'an answer within {self.times.away:g} s',
                todo='check the BMC')
        return self.fail(error)

    def not_now(self, error: Rejected) -> tuple[Act, ResetNote]:
        """Nothing was done: the BMC is busy, or asks for it later.

        It is waited for; an auxiliary cycle that it never takes is given up,
        so that the host is on again.
        """
        note, times = self.note, self.times
        later = error.retry_after
        if later is not None and self.late <= times.busy:
            pause = min(max(times.look, later), times.busy)
            return WaitUntil(
                self.now + pause,
                f'the BMC is busy: {error.detail.summary}'), note
        if note.phase is not ResetPhase.AUX:
            return self.fail(error)
        detail = dataclasses.replace(error.detail, todo=(
            error.detail.todo or 'the staged changes need an auxiliary power '
            'cycle: disconnect the power of the system, or check why the BMC '
            'rejects the cycle, then run it again'))
        return self.power_back_on(detail)

    def power_back_on(self, why: Detail) -> tuple[Act, ResetNote]:
        """The reset fails; the host is powered on before it does."""
        return (WaitUntil(self.now, f'the {self.activation} failed, powering '
                          'the host on again'),
                ResetNote(ResetPhase.ON, self.now, self.rules.by,
                          failed=why.to_dict()))

    def did_not_follow(self, wanted: str) -> AccelError:
        said = f': {self.note.said}' if self.note.said else ''
        return AccelError(
            f'the host is not {wanted} {self.late:.0f} s after the '
            f'request{said}', error_class=ErrorClass.NEEDS_OPERATOR,
            expected=wanted, seen=self.seen.power or 'unknown',
            todo='check the power state of the host, then run it again')

    def fail(self, error: AccelError) -> tuple[Act, ResetNote]:
        """A failure; a host that the reset may have left off is powered on
        first, and where that is not possible the error says so.

        A BMC that does not respond is not asked any longer.
        """
        note = self.note
        if (self.rules.keep_off or not note.may_be_off
                or self.seen.power == 'on'):
            return ResetFailed(error), note
        if note.phase is not ResetPhase.ON and not isinstance(
                error, Unreachable):
            return self.power_back_on(error.detail)
        return ResetFailed(self._left_off(error)), note

    def _left_off(self, error: AccelError) -> AccelError:
        """The error of a reset after which the host may be off."""
        detail = error.detail
        if self.note.failed is not None:
            first = Detail.from_dict(self.note.failed)
            detail = dataclasses.replace(
                detail, summary=f'{first.summary}; {detail.summary}',
                message_id=detail.message_id or first.message_id)
        if not self.rules.restores:
            why = (f'was powered off for the {self.activation} and may still '
                   'be off' if self.note.phase in SWITCHED_OFF
                   else f'may be off because of the {self.activation}')
            detail = dataclasses.replace(detail, todo=(
                f'the host {why}: power it on'
                + (' once the update has ended' if detail.running else '')
                + ', then run it again'))
        return type(error)(dataclasses.replace(
            detail, error_class=ErrorClass.NEEDS_OPERATOR))
