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

"""Cisco UCS C-series with CIMC.

Source: recorded trees of a UCS C220 M6 with a T4, of C220 and C240 M5
servers and of an S3260 (akaliwod/iserver, doc/redfish-tests-cisco-*): a GPU
is only a PCIeDevice, without maker, model, serial number and Status; its Id
is the slot; its firmware entry is named by product and slot
(``UCSC-GPU-T4-16-slot-3``) and has no RelatedItem.

Elsewhere the same trees have a bare path in RelatedItem. The ten tasks of the
S3260 are slots that were never started: TaskState New, with ``NA`` in
``Oem.Cisco``.
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors.task_rows import TaskRows
from ironic_accel.redfish.vendors.task_rows import UnstartedTask

QUIRKS = Quirks(
    name='cisco-cimc',
    recognised_by=(('root.Vendor', r'Cisco.*'),
                   ('system.Manufacturer', r'Cisco.*')),
    card_ids_are_slots=True,
    firmware=(FirmwareRule(r'.+-GPU-.+-slot-(\w+)', 'card', 'gpu', '{1}'),),
)

VENDOR = Vendor(
    Layer.SERVER,
    quirks=(QUIRKS,),
    tasks=TaskRows(unstarted=(UnstartedTask(
        'New', ('Oem', 'Cisco'),
        ('ExportStatus', 'ImportStatus', 'UpdateStatus'),
        frozenset({'NA', 'N/A', 'None'})),)),
)
