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

"""NVIDIA HGX and Grace-Blackwell systems with NVIDIA's fork of bmcweb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ironic_accel_emulator import pointers
from ironic_accel_emulator.documents import ROOT, Document, target
from ironic_accel_emulator.errors import RedfishError
from ironic_accel_emulator.families.base import Family
from ironic_accel_emulator.parts import Component, Activation

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

_STATUS = '/Oem/Nvidia/BackgroundCopyStatus'
_PROTECTED = '/Links/Oem/Nvidia/ComponentsProtected'
_INVENTORY = f'{ROOT}/UpdateService/FirmwareInventory'


class Nvidia(Family):
    """A/B slots, roots of trust, and the auxiliary cycle.

    Activation: NVIDIA's HGX and GB200 firmware guides require an AC (or
    auxiliary) cycle after a bundle. ``targets_empty`` is the requirement of
    GB300 that ``Targets`` is an empty list.
    """

    name = 'nvidia'
    flash_while_off = True
    bad_image = 'ResourceEvent.1.0.ResourceErrorsDetected'
    misfit = 'ResourceEvent.1.0.ResourceErrorsDetected'
    skipped = 'NvidiaUpdate.1.0.ComponentUpdateSkipped'
    targets_empty = False
    keys = (
        (r'InfoROM', 'inforom', Activation.POWER_CYCLE),
        (r'ERoT|IRoT|EROT', 'erot', Activation.AUX_CYCLE),
        (r'BMC|HMC', 'bmc', Activation.AUX_CYCLE),
        (r'NVSwitch', 'nvswitch', Activation.AUX_CYCLE),
        (r'PCIeSwitch', 'pcie-switch', Activation.AUX_CYCLE),
        (r'Retimer', 'pcie-retimer', Activation.AUX_CYCLE),
        (r'FPGA', 'fpga', Activation.AUX_CYCLE),
        (r'GPU', 'gpu', Activation.AUX_CYCLE),
        (r'CPLD', 'cpld', Activation.AUX_CYCLE),
        (r'CPU', 'cpu', Activation.AUX_CYCLE),
        (r'CX\d|NIC|BF3', 'nic', Activation.POWER_CYCLE),
    )

    def grow(self, box: Box) -> None:
        """Also adds the roots of trust with their background copies."""
        super().grow(box)
        root = box.documents.see(ROOT) or {}
        self.targets_empty = 'GB' in str(root.get('Product'))
        self.rejects_equal = self.targets_empty
        for chassis in box.documents.collection(f'{ROOT}/Chassis'):
            document = box.documents.see(chassis) or {}
            status = pointers.get(document, _STATUS)
            if status is not None:
                self._grow_trust(box, chassis, document, status)

    def _grow_trust(
        self, box: Box, chassis: str, document: Document, status: str
    ) -> None:
        box.copying[chassis] = status
        guarded = pointers.get(document, _PROTECTED) or []
        places = {chassis, *map(target, guarded)}
        ours = [
            component
            for component in box.components.values()
            if places & self._places(box, component)
        ]
        for component in ours:
            if component.slotted:
                component.copies = chassis
            if component.key != 'erot':
                continue
            for other in ours:
                component.fits = dict(other.fits or component.fits)

        def overlay(found: Document) -> None:
            pointers.put(found, _STATUS, box.copying[chassis])

        box.lay(chassis, overlay)

    @staticmethod
    def _places(box: Box, component: Component) -> set[str | None]:
        """The resources of a component with a root of trust."""
        document = box.documents.see(component.uri) or {}
        found = set(map(target, document.get('RelatedItem') or []))
        device = box.devices.get(component.device or '')
        if device is not None and component.key == 'gpu':
            found.add(device.uris[0])
        return found

    def covers(self, target: str, component: Component) -> bool:
        """``HGX_0`` is the whole GPU tray."""
        tray = target == f'{_INVENTORY}/HGX_0'
        return tray and component.id.startswith('HGX_')

    def check_update(self, box: Box, parameters: Mapping[str, Any]) -> None:
        """Immediate and known targets only; GB300: an empty list."""
        when = parameters.get('@Redfish.OperationApplyTime', 'Immediate')
        if when != 'Immediate':
            name = '@Redfish.OperationApplyTime'
            raise RedfishError(
                400, 'PropertyValueNotInList', (str(when), name)
            )
        option = pointers.get(parameters, '/Oem/Nvidia/UpdateOption')
        if option not in (None, 'StageOnly', 'StageAndActivate'):
            raise RedfishError(
                400, 'PropertyValueNotInList', (option, 'UpdateOption')
            )
        targets = parameters.get('Targets')
        if self.targets_empty:
            if targets is None:
                raise RedfishError(400, 'PropertyMissing', ('Targets',))
            if targets:
                args = (str(targets), 'Targets')
                raise RedfishError(400, 'PropertyValueNotInList', args)
