# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""How old a proof is: as old as the oldest thing that it stands on."""

from __future__ import annotations

from collections.abc import Mapping

from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan


def read_at(plan: Plan, own: Inventory | None,
            looks: Mapping[str, float], now: float) -> float:
    """When the oldest item that a plan is satisfied by was read.

    What a look did not read itself was carried over from the last look of
    the way that can, and is as old as that.

    :param own: what the look itself saw, before anything was carried over;
        with the ids of the plan; None where that cannot be told any more.
    :param looks: when each way last looked (epoch seconds).
    :param now: when this look was (epoch seconds).
    """
    if own is not None and all(_read(own, x.item) for x in plan.satisfied):
        return now
    return min(looks.values(), default=now)


def _read(own: Inventory, item: Item) -> bool:
    device = own.device(item.device)
    if device is None:
        return False
    if item.kind == 'mode':
        mode = device.mode(item.name)
        return mode is not None and mode.current is not None
    part = device.component(item.name)
    return item.kind == 'device' or (
        part is not None and part.running is not None)
