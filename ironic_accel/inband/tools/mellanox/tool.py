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

"""NVIDIA's (Mellanox) adapters and BlueField, by the mstflint tools.

Sources, all of mstflint 4.36 (github.com/Mellanox/mstflint):
``flint/subcommands.cpp``, QuerySubCommand::printInfo, for the lines of a
query; ``small_utils/mstfwreset.py`` for the reset. The configuration is
``config``'s. BlueField's modes: NVIDIA BlueField Modes of Operation
(DOCA documentation).

A BFB (the image of BlueField's Arm side) is written by ``rshim``.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import ClassVar

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine import pci_functions
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.inband.tools.mellanox import config
from ironic_accel.inband.tools.mellanox.config import Config
from ironic_accel.inband.tools.mellanox import modes
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model import device_marks
from ironic_accel.model import nv_parameters
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import version

VENDOR = '15b3'
MSTFLINT = 'mstflint'
CONFIG = config.TOOL
FWRESET = 'mstfwreset'

#: Commands of flint and mstflint that write.
_WRITES = frozenset({
    'b', 'burn', 'bb', 'brom', 'drom', 'e', 'erase', 'fi', 'sg', 'smg', 'sv',
    'set_vpd', 'set_key', 'set_public_keys', 'set_forbidden_versions',
    'reset_cfg', 'ww', 'wwne', 'wb', 'wbne', 'ir', 'image_reactivation'})
#: PCI reset of the network device and driver restart (mstfwreset --level).
_PCI_RESET = '3'
_LOADED = 'FW was loaded successfully'
_LINE = re.compile(r'(?P<key>[A-Z][^:\n]*?):[ \t]+(?P<value>\S.*?)\s*$',
                   re.MULTILINE)


def parse_query(text: str) -> Mapping[str, str]:
    """The ``Key:   value`` lines of ``mstflint query``, first ones."""
    found: dict[str, str] = {}
    for match in _LINE.finditer(text):
        found.setdefault(match['key'], match['value'])
    return found


def firmware(query: Mapping[str, str]) -> Component | None:
    """The firmware component of a query; None if it has no version.

    ``FW Version`` is the image in flash. The line ``FW Version(Running)`` is
    printed only if another one runs; the image in flash is then pending.
    """
    stored = device_marks.clean_text(query.get('FW Version'))
    running = device_marks.clean_text(query.get('FW Version(Running)'))
    if stored is None:
        return None
    return Component('nic', 'FW', running or stored,
                     stored if running else None, shows_pending=True)


class Mellanox(common.BaseFamily):
    """ConnectX and BlueField cards."""

    name = 'mellanox'
    # mstflint's README: devices are accessed while the driver is loaded, by
    # their first function; mstfwreset stops and starts the driver itself
    # (small_utils/mstfwreset.py, stopDriver).
    beside: Beside = (
        ('update', 'mlx5_core'), ('set', 'mlx5_core'), ('reset', 'mlx5_core'))
    # mstflint 4.36: flint/cmd_line_parser.cpp, SubCmdMetaData;
    # mlxfwupdate/cmd_line_parser.cpp: -i alone only reads an image file.
    flashers: ClassVar[Flashers] = {
        MSTFLINT: _WRITES, 'flint': _WRITES,
        'mstfwmanager': frozenset({'-u', '--update'}),
        'mlxfwmanager': frozenset({'-u', '--update'})}

    def claims(self, function: Function, product: Product | None) -> bool:
        """Network functions of PCI vendor 15b3."""
        return (function.vendor_id == VENDOR
                and function.class_code.startswith('02'))

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """PSID, firmware, modes and parameters of the allow list."""
        return ('identity', 'firmware:nic', *(
            f'mode:{m}' for m in modes.NAMES
            if product is None or m in product.modes),
            *(('mode:*',) if nv_parameters.names(product) else ()))

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """Firmware and PSID by mstflint, modes by mstconfig."""
        told: dict[str, DeviceReading] = {}
        for function in common.first_functions(functions):
            at = function.address
            unread: list[Unread] = []
            query = self._query(host, at, unread)
            settings = Config() if host.which(CONFIG) is None else (
                _settings(host, at, [f.address for f in functions
                                     if f.card == function.card]))
            product = common.product_of(function)
            found, more = modes.read(
                settings.parameters, settings.lacking,
                modes.names(settings.parameters, product), settings.unread,
                bool(nv_parameters.names(product)))
            part = firmware(query)
            told[at] = DeviceReading(
                fit=Fit(psid=device_marks.clean_text(query.get('PSID'))),
                components=(part,) if part else (), modes=found,
                unread=(*unread, *more))
        return ToolReading(told, tuple(common.missing(tool) for tool in (
            MSTFLINT, CONFIG) if host.which(tool) is None))

    def _query(self, host: Machine, address: str,
               unread: list[Unread]) -> Mapping[str, str]:
        """The device's answer about its flash; empty if there is none."""
        if host.which(MSTFLINT) is None:
            return {}
        ran = host.run((MSTFLINT, '-d', address, '-qq', 'query'), common.ASK)
        found = parse_query(ran.out)
        if ran.ok and 'FW Version' in found and 'PSID' in found:
            return found
        unread.append(common.unread(
            MSTFLINT, common.said(MSTFLINT, ran)
            if not ran.ok or not found else
            'its output has no FW Version and PSID', 'identity',
            'firmware:nic'))
        return {}

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """The firmware, if mstflint is installed and reported the PSID."""
        if (host.which(MSTFLINT) is None or device.address is None
                or device.component('nic') is None
                or device.fit.psid is None):
            return frozenset()
        return frozenset({'nic'})

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """The modes and parameters that mstconfig reported."""
        if host.which(CONFIG) is None or device.address is None:
            return frozenset()
        return frozenset(
            m.name for m in device.modes if not m.read_only and (
                m.name in modes.NAMES or nv_parameters.find(
                    m.name, device.product or '') is not None))

    def resets(self, host: Machine, device: Device) -> Activation:
        """A PCI reset of a ConnectX. A BlueField cannot be reset so while
        its Arm side is up: left to the host's power cycle."""
        if (host.which(FWRESET) is None or device.address is None
                or device.kind != 'nic'):
            return Activation.NONE
        return Activation.DEVICE_RESET

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Write the image, if its PSID is the device's, and read it back.

        ``-allow_psid_change`` is never given, forced or not.
        """
        assert device.address is not None  # noqa: S101 - see updates
        unread: list[Unread] = []
        before = self._query(host, device.address, unread)
        if not before:
            return common.failures(device, items, unread[0].answer)
        ran = host.run((MSTFLINT, '-i', image.path, '-qq', 'query'),
                       common.ASK)
        inside = parse_query(ran.out)
        if inside.get('PSID') != before['PSID']:
            return common.misfit(device, items, 'PSID', before['PSID'],
                                 inside.get('PSID')
                                 or common.said(MSTFLINT, ran))
        for item in items:
            if not version.same(inside.get('FW Version'), str(item.wanted),
                                'dotted'):
                return common.misfit(device, items, 'version',
                                     str(item.wanted),
                                     inside.get('FW Version'))
        progress(f'writing {device.address}', None)
        ran = host.run((MSTFLINT, '-d', device.address, '-i', image.path, '-y',
                        'burn'), common.FLASH, flash=True)
        if ran.timed_out:
            return common.still_running(device, items, MSTFLINT, ran)
        return self._check(host, device, items, ran_said=common.said(
            MSTFLINT, ran), wanted=inside['FW Version'])

    def _check(self, host: Machine, device: Device, items: Sequence[Item], *,
               ran_said: str, wanted: str) -> tuple[Result, ...]:
        """Whether the flash now holds what was written."""
        unread: list[Unread] = []
        after = self._query(host, device.address or '', unread)
        if after.get('FW Version') == wanted:
            return common.ok(device, items)
        return common.failures(
            device, items, ran_said, expected=wanted,
            seen=after.get('FW Version') or unread[0].answer)

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Set parameters for the next boot, and read them back.

        One call for each physical function sets all of its parameters:
        several may have to change together. The tool reports success or
        failure for all of them only.
        """
        assert device.address is not None  # noqa: S101 - see sets
        together = _functions(host, device.address)
        before = _settings(host, device.address, together)
        if not before.parameters:
            return common.failures(device, items, before.lacking or '')
        product = common.product_named(device.product)
        out: list[Result] = []
        wanted: dict[str, dict[str, int]] = {}
        for item in items:
            try:
                found = modes.parameters(
                    item.name, item.wanted, before.parameters, product)
                _check_writable(found, before)
            except ValueError as exc:
                out += common.failures(device, [item], str(exc))
                continue
            wanted[item.name] = found
        values = {k: v for some in wanted.values() for k, v in some.items()}
        if not values:
            return tuple(out)
        said = _write(host, device.address, before.functions, values,
                      progress)
        after = _settings(host, device.address, together)
        for item in items:
            if item.name in wanted:
                out += _taken(device, item, wanted[item.name], after, said)
        return tuple(out)

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Reset the card; the output has to say that the firmware was loaded.
        """
        if device.address is None or device.kind != 'nic':
            return common.reset_failed(device, 'not a ConnectX with '
                                       'a PCI address')
        progress(f'resetting {device.address}', None)
        ran = host.run((FWRESET, '-d', device.address, '-l', _PCI_RESET,
                        '-y', 'reset'), common.RESET)
        if ran.ok and _LOADED in ran.out:
            return ()
        return common.reset_failed(device, common.said(FWRESET, ran))


def _settings(host: Machine, address: str, together: Sequence[str]
              ) -> Config:
    """The configuration of a card, with that of its other physical functions
    for the parameters that each has for itself.

    :param together: the addresses of all of them.
    """
    first = config.query(host, address)
    if not any(name in first.parameters for name in modes.PER_FUNCTION):
        return first
    return config.joined(first, {
        other: config.query(host, other)
        for other in together if other != address},
        modes.PER_FUNCTION)


def _functions(host: Machine, address: str) -> tuple[str, ...]:
    """The physical network functions of a card, by their addresses."""
    card = address.rpartition('.')[0]
    found = pci_functions.bus(host, (VENDOR,)).functions
    return tuple(f.address for f in found
                 if f.card == card and f.class_code.startswith('02'))


def _check_writable(values: Mapping[str, int], before: Config) -> None:
    """Refuse parameters that the card does not let this host write.

    :raises: ValueError naming them.
    """
    no = [name for name in values if before.is_read_only(name)]
    if no:
        raise ValueError(
            f'{", ".join(no)}: mstconfig reports it as read-only for this '
            'host (a DPU whose Arm side restricts its host, or a value that '
            'the card\'s maker fixed)')


def _write(host: Machine, address: str,
           functions: Mapping[str, Sequence[str]],
           values: Mapping[str, int], progress: Progress) -> str:
    """Set parameters, those of a function on each that has them; what the
    tool printed last, or where it failed."""
    progress(f'setting {", ".join(sorted(values))}', None)
    calls: dict[str, Mapping[str, int]] = {address: values}
    for name, addresses in functions.items():
        for at in addresses if name in values else ():
            calls[at] = {**calls.get(at, {}), name: values[name]}
    said = ''
    for at, some in calls.items():
        ran = host.run((CONFIG, '-d', at, '-y', 'set', *(
            f'{name}={value}' for name, value in sorted(some.items()))),
            common.CHANGE)
        said = common.said(CONFIG, ran)
        if not ran.ok:
            break
    return said


def _taken(device: Device, item: Item, wanted: Mapping[str, int],
           after: Config, said: str) -> tuple[Result, ...]:
    """Whether the parameters of one mode wait for the next boot now."""
    for name, value in wanted.items():
        if modes.number(after.next_value(name)) != value:
            seen = after.next_value(name)
            said = after.unread.get(name, said)
            return common.failures(
                device, [item], said, expected=f'{name}={value}',
                seen=str(seen) if seen is not None
                else after.lacking or 'not reported')
    return common.ok(device, [item])
