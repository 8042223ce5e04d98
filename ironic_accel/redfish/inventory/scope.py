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

"""The part of a BMC's tree that is one node's: what ``topology`` finds."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.vendors.base import Quirks


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """What of a BMC's tree is one node's.

    :ivar root: the service root.
    :ivar system: the node's own System.
    :ivar baseboards: the Systems of its accelerator baseboards.
    :ivar dpus: the Systems of its DPUs.
    :ivar chassis: its chassis, by path.
    :ivar alone: whether it is the only host behind the BMC.
    :ivar quirks: the vendors' ways of this box.
    :ivar lost_boards: paths of baseboards that are listed and unread.
    :ivar lost_chassis: the same of Chassis.
    """

    root: Fields
    system: Fields
    baseboards: tuple[Fields, ...]
    dpus: tuple[Fields, ...]
    chassis: Mapping[str, Fields]
    alone: bool
    quirks: tuple[Quirks, ...]
    lost_boards: tuple[str, ...] = ()
    lost_chassis: tuple[str, ...] = ()

    def levels(self, name: str) -> int:
        """How deep to expand a resource, by its name in the tables."""
        return max((q.levels.get(name, 1) for q in self.quirks), default=1)

    @property
    def systems(self) -> tuple[Fields, ...]:
        """The Systems whose processors are the node's."""
        return (self.system, *(b for b in self.baseboards
                               if b.uri != self.system.uri))
