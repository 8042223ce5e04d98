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

"""Columns of the tables for devices and their firmware entries."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Literal

from ironic_accel.model.device import Activation

#: Names of properties.
Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class FirmwareRule:
    """The device of an entry of the FirmwareInventory, by its Id.

    RelatedItem of the entry takes precedence; the rule names the component in
    any case.

    :ivar pattern: matches the whole Id.
    :ivar owner: kind of the owner's resource.
    :ivar component: component name.
    :ivar at: the Id of the owner, with groups of the pattern: ``GPU{1}``; for
        ``port`` the Id of a port of the owner; for ``rot`` the Id of the
        Chassis of the root of trust that protects the owner.
    :ivar system: the Id of the owner's System, likewise.
    :ivar by: how ``at`` identifies the owner.
    :ivar once: whether several entries are the same component (one entry per
        port).
    :ivar board: pattern for the SoftwareId of an entry of a baseboard without
        another resource, with the groups ``model`` and ``vendor``.
    """

    pattern: str
    owner: Literal['processor', 'adapter', 'baseboard', 'system', 'card',
                   'any']
    component: str
    at: str = ''
    system: str = ''
    by: Literal['id', 'port', 'rot'] = 'id'
    once: bool = False
    board: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class OemFirmware:
    """A running version that only an OEM resource reports.

    :ivar collection: path of the link to it within the System resource.
    :ivar id: property that equals the Processor's Id.
    :ivar version: property with the version.
    :ivar component: component name.
    """

    collection: tuple[str, ...]
    id: str
    version: str
    component: str


@dataclasses.dataclass(frozen=True, slots=True)
class OemDevices:
    """A vendor's own collection of cards that are in no standard one.

    :ivar collection: path of the link to it within the Chassis.
    :ivar kinds: values of ``type`` to our kinds.
    :ivar type: property with the type of the card.
    :ivar version: path to the running version.
    :ivar place: property with the slot.
    :ivar part_number: property with the part number of the product.
    :ivar functions: property with the links to PCI functions.
    :ivar pci_ids: names of a function's vendor, device, subsystem vendor and
        subsystem device id, which are numbers.
    :ivar address: names of its segment, bus, device and function, likewise.
    :ivar pci_class: names of its class and its subclass, likewise.
    """

    collection: tuple[str, ...]
    kinds: Mapping[str, str]
    type: str
    version: tuple[str, ...]
    place: str
    part_number: str
    functions: str
    pci_ids: tuple[str, str, str, str]
    address: tuple[str, str, str, str]
    pci_class: tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class FirmwareSlots:
    """The two slots of a firmware entry: the active and the inactive one.

    :ivar inactive: path within the entry to the inactive slot.
    :ivar version: its property with the version.
    :ivar state: its property with the state of the image in it.
    :ivar waiting: the states in which that image is pending.
    :ivar others: all other states.
    :ivar activation: activation of a component that is not in the catalogue.
    """

    inactive: Path
    version: str
    state: str
    waiting: frozenset[str]
    others: frozenset[str]
    activation: Activation


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    """An action that copies the running image of an entry to its other slot.

    :ivar covers: pattern of the Ids of the entries that require it.
    :ivar action: path of the action within the UpdateService.
    :ivar active: path within the entry to the running version.
    :ivar inactive: path to the version in the other slot.
    """

    covers: str
    action: Path
    active: Path
    inactive: Path


@dataclasses.dataclass(frozen=True, slots=True)
class BackgroundCopy:
    """Where a Chassis reports that an image is copied to a second slot.

    :ivar state: path of the state.
    :ivar going: values of a copy that is running, or about to.
    :ivar others: all other values.
    """

    state: Path
    going: frozenset[str]
    others: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryFlags:
    """Properties of a Memory resource that show the health of its GPU.

    :ivar maker: pattern of the GPU's Manufacturer, ignoring case.
    :ivar path: path of the object with the properties.
    :ivar critical: properties that are true if the memory cannot be repaired.
    :ivar warning: properties that are true if a repair is pending.
    """

    maker: str
    path: Path
    critical: tuple[str, ...]
    warning: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ProductNames:
    """Forms of the names of one maker's products in the catalogue.

    :ivar vendor: the maker in the catalogue.
    :ivar prefixes: optional prefixes of a model name.
    :ivar part_number: pattern of part numbers, whose first group is the PCI
        device id.
    :ivar pci_vendor: the PCI vendor id for that device id.
    """

    vendor: str
    prefixes: tuple[str, ...] = ()
    part_number: str | None = None
    pci_vendor: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class ComponentWord:
    """A word in a firmware entry's Id that identifies its component.

    :ivar kind: kind of the entry's device.
    :ivar pattern: pattern found in the Id, ignoring case.
    :ivar component: component name.
    """

    kind: str
    pattern: str
    component: str
