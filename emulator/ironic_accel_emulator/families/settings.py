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

"""Build the device modes from their properties.

Where each is written, and its activation, is from DMTF's schemas and NVIDIA's
bmcweb (redfish-core, OEM processor utilities).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ironic_accel_emulator import pointers
from ironic_accel_emulator.documents import ROOT, Document, target
from ironic_accel_emulator.parts import Device, Activation, Mode

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

_AMPERE = re.compile(r'\bA(100|30|40|10|800)\b|A100')
# Name, pointer, whether it is written to the settings object, activation.
_GPU = (
    ('ecc', '/MemorySummary/ECCModeEnabled', True, Activation.WARM_REBOOT),
    ('mig', '/Oem/Nvidia/MIGModeEnabled', False, Activation.NONE),
    ('cc', '/Oem/Nvidia/CCModeEnabled', True, Activation.DEVICE_RESET),
    ('cc-dev', '/Oem/Nvidia/CCDevModeEnabled', True, Activation.DEVICE_RESET),
    ('egm', '/Oem/Nvidia/EGMModeEnabled', True, Activation.WARM_REBOOT),
)
_FPGA = (
    (
        'virtual-functions',
        '/FPGA/PCIeVirtualFunctions',
        Activation.WARM_REBOOT,
    ),
    ('host-programming', '/FPGA/ProgrammableFromHost', Activation.NONE),
)
_SRIOV = (
    '/ControllerCapabilities/VirtualizationOffload/SRIOV/SRIOVEnabled')


def grow_modes(box: Box) -> None:
    """Find the modes of all devices."""
    for device in box.devices.values():
        uri = device.uris[0]
        document = box.documents.see(uri) or {}
        for mode in _modes_of(device, uri, document):
            add(box, mode)
    for host in box.hosts.values():
        for system in (host.uri, *host.satellites):
            _grow_dpu(box, host.id, system)


def _modes_of(
    device: Device, uri: str, document: Document
) -> Iterator[Mode]:
    if device.kind == 'gpu':
        yield from _gpu(device, uri, document)
    elif device.kind == 'fpga':
        for name, pointer, activation in _FPGA:
            value = pointers.get(document, pointer)
            if value is not None:
                allowed = (True, False) if isinstance(value, bool) else None
                at = (uri, pointer)
                yield Mode(
                    device.id, name, value, activation, at, at, allowed=allowed
                )
    for index, _ in enumerate(document.get('Controllers') or []):
        pointer = f'/Controllers/{index}{_SRIOV}'
        value = pointers.get(document, pointer)
        if value is not None:
            at = (uri, pointer)
            yield Mode(
                device.id, 'sriov', value, Activation.WARM_REBOOT, at, at)


def _gpu(device: Device, uri: str, document: Document) -> Iterator[Mode]:
    settings = target(
        pointers.get(document, '/@Redfish.Settings/SettingsObject')
    )
    ampere = bool(_AMPERE.search(str(document.get('Model'))))
    for name, pointer, on_settings, activation in _GPU:
        value = pointers.get(document, pointer)
        if value is None:
            continue
        at = (uri, pointer)
        if on_settings:
            if settings is not None:
                there = (settings, pointer)
                yield Mode(
                    device.id, name, value, activation, at, there, there)
            continue
        mode = Mode(device.id, name, value, activation, at, at)
        if ampere:
            mode.activation = Activation.DEVICE_RESET
        else:
            mode.lost_at = Activation.DRIVER_RELOAD
        yield mode


def _grow_dpu(box: Box, host: str, system: str) -> None:
    """BlueField's mode: a resource, set by an action."""
    _lay_nic_mode(box, system)
    uri = f'{system}/Oem/Nvidia'
    document = box.documents.see(uri) or {}
    name = system.rpartition('/')[2]
    if 'Mode' in document:
        box.devices[name] = Device(name, 'dpu', host, (uri,), 'shown')
        at = (uri, '/Mode')
        allowed = ('DpuMode', 'NicMode')
        add(
            box,
            Mode(
                name, 'mode', document['Mode'], Activation.POWER_CYCLE, at, at,
                allowed=allowed,
            ),
        )  # fmt: skip
    bios = f'{system}/Bios'
    pointer = '/Attributes/NicMode'
    value = pointers.get(box.documents.see(bios) or {}, pointer)
    if value is not None:
        box.devices[name] = Device(name, 'dpu', host, (bios,), 'shown')
        there = (f'{bios}/Settings', pointer)
        add(
            box,
            Mode(
                name, 'mode', value, Activation.POWER_CYCLE, (bios, pointer),
                there, there, allowed=('DpuMode', 'NicMode'),
            ),
        )  # fmt: skip


def _lay_nic_mode(box: Box, system: str) -> None:
    """The own system of a BlueField-3 in NIC mode is stopped."""

    def overlay(document: Document) -> None:
        mode = box.modes.get(f'{system.rpartition("/")[2]}/mode')
        off = box.faults.active('nic-mode-offline', system)
        if mode is not None and mode.current == 'NicMode' and off:
            document['PowerState'] = 'Paused'
            status = document.setdefault('Status', {})
            status['State'] = 'StandbyOffline'

    box.lay(system, overlay)


def add(box: Box, mode: Mode) -> None:
    """Add a mode to a system and write it into its documents."""
    box.modes[mode.id] = mode
    read, pointer = mode.read

    def current(document: Document) -> None:
        pointers.put(document, pointer, mode.current)

    box.lay(read, current)
    if mode.pending_at is not None:
        there, other = mode.pending_at

        def waiting(document: Document) -> None:
            value = mode.current if mode.pending is None else mode.pending
            pointers.put(document, other, value)

        box.lay(there, waiting)


def gpu_paths(box: Box) -> list[str]:
    """The Processor paths of all GPUs."""
    return [
        device.uris[0]
        for device in box.devices.values()
        if device.kind == 'gpu' and device.uris[0].startswith(ROOT)
    ]
