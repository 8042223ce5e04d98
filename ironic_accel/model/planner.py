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

"""The planner: from what is seen and what is wanted to what would be done.

``make_plan`` is a pure function. It starts nothing; whoever carries a plan
out does so only where nothing in it is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from ironic_accel.model import condition
from ironic_accel.model.device import base_name
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import strongest
from ironic_accel.model.device import Value
from ironic_accel.model import matching
from ironic_accel.model.matching import ItemState
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Proof
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import FirmwareByProduct
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Staged
from ironic_accel.model import refusals
from ironic_accel.model import stages
from ironic_accel.model import version


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """An item of the profile, with the device that it is about."""

    item: Item
    device: Device
    image: str | None = None


def group_items(group: Group, device: Device) -> list[Wanted]:
    """The items that a group asks of one device.

    A component that a device has several of (a baseboard's switches) is
    meant with all of them. None is asked of a component for which the profile
    has no version by the device's product: ``condition.product``.
    """
    out = [Wanted(Item(device.id, each, 'firmware', row.version,
                       row.at_least), device, row.image)
           for name, want in group.firmware.items()
           if (row := want.of(device.product) if isinstance(
               want, FirmwareByProduct) else want) is not None
           for each in _instances(device, name)]
    out += [Wanted(Item(device.id, name, 'mode', _for_device(
        value, device.mode(name))), device)
            for name, value in group.modes.items()]
    return out


def _for_device(value: Value, mode: Mode | None) -> Value:
    """A mode's value; one word for every port, once for each of them."""
    ports = mode and (mode.current or mode.pending)
    if isinstance(value, str) and isinstance(ports, tuple):
        return (value,) * len(ports)
    return value


def _instances(device: Device, name: str) -> list[str]:
    """The components meant by a name; the name itself where none is seen."""
    return [c.name for c in device.components
            if base_name(c.name) == name] or [name]


def select(inventory: Inventory, profile: Profile
           ) -> tuple[list[Wanted], list[Refusal]]:
    """The items of a profile on a system, and refusals of its devices.

    A device is refused if it is missing, surplus or unhealthy, and if two
    groups set the same item; so is a number of devices that an unread
    resource may change.
    """
    wanted: dict[Ref, Wanted] = {}
    refused: list[Refusal] = []
    for group in profile.groups:
        unread = [d for d in inventory.devices if matching.may_match(group, d)]
        found = [d for d in inventory.devices
                 if matching.matches(group, d) and d not in unread]
        refused += [no for d in found for no in (*condition.health(group, d),
                                                 *condition.product(group, d))]
        hidden = condition.uncounted(group, inventory, unread)
        told = [condition.counts(group, d) for d in found]
        refused += hidden or condition.count(
            group, told.count(True), told.count(None))
        for device in found:
            for want in group_items(group, device):
                if want.item.ref in wanted:
                    refused.append(Refusal(
                        want.item,
                        'more than one group of the profile sets it',
                        wanted[want.item.ref].item.wanted,
                        want.item.wanted))
                wanted.setdefault(want.item.ref, want)
    return list(wanted.values()), refused


def _prove(want: Wanted) -> Proof:
    """The proof of an item: firmware is persistent, a mode may not be."""
    persistent = True
    if want.item.kind == 'mode':
        mode = want.device.mode(want.item.name)
        persistent = mode is not None and mode.persistent is True
    return Proof(
        want.item, matching.seen_value(want.device, want.item), persistent)


def _waiting(want: Wanted, state: ItemState, staged: Staged | None
             ) -> Staged | None:
    """The staged entry of an item that is written and not active, or None.

    The record's entry counts as long as it is about the same value; what the
    device itself shows as pending needs no record.
    """
    same = staged is not None and _same(staged.item.wanted, want.item.wanted)
    if same and state is not ItemState.HOLDS:
        return staged
    if state is ItemState.PENDING:
        if want.item.kind == 'firmware':
            part = want.device.component(want.item.name)
            activation = part.activation if part else None
        else:
            mode = want.device.mode(want.item.name)
            activation = mode.activation if mode else None
        if activation is not None:
            return Staged(want.item, activation)
    return None


def _same(staged: Value | None, wanted: Value | None) -> bool:
    """Whether a staged value is the wanted one.

    While a device does not report its ports, one word for all of them is
    still that word.
    """
    return staged == wanted or (
        isinstance(staged, tuple) and {*staged} == {wanted})


def make_plan(inventory: Inventory, profile: Profile,
              staged: Iterable[Staged], transports: Sequence[Transport],
              facts: Knowledge, uncommitted: Collection[Ref] = ()) -> Plan:
    """Plan the changes that make a system match a profile.

    :param staged: what the record knows to be written and not yet active.
    :param uncommitted: what the record knows to be written and not yet copied
        to its fallback slot.
    :param transports: what can be done on this system.
    :param facts: the catalogue.
    """
    inventory = condition.marked(inventory)
    known = {x.item.ref: x for x in staged}
    wanted, refused = select(inventory, profile)
    satisfied: list[Proof] = []
    waiting: list[Staged] = []
    todo: list[stages.Todo] = []
    for want in wanted:
        state = matching.item_state(want.device, want.item, facts)
        entry = known.get(want.item.ref)
        active = _waiting(want, state, entry)
        if state is ItemState.HOLDS and _stale(entry):
            active = entry
        no = _untold(want, state, active, inventory)
        if no:
            refused += no
        elif active is not None:
            waiting.append(active)
            refused += refusals.activation(
                active, want.device, profile, transports)
        elif state is ItemState.HOLDS:
            satisfied.append(_prove(want))
        else:
            image = profile.images.get(want.image or '')
            no, made = refusals.change(
                want.item, want.device, image, profile, transports, facts,
                {w.item.ref for w in wanted if w.image == want.image})
            if (
                made is None
                and inventory.held
                and _no_transport(want, transports)
            ):
                no = [Refusal(want.item, inventory.held[0].words,
                              want.item.wanted, None, True)]
            refused += no + _apart(want, wanted, inventory, facts)
            if made is not None:
                todo.append(dataclasses.replace(
                    made, after=entry if _stale(entry) else None))
    alone = frozenset(
        x.item.device for x in waiting
        if _alone(inventory.device(x.item.device), x.item, facts))
    built, no = stages.build(todo, waiting, profile, transports, alone)
    no += stages.refused_by_others(
        inventory, known.values(), {w.item.ref for w in wanted},
        strongest([s.reset for s in built]), profile)
    written = {x.item.ref for x in todo} | {*uncommitted} | {
        x.item.ref for x in waiting}
    return Plan(tuple(built), tuple(satisfied), tuple(refused + no),
                _fallback([w for w in wanted if w.item.ref in written],
                          profile, transports, facts),
                matching.applies(profile.groups, inventory.devices))


def _fallback(written: Sequence[Wanted], profile: Profile,
              transports: Sequence[Transport], facts: Knowledge
             ) -> tuple[Change, ...]:
    """The updated components that have to be copied to their fallback slot.

    None is due if that slot has the wanted version already.
    """
    if profile.fallback == 'keep':
        return ()
    out = []
    for want in written:
        if want.item.kind != 'firmware':
            continue
        transport = next(
            (w for w in transports if want.item.ref in w.commits), None)
        if transport is None:
            continue
        there = transport.commits[want.item.ref]
        runs = matching.seen_value(want.device, want.item)
        if (
            matching.item_state(want.device, want.item, facts)
            is ItemState.HOLDS
            and there is not None
            and version.same(
                there, str(runs),
                matching.version_form(want.device, want.item.name, facts))
        ):
            continue
        out.append(Change(want.item, there))
    return tuple(out)


def _untold(want: Wanted, state: ItemState, active: Staged | None,
            inventory: Inventory) -> list[Refusal]:
    """An item whose value could not be read, or is contradictory.

    Two sources may report a staged item differently until its reset.
    """
    if state is ItemState.UNREAD:
        return [refusals.unread(want.item, want.device, inventory)]
    if state is ItemState.UNSEEN:
        # The source that would report it was not read.
        for what in inventory.unread:
            if what.about is None and inventory.hides(
                    what, [want.device.kind]):
                return [Refusal(want.item, what.words, want.item.wanted,
                                None, True)]
    if state is ItemState.CONFLICT and active is None:
        return [refusals.conflict(
            want.item, matching.conflicts(want.device, want.item))]
    return []


def _no_transport(want: Wanted, transports: Sequence[Transport]) -> bool:
    """Whether no transport can write an item: an update service that was not
    read may be able to."""
    return not any(want.item.ref in w.updates or want.item.ref in w.sets
                   for w in transports)


def _apart(want: Wanted, wanted: Sequence[Wanted], inventory: Inventory,
           facts: Knowledge) -> list[Refusal]:
    """A mode of all devices of a system that the profile sets on some only.

    It would change devices that the profile does not select, or leave them
    with a mode that does not match the others.
    """
    item, device = want.item, want.device
    known = item.kind == 'mode' and facts.mode(
        device.kind, item.name, device.product, device.vendor)
    if not known or not known.together:
        return []
    alike = [d for d in inventory.devices if d.kind == device.kind
             and d.vendor in (None, device.vendor)]
    unread = [d.id for d in alike if d.is_unread(f'mode:{item.name}')]
    having = [d for d in alike if d.vendor == device.vendor
              and d.mode(item.name) is not None]
    asked = {w.item.device for w in wanted if w.item.name == item.name
             and w.item.wanted == item.wanted}
    left = [d.id for d in having if d.id not in asked]
    if unread and not left:
        return [Refusal(
            item, 'the mode applies to all such devices of the system, and '
            'it could not be read of ' + ', '.join(unread[:4]), item.wanted,
            None, True)]
    if not left:
        return []
    return [Refusal(
        item, 'the mode applies to all such devices of the system, and the '
        'profile does not set it on ' + ', '.join(left[:4]), len(having),
        len(having) - len(left))]


def _alone(device: Device | None, item: Item, facts: Knowledge) -> bool:
    known = device and matching.component_facts(device, item.name, facts)
    return bool(known and known.alone)


def _stale(entry: Staged | None) -> bool:
    """Whether another firmware version may be staged, unseen, for an item.

    It has to be activated, so that it is visible, before that component is
    judged or written.
    """
    return entry is not None and entry.item.kind == 'firmware'
