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

"""Identifies the devices of two inventories that are the same device.

A device is identified by its serial number, then by its location, then by its
PCI address. Serial numbers may be those of a board, shared by two GPUs, and
may be lost; two devices are the same only if no reported value contradicts
it.

Two transports that each show the whole system show the same devices. If one
reports a wrong serial number or PCI id, nothing joins what they show, and one
device would count twice: the number of the kind is then not known.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import TypeVar
import zlib

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory

_T = TypeVar('_T')

#: Placeholders that BMCs and tools print for an unknown value.
_PLACEHOLDERS = frozenset({
    '', 'na', 'n/a', 'n.a.', 'none', 'null', 'undefined', 'unknown',
    'not available', 'not applicable', 'not supported', 'unsupported',
    'nil', '-', '--'})

#: (kind, serial, location): what a device is known by.
Identity = tuple[str, str | None, str | None]

#: Devices of one inventory and of another that are one.
Pairs = list[tuple[Device, Device]]


def clean_text(text: object) -> str | None:
    """A text that is reported, without blanks, NULs and placeholders.

    :returns: None if there is none.
    """
    if not isinstance(text, str):
        return None
    bare = text.replace('\0', ' ').strip()
    return None if bare.lower() in _PLACEHOLDERS else bare


def clean_serial(text: object) -> str | None:
    """A serial number, or None for zeros, "NA", blanks and the like."""
    bare = clean_text(text)
    if bare is None:
        return None
    digits = bare.lower().removeprefix('0x').replace('-', '')
    if set(digits) <= {'0'} or set(digits) == {'f'}:
        return None
    if bare.lower() in ('not specified', 'to be filled by o.e.m.'):
        return None
    return bare


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
    location = clean_text(dev.location)
    return location or (f'@{dev.address.lower()}' if dev.address else None)


def mark(dev: Device) -> str:
    """The mark of a device, by which it is known in the next inventory.

    ``serial.place``, each as eight hexadecimal digits or nothing.
    """
    place = clean_text(dev.location) or dev.address or dev.uri
    return '.'.join('' if not text else f'{zlib.crc32(text.encode()):08x}'
                    for text in (clean_serial(dev.serial), place))


def same_mark(one: str, other: str) -> bool:
    """Whether two marks are those of one device.

    Serial numbers decide, except those of a board, which its GPUs share in
    different locations.
    """
    (serial, place), (serial2, place2) = one.split('.'), other.split('.')
    if serial and serial2 and serial != serial2:
        return False
    return place == place2 or bool(
        serial and serial2 and not (place and place2))


def cleaned(dev: Device) -> Device:
    """The device; a serial or location without a meaning becomes None."""
    return dataclasses.replace(dev, serial=clean_serial(dev.serial),
                               location=clean_text(dev.location))


def filled(mine: _T, other: _T) -> _T:
    """A dataclass with its missing values taken from another."""
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
    :ivar doubtful: devices of the other inventory that may or may not be one
        of the first: they are not counted.
    :ivar uncounted: kinds of which the two do not show the same number.
    """

    pairs: Pairs
    doubtful: list[Device]
    uncounted: set[str]


def match(ours: Sequence[Device], theirs: Sequence[Device],
          counts: Callable[[Device], bool]) -> Matched:
    """Find the devices of two inventories that are the same.

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
    """The devices with the same serial number, location or address.

    A key joins two devices only if it is unique in both inventories: two GPUs
    with one board serial are distinguished by the next key, or not joined.
    """
    pairs: Pairs = []
    left = {id(d) for d in ours}
    right = {id(d) for d in theirs}
    for key in (serial, location, address):
        candidates = _unique(theirs, key)
        # A key that several devices share identifies none of them.
        for place, mine in _unique(ours, key).items():
            other = candidates.get(place)
            if other is None or id(mine) not in left or (
                    id(other) not in right) or not _alike(mine, other):
                continue
            pairs.append((mine, other))
            left.remove(id(mine))
            right.remove(id(other))
    return pairs


def _unique(devices: Sequence[Device], key: Callable[[Device], str | None]
            ) -> dict[tuple[str, str], Device]:
    """The devices whose key no other device of their kind has, by the two."""
    found: dict[tuple[str, str], Device] = {}
    shared = set()
    for dev in devices:
        text = key(dev)
        if text is not None:
            place = (_family(dev), text)
            if place in found:
                shared.add(place)
            found[place] = dev
    return {place: dev for place, dev in found.items()
            if place not in shared}


def serial(dev: Device) -> str | None:
    return clean_serial(dev.serial)


def location(dev: Device) -> str | None:
    return clean_text(dev.location)


def address(dev: Device) -> str | None:
    return dev.address.lower() if dev.address else None


def _family(dev: Device) -> str:
    """The kind of a device; one's NIC is another's DPU."""
    return 'nic' if dev.kind == 'dpu' else dev.kind


def same_kind(a: Device, b: Device) -> bool:
    """Whether two devices are of one kind."""
    return _family(a) == _family(b)


def _alike(a: Device, b: Device) -> bool:
    """Whether no value that both report contradicts."""
    serials = (serial(a), serial(b))
    pairs = (a.pci.pair if a.pci else None, b.pci.pair if b.pci else None)
    return same_kind(a, b) and all(
        x is None or y is None or x == y for x, y in (serials, pairs))


def _only_ones(alone: list[Device],
               doubtful: list[Device]) -> Pairs:
    """Pairs of devices of one product with no other candidate."""
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
    """Kinds of which the two inventories show different numbers."""
    kinds = set()
    for device in doubtful:
        rivals = [d for d in alone if same_kind(d, device)
                  and any(may_be(d, x) for x in doubtful)]
        group = [d for d in doubtful if same_kind(d, device)]
        if len(rivals) != len(group):
            kinds |= {d.kind for d in (*rivals, *group)}
    return kinds


def may_be(one: Device, other: Device) -> bool:
    """Whether two devices may be the same.

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


@dataclasses.dataclass(frozen=True, slots=True)
class ShownBySource:
    """Which devices one source shows.

    :ivar ids: of devices, as all sources agree on them.
    :ivar whole: whether it shows the whole system; the BMC of a card shows
        that card alone.
    """

    ids: frozenset[str]
    whole: bool


def possible_duplicates(there: Sequence[Device], shown: Sequence[ShownBySource]
                        ) -> Iterator[tuple[Device, Device]]:
    """Devices that count as two and may be one, the earlier one first.

    Two that one source shows beside each other are two, as are those that
    the BMCs of two cards show.

    :param there: the devices of all sources, each once.
    :param shown: which of them each source shows.
    """
    for one, other in _not_told_apart(there, shown):
        if _shares_a_mark(one, other) or may_be(
                _unnumbered(one), _unnumbered(other)):
            yield one, other


def _not_told_apart(there: Sequence[Device], shown: Sequence[ShownBySource]
                    ) -> Iterator[tuple[Device, Device]]:
    """Pairs of devices of which no source tells that they are two.

    Devices that the same sources show are compared with others at once: all
    devices of a node in one source make no pair.
    """
    groups: dict[frozenset[int], list[int]] = {}
    of = []
    for n, dev in enumerate(there):
        of.append(frozenset(k for k, s in enumerate(shown) if dev.id in s.ids))
        groups.setdefault(of[n], []).append(n)
    cards = frozenset(k for k, s in enumerate(shown) if not s.whole)
    apart = {mine: [members for other, members in groups.items()
                    if not mine & other and not (mine & cards
                                                 and other & cards)]
             for mine in groups}
    for n, dev in enumerate(there):
        later = sorted(m for members in apart[of[n]]
                       for m in members if m > n)
        yield from ((dev, there[m]) for m in later)


def crossed(there: Sequence[Device], pairs: Pairs) -> set[str]:
    """Kinds of devices whose serial numbers and places contradict.

    A device that a serial number joins with one which sits, by its location
    or its PCI address, where another device of its kind is: two serial
    numbers are swapped, and nobody can tell which card is which.

    :param there: the devices of one moment that ``pairs`` joins with others.
    """
    return {mine.kind for mine, other in pairs for place in (location, address)
            if _elsewhere(mine, other, place)
            and any(place(d) == place(other) and d is not mine
                    and same_kind(d, mine) for d in there)}


def _elsewhere(one: Device, other: Device,
               place: Callable[[Device], str | None]) -> bool:
    here, there = place(one), place(other)
    return here is not None and there is not None and here != there


def _shares_a_mark(one: Device, other: Device) -> bool:
    """Whether two devices have a serial number or a place in common.

    At one PCI address there is one device, whatever kind it is said to be.
    The boards of a system may share what its maker wrote there.
    """
    if 'baseboard' in (one.kind, other.kind):
        return False
    if address(one) is not None and (address(one) == address(other)):
        return True
    return same_kind(one, other) and any(
        key(one) is not None and key(one) == key(other)
        for key in (serial, location))


def _unnumbered(dev: Device) -> Device:
    """A device as it is where its serial number is not to be trusted."""
    return dataclasses.replace(dev, serial=None)
