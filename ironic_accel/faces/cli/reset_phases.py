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

"""The phases of a host reset, as a record keeps them.

Plain data: what each reset consists of, its times, where one is, and what to
say of a host that it has left off.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ironic_accel.model.device import Effect
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.record import Record

#: What each reset consists of.
PHASES = {
    Effect.WARM_REBOOT: ('restart', 'on'),
    Effect.POWER_CYCLE: ('off', 'on'),
    Effect.AUX_CYCLE: ('off', 'aux', 'on'),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Notes:
    """Where a reset is; kept in the ticket of the open intent.

    :ivar asked: what has been asked for in this phase: soft (by way of the
        operating system), down (to shut down, for a restart), hard or yes.
    :ivar since: epoch seconds of that, or of the phase's begin.
    :ivar failed: why an earlier phase failed: the host is powered on again,
        and then that is what the run ends with.
    :ivar mark: the host's boot mark before a soft restart.
    """

    phase: str
    since: float
    asked: str | None = None
    failed: dict[str, Any] | None = None
    mark: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Pauses:
    """Times of a reset, in seconds.

    :ivar look: between two looks at the power state.
    :ivar soft: how long the operating system may take to restart or to
        power off; 0 does not ask it.
    :ivar hard: how long a host may take to be off, or on.
    :ivar away: how long the BMC may be away after an auxiliary cycle.
    :ivar busy: how long a BMC may say "not now" to one request.
    :ivar again: between two requests to power on a host that stays off.
    :ivar settle: between the end of a reset and the first look at devices:
        BMCs show the old tree for a moment.
    """

    look: float = 5.0
    soft: float = 60.0
    hard: float = 120.0
    away: float = 600.0
    busy: float = 900.0
    again: float = 30.0
    settle: float = 10.0


#: Phases in which the host is off because this reset switched it off.
OFF = ('aux', 'on')


def left_off(record: Record) -> bool:
    """Whether a reset of that record has switched the host off, and it is
    not known to be on again."""
    intent = record.intent
    return intent is not None and intent.kind == 'reset' and (
        (intent.ticket or {}).get('phase') in OFF)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """What came of one step: go on at ``until`` with ``record``.

    :ivar performed: whether it was the last one of the reset.
    """

    record: Record
    until: float
    summary: str
    performed: bool = False


def loud(error: AccelError, effect: Effect) -> AccelError:
    """An error that leaves a host off which was on: it says so."""
    detail = dataclasses.replace(
        error.detail, error_class=ErrorClass.NEEDS_OPERATOR,
        todo=f'the host was switched off for the {effect} and is not known '
             'to be on again: power it on, then run again')
    return type(error)(detail)
