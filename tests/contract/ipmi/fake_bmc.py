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

"""pyghmi's own BMC server, with a FRU inventory.

What it lacks is added: the FRU and SDR commands (IPMI 2.0, 33 and 34), and
a refusal of the SHA-256 suites that it cannot do, without which pyghmi's own
client does not fall back to SHA-1 and cannot log in.

Run as a process: ``fake_bmc.py PORT SCENE``; it prints its port once it
listens.
"""

from __future__ import annotations

import struct
import sys
from typing import Any
import uuid

from pyghmi.ipmi import bmc
from pyghmi.ipmi.private import session

UUID = uuid.UUID('5f3c1d2e-7a64-4b0e-9c11-0123456789ab')
STORAGE = 0x0a


def _text(*values: str) -> bytes:
    """Type/length fields of text, and the end of fields."""
    return b''.join(bytes([0xc0 | len(v)]) + v.encode('latin-1')
                    for v in values) + b'\xc1'


def _area(body: bytes) -> bytes:
    """An info area: version, length in 8 bytes, body, padding, checksum."""
    length = -(-(2 + len(body) + 1) // 8)
    area = bytes([1, length]) + body
    area += bytes(8 * length - 1 - len(area))
    return area + bytes([-sum(area) % 256])


def fru(maker: str, product: str, board_serial: str, part: str,
        serial: str) -> bytes:
    """A FRU inventory with a chassis, a board and a product area."""
    areas = [
        _area(bytes([0x17]) + _text('CH-1', 'CHASSIS1')),
        _area(bytes([25, 0x10, 0x20, 0xc0])
              + _text(maker, f'{product} board', board_serial, part, 'f1')),
        _area(bytes([25]) + _text(
            maker, product, part, '1.0', serial, 'asset', 'f2'))]
    starts, at = [], 1
    for area in areas:
        starts.append(at)
        at += len(area) // 8
    header = bytes([1, 0, *starts, 0, 0])
    return header + bytes([-sum(header) % 256]) + b''.join(areas)


def locator(record: int, number: int, name: str) -> bytes:
    """A FRU device locator (IPMI 2.0, 43.8): a logical FRU device."""
    text = name.encode()
    body = bytes([0x20, number, 0x80, 0x00, 0x00, 0x10, 0x00, 0x0b, 0x01,
                  0x00, 0xc0 | len(text)]) + text
    return struct.pack('<HBBB', record, 0x51, 0x11, len(body)) + body


BOARD = fru('Example Corp.', 'Example 4029', 'BRD-0042', 'X11-P',
            'SYS-0042')
CARD = fru('NVIDIA', 'A100', '1650000042', '900-21001', '1650000042')


class FakeBmc(bmc.Bmc):  # type: ignore[misc]
    """A BMC of revision 3.47 with two field replaceable units.

    :param scene: ``plain``; ``garbled`` (a byte of the board area differs);
        ``bare`` (no FRU, no SDR); ``mute`` (every command fails).
    """

    def __init__(self, port: int, scene: str) -> None:
        super().__init__({'admin': 'password'}, port=port,
                         address='127.0.0.1')
        # Sessions are found by the port that the server believes to have.
        self.port = self.serversocket.getsockname()[1]
        self.scene = scene
        self.powerstate = 'on'
        self.firmwaremajor = 3
        self.firmwareminor = 0x47
        self.mfgid = 10876
        self.units = {0: BOARD, 5: CARD}
        if scene == 'garbled':
            broken = bytearray(BOARD)
            broken[8 * broken[3] + 12] ^= 0x40
            self.units[0] = bytes(broken)
        self.records = {1: locator(1, 5, 'GPU_5')}
        if scene == 'bare':
            self.units, self.records = {}, {}

    def get_system_guid(self) -> uuid.UUID:
        return UUID

    def get_power_state(self) -> str:
        return self.powerstate

    def sessionless_data(self, data: bytes, sockaddr: Any) -> None:
        """Refuse the suites that the server cannot do (IPMI 2.0, 13.18)."""
        raw = bytes(data)
        if raw[4:6] == b'\x06\x10' and len(raw) >= 48 and raw[28] != 1:
            answer = bytes([raw[16], 0x11, 0, 0]) + raw[20:24]
            session._io_sendto(self.serversocket, b''.join((
                b'\x06\x00\xff\x07\x06\x11', bytes(8),
                struct.pack('<H', len(answer)), answer)), sockaddr)
            return
        super().sessionless_data(data, sockaddr)

    def handle_raw_request(self, request: Any, session: Any) -> None:
        if self.scene == 'mute':
            session.send_ipmi_response(code=0xc0)
        elif request['netfn'] == STORAGE:
            self.storage(request['command'], bytes(request['data']), session)
        else:
            super().handle_raw_request(request, session)

    def storage(self, command: int, data: bytes, session: Any) -> None:
        """FRU and SDR commands."""
        if command == 0x10 and data[0] in self.units:
            size = len(self.units[data[0]])
            session.send_ipmi_response(data=[size & 255, size >> 8, 0])
        elif command == 0x11 and data[0] in self.units:
            offset = data[1] | data[2] << 8
            part = self.units[data[0]][offset:offset + data[3]]
            session.send_ipmi_response(data=[len(part), *part])
        elif command == 0x20 and self.records:
            session.send_ipmi_response(
                data=[0x51, len(self.records), 0, 0, 0, *bytes(9)])
        elif command == 0x23 and self.records:
            wanted = data[2] | data[3] << 8 or 1
            session.send_ipmi_response(
                data=[0xff, 0xff, *self.records[wanted]])
        else:
            session.send_ipmi_response(code=0xcb)


def main() -> None:
    server = FakeBmc(int(sys.argv[1]), sys.argv[2])
    print(server.port, flush=True)
    server.listen()


if __name__ == '__main__':
    main()
