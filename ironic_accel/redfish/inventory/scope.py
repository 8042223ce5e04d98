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

"""The part of a BMC's tree that belongs to one node, with its quirks.

``topology`` finds the resources of the node. The quirks are those of the
vendor plug-ins that match the service by its root and its Systems.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import re

from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors import registry


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """The resources of one node in a BMC's tree.

    :ivar root: the service root.
    :ivar system: the node's own System.
    :ivar baseboards: the Systems of its accelerator baseboards.
    :ivar dpus: the Systems of its DPUs.
    :ivar chassis: its chassis, by path.
    :ivar alone: whether it is the only host of the BMC.
    :ivar quirks: the vendor quirks of this system.
    :ivar levels: ``$expand`` levels of resources, by their names in the
        tables; 1 where there is none.
    :ivar lost_boards: paths of baseboards that are listed and unread.
    :ivar lost_chassis: paths of Chassis that are listed and unread.
    """

    root: Fields
    system: Fields
    baseboards: tuple[Fields, ...]
    dpus: tuple[Fields, ...]
    chassis: Mapping[str, Fields]
    alone: bool
    quirks: tuple[Quirks, ...]
    levels: Mapping[str, int]
    lost_boards: tuple[str, ...] = ()
    lost_chassis: tuple[str, ...] = ()

    @property
    def systems(self) -> tuple[Fields, ...]:
        """The Systems with processors of the node."""
        return (self.system, *(b for b in self.baseboards
                               if b.uri != self.system.uri))

    def offers_aux_cycle(self) -> bool | None:
        """Whether the system or one of its chassis has an action that cycles
        its auxiliary power; None if another chassis may have it."""
        owners = {'system': [self.system], 'chassis': self.chassis.values()}
        if any(owner.target(*quirks.aux.action, 'target')
               for vendor in registry.vendors() for quirks in vendor.quirks
               if quirks.aux is not None for owner in owners[quirks.aux.owner]
               ):
            return True
        return False if self.alone and not self.lost_chassis else None

    def reads_links(self, collection: str) -> bool:
        """Whether a collection is read with what its members link to."""
        return any(collection in q.linked for q in self.quirks)


@dataclasses.dataclass(frozen=True, slots=True)
class Recognised:
    """The quirks of a service.

    :ivar quirks: in their order of precedence.
    :ivar refused: messages about plug-ins that match a value which another
        one already matches; their quirks are not used.
    """

    quirks: tuple[Quirks, ...]
    refused: tuple[str, ...] = ()

    @property
    def at_once(self) -> int:
        """Number of reads at a time: of the first quirks that name one."""
        return next((q.at_once for q in self.quirks if q.at_once), 1)

    @property
    def levels(self) -> dict[str, int]:
        """``$expand`` levels by resource: the most that any quirk names."""
        out: dict[str, int] = {}
        for quirks in self.quirks:
            for name, levels in quirks.levels.items():
                out[name] = max(levels, out.get(name, 1))
        return out


def recognise(root: Fields, systems: Iterable[Fields],
              unread: Iterable[str] = ()) -> Recognised:
    """The quirks of a service, by its root and its Systems.

    Within one layer, only the first plug-in in the order of precedence may
    match a value of the service.

    :param unread: paths of Systems that are listed and were not read, but
        whose Ids are known.
    """
    says = _service_values(root, systems, unread)
    out: list[Quirks] = []
    refused: list[str] = []
    claimed: dict[tuple[Layer, str, str], str] = {}
    servers = False
    for name, vendor in registry.installed().vendors.items():
        held = [(q, by) for q in vendor.quirks if (by := _matched_by(q, says))]
        claims = [(vendor.layer, *one) for _, by in held for one in by]
        taken = next((c for c in claims if claimed.get(c, name) != name),
                     None)
        if taken is not None:
            refused.append(
                f'Redfish vendor plug-in {name} is not used: '
                f'{claimed[taken]} already matches {taken[1]} {taken[2]!r}')
            continue
        claimed |= dict.fromkeys(claims, name)
        servers = servers or (vendor.layer is Layer.SERVER and bool(held))
        out += [q for q, _ in held]
    lost = registry.installed().left_out
    if lost and not servers:
        out.insert(0, Quirks('left out', (), no_updates=(
            'Redfish vendor plug-in '
            + '; '.join(f'{name} {why}' for name, why in lost.items())
            + ': the vendor of this BMC is unknown, it may need the '
            'plug-in')))
    return Recognised(tuple(out), tuple(refused))


def _service_values(root: Fields, systems: Iterable[Fields],
                    unread: Iterable[str]) -> dict[str, list[str]]:
    """The values of a service, by the keys of ``Quirks.recognised_by``."""
    says = {'root.Vendor': [root.text('Vendor') or ''],
            'root.Product': [root.text('Product') or ''],
            'system.Id': [], 'system.Manufacturer': [], 'system.Model': []}
    says['system.Id'] += [last(uri) for uri in unread]
    for system in systems:
        says['system.Id'].append(last(system.uri))
        for name in ('Id', 'Manufacturer', 'Model'):
            says[f'system.{name}'].append(system.text(name) or '')
    return says


def _matched_by(quirks: Quirks, says: Mapping[str, list[str]]
                ) -> set[tuple[str, str]]:
    """The values by which quirks match a service; empty if they do not."""
    found = {(key, text) for key, pattern in quirks.recognised_by
             for text in _matching_values(says, key, pattern)}
    whole = [{(key, text) for text in _matching_values(says, key, pattern)}
             for key, pattern in quirks.structure]
    if whole and all(whole):
        found = found.union(*whole)
    return found


def _matching_values(says: Mapping[str, list[str]], key: str, pattern: str
                     ) -> list[str]:
    return [t for t in says[key] if re.fullmatch(pattern, t, re.I)]
