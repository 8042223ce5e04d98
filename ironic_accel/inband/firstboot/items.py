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

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import BadInput
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Refusal
from ironic_accel.model import planner
from ironic_accel.model.profile import Profile
from ironic_accel.model.serialization import plain

SCHEMA = 'first-boot/1'

#: Modes that the applier can set, with the device's vendor where it must be
#: a certain one (firstboot/applier.py).
DELIVERABLE: dict[str, str | None] = {
    'mig': 'nvidia', 'services': 'intel', 'vfs': None}


def volatile(profile: Profile, inventory: Inventory, catalog: Catalog
             ) -> tuple[tuple[Item, ...], tuple[Refusal, ...]]:
    """The modes of a profile that the next reboot takes away.

    The ramdisk need not have set them, nor be able to: the instance has the
    driver. Where no tool has shown a mode, the catalogue says whether the
    product has it and whether it lasts.

    :returns: the items, and what is wrong with devices or modes.
    """
    wanted, refused = planner.select(inventory, profile)
    out = []
    for want in wanted:
        name = want.item.name
        if want.item.kind != 'mode':
            continue
        persistent, known = _persistent(want.device, name, catalog)
        if persistent is True or (
            persistent is None and name not in DELIVERABLE):
            continue
        if known:
            out.append(want.item)
        else:
            refused.append(Refusal(
                want.item, 'the device is not known to have this mode',
                want.item.wanted))
    return tuple(out), tuple(refused)


def _persistent(device: Device, name: str, catalog: Catalog
           ) -> tuple[bool | None, bool]:
    """Whether a mode survives a reboot, and whether the device has it."""
    mode = device.mode(name)
    if mode is not None and mode.persists is not None:
        return mode.persists, True
    product = catalog.product(device.product)
    facts = catalog.mode(device.kind, name, product, device.vendor)
    has = mode is not None or (
        product is not None and name in product.modes)
    return facts.persists if facts else None, has


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
