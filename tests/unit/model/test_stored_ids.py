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

"""An upgrade renames no device: ids that nodes have stored stay the same.

``stored_ids.json`` has what BMCs of several makers show of their devices, and
the ids that were stored of them and given to them later, each recorded from
the release that stored inventories first.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
import pathlib
from typing import Any

import pytest

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import PciIds
from ironic_accel.model import device_marks
from ironic_accel.model import identity
from ironic_accel.model.identity import Source
from ironic_accel.model import unite

RECORDED = json.loads(
    pathlib.Path(__file__).with_name('stored_ids.json').read_text())

Change = Callable[[Device], Device | None]


def machine(name: str) -> Inventory:
    """A recorded machine as its BMC shows it."""
    return Inventory('1', 'on', True, seen_via=('redfish',), devices=tuple(
        Device(**{**row, 'pci': PciIds(*row['pci']) if row.get('pci')
                  else None}) for row in RECORDED['machines'][name]))


def inside(seen: Inventory, serials: bool = True) -> Inventory:
    """What an agent would see of the same machine."""
    cards = [d for d in seen.devices if d.kind != 'baseboard']
    return Inventory('m', 'on', True, seen_via=('agent',), devices=tuple(
        Device(f'0000:{0x10 + n:02x}:00.0', d.kind, vendor=d.vendor,
               product=d.product, serial=d.serial if serials else None,
               address=d.address or f'0000:{0x10 + n:02x}:00.0', pci=d.pci)
        for n, d in enumerate(cards)))


def changed(seen: Inventory, change: Change) -> Inventory:
    """The machine with each device changed; None takes one out."""
    devices = (change(d) for d in seen.devices)
    return dataclasses.replace(
        seen, devices=tuple(d for d in devices if d is not None))


def turned(seen: Inventory) -> Inventory:
    """The machine with its devices listed the other way round."""
    return dataclasses.replace(seen, devices=seen.devices[::-1])


def every(seen: Inventory, **fields: Any) -> Inventory:
    """The machine with something that is the same of each device."""
    return changed(seen, lambda d: dataclasses.replace(d, **fields))


def first_gpu(seen: Inventory, **fields: Any) -> Inventory:
    """The machine with something of its first GPU changed."""
    gpu = next(d for d in seen.devices if d.kind == 'gpu')
    return changed(seen, lambda d: dataclasses.replace(d, **fields)
                   if d is gpu else d)


def without_gpu(seen: Inventory) -> Inventory:
    """The machine without its first GPU."""
    gpu = next(d for d in seen.devices if d.kind == 'gpu')
    return changed(seen, lambda d: None if d is gpu else d)


def swapped(seen: Inventory) -> Inventory:
    """The machine with two of its GPUs in each other's place."""
    one, two = [d for d in seen.devices if d.kind == 'gpu'][:2]
    places = {one.id: two.location, two.id: one.location}
    return changed(seen, lambda d: dataclasses.replace(
        d, location=places.get(d.id, d.location)))


def elsewhere(seen: Inventory) -> Inventory:
    """The machine after a BMC update that moved its resources."""
    return changed(seen, lambda d: dataclasses.replace(
        d, uri=f'{d.uri}x' if d.uri else None))


PCIE, GB300, DPU = map(machine, ('pcie-a100', 'gb300', 'bluefield-3'))
BOARD = every(PCIE, serial='BOARD')
ZEROS = every(GB300, serial='0000')

Look = tuple[Inventory, ...]
#: By name: what was seen when the inventory was stored, and what later.
CASES: dict[str, tuple[Look, Look]] = {
    **{f'{name}, listed the other way round':
       ((machine(name),), (turned(machine(name)),))
       for name in RECORDED['machines']},
    'both, later the BMC alone': ((GB300, inside(GB300)), (GB300,)),
    'both, later at other URIs': (
        (GB300, inside(GB300)), (elsewhere(GB300), inside(GB300))),
    'both, PCIe cards, later the BMC alone': (
        (PCIE, inside(PCIE)), (PCIE,)),
    'both, the agent tells no serial': (
        (PCIE, inside(PCIE, False)), (PCIE, inside(PCIE, False))),
    'a child endpoint': ((PCIE, DPU), (PCIE, DPU)),
    'a child endpoint and the agent': (
        (PCIE, DPU, inside(PCIE)),
        (turned(PCIE), turned(DPU), turned(inside(PCIE)))),
    'a child endpoint of which only one board is told': (
        (PCIE, DPU), (PCIE,)),
    'a swapped card': ((PCIE,), (first_gpu(PCIE, serial='OTHER'),)),
    'a swapped card, both': (
        (PCIE, inside(PCIE)),
        (first_gpu(PCIE, serial='OTHER'),
         inside(first_gpu(PCIE, serial='OTHER')))),
    'a lost serial': ((PCIE,), (first_gpu(PCIE, serial=None),)),
    'a lost serial that the agent tells': (
        (PCIE, inside(PCIE)), (first_gpu(PCIE, serial=None), inside(PCIE))),
    'a lost serial of a board': ((GB300,), (first_gpu(GB300, serial=None),)),
    'a lost place': ((PCIE,), (first_gpu(PCIE, location=None),)),
    'a lost serial and place': (
        (PCIE,), (first_gpu(PCIE, location=None, serial=None),)),
    'a card less': ((PCIE,), (without_gpu(PCIE),)),
    'two cards in each other\'s place': ((PCIE,), (swapped(PCIE),)),
    'one serial of all': ((BOARD,), (turned(BOARD),)),
    'one serial of all, a card less': ((BOARD,), (without_gpu(BOARD),)),
    'serials of zeros': ((ZEROS,), (turned(ZEROS),)),
    'the agent alone, no serials': (
        (inside(PCIE, False),), (turned(inside(PCIE, False)),)),
    'the agent alone, later both': (
        (inside(PCIE),), (PCIE, inside(PCIE))),
    'the BMC alone, later the agent alone': ((PCIE,), (inside(PCIE),)),
}


def seen(look: Look, known: identity.Known = identity.NOBODY) -> Inventory:
    """One inventory of what is shown."""
    return unite.inventory(map(Source, look), known)


def test_every_recorded_case_is_tried() -> None:
    assert set(CASES) == set(RECORDED['cases'])


@pytest.mark.parametrize('name', CASES)
def test_a_device_keeps_the_id_that_is_stored(name: str) -> None:
    first, later = CASES[name]
    stored, after = RECORDED['cases'][name]
    known = {ident: (kind, serial, place)
             for ident, kind, serial, place in stored}
    now = seen(first)
    assert device_marks.identities(now) == known
    assert [d.id for d in now.devices] == list(known)
    assert [d.id for d in seen(later, known).devices] == after


@pytest.mark.parametrize('name', CASES)
def test_what_is_identified_already_is_known_again(name: str) -> None:
    """The run has its names, the stored inventory others."""
    _, later = CASES[name]
    stored, after = RECORDED['cases'][name]
    known = {ident: (kind, serial, place)
             for ident, kind, serial, place in stored}
    (again,) = identity.identify((Source(seen(later), stable=True),), known)
    assert [d.id for d in again.devices] == after
