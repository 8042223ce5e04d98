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

"""NVIDIA BlueField's own BMC: the DPU is a System of its own.

Sources: NVIDIA BlueField BMC Software documentation, "Redfish": the System
``Bluefield``, ``Oem/Nvidia`` with ``Mode`` and ``Mode.Set``; CEC and BMC
firmware by ``MultipartHttpPushUri`` without targets; "Deploying Software
Using BFB": a boot stream by ``SimpleUpdate`` with the target ``DPU_OS``.
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import FirmwareRule
from ironic_accel.redfish.vendors.base import PushChoice
from ironic_accel.redfish.vendors.base import Quirks

QUIRKS = Quirks(
    name='bluefield',
    recognised_by=(('system.Id', r'Bluefield'),),
    firmware=(
        FirmwareRule(r'DPU_NIC', 'system', 'nic'),
        # The boot stream that the Arm side was installed from.
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
