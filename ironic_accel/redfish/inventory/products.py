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

"""Find the product of a device in the catalogue.

PCI ids, part number and model are compared as reported, then in the other
forms that makers' tools and BMCs use. No single property is required.
"""

from __future__ import annotations

from collections.abc import Iterator
import re

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import PciIds
from ironic_accel.redfish.vendors.device_rows import ProductNames
from ironic_accel.redfish.vendors import registry


def identify(catalog: Catalog, hint: str | None, vendor: str | None,
             model: str | None, pci: PciIds | None,
             part_number: str | None) -> Product | None:
    """The product of a device, or None.

    :param hint: kind by the type of the resource, or None.
    """
    found = catalog.identify(hint, vendor, model, pci, part_number)
    if found is not None:
        return found
    word = catalog.vendor(vendor)
    for name in _names(catalog, word, model):
        found = catalog.identify(hint, vendor, name, None, None)
        if found is not None:
            return found
    for row in _rows():
        chip = re.fullmatch(row.part_number or '', (part_number or '').strip())
        if row.part_number and chip and pci is None and (
                word in (row.vendor, None)):
            # The part number of the chip begins with its PCI device id.
            return catalog.identify(hint, vendor, None, PciIds(
                row.pci_vendor, chip[1].lower()), None)
    return None


def _rows() -> list[ProductNames]:
    return [row for vendor in registry.vendors() for row in vendor.products]


def _names(catalog: Catalog, word: str | None, model: str | None
           ) -> Iterator[str]:
    """Other forms of a model's name."""
    if not model:
        return
    for before in (p for row in _rows() if row.vendor == word
                   for p in row.prefixes):
        yield f'{before}{model}'
    first, _, rest = model.partition(' ')
    if rest and catalog.vendor(first) is not None:
        yield rest
