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

"""Two witnesses of one device: the worse health, doubts, what one told."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ironic_accel.model import carry_over
from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model import device_marks
from ironic_accel.model import identity
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import Source
from ironic_accel.model.profile import Firmware
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import serialization
from ironic_accel.model import traits
from ironic_accel.model import unite
from tests.unit.model.test_planner import plan
from tests.unit.model.test_planner import profile

CATALOG = catalog_mod.load()


def identified(inventory: Inventory) -> Inventory:
    (out,) = identity.identify((Source(inventory),))
    return out


def merge(*inventories: Inventory) -> Inventory:
    return unite.inventory(Source(i, stable=True) for i in inventories)


def again(inventory: Inventory, known: Known) -> Inventory:
    (out,) = identity.identify((Source(inventory, stable=True),), known)
    return out


def gpu(serial: str | None = 'S1', **more: Any) -> Device:
    """One H100."""
    return Device('x', 'gpu', product='nvidia-h100-sxm', serial=serial,
                  **more)


def outside(*devices: Device, unread: tuple[Unread, ...] = ()) -> Inventory:
    """As a BMC shows them: with URIs."""
    return identified(Inventory(
        's', 'on', True, seen_via=('redfish',), unread=unread,
        devices=tuple(dataclasses.replace(
            d, id=f'/G/{n}', uri=f'/G/{n}',
            components=tuple(dataclasses.replace(c, uri=f'/F/{c.name}')
                             for c in d.components),
            modes=tuple(dataclasses.replace(m, uri=f'/M/{m.name}')
                        for m in d.modes))
            for n, d in enumerate(devices))))


def inside(*devices: Device, unread: tuple[Unread, ...] = ()) -> Inventory:
    """As an agent sees them."""
    return identified(Inventory(
        's', 'on', True, seen_via=('agent',), unread=unread,
        devices=tuple(dataclasses.replace(d, id=f'n{n}')
                      for n, d in enumerate(devices))))


def one(look: Inventory) -> Device:
    """The only device."""
    (device,) = look.devices
    return device


@pytest.mark.parametrize(('bmc', 'tool', 'joined'), [
    ('OK', 'Critical', 'Critical'), ('Critical', 'OK', 'Critical'),
    ('Warning', 'OK', 'Warning'), ('OK', 'Warning', 'Warning'),
    ('Warning', 'Critical', 'Critical'), ('OK', 'OK', 'OK'),
    (None, 'Critical', 'Critical'), ('OK', None, 'OK'),
    ('OK', 'Odd', 'Odd'), (None, None, None)])
def test_of_two_healths_the_worse_holds(
        bmc: str | None, tool: str | None, joined: str | None) -> None:
    whole = merge(outside(gpu(health=bmc)), inside(gpu(health=tool)))
    assert one(whole).health == joined


def test_a_gpu_that_the_driver_has_lost_is_not_one_of_eight() -> None:
    seen = merge(
        outside(*(gpu(f'S{n}', health='OK') for n in range(8))),
        inside(*(gpu(f'S{n}', health='Critical' if n == 4 else 'OK')
                 for n in range(8))))
    names = {t.name for t in traits.presence(seen, CATALOG)}
    assert {'CUSTOM_ACCEL_GPU_X7', traits.DEGRADED} <= names
    assert 'CUSTOM_ACCEL_GPU_X8' not in names


@pytest.mark.parametrize(('bmc', 'tool', 'usable'), [
    ('Enabled', 'UnavailableOffline', False),
    ('Disabled', 'Enabled', False), ('Enabled', None, True),
    (None, 'Disabled', False), ('Enabled', 'StandbySpare', True)])
def test_of_two_states_the_unusable_one_holds(
        bmc: str | None, tool: str | None, usable: bool) -> None:
    whole = merge(outside(gpu(state=bmc)), inside(gpu(state=tool)))
    assert traits.healthy(one(whole)) is usable


@pytest.mark.parametrize(('bmc', 'tool', 'doubt'), [
    ('96.00.61', '96.00.61', ()), ('96.00.61', None, ()),
    (None, '96.00.61', ()),
    ('96.00.61', '96.00.74', ('redfish: 96.00.61', 'agent: 96.00.74'))])
def test_versions_that_differ_are_a_contradiction(
        bmc: str | None, tool: str | None, doubt: tuple[str, ...]) -> None:
    whole = merge(
        outside(gpu(components=(Component('gpu', 'A', bmc),))),
        inside(gpu(components=(Component('gpu', 'vbios', tool),))))
    part = one(whole).component('gpu')
    assert part is not None
    assert part.conflicts == doubt
    assert part.running == (None if doubt else '96.00.61')
    again = serialization.inventory_from_dict(
        serialization.inventory_to_dict(whole))
    assert one(again).components == one(whole).components


@pytest.mark.parametrize(('bmc', 'tool', 'unordered', 'doubt'), [
    ('enabled', 'enabled', False, ()),
    ('enabled', 'disabled', False, ('redfish: enabled', 'agent: disabled')),
    (('a', 'b'), ('b', 'a'), True, ()),
    (('a', 'b'), ('b', 'a'), False, ('redfish: a+b', 'agent: b+a')),
    (4, None, False, ())])
def test_modes_that_differ_are_a_contradiction(
        bmc: Any, tool: Any, unordered: bool, doubt: tuple[str, ...]
        ) -> None:
    whole = merge(
        outside(gpu(modes=(Mode('ecc', bmc, unordered=unordered),))),
        inside(gpu(modes=(Mode('ecc', tool, unordered=unordered),))))
    mode = one(whole).mode('ecc')
    assert mode is not None
    assert (mode.conflicts, mode.current) == (doubt, None if doubt else bmc)


def test_third_transport_does_not_resolve_a_contradiction() -> None:
    two = merge(outside(gpu(modes=(Mode('ecc', 'enabled'),))),
                inside(gpu(modes=(Mode('ecc', 'disabled'),))))
    third = dataclasses.replace(
        inside(gpu(modes=(Mode('ecc', 'enabled'),))), seen_via=('local',))
    mode = one(merge(two, third)).mode('ecc')
    assert mode is not None
    assert mode.conflicts == ('redfish: enabled', 'agent: disabled',
                          'local: enabled')


def test_what_was_stored_earlier_is_no_witness_against_what_is_seen() -> None:
    before = inside(gpu(components=(Component('gpu', 'v', '1'),)))
    now = outside(gpu(components=(Component('gpu', 'A', '2'),)))
    part = one(carry_over.carried(now, before, True)).component('gpu')
    assert part is not None
    assert (part.running, part.conflicts) == ('2', ())


@pytest.mark.parametrize(('now', 'joined'), [
    ('OK', 'Critical'), ('Critical', 'Critical'), (None, 'Critical')])
def test_inventory_by_the_bmc_keeps_the_health_that_the_driver_reported(
        now: str | None, joined: str) -> None:
    """Which way said it is kept; only that way takes it back."""
    whole = merge(outside(gpu(health='OK')),
                         inside(gpu(health='Critical')))
    assert one(whole).told == ('redfish: OK', 'agent: Critical')
    stored = serialization.inventory_from_dict(
        serialization.inventory_to_dict(whole))
    after = carry_over.carried(outside(gpu(health=now)), stored, True)
    assert one(after).health == joined
    healed = carry_over.carried(inside(gpu(health='OK')), stored, True)
    assert one(healed).health == 'OK'
    fresh = carry_over.carried(outside(gpu(health='OK')), stored, False)
    assert one(fresh).health == 'OK'


@pytest.mark.parametrize(('unread', 'told', 'left'), [
    ('health', {'health': 'OK'}, ()), ('health', {}, ('health',)),
    ('state', {'state': 'Enabled'}, ()),
    ('identity', {}, ()),
    ('firmware:gpu', {'components': (Component('gpu', 'v', '1'),)}, ()),
    ('firmware:gpu', {}, ('firmware:gpu',)),
    ('mode:ecc', {'modes': (Mode('ecc', 'enabled'),)}, ()),
    ('mode:ecc', {'modes': (Mode('ecc'),)}, ('mode:ecc',)),
    ('presence', {'health': 'OK'}, ('firmware:*', 'mode:*')),
    ('firmware', {}, ('firmware:*',)),
    ('health', {'health': 'OK', 'unread': ('health',)}, ('health',))])
def test_value_unread_by_one_transport_is_taken_from_the_other(
        unread: str, told: dict[str, Any], left: tuple[str, ...]) -> None:
    spoilt = outside(gpu(unread=(unread,)), unread=(Unread(
        '/G/0', 'HTTP 500', '/G/0', kinds=('gpu',), facts=(unread,)),))
    for whole in (merge(spoilt, inside(gpu(**told))),
                  merge(inside(gpu(**told)), spoilt)):
        assert one(whole).unread == left
        (note,) = whole.unread
        assert note.about == one(whole).id
        assert note.kinds == ()


def test_firmware_that_the_other_transport_reports_is_proved_the_rest_is_not(
        ) -> None:
    spoilt = outside(gpu(unread=('presence',)))
    seen = merge(spoilt, inside(gpu(
        health='OK', components=(Component('gpu', 'v', '96.00'),))))
    assert plan(seen, profile({'gpu': Firmware('96.00')})).converged
    made = plan(seen, profile({'erot': Firmware('1')}))
    assert made.untold


@pytest.mark.parametrize(('mine', 'other', 'stands'), [
    (Standing.UNREAD, Standing.NOT_REPORTED, Standing.UNREAD),
    (Standing.NOT_REPORTED, Standing.ABSENT, Standing.ABSENT),
    (Standing.ABSENT, Standing.UNREAD, Standing.UNREAD),
    (Standing.NOT_REPORTED, Standing.NOT_REPORTED, Standing.NOT_REPORTED)])
def test_reason_why_no_source_has_a_value(mine: Standing, other: Standing,
                                   stands: Standing) -> None:
    whole = merge(
        outside(gpu(modes=(Mode('mig', standing=mine),))),
        inside(gpu(modes=(Mode('mig', standing=other),))))
    mode = one(whole).mode('mig')
    assert mode is not None and mode.standing is stands


@pytest.mark.parametrize('location', [None, 'Slot 3'])
def test_a_device_that_loses_its_serial_keeps_its_name(
        location: str | None) -> None:
    """infoROM trouble: the same card at the same address is the same."""
    first = inside(gpu(address='0000:48:00.0', location=location))
    now = inside(gpu(None, address='0000:48:00.0', location=location))
    later = again(now, device_marks.identities(first))
    assert [d.id for d in later.devices] == ['gpu-S1']
    other = inside(gpu('S2', address='0000:48:00.0', location=location))
    assert [d.id for d in again(
        other, device_marks.identities(first)).devices] == ['gpu-S2']
    bmc = outside(gpu(address='0000:48:00.0', location=location))
    assert len(merge(bmc, now).devices) == 1
