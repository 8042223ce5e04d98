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

"""xpu-smi.

Output after Intel XPU Manager v1.3.x: ``cli/src/comlet_firmware.cpp``
(updatefw), ``comlet_health.cpp`` and of 2.0 ``ial/cmn/cmd_health.cpp``
(health), its user guide (discovery -j), ``cli/src/core_stub`` (config -j)
and ``cli/src/exit_code.h``.
"""

from __future__ import annotations

import json

from ironic_accel_emulator.inside.tools.state import Document, State, after
from ironic_accel_emulator.inside.tools.state import image_of, option

_TYPES = {'GFX': 'gpu', 'GFX_DATA': 'gfx-data'}
_ECC = {0: 'disabled', 1: 'enabled'}


def xpu_smi(state: State, argv: list[str], trouble: str | None) -> int:
    """Discovery, configuration and firmware of one GPU."""
    address = option(argv, '-d', '--device')
    card = state.card(address)
    if card is None or address is None:
        print(json.dumps({'error': 'device not found', 'errno': 4}))
        return 4
    if argv[0] == 'discovery':
        print(json.dumps(_discovery(address, card), indent=4))
        return 0
    if argv[0] == 'health':
        return _health(card, option(argv, '-c', '--component'), trouble)
    if argv[0] == 'updatefw':
        return _update(state, address, card, argv, trouble)
    wanted = option(argv, '--memoryecc')
    if wanted is not None:
        word = _ECC[int(wanted)]
        print(f'Return: Succeed to change the ECC mode to be {word} on GPU '
              '0. Please reset GPU or reboot OS to take effect.')
        if trouble != 'lie':
            state.put(address, {'ecc': int(wanted)})
        return 0
    ecc = card['settings']['ecc']
    print(json.dumps({
        'device_id': 0,
        'memory_ecc_current_state': _ECC[ecc['current']],
        'memory_ecc_pending_state': _ECC[after(ecc)],
        'tile_config_data': [],
    }, indent=4))  # fmt: skip
    return 0


def _health(card: Document, which: str | None, trouble: str | None) -> int:
    """Health of GPU memory and core temperature, in the format of 1.3.

    The fault ``words`` is an early 2.0, whose ``-j`` does not print JSON;
    ``v2`` is 2.0 to 2.3; ``renumbered`` is 2.4, whose component 4 is the
    frequency.
    """
    word = card['facts'].get('memory_health', 'OK')
    if trouble == 'words':
        print(f'Memory Health: {word}')
        return 0
    late = trouble in ('v2', 'renumbered')
    memory = {
        'memory_health' if late else 'memory': {
            'status': word,
            'description': 'All memory channels are healthy.',
        }
    }
    other = {
        'core_temperature': {'status': 'Critical', 'description': 'Hot.'},
        'frequency_health' if late else 'frequency': {
            'status': 'OK',
            'description': 'The device frequency not throttled',
        },
    }
    found = {**other, **memory}
    if which == '4':
        found = (
            {'frequency_health': other['frequency_health']}
            if trouble == 'renumbered'
            else memory
        )
    print(json.dumps({'device_id': 0, **found}, indent=4))
    return 0


def _discovery(address: str, card: Document) -> Document:
    parts = card['parts']
    return {
        'amc_firmware_name': 'AMC',
        'amc_firmware_version': 'unknown',
        'device_id': 0,
        'device_name': card['facts']['name'],
        'device_type': 'GPU',
        'gfx_data_firmware_name': 'GFX_DATA',
        'gfx_data_firmware_version': parts['gfx-data']['running'],
        'gfx_firmware_name': 'GFX',
        'gfx_firmware_version': parts['gpu']['running'],
        'memory_ecc_state': _ECC[card['settings']['ecc']['current']],
        'pci_bdf_address': address,
        'serial_number': card['facts'].get('serial', 'unknown'),
        'vendor_name': 'Intel(R) Corporation',
    }


def _update(
    state: State,
    address: str,
    card: Document,
    argv: list[str],
    trouble: str | None,
) -> int:
    kind = option(argv, '-t', '--type') or ''
    path = option(argv, '-f', '--file') or ''
    part = _TYPES[kind]
    image = image_of(path)
    if image is None or image.parts[0].key != part or image.parts[0].fits.get(
        'board'
    ) != card['facts']['board']:
        print(f'Error: The image file is not a right {kind} firmware image '
              'file.')  # fmt: skip
        return 29
    print(f'Device 0 FW version: {card["parts"][part]["running"]}')
    print(f'Image FW version: {image.version}')
    print('Do you want to continue? (y/n) ')
    print('Starting to update firmware')
    print(f'Firmware Name: {kind}\nImage path: {path}')
    if trouble == 'fail':
        print('[                    ] 0 %\r\nUpdate firmware failed')
        return 41
    if trouble == 'lie':
        return 0
    print(f'[{"=" * 60}] 100 %\r\nFirmware update successful.')
    if kind == 'GFX_DATA':
        print('Please reboot OS to take effect.')
    state.write_firmware(address, part, image.version)
    return 0
