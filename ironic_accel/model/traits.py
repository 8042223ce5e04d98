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

"""Traits: the proved capabilities of a node.

Only traits with the prefix ``CUSTOM_ACCEL_`` are changed. After it follow

=======================  ==================================================
``<KIND>``               at least one healthy device of the kind
``<KIND>_X<n>``          exactly n that are reported and healthy, and no
                         unread resource may hide another one
``<KIND>_<PRODUCT>``     at least one healthy one of the product
``<KIND>_<MODE>``        the mode is enabled on all of them
``<KIND>_<MODE>_<WORD>`` the mode is that word on all of them
``IS_<PROFILE>``         the node matches that profile, persistently
``CAN_<PROFILE>``        the profile can be applied to the node
``PCI_<VENDOR>_<DEV>``   the node has such a device (if configured)
``DEGRADED``             devices are missing, unhealthy or not read
=======================  ==================================================
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import enum
import re
from typing import NamedTuple

from ironic_accel.model.catalog import Catalog
from ironic_accel.model import condition
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Value
from ironic_accel.model import matching
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model import trait_meaning
from ironic_accel.model.trait_meaning import PRESENT
from ironic_accel.model.trait_meaning import TraitMeaning

PREFIX = 'CUSTOM_ACCEL_'
#: Words behind the prefix that no kind may have for a name.
RESERVED = frozenset({'IS', 'CAN', 'PCI', 'DEGRADED'})
DEGRADED = f'{PREFIX}DEGRADED'
#: Traits of a node, everybody's included (Ironic's limit).
BUDGET = 50
#: Characters of a trait (Placement's limit).
LONGEST = 255

#: What ``worst_health`` returns for a health that could not be read.
UNREAD = 'unread'

#: Words of modes that say that something is not so.
_NEGATIVE = frozenset({'disabled', 'off'})


class Worth(enum.IntEnum):
    """What is published first where not everything fits."""

    DEGRADED = 0
    IS = 1
    CAN = 2
    KIND = 3
    PRODUCT = 4
    COUNT = 5
    MODE = 6
    STANDARD = 7
    PCI = 8


class Trait(NamedTuple):
    """A trait with what it is worth and means; sorts by worth.

    Only the functions of this module make one: its meaning is never derived
    from its name, so that no device, product or mode can have a name that
    stands for a profile.

    :ivar meaning: by it a trait is withdrawn before a change.
    """

    worth: Worth
    name: str
    meaning: TraitMeaning = PRESENT


_DEGRADED = Trait(Worth.DEGRADED, DEGRADED, trait_meaning.DEGRADED)


def _of_kind(worth: Worth, kind: str, *words: str,
             meaning: TraitMeaning = PRESENT) -> Trait:
    """A trait of a kind, which is one of ours or none at all."""
    if kind not in KINDS:
        raise ValueError(f'kind {kind!r}: expected one of {KINDS}')
    return Trait(worth, trait_name(kind, *words), meaning)


@dataclasses.dataclass(frozen=True, slots=True)
class TraitChange:
    """What to do about a node's traits.

    :ivar add: in order of worth.
    :ivar remove: ours, that are no longer true or wanted.
    :ivar dropped: wanted ones that did not fit; to be complained about.
    :ivar standard: the standard names that are there because of us: what has
        to be recorded, and given back as ``recorded`` next time.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    standard: tuple[str, ...] = ()


def trait_name(*words: str) -> str:
    """Our trait of some words: ``CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM``.

    :raises: ValueError where it would be longer than a trait may be.
    """
    text = re.sub('[^A-Z0-9]+', '_', '_'.join(words).upper()).strip('_')
    name = PREFIX + text
    if len(name) > LONGEST:
        raise ValueError(f'trait {name}: {len(name)} characters, expected at '
                         f'most {LONGEST}')
    return name


def is_trait(profile: Profile | str) -> str:
    """The trait of a node that is in a profile."""
    return trait_name('IS', _name(profile))


def can_trait(profile: Profile | str) -> str:
    """The trait of a node that can be brought into a profile."""
    return trait_name('CAN', _name(profile))


def _name(profile: Profile | str) -> str:
    return profile if isinstance(profile, str) else profile.name


def counts(device: Device, catalog: Catalog) -> bool:
    """Whether a device yields traits at all.

    Baseboards carry accelerators and are none; of NICs and DPUs only those
    that the catalogue knows as smart count.
    """
    if device.kind in ('nic', 'dpu'):
        product = catalog.product(device.product)
        return product is not None and product.smart
    return device.kind != 'baseboard' and device.kind in KINDS


def healthy(device: Device) -> bool:
    """Whether nothing reported or unread may make a device unhealthy."""
    return condition.healthy(device)


def may_count(device: Device, catalog: Catalog) -> bool:
    """Whether a device that is not read may be one that yields traits."""
    if device.kind in ('nic', 'dpu') and device.product is None:
        return device.is_unread('identity')
    return counts(device, catalog)


def worst_health(inventory: Inventory, catalog: Catalog) -> str | None:
    """The worst health of the devices of a node that yield traits.

    :returns: ``Warning`` or ``Critical`` where one reports it (Redfish
        Resource.Health); else ``UNREAD`` if the health of one, or whether it
        is there, could not be read; else ``OK`` if one reports that, or None.
    """
    inventory = condition.marked(inventory)
    found = [d for d in inventory.devices if may_count(d, catalog)]
    told = {d.health for d in found}
    for word in ('Critical', 'Warning'):
        if word in told:
            return word
    if told - {'OK', None} or any(
            d.is_unread('health') for d in found) or not all(
            inventory.complete_of(k) for k in KINDS if k != 'baseboard'):
        return UNREAD
    return 'OK' if 'OK' in told else None


def presence(inventory: Inventory, catalog: Catalog,
             expectations: Iterable[Group] = ()) -> list[Trait]:
    """Traits of the devices of a node.

    If a resource was not read, only the kinds that it may hide have no count;
    a node that may have an accelerator which could not be read is degraded.

    :param expectations: groups of profiles that say how many devices there
        have to be; where fewer are there and healthy, the kind's count is
        not published and the node is degraded.
    :raises: ValueError for a host that is off: its devices are not visible.
    """
    _on(inventory)
    inventory = condition.marked(inventory)
    found = [d for d in inventory.devices if may_count(d, catalog)]
    sound = [d for d in found if healthy(d) and counts(d, catalog)]
    unsure = _unsure(inventory, found, sound)
    sound = [d for d in sound if d.kind not in unsure]
    short = {kind for group in expectations
             if _matching(group, inventory) < group.count.minimum
             for kind in group.match.get('kind', ())}
    traits: set[Trait] = set()
    if short or len(sound) < len(found) or not all(
            inventory.complete_of(k) for k in KINDS if k != 'baseboard'):
        traits.add(_DEGRADED)
    for kind in {d.kind for d in sound}:
        number = sum(d.kind == kind for d in sound)
        traits.add(_of_kind(Worth.KIND, kind))
        if kind not in short and _countable(kind, inventory):
            traits.add(_of_kind(Worth.COUNT, kind, f'X{number}'))
    traits |= {_of_kind(Worth.PRODUCT, d.kind, d.product)
               for d in sound if d.product and _is_listed(d, catalog)
               and not _is_disputed(d, sound, inventory)}
    return sorted(traits)


def _unsure(inventory: Inventory, found: Iterable[Device],
            sound: Collection[Device]) -> set[str]:
    """Uncounted kinds of which it is not sure that a healthy one is there.

    Two of the devices may be one: what either of them lacks, the one may
    lack. Where several kinds are uncounted, the one may be of any of them.
    """
    kinds = set(inventory.uncounted)
    lacking = {d.kind for d in found if d not in sound}
    return kinds if len(kinds) > 1 else kinds & lacking


def _is_disputed(device: Device, sound: Iterable[Device],
                 inventory: Inventory) -> bool:
    """Whether a device may be another one, of another product."""
    return device.kind in inventory.uncounted and any(
        d.kind == device.kind and d.product != device.product
        for d in sound)


def _is_listed(device: Device, catalog: Catalog) -> bool:
    """Whether a device's product is one of its kind in the catalogue."""
    product = catalog.product(device.product)
    return product is not None and product.kind == device.kind


def _on(inventory: Inventory) -> None:
    if inventory.host == 'off':
        raise ValueError('cannot derive traits from an inventory of a host '
                         'that is off')


def _countable(kind: str, inventory: Inventory) -> bool:
    """Whether the number of devices of a kind is known."""
    kinds = condition.family(frozenset({kind}))
    return (kind not in inventory.uncounted and inventory.complete_of(kind)
            and not any(d.is_unread() and d.kind in kinds
                        for d in inventory.devices))


def _matching(group: Group, inventory: Inventory) -> int:
    return sum(matching.matches(group, d) and healthy(d)
               for d in inventory.devices)


def modes(inventory: Inventory, catalog: Catalog) -> list[Trait]:
    """Traits of modes in which all healthy devices of a kind are.

    Only modes that outlast a reset, with nothing pending: the node reboots
    before it is used. No mode of a kind that may have more devices than are
    reported, and no mode that was not read of a device that may be healthy.

    :raises: ValueError for a host that is off.
    """
    _on(inventory)
    inventory = condition.marked(inventory)
    kinds: dict[str, list[Device]] = {}
    for dev in inventory.devices:
        if counts(dev, catalog) and dev.health in (None, 'OK') \
                and condition.usable(dev) \
                and _countable(dev.kind, inventory):
            kinds.setdefault(dev.kind, []).append(dev)
    return sorted(
        _of_kind(Worth.MODE, kind, mode, *word,
                 meaning=TraitMeaning.mode(kind))
        for kind, devices in kinds.items() for mode in catalog.modes(kind)
        if (facts := catalog.mode(kind, mode)) is not None and facts.trait
        for word in _agreed(mode, devices))


def _agreed(name: str, devices: list[Device]) -> Iterator[tuple[str, ...]]:
    """The words behind a mode's name that are true of all devices."""
    found = [d.mode(name) for d in devices]
    values: list[Value] = []
    for device, mode in zip(devices, found, strict=True):
        if mode is None or mode.current is None or not mode.persistent \
                or mode.conflicts or device.is_unread(f'mode:{name}'):
            return
        if not (mode.pending is None or matching.same_value(
                mode.pending, mode.current, mode.unordered)):
            return
        values.append(mode.current)
    sets = [frozenset(v) if isinstance(v, tuple) else frozenset({v})
            for v in values]
    unordered = any(m is not None and m.unordered for m in found)
    words = frozenset.intersection(*sets)
    if not unordered and any(s != words or len(s) != 1 for s in sets):
        return
    for word in words:
        if isinstance(word, str) and word not in _NEGATIVE:
            yield () if word == 'enabled' else (word,)


def pci(inventory: Inventory, wanted: Collection[str]) -> list[Trait]:
    """Traits of PCI ids, of those only that are configured.

    :param wanted: ``vendor:device``, lower-case hexadecimal.
    """
    found = {d.pci.pair for d in inventory.devices
             if d.pci and d.pci.pair and healthy(d)}
    return sorted(Trait(Worth.PCI, trait_name('PCI', *pair.split(':')))
                  for pair in found if pair in wanted)


def profiles(are: Iterable[Profile | str],
             can: Iterable[Profile | str]) -> list[Trait]:
    """Traits of the profiles that a node is in and can be brought into."""
    return sorted(
        {Trait(Worth.IS, is_trait(p), TraitMeaning.is_profile(_name(p)))
         for p in are}
        | {Trait(Worth.CAN, can_trait(p), TraitMeaning.can_profile(_name(p)))
           for p in can})


def wanted(*parts: Iterable[Trait]) -> list[str]:
    """The names of traits out of all parts, the worthiest first."""
    found = sorted({trait for part in parts for trait in part})
    return list(dict.fromkeys(t.name for t in found))


def reconcile(existing: Collection[str], ours: Iterable[str],
              recorded: Collection[str] = (),
              budget: int = BUDGET) -> TraitChange:
    """What to add and remove so that a node has our traits, and no less.

    Other people's traits are never touched, and count towards the budget.

    :param existing: the node's traits now.
    :param ours: what we want there, the worthiest first.
    :param recorded: standard names that are there because of us.
    """
    here = set(existing)
    mine = {t for t in here if t.startswith(PREFIX) or t in recorded}
    foreign = here - mine
    names = [t for t in dict.fromkeys(ours) if t not in foreign]
    room = max(budget - len(foreign), 0)
    chosen, dropped = names[:room], names[room:]
    return TraitChange(
        add=tuple(t for t in chosen if t not in here),
        remove=tuple(sorted(mine - set(chosen))),
        dropped=tuple(dropped),
        standard=tuple(t for t in chosen if not t.startswith(PREFIX)))
