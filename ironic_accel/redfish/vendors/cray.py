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

"""HPE Cray EX blades: one controller for several nodes, related by names.

Blades with another model name are identified by the Ids of their Systems and
their maker (an EX425 reports "HPE CRAY EX425 (MILAN)").

Source: the EX235n capture: ``Chassis/Node0`` and the firmware entries
``Node0.*`` belong to the System ``Node0`` without any link; the GPU ``GPU2``
has the firmware ``Node0.Acc2.VBIOS``; ``Node0.AccFPGA0`` is the FPGA of the
NVIDIA baseboard, whose SoftwareId names the board. Targets are respected: the
ActionInfo lists the allowed ones, and HPE's firmware action service updates
one node of a blade with them (Cray-HPE, hms-firmware-action).

Rejections: the message registries CrayHMS 1.0 and IPC 1.0 of the EX235n, by
"wait for ... to complete".
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.task_rows import NotNow

QUIRKS = Quirks(
    name='cray-ex',
    recognised_by=(('system.Model', r'HPE Cray .*'),),
    structure=(('system.Id', r'Node\d+'),
               ('system.Manufacturer', r'HPE|(HPE )?Cray.*')),
    ids_are_locations=True,
    firmware=(
        FirmwareRule(r'(Node\d+)\.Acc(\d+)\.VBIOS', 'processor', 'gpu',
                     'GPU{2}', '{1}'),
        FirmwareRule(r'(Node\d+)\.(HPCNet\d+)', 'adapter', 'nic', '{2}',
                     '{1}'),
        FirmwareRule(
            r'(Node\d+)\.AccFPGA\d+', 'baseboard', 'fpga', system='{1}',
            board=r'[^:]*:(?P<model>(?P<vendor>[^:.]*)[^:]*)(:.*)?'),
    ),
    pushes=(PushChoice(r'.+', 'simple-targets', reach='named'),),
)

VENDOR = Vendor(
    Layer.SERVER,
    quirks=(QUIRKS,),
    not_now=(
        NotNow(frozenset({
            'BMC003', 'CMM003', 'CMM004', 'FW001', 'FW002', 'FW003', 'FW004',
            'FW005', 'FW007', 'FW008', 'FW009', 'FW010', 'PCTL000',
            'PCTL001', 'PW001', 'PW002', 'PW003'}), r'CrayHMS'),
        NotNow(frozenset({'BMCInitializing', 'FirmwareInUpdateMode',
                          'NodeBusy', 'SDRInUpdateMode'}), r'IPC'),
    ),
)
