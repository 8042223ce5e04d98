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


"""VPD of a simulated card, byte for byte.

PCI Local Bus Specification 3.0, appendix I: an identifier string, the
read-only fields with their checksum (RV), an end tag.
"""

from __future__ import annotations

from collections.abc import Mapping


def build(name: str, fields: Mapping[str, str]) -> bytes:
    """The VPD of a card.

    :param name: its identifier string.
    :param fields: read-only fields by keyword: PN, SN, EC and so on.
    """
    head = _large(0x82, name.encode('ascii'))
    body = b''.join(_field(k, v.encode('ascii')) for k, v in fields.items())
    # With the checksum byte the sum of all bytes is zero.
    start = head + b'\x90' + (len(body) + 4).to_bytes(2, 'little') + body
    start += b'RV\x01'
    check = -sum(start) & 0xff
    return start + bytes([check]) + b'\x78'


def _large(tag: int, data: bytes) -> bytes:
    return bytes([tag]) + len(data).to_bytes(2, 'little') + data


def _field(key: str, data: bytes) -> bytes:
    return key.encode('ascii') + bytes([len(data)]) + data
