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

"""Dell iDRAC.

Source: the R750 capture (iDRAC 6.00.30): firmware entries are named
``Installed-COMPONENT-VERSION__FQDD``, with ``Current-`` and ``Previous-``
ones beside them that do not run; a GPU's firmware stands in the OEM
collection DellVideo; an FQDD names a slot. SUP029 is iDRAC's answer to a
version that is there already (Dell message registry).

The jobs: the link Links.Oem.Dell.Jobs of the same capture's Manager, for
services whose root lists no JobService.

Pushes: an engineer of Dell wrote that the Targets of SimpleUpdate are not
supported (iDRAC-Redfish-Scripting, issue 247), and Dell's own clients send
an empty list to the multipart URI: a package may write every device that it
is for. ``Immediate`` makes iDRAC reboot the host by itself where the update
needs that (issue 166, from iDRAC 5.00 on), so ``OnReset`` is asked for: the
reset is ours to plan and to perform. Images are update packages for Windows,
d7, d9 or pm files (DeviceFirmwareMultipartUploadREDFISH.py). HttpPushUri
only stores a file, for a SimpleUpdate after it: not a push by itself
(DeviceFirmwareSimpleUpdateREDFISH.py).

The auxiliary cycle: Dell's iDRAC-Redfish-Scripting,
ServerVirtualAcPowerCycleREDFISH.py 2.0, and OpenManage Ansible Modules 9.5,
redfish_powerstate.py: iDRAC 7.00.60 and later have it; the server has to be
off, and FinalPowerState says what it is afterwards. The plain
``Chassis.Reset`` with ``PowerCycle`` of older ones leaves power in the box,
by the first of the two, so it is not taken for it.
"""

from __future__ import annotations

import dataclasses

from ironic_accel.redfish.vendors.base import AuxPower
from ironic_accel.redfish.vendors.base import FirmwareRule
from ironic_accel.redfish.vendors.base import NO_PUSH
from ironic_accel.redfish.vendors.base import OemFirmware
from ironic_accel.redfish.vendors.base import PushChoice
from ironic_accel.redfish.vendors.base import Quirks

_PUSH = PushChoice(
    r'Installed-.+', 'multipart-all', reach='like', apply_time='OnReset',
    suffixes=('.exe', '.d7', '.d9', '.pm'),
    card=r'Installed-.*__(\w+\.\w+\.\d+)-.*')

QUIRKS = Quirks(
    name='dell',
    recognised_by=(('root.Vendor', r'Dell.*'),
                   ('system.Manufacturer', r'Dell Inc\.')),
    ids_are_locations=True,
    firmware=(
        FirmwareRule(r'Installed-.*__(Video\..+)', 'processor', 'gpu',
                     '{1}'),
        FirmwareRule(r'Installed-.*__((?:NIC|InfiniBand|FC)\..+)',
                     'adapter', 'nic', '{1}', by='fqdd', once=True),
    ),
    oem_firmware=(
        OemFirmware(('Links', 'Oem', 'Dell', 'DellVideoCollection'),
                    'FQDD', 'FirmwareVersion', 'gpu'),
    ),
    pci_ids=(('Oem', 'Dell', 'DellSoftwareInventory'),
             ('VendorID', 'DeviceID', 'SubVendorID', 'SubDeviceID')),
    product_name=r'(.+?)(?: - [0-9A-F:]{17})?',
    pushes=(_PUSH, dataclasses.replace(_PUSH, style='simple-plain'),
            PushChoice(r'.+', NO_PUSH, why='only stores what is put to its '
                       'HttpPushUri, for a SimpleUpdate after it')),
    aux=AuxPower(
        'chassis', ('Actions', 'Oem', '#DellOemChassis.ExtendedReset'),
        {'ResetType': 'PowerCycle', 'FinalPowerState': 'Off'}),
    jobs=('Links', 'Oem', 'Dell', 'Jobs'),
    satisfied=('SUP029',),
)
