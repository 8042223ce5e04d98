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

"""The progress of a host reset, as stored in the record of a run.

The note is the ticket of the reset's open intent. It is saved before each
request, so that another process knows what may have been done.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
from typing import Any

from ironic_accel.model.device import Activation
from ironic_accel.model.device import base_name
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import INSIDE
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record


class ResetPhase(enum.StrEnum):
    """What a host reset consists of."""

    #: The host is restarted; it may have to be powered on after that.
    REBOOT = 'reboot'
    #: The host is powered off.
    OFF = 'off'
    #: The auxiliary power is cut next; the host is off.
    AUX = 'aux'
    #: The auxiliary power was cut, or may have been: the BMC comes back.
    BMC = 'bmc'
    #: The host is powered on.
    ON = 'on'


PHASES: Mapping[Activation, tuple[ResetPhase, ...]] = {
    Activation.WARM_REBOOT: (ResetPhase.REBOOT, ResetPhase.ON),
    Activation.POWER_CYCLE: (ResetPhase.OFF, ResetPhase.ON),
    Activation.AUX_CYCLE: (ResetPhase.OFF, ResetPhase.AUX, ResetPhase.BMC,
                       ResetPhase.ON)}

#: Phases in which a BMC may restart because its auxiliary power was cut.
_CYCLED = frozenset({ResetPhase.BMC, ResetPhase.ON})

#: The component that is the firmware of a BMC (catalogue, components.yaml).
BMC_COMPONENT = 'bmc'

#: Phases in which the host is off because this reset switched it off.
SWITCHED_OFF = frozenset({ResetPhase.AUX, ResetPhase.BMC, ResetPhase.ON})

#: Set in the ticket of a reset that has been performed.
PERFORMED = 'performed'


class Asked(enum.StrEnum):
    """What has been asked for in a phase."""

    #: The operating system was asked to restart.
    RESTART = 'soft'
    #: The operating system was asked to shut down.
    SHUTDOWN = 'down'
    #: The operating system cannot be asked, or does not follow.
    REFUSED = 'refused'
    #: The BMC was asked to do it itself.
    FORCED = 'hard'


#: Requests after which a host may be off, or go off.
_POWERS_OFF = frozenset({Asked.RESTART, Asked.SHUTDOWN, Asked.FORCED})


@dataclasses.dataclass(frozen=True, slots=True)
class ResetNote:
    """How far a host reset is.

    :ivar at: epoch seconds at which the phase began, or at which ``asked``
        was asked for first.
    :ivar by: the process that wrote it.
    :ivar answered: whether what was asked for was answered with a yes. What
        was asked for and not answered may have been done.
    :ivar again: epoch seconds from which on it may be asked for again.
    :ivar mark: the boot mark before an operating system was asked to
        restart.
    :ivar failed: why an earlier phase failed (``errors.Detail`` as data):
        the host is powered on again, and that is what the reset ends with.
    :ivar said: what the BMC said to the last request to power on, where it
        was a no.
    :ivar later: whether it asked for it to be sent again later.
    :ivar unproved: whether nobody can tell if the auxiliary power was cycled.
    :ivar cut: whether an earlier attempt of this reset, which started over,
        had requested that the host goes off or restarts.
    """

    phase: ResetPhase
    at: float
    by: str = ''
    asked: Asked | None = None
    answered: bool = False
    again: float | None = None
    mark: str | None = None
    failed: Mapping[str, Any] | None = None
    said: str = ''
    later: bool = False
    cut: bool = False
    unproved: bool = False

    @property
    def may_be_off(self) -> bool:
        """Whether the host may be off because of this reset."""
        return (self.cut or self.phase in SWITCHED_OFF
                or self.asked in _POWERS_OFF)

    @property
    def durable(self) -> ResetNote:
        """What has to be saved: the rest is of use to its process alone.

        That an auxiliary cycle was answered tells another process that it
        was performed.
        """
        return dataclasses.replace(
            self, answered=self.answered and self.phase is ResetPhase.BMC,
            again=None, said='', later=False)

    def to_ticket(self) -> dict[str, Any]:
        """As it is saved, without what says nothing."""
        return {f.name: value for f in dataclasses.fields(self)
                if (value := getattr(self, f.name)) != f.default}


#: Keys of a note, the one of earlier releases included: what else is in a
#: ticket is the caller's.
KEYS = frozenset({*(f.name for f in dataclasses.fields(ResetNote)), 'since'})

#: What earlier releases of the command called them.
_FORMER = {'restart': ResetPhase.REBOOT}


def load(ticket: Mapping[str, Any]) -> ResetNote | None:
    """Read a note, also one of an earlier release; None where none is.

    Earlier releases of the command noted no process and kept the time under
    ``since``; those of the conductor noted what had been asked for only where
    a boot mark was to show it. Of all of them nobody can tell whether the
    last request was answered.

    :raises: AccelError for one of a later release.
    """
    raw = ticket.get('phase')
    if raw is None:
        return None
    try:
        phase = _FORMER.get(raw) or ResetPhase(raw)
        asked = ticket.get('asked')
        if phase is ResetPhase.AUX and asked is not None:
            return ResetNote(ResetPhase.BMC, _at(ticket), _by(ticket))
        if asked == 'soft' and phase is ResetPhase.OFF:
            asked = Asked.SHUTDOWN
        if phase is ResetPhase.REBOOT and asked is None and (
                ticket.get('mark') is not None):
            asked = Asked.RESTART
        return ResetNote(
            phase, _at(ticket), _by(ticket), Asked(asked) if asked else None,
            bool(ticket.get('answered')), ticket.get('again'),
            ticket.get('mark'), ticket.get('failed'),
            str(ticket.get('said') or ''), bool(ticket.get('later')),
            is_cut(ticket), bool(ticket.get('unproved')))
    except (TypeError, ValueError) as exc:
        raise AccelError(
            'cannot read the stored state of the host reset: a later '
            'release wrote it', error_class=ErrorClass.NEEDS_OPERATOR,
            seen=f'phase {raw!r}, asked {ticket.get("asked")!r}',
            todo='continue with that release') from exc


def _at(ticket: Mapping[str, Any]) -> float:
    return float(ticket.get('at', ticket.get('since', 0.0)))


def _by(ticket: Mapping[str, Any]) -> str:
    return str(ticket.get('by') or '')


def is_cut(ticket: Mapping[str, Any]) -> bool:
    """Whether a reset that started over had requested a power change."""
    return bool(ticket.get('cut'))


def started_over(note: ResetNote) -> dict[str, Any]:
    """What remains of a note when the reset starts over."""
    return {'cut': True} if note.may_be_off else {}


def _of(intent: Intent | None) -> Mapping[str, Any] | None:
    """The ticket of a reset that is not performed, or None."""
    if intent is None or intent.kind != 'reset':
        return None
    ticket = intent.ticket or {}
    return None if ticket.get(PERFORMED) else ticket


def restarts_bmc(record: Record, now: float, longest: float) -> bool:
    """Whether the BMC restarts, or may, because of what the run has done.

    It does after an auxiliary power cycle, and after an update of its own
    firmware, whose intent is open until the new version is shown.

    :param now: the time of the record.
    :param longest: seconds that a restart of a BMC takes at most.
    """
    intent = record.intent
    if intent is None:
        return False
    if intent.kind == 'reset':
        return intent.activation is Activation.AUX_CYCLE and (
            (intent.ticket or {}).get('phase') in _CYCLED
            and now <= _at(intent.ticket or {}) + longest)
    names = {base_name(name) for _, name in (
        *(item.ref for item in intent.items), *intent.also)}
    return (intent.verb == 'update' and intent.transport not in INSIDE
            and BMC_COMPONENT in names and now <= intent.deadline + longest)


def is_switched_off(record: Record) -> bool:
    """Whether the open reset of a record has switched the host off, and it
    is not known to be on again."""
    return (_of(record.intent) or {}).get('phase') in SWITCHED_OFF


def may_be_off(record: Record) -> bool:
    """Whether the open reset of a record may have left the host off: it has
    switched it off, or requested something after which it may go off.
    """
    ticket = _of(record.intent)
    if ticket is None:
        return False
    try:
        note = load(ticket)
    except AccelError:
        # A later release knows what it means, and goes on with it.
        return False
    return is_cut(ticket) if note is None else note.may_be_off


def is_failing(intent: Intent) -> bool:
    """Whether a reset has failed and only powers the host on again."""
    return bool((_of(intent) or {}).get('failed'))


def powering_on_again(intent: Intent, why: Detail, now: float) -> Intent:
    """A reset that fails, once the host is on again.

    :param why: the failure.
    :param now: epoch seconds.
    """
    kept = {k: v for k, v in (intent.ticket or {}).items() if k not in KEYS}
    note = ResetNote(ResetPhase.ON, now, failed=why.to_dict())
    return dataclasses.replace(
        intent, ticket={**kept, **note.to_ticket()})
