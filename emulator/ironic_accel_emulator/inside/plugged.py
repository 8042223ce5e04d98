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

"""The cards inside a host, made from the documents of the system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import Document
from ironic_accel_emulator.inside.tools.state import part, setting
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.parts import Component, Device, Activation, Mode

#: Vendor, device, subsystem vendor and subsystem id.
Ids = tuple[str, str, str, str]

_WORD = {e: e.name.lower().replace('_', '-') for e in Activation}
#: By PCI vendor: executables of the tools, driver, class of a function.
MAKERS: dict[str, tuple[tuple[str, ...], str, str]] = {
    '10de': (('nvidia-smi',), 'nvidia', '030200'),
    '15b3': (('mstflint', 'mstconfig', 'mstfwreset'), 'mlx5_core', '020000'),
    '10ee': (('xbmgmt',), 'xclmgmt', '120000'),
}
#: Additional facts of a card's tool, which no BMC reports.
_ADAPTER = {'PCI_WR_ORDERING': 0, 'ROCE_CONTROL': 2, 'ATS_ENABLED': 0,
            'ADVANCED_PCI_SETTINGS': 0, 'CNP_DSCP_P1': 48,
            'QOS_TRUST_STATE_P1': 1}  # fmt: skip
_MORE: dict[str, dict[str, Any]] = {
    'nic': {'SRIOV_EN': 0, 'NUM_OF_VFS': 8,
            'LINK_TYPE_P1': 2, 'LINK_TYPE_P2': 2, **_ADAPTER},
    'dpu': {'SRIOV_EN': 0, 'NUM_OF_VFS': 16, 'INTERNAL_CPU_MODEL': 1,
            'INTERNAL_CPU_OFFLOAD_ENGINE': 0, **_ADAPTER},
}  # fmt: skip
#: Of each GPU of NVIDIA: persistence, and the power limit and its range in
#: milliwatts (those of an H200).
_POWER = (200000, 700000)
#: Modes of the system to the names of the tools.
SETTINGS = {'mig': 'mig', 'ecc': 'ecc', 'sriov': 'SRIOV_EN'}


def ids_of(box: Box, device: Device) -> Ids:
    """The PCI ids of a device, of its first PCIe function."""
    for uri in device.uris:
        document = box.documents.get(uri) or {}
        for inner in document.get('Controllers', ()):
            pcie = inner['Links']['PCIeDevices'][0]['@odata.id']
            found = _function_ids(box, pcie)
            if found:
                return found
        found = _function_ids(box, uri)
        if found:
            return found
    return ('', '', '', '')


def _function_ids(box: Box, uri: str) -> Ids | None:
    found = box.documents.get(f'{uri}/PCIeFunctions/0')
    if found is None:
        return None
    keys = ('VendorId', 'DeviceId', 'SubsystemVendorId', 'SubsystemId')
    vendor, dev, subvendor, subdevice = (
        str(found.get(k, '0x0000')).removeprefix('0x').lower()
        for k in keys
    )
    return (vendor, dev, subvendor, subdevice)


def _said(box: Box, device: Device) -> Mapping[str, Any]:
    return box.documents.get(device.uris[0]) or {}


def function_of(box: Box, device: Device, address: str, ids: Ids) -> Card:
    """The PCI function of a device in sysfs."""
    _, driver, class_code = MAKERS[ids[0]]
    said = _said(box, device)
    vpd = {'PN': said['PartNumber'], 'SN': said['SerialNumber']}
    place = said.get('Location', {}).get('PartLocation', {})
    return Card(
        address,
        ids,
        class_code,
        name=said['Model'],
        # GPUs of NVIDIA and cards of Xilinx have no VPD.
        vpd=vpd if ids[0] == '15b3' else {},
        driver=driver,
        totalvfs=16 if ids[0] == '15b3' else None,
        designation=place.get('ServiceLabel'),
    )


def card_of(box: Box, device: Device) -> Document:
    """A device in the state of the tools."""
    said = _said(box, device)
    facts = {
        'name': said['Model'],
        'serial': said['SerialNumber'],
        'part_number': said['PartNumber'],
        'remapped': [0, 0, 0, 0],
        'recovery': 0,
        'uncorrected': 0,
        'repair': [0, 0],
        'unrepairable': 0,
        'sram': 0,
    }
    parts = {}
    for component in components_of(box, device):
        facts.update(component.fits)
        activation = _WORD[component.activation]
        if device.kind == 'nic':
            # mstfwreset loads the same as any stronger reset.
            activation = 'device-reset'
        parts[component.key] = part(component.running, activation)
    settings = {
        name: setting(value, 'device-reset' if device.kind == 'nic'
                      else 'power-cycle', default=value)
        for name, value in _MORE.get(device.kind, {}).items()
    }  # fmt: skip
    if device.kind == 'gpu' and said['Manufacturer'] == 'NVIDIA':
        facts['power'] = list(_POWER)
        settings |= {
            'persistence': setting(0, 'none', 'warm-reboot', default=0),
            'power-limit': setting(
                _POWER[1], 'none', 'warm-reboot', default=_POWER[1]),
        }
    for mode in modes_of(box, device):
        settings[SETTINGS[mode.name]] = setting(
            int(mode.current), _WORD[mode.activation],
            _WORD[mode.lost_at] if mode.lost_at is not None else None,
            int(mode.default),
        )  # fmt: skip
    return {'facts': facts, 'parts': parts, 'settings': settings}


def components_of(box: Box, device: Device) -> list[Component]:
    """The firmware of a device."""
    return [
        c for c in box.components.values() if c.device == device.id
    ]


def modes_of(box: Box, device: Device) -> list[Mode]:
    """The modes of a device that its tools support."""
    return [
        m
        for m in box.modes.values()
        if m.device == device.id and m.name in SETTINGS
    ]
