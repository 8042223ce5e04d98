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

"""Firmware images for the emulator: builders, and the parser of the BMC.

Three kinds: PLDM packages (NVIDIA bundles, see ``pldm``), AMD/Xilinx
``xclbin2`` containers (header layout: XRT, ``xclbin.h``, struct axlf), and
``plain`` images for vendors whose format is not public: a line of JSON after
a magic number. NVIDIA's network firmware begins with its real magic number,
followed by the ``plain`` kind.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ironic_accel_emulator import pldm
from ironic_accel_emulator.boards import BOARDS
from ironic_accel_emulator.pldm import BadPackage

__all__ = [
    'BOARDS', 'BadPackage', 'FirmwareImage', 'ImagePart', 'build_image',
    'mlnx_image', 'parse_image', 'plain_image', 'pldm_bundle',
    'sha256_of', 'xsabin_image',
]  # fmt: skip

_PLAIN_MAGIC = b'TWINFW01'
# First 16 bytes of FS4 images (github.com/Mellanox/mstflint, mlxfwops).
_MLNX_MAGIC = bytes.fromhex('4d544657abcdef00fade12345678dead')
_XCLBIN_MAGIC = b'xclbin2\0'
_AXLF_SIZE = 456
_VBNV_AT, _VBNV_SIZE = 352, 64
_CHUNK = 1 << 20


_EROT = 0xFF00


@dataclass(frozen=True)
class ImagePart:
    """One firmware in an image, and the hardware that it fits.

    ``fits`` must equal the properties of a component, key by key, as far as
    the component has them.
    """

    software_id: str | None
    key: str | None
    version: str
    fits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FirmwareImage:
    """A parsed image file."""

    kind: str
    version: str
    parts: tuple[ImagePart, ...]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def pldm_bundle(
    path: Path,
    versions: Mapping[str, str],
    board: str = 'hgx-h100',
    size: int = 64 * 1024,
    package_version: str | None = None,
) -> str:
    """Write a PLDM package and return its SHA-256.

    ``versions`` maps components (``gpu``, ``fpga``, ``nvswitch``, ``bmc``,
    ``pcie-switch``; and ``erot`` for every root of trust) to versions.
    Each image has ``size`` bytes. Raises ValueError for an unknown board
    or component.
    """
    known = BOARDS.get(board)
    if known is None:
        raise ValueError(f'board: {board!r}: expected one of {list(BOARDS)}')
    unknown = set(versions) - set(known.parts) - {'erot'}
    if unknown:
        raise ValueError(
            f'versions: {sorted(unknown)}: expected some of '
            f'{[*known.parts, "erot"]}'
        )
    images: list[pldm.NewImage] = []
    records: list[pldm.DeviceRecord] = []
    shared = []
    if 'erot' in versions:
        shared = [0]
        images.append(_filler(_EROT, versions['erot'], size))
    for name, (identifier, title, descriptors) in known.parts.items():
        chosen = list(shared)
        if name in versions:
            chosen.append(len(images))
            images.append(_filler(identifier, versions[name], size))
        if chosen:
            record = f'ERoT,{title}:', descriptors, tuple(chosen)
            records.append(pldm.DeviceRecord(*record))
    package = package_version or known.package
    header = pldm.build_header(package, records, images)
    return _write(path, header, images)


def _filler(identifier: int, version: str, size: int) -> pldm.NewImage:
    return pldm.NewImage(
        identifier, version, f'{identifier:#x} {version}\n'.encode(), size
    )


def _write(
    path: Path, header: bytes, images: Sequence[pldm.NewImage]
) -> str:
    with path.open('wb') as stream:
        stream.write(header)
        for image in images:
            unit = image.data * (_CHUNK // len(image.data) + 1)
            left = image.size
            while left > 0:
                left -= stream.write(unit[: min(left, _CHUNK)])
    return sha256_of(path)


def plain_image(
    path: Path,
    component: str,
    version: str,
    fits: Mapping[str, str] | None = None,
    size: int = 4096,
    magic: bytes = b'',
) -> str:
    """Write an image in the emulator's own format; return its SHA-256."""
    said = {'component': component, 'version': version, 'fits': fits or {}}
    body = magic + _PLAIN_MAGIC + json.dumps(said).encode() + b'\n'
    path.write_bytes(body.ljust(size, b'\xff'))
    return sha256_of(path)


def mlnx_image(
    path: Path, version: str, psid: str, size: int = 4096
) -> str:
    """Write a NIC or DPU firmware image for one PSID."""
    return plain_image(
        path, 'nic', version, {'psid': psid}, size, _MLNX_MAGIC
    )


def xsabin_image(path: Path, platform: str, size: int = 4096) -> str:
    """Write an Alveo shell for ``platform``, which is also its version.

    The platform is the VBNV of XRT, such as
    ``xilinx_u55c_gen3x16_xdma_base_3``.
    """
    body = bytearray(max(size, _AXLF_SIZE))
    body[: len(_XCLBIN_MAGIC)] = _XCLBIN_MAGIC
    struct.pack_into('<Q', body, 304, len(body))
    name = platform.encode('ascii')
    body[_VBNV_AT : _VBNV_AT + len(name)] = name
    path.write_bytes(body)
    return sha256_of(path)


def build_image(
    path: Path, kind: str, version: str, size: int = 65536, **fits: str
) -> str:
    """Write an image of any kind (``pldm``, ``mlnx``, ``xsabin``, ...).

    The keys of ``fits`` depend on the kind: ``board`` and ``component`` for
    pldm, ``psid`` for mlnx, ``component`` and others for plain.
    """
    if kind == 'pldm':
        board = fits.get('board', 'hgx-h100')
        component = fits.get('component', 'gpu')
        return pldm_bundle(path, {component: version}, board, size)
    if kind == 'mlnx':
        return mlnx_image(path, version, fits['psid'], size)
    if kind == 'xsabin':
        return xsabin_image(path, version, size)
    if kind == 'plain':
        component = fits.pop('component')
        return plain_image(path, component, version, fits, size)
    raise ValueError(
        f'kind: {kind!r}: expected pldm, mlnx, xsabin or plain'
    )


def parse_image(path: Path) -> FirmwareImage:
    """Identify an image by its bytes.

    Raises BadPackage for an unknown format, or a damaged image.
    """
    size = path.stat().st_size
    with path.open('rb') as stream:
        start = stream.read(_AXLF_SIZE)
        stream.seek(0)
        if start[:16] == pldm.HEADER_ID:
            return _parse_pldm(stream, size)
    if start[:8] == _XCLBIN_MAGIC:
        return _parse_xclbin(start, size)
    if start[:16] == _MLNX_MAGIC:
        return _parse_plain('mlnx', path, len(_MLNX_MAGIC))
    if start[:8] == _PLAIN_MAGIC:
        return _parse_plain('plain', path, 0)
    raise BadPackage('image: unknown firmware format')


def _parse_pldm(stream: BinaryIO, size: int) -> FirmwareImage:
    package = pldm.parse(stream, size)
    parts = []
    for record in package.records:
        fits = {
            name: text
            for name, text in record.descriptors.items()
            if name.startswith('pci_') or name == 'APSKU'
        }
        for index in record.components:
            if index >= len(package.images):
                raise BadPackage(f'device record: no component {index}')
            image = package.images[index]
            name = f'0x{image.identifier:04X}'
            parts.append(ImagePart(name, None, image.version, fits))
    return FirmwareImage('pldm', package.version, tuple(parts))


def _parse_xclbin(start: bytes, size: int) -> FirmwareImage:
    (length,) = struct.unpack_from('<Q', start, 304)
    if length != size:
        raise BadPackage(f'xclbin: {length} bytes: expected {size}')
    name = start[_VBNV_AT : _VBNV_AT + _VBNV_SIZE].rstrip(b'\0')
    platform = name.decode('ascii', 'replace')
    card = platform.split('_')[1] if '_' in platform else platform
    part = ImagePart(None, 'shell', platform, {'board': card})
    return FirmwareImage('xsabin', platform, (part,))


def _parse_plain(kind: str, path: Path, skip: int) -> FirmwareImage:
    with path.open('rb') as stream:
        stream.seek(skip + len(_PLAIN_MAGIC))
        line = stream.readline(4096)
    try:
        said = json.loads(line)
        part = ImagePart(
            None, said['component'], said['version'], said['fits']
        )
    except (ValueError, KeyError) as error:
        raise BadPackage(f'image: invalid header: {error}') from error
    return FirmwareImage(kind, part.version, (part,))
