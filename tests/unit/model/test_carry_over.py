# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What one way alone can see is kept while another one looks."""

from __future__ import annotations

import dataclasses
from typing import Any

from ironic_accel.model import carry_over
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model import identity
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Transport
from ironic_accel.model import unite

IDS = PciIds('10de', '2330')

def identified(inventory: Inventory) -> Inventory:
    (out,) = identity.identify((Source(inventory),))
    return out


def merge(*inventories: Inventory) -> Inventory:
    return unite.inventory(Source(i, stable=True) for i in inventories)


def look(via: str, *devices: Device, **more: Any) -> Inventory:
    return identified(Inventory(
        system='1', host='on', complete=True, seen_via=tuple(via.split()),
        devices=devices, **more))


def outside(serial: str | None, **more: Any) -> Device:
    """A GPU as a BMC sees it."""
    kind = more.pop('kind', 'gpu')
    return Device('x', kind, serial=serial, uri='/r', health='OK', **{
        'components': (Component('gpu', 'FW', '1.0', uri='/fw'),),
        'modes': (Mode('ecc', 'enabled', uri='/r'),), **more})


def inside(serial: str | None, address: str, kind: str = 'gpu',
           **more: Any) -> Device:
    """A device as the agent sees it."""
    return Device('y', kind, serial=serial, address=address, pci=IDS,
                  health='OK', components=(Component('gpu', 'vbios', '1.0'),),
                  modes=(Mode('mig', 'disabled'),), **more)


NIC = inside(None, '0000:01:00.0', 'nic')


def test_inventory_by_the_bmc_keeps_what_only_the_agent_reads() -> None:
    stored = look('agent redfish', outside(
        '1', address='0000:17:00.0', pci=IDS,
        components=(Component('gpu', 'FW', '0.9', uri='/fw'),
                    Component('inforom', 'inforom', 'G1')),
        modes=(Mode('ecc', 'disabled', uri='/r'),
               Mode('mig', 'enabled'))), NIC)
    whole = carry_over.carried(look('redfish', outside('1')), stored, True)
    gpu, nic = whole.devices
    assert (gpu.address, gpu.pci) == ('0000:17:00.0', IDS)
    assert [(c.name, c.running) for c in gpu.components] == [
        ('gpu', '1.0'), ('inforom', 'G1')]
    assert {m.name: m.current for m in gpu.modes} == {
        'ecc': 'enabled', 'mig': 'enabled'}
    assert (nic.kind, nic.modes) == ('nic', NIC.modes)
    assert whole.seen_via == ('redfish', 'agent')


def test_without_its_state_a_device_is_only_there() -> None:
    stored = look('agent redfish', outside(
        '1', modes=(Mode('mig', 'enabled'),)), NIC)
    whole = carry_over.carried(look('redfish', outside('1')), stored, False)
    gpu, nic = whole.devices
    assert [m.name for m in gpu.modes] == ['ecc']
    assert (nic.health, nic.components, nic.modes) == (None, (), ())


def test_what_the_bmc_does_not_show_any_more_is_gone() -> None:
    stored = look('redfish', outside('1', address='0000:17:00.0'),
                  outside('2'))
    whole = carry_over.carried(look('redfish', outside('1')), stored, True)
    assert [d.serial for d in whole.devices] == ['1']
    assert whole.warnings == ()


def test_inventory_by_the_agent_keeps_what_only_the_bmc_reads() -> None:
    board = Device('b', 'baseboard', serial='B', uri='/b')
    stored = look('redfish agent', outside('1'), board, NIC)
    seen = look('agent', inside('1', '0000:17:00.0'))
    whole = carry_over.carried(seen, stored, True)
    assert [d.kind for d in whole.devices] == ['gpu', 'baseboard']
    gpu = whole.devices[0]
    assert {m.name for m in gpu.modes} == {'mig', 'ecc'}
    assert gpu.uri == '/r'


def test_a_device_is_not_counted_twice() -> None:
    stored = look('agent', inside(None, '0000:17:00.0'),
                  inside(None, '0000:18:00.0'))
    seen = look('redfish', outside('1'), outside('2'))
    whole = carry_over.carried(seen, stored, True)
    assert [d.serial for d in whole.devices] == ['1', '2']
    assert [w.message for w in whole.warnings] == [
        'ignored: it cannot be distinguished from another of its kind'] * 2


def test_a_device_that_is_another_one_for_certain_counts() -> None:
    stored = look('agent', inside('3', '0000:19:00.0'))
    whole = carry_over.carried(look('redfish', outside('1')), stored, True)
    assert [d.serial for d in whole.devices] == ['1', '3']
    elsewhere = carry_over.carried(
        look('redfish', outside(None, address='0000:17:00.0')),
        look('agent', inside(None, '0000:19:00.0')), True)
    assert len(elsewhere.devices) == 2


def test_two_of_one_product_that_are_alone_are_one() -> None:
    seen = look('redfish', outside('1', pci=IDS))
    both = merge(seen, look('agent', inside(None, '0000:17:00.0')))
    (gpu,) = both.devices
    assert (gpu.serial, gpu.address) == ('1', '0000:17:00.0')
    assert {m.name for m in gpu.modes} == {'ecc', 'mig'}
    assert (both.warnings, both.uncounted) == ((), ())


def test_two_devices_without_a_common_value_are_not_united() -> None:
    both = merge(look('redfish', outside('1')),
                        look('agent', inside(None, '0000:17:00.0')))
    (gpu,) = both.devices
    assert gpu.address is None
    assert len(both.warnings) == 1
    assert both.uncounted == ()


def test_numbers_that_differ_are_no_number() -> None:
    one = look('redfish', outside('1', pci=IDS))
    two = look('agent', inside(None, '0000:17:00.0'),
               inside(None, '0000:18:00.0'))
    both = merge(one, two)
    assert [d.serial for d in both.devices] == ['1']
    assert both.uncounted == ('gpu',)
    # What one way alone sees later makes it no clearer; all of it does.
    later = carry_over.carried(one, both, True)
    assert later.uncounted == ('gpu',)
    assert merge(one, look(
        'agent', inside('1', '0000:17:00.0'))).uncounted == ()


def test_products_and_makers_tell_cards_apart() -> None:
    seen = look('redfish', outside(None, kind='nic', vendor='Broadcom'))
    cards = look('agent', dataclasses.replace(NIC, vendor='nvidia'))
    both = merge(seen, cards)
    assert [d.vendor for d in both.devices] == ['Broadcom', 'nvidia']
    assert both.uncounted == ()
    other = look('redfish', outside(None, product='nvidia-h100-sxm'))
    gpus = look('agent', inside(None, '0000:17:00.0',
                                product='nvidia-a100-pcie'))
    assert len(merge(other, gpus).devices) == 2


def test_boards_of_two_bmcs_are_two() -> None:
    board = Device('b', 'baseboard', uri='/b')
    assert len(merge(look('redfish', board),
                            look('redfish', board)).devices) == 2


def test_inventory_by_both_transports_has_all() -> None:
    seen = look('redfish agent', outside('1'))
    assert carry_over.carried(seen, look('agent', NIC), True) is seen


def test_stored_inventory_of_the_same_transport_keeps_nothing() -> None:
    seen = look('redfish', outside('1'))
    assert carry_over.carried(seen, look('redfish', NIC), True) is seen
    inner = look('agent', NIC)
    assert (
        carry_over.carried(inner, look('agent', outside('1')), True) is inner)


def test_ways_that_were_not_open_stay() -> None:
    seen = look('redfish', outside('1'))
    gpu = seen.devices[0].id
    now = Transport('redfish', sets=frozenset({(gpu, 'ecc')}))
    stored = (
        Transport('redfish'),
        Transport(
            'agent',
            {
                (gpu, 'gpu'): UpdateTarget('a'),
                ('gone', 'gpu'): UpdateTarget('a'),
            },
            frozenset({(gpu, 'mig'), ('gone', 'mig')}),
        ),
    )
    assert carry_over.transports((now,), stored, seen) == (now, Transport(
        'agent', {(gpu, 'gpu'): UpdateTarget('a')}, frozenset({(gpu, 'mig')})))
