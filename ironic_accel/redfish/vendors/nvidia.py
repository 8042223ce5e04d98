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

"""NVIDIA HGX and GB baseboards behind any vendor's BMC.

Sources: the GB300 capture (Supermicro ARS-121GL, bmcweb of NVIDIA's fork);
NVIDIA HGX/DGX H100 firmware update guides for the names of the H100 boards'
firmware (``HGX_FW_GPU_SXM_1``, ``HGX_FW_NVSwitch_0``,
``HGX_FW_PCIeRetimer_0``, ``HGX_FW_ERoT_...``).
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import AuxPower
from ironic_accel.redfish.vendors.base import FirmwareRule
from ironic_accel.redfish.vendors.base import PushChoice
from ironic_accel.redfish.vendors.base import Quirks

BASEBOARD = r'HGX_Baseboard_\d+'

_FIRMWARE = (
    FirmwareRule(r'HGX_FW_(GPU_.+)', 'processor', 'gpu', '{1}'),
    FirmwareRule(r'HGX_InfoROM_(GPU_.+)', 'processor', 'inforom', '{1}'),
    FirmwareRule(r'HGX_FW_ERoT_(GPU_.+)', 'processor', 'erot', '{1}'),
    FirmwareRule(r'HGX_FW_ERoT_.+', 'baseboard', 'erot'),
    FirmwareRule(r'HGX_FW_BMC_\d+', 'baseboard', 'bmc'),
    FirmwareRule(r'HGX_FW_FPGA_\d+', 'baseboard', 'fpga'),
    FirmwareRule(r'HGX_FW_CPLD_\d+', 'baseboard', 'cpld'),
    FirmwareRule(r'HGX_FW_CPU_\d+', 'baseboard', 'cpu'),
    FirmwareRule(r'HGX_FW_NVSwitch_\d+', 'baseboard', 'nvswitch'),
    FirmwareRule(r'HGX_FW_PCIeSwitch_\d+', 'baseboard', 'pcie-switch'),
    FirmwareRule(r'HGX_PCIeSwitchConfig_\d+', 'baseboard',
                 'pcie-switch-config'),
    FirmwareRule(r'HGX_FW_PCIeRetimer_\d+', 'baseboard', 'retimer'),
    # Entries of network cards relate to nothing; the Chassis of the card's
    # root of trust has the same number (GB300 capture).
    FirmwareRule(r'CX(\d+)_(\d+)', 'adapter', 'nic', 'IRoT_CX{1}_{2}',
                 by='rot'),
    FirmwareRule(r'NIC_(\d+)', 'adapter', 'nic', 'IRoT_BF3_{1}', by='rot'),
)

#: Behind a BMC that shows the board's GPUs as PCIeDevices ``GPU1`` and on,
#: and no System of the board (Supermicro SYS-821GE-TNHR: GPUSlot 1 is GPU1,
#: and the entries count SXM modules from 1).
ENTRIES = Quirks(
    name='nvidia-hgx-entries', recognised_by=(),
    firmware=(
        FirmwareRule(r'HGX_FW_GPU_SXM_(\d+)', 'card', 'gpu', 'GPU{1}'),
        FirmwareRule(r'HGX_InfoROM_GPU_SXM_(\d+)', 'card', 'inforom',
                     'GPU{1}'),
        FirmwareRule(r'HGX_FW_ERoT_GPU_SXM_(\d+)', 'card', 'erot',
                     'GPU{1}'),
        *(rule for rule in _FIRMWARE if rule.owner == 'baseboard'),
    ),
)

#: With HGX_0 as target the whole GPU tray is meant (NVIDIA DGX H100
#: firmware update guide, GPU tray); boxes that have no such entry take the
#: components' own, which the same guide names one by one.
_PUSHES = (
    PushChoice(r'HGX_.+', 'multipart-targets', ('HGX_0',), 'named'),
)

QUIRKS = Quirks(
    name='nvidia-hgx',
    recognised_by=(('system.Id', BASEBOARD),),
    baseboard=BASEBOARD,
    # The settings objects of the processors, the firmware entries and the
    # tasks are worth their place in one answer.
    levels={'Processors': 2, 'UpdateService': 2, 'TaskService': 2},
    scan_pcie=False,
    ids_are_locations=True,
    firmware=_FIRMWARE,
    pushes=_PUSHES,
    # NVIDIA bmcweb, OemUpdateService CommitImage.
    commit=r'HGX_.+|Host.+',
    # NVIDIA bmcweb and GB200/GB300 firmware update guides: of the BMC's
    # Chassis.
    aux=AuxPower(
        'chassis', ('Actions', 'Oem', '#NvidiaChassis.AuxPowerReset'),
        {'ResetType': 'AuxPowerCycle'},
        {'ResetType': 'AuxPowerCycleForce'}),
)

#: GB200/GB300: ``Targets`` has to be empty, naming a component is answered
#: with 400. Without ``ForceUpdate`` components that have the version already
#: are turned down; it goes along only where the profile allows force.
STATION = Quirks(
    name='nvidia-gb',
    recognised_by=(('root.Product', r'GB\d* NVL.*'),
                   ('system.Model', r'GB\d+ NVL.*')),
    pushes=(PushChoice(r'.+', 'multipart-all'),),
)
