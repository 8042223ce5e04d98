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

"""AMD Instinct baseboards (UBB) in the servers of any vendor.

Sources: AMD's node-scraper (redfish OEM diagnostics: the logs of the System
``UBB``, and events whose OriginOfCondition is the Chassis ``OAM_7``) and
public scripts of operators that read ``Systems/UBB`` of the board's own
controller. The System is that of the board, not of another host. No recorded
tree was available, so its GPUs are identified by the standard properties.

Alveo cards: the words in the Ids of entries are the component names of AMD's
XRT. BMCs and ``amd-smi`` write model names with or without "AMD Instinct".
"""

from __future__ import annotations

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.device_rows import ComponentWord
from ironic_accel.redfish.vendors.device_rows import ProductNames

BASEBOARD = r'UBB(?:_\d+)?'

QUIRKS = Quirks(name='amd-ubb', recognised_by=(('system.Id', BASEBOARD),),
                baseboard=BASEBOARD)

VENDOR = Vendor(
    Layer.BOARD,
    quirks=(QUIRKS,),
    component_words=(
        ComponentWord('fpga', r'(?:^|[ _.-])shell(?:$|[ _.-])', 'shell'),
        ComponentWord('fpga', r'(?:^|[ _.-])sc(?:$|[ _.-])', 'sc'),
        ComponentWord('fpga', r'golden', 'golden'),
    ),
    products=(ProductNames('amd', ('AMD ', 'AMD Instinct ')),),
    display_gpus=(('1002', 'amd'),),
)
