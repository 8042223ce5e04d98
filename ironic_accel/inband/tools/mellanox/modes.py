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
Parameters that a profile sets by their own names: ``model.nv_parameters``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import re
from typing import Any

from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.mellanox.config import NONE
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model import nv_parameters
from ironic_accel.model.nv_parameters import MIXED
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

_SWITCH = {'enabled': 1, 'disabled': 0}
#: By mode, its parameter and its words; a number without any.
_PLAIN: Mapping[str, tuple[str, Mapping[str, int] | None]] = {
    'sriov': ('SRIOV_EN', _SWITCH),
    'vf-limit': ('NUM_OF_VFS', None),
    'relaxed-ordering': ('PCI_WR_ORDERING', {'per-mkey': 0, 'forced': 1}),
    'max-outstanding-read': ('MAX_ACC_OUT_READ', None),
    'roce': ('ROCE_CONTROL', {'default': 0, 'disabled': 1, 'enabled': 2}),
    'pf-log-bar-size': ('PF_LOG_BAR_SIZE', None),
    'vf-log-bar-size': ('VF_LOG_BAR_SIZE', None),
    'option-rom-pxe': ('EXP_ROM_PXE_ENABLE', _SWITCH),
    'option-rom-uefi-x86': ('EXP_ROM_UEFI_x86_ENABLE', _SWITCH),
    'option-rom-uefi-arm': ('EXP_ROM_UEFI_ARM_ENABLE', _SWITCH)}
#: By mode, the parameter of each port and its words.
_PORTS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    'link-type': ('LINK_TYPE', {'ib': 1, 'eth': 2}),
    'qos-trust': ('QOS_TRUST_STATE', {'port': 0, 'pcp': 1, 'dscp': 2,
                                      'dscp-pcp': 3})}
NAMES = ('mode', *_PLAIN, *_PORTS)
#: Parameters that each physical function has for itself (class 3).
PER_FUNCTION = ('PCI_WR_ORDERING', 'ROCE_CONTROL')

_MODEL = 'INTERNAL_CPU_MODEL'
_OFFLOAD = 'INTERNAL_CPU_OFFLOAD_ENGINE'
#: Set besides on BlueField-2, which has them; 0 the Arm side, 1 the host.
_OWNERS = ('INTERNAL_CPU_PAGE_SUPPLIER', 'INTERNAL_CPU_ESWITCH_MANAGER',
           'INTERNAL_CPU_IB_VPORT0')
_NUMBER = re.compile(r'(?:.*\()?([0-9]{1,10})\)?')

Config = Mapping[str, Any]
#: Reads a mode from the column ``current_value`` or ``next_value``.
_Reader = Callable[[Config, str], Value | None]


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


def _plain(parameter: str, words: Mapping[str, int] | None) -> _Reader:
    """The reader of a mode that is one parameter."""
    def read_value(config: Config, when: str) -> Value | None:
        if common.table(config.get(parameter)).get(when) == MIXED:
            return MIXED
        found = _get(config, parameter, when)
        return found if words is None else _word(words, found)
    return read_value


def _ports(config: Config, parameter: str) -> list[str]:
    """The names of a parameter of ports, in the order of the ports."""
    form = re.compile(rf'{parameter}_P(\d+)\Z')
    found = [m for m in map(form.match, config) if m]
    return [m[0] for m in sorted(found, key=lambda m: int(m[1]))]


def _each_port(parameter: str, words: Mapping[str, int]) -> _Reader:
    """The reader of a mode that is a parameter of each port."""
    def read_values(config: Config, when: str) -> Value | None:
        seen = [_word(words, _get(config, name, when))
                for name in _ports(config, parameter)]
        known = tuple(w for w in seen if w is not None)
        return known if known and len(known) == len(seen) else None
    return read_values


def _dpu(config: Config, when: str) -> Value | None:
    """Embedded (1) with the offload engine on (0) is DPU mode, with it off
    (1) NIC mode; the host separated from the Arm side (0) is neither."""
    model = _get(config, _MODEL, when)
    if model == 0:
        return 'separated-host'
    if model != 1:
        return None
    return _word({'dpu': 0, 'nic': 1}, _get(config, _OFFLOAD, when))


def _named(name: str) -> _Reader:
    """The reader of a parameter that a profile sets by its own name."""
    parameter = nv_parameters.find(name)

    def read_value(config: Config, when: str) -> Value | None:
        if common.table(config.get(name)).get(when) == MIXED:
            return MIXED
        return None if parameter is None else parameter.word(
            _get(config, name, when))
    return read_value


#: By mode, the parameter that shows that a device has it, and its reader.
_READERS: Mapping[str, tuple[str, _Reader]] = {
    'mode': (_OFFLOAD, _dpu),
    **{name: (parameter, _plain(parameter, words))
       for name, (parameter, words) in _PLAIN.items()},
    **{name: (f'{parameter}_P1', _each_port(parameter, words))
       for name, (parameter, words) in _PORTS.items()}}


def names(config: Config, product: Product | None) -> tuple[str, ...]:
    """The modes that a card may have, and the parameters of the allow list
    that it reports."""
    if product is None:
        return NAMES
    return (*product.modes, *(
        name for name in config
        if nv_parameters.find(name, product) is not None))


def _rows(names: Collection[str]) -> Iterator[tuple[str, str, _Reader]]:
    for name, (mark, reader) in _READERS.items():
        if name in names:
            yield name, mark, reader
    for name in names:
        if nv_parameters.is_name(name):
            yield name, name, _named(name)


def read(config: Config, lacking: str | None,
         names: Collection[str] = NAMES,
         failed: Mapping[str, str] | None = None, listed: bool = False
         ) -> tuple[tuple[Mode, ...], tuple[Unread, ...]]:
    """The modes that a card has, and those that are unread.

    :param lacking: why some of the parameters may be missing, or None: only
        then a missing parameter means that the card does not have it.
    :param names: of the modes that such a card may have.
    :param failed: why a parameter has no value that counts, by its name.
    :param listed: whether the allow list has parameters for such a card.
    """
    found: list[Mode] = []
    unread: dict[str, list[str]] = {}
    for name, mark, reader in _rows(names):
        said = common.table(config.get(mark))
        if mark not in config and lacking is None:
            continue
        why = (failed or {}).get(mark)
        now = None if why else reader(config, 'current_value')
        then = None if why else reader(config, 'next_value')
        standing = Standing.NOT_REPORTED
        if now is None and mark in config and not why and (
                said.get('current_value', NONE) == NONE):
            # Firmware that cannot read what is active.
            standing = Standing.ABSENT
        elif now is None:
            standing = Standing.UNREAD
            unread.setdefault(why or (
                lacking if lacking and mark not in config else
                f'{mark}: unexpected value '
                f'{said.get("current_value")!r}'), []).append(f'mode:{name}')
        found.append(Mode(name, now, None if then == now else then,
                          standing=standing,
                          read_only=_is_read_only(name, mark, config)))
    if lacking is not None and listed:
        # Which parameters of the allow list are missing, it does not say.
        unread.setdefault(lacking, []).append('mode:*')
    return tuple(found), tuple(
        common.unread('mstconfig', answer, *facts)
        for answer, facts in unread.items())


def parameters(name: str, wanted: Value | None, config: Config,
               product: Product | None = None) -> dict[str, int]:
    """The parameters to set for a mode.

    :param product: the card's; a parameter by its own name is set only if
        the allow list has it for such a product.
    :raises: ValueError if the card cannot have that value.
    """
    if name in _PLAIN:
        parameter, words = _PLAIN[name]
        if words is None and type(wanted) is int:
            return {parameter: wanted}
        if words is not None and wanted in words:
            return {parameter: words[str(wanted)]}
    if name in _PORTS and isinstance(wanted, tuple):
        parameter, words = _PORTS[name]
        ports = _ports(config, parameter)
        if len(ports) == len(wanted) and set(wanted) <= set(words):
            return {p: words[w] for p, w in zip(ports, wanted, strict=True)}
        raise ValueError(f'{name}: {", ".join(wanted)} where one of '
                         f'{", ".join(words)} for each of {len(ports)} ports '
                         'was expected')
    if name == 'mode' and wanted in ('dpu', 'nic'):
        side = int(wanted == 'nic')
        # The host may not write the model: set only if it differs.
        model = {} if _get(config, _MODEL, 'next_value') == 1 else {_MODEL: 1}
        return {**model, _OFFLOAD: side,
                **{p: side for p in _OWNERS if p in config}}
    if nv_parameters.is_name(name) and wanted is not None:
        return {name: _allowed(name, wanted, product)}
    raise ValueError(f'{name}: {wanted!r} cannot be set by mstconfig')


def _allowed(name: str, wanted: Value, product: Product | None) -> int:
    """The number to set, if the allow list has the parameter."""
    found = None if product is None else nv_parameters.find(name, product)
    if found is None:
        raise ValueError(
            f'{name}: it is not in the allow list of NV configuration '
            f'parameters for {product.name if product else "this card"}')
    return found.number(wanted)


def _is_read_only(name: str, mark: str, config: Config) -> bool:
    """Whether a parameter of a mode cannot be written from this host."""
    of_it = (_ports(config, _PORTS[name][0]) if name in _PORTS
             else (mark, *_OWNERS) if name == 'mode' else (mark,))
    return any(common.table(config.get(p)).get('read_only') is True
               for p in of_it)
