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

"""HPE Cray EX blades: two nodes with one controller."""

from __future__ import annotations

from ironic_accel_emulator.families.base import Family
from ironic_accel_emulator.parts import Activation


class Cray(Family):
    """SimpleUpdate only; inventory ids begin with the node's name."""

    name = 'cray'
    keys = (
        (r'(?<!V)BIOS', 'bios', Activation.WARM_REBOOT),
        (r'^BMC|^Recovery|^Bootloader', 'bmc', Activation.AUX_CYCLE),
        (r'VBIOS', 'gpu', Activation.POWER_CYCLE),
        (r'FPGA', 'fpga', Activation.AUX_CYCLE),
        (r'HPCNet|ManagementEthernet', 'nic', Activation.POWER_CYCLE),
    )
