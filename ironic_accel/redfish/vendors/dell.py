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
``Installed-COMPONENT-VERSION__FQDD``; additional entries with ``Current-``
and ``Previous-`` do not run; a GPU's firmware is in the OEM collection
DellVideo; an FQDD names a slot. SUP029 is iDRAC's response to a version that
is already installed (Dell message registry).

Jobs: the link Links.Oem.Dell.Jobs of the Manager in the same capture, for
services without a JobService in the service root.

Pushes: an engineer of Dell wrote that the Targets of SimpleUpdate are not
supported (iDRAC-Redfish-Scripting, issue 247), and Dell's own clients send
an empty list to the multipart URI: a package may write every device that it
fits. With ``Immediate`` iDRAC reboots the host by itself if the update needs
that (issue 166, from iDRAC 5.00 on), so ``OnReset`` is requested: ironic-accel
plans and performs the reset. Images are update packages for Windows,
d7, d9 or pm files (DeviceFirmwareMultipartUploadREDFISH.py). HttpPushUri
only stores a file, for a SimpleUpdate after it: not a push by itself
(DeviceFirmwareSimpleUpdateREDFISH.py).

The auxiliary cycle: Dell's iDRAC-Redfish-Scripting,
ServerVirtualAcPowerCycleREDFISH.py 2.0, and OpenManage Ansible Modules 9.5,
redfish_powerstate.py: iDRAC 7.00.60 and later have it; the server has to be
off, and FinalPowerState is its state afterwards. ``Chassis.Reset`` with
``PowerCycle`` of older ones does not cut the auxiliary power, according to
the first of the two, so it is not used.

Tasks and jobs: DellJob v1.2.0, whose schema an iDRAC serves (``JobState``);
iDRAC-Redfish-Scripting, issues 32 (a job that is scheduled is executed at the
next reset of the server) and 266 (a job at 100 % reports "server reboot
pending" and is never marked completed), SetBiosAttributesREDFISH.py (BIOS
settings are applied by a job) and DeviceFirmwareMultipartUploadREDFISH.py (a
job is read as a task, then in the JobService and in the manager's own jobs,
as tasks are removed sooner); sushy 5.14, ``oem/dell/constants.py``: a task
has the job's own state in addition to the standard one. The R750 capture has
all of these. A job whose Id begins with ``RID_`` reboots the host itself.

Rejections: the message registry IDRAC 2.7 of the R750, by the subject of the
messages (data, an iDRAC, a Lifecycle Controller or a chassis that is not
ready; running jobs, updates and power actions); sushy 5.14 ``connector.py``
(SYS518) and ``oem/dell/constants.py`` (RAC0679: a job is running);
quadsproject/badfish issue 129 (SWC0700: "iDRAC is not ready ... retry after a
few minutes").

An iDRAC lists PCIeDevices below System and below Chassis, and may not report
the own resource of a card while the host is off; a Processor's Id is an FQDD:
``Video.Slot.31-1``. Older versions report a Health "Ok"; ProcessorMetrics 1.2
has plain numbers.
"""

from __future__ import annotations

import dataclasses

from ironic_accel.redfish.vendors.base import AuxPower
from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors.device_rows import OemFirmware
from ironic_accel.redfish.vendors.push_rows import NO_PUSH
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.task_rows import NotNow
from ironic_accel.redfish.vendors.task_rows import Phase
from ironic_accel.redfish.vendors.task_rows import TaskRows
from ironic_accel.redfish.vendors.task_rows import TaskState

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
                     'adapter', 'nic', '{1}', by='port', once=True)),
    oem_firmware=(
        OemFirmware(('Links', 'Oem', 'Dell', 'DellVideoCollection'),
                    'FQDD', 'FirmwareVersion', 'gpu'),
    ),
    pci_ids=(('Oem', 'Dell', 'DellSoftwareInventory'),
             ('VendorID', 'DeviceID', 'SubVendorID', 'SubDeviceID')),
    product_name=r'(.+?)(?: - [0-9A-F:]{17})?',
    pushes=(_PUSH, dataclasses.replace(_PUSH, style='simple-plain'),
            PushChoice(r'.+', NO_PUSH, why='only stores an image that is '
                       'sent to HttpPushUri, for a later SimpleUpdate')),
    aux=AuxPower(
        'chassis', ('Actions', 'Oem', '#DellOemChassis.ExtendedReset'),
        {'ResetType': 'PowerCycle', 'FinalPowerState': 'Off'}),
    jobs=('Links', 'Oem', 'Dell', 'Jobs'),
    bios_by_job=True,
    satisfied=('SUP029',))

VENDOR = Vendor(
    Layer.SERVER,
    quirks=(QUIRKS,),
    processor_ids=((r'Video', 'gpu'),),
    not_now=(NotNow(frozenset({
        'SYS518', 'SYS279', 'SWC0700', 'RAC0508', 'RAC0509', 'LC060',
        'PWR2250', 'SRV118',
        'BIOS009', 'NIC009', 'STOR032',
        'RAC0679', 'RAC052', 'RAC071', 'RAC0773', 'RAC1059', 'RAC957',
        'RAC958', 'RED034', 'RED088', 'SUP0108', 'JCP030', 'JCP035',
        'JCP043', 'LC044', 'LC045', 'LC062', 'LC104', 'SYS028', 'SYS074',
        'SYS168', 'SYS431', 'RDU8517',
        'PWR8571', 'PWR8581', 'PWR8588', 'PWR8592', 'PWR8593'}),
        r'IDRAC|iDRAC|'),),
    tasks=TaskRows(
        states=(
            TaskState('Downloading', Phase.GOING),
            TaskState('Downloaded', Phase.GOING),
            TaskState('Scheduling', Phase.GOING),
            TaskState('ReadyForExecution', Phase.GOING),
            TaskState('Waiting', Phase.GOING, may_wait=True),
            TaskState('Paused', Phase.GOING, may_wait=True),
            TaskState('Scheduled', Phase.WAITING, begun=False),
            TaskState('RebootPending', Phase.WAITING, going_ids=r'RID_\d+'),
            TaskState('PendingActivation', Phase.WAITING),
            TaskState('Failed', Phase.OVER),
            TaskState('CompletedWithErrors', Phase.OVER),
            TaskState('RebootFailed', Phase.OVER),
            TaskState('RebootCompleted', Phase.OVER, good=True),
            TaskState('Unknown', Phase.UNKNOWN)),
        own_states=(('Oem', 'Dell', 'JobState'),),
        messages=(('Oem', 'Dell'),),
        # "Task successfully scheduled.", and in a script: "virtual a/c
        # cycle".
        reset_words=r'successfully scheduled|virtual a/?c',
        no_end=frozenset({'TIME_NA', 'TIME_NOW'}),
        types=('#DellJob.',),
        places=((r'JID_[0-9]+', (
            '/redfish/v1/TaskService/Tasks/{}',
            '/redfish/v1/JobService/Jobs/{}',
            '/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/Jobs/{}',
            '/redfish/v1/Managers/iDRAC.Embedded.1/Jobs/{}')),)))
