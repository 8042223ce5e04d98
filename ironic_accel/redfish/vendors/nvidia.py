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

"""NVIDIA HGX and GB baseboards, GPUs, network cards and DPUs.

Baseboards in the servers of any vendor. Sources: the GB300 capture (Supermicro
ARS-121GL, bmcweb of NVIDIA's fork); NVIDIA HGX/DGX H100 firmware update
guides for the names of the H100 boards' firmware (``HGX_FW_GPU_SXM_1``,
``HGX_FW_NVSwitch_0``, ``HGX_FW_PCIeRetimer_0``, ``HGX_FW_ERoT_...``).

NVIDIA's fork of bmcweb: ``Oem.Nvidia`` of Processor and of its settings
object (MIGModeEnabled is written on the processor; CCModeEnabled and
CCDevModeEnabled must not be in one request), FirmwareState of the slots,
BackgroundCopyStatus, ``UpdateOption``, the message for a setting with unknown
result; the message for a running update is "Retry the update operation once
it is complete". NvidiaMemory v1.0.0: RowRemappingFailed and
RowRemappingPending, as reported by HGX baseboards. MFT documentation: the
form of a PSID. The "GPU Part Number" of ``nvidia-smi`` begins with the PCI
device id (``2330-885-A1`` of an H100, and in the tree of an SYS-821GE-TNHR).

A GB200's Processor may have the Health OK while a Condition reports its
firmware as Critical; an Absent entry there keeps the version of the former
device; two cards of one of its boards share one root of trust.

BlueField's own BMC reports the DPU as a System. Sources: NVIDIA
BlueField BMC Software documentation, "Redfish": the System ``Bluefield``,
``Oem/Nvidia`` with ``Mode`` and ``Mode.Set``; CEC and BMC firmware by
``MultipartHttpPushUri`` without targets; "Deploying Software Using BFB": a
boot stream by ``SimpleUpdate`` with the target ``DPU_OS``.

The mode: BlueField-3 reports it in the resource that ``Oem.Nvidia`` of the
System links to (a real one returned an empty string, which means unknown);
BlueField-2 has the BIOS attribute ``NicMode``. The BIOS attribute
``HostPrivilegeLevel`` is immutable in the recorded attribute registry of a
BlueField-3 (NVIDIA libredfish); its SecureBoot resource reports what is active
and what the next boots make active.

The recorded tree of a BlueField-3 (BMC 24.10) reports the network side of the
card as adapters without a name, one for each of its Chassis.
"""

from __future__ import annotations

from ironic_accel.model.device import Activation
from ironic_accel.redfish.vendors.base import AuxPower
from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.device_rows import BackgroundCopy
from ironic_accel.redfish.vendors.device_rows import Commit
from ironic_accel.redfish.vendors.device_rows import ComponentWord
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors.device_rows import FirmwareSlots
from ironic_accel.redfish.vendors.device_rows import MemoryFlags
from ironic_accel.redfish.vendors.device_rows import ProductNames
from ironic_accel.redfish.vendors.mode_rows import BiosMode
from ironic_accel.redfish.vendors.mode_rows import FlagPairMode
from ironic_accel.redfish.vendors.mode_rows import LinkedMode
from ironic_accel.redfish.vendors.mode_rows import PropertyMode
from ironic_accel.redfish.vendors.mode_rows import ReadingMode
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.push_rows import Style

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
    # Entries of network cards have no RelatedItem; the Chassis of the card's
    # root of trust has the same number (GB300 capture).
    FirmwareRule(r'CX(\d+)_(\d+)', 'adapter', 'nic', 'IRoT_CX{1}_{2}',
                 by='rot'),
    FirmwareRule(r'NIC_(\d+)', 'adapter', 'nic', 'IRoT_BF3_{1}', by='rot'),
)

#: For a BMC that reports the board's GPUs as PCIeDevices ``GPU1`` and so on,
#: and no System of the board (Supermicro SYS-821GE-TNHR: GPUSlot 1 is GPU1,
#: and the entries count SXM modules from 1).
_ENTRIES = (
    FirmwareRule(r'HGX_FW_GPU_SXM_(\d+)', 'card', 'gpu', 'GPU{1}'),
    FirmwareRule(r'HGX_InfoROM_GPU_SXM_(\d+)', 'card', 'inforom', 'GPU{1}'),
    FirmwareRule(r'HGX_FW_ERoT_GPU_SXM_(\d+)', 'card', 'erot', 'GPU{1}'),
    *(rule for rule in _FIRMWARE if rule.owner == 'baseboard'),
)

#: The target HGX_0 is the whole GPU tray (NVIDIA DGX H100 firmware update
#: guide, GPU tray). Systems without that entry accept the entries of the
#: components, which the same guide lists.
_PUSHES = (PushChoice(r'HGX_.+', 'multipart-targets', ('HGX_0',), 'named'),)

QUIRKS = Quirks(
    name='nvidia-hgx',
    recognised_by=(('system.Id', BASEBOARD),),
    baseboard=BASEBOARD,
    # The settings objects of the processors, the firmware entries, the tasks
    # and the functions of a card are read with their parents. bmcweb
    # implements $expand by reading each resource (openbmc/bmcweb,
    # query_param.hpp), so that they are complete.
    levels={'Processors': 2, 'UpdateService': 2, 'TaskService': 2,
            'PCIeDevices': 2},
    # A processor's PCIeDevice and its functions are in its Links: openbmc/
    # bmcweb, query_param.hpp, expands these for ``*``
    # (findNavigationReferencesRecursive, ExpandType::Both).
    linked=frozenset({'Processors'}),
    scan_pcie=False,
    ids_are_locations=True,
    firmware=_FIRMWARE,
    pushes=_PUSHES,
    # For a root of trust that does not copy the running image to its other
    # slot by itself (NVIDIA bmcweb, OemUpdateService CommitImage).
    commit=Commit(r'HGX_.+|Host.+',
                  ('Actions', 'Oem', '#NvidiaUpdateService.CommitImage'),
                  ('Oem', 'Nvidia', 'ActiveFirmwareSlot', 'Version'),
                  ('Oem', 'Nvidia', 'InactiveFirmwareSlot', 'Version')),
    # NVIDIA bmcweb and GB200/GB300 firmware update guides: an action of the
    # BMC's Chassis.
    aux=AuxPower('chassis', ('Actions', 'Oem', '#NvidiaChassis.AuxPowerReset'),
                 {'ResetType': 'AuxPowerCycle'},
                 {'ResetType': 'AuxPowerCycleForce'}),
)

#: NVIDIA's own BMCs. NVIDIA's hardware health service reads a BMC with 4
#: requests at a time (infra-controller, issue 4751:
#: ``bmc_request_concurrency``); bmcweb, the software of most of them, takes
#: 200 connections and works on all of them in one event loop (openbmc/bmcweb,
#: http_connection.hpp). The System of a board proves nothing: BMCs of other
#: makers have it in their trees too.
BMC = Quirks(
    name='nvidia-bmc',
    recognised_by=(('root.Vendor', r'NVIDIA'),
                   ('root.Product', r'GB\d* NVL.*')),
    at_once=4,
)

#: GB200/GB300: ``Targets`` must be empty, a named component is rejected with
#: 400. Without ``ForceUpdate`` components that already have the version are
#: rejected; it is sent only if the profile allows force.
STATION = Quirks(
    name='nvidia-gb',
    recognised_by=(('root.Product', r'GB\d* NVL.*'),
                   ('system.Model', r'GB\d+ NVL.*')),
    pushes=(PushChoice(r'.+', 'multipart-all'),),
)

BLUEFIELD = Quirks(
    name='bluefield',
    recognised_by=(('system.Id', r'Bluefield'),),
    firmware=(
        FirmwareRule(r'DPU_NIC', 'system', 'nic'),
        # The boot stream with which the Arm side was installed.
        FirmwareRule(r'DPU_OS', 'system', 'bfb'),
        FirmwareRule(r'DPU_ATF', 'system', 'atf'),
        FirmwareRule(r'DPU_UEFI', 'system', 'uefi'),
        FirmwareRule(r'BMC_Firmware', 'system', 'bmc'),
        FirmwareRule(r'Bluefield_FW_ERoT', 'system', 'erot'),
    ),
    pushes=(PushChoice(r'BMC_Firmware|Bluefield_FW_ERoT',
                       'multipart-plain'),
            PushChoice(r'DPU_OS', 'simple-targets', reach='named')),
)

_PRIVILEGES = {'Privileged': 'privileged', 'Restricted': 'restricted'}
_DPU_WORDS = {'DpuMode': 'dpu', 'NicMode': 'nic'}

VENDOR = Vendor(
    Layer.BOARD,
    quirks=(STATION, QUIRKS, BLUEFIELD, BMC),
    entries=_ENTRIES,
    styles=(
        Style('multipart-stage-only', 'multipart', 'named',
              {'Oem': {'Nvidia': {'UpdateOption': 'StageOnly'}}}),
        Style('multipart-stage-activate', 'multipart', 'named',
              {'Oem': {'Nvidia': {'UpdateOption': 'StageAndActivate'}}}),
    ),
    component_words=(
        ComponentWord('gpu', r'InfoROM', 'inforom'),
        ComponentWord('gpu', r'[EI]RoT', 'erot'),
        ComponentWord('dpu', r'ERoT|CEC', 'erot'),
        ComponentWord('dpu', r'(?:^|[ _.-])BMC(?:$|[ _.-])', 'bmc'),
    ),
    parameter_set=r'[A-Z]{2,4}_[0-9]{10}',
    products=(ProductNames(
        'nvidia', ('NVIDIA ',),
        r'([0-9A-Fa-f]{4})-[0-9A-Za-z]{3}-[A-Z][0-9]', '10de'),),
    display_gpus=(('10de', 'nvidia'),),
    processor_ids=((r'SXM', 'gpu'),),
    dpu='Bluefield',
    root_of_trust=r'RoT',
    modes=(
        PropertyMode(('gpu',), 'mig', ('Oem', 'Nvidia', 'MIGModeEnabled'),
                     settings=False),
        PropertyMode(('gpu',), 'egm', ('Oem', 'Nvidia', 'EGMModeEnabled'),
                     settings=True),
        FlagPairMode(('gpu',), 'cc', ('Oem', 'Nvidia', 'CCModeEnabled'),
                     ('Oem', 'Nvidia', 'CCDevModeEnabled'),
                     ('off', 'on', 'devtools')),
        LinkedMode(('dpu',), 'mode', ('Oem', 'Nvidia'), 'Mode', '#Mode.Set',
                   _DPU_WORDS),
        BiosMode(('dpu',), 'mode', 'NicMode', _DPU_WORDS),
        ReadingMode(('dpu',), 'host-privilege', ('Bios',),
                    ('Attributes', 'HostPrivilegeLevel'), _PRIVILEGES),
        # Until BlueField BSP 4.8 with blanks.
        ReadingMode(('dpu',), 'host-privilege', ('Bios',),
                    ('Attributes', 'Host Privilege Level'), _PRIVILEGES),
        ReadingMode(('dpu',), 'secure-boot', ('SecureBoot',),
                    ('SecureBootCurrentBoot',),
                    {'Enabled': 'enabled', 'Disabled': 'disabled'},
                    soon=('SecureBootEnable',)),
    ),
    # PendingActivation is also reported for an empty slot, so the version is
    # required too. Slots change at a power cut of the board.
    slots=(FirmwareSlots(
        ('Oem', 'Nvidia', 'InactiveFirmwareSlot'), 'Version',
        'FirmwareState', frozenset({'PendingActivation', 'Staged'}),
        frozenset({'Unknown', 'Activated', 'WriteInProgress', 'Inactive',
                   'FailedAuthentication'}), Activation.AUX_CYCLE),),
    copies=(BackgroundCopy(('Oem', 'Nvidia', 'BackgroundCopyStatus'),
                           frozenset({'Pending', 'InProgress'}),
                           frozenset({'Completed', 'Failed', 'Unknown'})),),
    memory=(MemoryFlags(r'nvidia', ('Oem', 'Nvidia'),
                        ('RowRemappingFailed',), ('RowRemappingPending',)),),
    unsure=r'may\s*/?\s*may\s?not have (been )?applied',
)
