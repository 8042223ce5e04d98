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

"""The parser reads the images that the builders write."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_accel_emulator.images import (
    BadPackage,
    mlnx_image,
    parse_image,
    plain_image,
    pldm_bundle,
    sha256_of,
    xsabin_image,
)


def test_pldm_package_names_devices_and_versions(tmp_path: Path) -> None:
    path = tmp_path / 'bundle.fwpkg'
    digest = pldm_bundle(path, {'gpu': '96.00.A6.00.01', 'fpga': '3.11'})
    image = parse_image(path)
    assert digest == sha256_of(path)
    assert image.kind == 'pldm'
    found = {part.software_id: part for part in image.parts}
    assert found['0x0020'].version == '96.00.A6.00.01'
    assert found['0x0020'].fits['pci_device'] == '2330'
    assert found['0x0050'].version == '3.11'


def test_root_of_trust_is_in_every_device_record(tmp_path: Path) -> None:
    path = tmp_path / 'bundle.fwpkg'
    pldm_bundle(path, {'gpu': '1', 'erot': '2'})
    roots = [p for p in parse_image(path).parts if p.software_id == '0xFF00']
    assert len({part.fits['pci_device'] for part in roots}) == 5


@pytest.mark.parametrize('at', [3, 17, 25, 60])
def test_a_changed_header_byte_is_detected(tmp_path: Path, at: int) -> None:
    path = tmp_path / 'bundle.fwpkg'
    pldm_bundle(path, {'gpu': '1'}, size=100)
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(BadPackage):
        parse_image(path)


def test_a_truncated_package_is_detected(tmp_path: Path) -> None:
    path = tmp_path / 'bundle.fwpkg'
    pldm_bundle(path, {'gpu': '1'}, size=100)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadPackage, match='component 0x0020'):
        parse_image(path)


def test_size_is_that_of_each_image(tmp_path: Path) -> None:
    small, large = tmp_path / 'small', tmp_path / 'large'
    pldm_bundle(small, {'gpu': '1'}, size=10)
    pldm_bundle(large, {'gpu': '1'}, size=3_000_010)
    assert large.stat().st_size - small.stat().st_size == 3_000_000


def test_other_formats(tmp_path: Path) -> None:
    path = tmp_path / 'image'
    mlnx_image(path, '32.43.1014', 'MT_0000000884')
    (part,) = parse_image(path).parts
    assert (part.key, part.fits) == ('nic', {'psid': 'MT_0000000884'})
    xsabin_image(path, 'xilinx_u55c_gen3x16_xdma_base_3')
    (part,) = parse_image(path).parts
    assert (part.key, part.fits) == ('shell', {'board': 'u55c'})
    plain_image(path, 'bios', '2.7')
    assert parse_image(path).version == '2.7'


def test_unknown_bytes_and_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'image'
    path.write_bytes(b'not firmware at all')
    with pytest.raises(BadPackage):
        parse_image(path)
    with pytest.raises(ValueError, match="versions: \\['tpu'\\]"):
        pldm_bundle(path, {'tpu': '1'})
    with pytest.raises(ValueError, match="board: 'mars'"):
        pldm_bundle(path, {'gpu': '1'}, board='mars')
