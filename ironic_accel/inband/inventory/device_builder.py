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


"""From PCI functions and the readings of tools to devices."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import TypeVar

from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.machine.pci_functions import VPD
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Warned
from ironic_accel.model import device_marks
from ironic_accel.model import nv_parameters
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

_T = TypeVar('_T', Component, Mode)


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceBuilder:
    """The functions of a card and the catalogue's product.

    The functions of one slot that are of one product are one card: the two
    ports of an adapter, the management and the user function of an FPGA.
    """

    functions: tuple[Function, ...]
    product: Product

    @property
    def address(self) -> str:
        """The address of its first function, which is the device's."""
        return self.functions[0].address


def cards(functions: Iterable[Function], catalog: Catalog
          ) -> tuple[DeviceBuilder, ...]:
    """The cards that the catalogue lists."""
    groups: dict[tuple[str, str], list[Function]] = {}
    products: dict[str, Product] = {}
    for function in functions:
        product = catalog.by_pci(
            function.vendor_id, function.device_id,
            function.subsystem_vendor_id, function.subsystem_id)
        if product is not None:
            products[product.name] = product
            groups.setdefault(
                (function.card, product.name), []).append(
                    dataclasses.replace(function, product=product))
    return tuple(DeviceBuilder(tuple(members), products[name])
                 for (_, name), members in groups.items())


@dataclasses.dataclass(frozen=True, slots=True)
class BuiltDevices:
    """The devices of one reading, with what is unread and warnings."""

    devices: tuple[Device, ...]
    unread: tuple[Unread, ...] = ()
    warnings: tuple[Warned, ...] = ()


def devices(found: Sequence[DeviceBuilder],
            told: Mapping[str, Sequence[DeviceReading]],
            places: Mapping[str, str], catalog: Catalog,
            known: Sequence[Device] = ()) -> BuiltDevices:
    """The devices by PCI address, what of them is unread, and readings that
    fit no device.

    :param told: by address of a function, the readings of families; an earlier
        one has precedence.
    :param places: designations of slots by card.
    :param known: devices of an earlier reading of the same boot: a device that
        does not report its identity now keeps it.
    """
    warnings: list[Warned] = []
    whole = [_merged(card, told) for card in found]
    before = {(d.address, d.pci): d for d in known}
    out = [_with_known_identity(made, before.get((made.address, made.pci)))
           for made in (_device(card, one, places, catalog, warnings)
                        for card, one in zip(found, whole, strict=True))]
    unread = tuple(dataclasses.replace(u, about=device.id)
                   for device, one in zip(out, whole, strict=True)
                   for u in one.unread)
    return BuiltDevices(tuple(out), unread, tuple(warnings))


def _with_known_identity(device: Device, known: Device | None) -> Device:
    """A device with the identity that it reported earlier."""
    if known is None:
        return device
    return dataclasses.replace(
        device, serial=device.serial or known.serial,
        model=device.model or known.model,
        product=known.product if device.model is None else device.product,
        part_number=device.part_number or known.part_number,
        fit=Fit(device.fit.psid or known.fit.psid,
                device.fit.board or known.fit.board))


def _merged(card: DeviceBuilder,
            told: Mapping[str, Sequence[DeviceReading]]) -> DeviceReading:
    """All readings of all functions of a card as one.

    What one source could not read and another has reported counts as read,
    except for health and state: there the silent source might report something
    worse.
    """
    out = DeviceReading()
    for function in card.functions:
        for one in told.get(function.address, ()):
            out = DeviceReading(
                out.serial or one.serial, out.model or one.model,
                out.part_number or one.part_number,
                Fit(out.fit.psid or one.fit.psid,
                    out.fit.board or one.fit.board),
                _worse(out.health, one.health), out.location or one.location,
                _unite(out.components, one.components),
                _unite(out.modes, one.modes), out.state or one.state,
                out.unread + one.unread,
                tuple(dict.fromkeys(out.absent + one.absent)))
    values = {*(f'firmware:{c.name}' for c in out.components if c.running),
              *(f'mode:{m.name}' for m in out.modes
                if m.current is not None)}
    if out.serial or any(f.serial for f in card.functions):
        # The identity is known: the VPD would add nothing.
        values |= {f'{f.path}/{VPD}' for f in card.functions}
    left = (dataclasses.replace(u, facts=tuple(
        f for f in u.facts if f not in values and u.source not in values))
        for u in out.unread)
    return _with_unread_health(dataclasses.replace(
        out, unread=tuple(u for u in left if u.facts or u.kinds)))


def _with_unread_health(told: DeviceReading) -> DeviceReading:
    """The reading with health unread, if no firmware version of the card was
    read.

    A card that is on the bus and whose own tool reports no firmware at all may
    be broken: that is how it looks after an interrupted update.
    """
    if told.health is not None or any(c.running for c in told.components):
        return told
    return dataclasses.replace(told, unread=tuple(
        dataclasses.replace(u, facts=(*u.facts, 'health'))
        if 'health' not in u.facts and any(
            f.partition(':')[0] == 'firmware' for f in u.facts) else u
        for u in told.unread))


def _worse(a: str | None, b: str | None) -> str | None:
    ranks = {None: 0, 'OK': 1, 'Warning': 2, 'Critical': 3}
    return max((a, b), key=lambda h: ranks.get(h, 0))


def _value(part: Component | Mode) -> object:
    return part.running if isinstance(part, Component) else part.current


def _unite(mine: tuple[_T, ...], more: tuple[_T, ...]) -> tuple[_T, ...]:
    """Components or modes of both, by name: of two the first that has a value,
    otherwise the one that is unread."""
    out = {x.name: x for x in mine}
    for x in more:
        had = out.get(x.name)
        if had is None or (_value(had) is None and (
                _value(x) is not None or x.standing is Standing.UNREAD)):
            out[x.name] = x
    return tuple(out.values())


def _first(values: Iterable[str | None]) -> str | None:
    return next((v for v in values if v), None)


def _device(card: DeviceBuilder, told: DeviceReading,
            places: Mapping[str, str], catalog: Catalog,
            warnings: list[Warned]) -> Device:
    parts = card.functions
    first = parts[0]
    number = told.part_number or _first(f.part_number for f in parts)
    model = told.model or _first(f.model for f in parts)
    product = catalog.identify(None, card.product.vendor, model, first.pci,
                               number) or card.product
    link = next((f.link for f in parts if f.link), None)
    return Device(
        id=card.address, kind=product.kind, vendor=product.vendor,
        model=model, product=product.name,
        serial=(device_marks.clean_serial(told.serial)
                or _first(f.serial for f in parts)),
        part_number=number, fit=told.fit, pci=first.pci,
        address=card.address, numa_node=first.numa_node, link=link,
        macs=tuple(dict.fromkeys(m for f in parts for m in f.macs)),
        location=told.location or places.get(first.card),
        health=told.health, state=told.state,
        unread=tuple(dict.fromkeys(f for u in told.unread for f in u.facts)),
        absent=told.absent,
        components=tuple(
            c for part in told.components
            if (c := _component(card, part, product, catalog, warnings))),
        modes=tuple(
            m for mode in told.modes
            if (m := _mode(card, mode, product, catalog, warnings))))


def _component(card: DeviceBuilder, part: Component, product: Product,
               catalog: Catalog, warnings: list[Warned]
               ) -> Component | None:
    facts = catalog.component(product.kind, part.name, product)
    if facts is None:
        warnings.append(Warned(
            card.address, f'ignoring component {part.name!r}: the catalogue '
            f'lists none for kind {product.kind}'))
        return None
    if part.activation is not None:
        return part
    return dataclasses.replace(part, activation=facts.activation)


def _mode(card: DeviceBuilder, mode: Mode, product: Product, catalog: Catalog,
          warnings: list[Warned]) -> Mode | None:
    facts = catalog.mode(product.kind, mode.name, product)
    if facts is None and nv_parameters.is_name(mode.name):
        # A product of a site's own catalogue: the allow list is not for it.
        return None
    if facts is None:
        warnings.append(Warned(
            card.address, f'ignoring mode {mode.name!r}: the catalogue lists '
            f'none for kind {product.kind}'))
        return None
    allowed = mode.allowed
    # Of a parameter by its own name the allow list says it: a card has many.
    if allowed is None and facts.type == 'word' and (
            not nv_parameters.is_name(mode.name)):
        allowed = facts.values
    return dataclasses.replace(
        mode, allowed=allowed, unordered=mode.unordered or facts.unordered,
        activation=(facts.activation if mode.activation is None
                    else mode.activation),
        persistent=(facts.persistent if mode.persistent is None
                    else mode.persistent))
