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

"""The HGX baseboard itself: its System, its chassis, its BMC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel_emulator.documents import ROOT, Documents
from ironic_accel_emulator.templates.base import (
    GOOD,
    collection,
    link,
    links,
    put,
)
from ironic_accel_emulator.templates.service import stable_uuid

SYSTEM = f'{ROOT}/Systems/HGX_Baseboard_0'
MANAGER = f'{ROOT}/Managers/HGX_BMC_0'
BOARD = f'{ROOT}/Chassis/HGX_Chassis_0'


def add_board(
    documents: Documents, spec: Mapping[str, Any], versions: Mapping[str, str]
) -> None:
    """Add the System, the chassis and the BMC; keys as in ``hgx.add``."""
    put(
        documents, SYSTEM, 'ComputerSystem.v1_22_0', 'HGX_Baseboard_0',
        SystemType='Physical',
        Manufacturer='NVIDIA',
        Model=spec['model'],
        PartNumber=spec['part_number'],
        SerialNumber=spec['serial'],
        UUID=stable_uuid(SYSTEM),
        PowerState='On',
        LastResetTime='1970-01-01T00:00:00+00:00',
        Status={**GOOD, 'HealthRollup': 'OK'},
        Processors=link(f'{SYSTEM}/Processors'),
        Memory=link(f'{SYSTEM}/Memory'),
        Links={
            'Chassis': links([BOARD]),
            'ManagedBy': links([MANAGER]),
        },
    )  # fmt: skip
    collection(documents, f'{SYSTEM}/Processors', 'Processor')
    collection(documents, f'{SYSTEM}/Memory', 'Memory')
    chassis(
        documents, 'Chassis_0', None,
        ChassisType='Zone',
        Model=spec['model'],
        PartNumber=spec['part_number'],
        SerialNumber=spec['serial'],
    )  # fmt: skip
    _manager(documents, versions['bmc'])


def _manager(documents: Documents, version: str) -> None:
    image = f'{ROOT}/UpdateService/FirmwareInventory/HGX_FW_BMC_0'
    put(
        documents, MANAGER, 'Manager.v1_15_0', 'HGX Manager',
        ManagerType='BMC',
        Model='OpenBmc',
        FirmwareVersion=version,
        UUID=stable_uuid(MANAGER),
        Status=dict(GOOD),
        Actions={
            '#Manager.Reset': {
                'target': f'{MANAGER}/Actions/Manager.Reset',
                'ResetType@Redfish.AllowableValues': ['GracefulRestart'],
            }
        },
        Links={
            'ActiveSoftwareImage': link(image),
            'SoftwareImages': links([image]),
            'ManagerForServers': links([SYSTEM]),
            'ManagerForChassis': links([BOARD]),
        },
    )  # fmt: skip


def chassis(
    documents: Documents, name: str, inside: str | None, **said: Any
) -> str:
    """Add the chassis ``HGX_<name>``; return its path."""
    path = f'{ROOT}/Chassis/HGX_{name}'
    related: dict[str, Any] = {
        'ComputerSystems': links([SYSTEM]),
        'ManagedBy': links([MANAGER]),
    }
    if inside is not None:
        related['ContainedBy'] = link(inside)
        outer = (documents.see(inside) or {})['Links']
        outer.setdefault('Contains', []).append(link(path))
    related.update(said.pop('Links', {}))
    said.setdefault('ChassisType', 'Component')
    put(
        documents, path, 'Chassis.v1_22_0', f'HGX_{name}',
        Manufacturer='NVIDIA',
        PowerState='On',
        Location={
            'PartLocation': {
                'LocationType': 'Embedded', 'ServiceLabel': name,
            },
        },
        Status={**GOOD, 'HealthRollup': 'OK'},
        Links=related,
        **said,
    )  # fmt: skip
    return path
