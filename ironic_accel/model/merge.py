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

"""Two inventories of one node, seen by two ways, made into one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model import identity
from ironic_accel.model import unite
from ironic_accel.model import version

def merge(a: Inventory, b: Inventory,
          pairs: Sequence[tuple[Device, Device]] | None = None,
          both: bool = True) -> Inventory:
    """One inventory of what two ways see of the same node.

    Devices (with ids of ``join.identify``) join on serial, then location,
    then PCI address; what cannot be told to be one stays two (for looks that
    may show the same see ``carry.joined``). Where both know a value, that of
    ``a`` stands; what ``a`` does not know is filled from ``b``. Components
    and modes are united. It is complete where both are.

    Two ways that tell a version or a mode differently make a doubt
    (``model.unite``); of two healths the worse holds, of two states the one
    that is not usable. What one way did not read and the other tells is
    told.

    :param pairs: which device is which, where the caller knows.
    :param both: whether the two looked at one time: what was stored earlier
        is no witness against what is seen now.
    """
    if pairs is None:
        pairs = counterparts(a.devices, b.devices)
    names = {other.id: mine.id for mine, other in pairs}
    taken = {d.id for d in a.devices}
    extra = []
    for dev in b.devices:
        if dev.id not in names:
            names[dev.id] = identity.free_id(dev, taken)
            extra.append(dev)
    mine_by_id = {mine.id: other for mine, other in pairs}
    ways = ('/'.join(a.seen_via) or 'one', '/'.join(b.seen_via) or 'other')
    devices = [unite.devices(d, identity.renamed_device(
        mine_by_id[d.id], names), ways if both else None)
               if d.id in mine_by_id else d for d in a.devices]
    devices += [identity.renamed_device(d, names) for d in extra]
    b = identity.renamed(b, names)
    joint = {mine.id for mine, _ in pairs}
    return dataclasses.replace(
        a, unread=unite.unread((*a.unread, *b.unread), [
            d for d in devices if d.id in joint]),
        host=a.host if a.host != 'unknown' else b.host,
        complete=a.complete and b.complete,
        boot=b.boot if a.boot is None else a.boot,
        busy=a.busy + b.busy, halfway=a.halfway + b.halfway,
        waiting=a.waiting + b.waiting,
        warnings=a.warnings + b.warnings, lacking=a.lacking + b.lacking,
        uncounted=tuple(sorted({*a.uncounted, *b.uncounted})),
        seen_via=tuple(dict.fromkeys(a.seen_via + b.seen_via)),
        requests=a.requests + b.requests, devices=tuple(devices))


def counterparts(ours: tuple[Device, ...], theirs: tuple[Device, ...]
                 ) -> list[tuple[Device, Device]]:
    """Which device of one look is which of the other.

    A key joins two devices only where it tells one on either side: two GPUs
    with one board serial are told apart by the next key, or stay apart.
    """
    pairs: list[tuple[Device, Device]] = []
    for key in (_serial, _location, _address):
        left = [d for d in ours if all(d is not p[0] for p in pairs)]
        right = [d for d in theirs if all(d is not p[1] for p in pairs)]
        for mine in left:
            # A key that several devices of one look have tells nobody.
            if key(mine) is None or _count(ours, mine, key) != 1:
                continue
            found = [d for d in right if key(d) == key(mine)
                     and _count(theirs, d, key) == 1 and alike(mine, d)]
            if len(found) == 1:
                pairs.append((mine, found[0]))
                right.remove(found[0])
    return pairs


def _count(devices: tuple[Device, ...], dev: Device,
           key: Callable[[Device], str | None]) -> int:
    return sum(key(d) == key(dev) and same_kind(d, dev) for d in devices)


def _serial(dev: Device) -> str | None:
    return identity.clean_serial(dev.serial)


def _location(dev: Device) -> str | None:
    return version.clean(dev.location)


def _address(dev: Device) -> str | None:
    return dev.address.lower() if dev.address else None


def same_kind(a: Device, b: Device) -> bool:
    """Whether two devices are of one kind; one's NIC is another's DPU."""
    return a.kind == b.kind or {a.kind, b.kind} == {'nic', 'dpu'}


def alike(a: Device, b: Device) -> bool:
    """Whether nothing that both know tells them apart."""
    serials = (_serial(a), _serial(b))
    pairs = (a.pci.pair if a.pci else None, b.pci.pair if b.pci else None)
    return same_kind(a, b) and all(
        x is None or y is None or x == y for x, y in (serials, pairs))
