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

"""OpenBMC's bmcweb in any system: how images are pushed.

Source: openbmc/bmcweb ``redfish-core/lib/update_service.hpp`` (August 2026):
more than one entry in Targets is rejected; only the named one is updated;
other parameters than Targets and the apply time are unknown properties; the
default apply time is OnReset, and the supported ones are not listed;
HttpPushUri writes only the BMC's own firmware.

A second update is rejected with ServiceTemporarilyUnavailable. If an accepted
image is not processed in time, the response is an internal error. A firmware
entry is Updating while its image is activated
(``include/utils/sw_utils.hpp``). Success messages are at the top level of a
response, and the URI of a task's monitor is below the task.
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.push_rows import NO_PUSH
from ironic_accel.redfish.vendors.push_rows import PushChoice

_MULTIPART = r'/redfish/v1/UpdateService/update-multipart/?'

PUSHES = (
    PushChoice(r'.+', 'multipart-targets', reach='named', most=1,
               apply_time='Immediate', bare=True, push_uri=_MULTIPART),
    PushChoice(r'.+', NO_PUSH, push_uri=r'/redfish/v1/UpdateService/update/?'))

VENDOR = Vendor(Layer.BMC_SOFTWARE, pushes=PUSHES)
