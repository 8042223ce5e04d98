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


"""Vital product data: what a PCI card reports of itself.

The format is that of the PCI Local Bus Specification 3.0, appendix I: large
resources (0x82 identifier string, 0x90 read-only and 0x91 writable fields) and
an end tag (small resource, 0x0f). Linux provides the bytes in ``vpd``.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from ironic_accel.model import device_marks

_IDENTIFIER = 0x82
_READ_ONLY = 0x90
_WRITABLE = 0x91
_END = 0x0f


@dataclasses.dataclass(frozen=True, slots=True)
class Vpd:
    """The fields that are used; None if a field is missing.

    :ivar name: the identifier string.
    :ivar part_number: keyword PN.
    :ivar serial: keyword SN, None for a placeholder.
    """

    name: str | None = None
    part_number: str | None = None
    serial: str | None = None


def parse(raw: bytes) -> Vpd:
    """Read VPD; truncated or invalid fields are left out, never guessed."""
    name: str | None = None
    fields: dict[str, str] = {}
    for tag, data in _resources(raw):
        if tag == _IDENTIFIER and name is None:
            name = _printable(data)
        elif tag == _READ_ONLY:
            for key, value in _fields(data):
                fields.setdefault(key, value)
    return Vpd(name, device_marks.clean_text(fields.get('PN')),
               device_marks.clean_serial(fields.get('SN')))


def is_any(raw: bytes) -> bool:
    """Whether the bytes contain a VPD resource at all."""
    return next(_resources(raw), None) is not None


def _resources(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(raw):
        tag = raw[at]
        if tag & 0x80:
            if at + 3 > len(raw):
                return
            size = int.from_bytes(raw[at + 1:at + 3], 'little')
            at += 3
        else:
            if tag >> 3 == _END:
                return
            size = tag & 0x07
            at += 1
        if at + size > len(raw):
            return
        # All ones is what a card that does not answer reads as.
        if tag in (_IDENTIFIER, _READ_ONLY, _WRITABLE):
            yield tag, raw[at:at + size]
        at += size


def _fields(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at + 3 <= len(data):
        key, size = data[at:at + 2], data[at + 2]
        value = data[at + 3:at + 3 + size]
        at += 3 + size
        text = _printable(value)
        if len(value) == size and key.isalnum() and text is not None:
            yield key.decode('ascii', errors='replace'), text


def _printable(value: bytes) -> str | None:
    """The text of a field, or None if it is not printable."""
    text = value.rstrip(b'\0 ').lstrip(b' ')
    if not text or any(c < 0x20 or c > 0x7e for c in text):
        return None
    return text.decode('ascii')
