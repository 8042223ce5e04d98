# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Keeps what only another transport can read.

An agent reads devices that a BMC does not know, and vice versa. An inventory
by one of them must not drop those of the other: they are kept from the last
inventory that could read them. Anything with a URI was read from a BMC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
from typing import TypeVar

from ironic_accel.model import unite
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import INSIDE as INSIDE
from ironic_accel.model.plan import Transport

_T = TypeVar('_T', Device, Component, Mode)


def carried(seen: Inventory, stored: Inventory, state: bool) -> Inventory:
    """An inventory with the stored parts that it could not read.

    :param seen: with the ids of ``stored``, where a device is in both.
    :param state: whether versions, modes and health are kept too, or only
        the devices: a tenant may have changed the rest since.
    """
    inside, outside = _sides(seen)
    if inside == outside or _sides(stored)[int(inside)] is False:
        return seen

    def hidden(part: Device | Component | Mode) -> bool:
        return (part.uri is not None) == inside

    kept = [_part(d, hidden, state, not inside) for d in stored.devices
            if hidden(d) or _detailed(d, hidden)]
    last = dataclasses.replace(
        stored, host='unknown', complete=True, boot=None, busy=(),
        waiting=(), halfway=(), requests=0, warnings=(), unread=(),
        devices=tuple(kept))
    return unite.inventory((Source(seen, stable=True), Source(
        last, stable=True, counts=hidden)), both=False)


def seen_outside(seen: Inventory) -> Inventory:
    """An inventory without what was read inside of the host alone.

    It is what a run without the ramdisk reads.
    """
    inside, outside = _sides(seen)
    if not (inside and outside):
        return seen
    return dataclasses.replace(
        seen, seen_via=tuple(t for t in seen.seen_via if t not in INSIDE),
        devices=tuple(dataclasses.replace(
            d, components=tuple(c for c in d.components if c.uri is not None),
            modes=tuple(m for m in d.modes if m.uri is not None))
            for d in seen.devices if d.uri is not None))


def missing(seen: Inventory, stored: Inventory) -> tuple[Device, ...]:
    """The stored devices that an inventory of the same node lacks.

    :param seen: with the ids of ``stored``, and with what only another
        transport can read.
    """
    there = {d.id for d in seen.devices}
    return tuple(d for d in stored.devices if d.id not in there)


def unseen(seen: Inventory, stored: Inventory, once: bool) -> Inventory:
    """An inventory with the devices that may still be present, as unread.

    These are the devices of kinds that were not read completely, and all
    missing devices if it is the first inventory without them.

    :param once: whether there was only one inventory.
    """
    known = {d.id for d in stored.devices}
    # A listed device that was not read may be one of them, with another id.
    new = Counter(d.kind for d in seen.devices
                  if d.is_unread() and d.id not in known)
    kept = []
    for device in missing(seen, stored):
        if seen.complete_of(device.kind) and not (
                once and not device.is_unread()):
            continue
        if new[device.kind]:
            new[device.kind] -= 1
            continue
        kept.append(dataclasses.replace(
            device, health=None, state=None, components=(), modes=(),
            absent=(), told=(), unread=('presence',)))
    return dataclasses.replace(seen, devices=(*seen.devices, *kept))


def _sides(seen: Inventory) -> tuple[bool, bool]:
    """Whether an inventory was read inside of the host, and out of band."""
    transports = set(seen.seen_via)
    return bool(transports & INSIDE), bool(transports - INSIDE)


def transports(now: Iterable[Transport], stored: Iterable[Transport],
         seen: Inventory) -> tuple[Transport, ...]:
    """The transports of an inventory, and those that it could not use."""
    now = tuple(now)
    names = {w.name for w in now} | set(seen.seen_via)
    there = {d.id for d in seen.devices}
    return (*now, *(_only(w, there) for w in stored if w.name not in names))


def _only(transport: Transport, there: set[str]) -> Transport:
    return dataclasses.replace(
        transport,
        updates={r: b for r, b in transport.updates.items() if r[0] in there},
        sets=frozenset(r for r in transport.sets if r[0] in there),
        resets={d: e for d, e in transport.resets.items() if d in there},
        commits={r: v for r, v in transport.commits.items() if r[0] in there})


def _detailed(device: Device,
              hidden: Callable[[Component | Mode], bool]) -> bool:
    return (device.address is not None or bool(device.told)
            or any(map(hidden, device.modes))
            or any(map(hidden, device.components)))


def _part(device: Device,
          hidden: Callable[[Device | Component | Mode], bool],
          state: bool, inside: bool) -> Device:
    """A device as far as only the other transport knows it.

    :param inside: whether that transport reads inside of the host.
    """
    if not state:
        return dataclasses.replace(
            device, health=None, state=None, components=(), modes=(),
            unread=(), absent=(), told=())
    told = tuple(t for t in device.told
                 if (t.partition(':')[0] in INSIDE) == inside)
    # The health by two transports is not the health by one of them.
    health = (device.health if hidden(device) and not device.told
              else None)
    for one in told:
        health = unite.worse(health, one.partition(': ')[2])
    mine = hidden(device)
    return dataclasses.replace(device, health=health, told=told,
                               state=device.state if mine else None,
                               unread=device.unread if mine else (),
                               absent=device.absent if mine else (),
                               components=_which(device.components, hidden),
                               modes=_which(device.modes, hidden))


def _which(parts: tuple[_T, ...],
           hidden: Callable[[_T], bool]) -> tuple[_T, ...]:
    return tuple(p for p in parts if hidden(p))
