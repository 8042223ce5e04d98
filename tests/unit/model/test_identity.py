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

"""Identity: over looks, over ways, over shared and missing serials."""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model import device_marks
from ironic_accel.model import identity
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.identity import Source


def gpu(ident: str, serial: str | None = None, location: str | None = None,
        **more: Any) -> Device:
    return Device(id=ident, kind='gpu', serial=serial, location=location,
                  **more)


def look(*devices: Device, **more: Any) -> Inventory:
    return Inventory('1', 'on', True, devices=devices, **more)

def named(inventory: Inventory, known: Known = NOBODY) -> Inventory:
    """An inventory as a reader gives it, identified."""
    (out,) = identity.identify((Source(inventory),), known)
    return out


def again(inventory: Inventory, known: Known) -> Inventory:
    """An identified inventory, by what was known before."""
    (out,) = identity.identify((Source(inventory, stable=True),), known)
    return out


def ids(devices: Any) -> list[str]:
    return [d.id for d in getattr(devices, 'devices', devices)]


@pytest.mark.parametrize('text', [
    None, '', '   ', '0', '000000000000', '0x0000000000000000', 'NA', 'N/A',
    'Not Specified', 'FFFFFFFF', '0xffff', '\0\0', 12,
    '00000000-0000-0000-0000-000000000000'])
def test_what_is_no_serial(text: object) -> None:
    assert device_marks.clean_serial(text) is None


@pytest.mark.parametrize(('text', 'serial'), [
    ('MT2242XZ00QA                 ', 'MT2242XZ00QA'), ('0001', '0001'),
    ('0x00000001783DD0051C00000012FE8100',
     '0x00000001783DD0051C00000012FE8100')])
def test_serials(text: str, serial: str) -> None:
    assert device_marks.clean_serial(text) == serial


def test_serials_name_devices() -> None:
    found = named(look(gpu('/a', '1'), gpu('/b', '2'),
                           Device('/c', 'nic', serial='1')))
    assert ids(found) == ['gpu-1', 'gpu-2', 'nic-1']


def test_a_shared_serial_needs_the_place() -> None:
    found = named(look(
        gpu('/a', '1653125034241', 'GPU_0'),
        gpu('/b', '1653125034241', 'GPU_1'), gpu('/c', '7', 'GPU_2')))
    assert ids(found) == ['gpu-1653125034241@GPU_0',
                          'gpu-1653125034241@GPU_1', 'gpu-7']


def test_eight_gpus_with_a_serial_of_zeros() -> None:
    found = named(look(*(gpu(f'/{i}', '000000', f'GPU SXM {i}')
                         for i in range(8))))
    assert ids(found) == [f'gpu@GPU-SXM-{i}' for i in range(8)]


def test_address_and_uri_are_the_last_resorts() -> None:
    found = named(look(
        gpu('a', address='0000:17:00.0'),
        gpu('b', uri='/redfish/v1/Systems/1/Processors/GPU0'),
        gpu('c', uri='/redfish/v1/Systems/1/Processors/GPU0'), gpu('d')))
    assert ids(found) == ['gpu@0000:17:00.0', 'gpu@Processors/GPU0',
                          'gpu', 'gpu/2']


def test_parents_and_targets_follow() -> None:
    inventory = named(look(
        Device('/board', 'baseboard', serial='B1'),
        gpu('/gpu', 'G1', parent='/board'),
        busy=(Busy('task', '/t/1', targets=(('/gpu', 'gpu'),
                                            ('/gone', 'x'))),)))
    assert ids(inventory) == ['baseboard-B1', 'gpu-G1']
    assert inventory.devices[1].parent == 'baseboard-B1'
    assert inventory.busy[0].targets == (('gpu-G1', 'gpu'), ('/gone', 'x'))


_TEXT = st.none() | st.text('Ab 0_/\u00e9', max_size=90) | st.sampled_from(
    ['1', '2', 'NA', '0000', 'GPU_0', 'GPU_1'])
_DEVICE = st.builds(
    Device, id=st.integers().map(str),
    kind=st.sampled_from(['gpu', 'nic']), serial=_TEXT, location=_TEXT,
    address=st.none() | st.sampled_from(['0000:17:00.0', '0000:18:00.0']),
    uri=st.none() | st.text('/ab', max_size=6))


@given(st.lists(_DEVICE, max_size=8, unique_by=lambda d: d.id))
def test_ids_are_unique_short_and_plain(devices: list[Device]) -> None:
    found = ids(named(look(*devices)))
    assert len(set(found)) == len(devices)
    for ident in found:
        assert re.fullmatch('[A-Za-z0-9._:/@-]+', ident)
        assert len(ident) <= 70


@given(st.lists(_DEVICE, max_size=6, unique_by=lambda d: d.id),
       st.randoms())
def test_second_inventory_in_any_order_gives_the_same_ids(
        devices: list[Device], random: Any) -> None:
    first = named(look(*devices))
    known = device_marks.identities(first)
    told = [d for d in first.devices
            if sum(known[d.id] == v for v in known.values()) == 1
            and any(known[d.id][1:])]
    shuffled = list(first.devices)
    random.shuffle(shuffled)
    # Without a location the address stands in for it; with one it may
    # change.
    moved = [dataclasses.replace(
        d, uri='/elsewhere', address=None if d.location else d.address)
        for d in shuffled]
    second = again(named(look(*moved)), known)
    assert len(set(ids(second))) == len(devices)
    for dev in told:
        now = second.device(dev.id)
        assert now is not None
        assert device_marks.identities(second)[dev.id] == known[dev.id]


def test_rejoin_finds_a_device_that_moved() -> None:
    known = device_marks.identities(named(look(gpu('/a', '1', 'Slot 1'))))
    later = again(named(look(
        gpu('/x', '2', 'Slot 1'), gpu('/y', '1', 'Slot 2'))), known)
    assert [(d.id, d.location) for d in later.devices] == [
        ('gpu-2', 'Slot 1'), ('gpu-1', 'Slot 2')]


def test_a_replaced_device_is_another_one() -> None:
    known = {'gpu-1': ('gpu', '1', 'Slot 1')}
    later = again(named(look(gpu('/x', '2', 'Slot 1'))),
                        known)
    assert ids(later) == ['gpu-2']


def test_one_of_two_with_a_shared_serial_vanishes() -> None:
    first = named(look(gpu('/0', 'S', 'GPU_0'),
                                 gpu('/1', 'S', 'GPU_1')))
    known = device_marks.identities(first, ['gpu-S@GPU_1'])
    alone = again(named(look(gpu('/0', 'S', 'GPU_0'))),
                        known)
    assert ids(alone) == ['gpu-S']
    other = again(named(look(gpu('/1', 'S', 'GPU_1'))),
                        known)
    assert ids(other) == ['gpu-S@GPU_1']


def test_serial_that_is_no_longer_reported() -> None:
    known = {'gpu-1': ('gpu', '1', 'GPU_0')}
    later = again(look(gpu('gpu@GPU_0', None, 'GPU_0')), known)
    assert ids(later) == ['gpu-1']


def test_rejoin_never_goes_by_uri_alone() -> None:
    known = {'gpu@Processors/GPU0': ('gpu', None, None)}
    later = again(look(gpu('gpu-9', '9', uri='/Processors/GPU0')),
                        known)
    assert ids(later) == ['gpu-9']


def test_rejoined_ids_do_not_collide() -> None:
    known = {'gpu-1': ('gpu', 'A', None)}
    later = again(look(gpu('gpu-1', '1', 'GPU_1'), gpu('x', 'A')),
                        known)
    assert len(set(ids(later))) == 2
    assert later.devices[1].id == 'gpu-1'


def test_rejoin_renames_parents_and_targets() -> None:
    known = {'baseboard-old': ('baseboard', 'B', None)}
    later = again(look(
        Device('baseboard-B', 'baseboard', serial='B'),
        gpu('gpu-1', '1', parent='baseboard-B'),
        busy=(Busy('task', 't', targets=(('baseboard-B', 'bmc'),)),)),
        known)
    assert later.devices[1].parent == 'baseboard-old'
    assert later.busy[0].targets == (('baseboard-old', 'bmc'),)


def test_identities_of_some() -> None:
    inventory = look(gpu('a', ' 1 ', ' x '), gpu('b', '000'))
    assert device_marks.identities(inventory) == {
        'a': ('gpu', '1', 'x'), 'b': ('gpu', None, None)}
    assert device_marks.identities(inventory, ['b', 'gone']) == {
        'b': ('gpu', None, None)}


@pytest.mark.parametrize(('other', 'same'), [
    ({}, True), ({'serial': None}, True), ({'location': None}, True),
    ({'serial': '2'}, False), ({'location': 'slot-2'}, False),
    ({'serial': None, 'location': 'slot-2'}, False)])
def test_mark_distinguishes_devices(
        other: dict[str, Any], same: bool) -> None:
    """A board's serial number is shared: then the place decides."""
    one = Device('a', 'gpu', serial='1', location='slot-1')
    marks = (device_marks.mark(one),
             device_marks.mark(dataclasses.replace(one, **other)))
    assert device_marks.same_mark(*marks) is same
    assert device_marks.same_mark(*reversed(marks)) is same


def _by_comparing_all(there: list[Device], known: Known) -> dict[str, str]:
    """Which device is which known one, by the rules as they read."""
    def at(dev: Device, place: str | None) -> bool:
        return place is not None and place in (
            dev.location, f'@{dev.address}' if dev.address else None)

    def same(rule: int, dev: Device, old: str) -> bool:
        kind, serial, place = known[old]
        same_serial = serial is not None and dev.serial == serial
        return dev.kind == kind and (
            same_serial and at(dev, place),
            same_serial and (place is None or old == f'{kind}-{serial}'),
            at(dev, place) and (same_serial or None in (dev.serial, serial)),
        )[rule]

    names: dict[str, str] = {}
    for rule in range(3):
        for old in known:
            if old in names.values():
                continue
            found = [d for d in there if d.id not in names
                     and same(rule, d, old)]
            if len(found) == 1:
                names[found[0].id] = old
    return names


_SERIAL = st.sampled_from([None, 'A', 'B', 'C'])
_PLACE = st.sampled_from([None, 'Slot 1', 'Slot 2', '@0:1'])
_KIND = st.sampled_from(['gpu', 'nic'])


@given(st.lists(st.tuples(_KIND, _SERIAL, _PLACE,
                          st.sampled_from([None, '0:1', '0:2'])),
                max_size=6),
       st.dictionaries(
           st.sampled_from(['gpu-A', 'gpu-B', 'nic-A', 'one', 'two']),
           st.tuples(_KIND, _SERIAL, _PLACE), max_size=5))
def test_known_devices_are_those_that_a_comparison_of_all_finds(
        found: list[tuple[str, str | None, str | None, str | None]],
        known: dict[str, tuple[str, str | None, str | None]]) -> None:
    there = [Device(id=f'new-{n}', kind=kind, serial=serial, location=place,
                    address=address)
             for n, (kind, serial, place, address) in enumerate(found)]
    expected = _by_comparing_all(there, known)
    seen = again(look(*there), known)
    assert {d.id: s.id for d, s in zip(there, seen.devices, strict=True)
            if s.id in known} == expected


def _calls(work: Any) -> int:
    """How many functions some work calls."""
    counted = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal counted
        counted += event in ('call', 'c_call')

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize('lacks', [(), ('serial',), ('location',),
                                   ('location', 'address')])
@pytest.mark.parametrize('transports', [1, 2])
def test_the_work_grows_with_the_number_of_devices(
        lacks: tuple[str, ...], transports: int) -> None:
    def work(number: int) -> int:
        devices = [Device(
            id=f'/{n}', kind='gpu', uri=f'/{n}',
            serial=None if 'serial' in lacks else f'S{n}',
            location=None if 'location' in lacks else f'Slot {n}',
            address=None if 'address' in lacks else f'0000:{n:04x}:00.0')
            for n in range(number)]
        known = device_marks.identities(named(look(*devices)))
        sources = [Source(look(*devices))] * transports
        return _calls(lambda: identity.identify(sources, known))

    small, middle, large = (work(n) for n in (50, 100, 200))
    assert middle < 2.2 * small
    assert large < 2.2 * middle
