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

"""The components that a push may write, derived from the request itself.

The plan lists them as collateral, and the write is refused if the request
would meanwhile write more than the plan lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import re

from ironic_accel.model.device import base_name
from ironic_accel.model.device import Device
from ironic_accel.model.plan import Ref
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.inventory.inventory import SystemReading
from ironic_accel.redfish.inventory.update_methods import MethodChoice

#: Device id of collateral that belongs to no device of the inventory.
OTHERS = '-'


@dataclasses.dataclass(frozen=True, slots=True)
class UpdateRequest:
    """A push request: its style and its targets.

    The plan and the write use the same object, so that the collateral in the
    plan is that of the request which is sent.

    :ivar uris: the firmware inventory entries to update.
    :ivar targets: the targets to name in their place, by the vendor's row or
        the profile; None names the entries themselves.
    """

    choice: MethodChoice
    uris: tuple[str, ...]
    targets: tuple[str, ...] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The targets in the request."""
        return self.uris if self.targets is None else self.targets


def written(seen: SystemReading, devices: Mapping[str, Device],
            asked: UpdateRequest) -> frozenset[Ref]:
    """All components that a request may write, if the image fits them.

    The named targets, if the service is known to respect them; all similar
    entries, if it is not; everything that the style covers, if the request
    names no target or an unknown one.
    """
    owned = {p.uri: (name, p.name) for name, d in devices.items()
             for p in d.components}
    meant = {*asked.uris}
    named = meant | ({*asked.named} if asked.choice.style.targets == 'named'
                     else set())
    there = {e.uri: e for e in seen.entries}
    reach = asked.choice.reach
    if reach == 'covered' and asked.choice.style.targets == 'named' and (
            not {*asked.named} & {*asked.choice.instead}):
        # The profile names other targets than the row.
        reach = asked.choice.row.reach or 'like'
    covered = asked.choice.covers
    if not {normal(u) for u in named} <= there.keys():
        reach, covered = 'covered', r'.+'
    out = {owned.get(normal(u), (OTHERS, last(u))) for u in named}
    for entry in seen.entries:
        if entry.flag('Updateable') is False:
            continue
        ref = owned.get(entry.uri, (OTHERS, last(entry.uri)))
        may = re.fullmatch(covered, last(entry.uri)) is not None
        if may and reach != 'covered':
            may = reach == 'like' and not (
                entry.uri not in owned and _is_same_firmware(
                    asked.choice.row.card, entry.uri, named)) and any(
                _may_share_image(entry, there[normal(u)], devices, owned)
                for u in named)
        if may:
            out.add(ref)
    return frozenset(out)


def _may_share_image(one: Fields, other: Fields, devices: Mapping[str, Device],
                     owned: Mapping[str | None, Ref]) -> bool:
    """Whether an image for one entry may also fit another one.

    It may if both are the same component of devices of the same product; for
    entries without a device, if they have the same SoftwareId, or Ids that
    differ in numbers only.
    """
    a, b = owned.get(one.uri), owned.get(other.uri)
    if a is not None and b is not None:
        mine, theirs = devices[a[0]], devices[b[0]]
        if mine.kind != theirs.kind or base_name(a[1]) != base_name(b[1]):
            return False
        for one_made, other_made in ((mine.product, theirs.product),
                                     (mine.model, theirs.model)):
            if one_made is not None and other_made is not None:
                return one_made == other_made
        return True
    software = one.text('SoftwareId')
    if software not in (None, '0') and software == other.text('SoftwareId'):
        return True
    return _id_form(last(one.uri)) == _id_form(last(other.uri))


def _is_same_firmware(pattern: str | None, uri: str, named: Iterable[str]
                      ) -> bool:
    """Whether an entry is about the same firmware as a named one."""
    if pattern is None:
        return False
    mine, *theirs = (re.fullmatch(pattern, last(u)) for u in (uri, *named))
    return mine is not None and any(
        t is not None and t[1] == mine[1] for t in theirs)


def _id_form(entry_id: str) -> str:
    return re.sub(r'[0-9]+', '0', entry_id)


def collateral(seen: SystemReading, devices: Mapping[str, Device],
               asked: UpdateRequest, meant: Ref) -> tuple[Ref, ...]:
    """The collateral of a request: what else it writes if the image fits."""
    return tuple(sorted(written(seen, devices, asked) - {meant}))
