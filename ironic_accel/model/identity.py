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

"""Who is who: stable ids of devices, over looks and over ways of looking.

A device is known by its serial number, then by where it sits, then by its
PCI address; by its URI only where nothing else is known, and never from one
look to the next. Serial numbers may be a board's, shared by two GPUs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import hashlib
import re
import zlib

from ironic_accel.model import version
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory

#: (kind, serial, location): what a device is known by.
Identity = tuple[str, str | None, str | None]

_FOREIGN = re.compile(r'[^A-Za-z0-9._:/@-]+')
_LONGEST = 64


def clean_serial(text: object) -> str | None:
    """A serial number, or None for zeros, "NA", blanks and the like."""
    bare = version.clean(text)
    if bare is None:
        return None
    digits = bare.lower().removeprefix('0x').replace('-', '')
    if set(digits) <= {'0'} or set(digits) == {'f'}:
        return None
    if bare.lower() in ('not specified', 'to be filled by o.e.m.'):
        return None
    return bare


def identify(devices: Iterable[Device]) -> tuple[Device, ...]:
    """The devices with stable ids; their ``parent`` follows.

    Serials and locations that say nothing ("NA", zeros) become None.

    ``<kind>-<serial>`` where no other device of the kind has that serial,
    ``<kind>-<serial>@<location>`` where one has, ``<kind>@<location>``
    without a serial, then the PCI address, then the end of the URI.
    """
    found = tuple(dataclasses.replace(
        d, serial=clean_serial(d.serial), location=version.clean(d.location))
        for d in devices)
    shared = Counter((d.kind, d.serial) for d in found)
    taken: set[str] = set()
    names: dict[str, str] = {}
    out = []
    for dev in found:
        alone = shared[dev.kind, dev.serial] == 1
        new = _free(_candidates(dev, alone), taken)
        names.setdefault(dev.id, new)
        out.append(dataclasses.replace(dev, id=new))
    return tuple(_with_parent(d, names) for d in out)


def mark(dev: Device) -> str:
    """What a device is known by from one look to the next, in short.

    ``serial.place``, each as eight hexadecimal digits or nothing.
    """
    place = version.clean(dev.location) or dev.address or dev.uri
    return '.'.join('' if not text else f'{zlib.crc32(text.encode()):08x}'
                    for text in (clean_serial(dev.serial), place))


def same_mark(one: str, other: str) -> bool:
    """Whether two marks are those of one device.

    Serial numbers that are told decide, but for a board's, which its GPUs
    share: they sit in different places.
    """
    (serial, place), (serial2, place2) = one.split('.'), other.split('.')
    if serial and serial2 and serial != serial2:
        return False
    return place == place2 or bool(
        serial and serial2 and not (place and place2))


def _candidates(dev: Device, alone: bool) -> Iterator[str]:
    """Ids for a device, the best first; the last may not be free either."""
    serial = clean_serial(dev.serial)
    base = f'{dev.kind}-{serial}' if serial else dev.kind
    if serial and alone:
        yield base
    location = version.clean(dev.location)
    if location:
        yield f'{base}@{location}'
    if dev.address:
        yield f'{base}@{dev.address}'
    if dev.uri:
        tail = '/'.join(dev.uri.rstrip('/').split('/')[-2:])
        yield f'{base}@{tail}'
    place = location or dev.address
    yield f'{base}@{place}' if place else base


def _free(candidates: Iterable[str], taken: set[str]) -> str:
    name = ''
    for text in candidates:
        name = _short(text)
        if name not in taken:
            break
    number = 2
    free = name
    while free in taken:
        free = f'{name}/{number}'
        number += 1
    taken.add(free)
    return free


def _short(text: str) -> str:
    name = _FOREIGN.sub('-', text).strip('-')
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f'{name[:_LONGEST - 9]}-{digest}'


def free_id(dev: Device, taken: set[str]) -> str:
    """An id for a device that is not among those taken; taken from now."""
    return _free((dev.id, *_candidates(dev, False)), taken)


def renamed_device(dev: Device, names: Mapping[str, str]) -> Device:
    """The device with its id and that of its parent replaced."""
    return _with_parent(
        dataclasses.replace(dev, id=names.get(dev.id, dev.id)), names)


def _with_parent(dev: Device, names: Mapping[str, str]) -> Device:
    if dev.parent is None or dev.parent not in names:
        return dev
    return dataclasses.replace(dev, parent=names[dev.parent])


def identified(inventory: Inventory) -> Inventory:
    """The inventory with stable ids, in ``busy`` too."""
    devices = identify(inventory.devices)
    names: dict[str, str] = {}
    for old, new in zip(inventory.devices, devices, strict=True):
        names.setdefault(old.id, new.id)
    return renamed(dataclasses.replace(inventory, devices=devices), names)


def renamed(inventory: Inventory, names: Mapping[str, str]) -> Inventory:
    """The inventory with device ids replaced in what is told beside the
    devices: what is under way, and what was not read."""
    busy, halfway = (tuple(
        dataclasses.replace(b, targets=tuple(
            (names.get(d, d), c) for d, c in b.targets))
        for b in work) for work in (inventory.busy, inventory.halfway))
    return dataclasses.replace(
        inventory, busy=busy, halfway=halfway, unread=tuple(
            u if u.about is None else dataclasses.replace(
                u, about=names.get(u.about, u.about))
            for u in inventory.unread))


def identities(inventory: Inventory, ids: Iterable[str] | None = None
               ) -> dict[str, Identity]:
    """What the devices are known by, of all or of those that are there.

    One without a location is known by its PCI address (``@0000:17:00.0``).
    """
    wanted = None if ids is None else set(ids)
    return {d.id: (d.kind, clean_serial(d.serial), _place(d))
            for d in inventory.devices if wanted is None or d.id in wanted}


def _place(dev: Device) -> str | None:
    """Where a device sits, in one word."""
    location = version.clean(dev.location)
    return location or (f'@{dev.address.lower()}' if dev.address else None)


def _at(dev: Device, place: str) -> bool:
    """Whether a device sits at a place, by location or by address."""
    return place in (version.clean(dev.location),
                     f'@{dev.address.lower()}' if dev.address else None)


def rejoin(inventory: Inventory,
           known: Mapping[str, Identity]) -> Inventory:
    """Give the devices of a new look the ids that an earlier look gave.

    By serial and location, then by serial, then by location; never by URI.
    A serial that was shared needs the location too, and a device at a known
    location with another serial is another device.

    :param known: ``identities`` of the earlier look.
    """
    names: dict[str, str] = {}
    for rule in (_same_place_too, _same_serial, _same_place):
        for old, identity in known.items():
            if old in names.values():
                continue
            found = [d for d in inventory.devices if d.id not in names
                     and d.kind == identity[0] and rule(d, old, identity)]
            if len(found) == 1:
                names[found[0].id] = old
    taken = set(names.values())
    for dev in inventory.devices:
        if dev.id not in names:
            names[dev.id] = free_id(dev, taken)
    devices = tuple(renamed_device(d, names) for d in inventory.devices)
    return renamed(dataclasses.replace(inventory, devices=devices), names)


def _same_place_too(dev: Device, old: str, identity: Identity) -> bool:
    _, serial, location = identity
    return (serial is not None and location is not None
            and clean_serial(dev.serial) == serial and _at(dev, location))


def _same_serial(dev: Device, old: str, identity: Identity) -> bool:
    kind, serial, location = identity
    if serial is None or clean_serial(dev.serial) != serial:
        return False
    # An id with a place in it was given because the serial was shared.
    return location is None or old == _short(f'{kind}-{serial}')


def _same_place(dev: Device, old: str, identity: Identity) -> bool:
    _, serial, location = identity
    now = clean_serial(dev.serial)
    return (location is not None and _at(dev, location)
            and (now is None or serial is None or now == serial))
