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

"""Unites what two transports read of one device.

If both report a version or a mode at the same time, with different values,
neither value counts, and both are kept with their source. The worse health
counts, and the state in which the device cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import functools
from typing import Any

from ironic_accel.model import condition
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model import device_marks
from ironic_accel.model import identity
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.identity import Source
from ironic_accel.model import matching
from ironic_accel.model.plan import plain
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import version

#: Words of Redfish Resource.Health, the best first.
_HEALTH = (None, 'OK', 'Warning', 'Critical')

#: The names of two transports; None if one of the two is of an earlier time.
Transports = tuple[str, str] | None


def inventory(sources: Iterable[Source], known: Known = NOBODY,
              both: bool = True) -> Inventory:
    """One inventory of what several transports show of one node.

    ``identity.identify`` decides which devices are the same. A value of the
    first transport takes precedence; a missing one is taken from the other.
    Components and modes are united. It is complete if all are. What one did
    not read and another reports counts as read.

    :param sources: at least one, in the order in which they are preferred.
    :param known: what devices were known by before, by their ids.
    :param both: whether all are of one time: a stored value does not
        contradict a present one.
    """
    return functools.reduce(functools.partial(_inventory, both=both),
                            identity.identify(sources, known, both))


def _inventory(a: Inventory, b: Inventory, both: bool) -> Inventory:
    transports = ('/'.join(a.seen_via) or 'one',
                  '/'.join(b.seen_via) or 'other')
    theirs = {d.id: d for d in b.devices}
    united = [devices(d, theirs.pop(d.id), transports if both else None)
              if d.id in theirs else d for d in a.devices]
    known = {d.id for d in b.devices} - set(theirs)
    return dataclasses.replace(
        a, unread=unread((*a.unread, *b.unread), [
            d for d in united if d.id in known]),
        host=a.host if a.host != 'unknown' else b.host,
        complete=a.complete and b.complete,
        boot=b.boot if a.boot is None else a.boot,
        busy=a.busy + b.busy, halfway=a.halfway + b.halfway,
        waiting=a.waiting + b.waiting,
        warnings=a.warnings + b.warnings, lacking=a.lacking + b.lacking,
        uncounted=tuple(sorted({*a.uncounted, *b.uncounted})),
        seen_via=tuple(dict.fromkeys(a.seen_via + b.seen_via)),
        requests=a.requests + b.requests,
        devices=(*united, *theirs.values()))


def devices(mine: Device, other: Device, transports: Transports) -> Device:
    """A device with what the other transport knows of it."""
    out = device_marks.united(mine, other)
    left = (*_unread(mine, other), *_unread(other, mine))
    return dataclasses.replace(
        out, fit=device_marks.filled(mine.fit, other.fit),
        link=(device_marks.filled(mine.link, other.link)
              if mine.link and other.link else out.link),
        macs=tuple(dict.fromkeys(mine.macs + other.macs)),
        components=_all(mine.components, other.components,
                        lambda a, b: _component(a, b, transports)),
        modes=_all(mine.modes, other.modes,
                   lambda a, b: _mode(a, b, transports)),
        health=worse(mine.health, other.health),
        state=_state(mine, other), told=_told(mine, other, transports),
        unread=tuple(dict.fromkeys(left)),
        absent=tuple(a for a in dict.fromkeys(mine.absent + other.absent)
                     if (a in mine.absent and a in other.absent)
                     or not _tells(other if a in mine.absent else mine, a)))


def unread(found: Iterable[Unread], joint: Iterable[Device]
           ) -> tuple[Unread, ...]:
    """What two inventories did not read and the other one does not report.

    :param joint: the devices that both have, united.
    """
    known = {d.id: d for d in joint}
    out = []
    for one in found:
        device = known.get(one.about or '')
        if device is not None:
            facts = tuple(f for f in one.facts if f in device.unread
                          or f'{f[:-1] if f == "modes" else f}:*'
                          in device.unread)
            one = dataclasses.replace(
                one, facts=facts, kinds=(
                    one.kinds if device.is_unread() else ()))
        out.append(one)
    return tuple(out)


def worse(one: str | None, other: str | None) -> str | None:
    """The worse of two healths; a value that is not one of Redfish is the
    worst, None the best."""
    def rank(health: str | None) -> int:
        return (_HEALTH.index(health) if health in _HEALTH
                else len(_HEALTH))

    return max(one, other, key=rank)


def _told(mine: Device, other: Device, transports: Transports
          ) -> tuple[str, ...]:
    """The health by each transport, if both report one."""
    if transports is None or None in (mine.health, other.health):
        return mine.told + other.told
    return tuple(dict.fromkeys((
        *(mine.told or (f'{transports[0]}: {mine.health}',)),
        *(other.told or (f'{transports[1]}: {other.health}',)))))


def _state(mine: Device, other: Device) -> str | None:
    if mine.state is None or other.state is None:
        return mine.state if other.state is None else other.state
    return mine.state if not condition.usable(mine) else other.state


def _tells(device: Device, fact: str) -> bool:
    """Whether a transport reports a fact that another one did not read."""
    if device.is_unread(fact):
        return False
    what, _, name = fact.partition(':')
    if what in ('health', 'state'):
        return getattr(device, what) is not None
    if what == 'identity':
        return bool(device.serial or device.product)
    if what == 'presence':
        return True
    if name and what == 'firmware':
        part = device.component(name)
        return part is not None and part.running is not None
    if name:
        mode = device.mode(name)
        return mode is not None and mode.current is not None
    return False


def _unread(mine: Device, other: Device) -> list[str]:
    """What one transport did not read and the other does not report either.

    Of firmware and modes as a whole the other transport reports those that it
    reads: the rest stays unread.
    """
    out: list[str] = []
    for fact in mine.unread:
        if fact == 'presence' and not other.is_unread():
            out += ['firmware:*', 'mode:*']
            out += ['health'] if other.health is None else []
        elif fact in ('firmware', 'modes') and not other.is_unread(fact):
            out.append(f"{'mode' if fact == 'modes' else fact}:*")
        elif not _tells(other, fact):
            out.append(fact)
    return out


def _component(mine: Component, other: Component, transports: Transports
               ) -> Component:
    out = dataclasses.replace(
        device_marks.filled(mine, other),
        shows_pending=mine.shows_pending or other.shows_pending,
        standing=_standing(mine.standing, other.standing))
    conflicts = _differ(
        mine.conflicts, other.conflicts, mine.running, other.running,
        transports, lambda a, b: version.same(str(a), str(b), 'auto'))
    if not conflicts:
        return out
    return dataclasses.replace(out, running=None, conflicts=conflicts)


def _mode(mine: Mode, other: Mode, transports: Transports) -> Mode:
    unordered = mine.unordered or other.unordered
    out = dataclasses.replace(
        device_marks.filled(mine, other), unordered=unordered,
        read_only=mine.read_only or other.read_only,
        standing=_standing(mine.standing, other.standing))
    conflicts = _differ(
        mine.conflicts, other.conflicts, mine.current, other.current,
        transports, lambda a, b: matching.same_value(a, b, unordered))
    if not conflicts:
        return out
    return dataclasses.replace(out, current=None, conflicts=conflicts)


def _differ(mine: tuple[str, ...], other: tuple[str, ...],
            a: Value | None, b: Value | None, transports: Transports,
            same: Callable[[Value, Value], bool]) -> tuple[str, ...]:
    """The values of two sources that differ, each with its source."""
    if transports is None:
        return mine if a is None else ()
    said = [
        *(mine or (() if a is None else (f'{transports[0]}: {_text(a)}',))),
        *(other or (() if b is None else (f'{transports[1]}: {_text(b)}',)))]
    if mine or other or (a is not None and b is not None
                         and not same(a, b)):
        return tuple(dict.fromkeys(said))
    return ()


def _text(value: Value) -> str:
    shown = plain(value)
    return '+'.join(map(str, shown)) if isinstance(shown, list) else (
        str(shown))


def _standing(mine: Standing, other: Standing) -> Standing:
    """Why neither transport reports a value."""
    return next((s for s in (Standing.UNREAD, Standing.ABSENT)
                 if s in (mine, other)), mine)


def _all(mine: tuple[Any, ...], other: tuple[Any, ...],
         fill: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
    theirs = {x.name: x for x in other}
    out = [fill(x, theirs.pop(x.name)) if x.name in theirs else x
           for x in mine]
    return (*out, *theirs.values())
