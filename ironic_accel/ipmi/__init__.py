# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Reads a BMC without Redfish: FRU inventory and firmware revisions.

Reading only; the power of a host is the business of Ironic's power
interface. Sources: IPMI 2.0 revision 1.1; IPMI Platform Management FRU
Information Storage Definition 1.0 revision 1.3.
"""

from ironic_accel.ipmi.answer import defect
from ironic_accel.ipmi.answer import inventory
from ironic_accel.ipmi.answer import NAME
from ironic_accel.ipmi.asking import ask
from ironic_accel.ipmi.asking import IpmiTarget
from ironic_accel.ipmi.asking import PORT

__all__ = ['NAME', 'PORT', 'IpmiTarget', 'ask', 'defect', 'inventory']
