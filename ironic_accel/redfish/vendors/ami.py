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

"""AMI MegaRAC, the BMC software of many makers.

Sources: HPE's update script for a Cray XD220v; the UpdateService of a
Gigabyte MS04-CE0 with BMC 13.06.29, which has the state in
UpdateInformation; an AMI tree with Oem.Ami: null, then Preparing,
Downloading, VerifyingFirmware, Flashing, Completed. A Gigabyte requires an
If-Match, and rejects the weak form (ansible-collections community.general,
issue 6434).
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import UpdateState
from ironic_accel.redfish.vendors.base import Vendor

VENDOR = Vendor(
    Layer.BMC_SOFTWARE,
    update_states=tuple(
        UpdateState(('Oem', *path, 'UpdateStatus'),
                    frozenset({'null', 'completed', 'failed'}),
                    ('Oem', *path, 'FlashProgressPercent'))
        for path in (('AMIUpdateService',),
                     ('AMIUpdateService', 'UpdateInformation'), ('Ami',),
                     ('Ami', 'UpdateInformation'))))
