# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Baseboards for which firmware bundles can be built.

Component identifiers and device descriptors of the HGX H100 are those of
``nvfw_HGX-H100x8_0002_230517.3.0`` as unpacked in
github.com/NVIDIA/PLDM-unpack, README.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_EROT_UUID = '162023c9-3ec5-4115-95f4-48701d49d675'


def _record(
    glacier: str, vendor: str, device: str, subsystem: str, sku: str
) -> dict[str, str]:
    return {
        'iana': '00001647',
        'uuid': _EROT_UUID,
        'GLACIERDSD': glacier,
        'pci_vendor': vendor,
        'pci_device': device,
        'pci_subsystem_vendor': '10de',
        'pci_subsystem': subsystem,
        'APSKU': sku,
        'ECSKU': '49353681',
    }


@dataclass(frozen=True)
class Board:
    """The content of a bundle for one kind of baseboard.

    ``parts`` maps a component to its PLDM component identifier, its name in
    NVIDIA's bundles, and the descriptors of its device.
    """

    package: str
    parts: Mapping[str, tuple[int, str, dict[str, str]]]


BOARDS: dict[str, Board] = {
    'hgx-h100': Board(
        'HGX-H100x8_0002_230517.3.0',
        {
            'bmc': (
                0x10, 'HMC',
                _record('10', '1a03', '2600', '1643', '0d2452'),
            ),
            'fpga': (
                0x50, 'FPGA',
                _record('50', '1172', '0021', '1643', '543210'),
            ),
            'gpu': (
                0x20, 'GPU:GH100_HBM3-80GB-885_0200',
                _record('20', '10de', '2330', '16c1', '000437'),
            ),
            'nvswitch': (
                0x70, 'NVSwitch:LS10_0002_890_B00',
                _record('70', '10de', '22a3', '1796', '0003b7'),
            ),
            'pcie-switch': (
                0x40, 'PCIeSwitch',
                _record('40', '11f8', '4028', '1643', '000001'),
            ),
        },
    ),
    # Another baseboard, for a bundle that does not fit: 10de:2335 is the H200
    # SXM (pci.ids); the SKUs are invented.
    'hgx-h200': Board(
        'HGX-H200x8_0001_240601.1.0',
        {
            'gpu': (
                0x20, 'GPU:GH100_HBM3e-141GB',
                _record('20', '10de', '2335', '18be', '000438'),
            ),
        },
    ),
    # Blackwell: identifiers are the SoftwareIds of a GB300's inventory; the
    # PCI ids are those of the capture.
    'gb300': Board(
        'GB300-P4978_0004_250701.1.0',
        {
            'gpu': (
                0xC000, 'GPU',
                _record('20', '10de', '31c2', '21f1', '000500'),
            ),
            'fpga': (
                0x50, 'FPGA',
                _record('50', '1172', '0021', '1643', '543210'),
            ),
            'bmc': (
                0x10, 'HMC',
                _record('10', '1a03', '2600', '1643', '0d2452'),
            ),
            'cpu': (
                0x38, 'CPU',
                _record('38', '10de', '2342', '1643', '000501'),
            ),
        },
    ),
}  # fmt: skip
