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

"""AMD (Xilinx) Alveo and Versal cards, by xbmgmt.

Sources: XRT (github.com/Xilinx/XRT), ``xbmgmt2/ReportPlatform.cpp`` (JSON of
examine -r platform), ``common/XBHelpMenus.cpp`` (the object around it),
``xbmgmt2/OO_UpdateBase.cpp`` (program --base), and struct axlf of
``xclbin.h`` (the header of an xsabin).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import os
import re
import tempfile
from typing import Any
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
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread

TOOL = 'xbmgmt'

#: By component, the message of a successful write.
_DONE = {'shell': 'Base flash image has been programmed successfully.',
         'sc': 'SC firmware image has been programmed successfully.'}
_MAGIC = b'xclbin2\0'
#: Of m_platformVBNV in struct axlf.
_VBNV_AT, _VBNV_SIZE = 352, 64
#: What a satellite controller without a version says (flasher.cpp), and the
#: form of one: where its driver answers with an error, that is printed in
#: its place (XRT, pull request 3201).
_NO_VERSION = ('INACTIVE', 'UNKNOWN')
_VERSION = re.compile(r'[0-9]+(?:\.[0-9]+)*(?:\(FIXED\))?')


def platform_of(path: str) -> str | None:
    """The platform (VBNV) that an xsabin is for, or None."""
    try:
        with open(path, 'rb') as file:
            header = file.read(_VBNV_AT + _VBNV_SIZE)
    except OSError:
        return None
    if not header.startswith(_MAGIC):
        return None
    raw = header[_VBNV_AT:].partition(b'\0')[0]
    return common.text_of(raw.decode('ascii', errors='replace'))


def board_of(platform: str | None) -> str | None:
    """``u55c`` of ``xilinx_u55c_gen3x16_xdma_base_3``."""
    fields = (platform or '').split('_')
    return fields[1] if len(fields) > 2 and fields[0] == 'xilinx' else None


class Alveo(common.BaseFamily):
    """Cards with a management function that XRT drives."""

    name = 'alveo'
    # xbmgmt works through XRT's drivers (XRT, core/pcie/driver/linux).
    beside: Beside = (('update', 'xclmgmt'), ('update', 'xocl'))
    # XRT, tools/xbmgmt2/xbmgmt.cpp and tools/xbflash2
    flashers: ClassVar[Flashers] = {
        'xbmgmt': frozenset({'program'}), 'xbflash2': frozenset({'program'})}

    def claims(self, function: Function, product: Product | None) -> bool:
        """Functions of PCI vendor 10ee that the catalogue knows."""
        return (function.vendor_id == '10ee' and product is not None
                and product.kind == 'fpga')

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """Identity and versions."""
        return ('identity', 'firmware')

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """One report per card, of its first (management) function."""
        if host.which(TOOL) is None:
            return ToolReading(warnings=(common.missing(TOOL),))
        told: dict[str, DeviceReading] = {}
        for function in common.first_functions(functions):
            unread: list[Unread] = []
            found = self._examine(host, function.address, unread)
            told[function.address] = (
                _reading(found) if found
                else DeviceReading(unread=tuple(unread)))
        return ToolReading(told)

    def _examine(self, host: Machine, address: str,
                 unread: list[Unread]) -> Mapping[str, Any]:
        """The platform report; empty if there is none."""
        with tempfile.TemporaryDirectory(prefix='xbmgmt-') as folder:
            path = os.path.join(folder, 'platform.json')
            ran = host.run((TOOL, 'examine', '-d', address, '-r', 'platform',
                            '-f', 'JSON', '-o', path), common.ASK)
            raw = common.json_file(path)
        for device in common.rows(common.table(raw).get('devices')):
            found = common.table(device.get('platform'))
            if ran.ok and common.bdf(found.get('bdf')) == address:
                return found
        unread.append(common.unread(
            TOOL, common.said(TOOL, ran) if not ran.ok or raw is None
            else 'the card is not in its report', 'identity', 'firmware'))
        return {}

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """Shell and satellite controller, unless the latter is fixed."""
        if host.which(TOOL) is None or device.address is None:
            return frozenset()
        return frozenset(c.name for c in device.components
                         if c.name in _DONE and c.updateable is not False)

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Write to one card. The new version is not visible before the reset:
        until then the tool's messages count, and that the card still responds.

        Only the named image is written: ``--base all`` would write both, and
        does nothing, with status 0, if it considers them up to date.
        """
        assert device.address is not None  # noqa: S101 - see updates
        inside = platform_of(image.path)
        if board_of(inside) is None or board_of(inside) != device.fit.board:
            return common.misfit(device, items, 'board', device.fit.board,
                                 inside)
        out: list[Result] = []
        with tempfile.TemporaryDirectory(prefix='xbmgmt-') as folder:
            # Files with another suffix are treated as development images.
            path = os.path.join(folder, 'image.xsabin')
            os.symlink(image.path, path)
            for item in items:
                if item.name == 'shell' and inside != item.wanted:
                    out += common.misfit(device, [item], 'version',
                                         str(item.wanted), inside)
                else:
                    out += self._write(host, device, item, path, progress)
        return tuple(out)

    def _write(self, host: Machine, device: Device, item: Item, path: str,
              progress: Progress) -> tuple[Result, ...]:
        progress(f'writing {item.name} of {device.address}', None)
        ran = host.run((TOOL, 'program', '-d', device.address or '',
                        '--base', item.name, '--image', path),
                       common.FLASH, flash=True)
        if ran.timed_out:
            return common.still_running(device, [item], TOOL, ran)
        unread: list[Unread] = []
        after = self._examine(host, device.address or '', unread)
        if ran.ok and _DONE.get(item.name, '\0') in ran.out and after:
            return common.ok(device, [item])
        return common.failures(
            device, [item], common.said(TOOL, ran) if after
            else unread[0].answer, error_class=ErrorClass.NEEDS_OPERATOR)


def _reading(found: Mapping[str, Any]) -> DeviceReading:
    hardware = common.table(found.get('hardware'))
    properties = common.table(found.get('device_properties'))
    shell = common.table(found.get('current_shell'))
    vbnv = common.text_of(shell.get('vbnv'))
    version = common.text_of(shell.get('sc_version'))
    parts = [Component('shell', 'base', vbnv)] if vbnv else []
    unread: tuple[Unread, ...] = ()
    if version is not None and version not in _NO_VERSION and (
            not _VERSION.fullmatch(version)):
        unread = (common.unread(TOOL, f'sc_version: {version}',
                                'firmware:sc'),)
    elif version is not None and version not in _NO_VERSION:
        fixed = 'FIXED' in version
        parts.append(Component('sc', 'SC', version.partition('(')[0],
                               updateable=False if fixed else None))
    return DeviceReading(
        serial=clean_serial(common.text_of(hardware.get('serial_num'))),
        model=common.text_of(properties.get('board_name')),
        # The first reports have no properties: the shell names its board.
        fit=Fit(board=common.text_of(properties.get('board_type'))
                or board_of(vbnv)),
        components=tuple(parts), unread=unread)
