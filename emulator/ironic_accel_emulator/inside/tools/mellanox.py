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

"""mstflint, mstconfig and mstfwreset.

Output after mstflint 4.36: ``flint/subcommands.cpp`` (printInfo,
checkFwVersion), ``mlxfwops/lib/psid_utils.cpp`` (statusToString),
``mlxconfig/mlxcfg_ui.cpp`` (printOpening, WriteSingleParam,
setDevCfgWithParams), ``mlxconfig_dbs/mlxconfig_host.db`` (types and words of
the parameters), ``mlxcfg_generic_commander.cpp`` (a read-only TLV) and
``small_utils/mstfwreset.py``.

A card of the state with ``of`` is a further physical function of that card:
its ``settings`` are the parameters that it has for itself (class 3 of the
database), the others are the card's. A setting with ``read_only`` is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ironic_accel_emulator.inside.tools.state import Document, State
from ironic_accel_emulator.inside.tools.state import after as after_reset
from ironic_accel_emulator.inside.tools.state import image_of, option

_BOOL = {0: 'False', 1: 'True'}
_WORDS = {
    'SRIOV_EN': _BOOL,
    'EXP_ROM_PXE_ENABLE': _BOOL,
    'EXP_ROM_UEFI_x86_ENABLE': _BOOL,
    'EXP_ROM_UEFI_ARM_ENABLE': _BOOL,
    'ADVANCED_PCI_SETTINGS': _BOOL,
    'ATS_ENABLED': _BOOL,
    'ROCE_ADAPTIVE_ROUTING_EN': _BOOL,
    'PCI_WR_ORDERING': {0: 'per_mkey', 1: 'force_relax'},
    'ROCE_CONTROL': {
        0: 'DEVICE_DEFAULT', 1: 'ROCE_DISABLE', 2: 'ROCE_ENABLE'},
    **{
        f'QOS_TRUST_STATE_P{n}': {
            0: 'TRUST_PORT', 1: 'TRUST_PCP', 2: 'TRUST_DSCP',
            3: 'TRUST_DSCP_PCP'}
        for n in (1, 2)
    },
    **{
        f'LLDP_NB_RX_MODE_P{n}': {0: 'OFF', 1: 'MANDATORY', 2: 'ALL'}
        for n in (1, 2)
    },
    'LINK_TYPE_P1': {1: 'IB', 2: 'ETH'},
    'LINK_TYPE_P2': {1: 'IB', 2: 'ETH'},
    'INTERNAL_CPU_MODEL': {0: 'SEPARATED_HOST', 1: 'EMBEDDED_CPU'},
    'INTERNAL_CPU_OFFLOAD_ENGINE': {0: 'ENABLED', 1: 'DISABLED'},
    'INTERNAL_CPU_PAGE_SUPPLIER': {0: 'ECPF', 1: 'EXT_HOST_PF'},
    'INTERNAL_CPU_ESWITCH_MANAGER': {0: 'ECPF', 1: 'EXT_HOST_PF'},
    'INTERNAL_CPU_IB_VPORT0': {0: 'ECPF', 1: 'EXT_HOST_PF'},
}


def _card(state: State, argv: list[str]) -> tuple[str, Document] | None:
    address = option(argv, '-d', '--dev', '--device')
    found = state.card(address)
    if found is not None and 'of' in found:
        whole = state.card(found['of'])
        if whole is None:
            return None
        found = {**whole, 'settings': {
            **whole['settings'], **found['settings']}}
    if address is None or found is None or 'psid' not in found['facts']:
        return None
    return address, found


def _line(key: str, value: str) -> None:
    print(f'{key + ":":<23}{value}')


def _info(version: str, running: str | None, psid: str, mac: str) -> None:
    _line('Image type', 'FS4')
    _line('FW Version', version)
    if running is not None and running != version:
        _line('FW Version(Running)', running)
    _line('FW Release Date', '29.4.2022')
    _line('Product Version', version)
    _line('Rom Info', 'type=UEFI version=skipped cpu=skipped')
    print(f'{"":<23}type=PXE  version=skipped devid=skipped cpu=skipped')
    _line('Description', 'UID                GuidsNumber')
    _line('Base MAC', f'{mac:<23}16')
    _line('Image VSD', 'N/A')
    _line('Device VSD', 'N/A')
    _line('PSID', psid)
    _line('Security Attributes', 'secure-fw')


def flint(state: State, argv: list[str], trouble: str | None) -> int:
    """Query a device or an image; write an image to a device."""
    image = option(argv, '-i', '--image')
    found = _card(state, argv)
    if image is not None and '-d' not in argv:
        return _query_image(image)
    if found is None:
        print(f'-E- Cannot open Device: {option(argv, "-d")}.')
        return 1
    address, card = found
    part = card['parts']['nic']
    if argv[-1] in ('query', 'q'):
        _info(
            part['pending'] or part['running'],
            part['running'],
            card['facts']['psid'],
            card['facts'].get('mac', '08c0eb53eaec'),
        )
        return 0
    if argv[-1] in ('burn', 'b') and image is not None:
        return _burn(state, address, card, image, trouble)
    print(f'-E- Invalid command: {argv[-1]}')
    return 1


def _said(image: str) -> tuple[str, str] | None:
    found = image_of(image)
    if found is None or found.kind != 'mlnx' or not found.parts:
        return None
    return found.version, str(found.parts[0].fits.get('psid', ''))


def _query_image(image: str) -> int:
    said = _said(image)
    if said is None:
        print(f'-E- Cannot open Image: {image}.')
        return 1
    _info(said[0], None, said[1], 'N/A')
    return 0


def _burn(
    state: State, address: str, card: Document, image: str, trouble: str | None
) -> int:
    said = _said(image)
    if said is None:
        print(f'-E- Cannot open Image: {image}.')
        return 1
    version, psid = said
    mine = card['facts']['psid']
    if psid != mine:
        print(
            f'\n-E- PSID mismatch. Device PSID ({mine}) differs from '
            f'image PSID ({psid}).'
        )
        return 1
    part = card['parts']['nic']
    print(f'\n    Current FW version on flash:  {part["running"]}')
    print(f'    New FW version:               {version}\n')
    if trouble == 'fail':
        print('-E- Burning FS4 image failed: Bad parameters')
        return 1
    print('Burning FW image without signatures - OK')
    if trouble != 'lie':
        state.write_firmware(address, 'nic', version)
    return 0


def _shown(name: str, value: int) -> Any:
    word = _WORDS.get(name, {}).get(value)
    return value if word is None else f'{word}({value})'


def _configuration(address: str, card: Document) -> Document:
    found: Document = {}
    for name, one in card['settings'].items():
        after = after_reset(one)
        found[name] = {
            'read_only': bool(one.get('read_only')),
            'next_value': _shown(name, after),
            'modified': after != one['current'] or after != one['default'],
            'default_value': _shown(name, one['default'] or 0),
            'current_value': _shown(name, one['current']),
        }
    return {
        'Device #1': {
            'device_type': card['facts'].get('type', 'ConnectX7'),
            'name': card['facts'].get('name', 'N/A'),
            'description': card['facts'].get('description', 'N/A'),
            'device': address,
            'tlv_configuration': found,
        }
    }


def config(state: State, argv: list[str], trouble: str | None) -> int:
    """Query the configuration as JSON; set parameters for the next boot."""
    found = _card(state, argv)
    if found is None:
        print('-E- Failed to open the device')
        return 3
    address, card = found
    if argv[-1] in ('query', 'q'):
        return _query(address, card, argv, trouble)
    values = {}
    for word in argv[argv.index('set') + 1 :]:
        name, _, value = word.partition('=')
        if name not in card['settings']:
            print(f'-E- The Device doesn\'t support {name} parameter')
            return 3
        if card['settings'][name].get('read_only'):
            print('-E- Operation is not supported (Read only TLV: nv_x)')
            return 3
        values[name] = int(value)
    if trouble == 'half':
        first = dict([min(values.items())])
        _put(state, address, first)
        print('\nApplying... Failed!')
        print('-E- Failed to set config: Bad parameters')
        return 3
    print('\nApplying... Done!')
    print('-I- Please reboot machine to load new configurations.')
    if trouble != 'lie':
        _put(state, address, values)
    return 0


def _put(state: State, address: str, values: Document) -> None:
    """Write parameters, each where it is: of the function or of its card."""
    own = state.read()['cards'][address]
    for name, value in values.items():
        at = address if name in own['settings'] else own['of']
        state.put(at, {name: value})


def _query(
    address: str, card: Document, argv: list[str], trouble: str | None
) -> int:
    """The configuration, as JSON in a file or as a table.

    Faults: ``no-json`` (4.21 of Debian 12 does not support ``-j``), ``tlv``
    (one parameter cannot be queried, the others can), ``no-current``
    (firmware that cannot report the current values); ``no-json-tlv`` is both
    of the first two.
    """
    path = option(argv, '-j', '--json_format')
    kind = trouble or ''
    if path is not None and kind.startswith('no-json'):
        print('-E- invalid argument: -j\n    NAME:\n        mstconfig')
        return 1
    found = _configuration(address, card)['Device #1']
    said = found['tlv_configuration']
    if kind.endswith('tlv'):
        said.pop(next(iter(said)))
    columns = ['default_value', 'current_value', 'next_value']
    if kind == 'no-current':
        columns.remove('current_value')
        for one in said.values():
            del one['current_value']
    if path is None:
        _table(found, columns)
    else:
        text = json.dumps({'Device #1': found}, indent=3)
        Path(path).write_text(text, 'utf-8')
    if kind.endswith('tlv'):
        print('-E- Failed to query some of the TLVs:\n    Failed to query the '
              'next values of the following TLVs:\n    nv_x ')
        return 3
    if path is not None:
        print(f'Query output saved to {path} successfully')
    return 0


def _table(found: Document, columns: list[str]) -> None:
    """Output of 4.21 (printOpening, printConfHeader, printSingleParam)."""
    print('\nDevice #1:\n----------\n')
    for title, key in (('Device type:', 'device_type'), ('Name:', 'name'),
                       ('Description:', 'description'),
                       ('Device:', 'device')):
        print(f'{title:<16}{found[key]:<16}')
    titles = {'default_value': 'Default', 'current_value': 'Current'}
    heads = [titles[c] for c in columns if c in titles]
    print(f'\n{"Configurations:":<16}{heads[0]:>36}'
          + ''.join(f'{h:>16}' for h in heads[1:]) + f'{"Next Boot":>18}')
    for name, one in found['tlv_configuration'].items():
        differs = len({str(one[c]) for c in columns}) > 1
        mark = ('*' if differs else ' ') + (
            'RO' if one['read_only'] else '  ')
        print(f'{mark}      {name:<36}'
              + ''.join(f'{one[c]!s:<16}' for c in columns))
    print("The '*' shows parameters with next value different from "
          'default/current value.')


def fwreset(state: State, argv: list[str], trouble: str | None) -> int:
    """Reset a card, which activates changes that need a device reset."""
    found = _card(state, argv)
    if found is None:
        print('-E- Failed to open device.')
        return 1
    if trouble == 'fail':
        print('-E- Firmware reset failed, retry operation or reboot machine.')
        return 1
    level = option(argv, '-l', '--level')
    print(f'The reset level for device, {found[0]} is:\n')
    print(f'{level}: Driver restart and PCI reset')
    for step in ('Sending Reset Command To Fw', 'Resetting PCI'):
        print(f'-I- {step:<40}-Done')
    print('-I- FW was loaded successfully.')
    if trouble != 'lie':
        state.reset('device-reset', found[0])
        for at, card in state.read()['cards'].items():
            if card.get('of') == found[0]:
                state.reset('device-reset', at)
    return 0
