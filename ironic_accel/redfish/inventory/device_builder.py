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

"""Devices on their way from the tree to the inventory."""

from __future__ import annotations

import dataclasses
import re

from ironic_accel.model.device import Component
from ironic_accel.model.device import Link
from ironic_accel.model.device import PciIds
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.inventory import conditions
from ironic_accel.redfish.inventory.conditions import HEALTH

#: Resource.State (Resource v1.22).
_STATES = frozenset({
    'Enabled', 'Disabled', 'StandbyOffline', 'StandbySpare', 'InTest',
    'Starting', 'Absent', 'UnavailableOffline', 'Deferring', 'Quiesced',
    'Updating', 'Qualified', 'Degraded'})

#: States in which a device does its work; any other one counts before them.
_WORKING = ('Enabled', 'Qualified', 'StandbySpare', None)

#: Kinds that a Processor may turn out to be, a NetworkAdapter, any card.
PROCESSOR_KINDS = ('gpu', 'fpga', 'ai', 'crypto')
ADAPTER_KINDS = ('nic', 'dpu')
CARD_KINDS = (*PROCESSOR_KINDS, *ADAPTER_KINDS)

#: Processor.AdditionalFirmwareVersions (Processor v1.15) to our names. Its
#: type is SoftwareInventory's AdditionalVersions: the first three are of
#: v1.7, OSDistribution of v1.8, the last two of v1.11.
ADDITIONAL = {
    'Bootloader': 'bootloader', 'Kernel': 'kernel',
    'Microcode': 'microcode', 'OSDistribution': 'os-distribution',
    'BootParameters': 'boot-parameters',
    'FactoryConfiguration': 'factory-configuration'}


@dataclasses.dataclass(slots=True)
class FoundDevice:
    """One device as far as it is known.

    :ivar uri: the resource that shows it.
    :ivar hint: the kind that the resource's type tells, or None.
    :ivar shown: the resource itself; without properties where it is listed
        and was not read.
    :ivar chassis: path of the Chassis that it is in, or is.
    :ivar own: paths that mean this device and no other; a firmware entry
        that relates to one of them is this device's.
    :ivar parent: the ``uri`` of the device that it is part of.
    :ivar claimed: paths of PCIeDevices that show the same device.
    :ivar unread: facts that were asked for and not told, ``absent`` those
        that a source says it has not (``Device`` has their names).
    :ivar versions: what its own resources say runs, each with who says it.
    :ivar more_versions: versions beside that, by the name of the component.
    :ivar adapters: NetworkAdapters that are this device's own side and no
        cards by themselves (a DPU's).
    :ivar context: what the vendor calls the place it sits in, where firmware
        entries name that.
    """

    uri: str
    hint: str | None
    shown: Fields
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    part_number: str | None = None
    location: str | None = None
    health: str | None = None
    state: str | None = None
    board: str | None = None
    psid: str | None = None
    pci: PciIds | None = None
    address: str | None = None
    link: Link | None = None
    macs: tuple[str, ...] = ()
    chassis: str | None = None
    parent: str | None = None
    context: str | None = None
    own: set[str] = dataclasses.field(default_factory=set)
    claimed: set[str] = dataclasses.field(default_factory=set)
    unread: set[str] = dataclasses.field(default_factory=set)
    absent: set[str] = dataclasses.field(default_factory=set)
    components: list[Component] = dataclasses.field(default_factory=list)
    versions: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    more_versions: dict[str, str] = dataclasses.field(default_factory=dict)
    adapters: list[Fields] = dataclasses.field(default_factory=list)

    @property
    def version(self) -> str | None:
        """What its own resources say runs, the first that says it."""
        return self.versions[0][1] if self.versions else None

    @property
    def presence_unread(self) -> bool:
        """Whether all that is known is that it is listed."""
        return 'presence' in self.unread

    def tells(self, shown: Fields, version: str | None) -> None:
        """Note a running version that a resource of the device tells."""
        if version is not None:
            self.versions.append((shown.uri, version))

    def component(self, name: str) -> Component | None:
        """A component that is known already."""
        return next((c for c in self.components if c.name == name), None)


def listed(uri: str, hint: str, shown: Fields) -> FoundDevice:
    """A device of which only its place in a list is known.

    :param shown: no properties, with that path.
    """
    found = FoundDevice(uri, hint, shown, own={uri}, unread={'presence'})
    return found


def common(found: FoundDevice, shown: Fields, needed: bool = True) -> None:
    """Take what every resource of a device tells of it.

    :param needed: warn where model or serial number are missing.
    """
    found.vendor = maker(shown.text('Manufacturer'))
    found.model = shown.text('Model', needed=needed)
    found.serial = clean_serial(shown.text('SerialNumber', needed=needed))
    found.part_number = shown.text('PartNumber')
    found.location = location(shown)
    status(found, shown)


def maker(text: str | None) -> str | None:
    """A manufacturer; some give the address of their web site."""
    match = re.match(r'https?://(?:www\.)?([^./]+)', text or '')
    return match[1] if match else text


def status(found: FoundDevice, shown: Fields, state: bool = True) -> None:
    """Let one of a device's own resources count for health and state.

    The worst health holds, and a state in which it does not work. What its
    conditions say counts for its health too. A word that nobody knows is no
    health and no state: they are unread then. The roll-up is about others
    as well, and never counts.

    :param state: whether its State is the device's too.
    """
    word, wrong = _word(shown, 'Health', HEALTH)
    more, unclear = conditions.worst(shown, {*found.own, *found.claimed})
    found.health = worse(worse(found.health, word), more)
    if wrong or unclear:
        found.unread.add('health')
    if not state:
        return
    word, wrong = _word(shown, 'State', _STATES)
    if found.state in _WORKING and word is not None:
        keeps = found.state is not None and word in _WORKING
        found.state = found.state if keeps else word
    if wrong:
        found.unread.add('state')


def worse(one: str | None, other: str | None) -> str | None:
    """The worse of two healths; one that is untold says nothing."""
    told = [h for h in (one, other) if h is not None]
    return max(told, key=HEALTH.index) if told else None


def _word(shown: Fields, name: str, known: tuple[str, ...] | frozenset[str]
          ) -> tuple[str | None, bool]:
    """A word of Status, and whether what stands there is none of them."""
    told = shown.doc.get('Status')
    if told is None:
        return None, False
    value = told.get(name) if isinstance(told, dict) else told
    word = next((k for k in known if isinstance(told, dict)
                 and isinstance(value, str) and value.lower() == k.lower()),
                None)
    wrong = word is None and value not in (None, '')
    if wrong:
        # With what would have been right.
        shown.word('Status', name, known=known)
    return word, wrong


def health(shown: Fields) -> str | None:
    """``Status.Health``."""
    return _word(shown, 'Health', HEALTH)[0]


def location(shown: Fields) -> str | None:
    """``Location.PartLocation.ServiceLabel`` within its context.

    A PCIeDevice has it below Slot (PCIeDevice v1.9).
    """
    for at in (('Location',), ('Slot', 'Location')):
        # Vendors' own resources may have a text there.
        if at == ('Location',) and isinstance(shown.doc.get('Location'), str):
            continue
        label = shown.text(*at, 'PartLocation', 'ServiceLabel')
        context = shown.text(*at, 'PartLocationContext')
        if label:
            return f'{context}/{label}' if context else label
    return None


def absent(shown: Fields) -> bool:
    """Whether a resource stands for an empty place."""
    told = shown.doc.get('Status')
    return isinstance(told, dict) and told.get('State') == 'Absent'
