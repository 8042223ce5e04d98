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

"""What entries of any vendor's FirmwareInventory say of themselves.

Words in an entry's Id tell which firmware of its device it is, where no
vendor's table does: names of components as the vendors' own tools have them
(AMD XRT: shell, SC; NVIDIA: InfoROM, ERoT).
"""

from __future__ import annotations

from ironic_accel.redfish.client.json_document import Fields

#: Where a PCIeDevice or an entry of a BMC's own tells its maker, besides
#: Manufacturer (Supermicro X12 and H13, the tree of an SYS-821GE-TNHR).
_MAKERS = (('Oem', 'Supermicro', 'GPUVendor'),)

#: Kind, pattern found in the Id, our name for the component.
WORDS: tuple[tuple[str, str, str], ...] = (
    ('gpu', r'InfoROM', 'inforom'),
    ('gpu', r'[EI]RoT', 'erot'),
    ('fpga', r'(?:^|[ _.-])shell(?:$|[ _.-])', 'shell'),
    ('fpga', r'(?:^|[ _.-])sc(?:$|[ _.-])', 'sc'),
    ('fpga', r'golden', 'golden'),
    ('dpu', r'ERoT|CEC', 'erot'),
    ('dpu', r'(?:^|[ _.-])BMC(?:$|[ _.-])', 'bmc'),
)

#: Where an UpdateService tells what it does now, beside its tasks, and the
#: words that say that it does nothing (in lower case). AMI's MegaRAC, which
#: many makers' BMCs are: null, then Preparing, Downloading,
#: VerifyingFirmware, Flashing, Completed (HPE's update script for a Cray
#: XD220v; the UpdateService of a Gigabyte MS04-CE0 with BMC 13.06.29, which
#: has them in UpdateInformation; an AMI tree with Oem.Ami).
UPDATE_STATES: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = tuple(
    (('Oem', *path, 'UpdateStatus'),
     frozenset({'null', 'completed', 'failed'}))
    for path in (('AMIUpdateService',),
                 ('AMIUpdateService', 'UpdateInformation'), ('Ami',),
                 ('Ami', 'UpdateInformation')))

#: A board's parameter-set id, as NVIDIA's network cards have it, where a
#: service gives it as SoftwareId (NVIDIA MFT documentation, PSID).
PSID = r'[A-Z]{2,4}_[0-9]{10}'


def maker(shown: Fields) -> str | None:
    """The maker of a device as a vendor's own properties tell it."""
    return next((m for at in _MAKERS
                 if (m := shown.text(*at)) is not None), None)
