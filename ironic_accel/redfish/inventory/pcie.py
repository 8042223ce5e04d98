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
from ironic_accel.redfish.client.read_failures import Spoils
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

#: PCIeFunction.DeviceClass (v1.7) and the class codes behind it (PCI Code
#: and ID Assignment, 1.16) of what may be an accelerator.
_CLASSES = {'ProcessingAccelerators': 'ai', 'EncryptionController': 'crypto'}
_CODES = {'12': 'ai', '10': 'crypto', '0302': 'gpu'}

#: Functions of one card that are asked for.
_FUNCTIONS = 8

#: What identifies a card by its function: one that came with its card and
#: lacks any of it is read by itself.
_TOLD = ('VendorId', 'DeviceId', 'SubsystemVendorId', 'SubsystemId',
         'DeviceClass')


def ids(function: Fields, catalog: Catalog) -> PciIds | None:
    """The ids of a PCIeFunction, or None where the vendor is not told.

    Zeros are no ids. Some services write them in decimal: those whose vendor
    id is a vendor's in decimal only, or that are too large for hexadecimal,
    are read so.
    """
    raw = [function.doc.get(name) for name in (
        'VendorId', 'DeviceId', 'SubsystemVendorId', 'SubsystemId')]
    return pci_ids(raw, catalog)


def pci_ids(raw: list[object], catalog: Catalog) -> PciIds | None:
    """Vendor, device and both subsystem ids as they stand, made one form."""
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


def learn(reader: Reader, found: FoundDevice, devices: list[str],
          functions: list[str], catalog: Catalog, levels: int = 1) -> None:
    """Learn a device's ids, address, link and more from what it links to.

    The PCIeDevice counts for its health, state and place too, and tells its
    version where nothing else does.

    :param levels: how deep the PCIeDevice is expanded: 2 brings its
        functions along.
    """
    found.claimed |= set(devices)
    told = bool(functions)
    for uri in devices[:1]:
        device = reader.deep(uri, levels if levels > 1 else 0, Spoils(
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
        found.tells(device, device.text('FirmwareVersion'))
        status(found, device)
        functions = functions or _functions(reader, found.uri, device)
    _learn_functions(reader, found, functions, catalog)


def _learn_functions(reader: Reader, found: FoundDevice, functions: list[str],
                     catalog: Catalog) -> Fields | None:
    """Learn ids, address and health of a card from its functions.

    Each function may have a Status of its own. A network card's functions
    are its ports, and are asked no further than the first; the State of one
    is a port's.

    :returns: the first function that was read.
    """
    first = None
    for uri in functions[:_FUNCTIONS]:
        facts = ('health',) if first else ('health', 'state', 'identity')
        function = reader.read(uri, spoils=part(found.uri, *facts))
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
            reader.note(uri, part(about, 'identity'))
    return [f.uri for f in shown]


def scan(reader: Reader, scope: Scope, known: list[FoundDevice],
         catalog: Catalog, settled: bool) -> list[FoundDevice]:
    """Accelerators that nothing but a PCIeDevice shows.

    A card that is known already is only learned from. What the catalogue
    does not know is one of ours by its class alone; bridges, disks and
    display chips are not.

    :param settled: whether every other resource that is there was seen.
        Otherwise a PCIeDevice without a serial number may be a card whose
        own resource hides while the host is off, and under another identity
        the card would be there twice.
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
        if same(shown, known + new) or not (settled or shown.serial):
            continue
        product = products.identify(catalog, None, shown.vendor, shown.model,
                                    shown.pci, shown.part_number)
        shown.hint = product.kind if product else hint
        if shown.hint in CARD_KINDS:
            new.append(shown)
    return new


def _alias(uri: str, others: Iterable[str]) -> bool:
    """Whether a PCIeDevice is listed by its other path.

    Some services have each below its System and below its Chassis.
    """
    end = uri.rsplit('/', 1)[-1]
    return any(uri == o or (o.rsplit('/', 1)[-1] == end
                            and ('/Systems/' in uri) != ('/Systems/' in o))
               for o in others)


def _listed(reader: Reader, scope: Scope, claimed: set[str]) -> list[Fields]:
    """The node's PCIeDevices that nothing claims, each once."""
    # A board that only firmware entries show is there where GPUs are.
    kinds = (*CARD_KINDS, *(() if scope.baseboards else ('baseboard',)))
    spoils = Spoils(Role.COLLECTION, kinds)
    member = Spoils(Role.DEVICE, kinds, optional=False)
    out: dict[str, Fields] = {}
    lost: dict[str, None] = {}
    for chassis in scope.chassis.values():
        shown, unread = reader.listing(
            reader.follow(chassis, 'PCIeDevices', spoils), spoils)
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
        # What is claimed is known, and was noted by who claims it.
        if not _alias(uri, claimed):
            reader.note(uri, member)
    return [d for u, d in out.items() if not _alias(u, claimed)]


def _found(reader: Reader, device: Fields, catalog: Catalog
           ) -> tuple[FoundDevice, str | None]:
    """A card, and its kind as far as its class tells."""
    shown = FoundDevice(device.uri, None, device)
    common(shown, device, needed=False)
    shown.model = shown.model or device.text('Name')
    shown.vendor = shown.vendor or _oem_maker(device)
    shown.own.add(device.uri)
    shown.tells(device, device.text('FirmwareVersion'))
    shown.link = link(device.part('PCIeInterface'))
    functions = _functions(reader, device.uri, device)
    shown.claimed.add(device.uri)
    function = _learn_functions(reader, shown, functions, catalog)
    return shown, (None if function is None
                   else _kind(function, shown, catalog))


def _oem_maker(device: Fields) -> str | None:
    """The maker of a card as a vendor's own properties tell it."""
    return next((m for v in registry.vendors() for at in v.makers
                 if (m := device.text(*at)) is not None), None)


def _kind(
    function: Fields, shown: FoundDevice, catalog: Catalog
) -> str | None:
    """The kind of a card by its class; None for what is none of ours."""
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


def same(shown: FoundDevice, known: list[FoundDevice]) -> bool:
    """Whether a PCIeDevice is a card that is known; learn from it then."""
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
            # Another one of the same row is this card already.
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
