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

"""What one way alone can see, kept while another way looks.

An agent sees devices that a BMC knows nothing of, and the other way round.
A look by one of them must not make the other's vanish: they are kept from
the last look that could see them. What has a URI was seen by a BMC.
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
    """A look with what it could not see, as it was stored.

    :param seen: with the ids of ``stored``, where a device is in both.
    :param state: whether versions, modes and health are kept too, or only
        who is there: whoever had the host since may have changed the rest.
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


def missing(seen: Inventory, stored: Inventory) -> tuple[Device, ...]:
    """The stored devices that a look of the same node does not have.

    :param seen: with the ids of ``stored``, and with what only another way
        can see.
    """
    there = {d.id for d in seen.devices}
    return tuple(d for d in stored.devices if d.id not in there)


def unseen(seen: Inventory, stored: Inventory, once: bool) -> Inventory:
    """A look with the devices that it cannot tell to be gone, as unread.

    Those are the ones of a kind that was not read whole; and where it is the
    first look that does not list them any more, all that it lacks.

    :param once: whether one look is all that there was.
    """
    known = {d.id for d in stored.devices}
    # One that is listed and was not read may be one of them, by another id.
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


def _sides(look: Inventory) -> tuple[bool, bool]:
    """Whether a look has what is seen from inside, and from outside."""
    transports = set(look.seen_via)
    return bool(transports & INSIDE), bool(transports - INSIDE)


def transports(now: Iterable[Transport], stored: Iterable[Transport],
         seen: Inventory) -> tuple[Transport, ...]:
    """The ways of a look, and those that were not open to it."""
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
        commits={r: v for r, v in transport.commits.items() if r[0] in there},
    )


def _detailed(device: Device,
              hidden: Callable[[Component | Mode], bool]) -> bool:
    return (device.address is not None or bool(device.told)
            or any(map(hidden, device.modes))
            or any(map(hidden, device.components)))


def _part(device: Device,
          hidden: Callable[[Device | Component | Mode], bool],
          state: bool, inside: bool) -> Device:
    """A device as far as only the other way knows it.

    :param inside: whether that way looks from inside of the host.
    """
    if not state:
        return dataclasses.replace(
            device, health=None, state=None, components=(), modes=(),
            unread=(), absent=(), told=())
    told = tuple(t for t in device.told
                 if (t.partition(':')[0] in INSIDE) == inside)
    # The health of a device that two ways told is not that of one of them.
    health = (device.health if hidden(device) and not device.told
              else None)
    for one in told:
        health = unite.worse(health, one.partition(': ')[2])
    mine = hidden(device)
    return dataclasses.replace(
        device, health=health, told=told,
        state=device.state if mine else None,
        unread=device.unread if mine else (),
        absent=device.absent if mine else (),
        components=_which(device.components, hidden),
        modes=_which(device.modes, hidden))


def _which(parts: tuple[_T, ...],
           hidden: Callable[[_T], bool]) -> tuple[_T, ...]:
    return tuple(p for p in parts if hidden(p))
