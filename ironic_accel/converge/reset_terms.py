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

"""The terms of a host reset: its rules, what is read, and what is done."""

from __future__ import annotations

import dataclasses
import enum
from typing import Literal

from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable


@dataclasses.dataclass(frozen=True, slots=True)
class ResetTimes:
    """Times of a reset, in seconds.

    :ivar look: between two reads of the host.
    :ivar soft: how long the operating system may take to restart or to shut
        down; 0 does not ask it.
    :ivar hard: how long a host may take to be off, or on.
    :ivar away: how long the BMC may be away, after an auxiliary cycle or
        otherwise.
    :ivar busy: how long a BMC may be busy, or say "not now".
    :ivar again: between two requests to power on, or off, a host that does
        not follow.
    :ivar aux_settle: after an auxiliary cycle was asked for, during which an
        answer of the BMC does not count: it may be one from before it.
    :ivar settle: between the end of a reset and the first inventory: BMCs
        show the old tree for a moment.
    """

    look: float = 5.0
    soft: float = 60.0
    hard: float = 120.0
    away: float = 600.0
    busy: float = 900.0
    again: float = 30.0
    aux_settle: float = 10.0
    settle: float = 10.0


class Graceful(enum.StrEnum):
    """How the operating system is asked to restart a host."""

    #: A restart that a change of the boot mark shows.
    MARKED_RESTART = 'marked restart'
    #: A shutdown, which shows by the power state; the host is powered on.
    SHUTDOWN = 'shutdown'
    #: A restart that nothing shows: it is given its time.
    RESTART = 'restart'


@dataclasses.dataclass(frozen=True, slots=True)
class ResetRules:
    """What the two callers differ in, by intent.

    :ivar by: the process that performs the reset.
    :ivar graceful: how an operating system is asked to restart, the first
        that the host offers; it is always a shutdown where the power is to
        be cut.
    :ivar waits: whether a power call that is answered has been carried out,
        as those of Ironic, which wait for the power state.
    :ivar restart_once: whether a forced restart counts as performed where no
        answer came. One request of Redfish either arrived or did not, and
        what was to be activated shows it; Ironic's is off and on, and may
        have stopped between the two.
    :ivar calls_all: whether off and on are called for where the host is off
        or on already: Ironic notes the power state, and forgets the agent,
        in these calls.
    :ivar ramdisk: whether the host is to boot the ramdisk: one that came on
        by itself is restarted.
    :ivar can_inventory: whether an inventory can be taken now. Where the
        ramdisk's agent takes it and Ironic has forgotten the agent in a
        power call, nothing but the reset brings one back: that the BMC is
        idle has to do then.
    :ivar restores: whether the caller tries to power the host on once more
        where this reset left it off.
    :ivar keep_off: whether the host was off before the run: after a reset
        that fails it is not powered on.
    """

    by: str
    times: ResetTimes = ResetTimes()
    graceful: tuple[Graceful, ...] = (
        Graceful.MARKED_RESTART, Graceful.SHUTDOWN, Graceful.RESTART)
    waits: bool = False
    restart_once: bool = True
    calls_all: bool = False
    ramdisk: bool = False
    can_inventory: bool = True
    restores: bool = False
    keep_off: bool = False


class ReadingKind(enum.StrEnum):
    """What may be read of a host and its BMC."""

    POWER = 'power state'
    BMC = 'answer of the BMC'
    IDLE = 'activity of the BMC'
    MARK = 'boot mark'
    OFFERS_RESTART = 'whether a graceful restart is offered'
    OFFERS_SHUTDOWN = 'whether a graceful shutdown is offered'


@dataclasses.dataclass(frozen=True, slots=True)
class HostReadings:
    """What has been read in this call.

    :ivar read: what was asked for.
    :ivar inventoried: whether the loop has taken an inventory in this very
        call, and seen no work.
    :ivar power: None for what is between on and off, or is not told.
    :ivar busy: why the BMC is not known to be idle, or None.
    :ivar away: that the BMC did not answer, or None.
    :ivar refused: why something cannot be read at all, or None.
    """

    read: frozenset[ReadingKind] = frozenset()
    inventoried: bool = False
    power: Literal['on', 'off'] | None = None
    mark: str | None = None
    offers_restart: bool = False
    offers_shutdown: bool = False
    busy: Rejected | None = None
    away: Unreachable | None = None
    refused: AccelError | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Need:
    """Read something, then ask again."""

    reading: ReadingKind


@dataclasses.dataclass(frozen=True, slots=True)
class SetPower:
    """Power the host on, or off; softly through its operating system."""

    state: Literal['on', 'off']
    soft: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """Restart the host; softly through its operating system."""

    soft: bool


@dataclasses.dataclass(frozen=True, slots=True)
class CutAuxPower:
    """Perform the vendor's action that cuts the auxiliary power."""


@dataclasses.dataclass(frozen=True, slots=True)
class WaitUntil:
    """Ask again then.

    :ivar until: epoch seconds.
    """

    until: float
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class StartOver:
    """Forget how far it is: the loop takes an inventory, and decides anew."""


@dataclasses.dataclass(frozen=True, slots=True)
class ResetDone:
    """The reset is performed."""


@dataclasses.dataclass(frozen=True, slots=True)
class ResetFailed:
    """The reset is not performed.

    :ivar forget: whether whoever tries again begins with the first phase.
    """

    error: AccelError
    forget: bool = False


PowerAct = SetPower | Restart | CutAuxPower

#: What is answered to one: None is a yes. Rejected and Unreachable mean that
#: nothing was done, OutcomeUnknown that nobody can tell.
Answer = Rejected | Unreachable | OutcomeUnknown | None

Act = (Need | PowerAct | WaitUntil | StartOver | ResetDone | ResetFailed)
