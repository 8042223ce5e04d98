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


"""A card that two transports show and nothing joins is not counted twice."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

import pytest

from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import PciIds
from ironic_accel.model.identity import Source
from ironic_accel.model import traits
from ironic_accel.model import unite

CATALOG = catalog_mod.load()
PRODUCTS = {'gpu': 'nvidia-h100-sxm', 'nic': None, 'fpga': None, 'dpu': None}
Spoil = Callable[[list[Device]], list[Device]]


def cards(kind: str, number: int = 4) -> list[Device]:
    """Cards of one kind, with serial numbers and nothing else."""
    return [Device(f'{kind}{n}', kind, product=PRODUCTS[kind], health='OK',
                   serial=f'S{n}') for n in range(number)]


def source(transport: str, devices: list[Device],
           whole: bool = True) -> Source:
    """What one transport shows, with ids of its own."""
    named = tuple(dataclasses.replace(d, id=f'{transport}-{n}')
                  for n, d in enumerate(devices))
    return Source(Inventory('1', 'on', True, seen_via=(transport,),
                            devices=named), whole=whole)


def placed(device: Device, place: str, where: str) -> Device:
    """A device with its location or its PCI address."""
    if place == 'location':
        return dataclasses.replace(device, location=where)
    return dataclasses.replace(device, address=where)


def invented(devices: list[Device]) -> list[Device]:
    """The first card has a serial number that is not its own."""
    return [dataclasses.replace(devices[0], serial='Invented'), *devices[1:]]


def all_invented(devices: list[Device]) -> list[Device]:
    """All cards have one invented serial number."""
    return [dataclasses.replace(d, serial='Invented') for d in devices]


def duplicated(devices: list[Device]) -> list[Device]:
    """The second card has the serial number of the first."""
    return [devices[0], dataclasses.replace(
        devices[1], serial=devices[0].serial), *devices[2:]]


def other_ids(devices: list[Device]) -> list[Device]:
    """The PCI ids of the first card are not its own."""
    return [dataclasses.replace(devices[0], pci=PciIds('ffff', 'ffff')),
            *(dataclasses.replace(d, pci=PciIds('10de', '2330'))
              for d in devices[1:])]


@pytest.mark.parametrize('inside_first', [False, True])
@pytest.mark.parametrize('kind', PRODUCTS)
@pytest.mark.parametrize('spoil', [invented, all_invented, duplicated])
def test_a_wrong_serial_number_leaves_the_number_unknown(
        spoil: Spoil, kind: str, inside_first: bool) -> None:
    found = [source('redfish', spoil(cards(kind))),
             source('agent', cards(kind))]
    seen = unite.inventory(found[::-1] if inside_first else found)
    assert kind in seen.uncounted
    assert seen.warnings
    assert not [t.name for t in traits.presence(seen, CATALOG)
                if t.name.startswith(f'CUSTOM_ACCEL_{kind.upper()}_X')]


@pytest.mark.parametrize('inside_first', [False, True])
def test_wrong_pci_ids_leave_the_number_unknown(inside_first: bool) -> None:
    right = [dataclasses.replace(d, pci=PciIds('10de', '2330'))
             for d in cards('gpu')]
    found = [source('redfish', other_ids(cards('gpu'))),
             source('agent', right)]
    seen = unite.inventory(found[::-1] if inside_first else found)
    assert seen.uncounted == ('gpu',)


def test_a_product_is_published_only_where_no_possible_duplicate_differs(
        ) -> None:
    seen = unite.inventory((source('redfish', invented(cards('gpu'))),
                            source('agent', cards('gpu'))))
    product = seen.devices[0].product
    assert product
    name = f'CUSTOM_ACCEL_GPU_{product.upper().replace("-", "_")}'
    assert {t.name for t in traits.presence(seen, CATALOG)} == {
        'CUSTOM_ACCEL_GPU', name}
    other = dataclasses.replace(seen, devices=(
        dataclasses.replace(seen.devices[0], product='nvidia-a100-pcie'),
        *seen.devices[1:]))
    assert {t.name for t in traits.presence(other, CATALOG)} == {
        'CUSTOM_ACCEL_GPU'}


def test_a_possible_duplicate_that_is_unhealthy_costs_the_kind() -> None:
    outside = [dataclasses.replace(d, health='critical')
               for d in invented(cards('gpu', 1))]
    seen = unite.inventory((source('redfish', outside),
                            source('agent', cards('gpu', 1))))
    assert len(seen.devices) == 2 and seen.uncounted == ('gpu',)
    assert {t.name for t in traits.presence(seen, CATALOG)} == {
        'CUSTOM_ACCEL_DEGRADED'}


def test_a_possible_duplicate_of_another_kind_costs_both_kinds() -> None:
    inside = [placed(d, 'address', '0000:01:00.0') for d in cards('gpu', 1)]
    outside = [dataclasses.replace(
        placed(d, 'address', '0000:01:00.0'), kind='fpga', id='fpga-0',
        serial='X1', product=None) for d in cards('gpu', 1)]
    seen = unite.inventory((source('redfish', outside),
                            source('agent', inside)))
    assert set(seen.uncounted) == {'fpga', 'gpu'}
    assert {t.name for t in traits.presence(seen, CATALOG)} == {
        'CUSTOM_ACCEL_DEGRADED'}


@pytest.mark.parametrize('place', ['location', 'address'])
@pytest.mark.parametrize('kind', PRODUCTS)
def test_two_serial_numbers_at_one_location_are_a_contradiction(
        kind: str, place: str) -> None:
    outside, inside = (
        [placed(d, place, f'0000:0{n}:00.0')
         for n, d in enumerate(cards(kind))] for _ in range(2))
    seen = unite.inventory((source('redfish', invented(outside)),
                            source('agent', inside)))
    assert seen.uncounted == (kind,)
    assert [w.uri for w in seen.warnings] == [f'{kind}-S0']


@pytest.mark.parametrize('place', ['location', 'address'])
@pytest.mark.parametrize('both', [True, False])
def test_swapped_serial_numbers_are_a_contradiction_at_one_time(
        place: str, both: bool) -> None:
    """From one moment to the next, cards may be moved."""
    outside = [placed(d, place, f'0000:0{n}:00.0')
               for n, d in enumerate(cards('gpu', 2))]
    inside = [placed(d, place, f'0000:0{1 - n}:00.0')
              for n, d in enumerate(cards('gpu', 2))]
    seen = unite.inventory((source('redfish', outside),
                            source('agent', inside)), both=both)
    assert seen.uncounted == (('gpu',) if both else ())
    assert len(seen.devices) == 2


def test_an_empty_serial_number_adds_no_card() -> None:
    outside = cards('gpu')
    outside[0] = dataclasses.replace(outside[0], serial='')
    seen = unite.inventory((source('redfish', outside),
                            source('agent', cards('gpu'))))
    assert len(seen.devices) == 4 and seen.uncounted == ()


@pytest.mark.parametrize('inside_first', [False, True])
def test_a_card_that_one_transport_hides_counts(inside_first: bool) -> None:
    found = [source('redfish', cards('gpu')[:3]),
             source('agent', cards('gpu'))]
    seen = unite.inventory(found[::-1] if inside_first else found)
    assert len(seen.devices) == 4 and seen.uncounted == ()
    assert 'CUSTOM_ACCEL_GPU_X4' in {
        t.name for t in traits.presence(seen, CATALOG)}


def test_the_bmcs_of_two_cards_show_two_cards() -> None:
    first, second = cards('dpu', 2)
    own = [source('a', [first], whole=False),
           source('b', [second], whole=False)]
    assert unite.inventory(own).uncounted == ()
    hidden = unite.inventory((source('redfish', cards('gpu')), *own))
    assert hidden.uncounted == () and len(hidden.devices) == 6
    shown = unite.inventory((source('redfish', [first, second]), *own))
    assert shown.uncounted == () and len(shown.devices) == 2
    doubt = unite.inventory((source('redfish', invented([first])), *own[:1]))
    assert doubt.uncounted == ('dpu',)


def test_later_source_that_shows_both_distinguishes_them() -> None:
    first, second = cards('dpu', 2)
    seen = unite.inventory((
        source('redfish', [first]), source('b', [second], whole=False),
        source('agent', [first, second])))
    assert seen.uncounted == () and len(seen.devices) == 2


def test_products_tell_cards_apart() -> None:
    other = dataclasses.replace(cards('gpu', 1)[0], serial='T',
                                product='nvidia-a100-pcie')
    seen = unite.inventory((source('redfish', cards('gpu', 1)),
                            source('agent', [other])))
    assert seen.uncounted == () and len(seen.devices) == 2
