# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Dell PowerEdge with iDRAC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ironic_accel_emulator.documents import ROOT
from ironic_accel_emulator.families.base import Family
from ironic_accel_emulator.families.firmware import lay_component
from ironic_accel_emulator.parts import Component, Activation

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

_INVENTORY = f'{ROOT}/UpdateService/FirmwareInventory'


class Dell(Family):
    """Versions are part of inventory ids; an equal version is refused.

    ``IDRAC.2.8.SUP029``: the firmware already has that version.
    """

    name = 'dell'
    bad_image = 'IDRAC.2.8.RED007'
    misfit = 'IDRAC.2.8.RED096'
    refuses_equal = True
    # Lifecycle Controller writes while the host boots.
    flash_while_off = True
    scheduled = 'Task successfully scheduled.'
    keys = (
        (r'^Previous', 'other', Activation.POWER_CYCLE),
        (r'BIOS', 'bios', Activation.WARM_REBOOT),
        (r'iDRAC', 'bmc', Activation.NONE),
        (r'Video', 'gpu', Activation.POWER_CYCLE),
        (r'NIC|InfiniBand', 'nic', Activation.WARM_REBOOT),
    )

    def grow(self, box: Box) -> None:
        """As in the base class, without ``Previous`` and ``Current`` entries.

        An iDRAC from 7.00.60 on can cut the auxiliary power
        (option ``extended_reset``): the recorded one cannot.
        """
        super().grow(box)
        if box.options.extended_reset:
            self._grow_extended_reset(box)
        for component in box.components.values():
            if not component.id.startswith('Installed-'):
                component.updateable = False
            component.fits |= self._ids(box, component)

    @staticmethod
    def _ids(box: Box, component: Component) -> dict[str, str]:
        """The PCI ids that a package for an entry must have."""
        document = box.documents.get(component.uri) or {}
        oem = (document.get('Oem') or {}).get('Dell') or {}
        told = oem.get('DellSoftwareInventory') or {}
        ids = [str(told.get(n) or '') for n in ('VendorID', 'DeviceID')]
        return {'pci': ':'.join(ids).lower()} if all(ids) else {}

    @staticmethod
    def _grow_extended_reset(box: Box) -> None:
        chassis = f'{ROOT}/Chassis/System.Embedded.1'
        document = box.documents.get(chassis) or {}
        path = f'{chassis}/Actions/Oem/DellOemChassis.ExtendedReset'
        actions = document.setdefault('Actions', {})
        actions.setdefault('Oem', {})['#DellOemChassis.ExtendedReset'] = {
            'target': path,
            'ResetType@Redfish.AllowableValues': ['PowerCycle'],
            'FinalPowerState@Redfish.AllowableValues': ['On', 'Off'],
        }
        box.documents.put(chassis, document)

    def covers(self, target: str, component: Component) -> bool:
        """The entries of all ports of a card are one firmware."""
        ports = [re.search(r'__(\w+\.\w+\.\d+)-\d', name)
                 for name in (target, component.id)]
        first, second = (found and found[1] for found in ports)
        return first is not None and first == second

    def activated(self, box: Box, component: Component, old: str) -> None:
        """Change the id of the resource, which contains the version."""
        found = re.match(r'(Installed-[^-]*-).*(__.*)', component.id)
        document = box.documents.get(component.uri)
        if found is None or document is None:
            return
        name = f'{found[1]}{component.running}{found[2]}'
        uri = f'{_INVENTORY}/{name}'
        document.update({'@odata.id': uri, 'Id': name})
        self._replace(box, component.uri, uri)
        box.documents.put(uri, document)
        box.documents.drop(component.uri)
        box.overlays.pop(component.uri, None)
        box.components.pop(component.id, None)
        component.id, component.uri = name, uri
        box.components[name] = component
        lay_component(box, component)

    @staticmethod
    def _replace(box: Box, old: str, new: str) -> None:
        collection = box.documents.get(_INVENTORY) or {}
        for member in collection.get('Members') or []:
            if member.get('@odata.id') == old:
                member['@odata.id'] = new
        box.documents.put(_INVENTORY, collection)
