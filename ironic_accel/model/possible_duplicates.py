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


"""Devices that two transports show and that may be one device.

Two transports that each show the whole system show the same devices. Where
one tells a wrong serial number or PCI id, nothing joins what they show, and
one device would count twice. The number of the kind is then not known.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import itertools

from ironic_accel.model import device_marks
from ironic_accel.model.device import Device
from ironic_accel.model.device_marks import Pairs


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
    for one, other in itertools.combinations(there, 2):
        if not _told_apart(one.id, other.id, shown) and (
                _shares_a_mark(one, other)
                or device_marks.may_be(_unnumbered(one),
                                       _unnumbered(other))):
            yield one, other


def crossed(there: Sequence[Device], pairs: Pairs) -> set[str]:
    """Kinds of devices whose serial numbers and places contradict.

    A device that a serial number joins with one which sits, by its location
    or its PCI address, where another device of its kind is: two serial
    numbers are swapped, and nobody can tell which card is which.

    :param there: the devices of one moment that ``pairs`` joins with others.
    """
    return {mine.kind for mine, other in pairs for place in (
            device_marks.location, device_marks.address)
            if _elsewhere(mine, other, place)
            and any(place(d) == place(other) and d is not mine
                    and device_marks.same_kind(d, mine) for d in there)}


def _elsewhere(one: Device, other: Device,
               place: Callable[[Device], str | None]) -> bool:
    here, there = place(one), place(other)
    return here is not None and there is not None and here != there


def _told_apart(one: str, other: str, shown: Iterable[ShownBySource]) -> bool:
    """Whether who shows two devices tells that they are two."""
    cards = [s.ids for s in shown if not s.whole]
    return any({one, other} <= s.ids for s in shown) or (
        any(one in ids for ids in cards)
        and any(other in ids for ids in cards))


def _shares_a_mark(one: Device, other: Device) -> bool:
    """Whether two devices have a serial number or a place in common.

    At one PCI address there is one device, whatever kind it is said to be.
    The boards of a system may share what its maker wrote there.
    """
    if 'baseboard' in (one.kind, other.kind):
        return False
    if device_marks.address(one) is not None and (
            device_marks.address(one) == device_marks.address(other)):
        return True
    return device_marks.same_kind(one, other) and any(
        key(one) is not None and key(one) == key(other)
        for key in (device_marks.serial, device_marks.location))


def _unnumbered(dev: Device) -> Device:
    """A device as it is where its serial number is not to be trusted."""
    return dataclasses.replace(dev, serial=None)
