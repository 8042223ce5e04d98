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

"""PCIeDevices and their functions: ids, address, link."""

from __future__ import annotations

import re

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Link
from ironic_accel.model.device import PciIds
from ironic_accel.model.facts import pci_id
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.found import common
from ironic_accel.redfish.found import Found
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.scope import Scope

#: PCI Express generation (PCIeDevice.PCIeTypes) to GT/s per lane.
_SPEEDS = {'Gen1': '2.5', 'Gen2': '5.0', 'Gen3': '8.0', 'Gen4': '16.0',
           'Gen5': '32.0', 'Gen6': '64.0'}

#: Kinds that are devices although only a PCIeDevice shows them.
_KINDS = frozenset({'gpu', 'fpga', 'ai', 'crypto', 'dpu', 'nic'})


def ids(function: Fields) -> PciIds | None:
    """The ids of a PCIeFunction, or None where the vendor is not told."""
    found = PciIds(*(pci_id(function.text(name)) for name in (
        'VendorId', 'DeviceId', 'SubsystemVendorId', 'SubsystemId')))
    return found if found.pair else None


def address(function: Fields) -> str | None:
    """``0000:17:00.0``, where all of it is told (PCIeFunction v1.6)."""
    numbers = []
    for name, width in (('SegmentNumber', 4), ('BusNumber', 2),
                        ('DeviceNumber', 2), ('FunctionNumber', 1)):
        text = function.text(name)
        bare = (text or '').lower().removeprefix('0x')
        if not re.fullmatch('[0-9a-f]{1,4}', bare):
            return None
        numbers.append(f'{int(bare, 16):0{width}x}')
    return '{}:{}:{}.{}'.format(*numbers)


def link(interface: Fields) -> Link | None:
    """The link of a PCIeInterface object."""
    width = interface.number('LanesInUse')
    kind = interface.word('PCIeType', known=_SPEEDS)
    if not width and kind is None:
        return None
    return Link(width or None, _SPEEDS[kind] if kind else None)


def learn(reader: Reader, found: Found, devices: list[str],
          functions: list[str]) -> None:
    """Learn a device's ids, address and link from what it links to."""
    found.claimed |= set(devices)
    if not functions:
        for uri in devices[:1]:
            device = reader.read(uri, steady=True)
            if device is None:
                continue
            found.link = found.link or link(device.part('PCIeInterface'))
            functions = _functions(reader, device)
    for uri in functions[:1]:
        function = reader.read(uri, steady=True)
        if function is not None:
            found.pci = found.pci or ids(function)
            found.address = found.address or address(function)


def _functions(reader: Reader, device: Fields) -> list[str]:
    linked = device.links('Links', 'PCIeFunctions')
    if linked:
        return linked
    return [f.uri for f in reader.members(device.link('PCIeFunctions'),
                                          steady=True)]


def scan(reader: Reader, scope: Scope, known: list[Found],
         catalog: Catalog, complete: bool) -> list[Found]:
    """Accelerators that nothing but a PCIeDevice shows.

    A card that is known already is only learned from. What the catalogue
    does not know is no device of ours: bridges, disks, display chips.

    :param complete: whether every other resource that is there was seen.
        Otherwise a PCIeDevice without a serial number may be a card whose
        own resource hides while the host is off (iDRAC), and under another
        identity the card would be there twice.
    """
    if not all(q.scan_pcie for q in scope.quirks):
        return []
    claimed = {u.rsplit('/', 1)[-1] for f in known for u in f.claimed}
    new: list[Found] = []
    for device in _listed(reader, scope):
        if device.uri.rsplit('/', 1)[-1] in claimed:
            continue
        if catalog.vendor(device.text('Manufacturer')) is None:
            continue
        shown = _found(reader, device)
        if shown.pci is None or shown.pci.pair is None:
            continue
        if _same(shown, known) or not (complete or shown.serial):
            continue
        product = catalog.identify(None, shown.vendor, shown.model,
                                   shown.pci, shown.part_number)
        if product is not None and product.kind in _KINDS:
            shown.hint = product.kind
            new.append(shown)
    return new


def _listed(reader: Reader, scope: Scope) -> list[Fields]:
    """The node's PCIeDevices, each once."""
    out: dict[str, Fields] = {}
    for uri in scope.system.links('Links', 'Chassis'):
        chassis = scope.chassis.get(uri)
        if chassis is not None:
            for one in reader.members(chassis.link('PCIeDevices'),
                                      steady=True):
                out.setdefault(one.uri.rsplit('/', 1)[-1], one)
    for uri in dict.fromkeys(scope.system.links('PCIeDevices')):
        if uri.rsplit('/', 1)[-1] not in out:
            device = reader.read(uri, steady=True)
            if device is not None:
                out[uri.rsplit('/', 1)[-1]] = device
    return list(out.values())


def _found(reader: Reader, device: Fields) -> Found:
    shown = Found(device.uri, None, device)
    common(shown, device, needed=False)
    shown.model = shown.model or device.text('Name')
    shown.version = device.text('FirmwareVersion')
    shown.own.add(device.uri)
    shown.link = link(device.part('PCIeInterface'))
    learn(reader, shown, [device.uri], _functions(reader, device))
    return shown


def _same(shown: Found, known: list[Found]) -> bool:
    """Whether a PCIeDevice is a card that is known; learn from it then."""
    for other in known:
        if other.pci is None or shown.pci is None or (
                other.pci.pair != shown.pci.pair):
            serials = {other.serial, shown.serial}
            if None in serials or len(serials) > 1:
                continue
        elif (other.serial and shown.serial
                and other.serial != shown.serial):
            continue
        if other.claimed - {shown.uri}:
            continue
        other.claimed.add(shown.uri)
        other.own.add(shown.uri)
        other.pci = other.pci or shown.pci
        other.address = other.address or shown.address
        other.link = other.link or shown.link
        other.serial = other.serial or shown.serial
        return True
    return False
