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

"""Makers of PCI devices without a product in the catalogue."""

from __future__ import annotations

import re

#: Makers whose PCIeDevices are not accelerators: disks, their controllers,
#: bridges, display chips of BMCs. They are not read.
OTHERS = re.compile(
    r'samsung|micron|kioxia|toshiba|hynix|western digital|wdc|seagate|solidigm'
    r'|lsi|avago|aspeed|matrox|realtek|asmedia|renesas|plx|pmc|emulex|dell|'
    r'microchip|adaptec|hgst|intel corporation nvme', re.I)

#: Vendor ids in addition to those in the catalogue (The PCI ID Repository):
#: Broadcom, QLogic, Cisco, HPE, HP, Cray, Samsung, Chelsio, Solarflare.
VENDOR_IDS = frozenset({0x14e4, 0x1077, 0x1137, 0x1590, 0x103c, 0x17db,
                        0x144d, 0x1425, 0x1924})
