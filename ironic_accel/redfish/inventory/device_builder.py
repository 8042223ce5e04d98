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

"""Collect the properties of a device from several resources."""

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

#: Values of Resource.State (Resource v1.22).
_STATES = frozenset({
    'Enabled', 'Disabled', 'StandbyOffline', 'StandbySpare', 'InTest',
    'Starting', 'Absent', 'UnavailableOffline', 'Deferring', 'Quiesced',
    'Updating', 'Qualified', 'Degraded'})

#: States in which a device works; any other state takes precedence.
_WORKING = ('Enabled', 'Qualified', 'StandbySpare', None)

#: Kinds that a Processor, a NetworkAdapter, or any card may be.
PROCESSOR_KINDS = ('gpu', 'fpga', 'ai', 'crypto')
ADAPTER_KINDS = ('nic', 'dpu')
CARD_KINDS = (*PROCESSOR_KINDS, *ADAPTER_KINDS)

#: Processor.AdditionalFirmwareVersions (Processor v1.15) to component names.
#: Its type is AdditionalVersions of SoftwareInventory: the first three are of
#: v1.7, OSDistribution of v1.8, the last two of v1.11.
ADDITIONAL = {'Bootloader': 'bootloader', 'Kernel': 'kernel',
              'Microcode': 'microcode', 'OSDistribution': 'os-distribution',
              'BootParameters': 'boot-parameters',
              'FactoryConfiguration': 'factory-configuration'}


@dataclasses.dataclass(slots=True)
class FoundDevice:
    """One device while its properties are collected.

    :ivar uri: path of the resource that reports it.
    :ivar hint: kind by the type of that resource, or None.
    :ivar shown: the resource itself; without properties if it is listed and
        was not read.
    :ivar chassis: path of its Chassis.
    :ivar own: paths of resources of this device only; a firmware entry that
        relates to one of them belongs to this device.
    :ivar parent: the ``uri`` of the device that it is part of.
    :ivar claimed: paths of PCIeDevices that are the same device.
    :ivar unread: facts that could not be read; ``absent`` those that a
        source reports as not existing (``Device`` has their names).
    :ivar versions: running versions by its own resources, each with the
        path of the resource.
    :ivar more_versions: additional versions, by the name of the component.
    :ivar adapters: NetworkAdapters that are a side of this device and no
        separate cards (of a DPU).
    :ivar context: the vendor's name of its slot, if firmware entries name
        that.
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
        """The running version by its own resources, the first one."""
        return self.versions[0][1] if self.versions else None

    @property
    def presence_unread(self) -> bool:
        """Whether it is listed, but was not read."""
        return 'presence' in self.unread

    def add_version(self, shown: Fields, version: str | None) -> None:
        """Add a running version that a resource of the device reports."""
        if version is not None:
            self.versions.append((shown.uri, version))

    def component(self, name: str) -> Component | None:
        """The component with that name, or None."""
        return next((c for c in self.components if c.name == name), None)


def listed(uri: str, hint: str, shown: Fields) -> FoundDevice:
    """A device that is listed, but was not read.

    :param shown: a resource without properties, with that path.
    """
    found = FoundDevice(uri, hint, shown, own={uri}, unread={'presence'})
    return found


def common(found: FoundDevice, shown: Fields, needed: bool = True) -> None:
    """Add the properties that every resource of a device has.

    :param needed: warn if model or serial number are missing.
    """
    found.vendor = maker(shown.text('Manufacturer'))
    found.model = shown.text('Model', needed=needed)
    found.serial = clean_serial(shown.text('SerialNumber', needed=needed))
    found.part_number = shown.text('PartNumber')
    found.location = location(shown)
    status(found, shown)


def maker(text: str | None) -> str | None:
    """A manufacturer; some services report the URL of a web site."""
    match = re.match(r'https?://(?:www\.)?([^./]+)', text or '')
    return match[1] if match else text


def status(found: FoundDevice, shown: Fields, state: bool = True) -> None:
    """Add the health and state of one of a device's own resources.

    The worst health counts, and any state in which the device does not work.
    Conditions count for the health too. With an unknown value, health or
    state are unread. HealthRollup also covers other resources, and is not
    used.

    :param state: whether its State is that of the device.
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
    """The worse of two healths; None is ignored."""
    told = [h for h in (one, other) if h is not None]
    return max(told, key=HEALTH.index) if told else None


def _word(shown: Fields, name: str, known: tuple[str, ...] | frozenset[str]
          ) -> tuple[str | None, bool]:
    """A value of Status, and whether it is unknown."""
    told = shown.doc.get('Status')
    if told is None:
        return None, False
    value = told.get(name) if isinstance(told, dict) else told
    word = next((k for k in known if isinstance(told, dict)
                 and isinstance(value, str) and value.lower() == k.lower()),
                None)
    wrong = word is None and value not in (None, '')
    if wrong:
        # Warns with the expected values.
        shown.word('Status', name, known=known)
    return word, wrong


def health(shown: Fields) -> str | None:
    """``Status.Health``."""
    return _word(shown, 'Health', HEALTH)[0]


def location(shown: Fields) -> str | None:
    """``Location.PartLocation.ServiceLabel`` with its placement context.

    A PCIeDevice has it in Slot (PCIeDevice v1.9).
    """
    for at in (('Location',), ('Slot', 'Location')):
        # Vendors' own resources may have a string there.
        if at == ('Location',) and isinstance(shown.doc.get('Location'), str):
            continue
        label = shown.text(*at, 'PartLocation', 'ServiceLabel')
        context = shown.text(*at, 'PartLocationContext')
        if label:
            return f'{context}/{label}' if context else label
    return None


def absent(shown: Fields) -> bool:
    """Whether a resource is an empty slot."""
    told = shown.doc.get('Status')
    return isinstance(told, dict) and told.get('State') == 'Absent'
