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

"""Identity: the only place where devices get their stable ids.

Readers name a device by its URI or its PCI address. Here the devices that
several transports and endpoints show of a node are put together, and each one
gets its stable id: the one that it had before, if it is known.

A device is known by its serial number, then by where it sits, then by its
PCI address; by its URI only where nothing else is known, and never from one
inventory to the next (``device_marks``).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from collections import Counter
import dataclasses
import hashlib
import itertools
import re
import types

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Warned
from ironic_accel.model import device_marks
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.model.device_marks import clean_text
from ironic_accel.model.device_marks import Identity
from ironic_accel.model.device_marks import Matched
from ironic_accel.model.device_marks import Pairs
from ironic_accel.model.device_marks import ShownBySource

#: What devices were known by earlier, by their stable ids.
Known = Mapping[str, Identity]

NOBODY: Known = types.MappingProxyType({})

#: What devices are found by.
_Key = tuple[str | None, ...]

_FOREIGN = re.compile(r'[^A-Za-z0-9._:/@-]+')
_LONGEST = 64

_LEFT_OUT = 'ignored: it cannot be distinguished from another of its kind'
_MAY_BE = ('may be the same device as {}, which another transport reports '
           'with another serial number or PCI id')


def _any(_: Device) -> bool:
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One inventory of a node, whose devices are to be identified.

    :ivar inventory: what one transport to one endpoint shows.
    :ivar stable: whether ``identify`` gave its ids, now or earlier; else
        they are a reader's own (URIs, PCI addresses), unique in it at best.
    :ivar counts: whether a device that no source before has is one more.
    :ivar whole: whether it shows the devices of the whole system; the BMC of
        a card shows that card alone.
    """

    inventory: Inventory
    stable: bool = False
    counts: Callable[[Device], bool] = _any
    whole: bool = True


def identify(sources: Iterable[Source], known: Known = NOBODY,
             both: bool = True) -> tuple[Inventory, ...]:
    """The inventories with stable ids: one id is one device in all of them.

    Serials and locations without a meaning ("NA", zeros) become None. A
    device that may or may not be one of an earlier source is ignored, with a
    warning. The number of a kind is unknown (``uncounted``) if the sources
    show different numbers, or if two counted devices may be one with a wrong
    serial number (``device_marks.possible_duplicates``).

    :param sources: in the order in which they are preferred.
    :param known: ``identities`` of before.
    :param both: whether all sources are of one time: a card that moved since
        contradicts nothing.
    """
    there: list[Device] = []
    shown: list[ShownBySource] = []
    joined: list[tuple[Inventory, dict[str, str]]] = []
    for source in sources:
        devices, names = _named(source)
        if joined:
            matched = device_marks.match(there, devices, source.counts)
            if both:
                matched.uncounted.update(
                    device_marks.crossed(there, matched.pairs))
            agreed = _agree(there, devices, matched, source.counts)
        else:
            there = list(devices)
            matched = Matched([], [], set())
            agreed = {d.id: d.id for d in devices}
        shown.append(ShownBySource(frozenset(agreed.values()), source.whole))
        joined.append((_kept(source.inventory, devices, agreed, matched),
                       {old: agreed.get(new, new)
                        for old, new in names.items()}))
    last = _as_known(there, known)
    out = [_renamed(inventory, names, last) for inventory, names in joined]
    twice = list(device_marks.possible_duplicates(there, shown))
    if twice:
        out[-1] = _doubted(out[-1], twice, last)
    return tuple(out)


def _named(source: Source) -> tuple[list[Device], dict[str, str]]:
    """The devices of one source with ids that are unique in it.

    :returns: with these ids by those of the reader.
    """
    devices = list(source.inventory.devices)
    if source.stable:
        return devices, {d.id: d.id for d in devices}
    devices = [device_marks.cleaned(d) for d in devices]
    shared = Counter((d.kind, d.serial) for d in devices)
    taken: set[str] = set()
    names: dict[str, str] = {}
    for n, dev in enumerate(devices):
        new = _free(_candidates(dev, shared[dev.kind, dev.serial] == 1),
                    taken)
        names.setdefault(dev.id, new)
        devices[n] = dataclasses.replace(dev, id=new)
    return devices, names


def _agree(there: list[Device], devices: Sequence[Device], matched: Matched,
           counts: Callable[[Device], bool]) -> dict[str, str]:
    """The ids of one more source's devices among those that are there.

    :param there: all devices of the sources before, with what is known of
        each; those of this source are added.
    """
    at = {id(d): n for n, d in enumerate(there)}
    agreed: dict[str, str] = {}
    for mine, other in matched.pairs:
        agreed[other.id] = mine.id
        n = at[id(mine)]
        there[n] = device_marks.united(mine, other)
    taken = {d.id for d in there}
    doubtful = {id(d) for d in matched.doubtful}
    for dev in devices:
        if dev.id not in agreed and id(dev) not in doubtful and counts(dev):
            agreed[dev.id] = _free((dev.id, *_candidates(dev, False)), taken)
            there.append(dataclasses.replace(dev, id=agreed[dev.id]))
    return agreed


def _kept(inventory: Inventory, devices: Sequence[Device],
          agreed: Mapping[str, str], matched: Matched) -> Inventory:
    """A source's inventory of the devices that count."""
    return dataclasses.replace(
        inventory, devices=tuple(dataclasses.replace(d, id=agreed[d.id])
                                 for d in devices if d.id in agreed),
        uncounted=tuple(sorted({*inventory.uncounted, *matched.uncounted})),
        warnings=(*inventory.warnings, *(
            Warned(d.id, _LEFT_OUT) for d in matched.doubtful)))


def _doubted(inventory: Inventory, twice: Pairs,
             last: Mapping[str, str]) -> Inventory:
    """An inventory that says which devices may be one."""
    kinds = {d.kind for pair in twice for d in pair}
    return dataclasses.replace(
        inventory, uncounted=tuple(sorted({*inventory.uncounted, *kinds})),
        warnings=(*inventory.warnings, *(
            Warned(last[other.id], _MAY_BE.format(last[one.id]))
            for one, other in twice)))


def _as_known(there: Sequence[Device], known: Known) -> dict[str, str]:
    """The ids that devices had before, by those that they have now."""
    if not known:
        return {d.id: d.id for d in there}
    names: dict[str, str] = {}
    used: set[str] = set()
    for rule, keys, wanted in _RULES:
        by_key: dict[_Key, list[Device]] = {}
        for dev in there:
            for key in keys(dev):
                by_key.setdefault((dev.kind, *key), []).append(dev)
        for old, identity in known.items():
            if old in used:
                continue
            found = list(itertools.islice((
                d for d in by_key.get((identity[0], *wanted(identity)), ())
                if d.id not in names and rule(d, old, identity)), 2))
            if len(found) == 1:
                names[found[0].id] = old
                used.add(old)
    taken = set(names.values())
    for dev in there:
        if dev.id not in names:
            names[dev.id] = _free((dev.id, *_candidates(dev, False)), taken)
    return names


def _renamed(inventory: Inventory, names: Mapping[str, str],
             last: Mapping[str, str]) -> Inventory:
    """The inventory with its last ids, in all that names a device.

    :param names: the ids that all sources agree on, by the reader's own.
    :param last: the last ids, by those.
    """
    def name(old: str) -> str:
        new = names.get(old, old)
        return last.get(new, new)

    devices = tuple(dataclasses.replace(
        d, id=last[d.id], parent=None if d.parent is None else name(d.parent))
        for d in inventory.devices)
    return dataclasses.replace(
        inventory, devices=devices,
        busy=tuple(b.renamed(name) for b in inventory.busy),
        halfway=tuple(b.renamed(name) for b in inventory.halfway),
        unread=tuple(u if u.about is None else dataclasses.replace(
            u, about=name(u.about)) for u in inventory.unread))


def _candidates(dev: Device, alone: bool) -> Iterator[str]:
    """Ids for a device, the best first; the last may not be free either."""
    serial = clean_serial(dev.serial)
    base = f'{dev.kind}-{serial}' if serial else dev.kind
    if serial and alone:
        yield base
    location = clean_text(dev.location)
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


def _places(dev: Device) -> set[_Key]:
    """Where a device sits, by location and by address."""
    location = clean_text(dev.location)
    return {(place,) for place in (
        location, f'@{dev.address.lower()}' if dev.address else None)
        if place is not None}


def _serials(dev: Device) -> set[_Key]:
    """The serial number of a device, if it has one."""
    serial = clean_serial(dev.serial)
    return set() if serial is None else {(serial,)}


def _serials_and_places(dev: Device) -> set[_Key]:
    return {(*serial, *place) for serial in _serials(dev)
            for place in _places(dev)}


def _same_key(dev: Device, old: str, identity: Identity) -> bool:
    return True


def _same_serial(dev: Device, old: str, identity: Identity) -> bool:
    # An id with a place in it was given because the serial was shared.
    kind, serial, location = identity
    return location is None or old == _short(f'{kind}-{serial}')


def _same_place(dev: Device, old: str, identity: Identity) -> bool:
    serial, now = identity[1], clean_serial(dev.serial)
    return now is None or serial is None or now == serial


#: How a device is known again, the surest rule first: what has to agree
#: besides a key, the keys of a device, and the key of what was known. The
#: devices are found by their keys, because a comparison of each with each
#: takes a minute for some thousands of them.
_RULES: tuple[tuple[Callable[[Device, str, Identity], bool],
                    Callable[[Device], set[_Key]],
                    Callable[[Identity], _Key]], ...] = (
    (_same_key, _serials_and_places, lambda identity: identity[1:]),
    (_same_serial, _serials, lambda identity: identity[1:2]),
    (_same_place, _places, lambda identity: identity[2:]))
