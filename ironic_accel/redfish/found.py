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
from ironic_accel.model.join import clean_serial
from ironic_accel.redfish.fields import Fields

#: Resource.Health.
_HEALTH = frozenset({'OK', 'Warning', 'Critical'})


@dataclasses.dataclass(slots=True)
class Found:
    """One device as far as it is known.

    :ivar uri: the resource that shows it.
    :ivar hint: the kind that the resource's type tells, or None.
    :ivar shown: the resource itself.
    :ivar chassis: path of the Chassis that it is in, or is.
    :ivar own: paths that mean this device and no other; a firmware entry
        that relates to one of them is this device's.
    :ivar parent: the ``uri`` of the device that it is part of.
    :ivar claimed: paths of PCIeDevices that show the same device.
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
    board: str | None = None
    psid: str | None = None
    pci: PciIds | None = None
    address: str | None = None
    link: Link | None = None
    macs: tuple[str, ...] = ()
    chassis: str | None = None
    parent: str | None = None
    own: set[str] = dataclasses.field(default_factory=set)
    claimed: set[str] = dataclasses.field(default_factory=set)
    components: list[Component] = dataclasses.field(default_factory=list)
    # The version that the resource itself tells, and those beside it by the
    # name of their component.
    version: str | None = None
    more_versions: dict[str, str] = dataclasses.field(default_factory=dict)

    def component(self, name: str) -> Component | None:
        """A component that is known already."""
        return next((c for c in self.components if c.name == name), None)


def common(found: Found, shown: Fields, needed: bool = True) -> None:
    """Take what every resource of a device tells of it.

    :param needed: warn where model or serial number are missing.
    """
    found.vendor = maker(shown.text('Manufacturer'))
    found.model = shown.text('Model', needed=needed)
    found.serial = clean_serial(shown.text('SerialNumber', needed=needed))
    found.part_number = shown.text('PartNumber')
    found.location = location(shown)
    found.health = health(shown)


def maker(text: str | None) -> str | None:
    """A manufacturer; some give the address of their web site."""
    match = re.match(r'https?://(?:www\.)?([^./]+)', text or '')
    return match[1] if match else text


def health(shown: Fields) -> str | None:
    """``Status.Health``, or the roll-up where only that is told."""
    return (shown.word('Status', 'Health', known=_HEALTH)
            or shown.word('Status', 'HealthRollup', known=_HEALTH))


def location(shown: Fields) -> str | None:
    """``Location.PartLocation.ServiceLabel`` within its context."""
    label = shown.text('Location', 'PartLocation', 'ServiceLabel')
    context = shown.text('Location', 'PartLocationContext')
    if label and context:
        return f'{context}/{label}'
    return label


def absent(shown: Fields) -> bool:
    """Whether a resource stands for an empty place."""
    status = shown.doc.get('Status')
    return isinstance(status, dict) and status.get('State') == 'Absent'
