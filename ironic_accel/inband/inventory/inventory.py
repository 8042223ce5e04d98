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


"""Read the inventory of this machine: sysfs, then the families' tools.

A card that is plugged in is always in the inventory. What could not be read of
it is listed with it, and affects no other card.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import logging
import threading
import time

from ironic_accel.inband.inventory import device_builder
from ironic_accel.inband.inventory.device_builder import DeviceBuilder
from ironic_accel.inband.inventory.identity_store import IdentityStore
from ironic_accel.inband.inventory.questions import NoAnswer
from ironic_accel.inband.inventory.questions import Questions
from ironic_accel.inband.machine import device_users
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine import pci_functions
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.machine.pci_functions import VPD
from ironic_accel.inband.machine import smbios_slots
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import FACTS
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.inband.tools import loader
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Warned
from ironic_accel.model.reading_status import Unread

LOG = logging.getLogger(__name__)

#: Seconds for which one reading waits for tools. In the agent a reading holds
#: the agent's lock; a slower tool is heard at the next reading.
PATIENCE = 20.0

#: Of the patience, what sysfs may take.
_SYSFS = 0.4
#: Among the names of families, the one that asks sysfs.
_DETAILS = 'sysfs'


def boot_mark(host: Machine) -> str | None:
    """The id of this boot (random(4)), or None."""
    return host.read('/proc/sys/kernel/random/boot_id')


class InventoryReader:
    """Reads the devices, and knows which families are for which device.

    Each family is asked about each card separately, so that a failure affects
    only the card that has it.

    :param warnings: added to every inventory.
    :param patience: seconds for which one reading waits for tools.
    :param identities: the stored identities of devices, for the next process.
    """

    def __init__(self, host: Machine, families: Sequence[Family],
                 catalog: Catalog, name: str,
                 warnings: Sequence[Warned] = (),
                 patience: float = PATIENCE,
                 identities: IdentityStore | None = None) -> None:
        self._host = host
        self._identities = identities
        self._families = tuple(families)
        self._catalog = catalog
        self._name = name
        self._warnings = tuple(warnings)
        self._patience = patience
        self._lock = threading.Lock()
        self._questions = Questions()
        self._told: dict[str, list[DeviceReading]] = {}
        self._claims: dict[str, tuple[Family, ...]] = {}
        self._made = device_builder.BuiltDevices(())
        self._since: dict[tuple[str, str | None, str], float] = {}
        self._boot: str | None = None

    def devices(self) -> tuple[Device, ...]:
        """The devices as last read; reads them if that was not done yet."""
        if not self._made.devices:
            self.observe((), ())
        return self._made.devices

    def device(self, device_id: str) -> Device | None:
        """A device as last read."""
        return next((d for d in self.devices() if d.id == device_id), None)

    def forget(self) -> None:
        """Discard answers to earlier questions, after something was written.
        """
        self._questions.forget()

    def families_of(self, device: Device) -> tuple[Family, ...]:
        """The families for a device, vendor families before generic ones."""
        return self._claims.get(device.address or '', ())

    def observe(self, busy: Sequence[Busy],
                writing: Collection[str]) -> Inventory:
        """Read the inventory now; one reading at a time.

        :param writing: addresses of cards that are being written: their tools
            are not run, so the inventory is not complete.
        """
        with self._lock:
            return self._observe(busy, writing)

    def _observe(self, busy: Sequence[Busy],
                 writing: Collection[str]) -> Inventory:
        begun = time.monotonic()
        boot = boot_mark(self._host)
        known = self._known(boot)
        self._boot = boot
        vendors = {p[:4] for product in self._catalog.products.values()
                   for p in product.pci}
        bus = pci_functions.bus(self._host, vendors)
        cards = device_builder.cards(bus.functions, self._catalog)
        asked = [c for c in cards if c.address not in writing]
        here = {c.address for c in cards} & set(writing)
        told: dict[str, list[DeviceReading]] = {}
        cards = (*self._detailed(asked, begun + self._patience * _SYSFS,
                                 told),
                 *(c for c in cards if c.address in writing))
        warnings = self._ask([c for c in cards if c.address not in writing],
                             begun + self._patience, told)
        for card in cards:
            if card.address in writing:
                self._keep_identity(card, told)
        warnings += [Warned(card.address, held) for card in cards
                     if (held := device_users.given_away(
                         self._host, card.address))]
        warnings += self._not_asked(cards, told)
        self._told = told
        self._made = device_builder.devices(
            sorted(cards, key=lambda c: c.address), told,
            smbios_slots.designations(self._host), self._catalog, known)
        if self._identities is not None:
            self._identities.save(boot, self._made.devices)
        system = self._host.read('/sys/class/dmi/id/product_uuid')
        return Inventory(
            system=system.lower() if system else self._name, host='on',
            complete=not here, boot=boot, busy=tuple(busy),
            seen_via=(self._name,),
            warnings=(*self._warnings, *warnings, *self._made.warnings),
            devices=self._made.devices,
            lacking=tuple(f'{a} is being written' for a in sorted(here)),
            unread=self._dated((*bus.unread, *self._made.unread)))

    def _known(self, boot: str | None) -> tuple[Device, ...]:
        """The devices of this boot as last read."""
        if boot == self._boot and self._made.devices:
            return self._made.devices
        return self._identities.load(boot) if self._identities else ()

    def _not_asked(self, cards: Sequence[DeviceBuilder],
                told: Mapping[str, Sequence[DeviceReading]]) -> list[Warned]:
        """Warnings for devices that no tool could be asked about: what sysfs
        does not report of them is unknown, which is not the same as healthy.
        """
        out = [] if self._families else [Warned(
            loader.NAMESPACE, 'no tool family is installed: health, versions '
            'and modes of all devices are unknown, and nothing can be '
            'written; install ironic-accel as a package')]
        for card in cards:
            mine = self._claims.get(card.address, ())
            if any(t.components or t.modes or t.health or t.unread
                   or t.absent or t.serial for f in card.functions
                   for t in told.get(f.address, ())):
                continue
            why = ('no tool family supports this device'
                   if all(f.generic for f in mine) else
                   'no tool could be asked about this device')
            out.append(Warned(card.address, f'{why}: its health, versions '
                              'and modes are unknown'))
        return out

    def _dated(self, unread: Iterable[Unread]) -> tuple[Unread, ...]:
        """Each with the time of the first of the successive readings without
        it."""
        now = time.time()
        since = {(u.source, u.about, '/'.join(u.facts)): u for u in unread}
        self._since = {key: self._since.get(key, now) for key in since}
        return tuple(dataclasses.replace(u, since=self._since[key])
                     for key, u in since.items())

    def _keep_identity(self, card: DeviceBuilder,
                       told: dict[str, list[DeviceReading]]) -> None:
        """Keep the identity of a card that is being written, without what
        changes."""
        for function in card.functions:
            told[function.address] = [
                dataclasses.replace(one, components=(), modes=(), unread=())
                for one in self._told.get(function.address, ())]

    def _detailed(self, cards: Sequence[DeviceBuilder], until: float,
                  told: dict[str, list[DeviceReading]]) -> list[DeviceBuilder]:
        """The cards with what sysfs reports besides their ids."""
        for card in cards:
            self._questions.ask((_DETAILS, card.address), functools.partial(
                _details, self._host, card.functions))
        out = []
        for card in cards:
            at = card.address
            path = f'{pci_functions.DEVICES}/{at}'
            try:
                card = dataclasses.replace(card, functions=(
                    self._questions.answer((_DETAILS, at), until)))
            except NoAnswer as exc:
                told[at] = [DeviceReading(unread=(Unread(
                    path, str(exc), facts=('identity', 'mode:vfs')),))]
            for f in card.functions:
                if f.unread_vpd is not None:
                    told.setdefault(f.address, []).append(DeviceReading(
                        unread=(Unread(f'{f.path}/{VPD}', f.unread_vpd,
                                       facts=('identity',)),)))
            if any(f.gone for f in card.functions):
                told.setdefault(at, []).append(DeviceReading(
                    health='Critical', unread=(Unread(
                        path, 'the device does not respond on the PCI bus',
                        facts=('presence',)),)))
            out.append(card)
        return out

    def _ask(self, cards: Sequence[DeviceBuilder], until: float,
             told: dict[str, list[DeviceReading]]) -> list[Warned]:
        """Ask the families in parallel, for no longer than the patience."""
        asked = []
        for family, wanted in self._claim(cards):
            for key, some in _questions(family, wanted):
                self._questions.ask((family.name, key), functools.partial(
                    family.read, self._host,
                    [f for card in some for f in card.functions]))
                asked.append((family, key, some))
        warnings: dict[Warned, None] = {}
        for family, key, some in asked:
            seen = self._answer(family, key, some, until)
            warnings |= dict.fromkeys(seen.warnings)
            for address, one in seen.devices.items():
                told.setdefault(address, []).append(one)
        return list(warnings)

    def _claim(self, cards: Sequence[DeviceBuilder]
               ) -> list[tuple[Family, list[DeviceBuilder]]]:
        """Families with the functions of each card that they claim."""
        claims: list[tuple[Family, list[DeviceBuilder]]] = []
        owners: dict[str, list[Family]] = {}
        for family in self._families:
            wanted = []
            for card in cards:
                mine = _claimed(family, card)
                if mine:
                    wanted.append(DeviceBuilder(mine, card.product))
                    owners.setdefault(card.address, []).append(family)
            if wanted:
                claims.append((family, wanted))
        self._claims |= {k: tuple(v) for k, v in owners.items()}
        return claims

    def _answer(self, family: Family, key: str, cards: Sequence[DeviceBuilder],
              until: float) -> ToolReading:
        """The answer of a family about some cards, or that there is none."""
        try:
            seen: ToolReading = self._questions.answer(
                (family.name, key), until)
        except NoAnswer as exc:
            return _all_unread(family, cards, str(exc))
        except Exception as exc:  # a third party's plug-in
            LOG.exception('Tool family %s failed', family.name)
            return _all_unread(family, cards,
                           f'failed: {type(exc).__name__}: {exc}')
        if seen.complete:
            return seen
        late = _all_unread(family, cards, 'not ready yet')
        return dataclasses.replace(
            late, warnings=seen.warnings, devices={
                a: _merged(seen.devices.get(a, DeviceReading()),
                         late.devices.get(a, DeviceReading()))
                for a in {*seen.devices, *late.devices}})


def _claimed(family: Family, card: DeviceBuilder) -> tuple[Function, ...]:
    try:
        return tuple(f for f in card.functions
                     if family.claims(f, card.product))
    except Exception:  # a third party's plug-in
        LOG.exception('Tool family %s failed', family.name)
        return ()


def _details(host: Machine, found: Sequence[Function]) -> tuple[Function, ...]:
    return tuple(pci_functions.details(host, f) for f in found)


def _questions(family: Family, cards: Sequence[DeviceBuilder]
               ) -> list[tuple[str, Sequence[DeviceBuilder]]]:
    """The questions for a family: each card separately, or all at once."""
    if getattr(family, 'together', False):
        return [('', cards)]
    return [(card.address, (card,)) for card in cards]


def _all_unread(family: Family, cards: Sequence[DeviceBuilder], answer: str
               ) -> ToolReading:
    """A reading in which everything about some cards is unread."""
    told = {}
    for card in cards:
        facts = getattr(family, 'facts', None)
        told[card.address] = DeviceReading(unread=(Unread(
            family.name, answer,
            facts=facts(card.product) if facts else FACTS),))
    return ToolReading(told)


def _merged(one: DeviceReading, other: DeviceReading) -> DeviceReading:
    return dataclasses.replace(one, unread=one.unread + other.unread)
