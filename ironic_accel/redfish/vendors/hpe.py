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

"""HPE servers with iLO: the auxiliary cycle; all else as it is offered.

Source: HPE iLO 5 and iLO 6 data model, HpeComputerSystemExt.SystemReset.
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import AuxPower
from ironic_accel.redfish.vendors.base import Quirks

QUIRKS = Quirks(
    name='hpe-ilo',
    recognised_by=(('root.Product', r'ProLiant .*'),
                   ('system.Model', r'ProLiant .*')),
    aux=AuxPower(
        'system', ('Oem', 'Hpe', 'Actions',
                   '#HpeComputerSystemExt.SystemReset'),
        {'ResetType': 'AuxCycle'}),
)
