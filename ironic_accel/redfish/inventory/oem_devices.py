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

"""Cards that are listed only in a vendor's own collection."""

from __future__ import annotations

from collections.abc import Iterator

from ironic_accel.model.catalog import Catalog
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import absent
from ironic_accel.redfish.inventory.device_builder import CARD_KINDS
from ironic_accel.redfish.inventory.device_builder import common
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory import pcie
from ironic_accel.redfish.inventory import products
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors.device_rows import OemDevices

#: PCI class and subclass (PCI Code and ID Assignment) to the kind.
_CLASSES = {(0x12, None): 'ai', (0x10, None): 'crypto', (0x03, 0x02): 'gpu'}


def find(reader: Reader, scope: Scope, known: list[FoundDevice],
         catalog: Catalog) -> list[FoundDevice]:
    """The additional cards in a vendor's own collections.

    Properties of a known card are added to that card.
    """
    new: list[FoundDevice] = []
    for row in (q.devices for q in scope.quirks if q.devices is not None):
        for chassis in scope.chassis.values():
            for card in _cards(reader, row, chassis, catalog):
                if not pcie.is_known(card, known + new):
                    new.append(card)
    return new


def _cards(reader: Reader, row: OemDevices, chassis: Fields,
           catalog: Catalog) -> Iterator[FoundDevice]:
    shown, lost = reader.listing(chassis.link(*row.collection), Impact(
        Role.COLLECTION, CARD_KINDS))
    for uri in lost:
        reader.declare(uri, Impact(Role.DEVICE, CARD_KINDS, optional=False))
    for one in shown:
        if absent(one):
            continue
        card = _card(reader, row, one)
        kind = row.kinds.get(one.text(row.type) or '')
        function = _function(reader, row, one, card, catalog)
        product = products.identify(catalog, None, card.vendor, card.model,
                                    card.pci, card.part_number)
        if product is not None:
            kind = product.kind
        elif kind is None and function is not None:
            kind = _class(row, function)
        if kind in CARD_KINDS:
            card.hint = kind
            yield card


def _card(reader: Reader, row: OemDevices, shown: Fields) -> FoundDevice:
    card = FoundDevice(shown.uri, None, shown)
    common(card, shown, needed=False)
    card.model = card.model or shown.text('Name')
    card.part_number = (shown.text(row.part_number)
                        or shown.text('PartNumber'))
    card.context = shown.text(row.place)
    card.location = card.context
    card.own.add(shown.uri)
    card.claimed.add(shown.uri)
    card.add_version(shown, shown.text(*row.version))
    return card


def _function(reader: Reader, row: OemDevices, shown: Fields,
              card: FoundDevice, catalog: Catalog) -> Fields | None:
    """Add the ids and the address of the first PCI function of a card, which
    are numbers in a vendor's resource."""
    for uri in shown.links(row.functions)[:1]:
        function = reader.read(uri, steady=True,
                               impact=part(card.uri, 'identity'))
        if function is None:
            return None
        card.pci = pcie.pci_ids(
            [function.doc.get(name) for name in row.pci_ids], catalog)
        numbers = [function.number(name) for name in row.address]
        told = [n for n in numbers if n is not None and 0 <= n <= 0xffff]
        if len(told) == len(numbers):
            card.address = '{:04x}:{:02x}:{:02x}.{:x}'.format(*told)
        return function
    return None


def _class(row: OemDevices, function: Fields) -> str | None:
    code, sub = (function.number(name) for name in row.pci_class)
    return next((kind for (base, under), kind in _CLASSES.items()
                 if code == base and under in (None, sub)), None)
