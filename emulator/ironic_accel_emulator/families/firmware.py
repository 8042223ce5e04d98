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

"""Build the firmware components from the firmware inventory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ironic_accel_emulator import pointers
from ironic_accel_emulator.documents import ROOT, Document, target
from ironic_accel_emulator.families.hardware import host_of
from ironic_accel_emulator.parts import Component, Device, Activation

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

_SLOTS = '/Oem/Nvidia/ActiveFirmwareSlot'
_OTHER = '/Oem/Nvidia/InactiveFirmwareSlot'


def grow_components(box: Box) -> None:
    """Make a component for every member of the firmware inventory."""
    path = f'{ROOT}/UpdateService/FirmwareInventory'
    for uri in box.documents.collection(path):
        document = box.documents.see(uri)
        if document is not None:
            _grow(box, uri, document)


def _grow(box: Box, uri: str, document: Document) -> None:
    name = uri.rpartition('/')[2]
    key, activation = box.family.key_of(name, document)
    if name in box.options.activations:
        activation = Activation.named(box.options.activations[name])
    related = [target(item) for item in document.get('RelatedItem') or []]
    at = next((path for path in related if path), None)
    device = _device_of(box, name, related)
    owner = device.host if device else host_of(box, at or uri)
    component = Component(
        id=name,
        uri=uri,
        key=key,
        running=document.get('Version') or '',
        activation=activation,
        host=_named_host(box, name) or owner,
        device=device.id if device else None,
        software_id=document.get('SoftwareId'),
        slotted=pointers.get(document, _SLOTS) is not None,
        updateable=bool(document.get('Updateable', True)),
        manager=_manager(box, key, uri),
        fits=_fits(box, at, device),
    )
    component.shows_pending = component.slotted
    slot = pointers.get(document, _SLOTS + '/SlotId')
    component.active_slot = slot if isinstance(slot, int) else 0
    component.inactive = pointers.get(document, _OTHER + '/Version')
    box.components[name] = component
    lay_component(box, component)
    _lay_elsewhere(box, component, device)


def _named_host(box: Box, name: str) -> str | None:
    head = name.partition('.')[0]
    return head if head in box.hosts else None


def _manager(box: Box, key: str, uri: str) -> str | None:
    if key != 'bmc':
        return None
    for manager in box.managers:
        links = (box.documents.see(manager) or {}).get('Links') or {}
        if target(links.get('ActiveSoftwareImage')) == uri:
            return manager
    return box.managers[0] if len(box.managers) == 1 else None


def _device_of(
    box: Box, name: str, related: list[str | None]
) -> Device | None:
    """The device of a firmware entry: by link, else by its name."""
    for device in box.devices.values():
        if any(path in device.uris for path in related):
            return device
    names = sorted(box.devices, key=len, reverse=True)
    for known in names:
        if re.search(rf'(^|[^0-9A-Za-z]){re.escape(known)}($|\W|_)', name):
            return box.devices[known]
    return _numbered(box, name)


def _numbered(box: Box, name: str) -> Device | None:
    """Cray's ``Node0.Acc1.VBIOS`` is the firmware of ``Node0.GPU1``."""
    found = re.match(r'(\w+)\.Acc(\d+)\.', name)
    if found:
        return box.devices.get(f'{found[1]}.GPU{found[2]}')
    return None


def _fits(box: Box, at: str | None, device: Device | None) -> dict[str, str]:
    """PCI ids of the first function of a component, and known properties."""
    roots = [at] if at else []
    roots += device.uris if device else ()
    fits: dict[str, str] = {}
    for root in roots:
        fits.update(box.documents.fits.get(root, {}))
    for root in roots:
        for path in box.documents.below(root):
            document = box.documents.see(path) or {}
            if 'PCIeFunction.' in str(document.get('@odata.type')):
                return {**_pci(document), **fits}
    return fits


def _pci(document: Document) -> dict[str, str]:
    names = {
        'pci_vendor': 'VendorId',
        'pci_device': 'DeviceId',
        'pci_subsystem_vendor': 'SubsystemVendorId',
        'pci_subsystem': 'SubsystemId',
    }
    return {
        name: str(document[key]).lower().removeprefix('0x')
        for name, key in names.items()
        if document.get(key)
    }


def lay_component(box: Box, part: Component) -> None:
    """Write the state of a component into its inventory entry."""

    def overlay(document: Document) -> None:
        document['Version'] = part.running
        if not part.slotted:
            return
        state = 'Inactive'
        if part.pending is not None:
            state = 'Staged' if part.staged_only else 'PendingActivation'
        for pointer, slot, version, word in (
            (_SLOTS, part.active_slot, part.running, 'Activated'),
            (_OTHER, 1 - part.active_slot, part.inactive, state),
        ):
            pointers.put(document, f'{pointer}/SlotId', slot)
            pointers.put(document, f'{pointer}/Version', version)
            pointers.put(document, f'{pointer}/FirmwareState', word)

    box.lay(part.uri, overlay)


def _lay_elsewhere(
    box: Box, part: Component, device: Device | None
) -> None:
    """Write the running version into the device or manager as well."""
    if part.key == 'bmc' and part.manager is not None:
        _lay_version(box, part.manager, '/FirmwareVersion', part)
    if device is None or part.key in ('erot', 'inforom', 'sc'):
        return
    uri = device.uris[0]
    document = box.documents.see(uri) or {}
    for pointer in (
        '/FirmwareVersion',
        '/Controllers/0/FirmwarePackageVersion',
        '/FPGA/FirmwareVersion',
    ):
        if pointers.get(document, pointer) is not None:
            _lay_version(box, uri, pointer, part)


def _lay_version(box: Box, uri: str, pointer: str, part: Component) -> None:
    def overlay(document: Document) -> None:
        pointers.put(document, pointer, part.running)

    box.lay(uri, overlay)
