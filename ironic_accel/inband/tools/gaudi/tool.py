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

"""Intel Gaudi: versions and state by the driver's sysfs, serials by hl-smi,
the SPI firmware by hl-fw-loader.

Sources: Linux Documentation/ABI/testing/sysfs-driver-habanalabs (class
habanalabs; from 6.2 on class accel, with the same files below ``device``) and
drivers/accel/habanalabs/common/habanalabs_drv.c, create_hdev (the words of
``status``); Intel Gaudi documentation, System Management Interface Tool (-Q,
-i, -r). Of hl-fw-loader: the same documentation, Firmware Update Tool (-d: a
specific device, by default it writes to all) and Firmware Upgrade (-s and its
output); Intel's Gaudi SPI Firmware Upgrade for OpenShift (the last line of its
output); that -d accepts a PCI address is seen in the scripts of its users.

The SPI firmware is read and written only if no driver is bound to the card:
the drivers of all cards would have to be unloaded, and nothing is unloaded
here.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import csv
import re
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
from ironic_accel.model.device import Warned
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread

TOOL = 'hl-smi'
LOADER = 'hl-fw-loader'
DRIVER = 'habanalabs'
SPI = 'spi'

_QUERY = ('bus_id', 'name', 'serial')
#: The folders of the kernel's class, and the files of a device.
_CLASSES = (('/sys/class/accel', '/device'), ('/sys/class/habanalabs', ''))
#: By our name, the files that hold its version, the newer name first.
_PARTS = {'spi': ('preboot_btl_ver',), 'cpld': ('cpld_ver',),
          'firmware': ('cpucp_ver', 'armcp_ver')}
#: ``Preboot version hl-gaudi3-1.22.0-fw-61.3.2-sec-9 (Dec 10 2024 - ...)``
#: (Intel Gaudi documentation, Firmware Upgrade): the version alone counts.
_VERSION = re.compile(r'hl-[a-z0-9]+-\S+')
#: What the loader says of the firmware in flash, and of a write that went
#: well.
_SPI_LINE = re.compile(r'SPI version:.*?(hl-[a-z0-9]+-\S+)')
_DONE = 'Finished sending firmware: OK'
#: Of the file ``status``; older kernels' documentation has another word for
#: HL_DEVICE_STATUS_MALFUNCTION.
_HEALTH = {'operational': 'OK', 'malfunction': 'Critical',
           'disabled': 'Critical', 'needs reset': 'Critical'}
#: Of those that pass by themselves: nothing is known of the device until
#: then.
_PASSING = {'in reset': 'Warning', 'in device creation': 'Warning',
            'in reset after device release': 'Warning'}


def folders(host: Machine) -> Iterator[tuple[str, str]]:
    """PCI address and sysfs folder of each device that the driver holds."""
    for parent, below in _CLASSES:
        for name in host.names(parent):
            folder = f'{parent}/{name}{below}'
            address = common.bdf(host.read(f'{folder}/pci_addr'))
            if address is not None:
                yield address, folder


class Gaudi(common.BaseFamily):
    """Accelerators of the driver habanalabs."""

    name = 'gaudi'
    # hl-smi resets through the driver; hl-fw-loader needs no driver.
    beside: Beside = (('reset', DRIVER),)
    # Intel Gaudi documentation, Firmware Upgrade
    flashers: ClassVar[Flashers] = {'hl-fw-loader': frozenset()}

    def claims(self, function: Function, product: Product | None) -> bool:
        """Functions of PCI vendor 1da3."""
        return function.vendor_id == '1da3'

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """Identity, health and versions."""
        return ('identity', 'health', 'firmware')

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """The driver's files; names and serial numbers of the tool."""
        held = dict(folders(host))
        told: dict[str, DeviceReading] = {}
        warnings: dict[Warned, None] = {}
        for function in functions:
            folder = held.get(function.address)
            left = common.left_out(host, function, DRIVER)
            if folder is None and left:
                told[function.address] = DeviceReading(unread=(common.unread(
                    DRIVER, left, 'identity', 'health', 'firmware'),))
                continue
            tool = TOOL if folder is not None else LOADER
            if host.which(tool) is None:
                warnings[common.missing(tool)] = None
            told[function.address] = (
                _spi(host, function.address) if folder is None
                else _held(host, function.address, folder))
        return ToolReading(told, tuple(warnings))

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """The SPI firmware of a card without a driver."""
        if (host.which(LOADER) is None or device.component(SPI) is None
                or device.address in dict(folders(host))):
            return frozenset()
        return frozenset({SPI})

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Write to one card, and read back the version in its flash.

        The tool checks the image against the card itself. A power loss
        meanwhile breaks the card.
        """
        if device.address is None or device.address in dict(folders(host)):
            return common.failures(
                device, items, 'driver habanalabs is bound to the card: '
                'unbind it before the update')
        progress(f'writing {SPI} of {device.address}', None)
        ran = host.run((LOADER, '-y', '-d', device.address, '-f',
                        image.path), common.FLASH, flash=True)
        if ran.timed_out:
            return common.still_running(device, items, LOADER, ran)
        after = _spi(host, device.address)
        now = [c.running for c in after.components]
        if ran.ok and _DONE in ran.out and now == [items[0].wanted]:
            return common.ok(device, items)
        return common.failures(device, items, common.said(LOADER, ran),
                               error_class=ErrorClass.NEEDS_OPERATOR,
                               expected=str(items[0].wanted),
                               seen=now[0] if now else after.unread[0].answer)

    def resets(self, host: Machine, device: Device) -> Activation:
        """A reset of one card, if the driver is bound to it."""
        if host.which(TOOL) is None or device.address not in dict(
                folders(host)):
            return Activation.NONE
        return Activation.DEVICE_RESET

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Reset one card; it has to be operational afterwards."""
        progress(f'resetting {device.address}', None)
        ran = host.run((TOOL, '-i', device.address or '', '-r'),
                       common.RESET)
        folder = dict(folders(host)).get(device.address or '')
        status = host.read(f'{folder}/status') if folder else None
        if ran.ok and (status or '').lower() == 'operational':
            return ()
        return common.reset_failed(device, common.said(TOOL, ran),
                                   expected='Operational', seen=status)


def _held(host: Machine, address: str, folder: str) -> DeviceReading:
    """A card with the driver."""
    unread: list[Unread] = []
    name, serial = _query(host, address, unread)
    word = (host.read(f'{folder}/status') or '').lower()
    health = _HEALTH.get(word) or _PASSING.get(word)
    if word not in _HEALTH:
        unread.append(common.unread(DRIVER, f'status: {word!r}', 'health'))
    parts = _components(host, folder)
    if not parts:
        unread.append(common.unread(
            DRIVER, 'the driver reports no version', 'firmware'))
    return DeviceReading(serial=serial, model=name, health=health,
                         components=parts, unread=tuple(unread))


def _query(host: Machine, address: str, unread: list[Unread]
           ) -> tuple[str | None, str | None]:
    """Name and serial number of a card, by the tool."""
    if host.which(TOOL) is None:
        return None, None
    ran = host.run((TOOL, '-i', address, '-Q', ','.join(_QUERY), '-f',
                    'csv,noheader'), common.ASK)
    for row in csv.reader(ran.out.splitlines()):
        if ran.ok and len(row) == len(_QUERY) and (
                common.bdf(row[0]) == address):
            return common.text_of(row[1]), clean_serial(row[2])
    unread.append(common.unread(TOOL, common.said(TOOL, ran), 'identity'))
    return None, None


def _spi(host: Machine, address: str) -> DeviceReading:
    """A card without a driver: its SPI firmware."""
    if host.which(LOADER) is None:
        return DeviceReading()
    ran = host.run((LOADER, '-s', '-d', address), common.ASK)
    match = _SPI_LINE.search(ran.out) if ran.ok else None
    if match is None:
        return DeviceReading(unread=(common.unread(
            LOADER, common.said(LOADER, ran), f'firmware:{SPI}'),))
    return DeviceReading(components=(Component(SPI, 'SPI', match[1]),))


def _components(host: Machine, folder: str) -> tuple[Component, ...]:
    found = []
    for name, files in _PARTS.items():
        text = next((t for t in (common.text_of(host.read(f'{folder}/{f}'))
                                 for f in files) if t), None)
        if text is not None:
            match = _VERSION.search(text)
            found.append(Component(name, files[0],
                                   match[0] if match else text))
    return tuple(found)
