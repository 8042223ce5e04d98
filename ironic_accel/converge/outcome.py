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

"""The outcomes of one call of ``advance``."""

from __future__ import annotations

import dataclasses

from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Detail
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Proof


#: The outcome in documents of a run whose profile does not apply.
NOT_APPLIED = 'does-not-apply'


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run; percent is that of the current operation."""

    summary: str
    percent: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Call again at ``until`` (epoch seconds) or later."""

    until: float
    progress: Progress


@dataclasses.dataclass(frozen=True, slots=True)
class PowerOn:
    """The host is off: the caller powers it on and calls again."""

    progress: Progress


@dataclasses.dataclass(frozen=True, slots=True)
class Reset:
    """The caller performs this host reset, then calls ``reset_performed``.

    Every call returns it until then, so that the caller may take several
    steps and be restarted in between.
    """

    activation: Activation
    progress: Progress


@dataclasses.dataclass(frozen=True, slots=True)
class Converged:
    """Every item was read back with its wanted value.

    A profile that does not apply has no item: ``plan.applies`` is false.

    :ivar notes: problems that do not change this result.
    """

    proofs: tuple[Proof, ...]
    plan: Plan
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The plan has refused items, so nothing was started."""

    plan: Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """The run failed.

    :ivar running: whether a write may still be in progress: the guard of the
        node's power has to stay.
    """

    error: Detail
    running: bool = False


Outcome = Wait | PowerOn | Reset | Converged | Refused | Failed
