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

"""How long the loop waits for what; all in seconds."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """Times of the loop.

    :ivar poll: between two polls of a write under way.
    :ivar look: between two looks at a box that is not ready.
    :ivar fetch: between two questions for an image.
    :ivar incomplete: how long devices may take to appear after a host reset
        (GPUs vanish for minutes after power-on on real machines).
    :ivar appear: how long after a host reset a device that is missing may
        still come, on a box that says that it is ready.
    :ivar unreachable: how long a box may be silent.
    :ivar lost: how long a write that nobody can tell of is looked for before
        it counts as not done: a task that a BMC has forgotten may go on.
    :ivar gone: the same for a burn that was taken and whose task the BMC
        has forgotten: as long as the longest ones take, since neither a
        second push nor a reset may meet the first one.
    :ivar busy: how long somebody else's work is waited for.
    :ivar action: how long one write may take before we stop waiting; the
        bundle of a baseboard takes about 20 minutes, an FPGA up to 40.
    :ivar reset: how long a host reset may take to be performed.
    """

    poll: float = 5
    look: float = 10
    fetch: float = 5
    incomplete: float = 1800
    appear: float = 600
    unreachable: float = 900
    lost: float = 300
    gone: float = 2700
    busy: float = 5400
    action: float = 5400
    reset: float = 1800
