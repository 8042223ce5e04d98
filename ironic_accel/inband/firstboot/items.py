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


"""The document ``first-boot/1``: what an instance sets at every boot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.document import plain
from ironic_accel.model.errors import BadInput
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Proof
from ironic_accel.model.profile import Profile

SCHEMA = 'first-boot/1'

#: Modes that the applier can set, with the device's vendor where it must be
#: a certain one (firstboot/applier.py).
DELIVERABLE: dict[str, str | None] = {
    'mig': 'nvidia', 'services': 'intel', 'vfs': None}


def volatile(proofs: Iterable[Proof]) -> tuple[Item, ...]:
    """The modes of a proved profile that the next reboot takes away."""
    return tuple(p.item for p in proofs
                 if p.item.kind == 'mode' and not p.lasts)


def build(profile: Profile, items: Iterable[Item], inventory: Inventory
          ) -> dict[str, Any]:
    """The document for the modes of some devices.

    :raises: BadInput for a profile that does not allow it, and for a mode
        that an instance cannot set.
    """
    if 'first_boot' not in profile.allow:
        raise BadInput(f'allow: profile {profile.name} does not allow '
                       'first_boot')
    return {'schema': SCHEMA, 'profile': profile.name,
            'digest': profile.digest,
            'items': [_item(i, inventory) for i in items]}


def _item(item: Item, inventory: Inventory) -> dict[str, Any]:
    device = inventory.device(item.device)
    if device is None or device.address is None or device.pci is None:
        raise BadInput(
            f'device {item.device}: its PCI address is not known, which an '
            'instance needs to find it', device=item.device)
    _check(item, device)
    return {'device': device.id, 'address': device.address.lower(),
            'pci': device.pci.pair, 'mode': item.name,
            'wanted': plain(item.wanted)}


def _check(item: Item, device: Device) -> None:
    vendor = DELIVERABLE.get(item.name, '')
    if vendor is not None and vendor != device.vendor:
        raise BadInput(
            f'mode {item.name} of a {device.kind} by {device.vendor} cannot '
            'be set by an instance', device=device.id, component=item.name,
            expected=', '.join(DELIVERABLE))
