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


"""PCI functions from sysfs and their VPD, without any tool.

Sources: Linux Documentation/ABI/testing/sysfs-bus-pci (ids, class,
``current_link_*``, ``numa_node``, ``vpd``, ``sriov_*``, ``physfn``,
``config``; drivers/pci/iov.c and vpd.c for what waits for whom) and
sysfs-class-net (``net/*/address``).
"""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Mapping
import dataclasses
import re

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine import smbios_slots
from ironic_accel.inband.machine import vpd
from ironic_accel.model.catalog_types import pci_id
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Link
from ironic_accel.model.device import PciIds
from ironic_accel.model.errors import AccelError
from ironic_accel.model.reading_status import Unread

DEVICES = '/sys/bus/pci/devices'
_BUSES = '/sys/bus'

_ADDRESS = re.compile(r'[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]')
_SPEED = re.compile(r'([0-9]+(?:\.[0-9]+)?) GT/s')
_MAC = re.compile(r'[0-9a-f]{2}(:[0-9a-f]{2}){5}')
#: What a device that a slot holds may be.
_ANY = tuple(k for k in KINDS if k != 'baseboard')
#: Vendor and device id of a configuration space without a response
#: (Linux include/linux/pci.h, PCI_ERROR_RESPONSE).
_GONE = b'\xff' * 4
#: More than a VPD may hold (15 bits of address).
_VPD_BYTES = 1 << 15
VPD = 'vpd'


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """One PCI function, as sysfs and its VPD report it.

    :ivar address: ``0000:17:00.0``, lower case.
    :ivar vendor_id: and the other ids: four lower-case hexadecimal digits.
    :ivar class_code: six lower-case hexadecimal digits: ``030200``.
    :ivar numa_node: None if the platform does not report it (-1 in sysfs).
    :ivar serial: of the VPD (SN), without placeholders; so part_number (PN).
    :ivar model: the identifier string of the VPD, or None.
    :ivar macs: of its network interfaces, lower case.
    :ivar driver: the bound kernel driver, or None.
    :ivar totalvfs: ``sriov_totalvfs``, None without SR-IOV.
    :ivar slot: the name of its physical slot (/sys/bus/pci/slots), or None.
    :ivar path: its sysfs folder: ``/sys/bus/pci/devices/0000:17:00.0``.
    :ivar unread_vpd: why its VPD cannot be read although it exists, or None.
    :ivar product: of the catalogue with a site's rows, or None.
    :ivar gone: its configuration space reads as all ones: it is plugged in
        and does not respond.
    """

    address: str
    vendor_id: str
    device_id: str
    subsystem_vendor_id: str
    subsystem_id: str
    class_code: str
    numa_node: int | None = None
    link: Link | None = None
    serial: str | None = None
    part_number: str | None = None
    model: str | None = None
    macs: tuple[str, ...] = ()
    driver: str | None = None
    totalvfs: int | None = None
    slot: str | None = None
    path: str = ''
    gone: bool = False
    unread_vpd: str | None = None
    product: Product | None = None

    @property
    def pci(self) -> PciIds:
        """The ids as the model represents them."""
        return PciIds(self.vendor_id, self.device_id,
                      self.subsystem_vendor_id, self.subsystem_id)

    @property
    def card(self) -> str:
        """The address without the function number: common to one card."""
        return self.address.rpartition('.')[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Bus:
    """The PCI functions, from what the kernel keeps in memory: no device is
    accessed and no driver is waited for.

    :ivar unread: a function whose ids cannot be read may be any device.
    """

    functions: tuple[Function, ...] = ()
    unread: tuple[Unread, ...] = ()


def addresses(host: Machine) -> tuple[str, ...]:
    """Addresses of all PCI functions except virtual ones.

    :raises: AccelError if they cannot be listed. A machine without PCI has no
        such folder, and no functions.
    """
    if host.exists(_BUSES) and not host.exists(DEVICES):
        return ()
    return tuple(
        name for name in host.listing(DEVICES) if _ADDRESS.fullmatch(name)
        and host.link(f'{DEVICES}/{name}/physfn') is None)


def bus(host: Machine, vendors: Container[str] | None = None) -> Bus:
    """All physical PCI functions, in the order of their addresses.

    :param vendors: only those of these PCI vendor ids.
    """
    found: list[Function] = []
    unread: list[Unread] = []
    by_card = smbios_slots.numbers(host)
    try:
        names = addresses(host)
    except AccelError as exc:
        return Bus(unread=(Unread(
            DEVICES, exc.detail.seen or exc.detail.summary, kinds=_ANY),))
    for address in names:
        path = f'{DEVICES}/{address}'
        vendor, device = (pci_id(host.read(f'{path}/{name}'))
                          for name in ('vendor', 'device'))
        if vendor is None or (device is None and (
                vendors is None or vendor in vendors)):
            unread.append(Unread(path, 'PCI ids cannot be read', kinds=_ANY))
        elif device is not None and (vendors is None or vendor in vendors):
            found.append(_plain(host, address, vendor, device, by_card))
    return Bus(tuple(found), tuple(unread))


def scan(host: Machine, vendors: Container[str] | None = None
         ) -> tuple[Function, ...]:
    """All functions on the bus (``bus``) with all that sysfs reports,
    including their VPD."""
    return tuple(details(host, f) for f in bus(host, vendors).functions)


def _plain(host: Machine, address: str, vendor: str, device: str,
           by_card: Mapping[str, str]) -> Function:
    path = f'{DEVICES}/{address}'
    code = (host.read(f'{path}/class') or '').lower().removeprefix('0x')
    return Function(address, vendor, device,
                    pci_id(host.read(f'{path}/subsystem_vendor')) or '',
                    pci_id(host.read(f'{path}/subsystem_device')) or '', code,
                    driver=host.link(f'{path}/driver'),
                    totalvfs=_number(host.read(f'{path}/sriov_totalvfs')),
                    slot=by_card.get(address.rpartition('.')[0]), path=path)


def details(host: Machine, function: Function) -> Function:
    """The function with what its device or its driver has to be asked for.

    The kernel reads VPD from the device, which may block while the device has
    a problem.
    """
    path = function.path
    raw = host.read_bytes(f'{path}/{VPD}', _VPD_BYTES)
    said = vpd.parse(raw or b'')
    numa = _number(host.read(f'{path}/numa_node'))
    return dataclasses.replace(
        function, numa_node=numa if numa is not None and numa >= 0 else None,
        link=_link(host, path), serial=said.serial,
        part_number=said.part_number, model=said.name,
        macs=_macs(host, path),
        unread_vpd=_without_vpd(host, f'{path}/{VPD}', raw),
        gone=host.read_bytes(f'{path}/config', len(_GONE)) == _GONE)


def _without_vpd(host: Machine, path: str, raw: bytes | None) -> str | None:
    """Why existing VPD has no content: it cannot be read, or is invalid.

    The kernel creates no file if the EEPROM is missing (drivers/pci/vpd.c): an
    empty file means that there is no VPD.
    """
    if raw is None:
        return host.trouble(path)
    return 'no vital product data' if raw and not vpd.is_any(raw) else None


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _link(host: Machine, path: str) -> Link | None:
    width = _number(host.read(f'{path}/current_link_width'))
    if width in (0, 255):  # nothing is connected, or no response
        width = None
    match = _SPEED.match(host.read(f'{path}/current_link_speed') or '')
    speed = match[1] if match else None
    return Link(width, speed) if width or speed else None


def _macs(host: Machine, path: str) -> tuple[str, ...]:
    found = []
    for name in host.names(f'{path}/net'):
        text = (host.read(f'{path}/net/{name}/address') or '').lower()
        if _MAC.fullmatch(text) and text != '00:00:00:00:00:00':
            found.append(text)
    return tuple(dict.fromkeys(found))
