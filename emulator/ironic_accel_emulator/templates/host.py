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

"""A host: its System, its chassis, its CPUs and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel_emulator.documents import ROOT, Documents
from ironic_accel_emulator.templates import virtual_media
from ironic_accel_emulator.templates.base import (
    GOOD,
    collection,
    firmware,
    link,
    links,
    put,
)
from ironic_accel_emulator.templates.service import stable_uuid

RESETS = [
    'On', 'ForceOff', 'GracefulShutdown', 'GracefulRestart', 'ForceRestart',
    'PowerCycle', 'ForceOn', 'Nmi',
]  # fmt: skip
_BOOT = {
    'BootSourceOverrideEnabled': 'Disabled',
    'BootSourceOverrideMode': 'UEFI',
    'BootSourceOverrideTarget': 'None',
    'BootSourceOverrideTarget@Redfish.AllowableValues': [
        'None', 'Pxe', 'Hdd', 'Cd', 'BiosSetup', 'Usb',
    ],
}  # fmt: skip


def manager_of(documents: Documents) -> str:
    """The path of the BMC."""
    return documents.collection(f'{ROOT}/Managers')[0]


def add(documents: Documents, spec: Mapping[str, Any]) -> None:
    """Add one host.

    Keys: id, chassis (its id), manufacturer, model, part_number, serial,
    cpus, cpu_model, memory_gib, bios, aux (whether its chassis offers the
    auxiliary cycle), boot_mark.
    """
    system = f'{ROOT}/Systems/{spec["id"]}'
    chassis = f'{ROOT}/Chassis/{spec.get("chassis", spec["id"])}'
    manager = manager_of(documents)
    _system(documents, system, chassis, manager, spec)
    _chassis(documents, chassis, system, manager, spec)
    managed = (documents.see(manager) or {})['Links']
    managed['ManagerForServers'].append(link(system))
    _processors(documents, system, spec)
    _ethernet(documents, system, spec)
    prefix = spec.get('firmware_prefix', '')
    firmware(
        documents, f'{prefix}BIOS', spec.get('bios', '1.0'),
        related=[system], description='BIOS image',
    )  # fmt: skip


def _system(
    documents: Documents,
    system: str,
    chassis: str,
    manager: str,
    spec: Mapping[str, Any],
) -> None:
    said: dict[str, Any] = {}
    if spec.get('boot_mark', True):
        said['LastResetTime'] = '2026-01-01T00:00:00+00:00'
        said['BootProgress'] = {'LastState': 'OSRunning'}
    put(
        documents, system, 'ComputerSystem.v1_22_0', str(spec['id']),
        SystemType='Physical',
        UUID=stable_uuid(system),
        PowerState='On',
        BiosVersion=spec.get('bios', '1.0'),
        AssetTag='',
        Status={**GOOD, 'HealthRollup': 'OK'},
        ProcessorSummary={
            'Count': spec.get('cpus', 2),
            'Model': spec.get('cpu_model', 'CPU'),
        },
        MemorySummary={'TotalSystemMemoryGiB': spec.get('memory_gib', 512)},
        Boot=dict(_BOOT),
        Actions={
            '#ComputerSystem.Reset': {
                'target': f'{system}/Actions/ComputerSystem.Reset',
                'ResetType@Redfish.AllowableValues': RESETS,
            }
        },
        Processors=link(f'{system}/Processors'),
        EthernetInterfaces=link(f'{system}/EthernetInterfaces'),
        VirtualMedia=link(f'{system}/VirtualMedia'),
        Links={
            'Chassis': links([chassis]),
            'ManagedBy': links([manager]),
        },
        **_identity(spec),
        **said,
    )  # fmt: skip
    virtual_media.add(documents, system)


def _identity(spec: Mapping[str, Any]) -> dict[str, str]:
    return {
        'Manufacturer': spec.get('manufacturer', 'Twin'),
        'Model': spec.get('model', 'Server'),
        'PartNumber': spec.get('part_number', 'TWIN-SERVER'),
        'SerialNumber': spec.get('serial', f'TWIN-{spec["id"]}'),
    }


def _processors(
    documents: Documents, system: str, spec: Mapping[str, Any]
) -> None:
    collection(documents, f'{system}/Processors', 'Processor')
    for number in range(1, spec.get('cpus', 2) + 1):
        put(
            documents, f'{system}/Processors/CPU{number}',
            'Processor.v1_20_0', 'Processor',
            ProcessorType='CPU',
            Socket=f'CPU{number}',
            Manufacturer=spec.get('cpu_manufacturer', 'Intel'),
            Model=spec.get('cpu_model', 'CPU'),
            Status=dict(GOOD),
        )  # fmt: skip


def _ethernet(
    documents: Documents, system: str, spec: Mapping[str, Any]
) -> None:
    """Host interfaces: those of its adapters, or an invented one."""
    macs = [m for a in spec.get('adapters') or [] for m in a.get('macs', [])]
    if not macs:
        tail = stable_uuid(system).replace('-', '')[:10]
        pairs = [tail[i : i + 2] for i in range(0, 10, 2)]
        macs = [':'.join(['02', *pairs])]
    place = f'{system}/EthernetInterfaces'
    collection(documents, place, 'EthernetInterface')
    for number, mac in enumerate(macs, 1):
        put(
            documents, f'{place}/{number}', 'EthernetInterface.v1_9_0',
            'Host Interface',
            MACAddress=mac,
            PermanentMACAddress=mac,
            Status=dict(GOOD),
        )  # fmt: skip


def _chassis(
    documents: Documents,
    chassis: str,
    system: str,
    manager: str,
    spec: Mapping[str, Any],
) -> None:
    actions: dict[str, Any] = {}
    if spec.get('aux'):
        target = f'{chassis}/Actions/Oem/NvidiaChassis.AuxPowerReset'
        kinds = ['AuxPowerCycle', 'AuxPowerCycleForce']
        actions['Oem'] = {
            '#NvidiaChassis.AuxPowerReset': {
                'target': target,
                'ResetType@Redfish.AllowableValues': kinds,
            }
        }
    put(
        documents, chassis, 'Chassis.v1_22_0', chassis.rpartition('/')[2],
        ChassisType='RackMount',
        PowerState='On',
        Status=dict(GOOD),
        Actions=actions,
        NetworkAdapters=link(f'{chassis}/NetworkAdapters'),
        PCIeDevices=link(f'{chassis}/PCIeDevices'),
        Links={
            'ComputerSystems': links([system]),
            'ManagedBy': links([manager]),
        },
        **_identity(spec),
    )  # fmt: skip
    collection(documents, f'{chassis}/NetworkAdapters', 'NetworkAdapter')
    collection(documents, f'{chassis}/PCIeDevices', 'PCIeDevice')


def add_dpu(documents: Documents, spec: Mapping[str, Any]) -> None:
    """Make the System named ``id`` a BlueField.

    BlueField-3 has its mode in an OEM resource, BlueField-2 in its BIOS
    attributes (NVIDIA BlueField BMC software documentation).
    """
    system = f'{ROOT}/Systems/{spec["id"]}'
    (documents.see(system) or {})['SystemType'] = 'DPU'
    if spec.get('generation', 3) >= 3:
        _mode_resource(documents, system, spec.get('mode', 'DpuMode'))
    else:
        _mode_attribute(documents, system, spec.get('mode', 'DpuMode'))


def _mode_resource(documents: Documents, system: str, mode: str) -> None:
    oem = f'{system}/Oem/Nvidia'
    put(
        documents, oem, 'NvidiaComputerSystem.v1_0_0',
        'Nvidia Computer System',
        Mode=mode,
        Actions={
            '#Mode.Set': {
                'target': f'{oem}/Actions/Mode.Set',
                'Parameters': [
                    {
                        'Name': 'Mode',
                        'AllowableValues': ['DpuMode', 'NicMode'],
                    }
                ],
            }
        },
    )  # fmt: skip
    (documents.see(system) or {})['Oem'] = {'Nvidia': link(oem)}


def _mode_attribute(documents: Documents, system: str, mode: str) -> None:
    bios = f'{system}/Bios'
    settings = {
        '@Redfish.Settings': {
            '@odata.type': '#Settings.v1_3_5.Settings',
            'SettingsObject': link(f'{bios}/Settings'),
        }
    }
    put(
        documents, bios, 'Bios.v1_2_0', 'BIOS Configuration',
        Attributes={'NicMode': mode}, **settings,
    )  # fmt: skip
    put(
        documents, f'{bios}/Settings', 'Bios.v1_2_0', 'Pending BIOS',
        Attributes={'NicMode': mode},
    )  # fmt: skip
    (documents.see(system) or {})['Bios'] = link(bios)
