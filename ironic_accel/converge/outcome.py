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

"""What the loop tells its caller: each outcome a type of its own."""

from __future__ import annotations

import dataclasses

from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Detail
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Proof


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, in words; percent is of what is under way."""

    summary: str
    percent: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Call again at ``until`` (epoch seconds) or later."""

    until: float
    progress: Progress


@dataclasses.dataclass(frozen=True, slots=True)
class PowerOn:
    """A live tree is needed and the host is off: power it on, call again."""

    progress: Progress


@dataclasses.dataclass(frozen=True, slots=True)
class Reset:
    """The caller is to perform this host reset, then ``reset_performed``.

    It is given again at every call until then, so that a caller may do it in
    several steps and die between them.
    """

    activation: Activation
    progress: Progress


@dataclasses.dataclass(frozen=True, slots=True)
class Converged:
    """Every item was read back as wanted.

    :ivar notes: what did not go well on the way and changes nothing of it.
    """

    proofs: tuple[Proof, ...]
    plan: Plan
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """Something may or can not be done, so nothing was begun."""

    plan: Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """The run is over without success.

    :ivar running: whether a write still goes on: whoever guards the power
        of the box goes on guarding it.
    """

    error: Detail
    running: bool = False


Outcome = Wait | PowerOn | Reset | Converged | Refused | Failed
