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

"""Lenovo servers with XCC: how images are pushed.

Sources: fwupd ``plugins/redfish/redfish.quirk`` (ThinkSystem:
``wildcard-targets``, an empty list of Targets, by the multipart URI); aiohmi
``redfish/oem/lenovo`` and fwupd's legacy device: for HttpPushUri,
HttpPushUriTargets must be reserved before and released afterwards, so that
one request is not enough.

If another client has reserved HttpPushUriTargets, the response is
ResourceInUse. XCC rejects any If-Match (ansible-collections
community.general, issue 11261), lists PowerOff, PowerOn and Restart as
Suspended jobs with an empty Schedule, lists the cards of a riser in each of
its PCIeSlots, and has a Status in each PCIeFunction (recorded tree of a
ThinkSystem with eight L40).
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.push_rows import NO_PUSH
from ironic_accel.redfish.vendors.push_rows import PushChoice

QUIRKS = Quirks(
    name='lenovo',
    recognised_by=(('root.Vendor', r'Lenovo'),
                   ('system.Manufacturer', r'Lenovo')),
    pushes=(PushChoice(r'.+', 'multipart-all', reach='like'),
            PushChoice(r'.+', 'simple-targets'),
            PushChoice(r'.+', NO_PUSH, why='accepts an upload only after '
                       'HttpPushUriTargets was reserved')))

VENDOR = Vendor(Layer.SERVER, quirks=(QUIRKS,))
