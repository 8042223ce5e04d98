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

"""The slots of cards that do not report their location.

``PCIeSlots`` of a Chassis (v1.4) shows which PCIeDevice is in which slot.
Services with a PCIeDevice older than v1.9 report it nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import NOT_THERE
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory.device_builder import location
from ironic_accel.redfish.inventory.scope import Scope


def add_locations(reader: Reader, scope: Scope, found: Iterable[FoundDevice]
                  ) -> None:
    """Set the location of cards without one to their slot.

    If the slots cannot be read, their location is unknown.
    """
    for one in found:
        if one.location is not None or not one.claimed or (
                one.presence_unread):
            continue
        if any(q.card_ids_are_slots for q in scope.quirks):
            one.location = last(min(one.claimed))
            continue
        for uri in sorted(one.claimed):
            chassis = scope.chassis.get(uri.partition('/PCIeDevices/')[0])
            listed = chassis.link('PCIeSlots') if chassis else None
            if listed:
                one.location = one.location or _slot(reader, listed, one)


def _slot(reader: Reader, listed: str, card: FoundDevice) -> str | None:
    """The slot of a card, if there is only one."""
    shown = reader.read(listed, impact=part(card.uri, 'identity'))
    if shown is None:
        if reader.failures[listed].status not in NOT_THERE:
            card.unread.add('identity')
        return None
    places = {place for slot in shown.parts('Slots')
              if card.claimed & set(slot.links('Links', 'PCIeDevice'))
              and (place := location(slot)) is not None}
    # A riser may list its cards in each of its slots.
    return places.pop() if len(places) == 1 else None
