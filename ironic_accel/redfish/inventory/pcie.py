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

"""PCIeDevices and their functions: PCI ids, address and link."""

from __future__ import annotations

from collections.abc import Iterable
import re

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog_types import pci_id
from ironic_accel.model.device import Link
from ironic_accel.model.device import PciIds
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import absent
from ironic_accel.redfish.inventory.device_builder import ADAPTER_KINDS
from ironic_accel.redfish.inventory.device_builder import CARD_KINDS
from ironic_accel.redfish.inventory.device_builder import common
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory.device_builder import location
from ironic_accel.redfish.inventory.device_builder import status
from ironic_accel.redfish.inventory import products
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors import pci_makers
from ironic_accel.redfish.vendors import registry

#: PCI Express generation (PCIeDevice.PCIeTypes) to GT/s per lane.
_SPEEDS = {'Gen1': '2.5', 'Gen2': '5.0', 'Gen3': '8.0', 'Gen4': '16.0',
           'Gen5': '32.0', 'Gen6': '64.0'}

#: PCIeFunction.DeviceClass (v1.7) and its class codes (PCI Code and ID
#: Assignment, 1.16) of possible accelerators.
_CLASSES = {'ProcessingAccelerators': 'ai', 'EncryptionController': 'crypto'}
_CODES = {'12': 'ai', '10': 'crypto', '0302': 'gpu'}

#: Maximum number of functions of one card that are read.
_FUNCTIONS = 8

#: Properties of a function that identify a card: an expanded function
#: without one of them is read directly.
_TOLD = ('VendorId', 'DeviceId', 'SubsystemVendorId', 'SubsystemId',
         'DeviceClass')


def ids(function: Fields, catalog: Catalog) -> PciIds | None:
    """The PCI ids of a PCIeFunction, or None without a vendor id.

    Zero is not an id. Some services report decimal numbers: ids count as
    decimal if the vendor id is known in decimal only, or if they are too
    large in hexadecimal.
    """
    raw = [function.doc.get(name) for name in (
        'VendorId', 'DeviceId', 'SubsystemVendorId', 'SubsystemId')]
    return pci_ids(raw, catalog)


def pci_ids(raw: list[object], catalog: Catalog) -> PciIds | None:
    """Vendor, device and both subsystem ids in normal form."""
    if _decimal(raw, catalog):
        raw = [int(r) if isinstance(r, str) and r.isdecimal() else r
               for r in raw]
    told = [pci_id(r) if isinstance(r, str | int) else None for r in raw]
    if told[0] == '0000':
        return None
    if told[2] == '0000':
        told[2:] = [None, None]
    if told[1] == '0000':
        told[1] = None
    found = PciIds(*told)
    return found if found.pair else None


def _decimal(raw: list[object], catalog: Catalog) -> bool:
    texts = [r for r in raw if isinstance(r, str)]
    if not texts or not all(t.isascii() and t.isdecimal() for t in texts):
        return False
    if any(len(t) == 5 and int(t) <= 0xffff for t in texts):
        return True
    vendor = raw[0]
    if not isinstance(vendor, str) or len(vendor) > 5:
        return False

    def known(number: int) -> bool:
        return (number in pci_makers.VENDOR_IDS
                or catalog.vendor(number) is not None)
    return known(int(vendor)) and not known(int(vendor, 16))


def address(function: Fields) -> str | None:
    """``0000:17:00.0``, if all parts are reported (PCIeFunction v1.6)."""
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


def add_pcie_facts(reader: Reader, found: FoundDevice, devices: list[str],
                   functions: list[str], catalog: Catalog, levels: int = 1
                   ) -> None:
    """Add a device's PCI ids, address, link and more from its PCIeDevice.

    The PCIeDevice also counts for health, state and location, and for the
    version if no other resource has one.

    :param levels: ``$expand`` levels of the PCIeDevice; 2 includes its
        functions.
    """
    found.claimed |= set(devices)
    told = bool(functions)
    for uri in devices[:1]:
        device = reader.deep(uri, levels if levels > 1 else 0, Impact(
            about=found.uri, facts=('health', 'state') if told else (
                'health', 'state', 'identity')))
        if device is None:
            continue
        found.link = found.link or link(device.part('PCIeInterface'))
        found.location = found.location or location(device)
        found.serial = found.serial or clean_serial(
            device.text('SerialNumber'))
        found.part_number = found.part_number or device.text('PartNumber')
        found.model = found.model or device.text('Model')
        found.own.add(device.uri)
        found.add_version(device, device.text('FirmwareVersion'))
        status(found, device)
        functions = functions or _functions(reader, found.uri, device)
    _add_functions(reader, found, functions, catalog)


def _add_functions(reader: Reader, found: FoundDevice, functions: list[str],
                   catalog: Catalog) -> Fields | None:
    """Add PCI ids, address and health of a card from its functions.

    Each function may have its own Status. The functions of a network card
    are its ports: only the first one is read, and its State is that of a
    port.

    :returns: the first function that was read.
    """
    first = None
    for uri in functions[:_FUNCTIONS]:
        facts = ('health',) if first else ('health', 'state', 'identity')
        function = reader.read(uri, impact=part(found.uri, *facts))
        if function is None:
            continue
        function = reader.whole(function, *_TOLD)
        found.pci = found.pci or ids(function, catalog)
        found.address = found.address or address(function)
        port = found.hint in ADAPTER_KINDS or (
            function.doc.get('DeviceClass') == 'NetworkController')
        status(found, function, state=first is None and not port)
        first = first or function
        if port:
            break
    return first


def _functions(reader: Reader, about: str, device: Fields) -> list[str]:
    linked = device.links('Links', 'PCIeFunctions')
    if linked:
        return linked
    shown, lost = reader.listing(device.link('PCIeFunctions'),
                                 part(about, 'identity'), steady=True)
    if not shown:
        for uri in lost[:1]:
            reader.declare(uri, part(about, 'identity'))
    return [f.uri for f in shown]


def scan(reader: Reader, scope: Scope, known: list[FoundDevice],
         catalog: Catalog, settled: bool) -> list[FoundDevice]:
    """Accelerators that only a PCIeDevice shows.

    Properties of a known card are added to that card. A card that is not in
    the catalogue counts by its class; bridges, disks and display chips do
    not.

    :param settled: whether all other resources were read. Otherwise a
        PCIeDevice without a serial number may be a card whose own resource
        is missing while the host is off, and the card would be counted twice
        with two identities.
    """
    if not all(q.scan_pcie for q in scope.quirks):
        return []
    claimed = {u for f in known for u in f.claimed}
    new: list[FoundDevice] = []
    for device in _listed(reader, scope, claimed):
        if absent(device):
            continue
        maker = device.text('Manufacturer')
        if maker and catalog.vendor(maker) is None and (
                pci_makers.OTHERS.search(maker)):
            continue
        shown, hint = _found(reader, device, catalog)
        if is_known(shown, known + new) or not (settled or shown.serial):
            continue
        product = products.identify(catalog, None, shown.vendor, shown.model,
                                    shown.pci, shown.part_number)
        shown.hint = product.kind if product else hint
        if shown.hint in CARD_KINDS:
            new.append(shown)
    return new


def _alias(uri: str, others: Iterable[str]) -> bool:
    """Whether a PCIeDevice is also listed with its other path.

    Some services have each one below its System and below its Chassis.
    """
    end = uri.rsplit('/', 1)[-1]
    return any(uri == o or (o.rsplit('/', 1)[-1] == end
                            and ('/Systems/' in uri) != ('/Systems/' in o))
               for o in others)


def _listed(reader: Reader, scope: Scope, claimed: set[str]) -> list[Fields]:
    """The node's PCIeDevices that belong to no known device, each once."""
    # A board that only firmware entries show is where the GPUs are.
    kinds = (*CARD_KINDS, *(() if scope.baseboards else ('baseboard',)))
    impact = Impact(Role.COLLECTION, kinds)
    member = Impact(Role.DEVICE, kinds, optional=False)
    out: dict[str, Fields] = {}
    lost: dict[str, None] = {}
    for chassis in scope.chassis.values():
        shown, unread = reader.listing(
            reader.follow(chassis, 'PCIeDevices', impact), impact)
        for one in shown:
            twin = one.text('SerialNumber')
            if not any(twin and o.text('SerialNumber') == twin
                       and last(o.uri) == last(one.uri)
                       for o in out.values()):
                out[one.uri] = one
        lost.update(dict.fromkeys(unread))
    for uri in dict.fromkeys(scope.system.links('PCIeDevices')):
        if not _alias(uri, [*out, *lost, *claimed]):
            device = reader.read(uri)
            if device is None:
                lost[uri] = None
            else:
                out[uri] = device
    for uri in lost:
        # A claimed one is declared by the device that claims it.
        if not _alias(uri, claimed):
            reader.declare(uri, member)
    return [d for u, d in out.items() if not _alias(u, claimed)]


def _found(reader: Reader, device: Fields, catalog: Catalog
           ) -> tuple[FoundDevice, str | None]:
    """A card, and its kind by its class."""
    shown = FoundDevice(device.uri, None, device)
    common(shown, device, needed=False)
    shown.model = shown.model or device.text('Name')
    shown.vendor = shown.vendor or _oem_maker(device)
    shown.own.add(device.uri)
    shown.add_version(device, device.text('FirmwareVersion'))
    shown.link = link(device.part('PCIeInterface'))
    functions = _functions(reader, device.uri, device)
    shown.claimed.add(device.uri)
    function = _add_functions(reader, shown, functions, catalog)
    return shown, (None if function is None
                   else _kind(function, shown, catalog))


def _oem_maker(device: Fields) -> str | None:
    """The maker of a card by a vendor's own properties."""
    return next((m for v in registry.vendors() for at in v.makers
                 if (m := device.text(*at)) is not None), None)


def _kind(function: Fields, shown: FoundDevice,
          catalog: Catalog) -> str | None:
    """The kind of a card by its class; None if it is no accelerator."""
    code = str(function.doc.get('ClassCode') or '').lower()
    bare = code.removeprefix('0x')
    if code.startswith('0x') and len(bare) >= 4:
        for start, kind in _CODES.items():
            if bare.startswith(start):
                return kind
    word = function.doc.get('DeviceClass')
    vendor = shown.pci.vendor_id if shown.pci else None
    gpus = dict(g for v in registry.vendors() for g in v.display_gpus)
    if word == 'DisplayController' and (
            vendor in gpus or (vendor is None and catalog.vendor(
                shown.vendor) in gpus.values())):
        return 'gpu'
    return _CLASSES.get(word) if isinstance(word, str) else None


def is_known(shown: FoundDevice, known: list[FoundDevice]) -> bool:
    """Whether a PCIeDevice is a known card; adds its properties then."""
    for other in known:
        if other.pci is None or shown.pci is None or (
                other.pci.pair != shown.pci.pair):
            serials = {other.serial, shown.serial}
            if None in serials or len(serials) > 1:
                continue
        elif any(a and b and a != b for a, b in (
                (other.serial, shown.serial),
                (other.address, shown.address))):
            continue
        if any(c.rpartition('/')[0] == shown.uri.rpartition('/')[0]
               for c in other.claimed - {shown.uri}):
            # This card is already another one of the same row.
            continue
        other.claimed.add(shown.uri)
        other.own.add(shown.uri)
        other.pci = other.pci or shown.pci
        other.address = other.address or shown.address
        other.link = other.link or shown.link
        other.serial = other.serial or shown.serial
        other.location = other.location or shown.location
        other.context = other.context or shown.context
        other.versions += shown.versions
        status(other, shown.shown)
        return True
    return False
