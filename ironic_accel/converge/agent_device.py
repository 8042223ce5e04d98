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

"""One device as an agent reports it, with the facts of our catalogue."""

from __future__ import annotations

import re

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog_types import ModeFacts
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Link
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.device import Value
from ironic_accel.model.device import Warned
from ironic_accel.model import device_marks
from ironic_accel.model import nv_parameters
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.untrusted import Untrusted

#: Resource.Health (Redfish).
_HEALTH = frozenset({'OK', 'Warning', 'Critical'})
_STATE = re.compile('[A-Za-z]{1,40}')
_ID = re.compile(r'[A-Za-z0-9][A-Za-z0-9._:@/+-]*')
_ADDRESS = re.compile(
    '[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}[.][0-7]', re.I)
_HEX = re.compile('[0-9a-fA-F]{4}')
_MAC = re.compile('[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5,7}')
#: Names of facts that can be unread or absent (``Device.unread``).
_FACTS = frozenset({'presence', 'health', 'state', 'identity', 'firmware',
                    'modes'})
_LARGEST = 2**31 - 1


def device(given: Untrusted, catalog: Catalog, left_out: list[Warned]
           ) -> Device | None:
    """A device, or None with a warning where its kind is none of ours.

    :raises: given.Wrong, with the path.
    """
    name = given['id'].text(128, _ID)
    kind = given['kind'].text(64)
    if kind not in KINDS:
        left_out.append(Warned(name, f'ignoring a device of unknown kind '
                               f'{kind!r}'))
        return None
    pci, number = _pci(given['pci']), _text(given['part_number'])
    model, told = _text(given['model']), _text(given['vendor'])
    product = _product(given, catalog, kind, told, model, pci, number)
    vendor = product.vendor if product else catalog.vendor(told) or told
    health, unread = given['health'].value, _facts(given['unread'])
    if health is not None and not (
            isinstance(health, str) and health in _HEALTH):
        left_out.append(Warned(name, 'ignoring its health: not a value of '
                               'Redfish Resource.Health'))
        health, unread = None, (*unread, 'health')
    serial = _text(given['serial'], 128)
    return Device(
        id=name, kind=kind, vendor=vendor, model=model,
        product=product.name if product else None,
        serial=device_marks.clean_serial(serial), part_number=number,
        parent=_text(given['parent'], 128),
        fit=Fit(_text(given['fit']['psid']), _text(given['fit']['board']))
        if given['fit'].value is not None else Fit(),
        pci=pci, address=given['address'].maybe(
            lambda: given['address'].text(16, _ADDRESS)),
        numa_node=given['numa_node'].maybe(
            lambda: given['numa_node'].number(-1, 65535)),
        link=_link(given['link']), macs=tuple(
            m.text(32, _MAC) for m in given['macs'].each(64)),
        location=_text(given['location'], 128), uri=None, health=health,
        components=_components(given, catalog, kind, product, vendor,
                               left_out),
        modes=_modes(given, catalog, kind, product, vendor, left_out),
        state=given['state'].maybe(lambda: given['state'].text(40, _STATE)),
        unread=unread, absent=_facts(given['absent']))


def _product(given: Untrusted, catalog: Catalog, kind: str, vendor: str | None,
             model: str | None, pci: PciIds | None, number: str | None
             ) -> Product | None:
    """The product by our own catalogue: by what the device shows of itself,
    else by the name that is told, if it is one of that kind."""
    found = catalog.identify(kind, vendor, model, pci, number)
    if found is None:
        found = catalog.product(_text(given['product'], 64))
    return found if found is not None and found.kind == kind else None


def _text(given: Untrusted, limit: int = 256) -> str | None:
    """A text or None; a blank one is none."""
    if given.value is None or given.value == '':
        return None
    return given.text(limit)


def _pci(given: Untrusted) -> PciIds | None:
    if given.value is None:
        return None
    return PciIds(*(map(_pci_id, (given[key] for key in (
        'vendor_id', 'device_id', 'subsystem_vendor_id', 'subsystem_id')))))


def _pci_id(given: Untrusted) -> str | None:
    return None if given.value is None else given.text(4, _HEX).lower()


def _link(given: Untrusted) -> Link | None:
    if given.value is None:
        return None
    return Link(given['width'].maybe(lambda: given['width'].number(0, 64)),
                _text(given['speed'], 16))


def _facts(given: Untrusted) -> tuple[str, ...]:
    out = []
    for one in given.each():
        name, _, of = one.text().partition(':')
        if (name in _FACTS and not of) or name in ('firmware', 'mode'):
            out.append(f'{name}:{of}' if of else name)
        else:
            raise one.wrong('the name of a fact')
    return tuple(out)


def _components(given: Untrusted, catalog: Catalog, kind: str,
                product: Product | None, vendor: str | None,
                left_out: list[Warned]) -> tuple[Component, ...]:
    out: dict[str, Component] = {}
    for one in given['components'].each(64):
        name = one['name'].text(64)
        facts = catalog.component(kind, name, product, vendor)
        if facts is None:
            left_out.append(Warned(given['id'].value, f'ignoring unknown '
                                   f'component {name!r} of kind {kind}'))
            continue
        if name in out:
            raise one['name'].wrong('a name that no other component has')
        out[name] = Component(
            name, _text(one['id']) or name, _text(one['running']),
            _text(one['pending']), one['shows_pending'].value is True,
            one['updateable'].maybe(one['updateable'].flag), facts.activation,
            lowest=_text(one['lowest']),
            max_image_bytes=_size(one['max_image_bytes']),
            standing=_standing(one), conflicts=_conflicts(one))
    return tuple(out.values())


def _size(given: Untrusted) -> int | None:
    return None if given.value is None else given.number(0, 2**50)


def _modes(given: Untrusted, catalog: Catalog, kind: str,
           product: Product | None, vendor: str | None,
           left_out: list[Warned]) -> tuple[Mode, ...]:
    out = []
    for name, one in given['modes'].members(128):
        facts = catalog.mode(kind, name, product, vendor)
        if facts is None and nv_parameters.is_name(name):
            # A product of a site's own catalogue: no allow list is for it.
            continue
        if facts is None:
            left_out.append(Warned(given['id'].value, f'ignoring unknown mode '
                                   f'{name!r} of kind {kind}'))
            continue
        current, odd = _value(one['current'], facts)
        pending, odder = _value(one['pending'], facts)
        if odd or odder:
            left_out.append(Warned(given['id'].value, f'ignoring mode {name}: '
                                   'invalid value'))
        standing = Standing.UNREAD if odd or odder else _standing(one)
        out.append(Mode(
            name, None if odd or odder else current, pending,
            _allowed(one['allowed'], facts), facts.activation,
            facts.persistent,
            unordered=facts.unordered, standing=standing,
            conflicts=_conflicts(one), minimum=_bound(one['minimum']),
            maximum=_bound(one['maximum']),
            read_only=one['read_only'].value is True))
    return tuple(out)


def _value(given: Untrusted, facts: ModeFacts) -> tuple[Value | None, bool]:
    """A mode's value, and whether an invalid one is reported."""
    raw = given.value
    if raw is None:
        return None, False
    value: Value | None = None
    if isinstance(raw, list | tuple):
        value = tuple(v.text(64) for v in given.each(64))
    elif isinstance(raw, str):
        value = given.text(64)
    elif type(raw) is int:
        value = given.number(0, _LARGEST)
    if value is None or not (facts.reports(value) or value == ()):
        return None, True
    return value, False


def _bound(given: Untrusted) -> int | None:
    """A bound that a device reports for a number."""
    return None if given.value is None else given.number(0, _LARGEST)


def _allowed(given: Untrusted, facts: ModeFacts) -> tuple[Value, ...] | None:
    """The values that a device takes: some of those that the mode has."""
    if given.value is None:
        return (facts.values if facts.type == 'word'
                and not nv_parameters.is_name(facts.name) else None)
    found = [_value(v, facts) for v in given.each()]
    return tuple(v for v, odd in found if v is not None and not odd)


def _standing(given: Untrusted) -> Standing:
    told = given['status']
    if told.value is None:
        return Standing.NOT_REPORTED
    found = Standing(told.one_of(tuple(Standing)))
    return Standing.NOT_REPORTED if found is Standing.REPORTED else found


def _conflicts(given: Untrusted) -> tuple[str, ...]:
    return tuple(d.words(200) for d in given['conflicts'].each(8))
