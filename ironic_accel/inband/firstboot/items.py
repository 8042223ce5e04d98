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
from collections.abc import Mapping
import logging
from typing import Any

from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools.family import HasFirstBoot
from ironic_accel.inband.tools import loader
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import BadInput
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import Refusal
from ironic_accel.model import planner
from ironic_accel.model.profile import Profile

LOG = logging.getLogger(__name__)

SCHEMA = 'first-boot/1'


def settable(families: Iterable[Family] | None = None
             ) -> dict[str, FirstBootMode]:
    """The modes that an instance can set, by name, as the tool families
    declare them. If two families declare one mode, the first of them counts.

    :param families: None for those that are installed.
    """
    found: dict[str, FirstBootMode] = {}
    for family in loader.load()[0] if families is None else families:
        for one in family.first_boot if isinstance(
                family, HasFirstBoot) else ():
            if one.mode in found:
                LOG.error('Ignoring first-boot mode %s of tool family %s: '
                          'another family declares it', one.mode, family.name)
                continue
            found[one.mode] = one
    return found


def volatile(profile: Profile, inventory: Inventory, catalog: Catalog
             ) -> tuple[tuple[Item, ...], tuple[Refusal, ...]]:
    """The modes of a profile that the next reboot resets.

    The ramdisk need not have set them, nor be able to: the instance has the
    driver. If no tool reports a mode, the catalogue says whether the product
    has it and whether it is persistent.

    :returns: the items, and what is wrong with devices or modes.
    """
    known_setters = settable()
    wanted, refused = planner.select(inventory, profile)
    out = []
    for want in wanted:
        name = want.item.name
        if want.item.kind != 'mode':
            continue
        persistent, known = _persistent(want.device, name, catalog)
        if persistent is True or (
                persistent is None and name not in known_setters):
            continue
        if known:
            out.append(want.item)
        else:
            refused.append(Refusal(
                want.item, 'the device does not report this mode, and the '
                'catalogue does not list it for the product',
                want.item.wanted))
    return tuple(out), tuple(refused)


def _persistent(device: Device, name: str, catalog: Catalog
                ) -> tuple[bool | None, bool]:
    """Whether a mode survives a reboot, and whether the device has it."""
    mode = device.mode(name)
    if mode is not None and mode.persistent is not None:
        return mode.persistent, True
    product = catalog.product(device.product)
    facts = catalog.mode(device.kind, name, product, device.vendor)
    has = mode is not None or (product is not None and name in product.modes)
    return facts.persistent if facts else None, has


def build(profile: Profile, items: Iterable[Item], inventory: Inventory
          ) -> dict[str, Any]:
    """The document for the modes of some devices.

    :raises: BadInput for a profile that does not allow ``first_boot``, and
        for a mode that an instance cannot set.
    """
    if 'first_boot' not in profile.allow:
        raise BadInput(f'allow: profile {profile.name} does not allow '
                       'first_boot')
    setters = settable()
    return {'schema': SCHEMA, 'profile': profile.name,
            'digest': profile.digest,
            'items': [_item(i, inventory, setters) for i in items]}


def _item(item: Item, inventory: Inventory,
          setters: Mapping[str, FirstBootMode]) -> dict[str, Any]:
    device = inventory.device(item.device)
    if device is None or device.address is None or device.pci is None:
        raise BadInput(
            f'device {item.device}: its PCI address is unknown; an instance '
            'needs it to find the device', device=item.device)
    _check(item, device, setters)
    return {'device': device.id, 'address': device.address.lower(),
            'pci': device.pci.pair, 'mode': item.name,
            'wanted': plain(item.wanted)}


def _check(item: Item, device: Device,
           setters: Mapping[str, FirstBootMode]) -> None:
    setter = setters.get(item.name)
    if setter is None or setter.vendor not in (None, device.vendor):
        raise BadInput(
            f'mode {item.name} of a {device.kind} of vendor {device.vendor} '
            'cannot be set by an instance', device=device.id,
            component=item.name, expected=', '.join(sorted(setters)))
