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

"""Columns of the tables about devices and their firmware entries."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Literal

from ironic_accel.model.device import Activation

#: Names of properties.
Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class FirmwareRule:
    """Whose firmware an entry of the FirmwareInventory is, by its Id.

    The entry's RelatedItem comes first where it says something; the rule
    names the component in any case.

    :ivar pattern: matches the whole Id.
    :ivar owner: what kind of resource is meant.
    :ivar component: our name for the component.
    :ivar at: the Id of the owner, with the pattern's groups put in:
        ``GPU{1}``; for ``port`` that of a port of the owner; for ``rot``
        the Id of the Chassis of the root of trust that guards the owner.
    :ivar system: the Id of the System that it belongs to, likewise.
    :ivar by: how ``at`` is meant.
    :ivar once: several entries are about one and the same component (one
        entry per port).
    :ivar board: pattern of the SoftwareId of an entry that is all that shows
        a baseboard, with the groups ``model`` and ``vendor``.
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
    """A running version that only an OEM resource tells.

    :ivar collection: path of the link to it within the System resource.
    :ivar id: property that equals the Processor's Id.
    :ivar version: property with the version.
    :ivar component: our name.
    """

    collection: tuple[str, ...]
    id: str
    version: str
    component: str


@dataclasses.dataclass(frozen=True, slots=True)
class OemDevices:
    """A vendor's own collection of cards, where no standard one has them.

    :ivar collection: path of the link to it within the Chassis.
    :ivar kinds: the word that tells a kind, in ``type``, to ours.
    :ivar type: the property with it.
    :ivar version: path to the running version.
    :ivar place: the property that names the place.
    :ivar part_number: the property with the part number of the product.
    :ivar functions: the property with links to PCI functions.
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
    """Two slots of a firmware entry: what runs, and what may wait.

    :ivar inactive: path within the entry to the slot that does not run.
    :ivar version: its property with the version.
    :ivar state: its property with the state of the image in it.
    :ivar waiting: the states in which that image waits to be activated.
    :ivar others: all other states that there are.
    :ivar activation: what activates it where the catalogue does not know the
        component.
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

    :ivar covers: matches the Ids of the entries that want it.
    :ivar action: path to it within the UpdateService.
    :ivar active: path within the entry to the version that runs.
    :ivar inactive: path to the version in the other slot.
    """

    covers: str
    action: Path
    active: Path
    inactive: Path


@dataclasses.dataclass(frozen=True, slots=True)
class BackgroundCopy:
    """Where a Chassis tells that an image is copied to a second slot.

    :ivar state: path to the word that tells it.
    :ivar going: the words of a copy that goes on, or is about to.
    :ivar others: all other words that there are.
    """

    state: Path
    going: frozenset[str]
    others: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryFlags:
    """What a Memory resource says of the health of the GPU that it is in.

    :ivar maker: matches the GPU's Manufacturer, in any case.
    :ivar path: the object with the switches.
    :ivar critical: switches that are on where the memory is beyond repair.
    :ivar warning: switches that are on where a repair waits.
    """

    maker: str
    path: Path
    critical: tuple[str, ...]
    warning: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ProductNames:
    """How the products of one maker are written that the catalogue knows.

    :ivar vendor: the catalogue's word for the maker.
    :ivar prefixes: what stands before the name of a model, or does not.
    :ivar part_number: pattern of part numbers whose first group is the PCI
        device id.
    :ivar pci_vendor: the PCI vendor id that goes with it.
    """

    vendor: str
    prefixes: tuple[str, ...] = ()
    part_number: str | None = None
    pci_vendor: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class ComponentWord:
    """A word in a firmware entry's Id that tells which component it is.

    :ivar kind: of the device that the entry belongs to.
    :ivar pattern: found in the Id, in any case.
    :ivar component: our name for it.
    """

    kind: str
    pattern: str
    component: str
