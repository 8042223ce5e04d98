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
"""The boot stream (BFB) of a BlueField's Arm side, over rshim.

Sources: rshim-user-space (github.com/Mellanox/rshim-user-space):
``src/rshim_fuse.c`` (/dev/rshimN/misc), ``src/rshim_pcie.c`` (DEV_NAME),
``scripts/bfb-install`` (what it waits for), ``scripts/mlx-mkbfb`` (header of
an image in the stream), ``scripts/bfb-tool`` (the image ``info``).

rshim does not report which version runs: its component has none, and an update
is verified by what the card's own BMC reports (``DPU_OS``). Without that the
update is refused, as everything that cannot be verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import re
import struct
from typing import BinaryIO
from typing import ClassVar

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model import strict_json

TOOL = 'bfb-install'
PART = 'bfb'
#: What a stream installs besides the system of the Arm side.
COLLATERAL = ('atf', 'uefi', 'nic', 'bmc', 'erot')

_LINE = re.compile(r'^(?P<key>[A-Z_]+)\s+(?P<value>\S.*?)\s*$', re.MULTILINE)
_NAME = re.compile(r'pcie-(?:lf-)?(\S+)')
_CHIP = re.compile(r'BlueField-(\d)')
#: Messages at the end of the installation (``filter0`` of the tool).
_DONE = re.compile(r'Rebooting\.\.\.|Installation finished|DPU is ready|'
                   'Linux up|In Enhanced NIC mode')
#: Messages of the card or the tool about a failure.
_FAILED = re.compile(r'CRITICAL ERROR|^\s*ERR\[|^Error|update failed\s*$',
                     re.IGNORECASE | re.MULTILINE)
#: What is no failure: the NIC's new firmware is in its flash, and its card
#: could not be reset from inside. The catalogue asks for the power cycle
#: that loads it anyway.
_WAITS = re.compile(r'NIC Firmware reset (?:failed|is not supported)',
                    re.IGNORECASE)
_MAGIC = 0x13026642
_HEADER = struct.Struct('<QQQ')
_INFO = 50
_MOST_INFO = 1 << 20


def misc(host: Machine, node: str) -> Mapping[str, str]:
    """The first line of each key that an rshim device reports."""
    found: dict[str, str] = {}
    for match in _LINE.finditer(host.read(f'/dev/{node}/misc') or ''):
        found.setdefault(match['key'], match['value'])
    return found


def nodes(host: Machine) -> dict[str, tuple[str, str | None]]:
    """By card, the rshim device (``rshim0``) and the chip's generation.

    An rshim over USB has no PCI address, so its card is unknown.
    """
    found = {}
    for node in host.names('/dev'):
        if not re.fullmatch(r'rshim\d+', node):
            continue
        said = misc(host, node)
        name = _NAME.fullmatch(said.get('DEV_NAME', ''))
        address = common.bdf(name[1]) if name else None
        if address is not None:
            chip = _CHIP.match(said.get('DEV_INFO', ''))
            found[address.rpartition('.')[0]] = (
                node, chip[1] if chip else None)
    return found


def contents(path: str) -> Mapping[str, str] | None:
    """What a stream contains, as it says: versions by name (``BF3_BSP``).

    Empty if it does not say; None if it is no boot stream.
    """
    try:
        with open(path, 'rb') as file:
            for kind, body in _images(file):
                if kind == _INFO:
                    return _members(body)
            return {}
    except (OSError, ValueError):
        return None


def _images(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Kinds of the images in a stream, and the body of the information.

    :raises: ValueError if it is no stream.
    """
    while head := file.read(_HEADER.size):
        if len(head) < _HEADER.size:
            raise ValueError('the file is truncated')
        word, sizes, _ = _HEADER.unpack(head)
        if word & 0xffffffff != _MAGIC:
            raise ValueError('no boot stream header')
        kind, length = word >> 56, sizes & 0xffffffff
        body = b''
        if kind == _INFO and length <= _MOST_INFO:
            body = file.read(length)
            file.seek(-len(body), 1)
        yield kind, body
        file.seek((length + 7) & ~7, 1)


def _members(body: bytes) -> Mapping[str, str]:
    try:
        raw = strict_json.parse(body)
    except ValueError:
        return {}
    return {str(m.get('Name')): str(m.get('Version'))
            for m in common.rows(common.table(raw).get('Members'))}


class Rshim(common.BaseFamily):
    """BlueField cards with an rshim device on this host."""

    name = 'rshim'
    # bfb-install unbinds this driver itself if the card needs that.
    beside: Beside = (('update', 'mlx5_core'),)
    # rshim-user-space, man/bfb-install.8
    flashers: ClassVar[Flashers] = {TOOL: frozenset()}

    def claims(self, function: Function, product: Product | None) -> bool:
        """DPUs of PCI vendor 15b3."""
        return (function.vendor_id == '15b3' and product is not None
                and product.kind == 'dpu')

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """Nothing: rshim only shows that the card can be written."""
        return ()

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """The component, without a version; the card is not asked."""
        found = nodes(host)
        told: dict[str, DeviceReading] = {}
        for function in common.first_functions(functions):
            node, _ = found.get(function.card, (None, None))
            if node is not None:
                told[function.address] = DeviceReading(
                    components=(Component(PART, node),))
        warnings: tuple[Warned, ...] = ()
        if told and host.which(TOOL) is None:
            warnings = (common.missing(TOOL),)
        return ToolReading(told, warnings)

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """The boot stream, if an rshim device and its tool exist."""
        if host.which(TOOL) is None or _node(host, device) is None:
            return frozenset()
        return frozenset({PART})

    def also_writes(self, host: Machine, device: Device, part: str
                    ) -> tuple[str, ...]:
        """The card's other firmware, which a stream contains too."""
        return COLLATERAL if part == PART else ()

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Push the stream to one card, which installs it."""
        found = _node(host, device)
        if found is None:
            return common.failures(device, items,
                                   'the rshim device of the card is gone')
        node, chip = found
        inside = contents(image.path)
        if inside is None:
            return common.misfit(device, items, 'kind of device',
                                 'a BlueField boot stream', None)
        chips = {n[2] for n in inside if re.match(r'BF\d_', n)}
        if chip is not None and chips and chip not in chips:
            return common.misfit(
                device, items, 'chip', f'BlueField-{chip}',
                ', '.join(f'BlueField-{c}' for c in sorted(chips)))
        progress(f'installing through {node}', None)
        ran = host.run((TOOL, '--bfb', image.path, '--rshim', node),
                       common.FLASH, flash=True)
        if ran.timed_out:
            return common.still_running(device, items, TOOL, ran)
        return _judged(device, items, ran)


def _node(host: Machine, device: Device) -> tuple[str, str | None] | None:
    if device.address is None:
        return None
    return nodes(host).get(device.address.rpartition('.')[0])


def _judged(device: Device, items: Sequence[Item], ran: Ran
            ) -> tuple[Result, ...]:
    """The result from the end of the card's log; the exit status of the tool
    does not include the result of the card. Each line counts by itself."""
    wrong = [x for x in (*ran.out.splitlines(), *ran.err.splitlines())
             if _FAILED.search(x) and not _WAITS.search(x)]
    if ran.ok and not wrong and _DONE.search(ran.out):
        return common.ok(device, items)
    return common.failures(
        device, items, common.tell(wrong[-1]) if wrong
        else common.said(TOOL, ran), error_class=ErrorClass.NEEDS_OPERATOR)
