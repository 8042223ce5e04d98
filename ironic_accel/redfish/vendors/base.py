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

"""The columns of the vendors' tables."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True)
class FirmwareRule:
    """Whose firmware an entry of the FirmwareInventory is, by its Id.

    The entry's RelatedItem comes first where it says something; the rule
    names the component in any case.

    :ivar pattern: matches the whole Id.
    :ivar owner: what kind of resource is meant.
    :ivar component: our name for the component.
    :ivar at: the Id of the owner, with the pattern's groups put in:
        ``GPU{1}``; for ``fqdd`` the beginning of it; for ``rot`` the Id of
        the Chassis of the root of trust that guards the owner.
    :ivar system: the Id of the System that it belongs to, likewise.
    :ivar by: how ``at`` is meant.
    :ivar once: several entries are about one and the same component (one
        entry per port).
    """

    pattern: str
    owner: Literal['processor', 'adapter', 'baseboard', 'system', 'card',
                   'any']
    component: str
    at: str = ''
    system: str = ''
    by: Literal['id', 'fqdd', 'rot'] = 'id'
    once: bool = False


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


#: What a push may write: what its Targets name and nothing else; every like
#: device's component of the same name; whatever ``covers`` matches.
Reach = Literal['named', 'like', 'covered']

#: In place of a style: no push of what a row covers is known to work.
NO_PUSH = ''


@dataclasses.dataclass(frozen=True, slots=True)
class OemDevices:
    """A vendor's own collection of cards, where no standard one has them.

    :ivar collection: path of the link to it within the Chassis.
    :ivar kinds: the word that tells a kind, in ``type``, to ours.
    :ivar type: the property with it.
    :ivar version: path to the running version.
    :ivar place: the property that names the place.
    :ivar part_number: the property with the part number of the product.
    :ivar functions: the property with links to PCI functions, whose ids and
        address are numbers.
    """

    collection: tuple[str, ...]
    kinds: Mapping[str, str]
    type: str
    version: tuple[str, ...]
    place: str
    part_number: str
    functions: str


@dataclasses.dataclass(frozen=True, slots=True)
class PushChoice:
    """How images are pushed to some components of a box.

    :ivar covers: matches the FirmwareInventory Ids that it is for.
    :ivar style: name of the push style (``styles.STYLES``), or ``NO_PUSH``.
    :ivar targets: Ids of the entries to name as targets in place of the
        component's own, where the box has them.
    :ivar reach: what such a push may write. ``named`` only where a source
        says that the service heeds Targets; None is ``like`` for a style
        that names targets and ``covered`` for one that does not.
    :ivar most: how many targets one push may name, None for any number.
    :ivar apply_time: OperationApplyTime to ask for, listed or not; None asks
        for Immediate where the service lists that.
    :ivar suffixes: how names of image files have to end, in lower case.
    :ivar bare: whether the service turns down parameters besides Targets and
        the apply time.
    :ivar card: matches the Ids of entries; those with the same first group
        are about one and the same firmware (one entry for each port).
    :ivar push_uri: matches the push URI of the services that it is for.
    :ivar why: with ``NO_PUSH``: what its HttpPushUri wants, where that is
        all there is, in words that go on from "this BMC".
    """

    covers: str
    style: str
    targets: tuple[str, ...] = ()
    reach: Reach | None = None
    most: int | None = None
    apply_time: str | None = None
    suffixes: tuple[str, ...] = ()
    bare: bool = False
    card: str | None = None
    push_uri: str | None = None
    why: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class AuxPower:
    """An action that cuts and restores the auxiliary power of a box.

    :ivar owner: the resource that has it.
    :ivar action: path to it within that resource.
    :ivar body: what is posted while the host is off.
    :ivar forced: what is posted to cut the power of a host that is on, or
        None where there is no such form.
    """

    owner: Literal['system', 'chassis']
    action: tuple[str, ...]
    body: Mapping[str, str]
    forced: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Quirks:
    """What one vendor's services do their own way.

    :ivar recognised_by: (``root.Vendor``, ``root.Product``, ``system.Id``,
        ``system.Manufacturer`` or ``system.Model``; pattern): any of them,
        whatever the case.
    :ivar structure: the same, but all of them have to be so.
    :ivar baseboard: matches the Ids of Systems that are an accelerator
        baseboard of the host System beside them.
    :ivar ids_are_locations: the Ids of processors and adapters name slots.
    :ivar card_ids_are_slots: the Ids of PCIeDevices name slots.
    :ivar levels: how deep to expand, by resource (``Processors``,
        ``UpdateService``, ``TaskService``), where one is not best.
    :ivar scan_pcie: whether PCIeDevices that nothing else shows are worth
        their requests.
    :ivar firmware: whose firmware is whose.
    :ivar oem_firmware: versions that stand elsewhere.
    :ivar context: path within a firmware entry to the name of the place
        that its device sits in.
    :ivar devices: collections of the vendor's own that show cards.
    :ivar pci_ids: path within a firmware entry to the object with the PCI
        ids of its device, and the names of the four there.
    :ivar product_name: pattern whose first group, in the Name of a firmware
        entry, is the product name of its device.
    :ivar pushes: how images are pushed, the first that covers.
    :ivar commit: matches the Ids of entries that want to be committed.
    :ivar aux: how the auxiliary power is cut. What has the action is asked
        for it, whoever made the box: boards are built into others' boxes.
    :ivar jobs: path of the link to a collection of jobs within the Manager,
        where the service root has no JobService.
    :ivar update_state: path within the UpdateService to the word that tells
        what it does where it has no task for that, and the words of rest,
        in lower case.
    :ivar satisfied: MessageIds with which an equal version is refused.
    """

    name: str
    recognised_by: tuple[tuple[str, str], ...]
    baseboard: str | None = None
    structure: tuple[tuple[str, str], ...] = ()
    ids_are_locations: bool = False
    card_ids_are_slots: bool = False
    levels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    scan_pcie: bool = True
    firmware: tuple[FirmwareRule, ...] = ()
    oem_firmware: tuple[OemFirmware, ...] = ()
    context: tuple[str, ...] = ()
    devices: OemDevices | None = None
    pci_ids: tuple[tuple[str | int, ...], tuple[str, ...]] | None = None
    product_name: str | None = None
    pushes: tuple[PushChoice, ...] = ()
    commit: str | None = None
    aux: AuxPower | None = None
    jobs: tuple[str, ...] = ()
    update_state: tuple[tuple[str, ...], frozenset[str]] | None = None
    satisfied: tuple[str, ...] = ()
