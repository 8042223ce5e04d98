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

"""PLDM firmware update packages, header format 1 (DMTF DSP0267 1.0.x).

The layout is that of the standard; the descriptors in ``boards`` are those of
an HGX H100 package as unpacked in github.com/NVIDIA/PLDM-unpack, README.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

HEADER_ID = uuid.UUID('f018878c-cb7d-4943-9800-a02f059aca02').bytes
_ASCII = 1
_VENDOR_DEFINED = 0xFFFF
_NUMBERS = {
    0x0000: 'pci_vendor',
    0x0001: 'iana',
    0x0100: 'pci_device',
    0x0101: 'pci_subsystem_vendor',
    0x0102: 'pci_subsystem',
}
_NAMES = {name: number for number, name in _NUMBERS.items()}
_SIZES = {'iana': 4}
# Release time: UTC offset, microseconds, second .. month, year, resolution.
_RELEASED = struct.pack('<hBHBBBBBHB', 0, 0, 0, 0, 0, 12, 1, 1, 2026, 0)


class BadPackage(ValueError):
    """Raised for an invalid package."""


@dataclass(frozen=True)
class ComponentImage:
    """One image in a package; ``identifier`` such as 0x20 for a GPU."""

    identifier: int
    version: str
    offset: int
    size: int


@dataclass(frozen=True)
class DeviceRecord:
    """One kind of device of a package, and its images.

    ``descriptors`` are strings: PCI ids as ``10de``, vendor-defined ones by
    their title (``APSKU``).
    """

    name: str
    descriptors: dict[str, str]
    components: tuple[int, ...]


@dataclass(frozen=True)
class Package:
    """A parsed package header."""

    version: str
    records: tuple[DeviceRecord, ...]
    images: tuple[ComponentImage, ...]


@dataclass(frozen=True)
class NewImage:
    """An image to pack; ``data`` is repeated up to ``size`` bytes."""

    identifier: int
    version: str
    data: bytes
    size: int


def build_header(
    version: str,
    records: Sequence[DeviceRecord],
    images: Sequence[NewImage],
) -> bytes:
    """Return the package header, which is followed by the images."""
    bits = -(-max(1, len(images)) // 8) * 8
    front = bytearray()
    front += struct.pack('<HBB', bits, _ASCII, len(version))
    front += version.encode('ascii')
    front += struct.pack('<B', len(records))
    for record in records:
        front += _pack_record(record, bits)
    table = sum(22 + len(image.version) for image in images) + 2
    size = 16 + 1 + 2 + 13 + len(front) + table + 4
    header = bytearray(HEADER_ID)
    header += struct.pack('<BH', 1, size) + _RELEASED + front
    header += struct.pack('<H', len(images))
    offset = size
    for image in images:
        # Classification 10 is firmware; activation bit 5 is an AC cycle.
        header += struct.pack(
            '<HHIHHIIBB', 10, image.identifier, 0xFFFFFFFF, 0, 1 << 5,
            offset, image.size, _ASCII, len(image.version),
        )  # fmt: skip
        header += image.version.encode('ascii')
        offset += image.size
    return bytes(header) + struct.pack('<I', zlib.crc32(header))


def _pack_record(record: DeviceRecord, bits: int) -> bytes:
    bitmap = sum(1 << index for index in record.components)
    packed = [_pack_descriptor(*item) for item in record.descriptors.items()]
    rest = bitmap.to_bytes(bits // 8, 'little')
    rest += record.name.encode('ascii') + b''.join(packed)
    fixed = struct.pack(
        '<BIBBH', len(packed), 1, _ASCII, len(record.name), 0
    )
    return struct.pack('<H', 2 + len(fixed) + len(rest)) + fixed + rest


def _pack_descriptor(name: str, text: str) -> bytes:
    if name == 'uuid':
        return struct.pack('<HH', 0x0002, 16) + uuid.UUID(text).bytes
    if name in _NAMES:
        value = int(text, 16).to_bytes(_SIZES.get(name, 2), 'little')
        return struct.pack('<HH', _NAMES[name], len(value)) + value
    title, data = name.encode('ascii'), bytes.fromhex(text)
    body = struct.pack('<BB', _ASCII, len(title)) + title + data
    return struct.pack('<HH', _VENDOR_DEFINED, len(body)) + body


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, layout: str) -> tuple[int, ...]:
        layout = '<' + layout
        raw = self.raw(struct.calcsize(layout))
        return tuple(struct.unpack(layout, raw))

    def raw(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise BadPackage(
                f'package header: ends at byte {len(self._data)}: expected '
                f'{count} more bytes at {self._at}'
            )
        self._at += count
        return piece

    def text(self, count: int) -> str:
        return self.raw(count).decode('ascii', 'replace')


def parse(stream: BinaryIO, size: int) -> Package:
    """Read the package header at the start of ``stream``.

    ``size`` is the size of the whole package. Raises BadPackage if the
    identifier, the checksum, or the location of an image is wrong.
    """
    start = stream.read(19)
    if start[:16] != HEADER_ID:
        raise BadPackage('package header: not a PLDM package identifier')
    revision, header_size = struct.unpack('<BH', start[16:19])
    if revision != 1:
        raise BadPackage(f'package header: revision {revision}: expected 1')
    header = start + stream.read(header_size - 19)
    if len(header) != header_size:
        raise BadPackage('package header: the package is truncated')
    (checksum,) = struct.unpack('<I', header[-4:])
    if zlib.crc32(header[:-4]) != checksum:
        raise BadPackage('package header: checksum does not match')
    reader = _Reader(header[:-4])
    reader.raw(19 + len(_RELEASED))
    bits, _, length = reader.take('HBB')
    version = reader.text(length)
    (count,) = reader.take('B')
    records = tuple(_parse_record(reader, bits) for _ in range(count))
    (count,) = reader.take('H')
    images = tuple(_parse_image(reader, size) for _ in range(count))
    return Package(version, records, images)


def _parse_record(reader: _Reader, bits: int) -> DeviceRecord:
    _, count, _, _, length, package_data = reader.take('HBIBBH')
    bitmap = int.from_bytes(reader.raw(bits // 8), 'little')
    name = reader.text(length)
    descriptors = dict(_parse_descriptor(reader) for _ in range(count))
    reader.raw(package_data)
    chosen = tuple(bit for bit in range(bits) if bitmap >> bit & 1)
    return DeviceRecord(name, descriptors, chosen)


def _parse_descriptor(reader: _Reader) -> tuple[str, str]:
    kind, length = reader.take('HH')
    data = reader.raw(length)
    if kind == 0x0002:
        return 'uuid', str(uuid.UUID(bytes=data))
    if kind == _VENDOR_DEFINED:
        title = data[2 : 2 + data[1]].decode('ascii', 'replace')
        return title, data[2 + data[1] :].hex()
    value = int.from_bytes(data, 'little')
    return _NUMBERS.get(kind, f'{kind:#06x}'), f'{value:0{length * 2}x}'


def _parse_image(reader: _Reader, size: int) -> ComponentImage:
    fields = reader.take('HHIHHIIBB')
    identifier, offset, length = fields[1], fields[5], fields[6]
    version = reader.text(fields[8])
    if offset + length > size:
        raise BadPackage(
            f'component {identifier:#06x}: ends at byte {offset + length}: '
            f'expected at most {size}, the size of the package'
        )
    return ComponentImage(identifier, version, offset, length)
