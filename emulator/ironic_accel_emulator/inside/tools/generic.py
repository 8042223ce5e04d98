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

"""fwupdmgr, OPAE's fpgainfo, fpgasupdate and rsu, and hl-smi.

Output after fwupd (``libfwupd/fwupd-device.c``, ``src/fu-cli.c``), the OPAE
SDK (``tools/fpgainfo/fpgainfo.c``, ``libraries/libboard``,
``opae/admin/tools/fpgasupdate.py``), and the Intel Gaudi documentation,
System Management Interface Tool. A cabinet is the emulator's plain image.
"""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from pathlib import Path

from ironic_accel_emulator.inside.tools.state import Document, State
from ironic_accel_emulator.inside.tools.state import image_of, option

_BLOCK0 = 0xB6EAFD19
_KINDS = {0: 'fim', 1: 'bmc'}


#: Output of boards for their controller (``libraries/libboard``): D5005,
#: N3000 and N5010; N6000, C6100 and CMC; A10GX, also with the dfl driver.
_CONTROLLER = {
    'comma': 'Board Management Controller, MAX10 NIOS FW version: {} \n'
    'Board Management Controller, MAX10 Build version: 2.0.6 ',
    'plain': 'Board Management Controller NIOS FW version: {} \n'
    'Board Management Controller Build version: 2.0.6 ',
    'a10gx': 'Board Management Controller, microcontroller FW version: {}',
    'none': 'Board Management Controller, microcontroller FW version: '
    'Not Supported',
}


def device_id(address: str) -> str:
    """fwupd's id of a device: a SHA-1."""
    return hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()


def _guid(card: Document) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, card['facts']['instance']))


def fwupdmgr(state: State, argv: list[str], trouble: str | None) -> int:
    """List devices, show a cabinet, and install it on one device."""
    cards = state.read()['cards']
    if argv[0] == 'get-devices':
        found = [_device(at, card) for at, card in cards.items()]
        print(json.dumps({'Devices': found}, indent=2))
        return 0
    image = image_of(argv[1])
    if image is None:
        print(json.dumps({'Error': {'Message': 'failed to parse archive'}}))
        return 1
    fits = image.parts[0].fits
    if argv[0] == 'get-details':
        found = [
            {
                'Guid': [str(uuid.uuid5(uuid.NAMESPACE_DNS, fits['pci']))],
                'Releases': [{'Version': image.version}],
            }
        ]
        print(json.dumps({'Devices': found}, indent=2))
        return 0
    address = next(at for at in cards if device_id(at) == argv[2])
    if fits['pci'] != cards[address]['facts']['instance']:
        print(json.dumps({'Error': {'Message': 'No supported devices'}}))
        return 1
    if trouble == 'fail':
        print(json.dumps({'Error': {'Message': 'failed to write'}}))
        return 1
    if trouble != 'lie':
        state.write_firmware(
            address, next(iter(cards[address]['parts'])), image.version)
    return 0


def _device(address: str, card: Document) -> Document:
    part = next(iter(card['parts'].values()))
    waits = part['pending'] is not None
    return {
        'Name': card['facts']['name'],
        'DeviceId': device_id(address),
        'Guid': [_guid(card)],
        'Serial': card['facts']['serial'],
        'Plugin': 'devlink',
        'Flags': ['internal', 'updatable', *(['needs-reboot'] * waits)],
        'Vendor': card['facts']['vendor'],
        'Version': part['running'],
        'VersionFormat': 'triplet',
    }


def fpgainfo(state: State, argv: list[str], trouble: str | None) -> int:
    """Information of one card's management engine and board controller."""
    words = [option(argv, x) or '0x0' for x in ('-S', '-B', '-D', '-F')]
    numbers = [int(w, 16) for w in words]
    address = '{:04x}:{:02x}:{:02x}.{:x}'.format(*numbers)
    card = state.card(address)
    if card is None:
        print('No FPGA resources found.')
        return 0
    segment, bus, device, function = numbers
    print(_CONTROLLER[card['facts'].get('controller', 'comma')].format(
        card['parts']['bmc']['running']))  # fmt: skip
    print('//****** FME ******//')
    for key, value in (
        ('Object Id', '0xF000000'),
        ('PCIe s:b:d.f',
         f'{segment:04X}:{bus:02X}:{device:02X}.{function:X}'),
        ('Device Id', '0x0B2B'),
        ('Socket Id', '0x00'),
        ('Ports Num', '01'),
        ('Bitstream Id', '0x202000200000237'),
        ('Bitstream Version', card['parts']['fim']['running']),
        ('Pr Interface Id', '9346116d-a52d-5ca8-b06a-a9a389ef7c8d'),
        ('Boot Page', 'user'),
    ):  # fmt: skip
        print(f'{key:<32} : {value}')
    return 0


def signed(
    path: Path, kind: int, version: str, board: str, subtype: int = 0
) -> str:
    """Write the first block of a signed update; returns its digest."""
    head = struct.pack('<III', _BLOCK0, 4096, kind | subtype << 8)
    said = json.dumps({'version': version, 'board': board})
    body = head.ljust(1152, b'\0') + said.encode()
    path.write_bytes(body)
    return hashlib.sha256(body).hexdigest()


def fpgasupdate(state: State, argv: list[str], trouble: str | None) -> int:
    """Write a signed file to one card."""
    address, path = argv[-1], Path(argv[-2])
    body = path.read_bytes()
    magic, _, kind = struct.unpack('<III', body[:12])
    card = state.card(address)
    if magic != _BLOCK0 or card is None:
        _log('ERROR', f'Unknown file format in {path}')
        return 1
    said = json.loads(body[1152:])
    _log('WARNING', 'Update starting. Please do not interrupt.')
    if trouble == 'fail' or said['board'] != card['facts']['board']:
        _log('ERROR', 'Secure update failed')
        return 1
    if trouble == 'lie':
        return 0
    state.write_firmware(address, _KINDS[kind & 0xFF], said['version'])
    _log('INFO', f'update of {address} complete')
    _log('INFO', 'Secure update OK')
    _log('INFO', 'Total time: 0:00:01')
    return 0


def _log(level: str, message: str) -> None:
    print(f'[2026-01-01 00:00:00,000] [{level:<8}] {message}')


def rsu(state: State, argv: list[str], trouble: str | None) -> int:
    """Power cycle one card."""
    if trouble == 'fail' or state.card(argv[-1]) is None:
        _log('ERROR', f'PCIe device not found at {argv[-1]}')
        return 1
    state.reset('device-reset', argv[-1])
    _log('INFO', f'{argv[0]} RSU operation complete')
    return 0


def hl_fw_loader(state: State, argv: list[str], trouble: str | None) -> int:
    """Show or write the SPI firmware of one card without a driver."""
    address = option(argv, '-d') or ''
    card = state.card(address)
    if card is None:
        print('No devices found')
        return 1
    if '-s' in argv:
        part = card['parts']['spi']
        print('Current SPI version: Preboot version '
              f'{part["pending"] or part["running"]} '
              '(Dec 10 2024 - 14:18:12)')  # fmt: skip
        return 0
    image = image_of(option(argv, '-f') or '')
    if image is None or trouble == 'fail' or (
        image.parts[0].fits.get('board') != card['facts']['name']
    ):
        print('#### Finished sending firmware: FAILED')
        return 1
    if trouble != 'lie':
        state.write_firmware(address, 'spi', image.version)
    print('#### Finished sending firmware: OK')
    return 0


def hl_smi(state: State, argv: list[str], trouble: str | None) -> int:
    """List names and serial numbers of all cards; reset one."""
    if '-r' in argv:
        address = option(argv, '-i')
        if trouble == 'fail' or state.card(address) is None:
            print('Reset of AIP device failed')
            return 1
        state.reset('device-reset', address)
        return 0
    wanted = option(argv, '-i')
    for address, card in state.read()['cards'].items():
        if wanted is not None and address != wanted:
            continue
        print(f'{address}, {card["facts"]["name"]}, '
              f'{card["facts"]["serial"]}')  # fmt: skip
    return 0
