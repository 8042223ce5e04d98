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

"""What a device is known by, and which of two inventories' devices are one.

A device is known by its serial number, then by where it sits, then by its
PCI address. Serial numbers may be a board's, shared by two GPUs, and may be
lost; nothing that is told may tell two devices apart that are taken for one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import TypeVar
import zlib

from ironic_accel.model import version
from ironic_accel.model.device import Device

_T = TypeVar('_T')

#: Devices of one inventory and of another that are one.
Pairs = list[tuple[Device, Device]]


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


def mark(dev: Device) -> str:
    """What a device is known by from one inventory to the next, in short.

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


def cleaned(dev: Device) -> Device:
    """The device; a serial and a location that say nothing become None."""
    return dataclasses.replace(dev, serial=clean_serial(dev.serial),
                               location=version.clean(dev.location))


def filled(mine: _T, other: _T) -> _T:
    """A dataclass with what it does not know taken from another."""
    known: dict[str, Any] = {}
    for field in dataclasses.fields(mine):  # type: ignore[arg-type]
        if getattr(mine, field.name) is None:
            known[field.name] = getattr(other, field.name)
    return dataclasses.replace(mine, **known)  # type: ignore[type-var]


def united(mine: Device, other: Device) -> Device:
    """A device with what another transport knows of who it is."""
    out = filled(mine, other)
    if mine.pci is not None and other.pci is not None:
        return dataclasses.replace(out, pci=filled(mine.pci, other.pci))
    return out


@dataclasses.dataclass(frozen=True, slots=True)
class Matched:
    """Which devices of one inventory are which of another.

    :ivar pairs: those that are one.
    :ivar doubtful: of the other inventory, those that may be one of the
        first and cannot be told to be: they are not counted.
    :ivar uncounted: kinds of which the two do not show the same number.
    """

    pairs: Pairs
    doubtful: list[Device]
    uncounted: set[str]


def match(ours: Sequence[Device], theirs: Sequence[Device],
          counts: Callable[[Device], bool]) -> Matched:
    """Tell which devices of two inventories are one.

    Two that are the only ones left on either side, of one product, are one.

    :param counts: whether one of theirs that is none of ours counts.
    """
    pairs = _counterparts(ours, theirs)
    taken = {id(mine) for mine, _ in pairs}
    found = {id(other) for _, other in pairs}
    alone = [d for d in ours if id(d) not in taken]
    doubtful = [d for d in theirs if id(d) not in found and counts(d)
                and any(may_be(d, x) for x in alone)]
    pairs += _only_ones(alone, doubtful)
    found = {id(other) for _, other in pairs}
    doubtful = [d for d in doubtful if id(d) not in found]
    return Matched(pairs, doubtful, _uncounted(alone, doubtful))


def _counterparts(ours: Sequence[Device], theirs: Sequence[Device]
                  ) -> Pairs:
    """The devices that a serial number, a place or an address joins.

    A key joins two devices only where it tells one on either side: two GPUs
    with one board serial are told apart by the next key, or stay apart.
    """
    pairs: Pairs = []
    for key in (serial, location, address):
        left = [d for d in ours if all(d is not p[0] for p in pairs)]
        right = [d for d in theirs if all(d is not p[1] for p in pairs)]
        for mine in left:
            # A key that several devices of one look have tells nobody.
            if key(mine) is None or _count(ours, mine, key) != 1:
                continue
            found = [d for d in right if key(d) == key(mine)
                     and _count(theirs, d, key) == 1 and _alike(mine, d)]
            if len(found) == 1:
                pairs.append((mine, found[0]))
                right.remove(found[0])
    return pairs


def _count(devices: Sequence[Device], dev: Device,
           key: Callable[[Device], str | None]) -> int:
    return sum(key(d) == key(dev) and same_kind(d, dev) for d in devices)


def serial(dev: Device) -> str | None:
    return clean_serial(dev.serial)


def location(dev: Device) -> str | None:
    return version.clean(dev.location)


def address(dev: Device) -> str | None:
    return dev.address.lower() if dev.address else None


def same_kind(a: Device, b: Device) -> bool:
    """Whether two devices are of one kind; one's NIC is another's DPU."""
    return a.kind == b.kind or {a.kind, b.kind} == {'nic', 'dpu'}


def _alike(a: Device, b: Device) -> bool:
    """Whether nothing that both know tells them apart."""
    serials = (serial(a), serial(b))
    pairs = (a.pci.pair if a.pci else None, b.pci.pair if b.pci else None)
    return same_kind(a, b) and all(
        x is None or y is None or x == y for x, y in (serials, pairs))


def _only_ones(alone: list[Device],
               doubtful: list[Device]) -> Pairs:
    """Pairs of devices that can only be each other, and look alike."""
    out = []
    for device in doubtful:
        mine = [d for d in alone if may_be(device, d)]
        if len(mine) == 1 and _like(mine[0], device) and sum(
                same_kind(d, device) for d in doubtful) == 1 and sum(
                same_kind(d, device) for d in alone) == 1:
            out.append((mine[0], device))
    return out


def _like(one: Device, other: Device) -> bool:
    """Whether two devices are known to be of one product or PCI id."""
    pairs = [d.pci.pair if d.pci else None for d in (one, other)]
    return (one.product is not None and one.product == other.product) or (
        pairs[0] is not None and pairs[0] == pairs[1])


def _uncounted(alone: list[Device], doubtful: list[Device]) -> set[str]:
    """Kinds of which the two looks do not show the same number."""
    kinds = set()
    for device in doubtful:
        rivals = [d for d in alone if same_kind(d, device)
                  and any(may_be(d, x) for x in doubtful)]
        group = [d for d in doubtful if same_kind(d, device)]
        if len(rivals) != len(group):
            kinds |= {d.kind for d in (*rivals, *group)}
    return kinds


def may_be(one: Device, other: Device) -> bool:
    """Whether nothing tells two devices apart.

    Network cards of two makers are two: hosts have some of their own beside
    those that are meant. Of other kinds a server's maker may be named. Two
    BMCs show the board that each is on.
    """
    if one.kind == 'baseboard':
        return False
    makers = {d.vendor.lower() for d in (one, other) if d.vendor}
    products = {d.product for d in (one, other) if d.product}
    return _alike(one, other) and len(products) < 2 and not (
        len(makers) > 1 and one.kind in ('nic', 'dpu')) and not (
        one.address and other.address
        and one.address.lower() != other.address.lower())
