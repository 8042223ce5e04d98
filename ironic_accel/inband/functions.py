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
``current_link_*``, ``numa_node``, ``vpd``, ``sriov_*``, ``physfn``) and
sysfs-class-net (``net/*/address``).
"""

from __future__ import annotations

from collections.abc import Container
import re

from ironic_accel.inband import slots
from ironic_accel.inband import vpd
from ironic_accel.inband.family import Function
from ironic_accel.inband.host import Host
from ironic_accel.model.device import Link
from ironic_accel.model.facts import pci_id

DEVICES = '/sys/bus/pci/devices'

_ADDRESS = re.compile(r'[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]')
_SPEED = re.compile(r'([0-9]+(?:\.[0-9]+)?) GT/s')
_MAC = re.compile(r'[0-9a-f]{2}(:[0-9a-f]{2}){5}')
#: More than a VPD may hold (15 bits of address).
_VPD_BYTES = 1 << 15


def addresses(host: Host) -> tuple[str, ...]:
    """Addresses of all PCI functions but virtual ones."""
    return tuple(
        name for name in host.names(DEVICES) if _ADDRESS.fullmatch(name)
        and host.link(f'{DEVICES}/{name}/physfn') is None)


def scan(host: Host, vendors: Container[str] | None = None
         ) -> tuple[Function, ...]:
    """All physical PCI functions, in the order of their addresses.

    :param vendors: only those of these PCI vendor ids; reading VPD of every
        bridge of a machine takes seconds.
    """
    out = []
    by_card = slots.numbers(host)
    for address in addresses(host):
        vendor = pci_id(host.read(f'{DEVICES}/{address}/vendor'))
        if vendor is None or (vendors is not None
                              and vendor not in vendors):
            continue
        found = _function(host, address, vendor, by_card)
        if found is not None:
            out.append(found)
    return tuple(out)


def _function(host: Host, address: str, vendor: str,
              by_card: dict[str, str]) -> Function | None:
    path = f'{DEVICES}/{address}'
    device = pci_id(host.read(f'{path}/device'))
    if device is None:
        return None
    said = vpd.parse(host.read_bytes(f'{path}/vpd', _VPD_BYTES) or b'')
    numa = _number(host.read(f'{path}/numa_node'))
    code = (host.read(f'{path}/class') or '').lower().removeprefix('0x')
    return Function(
        address, vendor, device,
        pci_id(host.read(f'{path}/subsystem_vendor')) or '',
        pci_id(host.read(f'{path}/subsystem_device')) or '',
        code, numa if numa is not None and numa >= 0 else None,
        _link(host, path), said.serial, said.part_number, said.name,
        _macs(host, path), host.link(f'{path}/driver'),
        _number(host.read(f'{path}/sriov_totalvfs')),
        _number(host.read(f'{path}/sriov_numvfs')),
        by_card.get(address.rpartition('.')[0]), path)


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _link(host: Host, path: str) -> Link | None:
    width = _number(host.read(f'{path}/current_link_width'))
    if width in (0, 255):  # nothing is connected, or nobody answered
        width = None
    match = _SPEED.match(host.read(f'{path}/current_link_speed') or '')
    speed = match[1] if match else None
    return Link(width, speed) if width or speed else None


def _macs(host: Host, path: str) -> tuple[str, ...]:
    found = []
    for name in host.names(f'{path}/net'):
        text = (host.read(f'{path}/net/{name}/address') or '').lower()
        if _MAC.fullmatch(text) and text != '00:00:00:00:00:00':
            found.append(text)
    return tuple(dict.fromkeys(found))
