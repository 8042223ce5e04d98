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

"""HPE servers with iLO.

Sources: the tree of a ProLiant XL675d Gen10 Plus with iLO 5: cards are only
in ``Oem.Hpe.Links.Devices`` of the Chassis (HpeServerDevice v2.0.0), their
functions in PCIDevices (HpeServerPciDevice v2.0.0), and firmware entries name
the same slot in ``DeviceContext``. HPE iLO 5 and iLO 6 data model:
HpeComputerSystemExt.SystemReset; ``Oem.Hpe.State`` of the UpdateService is the
state of an update without a task (polled by proliantutils, HPEUpdateService).

Pushes: iLO rejects too many Targets (TargetsLimitExceeded, iLO 7 1.14 message
registry), so each push names one; its HttpPushUri accepts a form with the
session key, but no plain body (HPEDevCom/redfishdocs, examples of the Python
library).

Rejections: HPE's iLO 7 1.14 message registries (HPEDevCom/redfishdocs), by
"retry the operation"; sushy 5.14 ``connector.py``
(InvalidOperationForSystemState).

An iLO reports PCI ids in decimal and Location as a string, and redirects a
write to the path with a closing slash.
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import AuxPower
from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import UpdateState
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.device_rows import OemDevices
from ironic_accel.redfish.vendors.push_rows import NO_PUSH
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.task_rows import NotNow

QUIRKS = Quirks(
    name='hpe-ilo',
    recognised_by=(('root.Product', r'ProLiant .*'),
                   ('system.Model', r'ProLiant .*')),
    context=('Oem', 'Hpe', 'DeviceContext'),
    devices=OemDevices(
        ('Oem', 'Hpe', 'Links', 'Devices'),
        {'GPU': 'gpu', 'LOM/NIC': 'nic'}, 'DeviceType',
        ('FirmwareVersion', 'Current', 'VersionString'), 'Location',
        'ProductPartNumber', 'DeviceInstances',
        ('VendorID', 'DeviceID', 'SubsystemVendorID', 'SubsystemDeviceID'),
        ('SegmentNumber', 'BusNumber', 'DeviceNumber', 'FunctionNumber'),
        ('ClassCode', 'SubclassCode')),
    update_state=UpdateState(
        ('Oem', 'Hpe', 'State'), frozenset({'idle', 'complete', 'error'}),
        ('Oem', 'Hpe', 'FlashProgressPercent')),
    pushes=(PushChoice(r'.+', 'multipart-targets', most=1),
            PushChoice(r'.+', 'simple-targets', most=1),
            PushChoice(r'.+', NO_PUSH, why='accepts an upload only as a form '
                       'that contains the session key')),
    aux=AuxPower(
        'system', ('Oem', 'Hpe', 'Actions',
                   '#HpeComputerSystemExt.SystemReset'),
        {'ResetType': 'AuxCycle'}))

VENDOR = Vendor(
    Layer.SERVER,
    quirks=(QUIRKS,),
    not_now=(NotNow(frozenset({
        'AlreadyInProgress', 'BundleUpdateAlreadyInProgress',
        'ComponentUploadAlreadyInProgress', 'DeviceIsBusy',
        'FirmwareFlashAlreadyInProgress', 'InvalidOperationForSystemState',
        'OperationAvailableAfterSystemPOST', 'ResetInProgress',
        'ResourceInUseWithDetail', 'ResourceNotReadyRetry',
        'ResourceTemporarilyUnavailable', 'UnableToModifyDuringSystemPOST',
        'UpdateTemporarilyUnavailable', 'SystemPowerStateChangeFailed',
        'ServiceUnavailableTemporarily'}), r'iLO|iLOeRS|HpeCommon'),))
