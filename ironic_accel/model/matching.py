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

"""Whether one item holds, may be changed, and whether an image fits.

Small pure questions that the planner and the loop both ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import enum
from typing import Protocol

from ironic_accel.model.condition import family
from ironic_accel.model.device import base_name
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import Refusal
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import is_product
from ironic_accel.model.reading_status import Standing
from ironic_accel.model import version


class ComponentKnowledge(Protocol):
    """What the planner asks of the catalogue about a component."""

    @property
    def order(self) -> int:
        """Its rank: lower is written first."""
        ...

    @property
    def alone(self) -> bool:
        """Whether it must not share a reset with another of its device."""
        ...

    @property
    def form(self) -> str:
        """The form of its versions (``model.version``)."""
        ...

    @property
    def longest(self) -> float | None:
        """Seconds that a write of it may take; None where unknown."""
        ...


class ModeKnowledge(Protocol):
    """What the planner asks of the catalogue about a mode."""

    @property
    def together(self) -> bool:
        """Whether it is one for all devices of the system that have it."""
        ...

    @property
    def order(self) -> int:
        """Its rank among modes: lower is set first."""
        ...

    @property
    def read_only(self) -> str:
        """Why it is never changed; empty if it is."""
        ...

    @property
    def absent(self) -> str:
        """What may hide it from a device that has it; empty if nothing."""
        ...


class Knowledge(Protocol):
    """What the planner asks of the catalogue."""

    def component(self, kind: str, name: str, product: str | None = None,
                  vendor: str | None = None) -> ComponentKnowledge | None:
        """The facts about a component, or None."""
        ...

    def mode(self, kind: str, name: str, product: str | None = None,
             vendor: str | None = None) -> ModeKnowledge | None:
        """The facts about a mode, or None."""
        ...


class ItemState(enum.Enum):
    """How an item stands against what is seen."""

    HOLDS = 'holds'
    PENDING = 'pending'
    DIFFERS = 'differs'
    #: No source reports it, or the device does not have it.
    UNSEEN = 'unseen'
    #: It could not be read: it may have any value.
    UNREAD = 'unread'
    #: Two sources report different values.
    CONFLICT = 'conflict'


def component_facts(device: Device, name: str, facts: Knowledge
                    ) -> ComponentKnowledge | None:
    """What is known of one of a device's components, or None."""
    return facts.component(device.kind, base_name(name), device.product,
                           device.vendor)


def version_form(device: Device, name: str, facts: Knowledge) -> str:
    """The form in which a component's versions compare."""
    known = component_facts(device, name, facts)
    return known.form if known else 'auto'


def meets(seen: str | None, item: Item, form: str) -> bool:
    """Whether a version is as wanted; an unknown one is not."""
    if seen is None:
        return False
    wanted = str(item.wanted)
    if version.same(seen, wanted, form):
        return True
    if not item.at_least:
        return False
    order = version.compare(seen, wanted, form)
    return order is not None and order >= 0


def same_value(a: Value | None, b: Value | None, unordered: bool) -> bool:
    """Whether two mode values are the same; unknown is never the same."""
    if a is None or b is None:
        return False
    if isinstance(a, tuple) and isinstance(b, tuple) and unordered:
        return set(a) == set(b)
    return a == b


def firmware_state(part: Component, item: Item, form: str) -> ItemState:
    """How a firmware item stands.

    A version that waits and is not the wanted one spoils what runs: the next
    reset, whoever does it, would replace it.
    """
    if part.conflicts:
        return ItemState.CONFLICT
    if part.running is None and part.standing is Standing.UNREAD:
        return ItemState.UNREAD
    if part.running is None:
        return ItemState.UNSEEN
    if part.pending is not None:
        if meets(part.pending, item, form):
            return (ItemState.HOLDS if version.same(
                part.pending, part.running, form) else ItemState.PENDING)
        return ItemState.DIFFERS
    return (
        ItemState.HOLDS
        if meets(part.running, item, form)
        else ItemState.DIFFERS
    )


def mode_state(mode: Mode, item: Item) -> ItemState:
    """How a mode item stands."""
    if mode.conflicts:
        return ItemState.CONFLICT
    if mode.current is None and mode.standing is Standing.UNREAD:
        return ItemState.UNREAD
    if mode.current is None and mode.pending is None:
        return ItemState.UNSEEN
    if mode.pending is not None:
        if same_value(mode.pending, item.wanted, mode.unordered):
            return (ItemState.HOLDS if same_value(
                mode.current, item.wanted, mode.unordered)
                else ItemState.PENDING)
        return ItemState.DIFFERS
    return (ItemState.HOLDS if same_value(
        mode.current, item.wanted, mode.unordered) else ItemState.DIFFERS)


def item_state(device: Device | None, item: Item, facts: Knowledge
              ) -> ItemState:
    """How a firmware or mode item stands against a device as seen.

    A value that could not be read may change it, whatever else is reported.
    """
    if device is None:
        return ItemState.UNSEEN
    if item_unread(device, item):
        return ItemState.UNREAD
    if item.kind == 'firmware':
        part = device.component(item.name)
        if part is None:
            return ItemState.UNSEEN
        return firmware_state(
            part, item, version_form(device, item.name, facts))
    mode = device.mode(item.name)
    return ItemState.UNSEEN if mode is None else mode_state(mode, item)


def item_unread(device: Device, item: Item) -> bool:
    """Whether something unread could change how an item stands."""
    what = 'firmware' if item.kind == 'firmware' else 'mode'
    if f'{what}:*' in device.unread and seen_value(device, item) is None:
        # One of several transports was not read, and no other reports it.
        return True
    return device.is_unread(f'{what}:{item.name}',
                            f'{what}:{base_name(item.name)}')


def conflicts(device: Device, item: Item) -> tuple[str, ...]:
    """The values that sources report differently, each with its source."""
    part: Component | Mode | None = (
        device.component(item.name) if item.kind == 'firmware'
        else device.mode(item.name))
    return part.conflicts if part else ()


def seen_value(device: Device | None, item: Item) -> Value | None:
    """What an item's component runs, or what its mode is now."""
    if device is None:
        return None
    if item.kind == 'firmware':
        part = device.component(item.name)
        return part.running if part else None
    mode = device.mode(item.name)
    return mode.current if mode else None


def _device_facts(device: Device) -> Mapping[str, str | None]:
    return {'kind': device.kind, 'vendor': device.vendor,
            'product': device.product, 'model': device.model,
            'part_number': device.part_number, 'psid': device.fit.psid,
            'board': device.fit.board, 'location': device.location,
            'pci': device.pci.pair if device.pci else None}


def matches(group: Group, device: Device) -> bool:
    """Whether a group selects a device: keys are ANDed, a list means any."""
    seen = _device_facts(device)
    return all(_is_one(group, key, seen) is True for key in group.match)


def _is_one(group: Group, key: str, seen: Mapping[str, str | None]
            ) -> bool | None:
    """Whether a device has what a key of a group asks for; None if unknown.

    A pattern of products is compared by itself: another catalogue may have
    named the device.
    """
    value = seen['product' if key == 'arch' else key]
    if value is None:
        return None
    if key == 'arch':
        return value in (group.products or ())
    if key == 'product':
        return any(is_product(value, one) for one in group.match[key])
    return value in group.match[key]


def applies(groups: Iterable[Group], devices: Sequence[Device]) -> bool:
    """Whether a device matches one of the groups.

    Groups that all accept having no device (``count: {min: 0}``) are
    fulfilled by any system without such devices, which says nothing about it.
    """
    return any(matches(group, device)
               for group in groups for device in devices)


def may_match(group: Group, device: Device) -> bool:
    """Whether a group may select a device once it is read.

    What is known of it must not speak against it; what is not known may
    turn out to be as declared.
    """
    if not device.is_unread('identity'):
        return False
    seen = _device_facts(device)
    kinds = family(frozenset({device.kind}))
    return bool(kinds & set(group.match.get('kind', kinds))) and all(
        _is_one(group, key, seen) is not False
        for key in group.match if key != 'kind')


def misfit(image: Image, device: Device, item: Item) -> Refusal | None:
    """Why an image does not fit a device, or None.

    Every key of ``fits`` must be seen and equal: unseen is a refusal too.
    """
    seen = _device_facts(device)
    for key, values in image.fits.items():
        if seen[key] is None or seen[key] not in values:
            what = 'is not reported by the device' if seen[key] is None else (
                'does not match the device')
            return Refusal(item, f'image {image.name}: its {key} {what}',
                           ' or '.join(values), seen[key])
    return None


def unaccepted(mode: Mode, item: Item) -> Refusal | None:
    """Why a device does not take a value for a mode, as it reports itself;
    None if nothing that it reports is against it."""
    if mode.read_only:
        return Refusal(item, 'the device reports it as read-only for its '
                       'host', item.wanted, mode.current)
    if mode.allowed is not None and not any(
            same_value(v, item.wanted, mode.unordered)
            for v in mode.allowed):
        known = ', '.join(str(plain(v)) for v in mode.allowed)
        return Refusal(item, 'the device does not support this value',
                       known, item.wanted)
    ports = mode.current or mode.pending
    if not mode.unordered and isinstance(ports, tuple) and (
            isinstance(item.wanted, tuple) and len(item.wanted) != len(ports)):
        return Refusal(item, 'the profile does not have one value for each '
                       'port of the device', f'{len(ports)} values',
                       item.wanted)
    low, high = mode.minimum, mode.maximum
    if isinstance(item.wanted, int) and (
            (low is not None and item.wanted < low)
            or (high is not None and item.wanted > high)):
        return Refusal(
            item, 'the device does not support this value',
            f'{0 if low is None else low} to '
            f"{'any number' if high is None else high}", item.wanted)
    return None
