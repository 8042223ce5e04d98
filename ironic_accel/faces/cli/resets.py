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
from ironic_accel.faces.cli import reset_phases
from ironic_accel.faces.cli.reset_phases import Notes
from ironic_accel.faces.cli.reset_phases import Pauses
from ironic_accel.faces.cli.reset_phases import Step
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
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

    def warm_reboot(self, soft: bool = False) -> None:
        """Ask for it; softly is by way of the operating system."""
        ...

    def boot_mark(self) -> str | None:
        """What changes at a reset of the host, or None."""
        ...

    def offers(self, kind: str) -> bool:
        """Whether the ResetType may be asked for."""
        ...

    def aux_cycle(self) -> None:
        """Cut the auxiliary power too; the host is off."""
        ...

    def check_idle(self) -> None:
        """Raise Rejected, to be tried later, unless the BMC is idle."""
        ...


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
        self._asked_here: Notes | None = None
        self._saved: Record | None = None
        #: When the host may be asked again to power off.
        self._off_again = 0.0
        #: When this process began to ask the host to power on, and when it
        #: may ask again.
        self._on_since: float | None = None
        self._on_again = 0.0
        #: What it answered to that, where it was a no.
        self._on_error: AccelError | None = None

    def step(self, record: Record, now: float) -> Step:
        """Do the next thing; the intent is marked as performed at the end.

        A BMC that says "not now" is asked again within ``Pauses.busy``. A
        host that was switched off is asked to power on whatever became of
        the rest.

        :param now: epoch seconds.
        :raises: AccelError where the host does not follow; where it was
            switched off and is not on again, that says so.
        """
        intent = record.intent
        if intent is None or intent.kind != 'reset':
            raise ValueError('no reset is asked for')
        phases = reset_phases.PHASES[intent.effect]
        raw = dict(intent.ticket or {})
        notes = Notes(**raw) if raw else Notes(phases[0], now)
        self._saved = None
        try:
            return self._do(record, notes, now)
        except AccelError as error:
            if notes.phase not in reset_phases.OFF or notes.failed is not None:
                raise
            raise reset_phases.loud(error, intent.effect) from error

    def _do(self, record: Record, notes: Notes, now: float) -> Step:
        """The next thing of a phase, and what its failure means."""
        do = {'restart': self._restart, 'off': self._off, 'aux': self._aux,
              'on': self._on}[notes.phase]
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
        except Rejected as error:
            return self._turned_down(record, notes, now, error)

    def _turned_down(self, record: Record, notes: Notes, now: float,
                     error: Rejected) -> Step:
        """Nothing was done: it is not noted as asked for any more.

        :raises: Rejected where it is no use to ask again.
        """
        later = error.retry_after
        if later is not None and now - notes.since <= self._pauses.busy:
            record = self._keep(record, notes)
            wait = min(max(later, self._pauses.look), self._pauses.busy)
            return Step(record, now + wait,
                        f'the BMC is busy: {error.detail.summary}')
        if notes.phase == 'aux':
            detail = dataclasses.replace(error.detail, todo=(
                error.detail.todo or 'what was written waits for it: cut the '
                'power of the box by hand, or see why its BMC refuses to, '
                'then run again'))
            failed = Notes('on', now, failed=detail.to_dict())
            return Step(self._keep(record, failed), now,
                        'the auxiliary power was not cut, powering on')
        self._keep(record, notes)
        raise error

    def _restart(self, record: Record, notes: Notes, now: float) -> Step:
        """Restart the host, at first by way of its operating system.

        That it followed shows by the boot mark; a BMC that has none is
        asked to shut the host down, which shows by the power state.
        """
        if notes.asked is None:
            return self._ask_restart(record, notes, now)
        if notes.asked in ('soft', 'down'):
            state, mark = self._host.power_state(), self._host.boot_mark()
            if notes.asked == 'down' and state == 'off':
                return self._next(record, notes, now)
            gone_by = notes.mark is not None and mark not in (
                None, notes.mark)
            if notes.asked == 'soft' and gone_by:
                return self._performed(record, now)
            if now - notes.since <= self._pauses.soft:
                return Step(record, now + self._pauses.look,
                            'the operating system restarts')
            if state == 'off':
                # It went down and did not come back by itself.
                return self._next(record, notes, now)
            if self._asked_here is None:
                return self._look_again(record, now)
            self._host.check_idle()
            record = self._ask(record, notes, 'hard', now)
            self._host.warm_reboot()
        return self._performed(record, now)

    def _look_again(self, record: Record, now: float) -> Step:
        """Begin anew with a reset that an earlier process asked for.

        The host is on: it may never have been asked. The loop looks at the
        box first: somebody else may write to it by now.
        """
        if record.intent is None:
            raise ValueError('no reset is asked for')
        record = dataclasses.replace(record, intent=dataclasses.replace(
            record.intent, ticket=None))
        self._save(record)
        return Step(record, now, 'looking at the box before the reset')

    def _ask_restart(self, record: Record, notes: Notes,
                     now: float) -> Step:
        how = self._softest() if self._pauses.soft > 0 else None
        if how is None:
            record = self._ask(record, notes, 'hard', now)
            self._host.warm_reboot()
            return self._performed(record, now)
        asked, notes = how[0], dataclasses.replace(notes, mark=how[1])
        before = record
        record = self._ask(record, notes, asked, now)
        try:
            if asked == 'down':
                self._host.power_off(soft=True)
            else:
                self._host.warm_reboot(soft=True)
        except Rejected as error:
            if error.retry_after is not None:
                raise
            record = self._ask(before, notes, 'hard', now)
            self._host.warm_reboot()
            return self._performed(record, now)
        return Step(record, now + self._pauses.look,
                    'the operating system restarts')

    def _softest(self) -> tuple[str, str | None] | None:
        """How the operating system is asked, and the mark before it is."""
        mark = self._host.boot_mark()
        restarts = self._host.offers('GracefulRestart')
        if restarts and mark is not None:
            return 'soft', mark
        if self._host.offers('GracefulShutdown'):
            return 'down', mark
        return ('soft', mark) if restarts else None

    def _aux(self, record: Record, notes: Notes, now: float) -> Step:
        if notes.asked is None:
            record = self._ask(record, notes, 'yes', now)
            self._host.aux_cycle()
            return Step(record, now + self._pauses.settle,
                        'auxiliary power cycle')
        self._host.power_state()  # raises as long as the BMC is away
        return self._next(record, notes, now)

    def _off(self, record: Record, notes: Notes, now: float) -> Step:
        if self._host.power_state() == 'off':
            return self._next(record, notes, now)
        if notes.asked is not None and self._asked_here is None:
            return self._look_again(record, now)
        late = now - notes.since > self._pauses.soft
        if notes.asked is None and self._pauses.soft > 0:
            record = self._ask(record, notes, 'soft', now)
            try:
                self._host.power_off(soft=True)
            except Rejected as error:
                if error.retry_after is not None:
                    raise
                record = self._ask(record, notes, 'hard', now)
                self._off_again = now + self._pauses.again
                self._host.power_off(soft=False)
        elif notes.asked is None or (notes.asked == 'soft' and late):
            if notes.asked is not None:
                self._host.check_idle()
            record = self._ask(record, notes, 'hard', now)
            self._off_again = now + self._pauses.again
            self._host.power_off(soft=False)
        elif notes.asked == 'hard':
            record = self._insist(record, notes, now)
        return Step(record, now + self._pauses.look, 'powering off')

    def _on(self, record: Record, notes: Notes, now: float) -> Step:
        """Power the host on, which may be asked for again and again."""
        if self._host.power_state() == 'on':
            return self._is_on(record, notes, now)
        if notes.asked is None:
            record = self._ask(record, notes, 'hard', now)
        if self._on_since is None:
            self._on_since = now
        late = now - self._on_since
        later = (self._on_error.retry_after
                 if isinstance(self._on_error, Rejected) else None)
        if late > (self._pauses.hard if later is None
                   else self._pauses.busy):
            raise self._stays_off(late)
        if now >= self._on_again:
            self._ask_on(now)
        until = now + self._pauses.look
        if later is not None:
            until = max(until, self._on_again)
        return Step(record, until, 'powering on')

    def _ask_on(self, now: float) -> None:
        """Ask, and note what was answered where it was no yes."""
        self._on_error, self._on_again = None, now + self._pauses.again
        try:
            self._host.power_on()
        except (Rejected, OutcomeUnknown) as error:
            self._on_error = error
            if isinstance(error, Rejected) and error.retry_after is not None:
                # A service may send us away for long; a host that is off
                # is worth asking for oftener, and On does no harm.
                self._on_again = now + min(error.retry_after,
                                           2 * self._pauses.again)

    def _is_on(self, record: Record, notes: Notes, now: float) -> Step:
        """The host is on: the next phase, or the failure that was kept.

        :raises: AccelError.
        """
        self._on_since = self._on_error = None
        self._on_again = 0.0
        if notes.failed is None:
            return self._next(record, notes, now)
        if record.intent is not None:
            # A run that goes on with this record begins the reset anew.
            self._save(dataclasses.replace(record, intent=dataclasses.replace(
                record.intent, ticket=None)))
        raise AccelError(Detail.from_dict(notes.failed))

    def _stays_off(self, late: float) -> AccelError:
        said = (f': {self._on_error.detail.summary}' if self._on_error
                else '')
        return AccelError(
            f'the host is not on {late:.0f} s after it was asked{said}',
            error_class=ErrorClass.NEEDS_OPERATOR, expected='on',
            seen=self._host.power_state(),
            todo='look at the host\'s power, then run again')

    def _insist(self, record: Record, notes: Notes, now: float) -> Record:
        """Wait for the host to be off; ask again now and then.

        The request may have been lost; it does no harm twice.
        """
        if now - notes.since > self._pauses.hard:
            raise AccelError(
                f'the host is not off {self._pauses.hard:.0f} s after '
                'it was asked', error_class=ErrorClass.NEEDS_OPERATOR,
                expected='off', seen=self._host.power_state(),
                todo='look at the host\'s power, then run again')
        if now >= self._off_again:
            self._off_again = now + self._pauses.again
            self._host.power_off(soft=False)
        return record

    def _ask(self, record: Record, notes: Notes, asked: str,
             now: float) -> Record:
        """Save that something is asked for, before it is."""
        self._asked_here = dataclasses.replace(
            notes, since=now, asked=asked)
        return self._keep(record, self._asked_here)

    def _keep(self, record: Record, notes: Notes) -> Record:
        if record.intent is None:
            raise ValueError('no reset is asked for')
        record = dataclasses.replace(record, intent=dataclasses.replace(
            record.intent, ticket=dataclasses.asdict(notes)))
        self._save(record)
        self._saved = record
        return record

    def _next(self, record: Record, notes: Notes, now: float) -> Step:
        """The next phase, or the end."""
        if record.intent is None:
            raise ValueError('no reset is asked for')
        effect = record.intent.effect
        phases = reset_phases.PHASES[effect]
        following = phases[phases.index(notes.phase) + 1:]
        if following:
            record = self._keep(record, Notes(following[0], now))
            return Step(record, now, f'{notes.phase} is done')
        return self._performed(record, now)

    def _performed(self, record: Record, now: float) -> Step:
        """The reset is over, whatever phases it has left out."""
        if record.intent is None:
            raise ValueError('no reset is asked for')
        effect = record.intent.effect
        record = reset_performed(record, now)
        self._save(record)
        return Step(record, now + self._pauses.settle, f'{effect} is done',
                    performed=True)
