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

"""The condition of a device, and what a group of a profile refuses by it.

A device is usable, healthy, reported. The words of ``state`` are those of
Redfish Resource.State (CSDL ``Resource_v1.xml``, whose descriptions decide
which of them a tenant can use), those of ``health`` Resource.Health. A value
that could not be read never counts as healthy or usable; a value that nothing
reports is no reason against a device.

The devices of a group are refused if they are missing, surplus, unhealthy, or
not known well enough to be counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Mode
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Refusal
from ironic_accel.model.profile import FirmwareByProduct
from ironic_accel.model.profile import Group

#: "Enabled", "part of a redundancy set and awaits a failover", "the element
#: quality is within the acceptable range of operation".
USABLE = frozenset({'Enabled', 'StandbySpare', 'Qualified'})

#: States that a device leaves by itself: it starts, is updated or tested,
#: queues requests, takes a restricted set of commands.
PASSING = frozenset({
    'Starting', 'Updating', 'InTest', 'Deferring', 'Quiesced'})

#: Steady states of modes: a DPU in NIC mode has the cores of its own system
#: inactive for good, and its BMC reports StandbyOffline for that system then
#: (``modes.yaml`` has the source of the mode).
STEADY: Mapping[tuple[str, str], frozenset[str]] = {
    ('mode', 'nic'): frozenset({'StandbyOffline'})}

#: Kinds that one device may be reported as, depending on the transport.
FAMILIES = (frozenset({'nic', 'dpu'}), frozenset({'gpu', 'ai'}),
            frozenset({'fpga', 'ai', 'crypto'}))


def usable(device: Device) -> bool:
    """Whether a device's state is one that it can be used in.

    A state that is not reported is; a value that is not Redfish's is not.
    """
    return (device.state is None or device.state in USABLE
            or any(_steady(device, m) for m in device.modes))


def _steady(device: Device, mode: Mode) -> bool:
    return isinstance(mode.current, str) and device.state in STEADY.get(
        (mode.name, mode.current), ())


def healthy(device: Device) -> bool:
    """Whether nothing reported or unread may make a device unhealthy."""
    return (device.health in (None, 'OK') and usable(device)
            and not device.is_unread('health', 'state'))


def complaint(device: Device) -> str:
    """Why a device does not count, in words; empty where it does."""
    if device.is_unread():
        return 'the device could not be read'
    if device.health not in (None, 'OK'):
        return f'its health is {device.health}'
    if not usable(device):
        return f'its state is {device.state}'
    asked = [f for f in ('health', 'state') if device.is_unread(f)]
    return f"its {' and '.join(asked)} could not be read" if asked else ''


def family(kinds: frozenset[str]) -> frozenset[str]:
    """The kinds, and those that the same device may be taken for."""
    return kinds.union(*(f for f in FAMILIES if f & kinds))


def marked(inventory: Inventory) -> Inventory:
    """The inventory with what is unread noted on the devices it is about.

    Whoever observed may have named a fact in ``unread`` alone.
    """
    facts: dict[str, tuple[str, ...]] = {}
    for unread in inventory.unread:
        if unread.about is not None and unread.facts:
            facts[unread.about] = (facts.get(unread.about, ()) + unread.facts)
    if not facts:
        return inventory
    return dataclasses.replace(inventory, devices=tuple(
        dataclasses.replace(d, unread=tuple(dict.fromkeys(
            (*d.unread, *facts[d.id])))) if d.id in facts else d
        for d in inventory.devices))


def count(group: Group, found: int, unread: int = 0) -> list[Refusal]:
    """Too few or too many devices for a group.

    :param unread: how many more there are of which it was not read whether
        they count.
    """
    low, high = group.count.minimum, group.count.maximum
    if found >= low and (high is None or found + unread <= high):
        return []
    item = Item(group.name, 'count', 'device', low)
    expected = str(low) if high == low else (
        f'at least {low}' if high is None else f'{low} to {high}')
    if found + unread >= low and (high is None or found <= high):
        return [Refusal(item, f'health or state of {unread} devices in the '
                        'group could not be read', expected, None, True)]
    return [Refusal(item, 'the number of devices in the group does not match '
                    'the profile', expected, found)]


def uncounted(group: Group, inventory: Inventory,
              unread: Sequence[Device]) -> list[Refusal]:
    """A number of devices that is not known, and why.

    :param unread: devices that the group may select, and that were not read.
    """
    kinds = group.match.get('kind', KINDS)
    whose = {d.id for d in unread}
    why = [u.words for u in inventory.unread if u.about in whose
           or inventory.hides(u, kinds)]
    named = ' '.join(why)
    why += [f'{d.id} could not be read' for d in unread if d.id not in named]
    two = sorted({*kinds} & {*inventory.uncounted})
    if two:
        why.append('two transports report different devices of kind '
                   + ', '.join(two))
    if not inventory.complete:
        why.append(inventory.unready)
    if not why:
        return []
    more = f' (and {len(why) - 2} more)' if len(why) > 2 else ''
    return [Refusal(
        Item(group.name, 'count', 'device', group.count.minimum),
        'cannot count the devices of the group: '
        + '; '.join(why[:2]) + more, group.count.minimum, None, True)]


def health(group: Group, device: Device) -> list[Refusal]:
    """A device that is unhealthy, or whose health is not known.

    ``health: any`` lets every health pass; a state in which a device cannot
    be used keeps it from being counted all the same.
    """
    item = Item(device.id, 'health', 'device', 'OK')
    if group.health == 'any':
        return [] if not device.is_unread('state') else [Refusal(
            Item(device.id, 'state', 'device', 'Enabled'),
            'its state could not be read', 'Enabled', None, True)]
    if device.health not in (None, 'OK'):
        return [Refusal(item, 'the device is unhealthy', 'OK',
                        device.health)]
    if not usable(device):
        return [Refusal(Item(device.id, 'state', 'device', 'Enabled'),
                        'the device is not enabled', 'Enabled',
                        device.state)]
    if not healthy(device):
        return [Refusal(item, complaint(device), 'OK', None,
                        True)]
    if group.health == 'proved' and device.health is None:
        return [Refusal(item, 'its health is not reported, and the '
                        'profile requires it (health: proved)', 'OK', None)]
    return []


def product(group: Group, device: Device) -> list[Refusal]:
    """Components for which a group has no version by the device's product."""
    return [
        Refusal(Item(device.id, name, 'firmware', None),
                f'the profile has no version for product {device.product}'
                if device.product else
                'the profile has versions by product, and the product of the '
                'device is not known', ' or '.join(wanted.rows),
                device.product)
        for name, wanted in group.firmware.items()
        if isinstance(wanted, FirmwareByProduct)
        and wanted.of(device.product) is None]


def counts(group: Group, device: Device) -> bool | None:
    """Whether a device of a group is one of those that it has to have.

    :returns: None where that was not read.
    """
    no = health(group, device)
    if not usable(device) or any(not r.unread for r in no):
        return False
    return None if no else True
