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

"""Performs host resets step by step, for both callers of the loop.

``advance`` asks for a reset again at every call until it is performed. What
comes next is decided in ``host_reset``; here it is saved, then done.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any, Protocol

from ironic_accel.converge.advance import reset_performed
from ironic_accel.converge import host_reset
from ironic_accel.converge import reset_note
from ironic_accel.converge.reset_note import ResetNote
from ironic_accel.converge.reset_note import ResetPhase
from ironic_accel.converge.reset_terms import Answer
from ironic_accel.converge.reset_terms import Need
from ironic_accel.converge.reset_terms import PowerAct
from ironic_accel.converge.reset_terms import ReadingKind
from ironic_accel.converge.reset_terms import HostReadings
from ironic_accel.converge.reset_terms import ResetDone
from ironic_accel.converge.reset_terms import ResetFailed
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import Restart
from ironic_accel.converge.reset_terms import SetPower
from ironic_accel.converge.reset_terms import StartOver
from ironic_accel.converge.reset_terms import WaitUntil
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record


class HostPower(Protocol):
    """The power of one host, as it is read and changed for a reset.

    What changes it raises Rejected or Unreachable where nothing was done,
    OutcomeUnknown where nobody can tell; what reads it raises Unreachable
    where the BMC does not answer.
    """

    def power_state(self) -> str:
        """``on``, ``off``, or a word for something between."""
        ...

    def power_on(self) -> None:
        """Power the host on."""
        ...

    def power_off(self, soft: bool) -> None:
        """Power the host off; softly through its operating system."""
        ...

    def warm_reboot(self, soft: bool = False) -> None:
        """Restart the host; softly through its operating system."""
        ...

    def boot_mark(self) -> str | None:
        """What changes at a reset of the host, or None."""
        ...

    def offers(self, kind: str) -> bool:
        """Whether a ResetType of Redfish may be asked for."""
        ...

    def aux_cycle(self) -> None:
        """Cut the auxiliary power too; the host is off."""
        ...

    def check_idle(self) -> None:
        """Raise Rejected, to be tried later, unless the BMC is idle.

        Its detail has ``running`` where the BMC reports work, as opposed to
        where it cannot be read.
        """
        ...

    def check_bmc(self) -> None:
        """Raise Unreachable unless the BMC answers."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class ResetStep:
    """How far a host reset is.

    :ivar until: epoch seconds at which to go on with ``record``.
    :ivar performed: whether the reset has been performed.
    """

    record: Record
    until: float
    summary: str
    performed: bool = False


def _nothing() -> None:
    """Nothing else goes on with the host."""


def _no_notes() -> Mapping[str, Any]:
    return {}


class HostResetter:
    """Performs the resets that a record's open intents ask for.

    :param save: makes a record durable.
    :param begins: called before the first act of a reset; it raises where
        the host may not be reset now, and gives what is to be kept with the
        note.
    :param is_on: called once the host is on again.
    """

    def __init__(self, host: HostPower, save: Callable[[Record], None],
                 rules: ResetRules,
                 begins: Callable[[], Mapping[str, Any]] = _no_notes,
                 is_on: Callable[[], None] = _nothing) -> None:
        self._host = host
        self._save = save
        self._rules = rules
        self._begins = begins
        self._is_on = is_on

    def step(self, record: Record, now: float) -> ResetStep:
        """Go on until there is something to wait for.

        The intent is marked as performed at the end.

        :param now: epoch seconds.
        :raises: AccelError where the host does not follow; what ``save``,
            ``begins`` and the host raise besides.
        """
        intent = _reset_of(record)
        note = reset_note.load(intent.ticket or {})
        seen = HostReadings(inventoried=note is None)
        if note is None:
            begun = self._begins()
            note = host_reset.begin(
                intent.activation, self._rules, now,
                reset_note.is_cut(intent.ticket or {}))
            record = _with(record, {**_others(record), **begun})
        while True:
            act, following = host_reset.next_act(
                intent.activation, self._rules, note, seen, now)
            if isinstance(act, Need):
                note, seen = following, self._read(act.reading, seen)
                continue
            if isinstance(act, StartOver):
                record = _with(record, {
                    **_others(record), **reset_note.started_over(note)})
                self._save(record)
                return ResetStep(record, now,
                                 'refreshing the inventory before the reset')
            if isinstance(act, ResetDone):
                return self._performed(_noted(record, following), now)
            answer: WaitUntil | ResetFailed | None
            if isinstance(act, WaitUntil | ResetFailed):
                answer, note = act, following
            else:
                record = _noted(record, following)
                self._save(record)
                answer, note = host_reset.answered(
                    intent.activation, self._rules, note, following, act,
                    self._do(act), now)
                seen = HostReadings()
            if isinstance(answer, WaitUntil):
                return ResetStep(self._keep(record, note), answer.until,
                                 answer.why)
            if answer is not None:
                self._failed(record, note, answer)
                raise answer.error

    def _do(self, act: PowerAct) -> Answer:
        """Perform an act; what was answered to it."""
        try:
            if isinstance(act, SetPower):
                if act.state == 'on':
                    self._host.power_on()
                else:
                    self._host.power_off(act.soft)
            elif isinstance(act, Restart):
                self._host.warm_reboot(act.soft)
            else:
                self._host.aux_cycle()
        except (Rejected, Unreachable, OutcomeUnknown) as exc:
            return exc
        return None

    def _read(self, reading: ReadingKind, seen: HostReadings) -> HostReadings:
        """The readings with one more."""
        seen = dataclasses.replace(seen, read=seen.read | {reading})
        try:
            return self._asked(reading, seen)
        except Unreachable as exc:
            return dataclasses.replace(seen, away=exc)
        except Rejected as exc:
            if reading is ReadingKind.IDLE and exc.retry_after is not None:
                return dataclasses.replace(seen, busy=exc)
            return dataclasses.replace(seen, refused=exc)

    def _asked(self, reading: ReadingKind, seen: HostReadings) -> HostReadings:
        host = self._host
        if reading is ReadingKind.POWER:
            power = host.power_state()
            return dataclasses.replace(seen, power=(
                'on' if power == 'on' else 'off' if power == 'off'
                else None))
        if reading is ReadingKind.MARK:
            return dataclasses.replace(seen, mark=host.boot_mark())
        if reading is ReadingKind.OFFERS_RESTART:
            return dataclasses.replace(
                seen, offers_restart=host.offers('GracefulRestart'))
        if reading is ReadingKind.OFFERS_SHUTDOWN:
            return dataclasses.replace(
                seen, offers_shutdown=host.offers('GracefulShutdown'))
        if reading is ReadingKind.IDLE:
            host.check_idle()
        else:
            host.check_bmc()
        return seen

    def _keep(self, record: Record, note: ResetNote) -> Record:
        """The record with a note, saved where that makes a difference."""
        kept = reset_note.load(_reset_of(record).ticket or {})
        record = _noted(record, note)
        if kept is None or kept.durable != note.durable:
            self._save(record)
        return record

    def _failed(self, record: Record, note: ResetNote,
                failure: ResetFailed) -> None:
        if not failure.forget:
            self._keep(record, note)
            return
        self._is_on()
        self._save(_with(record, _others(record)))

    def _performed(self, record: Record, now: float) -> ResetStep:
        """The reset is over, whatever phases it has left out."""
        intent = _reset_of(record)
        note = reset_note.load(intent.ticket or {})
        if note is not None and note.phase is ResetPhase.ON:
            self._is_on()
        unproved = note is not None and note.unproved
        record = reset_performed(
            record, now, Activation.POWER_CYCLE if unproved else None)
        self._save(record)
        return ResetStep(
            record, now + self._rules.times.settle,
            'power-cycle performed, verifying whether the auxiliary power was '
            'cycled' if unproved else f'{intent.activation} performed',
            performed=True)


def _reset_of(record: Record) -> Intent:
    if record.intent is None or record.intent.kind != 'reset':
        raise ValueError('the record has no open reset')
    return record.intent


def _others(record: Record) -> dict[str, Any]:
    """What the caller keeps with the note."""
    return {k: v for k, v in (_reset_of(record).ticket or {}).items()
            if k not in reset_note.KEYS}


def _noted(record: Record, note: ResetNote) -> Record:
    return _with(record, {**_others(record), **note.to_ticket()})


def _with(record: Record, ticket: Mapping[str, Any]) -> Record:
    """The record with that ticket of its open reset; None for an empty one,
    as before the reset began."""
    return dataclasses.replace(record, intent=dataclasses.replace(
        _reset_of(record), ticket=ticket or None))
