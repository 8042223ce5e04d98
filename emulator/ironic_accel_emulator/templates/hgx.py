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

"""An NVIDIA HGX H100 8-GPU baseboard, managed by the host's BMC.

Resource ids are those of bmcweb and of NVIDIA's update tool on this board
(``HGX_FW_GPU_SXM_1``, ``HGX_FW_ERoT_NVSwitch_0``, ...); the form of each
resource is that of a recorded GB300 with the same software.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from ironic_accel_emulator.templates.baseboard import (
    BOARD,
    MANAGER,
    SYSTEM,
    add_board,
    chassis,
)
from ironic_accel_emulator.templates.cards import gpu_settings
from ironic_accel_emulator.templates.service import stable_uuid

_OEM = '#NvidiaSoftwareInventory.v1_2_0.NvidiaSoftwareInventory'


@dataclass(frozen=True)
class _Chip:
    """One kind of chip: its PLDM component id, and whether it has A/B."""

    software_id: str
    version: str
    slots: bool = True
    erot: bool = True
    pci: str | None = None


def add(documents: Documents, spec: Mapping[str, Any], host: str) -> None:
    """Add the baseboard; keys: model, part_number, serial, versions."""
    versions: Mapping[str, str] = spec['versions']
    add_board(documents, spec, versions)
    chips = {
        'gpu': _Chip('0x0020', versions['gpu'], pci='10de:2330:10de:16c1'),
        'nvswitch': _Chip(
            '0x0070', versions['nvswitch'], pci='10de:22a3:10de:1796'
        ),
        'fpga': _Chip('0x0050', versions['fpga']),
        'bmc': _Chip('0x0010', versions['bmc']),
        'pcie-switch': _Chip('0x0040', versions['pcie-switch']),
        'pcie-retimer': _Chip('0x8000', versions['pcie-retimer'], False,
                              False),
    }  # fmt: skip
    for number in range(1, 9):
        _gpu(documents, spec, chips['gpu'], versions, number)
    for number in range(4):
        name = f'NVSwitch_{number}'
        _part(documents, name, chips['nvswitch'], versions)
        _inforom(documents, name, versions['nvswitch-inforom'])
    for name, kind in (
        ('FPGA_0', 'fpga'), ('BMC_0', 'bmc'), ('PCIeSwitch_0', 'pcie-switch'),
    ):  # fmt: skip
        _part(documents, name, chips[kind], versions)
    for number in range(8):
        name = f'PCIeRetimer_{number}'
        _part(documents, name, chips['pcie-retimer'], versions)
    _fpga(documents, versions['fpga'])


def _part(
    documents: Documents,
    name: str,
    chip: _Chip,
    versions: Mapping[str, str],
    **said: Any,
) -> str:
    """A chip: chassis, firmware and, if it has one, root of trust."""
    path = f'{ROOT}/Chassis/HGX_{name}'
    if chip.pci is not None:
        said['PCIeDevices'] = link(f'{path}/PCIeDevices')
    said.setdefault('PartNumber', 'NA')
    said.setdefault('SerialNumber', 'NA')
    chassis(documents, name, BOARD, **said)
    if chip.pci is not None:
        collection(documents, f'{path}/PCIeDevices', 'PCIeDevice')
        bridge = name.startswith('NVSwitch')
        pcie_device(
            documents, f'{path}/PCIeDevices/{name}', chip.pci,
            'Bridge' if bridge else 'ProcessingAccelerators',
            Manufacturer='NVIDIA',
        )  # fmt: skip
    related = MANAGER if name == 'BMC_0' else path
    _image(documents, f'HGX_FW_{name}', chip, related)
    if chip.erot:
        _root_of_trust(documents, name, path, versions['erot'])
    return path


def _root_of_trust(
    documents: Documents, name: str, path: str, version: str
) -> None:
    trust = chassis(
        documents, f'ERoT_{name}', BOARD,
        SKU='0x49353681',
        Links={
            'Oem': {
                'Nvidia': {
                    '@odata.type': '#NvidiaChassis.v1_3_0.NvidiaChassis',
                    'ComponentsProtected': links([path]),
                }
            }
        },
        Oem={
            'Nvidia': {
                '@odata.type': '#NvidiaChassis.v1_3_0.NvidiaRoTChassis',
                'AutomaticBackgroundCopyEnabled': True,
                'BackgroundCopyStatus': 'Completed',
            }
        },
    )  # fmt: skip
    erot = _Chip('0xFF00', version)
    _image(documents, f'HGX_FW_ERoT_{name}', erot, trust)


def _image(
    documents: Documents, name: str, chip: _Chip, related: str
) -> None:
    slot = {'BuildType': 'Release', 'Version': chip.version}
    oem: Document = {
        '@odata.type': _OEM,
        'StageOnlyUpdateOptionSupported': chip.slots,
    }
    if chip.slots:
        oem['ActiveFirmwareSlot'] = {
            **slot, 'FirmwareState': 'Activated', 'SlotId': 0,
        }  # fmt: skip
        oem['InactiveFirmwareSlot'] = {
            **slot, 'FirmwareState': 'Inactive', 'SlotId': 1,
        }  # fmt: skip
    firmware(
        documents, name, chip.version,
        related=[related],
        Manufacturer='NVIDIA',
        SoftwareId=chip.software_id,
        WriteProtected=False,
        Oem={'Nvidia': oem},
    )  # fmt: skip


def _inforom(documents: Documents, name: str, version: str) -> None:
    oem = {'@odata.type': _OEM, 'StageOnlyUpdateOptionSupported': False}
    firmware(
        documents, f'HGX_InfoROM_{name}', version,
        related=[f'{ROOT}/Chassis/HGX_{name}'],
        updateable=False,
        Manufacturer='NVIDIA',
        Oem={'Nvidia': oem},
    )  # fmt: skip


def _gpu(
    documents: Documents,
    spec: Mapping[str, Any],
    chip: _Chip,
    versions: Mapping[str, str],
    number: int,
) -> None:
    name = f'GPU_SXM_{number}'
    path = f'{SYSTEM}/Processors/{name}'
    shared = {
        'Model': spec['gpu']['model'],
        'PartNumber': spec['gpu']['part_number'],
        'SerialNumber': spec['gpu']['serial'].replace('{n}', str(number)),
        'UUID': stable_uuid(path),
    }
    place = _part(
        documents, name, chip, versions,
        Links={'Processors': links([path])}, **shared,
    )  # fmt: skip
    _inforom(documents, name, versions['gpu-inforom'])
    _processor(documents, spec, place, number, versions['gpu'], shared)


def _processor(
    documents: Documents,
    spec: Mapping[str, Any],
    place: str,
    number: int,
    version: str,
    shared: Mapping[str, str],
) -> None:
    name = f'GPU_SXM_{number}'
    path = f'{SYSTEM}/Processors/{name}'
    device = f'{place}/PCIeDevices/{name}'
    size = spec['gpu']['memory_mib']
    oem = {
        '@odata.type': '#NvidiaProcessor.v1_6_0.NvidiaGPU',
        'CCModeEnabled': False,
        'CCDevModeEnabled': False,
    }
    settings = gpu_settings(documents, path, oem)
    label = {'LocationType': 'Embedded', 'ServiceLabel': name}
    more = {'MIGModeEnabled': False, 'TotalNumberNVLinks': 18}
    put(
        documents, path, 'Processor.v1_20_0', 'Processor',
        ProcessorType='GPU',
        Manufacturer='NVIDIA',
        FirmwareVersion=version,
        SystemInterface={'InterfaceType': 'PCIe'},
        MemorySummary={
            'ECCModeEnabled': True,
            'TotalMemorySizeMiB': size,
            'Metrics': link(f'{path}/MemorySummary/MemoryMetrics'),
        },
        EnvironmentMetrics=link(f'{path}/EnvironmentMetrics'),
        Metrics=link(f'{path}/ProcessorMetrics'),
        Location={'PartLocation': label},
        Status={**GOOD, 'HealthRollup': 'OK'},
        Links={
            'Chassis': link(place),
            'Memory': links([_memory(documents, name, size)]),
            'PCIeDevice': link(device),
            'PCIeFunctions': links([f'{device}/PCIeFunctions/0']),
        },
        Oem={'Nvidia': {**oem, **more}},
        **shared,
        **settings,
    )  # fmt: skip
    _metrics(documents, path, number)


def _metrics(documents: Documents, path: str, number: int) -> None:
    """The sensors of an idle GPU, in the resources of the GB300."""
    put(
        documents, f'{path}/EnvironmentMetrics',
        'EnvironmentMetrics.v1_3_0', 'Environment Metrics',
        PowerWatts={'Reading': 70.0 + number},
        TemperatureCelsius={'Reading': 30.0 + number},
    )  # fmt: skip
    count = {'CorrectableECCErrorCount': 0, 'UncorrectableECCErrorCount': 0}
    put(
        documents, f'{path}/ProcessorMetrics', 'ProcessorMetrics.v1_6_1',
        'Processor Metrics',
        CacheMetricsTotal={'LifeTime': dict(count)},
    )  # fmt: skip
    put(
        documents, f'{path}/MemorySummary/MemoryMetrics',
        'MemoryMetrics.v1_7_0', 'Memory Summary Metrics',
        LifeTime=dict(count),
    )  # fmt: skip


def _memory(documents: Documents, name: str, size: int) -> str:
    path = f'{SYSTEM}/Memory/{name}_DRAM_0'
    put(
        documents, path, 'Memory.v1_20_0', f'{name} DRAM',
        MemoryType='DRAM',
        MemoryDeviceType='HBM3',
        CapacityMiB=size,
        Status=dict(GOOD),
        # As recorded of NVIDIA's BMCs (GB300).
        Oem={'Nvidia': {
            '@odata.type': '#NvidiaMemory.v1_0_0.NvidiaMemory',
            'RowRemappingFailed': False, 'RowRemappingPending': False}},
    )  # fmt: skip
    return path


def _fpga(documents: Documents, version: str) -> None:
    """The baseboard's FPGA, which bmcweb also reports as a Processor."""
    put(
        documents, f'{SYSTEM}/Processors/FPGA_0', 'Processor.v1_20_0',
        'Processor',
        ProcessorType='FPGA',
        Manufacturer='NVIDIA',
        Model='NA',
        FirmwareVersion=version,
        FPGA={'FpgaType': 'Discrete', 'FirmwareVersion': version},
        Status=dict(GOOD),
        Links={'Chassis': link(f'{ROOT}/Chassis/HGX_FPGA_0')},
    )  # fmt: skip
