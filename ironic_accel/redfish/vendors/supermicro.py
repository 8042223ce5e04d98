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

"""Supermicro servers: an upload is verified first, and then started.

Sources: Intel xpumanager ``core/src/amc/SMCRedfishAmcManager.cpp`` (GPUs on
Supermicro's BMCs: one target a push, OnStartUpdateRequest, the task "GPU
Verify", then StartUpdate with an empty body, whose response names the tasks
"GPU Update"; the X12 system SYS-420GP-TNR has no StartUpdate and gets
Immediate); fwupd ``plugins/redfish/fu-redfish-smc-device.c`` (the same for a
BIOS); bmclib ``internal/redfishwrapper`` and ``providers/supermicro`` (X12: a
separate task after StartUpdate; X13: the same task continues, Pending until
then). The push URI is that in xpumanager's comments.

Responses: messages are in ``Accepted`` and ``Success``, and one of them names
the task (fwupd, xpumanager); OemFirmwareAlreadyInUpdateMode means that an
update is running, or that an image was uploaded and not started (xpumanager,
bmclib).

PCIeDevices of X12 and H13 have their maker in GPUVendor (the tree of an
SYS-821GE-TNHR); the BMC has its own entry ``GPU1`` in addition to the board's
``HGX_FW_GPU_SXM_1``; PCIeSlots shows which card is in which slot.
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.task_rows import NotNow
from ironic_accel.redfish.vendors.task_rows import TaskRows

_UPLOAD = r'/redfish/v1/UpdateService/upload/?'

QUIRKS = Quirks(
    name='supermicro',
    recognised_by=(('root.Vendor', r'Super ?micro.*'),
                   ('system.Manufacturer', r'Super ?micro.*')),
    pushes=(PushChoice(r'.+', 'multipart-start', most=1, push_uri=_UPLOAD),
            PushChoice(r'.+', 'multipart-targets', most=1,
                       apply_time='Immediate', push_uri=_UPLOAD)))

VENDOR = Vendor(
    Layer.SERVER, quirks=(QUIRKS,),
    makers=(('Oem', 'Supermicro', 'GPUVendor'),),
    not_now=(NotNow(frozenset({'OemFirmwareAlreadyInUpdateMode'}), r'SMC'),),
    tasks=TaskRows(named_by=frozenset({'OemSimpleupdateAcceptedMessage'})),
    message_holders=('Accepted', 'Success'))
