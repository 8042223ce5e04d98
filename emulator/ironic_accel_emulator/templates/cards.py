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

"""PCIe cards of a host: GPUs, FPGAs and network adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel_emulator.documents import ROOT, Document, Documents
from ironic_accel_emulator.templates.base import (
    GOOD,
    collection,
    firmware,
    link,
    links,
    pcie_device,
    put,
)
from ironic_accel_emulator.templates.service import stable_uuid


def add(documents: Documents, host: Mapping[str, Any]) -> None:
    """Add the cards of one host; the functions list their keys."""
    system = f'{ROOT}/Systems/{host["id"]}'
    chassis = f'{ROOT}/Chassis/{host.get("chassis", host["id"])}'
    for card in host.get('gpus') or []:
        for number in range(1, card.get('count', 1) + 1):
            _gpu(documents, system, chassis, card, number)
    for card in host.get('fpgas') or []:
        for number in range(1, card.get('count', 1) + 1):
            _fpga(documents, system, chassis, card, number)
    for card in host.get('adapters') or []:
        _adapter(documents, chassis, card)


def _numbered(card: Mapping[str, Any], key: str, number: int) -> str:
    return str(card[key]).replace('{n}', str(number))


def _index(card: Mapping[str, Any], number: int) -> str:
    return str(number - 1 + card.get('first', 1))


def _processor(
    documents: Documents,
    system: str,
    chassis: str,
    card: Mapping[str, Any],
    number: int,
    **said: Any,
) -> str:
    name = card['id'].replace('{n}', _index(card, number))
    path = f'{system}/Processors/{name}'
    device = f'{chassis}/PCIeDevices/{name}'
    place = chassis
    if card.get('reset') == 'card':
        place = _card_chassis(documents, chassis, name, path)
    shared = {
        'Manufacturer': card['manufacturer'],
        'Model': card['model'],
        'PartNumber': card['part_number'],
        'SerialNumber': _numbered(card, 'serial', number),
    }
    pcie_device(
        documents, device, card['pci'], 'ProcessingAccelerators', **shared
    )
    put(
        documents, path, 'Processor.v1_20_0', 'Processor',
        UUID=stable_uuid(path),
        Status=dict(GOOD),
        Location=_slot(card.get('slot', 0) + number),
        Links={
            'Chassis': link(place),
            'PCIeDevice': link(device),
            'PCIeFunctions': links([f'{device}/PCIeFunctions/0']),
        },
        **shared,
        **said,
    )  # fmt: skip
    return path


def _card_chassis(
    documents: Documents, chassis: str, name: str, processor: str
) -> str:
    """Add a Chassis of one card with its own power; returns its path."""
    path = f'{ROOT}/Chassis/{name}'
    put(
        documents, path, 'Chassis.v1_22_0', name,
        ChassisType='Card',
        PowerState='On',
        Status=dict(GOOD),
        Actions={
            '#Chassis.Reset': {
                'target': f'{path}/Actions/Chassis.Reset',
                'ResetType@Redfish.AllowableValues': ['PowerCycle'],
            }
        },
        Links={
            'ContainedBy': link(chassis),
            'Processors': links([processor]),
        },
    )  # fmt: skip
    return path


def _slot(number: int) -> Document:
    return {
        'PartLocation': {
            'LocationType': 'Slot',
            'ServiceLabel': f'PCIe Slot {number}',
            'LocationOrdinalValue': number,
        }
    }


def gpu_settings(documents: Documents, path: str, oem: Document) -> Document:
    """Add the settings object of a GPU; returns the reference to it."""
    there = f'{path}/Settings'
    put(
        documents, there, 'Processor.v1_20_0', 'Pending Settings',
        ProcessorType='GPU',
        MemorySummary={'ECCModeEnabled': True},
        **({'Oem': {'Nvidia': oem}} if oem else {}),
    )  # fmt: skip
    return {
        '@Redfish.Settings': {
            '@odata.type': '#Settings.v1_3_3.Settings',
            'SettingsObject': link(there),
        }
    }


def _gpu(
    documents: Documents,
    system: str,
    chassis: str,
    card: Mapping[str, Any],
    number: int,
) -> None:
    """Keys: count, first, id, manufacturer, model, part_number, serial,
    pci, slot, memory_mib, bare (only the properties of a Cray), firmware
    (inventory id), version, reset (``enabled``: by that property and no
    action; ``enabled-settings``: by that of the settings object, immediately;
    ``enabled-later``: the same, at a host reset only; ``card``: by the power
    of its own chassis; ``none``).
    """
    said: dict[str, Any] = {'ProcessorType': 'GPU'}
    name = card['id'].replace('{n}', _index(card, number))
    path = f'{system}/Processors/{name}'
    if not card.get('bare'):
        said['FirmwareVersion'] = card['version']
        said['SystemInterface'] = {'InterfaceType': 'PCIe'}
        said['MemorySummary'] = {
            'ECCModeEnabled': True,
            'TotalMemorySizeMiB': card['memory_mib'],
        }
        said.update(_way_to_reset(path, card.get('reset', 'action')))
        said['Oem'] = {
            'Nvidia': {
                '@odata.type': '#NvidiaProcessor.v1_6_0.NvidiaGPU',
                'MIGModeEnabled': False,
            }
        }
        said.update(gpu_settings(documents, path, {}))
        _in_settings(documents, path, said, card.get('reset', 'action'))
    _processor(documents, system, chassis, card, number, **said)
    entry = card['firmware'].replace('{n}', _index(card, number))
    related = [] if card.get('bare') else [path]
    extra = {} if card.get('bare') else {'SoftwareId': card['software_id']}
    firmware(documents, entry, card['version'], related=related, **extra)
    documents.fits[path] = {'model': card['model']}


def _in_settings(
    documents: Documents, path: str, said: Document, transport: str
) -> None:
    """Move ``Enabled`` of a Processor to its settings object."""
    if transport not in ('enabled-settings', 'enabled-later'):
        return
    there = documents.get(f'{path}/Settings') or {}
    documents.put(f'{path}/Settings', {**there, 'Enabled': True})
    times = ['OnReset', 'Immediate'] if transport == 'enabled-settings' else [
        'OnReset'
    ]  # fmt: skip
    said['@Redfish.Settings']['SupportedApplyTimes'] = times


def _way_to_reset(path: str, transport: str) -> Document:
    """The properties and actions to reset a Processor."""
    if transport.startswith('enabled'):
        return {'Enabled': True}
    if transport != 'action':
        return {}
    return {
        'Actions': {
            '#Processor.Reset': {
                'target': f'{path}/Actions/Processor.Reset',
                'ResetType@Redfish.AllowableValues': ['ForceRestart'],
            }
        }
    }


def _fpga(
    documents: Documents,
    system: str,
    chassis: str,
    card: Mapping[str, Any],
    number: int,
) -> None:
    """Keys: as for a GPU, and shell, sc (versions), board."""
    path = _processor(
        documents, system, chassis, card, number,
        ProcessorType='FPGA',
        FirmwareVersion=card['shell'],
        Enabled=True,
        FPGA={
            'FpgaType': 'Discrete',
            'Model': card['model'],
            'FirmwareId': 'shell',
            'FirmwareManufacturer': card['manufacturer'],
            'FirmwareVersion': card['shell'],
            'PCIeVirtualFunctions': 0,
            'ProgrammableFromHost': True,
        },
    )  # fmt: skip
    name = path.rpartition('/')[2]
    for part in ('shell', 'sc'):
        entry = f'Alveo_{name}_{part.upper()}'
        firmware(
            documents, entry, card[part],
            related=[path], SoftwareId=f'{card["board"]}-{part}',
        )  # fmt: skip
    documents.fits[path] = {'board': card['board']}


def _adapter(
    documents: Documents, chassis: str, card: Mapping[str, Any]
) -> None:
    """Keys: id, manufacturer, model, part_number, serial, version, psid,
    pci, sriov, firmware (inventory id), updateable (by the BMC).
    """
    path = f'{chassis}/NetworkAdapters/{card["id"]}'
    device = f'{chassis}/PCIeDevices/{card["id"]}'
    shared = {
        'Manufacturer': card['manufacturer'],
        'Model': card['model'],
        'PartNumber': card['part_number'],
        'SerialNumber': card['serial'],
    }
    pcie_device(
        documents, device, card['pci'], 'NetworkController', **shared
    )
    controller = _controller(card, device)
    put(
        documents, path, 'NetworkAdapter.v1_12_0', 'Network Adapter',
        Controllers=[controller],
        Ports=link(f'{path}/Ports'),
        Status=dict(GOOD),
        **shared,
    )  # fmt: skip
    _ports(documents, path, card)
    said = {'SoftwareId': card['psid']} if 'psid' in card else {}
    firmware(
        documents, card['firmware'], card['version'], related=[path],
        updateable=card.get('updateable', True), **said,
    )  # fmt: skip
    if 'psid' in card:
        documents.fits[path] = {'psid': card['psid']}


def _controller(card: Mapping[str, Any], device: str) -> Document:
    controller: Document = {
        'FirmwarePackageVersion': card['version'],
        'Links': {'PCIeDevices': links([device])},
    }
    if 'sriov' in card:
        sriov = {
            'SRIOVVEPACapable': True,
            'SRIOVEnabled': bool(card['sriov']),
        }
        controller['ControllerCapabilities'] = {
            'NetworkPortCount': 2,
            'VirtualizationOffload': {'SRIOV': sriov},
        }
    return controller


def _ports(
    documents: Documents, path: str, card: Mapping[str, Any]
) -> None:
    collection(documents, f'{path}/Ports', 'Port')
    for number, mac in enumerate(card.get('macs') or []):
        put(
            documents, f'{path}/Ports/{number}', 'Port.v1_6_0', 'Port',
            PortId=str(number),
            Ethernet={'AssociatedMACAddresses': [mac]},
            Status=dict(GOOD),
        )  # fmt: skip
