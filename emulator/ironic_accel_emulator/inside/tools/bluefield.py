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

"""bfb-install, and the rshim device of a BlueField.

After rshim-user-space: ``scripts/bfb-install`` (its output and the log of the
card), ``src/rshim_fuse.c`` (misc), ``scripts/mlx-mkbfb`` (headers of a boot
stream, kind 50 its information) and ``scripts/bfb-tool`` (the content of that
information).
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

from ironic_accel_emulator.inside.tools.state import State, option

_MAGIC = 0x13026642
_INFO, _BL2, _OS = 50, 1, 62


def misc(address: str, generation: int = 3) -> str:
    """The content of /dev/rshimN/misc for a card at ``0000:ca:00.0``."""
    lines = {
        'DISPLAY_LEVEL': '0 (0:basic, 1:advanced, 2:log)',
        'BF_MODE': 'DPU mode',
        'BOOT_MODE': '1 (0:rshim, 1:emmc, 2:emmc-boot-swap)',
        'BOOT_TIMEOUT': '150 (seconds)',
        'USB_TIMEOUT': '20 (seconds)',
        'DROP_MODE': '0 (0:normal, 1:drop)',
        'SW_RESET': '0 (1: reset)',
        'DEV_NAME': f'pcie-{address.rpartition(".")[0]}.2',
        'DEV_INFO': f'BlueField-{generation}(Rev 1)',
        'OPN_STR': '900-9D3B6-00CV-AA0',
    }
    return ''.join(f'{key:<16}{value}\n' for key, value in lines.items())


def boot_stream(path: Path, version: str, generation: int = 3) -> str:
    """Write a boot stream for a chip generation; returns its digest."""
    members = [{'Id': '1', 'Name': f'BF{generation}_BSP',
                'Version': '4.9.0'}]  # fmt: skip
    info = json.dumps({'Name': 'BFB File Content', 'Members': members})
    body = b''.join(
        _image(kind, content)
        for kind, content in (
            (_BL2, b'bl2' * 100),
            (_INFO, info.encode()),
            (_OS, version.encode()),
        )
    )
    path.write_bytes(body)
    return hashlib.sha256(body).hexdigest()


def _image(kind: int, content: bytes) -> bytes:
    word = _MAGIC | 1 << 32 | 2 << 36 | 3 << 52 | kind << 56
    padded = content.ljust((len(content) + 7) & ~7, b'\0')
    return struct.pack('<QQQ', word, len(content), 0) + padded


def _version(body: bytes) -> str | None:
    at, found = 0, None
    while at < len(body):
        word, length, _ = struct.unpack_from('<QQQ', body, at)
        if word & 0xFFFFFFFF != _MAGIC:
            return None
        if word >> 56 == _OS:
            found = body[at + 24 : at + 24 + length].decode()
        at += 24 + ((length + 7) & ~7)
    return found


def install(state: State, argv: list[str], trouble: str | None) -> int:
    """Push a boot stream, and print the card's log until it is up.

    Faults: ``no-nic-reset`` (the installation succeeds, but the NIC cannot be
    reset from inside, as reported by BlueField-3), ``nic-update-failed``.
    """
    path, node = option(argv, '-b', '--bfb'), option(argv, '-r', '--rshim')
    print('Checking if local host has root access...')
    address = _card(state, node)
    if address is None:
        print(f'Error: /dev/{node} is not a valid rshim device.')
        return 1
    version = _version(Path(path or '').read_bytes())
    print('Pushing bfb')
    print('Collecting BlueField booting status. Press Ctrl+C to stop…')
    print(' INFO[BL2]: start\n INFO[BL2]: boot mode (rshim)')
    if version is None or trouble == 'fail':
        print(' ERR[MISC]: CRITICAL ERROR: installation failed')
        return 0
    if trouble == 'lie':
        return 0
    print(' INFO[MISC]: Installation started')
    state.write_firmware(address, 'bfb', version)
    if trouble == 'no-nic-reset':
        print(' INFO[MISC]: Updating NIC firmware...')
        print(' INFO[MISC]: NIC firmware update done: 32.49.1118')
        print(' ERR[MISC]: NIC Firmware reset failed. '
              'Host power cycle is required')  # fmt: skip
        print(' INFO[MISC]: Installation finished')
        print(' INFO[MISC]: DPU is ready')
        return 0
    if trouble == 'nic-update-failed':
        print(' INFO[MISC]: NIC firmware update failed')
    print(' INFO[MISC]: Installation finished\n INFO[MISC]: Rebooting...')
    return 0


def _card(state: State, node: str | None) -> str | None:
    for address in state.read()['cards']:
        card = state.card(address)
        if card is not None and card['facts'].get('rshim') == node:
            return str(address)
    return None
