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

"""amd-smi and xbmgmt.

Output after amdsmi of 2024 (``amdsmi_cli``; ROCm 7's object around the list)
and XRT (``xbmgmt2/ReportPlatform.cpp``, ``OO_UpdateBase.cpp``,
``common/XBHelpMenus.cpp``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ironic_accel_emulator.inside.tools.state import Document, State
from ironic_accel_emulator.inside.tools.state import image_of, option


def smi(state: State, argv: list[str], trouble: str | None) -> int:
    """Static information of all GPUs; partitions; driver reload."""
    told = {'static': _static, 'bad-pages': _pages, 'metric': _errors}
    if argv[0] in told:
        wanted = option(argv, '-g', '--gpu')
        gpus = [
            told[argv[0]](number, address, card)
            for number, (address, card) in enumerate(
                sorted(state.read()['cards'].items())
            )
            if wanted in (None, address) and not card.get('bricked')
        ]
        if not gpus:
            print(f'Value \'{wanted}\' is not of valid type or format')
            return 1
        # An object since ROCm 7.
        old = trouble == 'list'
        print(json.dumps(gpus if old else {'gpu_data': gpus}, indent=4))
        return 0
    if argv[0] == 'reset':
        return _reload(state, trouble)
    address = option(argv, '-g', '--gpu')
    if address is None or state.card(address) is None:
        print('AMDSMIException: invalid argument')
        return 1
    compute = option(argv, '-C', '--compute-partition')
    if compute is not None:
        return _compute(state, address, compute, trouble)
    return _memory(state, option(argv, '-M', '--memory-partition'), trouble)


def _compute(
    state: State, address: str, wanted: str, trouble: str | None
) -> int:
    """Set the compute partition of one GPU."""
    if wanted not in ('SPX', 'DPX', 'TPX', 'QPX', 'CPX'):
        print(f'AMDSMIException: invalid choice: {wanted!r}')
        return 1
    if trouble != 'lie':
        state.put(address, {'compute': wanted})
    print(f'GPU: 0\n    COMPUTEPARTITION: Successfully set compute partition '
          f'to {wanted}\n')  # fmt: skip
    return 0


def _memory(state: State, wanted: str | None, trouble: str | None) -> int:
    """Set the memory partition of all GPUs; NPS4 requires CPX."""
    if wanted not in ('NPS1', 'NPS2', 'NPS4'):
        print(f'AMDSMIException: invalid choice: {wanted!r}')
        return 1
    print('****** WARNING ******\n Do you accept these terms? [Y/N] ', end='')
    if sys.stdin.readline().strip() not in ('y', 'Y'):
        print('Confirmation not given. Exiting without setting value')
        return 1
    if trouble == 'lie':
        return 0
    for at in state.read()['cards']:
        state.put(at, {'memory': wanted})
        if wanted == 'NPS4':
            state.put(at, {'compute': 'CPX'})
    print(f'GPU: 0\n    MEMORYPARTITION: Successfully set memory partition '
          f'to {wanted}\n')  # fmt: skip
    return 0


def _reload(state: State, trouble: str | None) -> int:
    sys.stdin.readline()
    if trouble == 'fail':
        print('AMDSMI_STATUS_AMDGPU_RESTART_ERR: could not restart amdgpu')
        return 1
    for at in state.read()['cards']:
        state.reset('driver-reload', at)
    print('    RELOAD_DRIVER: Successfully reloaded driver')
    return 0


def _static(number: int, address: str, card: Document) -> Document:
    facts, settings = card['facts'], card['settings']
    return {
        'gpu': number,
        'asic': {
            'market_name': facts['name'],
            'vendor_id': '0x1002',
            'asic_serial': facts.get('asic_serial', 'N/A'),
            'oam_id': number,
        },
        'bus': {'bdf': address, 'max_pcie_width': 16, 'slot_type': 'OAM'},
        'vbios': {
            'name': 'AMD MI300X_HW_SRIOV_CVS_1VF',
            'build_date': '2023/11/10 11:10',
            'part_number': '113-M3000100-102',
            'version': card['parts']['gpu']['running'],
        },
        'board': {
            'model_number': '102-G30211-00',
            'product_serial': facts['serial'],
            'fru_id': 'N/A',
            'product_name': facts['name'],
            'manufacturer_name': 'AMD',
        },
        'partition': {
            'compute_partition': settings['compute']['current'],
            'memory_partition': settings['memory']['current'],
            'partition_id': 0,
        },
    }


def _pages(number: int, address: str, card: Document) -> Document:
    """Retired pages; ``facts`` may have ``un_res`` and ``pending``."""
    facts = card['facts']
    none = 'No bad pages found.'
    return {
        'gpu': number,
        'pending': facts.get('pending', none),
        'un_res': facts.get('un_res', none),
    }


def _errors(number: int, address: str, card: Document) -> Document:
    """Errors since the driver was loaded; N/A if none are counted."""
    count = card['facts'].get('uncorrected', 0)
    return {
        'gpu': number,
        'ecc': {
            'total_correctable_count': 0,
            'total_uncorrectable_count': count,
            'cache_correctable_count': 'N/A',
            'cache_uncorrectable_count': 'N/A',
        },
    }


def xbmgmt(state: State, argv: list[str], trouble: str | None) -> int:
    """Report a card as JSON; update its shell or satellite controller."""
    address = option(argv, '-d', '--device')
    card = state.card(address)
    if card is None or address is None:
        print(f'ERROR: Specified device BDF {address!r} not found.')
        return 1
    if argv[0] == 'examine':
        path = Path(option(argv, '-o', '--output') or '')
        report = {
            'schema_version': {'schema': 'JSON', 'creation_date': ''},
            'devices': [
                {
                    'interface_type': 'pcie',
                    'device_id': address,
                    'platform': _platform(address, card),
                }
            ],
        }
        path.write_text(json.dumps(report, indent=4), 'utf-8')
        print(f'Successfully wrote the JSON file: {path}')
        return 0
    return _program(state, address, card, argv, trouble)


def _platform(address: str, card: Document) -> Document:
    facts, parts = card['facts'], card['parts']
    return {
        'bdf': address,
        'flash_type': 'spi',
        'hardware': {'serial_num': facts['serial']},
        'device_properties': {
            'board_type': facts['board'],
            'board_name': facts['name'],
            'config_mode': '7',
            'max_power_watts': '225W',
        },
        'current_shell': {
            'vbnv': parts['shell']['running'],
            'logic-uuid': '97088961-FEAE-DA91-52A2-1D9DFD63CCEF',
            'interface-uuid': '15FB8DA1-F552-A9F9-2380-6DC54AA8968F',
            'id': '0x97088961feaeda91',
            'sc_version': parts['sc']['running'],
        },
        'available_shells': '',
    }


def _program(
    state: State,
    address: str,
    card: Document,
    argv: list[str],
    trouble: str | None,
) -> int:
    base = option(argv, '--base') or ''
    path = Path(option(argv, '--image') or '')
    if path.suffix != '.xsabin':
        print('Warning: Non-xsabin file detected. Development usage, this '
              'may damage the card')  # fmt: skip
        print('Are you sure you wish to proceed? [Y/n]: ')
        return 1
    image = image_of(path)
    if image is None:
        print(f'ERROR: Failed to read {path}')
        return 1
    if trouble == 'fail':
        print('ERROR: Failed to update base')
        return 1
    if trouble == 'lie':
        print('\nDevice is up-to-date.  No flashing to performed.')
        return 0
    title = 'SC firmware' if base == 'sc' else 'Base flash'
    print(f'INFO     : {title} image has been programmed successfully. ')
    if base == 'shell':
        stars = '*' * 52
        print(f'{stars}\nCold reboot machine to load the new image on '
              f'device.\n{stars}')  # fmt: skip
    state.write_firmware(address, base, image.version)
    return 0
