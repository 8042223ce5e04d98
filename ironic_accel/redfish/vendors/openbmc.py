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

"""OpenBMC's bmcweb, whoever builds it in: how images are pushed.

Source: openbmc/bmcweb ``redfish-core/lib/update_service.hpp`` (August 2026):
more than one entry in Targets is turned down; the one that is named is
updated and nothing else; other parameters than Targets and the apply time
are unknown properties; without an apply time it is OnReset, and which ones
there are is not listed; HttpPushUri writes the BMC's own firmware alone.

A second update is ServiceTemporarilyUnavailable; an internal error is also
the answer where an image that was taken does not show in time. A firmware
entry is Updating while its image is activated
(``include/utils/sw_utils.hpp``). Messages of what succeeded stand at the top
of an answer, and a task's monitor below the task.
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
    PushChoice(r'.+', NO_PUSH, push_uri=r'/redfish/v1/UpdateService/update/?'),
)

VENDOR = Vendor(Layer.BMC_SOFTWARE, pushes=PUSHES)
