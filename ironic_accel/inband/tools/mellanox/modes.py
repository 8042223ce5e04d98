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

"""Modes of NVIDIA's adapters as parameters of mlxconfig, and back.

Names and values of the parameters: ``mlxconfig_host.db`` of mstflint 4.36 and
NVIDIA's MFT manual, Using mlxconfig, Supported Configurations. DPU and NIC
mode: NVIDIA BlueField Modes of Operation, NIC Mode for BlueField-2 and -3.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import re
from typing import Any

from ironic_accel.inband.tools import common
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

NAMES = ('mode', 'sriov', 'vf-limit', 'link-type')

_SWITCH = {'enabled': 1, 'disabled': 0}
_LINKS = {'ib': 1, 'eth': 2}
_MODEL = 'INTERNAL_CPU_MODEL'
_OFFLOAD = 'INTERNAL_CPU_OFFLOAD_ENGINE'
#: Set besides on BlueField-2, which has them; 0 the Arm side, 1 the host.
_OWNERS = ('INTERNAL_CPU_PAGE_SUPPLIER', 'INTERNAL_CPU_ESWITCH_MANAGER',
           'INTERNAL_CPU_IB_VPORT0')
_NUMBER = re.compile(r'(?:.*\()?([0-9]{1,10})\)?')
_PORT = re.compile(r'LINK_TYPE_P(\d+)\Z')

Config = Mapping[str, Any]


def number(value: object) -> int | None:
    """The number of a value: 16, "16" or "True(1)"; otherwise None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _get(config: Config, name: str, when: str) -> int | None:
    return number(common.table(config.get(name)).get(when))


def _word(values: Mapping[str, int], found: int | None) -> str | None:
    return next((w for w, n in values.items() if n == found), None)


def _switch(config: Config, when: str) -> Value | None:
    return _word(_SWITCH, _get(config, 'SRIOV_EN', when))


def _limit(config: Config, when: str) -> Value | None:
    return _get(config, 'NUM_OF_VFS', when)


def _ports(config: Config) -> list[str]:
    found = [m for m in map(_PORT.match, config) if m]
    return [m[0] for m in sorted(found, key=lambda m: int(m[1]))]


def _links(config: Config, when: str) -> Value | None:
    words = [_word(_LINKS, _get(config, p, when)) for p in _ports(config)]
    known = tuple(w for w in words if w is not None)
    return known if len(known) == len(words) else None


def _dpu(config: Config, when: str) -> Value | None:
    """Embedded (1) with the offload engine on (0) is DPU mode, with it off
    (1) NIC mode; the host separated from the Arm side (0) is neither."""
    model = _get(config, _MODEL, when)
    if model == 0:
        return 'separated-host'
    if model != 1:
        return None
    return _word({'dpu': 0, 'nic': 1}, _get(config, _OFFLOAD, when))


#: By mode, the parameter that shows that a device has it, and its reader.
_READERS = {'mode': (_OFFLOAD, _dpu), 'sriov': ('SRIOV_EN', _switch),
            'vf-limit': ('NUM_OF_VFS', _limit),
            'link-type': ('LINK_TYPE_P1', _links)}


def read(config: Config, lacking: str | None,
         names: Collection[str] = NAMES
         ) -> tuple[tuple[Mode, ...], tuple[Unread, ...]]:
    """The modes that a card has, and those that are unread.

    :param names: of the modes that such a card may have.
    :param lacking: why some of the parameters may be missing, or None: only
        then a missing parameter means that the card does not have it.
    """
    found: list[Mode] = []
    unread: list[Unread] = []
    for name, (mark, reader) in _READERS.items():
        if name not in names:
            continue
        said = common.table(config.get(mark))
        if mark not in config and lacking is None:
            continue
        now = reader(config, 'current_value')
        then = reader(config, 'next_value')
        standing = Standing.UNTOLD
        if now is None and mark in config and 'current_value' not in said:
            # Firmware that cannot read what is active.
            standing = Standing.ABSENT
        elif now is None:
            standing = Standing.UNREAD
            unread.append(common.unread(
                'mstconfig', lacking if lacking and mark not in config else
                f'{mark}: unexpected value {said.get("current_value")!r}',
                f'mode:{name}'))
        found.append(Mode(name, now, None if then == now else then,
                          standing=standing))
    return tuple(found), tuple(unread)


def parameters(name: str, wanted: Value | None,
               config: Config) -> dict[str, int]:
    """The parameters to set for a mode.

    :raises: ValueError if the card cannot have that value.
    """
    if name == 'sriov' and wanted in _SWITCH:
        return {'SRIOV_EN': _SWITCH[str(wanted)]}
    if name == 'vf-limit' and isinstance(wanted, int):
        return {'NUM_OF_VFS': wanted}
    if name == 'link-type' and isinstance(wanted, tuple):
        ports = _ports(config)
        if len(ports) == len(wanted) and set(wanted) <= set(_LINKS):
            return {p: _LINKS[w] for p, w in zip(ports, wanted, strict=True)}
        raise ValueError(f'link-type: {", ".join(wanted)} where one of ib '
                         f'and eth for each of {len(ports)} ports was '
                         'expected')
    if name == 'mode' and wanted in ('dpu', 'nic'):
        side = int(wanted == 'nic')
        # The host may not write the model: set only if it differs.
        model = {} if _get(config, _MODEL, 'next_value') == 1 else {_MODEL: 1}
        return {**model, _OFFLOAD: side,
                **{p: side for p in _OWNERS if p in config}}
    raise ValueError(f'{name}: {wanted!r} cannot be set by mstconfig')
