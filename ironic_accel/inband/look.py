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


"""One look at the machine: sysfs, then what the families' tools tell."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import logging
import threading
import time

from ironic_accel.inband import devices as made
from ironic_accel.inband import functions
from ironic_accel.inband import slots
from ironic_accel.inband.devices import Card
from ironic_accel.inband.family import Family
from ironic_accel.inband.family import Function
from ironic_accel.inband.family import Seen
from ironic_accel.inband.family import Told
from ironic_accel.inband.host import Host
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Busy
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Warned

LOG = logging.getLogger(__name__)

#: Seconds for which one look waits for tools. A look within the agent holds
#: the agent's lock; a tool that takes longer is heard at the next look.
PATIENCE = 20.0

#: Seconds for which an answer that came late still counts.
_FRESH = 60.0


def boot_mark(host: Host) -> str | None:
    """The id of this boot (random(4)), or None."""
    return host.read('/proc/sys/kernel/random/boot_id')


class Look:
    """What is seen here, and which family is whose.

    :param warnings: what every inventory is to carry.
    :param patience: seconds for which one look waits for tools.
    """

    def __init__(self, host: Host, families: Sequence[Family],
                 catalog: Catalog, name: str,
                 warnings: Sequence[Warned] = (),
                 patience: float = PATIENCE) -> None:
        self._host = host
        self._families = tuple(families)
        self._catalog = catalog
        self._name = name
        self._warnings = tuple(warnings)
        self._patience = patience
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[float, futures.Future[Seen]]] = {}
        self._told: dict[str, list[Told]] = {}
        self._claims: dict[str, tuple[Family, ...]] = {}
        self._devices: dict[str, Device] = {}

    def devices(self) -> tuple[Device, ...]:
        """The devices as last seen; looks where nothing was yet."""
        if not self._devices:
            self.observe((), ())
        return tuple(self._devices.values())

    def device(self, device_id: str) -> Device | None:
        """A device as it was last seen."""
        return next((d for d in self.devices() if d.id == device_id), None)

    def forget(self) -> None:
        """Something was written: answers to earlier questions are void."""
        self._asked.clear()

    def families_of(self, device: Device) -> tuple[Family, ...]:
        """The families for a device, the most special first."""
        return self._claims.get(device.address or '', ())

    def observe(self, busy: Sequence[Busy],
                writing: Collection[str]) -> Inventory:
        """Look now; one look at a time.

        :param writing: addresses of cards that are being written: their
            tools are not disturbed, so the look is not complete.
        """
        with self._lock:
            return self._observe(busy, writing)

    def _observe(self, busy: Sequence[Busy],
                 writing: Collection[str]) -> Inventory:
        vendors = {p[:4] for product in self._catalog.products.values()
                   for p in product.pci}
        cards = made.cards(functions.scan(self._host, vendors),
                           self._catalog)
        told, warnings, complete = self._ask(
            [c for c in cards if c.address not in writing])
        for card in cards:
            if card.address in writing:
                self._remember(card, told)
        self._told = told
        devices, more = made.devices(
            cards, told, slots.designations(self._host), self._catalog)
        self._devices = {d.id: d for d in devices}
        here = {c.address for c in cards}
        system = self._host.read('/sys/class/dmi/id/product_uuid')
        return Inventory(
            system=system.lower() if system else self._name, host='on',
            complete=complete and not here & set(writing),
            boot=boot_mark(self._host), busy=tuple(busy),
            seen_via=(self._name,),
            warnings=(*self._warnings, *warnings, *more), devices=devices)

    def _remember(self, card: Card, told: dict[str, list[Told]]) -> None:
        """Who a card is that is being written, without what changes."""
        for function in card.functions:
            told[function.address] = [
                dataclasses.replace(one, components=(), modes=())
                for one in self._told.get(function.address, ())]

    def _ask(self, cards: Sequence[Card]
             ) -> tuple[dict[str, list[Told]], list[Warned], bool]:
        """Ask the families side by side, no longer than the patience."""
        until = time.monotonic() + self._patience
        claims = self._claim(cards)
        asked: dict[str, futures.Future[Seen]] = {}
        for family, wanted in claims:
            # One that still runs is an earlier look's: heard, not doubled.
            since, future = self._asked.get(family.name, (0.0, None))
            if future is None or (
                    future.done() and time.monotonic() - since > _FRESH):
                future = _begin(family, self._host, wanted)
                self._asked[family.name] = (time.monotonic(), future)
            asked[family.name] = future
        told: dict[str, list[Told]] = {}
        warnings: list[Warned] = []
        complete = True
        for family, _ in claims:
            seen = self._hear(family, asked[family.name],
                              until - time.monotonic())
            warnings += seen.warnings
            complete = complete and seen.complete
            for address, one in seen.told.items():
                told.setdefault(address, []).append(one)
        return told, warnings, complete

    def _claim(self, cards: Sequence[Card]
               ) -> list[tuple[Family, list[Function]]]:
        claims: list[tuple[Family, list[Function]]] = []
        owners: dict[str, list[Family]] = {}
        for family in self._families:
            wanted = []
            for card in cards:
                mine = [f for f in card.functions
                        if family.claims(f, card.product)]
                wanted += mine
                if mine:
                    owners.setdefault(card.address, []).append(family)
            if wanted:
                claims.append((family, wanted))
        self._claims |= {k: tuple(v) for k, v in owners.items()}
        return claims

    def _hear(self, family: Family, future: futures.Future[Seen],
              patience: float) -> Seen:
        try:
            seen = future.result(max(0.0, patience))
        except TimeoutError:
            return Seen(warnings=(Warned(
                family.name, 'does not answer yet'),), complete=False)
        except Exception as exc:  # a third party's plug-in
            LOG.exception('tool family %s failed', family.name)
            seen = Seen(warnings=(Warned(
                family.name, f'failed: {type(exc).__name__}: {exc}'),),
                complete=False)
        self._asked.pop(family.name, None)
        return seen


def _begin(family: Family, host: Host, wanted: Sequence[Function]
           ) -> futures.Future[Seen]:
    """Ask a family in a thread that keeps nobody from ending."""
    future: futures.Future[Seen] = futures.Future()

    def ask() -> None:
        try:
            future.set_result(family.look(host, wanted))
        except Exception as exc:  # told to whoever waits for the answer
            future.set_exception(exc)

    threading.Thread(target=ask, daemon=True,
                     name=f'accel-look-{family.name}').start()
    return future
