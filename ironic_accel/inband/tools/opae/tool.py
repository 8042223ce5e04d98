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

"""Intel FPGA cards, by the tools of OPAE.

Sources: OPAE SDK (github.com/OFS/opae-sdk): ``tools/fpgainfo/fpgainfo.c``
(fpgainfo_print_common), ``libraries/libboard/board_*`` (the lines of the
board's controller), ``python/opae.admin/opae/admin/tools/fpgasupdate.py``
(block 0 of a signed file; what it says) and ``doc/src/fpga_tools/rsu/rsu.md``.

A signed file may also cancel keys or program a root hash, which cannot be
undone, and which ``--yes`` allows: such files are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
import re
import struct
from typing import ClassVar

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

INFO = 'fpgainfo'
UPDATE = 'fpgasupdate'
RSU = 'rsu'

_LINE = re.compile(r'^(?P<key>[A-Za-z][\w:. ]*?)\s*:\s+(?P<value>\S.*?)\s*$',
                   re.MULTILINE)
_ADDRESS = re.compile(r'^PCIe s:b:d\.f\s*:\s*(\S+)\s*$', re.MULTILINE)
#: D5005, N3000 and N5010 print it with a comma and "MAX10", N6000, C6100 and
#: CMC without, A10GX with "microcontroller" and where dfl drives it "Not
#: Supported".
_BMC = re.compile(
    r'^Board Management Controller,? (?:MAX10 )?(?:NIOS|microcontroller) '
    r'FW version:?[ \t]+(\S.*?)[ \t]*$', re.MULTILINE)
_NOT_TOLD = 'Not Supported'
_DONE = 'Secure update OK'
#: Block 0: magic, length, type; of the type, the kind and what it is for.
_MAGIC = 0xb6eafd19
_KINDS = {0: 'fim', 1: 'bmc', 2: 'afu'}
#: What loads a written component: command and page of rsu.
_LOADS = {'fim': ('fpga', '--page=user1'), 'bmc': ('bmc', '--page=user')}


def kind_of(path: str) -> str | None:
    """``fim``, ``bmc`` or ``afu``; None for anything but a signed update."""
    try:
        with open(path, 'rb') as file:
            head = file.read(12)
    except OSError:
        return None
    if len(head) < 12:
        return None
    magic, _, kind = struct.unpack('<III', head)
    if magic != _MAGIC or kind & 0xff00:
        return None
    return _KINDS.get(kind & 0xff)


def parse_fme(text: str) -> tuple[Component, ...]:
    """The components in the report of fpgainfo about one card."""
    values = {m['key']: m['value'] for m in _LINE.finditer(text)}
    parts = []
    fim = common.text_of(values.get('Bitstream Version'))
    if fim is not None:
        parts.append(Component('fim', 'Bitstream', fim))
    bmc = _BMC.search(text)
    if bmc is not None:
        absent = bmc[1] == _NOT_TOLD
        parts.append(Component(
            'bmc', 'Board Management Controller',
            None if absent else bmc[1],
            standing=Standing.ABSENT if absent else Standing.REPORTED))
    return tuple(parts)


class Opae(common.BaseFamily):
    """PAC, N6000 and C6100 cards with the dfl or intel-fpga driver."""

    name = 'opae'
    # fpgasupdate and rsu work through these drivers (python/opae.admin,
    # fpga.py, PCI_DRIVER).
    beside: Beside = (('update', 'dfl-pci'), ('update', 'intel-fpga-pci'),
                      ('reset', 'dfl-pci'), ('reset', 'intel-fpga-pci'))
    # OPAE SDK, python/opae.admin/setup.py; rsu loads what was written.
    flashers: ClassVar[Flashers] = {
        'fpgasupdate': frozenset(), 'fpgaflash': frozenset(),
        'fpgaotsu': frozenset(), 'super-rsu': frozenset(),
        'rsu': frozenset()}

    def claims(self, function: Function, product: Product | None) -> bool:
        """Intel devices that the catalogue knows as FPGA cards."""
        return (function.vendor_id == '8086' and product is not None
                and product.kind == 'fpga')

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """Versions."""
        return ('firmware',)

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """One report per card."""
        if host.which(INFO) is None:
            return ToolReading(warnings=(common.missing(INFO),))
        told: dict[str, DeviceReading] = {}
        for function in common.first_functions(functions):
            unread: list[Unread] = []
            parts = self._ask(host, function.address, unread)
            told[function.address] = DeviceReading(components=parts,
                                          unread=tuple(unread))
        return ToolReading(told)

    def _ask(self, host: Machine, address: str,
             unread: list[Unread]) -> tuple[Component, ...]:
        domain, bus, rest = address.split(':')
        slot, _, function = rest.partition('.')
        ran = host.run((INFO, 'fme', '-S', f'0x{domain}', '-B', f'0x{bus}',
                        '-D', f'0x{slot}', '-F', f'0x{function}'),
                       common.ASK)
        seen = [common.bdf(a) for a in _ADDRESS.findall(ran.out)]
        parts = parse_fme(ran.out) if seen == [address] else ()
        if not ran.ok or not parts:
            unread.append(common.unread(INFO, common.said(INFO, ran),
                                        'firmware'))
            return ()
        unread += [common.unread(INFO, 'the line is missing in its report',
                                 f'firmware:{name}') for name in _LOADS
                   if name not in {p.name for p in parts}]
        return parts

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """FIM and board controller, with versions that can be read back."""
        if host.which(UPDATE) is None or device.address is None:
            return frozenset()
        return frozenset(_LOADS) & {c.name for c in device.components
                                    if c.running is not None}

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Write a signed file to one card. The new version is visible once rsu
        or a power cycle has loaded it; until then the tool's output counts."""
        kind = kind_of(image.path)
        wrong = [i for i in items if i.name != kind]
        if wrong or device.address is None:
            return common.misfit(device, items, 'component',
                                 items[0].name, kind)
        progress(f'writing {kind} of {device.address}', None)
        ran = host.run((UPDATE, '--yes', image.path, device.address),
                       common.FLASH, flash=True)
        if ran.timed_out:
            return common.still_running(device, items, UPDATE, ran)
        unread: list[Unread] = []
        after = self._ask(host, device.address, unread)
        if ran.ok and _DONE in ran.out and after:
            return common.ok(device, items)
        return common.failures(
            device, items, common.said(UPDATE, ran) if after
            else unread[0].answer, error_class=ErrorClass.NEEDS_OPERATOR)

    def resets(self, host: Machine, device: Device) -> Activation:
        """A power cycle of the card alone."""
        if host.which(RSU) is None or device.address is None \
                or device.component('fim') is None:
            return Activation.NONE
        return Activation.DEVICE_RESET

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Load what was written: first the board controller, then the FPGA.

        ``--force``, which does not ask the driver, is never used.
        """
        names = [n for n in ('bmc', 'fim') if device.component(n)]
        for name in names:
            command, page = _LOADS[name]
            progress(f'loading {name} of {device.address}', None)
            ran = host.run((RSU, command, page, device.address or ''),
                           common.RESET)
            if not ran.ok:
                return common.reset_failed(device, common.said(RSU, ran))
        unread: list[Unread] = []
        if self._ask(host, device.address or '', unread):
            return ()
        return common.reset_failed(device, unread[0].answer)
