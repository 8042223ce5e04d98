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

"""nvidia-smi (only its reset) and nvidia_gpu_tools.py.

Output of the latter after NVIDIA gpu-admin-tools v2025.10.20:
``cli/main.py`` (first lines and log format) and ``cli/per_gpu.py``,
``cli/per_gpu_nvswitch.py``. The message of nvidia-smi for a GPU in use is
that of drivers since 515 (NVIDIA/NVSentinel, issue 1690); only its exit
status is documented (nvidia-smi(1)).
"""

from __future__ import annotations

import sys

from ironic_accel_emulator.inside.tools.state import Document, State, option


def smi(state: State, argv: list[str], trouble: str | None) -> int:
    """Reset one GPU."""
    address = option(argv, '-i', '--id')
    card = state.card(address)
    if card is None or '-r' not in argv:
        print('No devices were found')
        return 6
    if trouble == 'fail' or card['facts'].get('processes'):
        print('The following GPUs could not be reset:\n'
              f'  GPU 0000{address}: In use by another client\n\n'
              '1 device is currently being used by one or more other '
              'processes (e.g., Fabric Manager, CUDA application, graphics '
              'application such as an X server, or a monitoring application '
              'such as another instance of nvidia-smi). Please first kill '
              'all processes using this device and all compute applications '
              'running in the system.')
        return 255
    if trouble != 'lie':
        state.reset('device-reset', address)
    print(f'GPU {address} was successfully reset.\nAll done.')
    return 0


def _log(level: str, message: str) -> None:
    print(f'2026-01-01,00:00:00.000 {level:<8} {message}', file=sys.stderr)


def admin(state: State, argv: list[str], trouble: str | None) -> int:
    """Query and set the confidential computing modes of one GPU."""
    print('NVIDIA GPU Tools version v2025.10.20o')
    print(f'Command line arguments: {["nvidia_gpu_tools.py", *argv]}')
    address = option(argv, '--devices')
    card = state.card(address)
    if card is None or address is None:
        _log('WARNING', f'No device found at BDF {address}')
        _log('ERROR', f'No devices found matching: {address}')
        return 1
    name = f'GPU {address} {card["facts"]["name"]} 0x2330 BAR0 0x2b042000000'
    _log('INFO', f'Selected {name}')
    if '--reset-with-os' in argv and trouble == 'fail':
        _log('ERROR', f'{name} reset failed')
        return 1
    if '--reset-with-os' in argv:
        state.reset('device-reset', address)
    for key, title, words in (
        ('cc', 'CC', ('off', 'on', 'devtools')),
        ('ppcie', 'PPCIe', ('off', 'on')),
    ):
        wanted = option(argv, f'--set-{key}-mode')
        if wanted is None:
            continue
        if wanted not in words:
            print(f'nvidia_gpu_tools.py: error: argument --set-{key}-mode: '
                  f'invalid choice: {wanted!r}', file=sys.stderr)  # fmt: skip
            return 2
        _set(state, argv, address, name, (key, title, wanted), trouble)
    return _query(state.card(address) or {}, argv, name)


def _set(
    state: State,
    argv: list[str],
    address: str,
    name: str,
    change: tuple[str, str, str],
    trouble: str | None,
) -> None:
    key, title, wanted = change
    if trouble != 'lie':
        state.put(address, {key: wanted})
    _log('INFO', f'{name} {title} mode set to {wanted}. It will be active '
         'after GPU reset.')  # fmt: skip
    if f'--reset-after-{key}-mode-switch' in argv:
        state.reset('device-reset', address)
        _log('INFO', f'{name} was reset to apply the new {title} mode.')


def _query(card: Document, argv: list[str], name: str) -> int:
    for option_name, key, title in (
        ('--query-cc-mode', 'cc', 'CC'),
        ('--query-ppcie-mode', 'ppcie', 'PPCIe'),
    ):
        if option_name not in argv:
            continue
        found = card['settings'].get(key)
        if found is None:
            _log('ERROR', f'Querying {title} mode is not supported on {name}')
            return 1
        _log('INFO', f'{name} {title} mode is {found["current"]}')
    return 0
