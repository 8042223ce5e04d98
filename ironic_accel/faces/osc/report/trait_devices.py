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

"""Why a node has a trait of its devices, or has it not: kinds, numbers,
products, modes, PCI ids, and that it is degraded.

The reasons are found as the traits are (``model.traits``), from the last
inventory. Rows of a site's catalogue are not known here: what only they can
tell is found by the names of the devices.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc.report.trait_reason import Inquiry
from ironic_accel.faces.osc.report.trait_reason import ForAgainst
from ironic_accel.faces.osc.report.trait_reason import Reason
from ironic_accel.faces import view
from ironic_accel.model import catalog
from ironic_accel.model import condition
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Mode
from ironic_accel.model import matching
from ironic_accel.model.profile import Group
from ironic_accel.model import traits as grammar

#: Values of modes that make no trait (``model.traits``).
_NO_TRAIT = frozenset({'disabled', 'off'})


def reasons(asked: Inquiry) -> ForAgainst:
    """What speaks for a trait of devices, and what against it."""
    inventory, tail = asked.inventory, asked.tail
    kind = _kind(tail)
    if kind is None and tail != 'DEGRADED' and not tail.startswith('PCI_'):
        return [], [Reason(
            'unknown-trait', 'ironic-accel publishes no trait of this name; '
            f"after {grammar.PREFIX} there is IS_, CAN_, PCI_, DEGRADED or a "
            f"kind ({', '.join(k.upper() for k in _kinds())})")]
    if inventory is None:
        return [], []
    if kind is None:
        return (_degraded(asked, inventory) if tail == 'DEGRADED'
                else _pci(asked, inventory))
    if not any(d.kind == kind for d in inventory.devices):
        return [], [Reason('no-device', f'no device of kind {kind}',
                           todo=asked.next('list'))]
    return _of_kind(asked, inventory, kind, tail[len(kind) + 1:])


def is_of_mode(trait: str) -> bool:
    """Whether the name of a trait is that of a mode."""
    kind = _kind(trait.removeprefix(grammar.PREFIX))
    return kind is not None and _mode_named(kind, trait) is not None


def _kinds() -> list[str]:
    return [k for k in KINDS if k != 'baseboard']


def _kind(tail: str) -> str | None:
    """The kind of devices that a trait is about, or None."""
    return next((k for k in _kinds() if tail == k.upper()
                 or tail.startswith(f'{k.upper()}_')), None)


def _of_kind(asked: Inquiry, inventory: Inventory, kind: str,
             rest: str) -> ForAgainst:
    """A trait of a kind: of its presence, number, product or mode."""
    devices = [d for d in inventory.devices if d.kind == kind]
    known = catalog.load()
    if not rest:
        return _present(asked, devices, f'healthy device of kind {kind}')
    if rest.startswith('X') and rest[1:].isdecimal():
        return _number(asked, inventory, devices, int(rest[1:]))
    names = {p.name for p in known.products.values() if p.kind == kind} | {
        d.product for d in devices if d.product}
    product = next((n for n in sorted(names) if grammar.trait_name(
        kind, n) == asked.trait), None)
    if product is not None:
        of = [d for d in devices if d.product == product]
        if of:
            return _present(asked, of, f'healthy {product}')
        there = sorted({str(d.product or d.model) for d in devices})
        return [], [Reason('no-device', f'no {product}; there are: '
                           f'{view.value(there)}', todo=asked.next('list'))]
    mode = _mode_named(kind, asked.trait)
    if mode is None:
        return [], [Reason(
            'unknown-trait', 'ironic-accel publishes no trait of this name: '
            f'{rest} is no number, product or mode of kind {kind}',
            todo=f'baremetal accelerator profile explain {kind}.modes')]
    return _of_mode(asked, inventory, devices, mode)


def _mode(kind: str, name: str) -> str:
    return grammar.trait_name(kind, name)


def _mode_named(kind: str, trait: str) -> str | None:
    """The mode of a kind that a trait is about, or None."""
    return max((m for m in catalog.load().modes(kind)
                if trait == _mode(kind, m)
                or trait.startswith(f'{_mode(kind, m)}_')),
               key=len, default=None)


def _counts(devices: Iterable[Device]) -> list[Device]:
    """The devices that count for traits and are healthy."""
    known = catalog.load()
    return [d for d in devices
            if condition.healthy(d) and grammar.counts(d, known)]


def _complaints(devices: Iterable[Device], asked: Inquiry) -> Iterator[Reason]:
    """Why devices do not count."""
    known = catalog.load()
    for device in devices:
        why = condition.complaint(device)
        if not grammar.may_count(device, known):
            yield Reason('not-counted', 'the catalogue of this client does '
                         'not have it as a smart NIC or DPU; others make no '
                         'trait', (device.id,))
        elif device.is_unread('presence', 'health', 'state'):
            yield Reason('unread', why, (device.id,),
                         todo=asked.next('refresh'))
        elif why:
            yield Reason('unhealthy', why, (device.id,),
                         todo=asked.next('list', '--long'))


def _present(asked: Inquiry, devices: list[Device], what: str) -> ForAgainst:
    """A trait of having at least one of some devices."""
    disputed = asked.disputed(d.id for d in devices)
    waits = {i for one in disputed for i in one.devices}
    sound = [d.id for d in _counts(devices) if d.id not in waits]
    if sound:
        return [Reason('present', view.count(len(sound), what),
                       tuple(sound))], []
    return [], [*disputed, *_complaints(devices, asked)]


def _number(asked: Inquiry, inventory: Inventory, devices: list[Device],
            number: int) -> ForAgainst:
    """A trait of the exact number of devices of a kind."""
    kind, sound = devices[0].kind, _counts(devices)
    against = asked.disputed(d.id for d in devices)
    against += _not_countable(asked, inventory, kind)
    short = list(_short(asked, inventory, kind))
    against += short
    if len(sound) != number:
        against.append(Reason(
            'count', f'{view.count(len(sound), "healthy device")} of kind '
            f'{kind}', tuple(d.id for d in sound), expected=number,
            seen=len(sound), todo=asked.next('list')))
    if against:
        return [], [*against, *_complaints(devices, asked)]
    return [Reason('present', f'{number} healthy, and none may be hidden',
                   tuple(d.id for d in sound))], []


def _not_countable(asked: Inquiry, inventory: Inventory,
                   kind: str) -> Iterator[Reason]:
    """Why the number of devices of a kind is unknown."""
    if kind in inventory.uncounted:
        yield Reason('uncounted', 'transports show different devices of kind '
                     f'{kind}', todo=asked.next('refresh'))
    for unread in inventory.unread:
        if inventory.hides(unread, (kind,)):
            yield Reason('unread', f'devices of kind {kind} may be hidden: '
                         f'{unread.words}', todo=asked.next('refresh'))
    family = condition.family(frozenset({kind}))
    hidden = [d.id for d in inventory.devices
              if d.is_unread() and d.kind in family]
    if hidden:
        yield Reason('unread', f'a device that could not be read may be of '
                     f'kind {kind}', tuple(hidden),
                     todo=asked.next('refresh'))


def _short(asked: Inquiry, inventory: Inventory,
           kind: str | None = None) -> Iterator[Reason]:
    """Groups of declared profiles that have too few healthy devices."""
    for profile, group in _expected(asked):
        if kind is not None and kind not in group.match.get('kind', ()):
            continue
        found = [d.id for d in inventory.devices
                 if matching.matches(group, d) and condition.healthy(d)]
        if len(found) < group.count.minimum:
            yield Reason(
                'short', f'profile {profile} of this node declares more '
                'healthy devices', tuple(found), group.name,
                expected=group.count.minimum, seen=len(found),
                todo=asked.next('list'))


def _expected(asked: Inquiry) -> Iterator[tuple[str, Group]]:
    """The groups of the profiles that a node is expected to match: the
    applied one, and its baseline."""
    names = {keys.APPLIED.read(asked.seen.info),
             keys.BASELINE.read(asked.seen.node.get('driver_info')),
             asked.options.get('baseline_profile')}
    for name in sorted(n for n in names if n):
        profile = asked.site.of_node(str(name), asked.seen.node)
        for group in profile.groups if profile else ():
            yield str(name), group


def _of_mode(asked: Inquiry, inventory: Inventory, devices: list[Device],
             mode: str) -> ForAgainst:
    """A trait of a mode that all healthy devices of a kind have."""
    kind, known = devices[0].kind, catalog.load()
    facts = known.mode(kind, mode)
    if facts is None or not facts.trait:
        return [], [Reason('unknown-trait', f'mode {mode} of kind {kind} '
                           'makes no trait')]
    word = asked.trait.removeprefix(_mode(kind, mode)).strip('_').lower()
    expected = word.replace('_', '-') or 'enabled'
    if expected in (*_NO_TRAIT, 'enabled') and word:
        return [], [Reason(
            'unknown-trait', f'the value {expected} makes no trait'
            + (f'; that of enabled is {_mode(kind, mode)}'
               if expected == 'enabled' else ''))]
    usable = [d for d in devices if grammar.counts(d, known)
              and d.health in (None, 'OK') and condition.usable(d)]
    against = asked.disputed(d.id for d in devices)
    against += _not_countable(asked, inventory, kind)
    against += [found for d in usable if (found := _mode_of(
        asked, d, mode, expected)) is not None]
    if not usable:
        against += _complaints(devices, asked)
    if against:
        return [], against
    return [Reason('present', f'{mode} is {expected} on all healthy devices',
                   tuple(d.id for d in usable), item=mode,
                   seen=expected)], []


def _mode_of(asked: Inquiry, device: Device, name: str,
             expected: str) -> Reason | None:
    """Why the mode of one device makes no trait, or None."""
    mode = device.mode(name)
    code, text, todo = 'differs', f'{name} has another value', None
    if device.is_unread(f'mode:{name}'):
        code, text = 'unread', f'{name} could not be read'
        todo = asked.next('refresh')
    elif mode is not None and mode.conflicts:
        code = 'conflict'
        text = f"sources report different values: {', '.join(mode.conflicts)}"
    elif mode is None or mode.current is None:
        code, text = 'not-reported', f'{name} is not reported'
    elif not _is_value(mode, expected):
        todo = asked.next('list', '--long')
    elif mode.pending is not None and not matching.same_value(
            mode.pending, mode.current, mode.unordered):
        code, text = 'staged', f'another value of {name} is pending'
    elif not mode.persistent:
        code, text = 'not-persistent', (
            f'{name} is not known to survive a reboot')
    else:
        return None
    return Reason(code, text, (device.id,), item=name, expected=expected,
                  seen=mode.current if mode else None, todo=todo)


def _is_value(mode: Mode, expected: str) -> bool:
    """Whether a mode has the value of a trait, or has it among others."""
    values = (mode.current if isinstance(mode.current, tuple)
              else (mode.current,))
    found = {grammar.trait_name(str(v)) for v in values}
    return grammar.trait_name(expected) in found and (
        mode.unordered or len(found) == 1)


def _pci(asked: Inquiry, inventory: Inventory) -> ForAgainst:
    """A trait of PCI ids."""
    pair = ':'.join(asked.tail.removeprefix('PCI_').lower().split('_'))
    configured = asked.options.get('pci')
    against = []
    if not isinstance(configured, list):
        against.append(Reason(
            'not-permitted', f'whether {pair} is in [accelerator]pci_traits '
            'of the conductor could not be read'))
    elif pair not in configured:
        against.append(Reason(
            'pci-not-configured', f'{pair} is not in [accelerator]pci_traits '
            f'({view.value(configured)})',
            todo='add it to the configuration of the conductors'))
    devices = [d for d in inventory.devices if d.pci and d.pci.pair == pair]
    sound = [d for d in devices if condition.healthy(d)]
    if not devices:
        against.append(Reason('no-device', f'no device with PCI ids {pair}',
                              todo=asked.next('list')))
    elif not sound:
        against += _complaints(devices, asked)
    against += asked.disputed(d.id for d in devices)
    if against:
        return [], against
    return [Reason('present', f'healthy devices with PCI ids {pair}',
                   tuple(d.id for d in sound))], []


def _degraded(asked: Inquiry, inventory: Inventory) -> ForAgainst:
    """The trait of a node that lacks something."""
    known = catalog.load()
    causes = list(_complaints(
        (d for d in inventory.devices if grammar.may_count(d, known)), asked))
    causes += [Reason('unread', f'devices may be hidden: {u.words}',
                      todo=asked.next('refresh'))
               for u in inventory.unread if u.kinds]
    causes += _short(asked, inventory)
    void = keys.VOID.read(asked.seen.info) or ()
    if void:
        causes.append(Reason(
            'void', f'void traits are kept for the instance: '
            f'{view.value(list(void))}'))
    if causes:
        return causes, []
    return [], [Reason('not-degraded', 'no device is missing, unhealthy or '
                       'unread in the last inventory')]
