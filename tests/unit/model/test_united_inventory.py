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

"""What several transports show of a node, as one inventory."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ironic_accel.model import device_marks
from ironic_accel.model import identity
from ironic_accel.model import unite
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Link
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.device import Warned
from ironic_accel.model.identity import Source

def identified(inventory: Inventory) -> Inventory:
    (out,) = identity.identify((Source(inventory),))
    return out


def merge(*inventories: Inventory) -> Inventory:
    return unite.inventory(Source(i, stable=True) for i in inventories)


def look(*devices: Device, **more: Any) -> Inventory:
    return identified(Inventory(
        **{'system': '1', 'host': 'on', 'complete': True,
           'devices': devices, **more}))


def test_value_missing_in_one_source_is_taken_from_the_other() -> None:
    ours = look(Device(
        '/r', 'gpu', serial='1', vendor='nvidia', model='NVIDIA H100 PCIe',
        location='Slot 2', uri='/r', health='OK', link=Link(16),
        pci=PciIds('10de', '2331'),
        components=(Component('gpu', 'FW_GPU', '96.00', uri='/fw'),),
        modes=(Mode('ecc', 'enabled', activation=Activation.WARM_REBOOT),)))
    theirs = look(
        Device(
            'x',
            'gpu',
            serial='1',
            vendor='other',
            address='0000:17:00.0',
            numa_node=1,
            link=Link(8, '32.0'),
            fit=Fit(board='B'),
            pci=PciIds('10de', '2331', '10de', '1626'),
            components=(
                Component(
                    'gpu',
                    'vbios',
                    '96.00',
                    '97.00',
                    shows_pending=True,
                    activation=Activation.AUX_CYCLE,
                ),
                Component('inforom', 'inforom', 'G1'),
            ),
            modes=(
                Mode('mig', 'disabled'),
                Mode('ecc', 'enabled', 'disabled', persistent=True),
            ),
        )
    )
    both = merge(ours, theirs)
    (dev,) = both.devices
    assert (dev.id, dev.vendor, dev.address) == (
        'gpu-1', 'nvidia', '0000:17:00.0')
    assert dev.link == Link(16, '32.0') and dev.numa_node == 1
    assert dev.pci == PciIds('10de', '2331', '10de', '1626')
    assert dev.fit.board == 'B'
    part = dev.component('gpu')
    assert part == Component(
        'gpu', 'FW_GPU', '96.00', '97.00', True, None, Activation.AUX_CYCLE,
        '/fw')
    assert [c.name for c in dev.components] == ['gpu', 'inforom']
    assert dev.mode('ecc') == Mode(
        'ecc', 'enabled', 'disabled', activation=Activation.WARM_REBOOT,
        persistent=True)
    assert dev.mode('mig') == Mode('mig', 'disabled')


def test_the_inventory_around() -> None:
    ours = look(Device('/g', 'gpu', serial='1'), host='unknown',
                seen_via=('redfish',), requests=7,
                busy=(Busy('task', 't1', targets=(('/g', 'gpu'),)),),
                warnings=(Warned('/x', 'bad'),))
    theirs = look(Device('0', 'gpu', serial='1'), complete=False, boot='b1',
                  seen_via=('agent', 'redfish'), requests=1,
                  busy=(Busy('flash', 'p1', targets=(('0', 'gpu'),)),))
    both = merge(ours, theirs)
    assert (both.host, both.boot, both.complete) == ('on', 'b1', False)
    assert both.seen_via == ('redfish', 'agent') and both.requests == 8
    assert [b.ref for b in both.busy] == ['t1', 'p1']
    assert {b.targets for b in both.busy} == {(('gpu-1', 'gpu'),)}
    assert both.warnings == (Warned('/x', 'bad'),)
    assert merge(look(boot='b0'), theirs).boot == 'b0'


def test_two_gpus_with_one_board_serial_stay_two() -> None:
    ours = look(
        Device('/0', 'gpu', serial='S', location='GPU_0'),
        Device('/1', 'gpu', serial='S', location='GPU_1'))
    theirs = look(Device('0', 'gpu', serial='S', address='0000:17:00.0'),
                  Device('1', 'gpu', serial='S', address='0000:18:00.0'))
    both = merge(ours, theirs)
    assert [d.address for d in both.devices] == [None, None]
    assert len({d.id for d in both.devices}) == 2
    assert len(both.warnings) == 2 and both.uncounted == ()


def test_two_gpus_with_one_board_serial_join_by_address() -> None:
    ours = look(
        Device('/0', 'gpu', serial='S', location='GPU_0',
               address='0000:17:00.0'),
        Device('/1', 'gpu', serial='S', location='GPU_1',
               address='0000:18:00.0'))
    theirs = look(
        Device('1', 'gpu', serial='S', address='0000:18:00.0', numa_node=1),
        Device('0', 'gpu', serial='S', address='0000:17:00.0', numa_node=0))
    both = merge(ours, theirs)
    assert [(d.location, d.numa_node) for d in both.devices] == [
        ('GPU_0', 0), ('GPU_1', 1)]


def test_one_of_two_devices_by_one_transport_is_not_guessed() -> None:
    ours = look(Device('/0', 'gpu', serial='S', location='GPU_0'),
                Device('/1', 'gpu', serial='S', location='GPU_1'))
    theirs = look(Device('1', 'gpu', serial='S', address='0000:18:00.0'))
    both = merge(ours, theirs)
    assert [d.address for d in both.devices] == [None, None]
    assert both.uncounted == ('gpu',)


def test_location_joins_unless_the_serials_differ() -> None:
    ours = look(Device('/0', 'nic', location='Slot 1', serial='1'))
    same = look(Device('a', 'dpu', location='Slot 1', numa_node=1))
    other = look(Device('a', 'nic', location='Slot 1', serial='2'))
    assert [d.numa_node for d in merge(ours, same).devices] == [1]
    assert len(merge(ours, other).devices) == 2


def test_pci_ids_that_differ_keep_devices_apart() -> None:
    ours = look(Device('/0', 'gpu', serial='S', pci=PciIds('10de', '2330')))
    theirs = look(Device('a', 'gpu', serial='S',
                         pci=PciIds('10de', '2331')))
    assert len(merge(ours, theirs).devices) == 2


def test_parents_by_the_other_transport_are_renamed() -> None:
    ours = look(Device('/b', 'baseboard', serial='B'))
    theirs = look(Device('b', 'baseboard', serial='B', location='x'),
                  Device('b2', 'baseboard', serial='B', location='y'),
                  Device('g', 'gpu', serial='1', parent='b'))
    both = merge(ours, theirs)
    parent = next(d.parent for d in both.devices if d.kind == 'gpu')
    assert parent in {d.id for d in both.devices}


_DEVICE = st.builds(
    Device, id=st.integers().map(str),
    kind=st.sampled_from(['gpu', 'nic', 'dpu']),
    serial=st.sampled_from([None, '1', '2', '000']),
    location=st.sampled_from([None, 'A', 'B']),
    address=st.sampled_from([None, '0000:17:00.0', '0000:18:00.0']))
_LOOK = st.lists(_DEVICE, max_size=5, unique_by=lambda d: d.id)


@given(_LOOK, _LOOK)
def test_no_device_is_lost_or_made_up(a: list[Device],
                                      b: list[Device]) -> None:
    both = merge(look(*a), look(*b))
    count = len(both.devices)
    assert max(len(a), len(b)) <= count + len(both.warnings)
    assert len(a) <= count <= len(a) + len(b)
    assert len({d.id for d in both.devices}) == count
    assert [d.id for d in both.devices[:len(a)]] == [
        d.id for d in look(*a).devices]
    serials = {device_marks.clean_serial(d.serial) for d in (*a, *b)}
    left_out = {w.uri for w in both.warnings}
    lost = serials - {device_marks.clean_serial(d.serial)
                      for d in both.devices} - {None}
    assert lost <= {device_marks.clean_serial(d.serial)
                    for d in look(*b).devices if d.id in left_out}


@given(_LOOK)
def test_uniting_an_inventory_with_itself_changes_no_device_with_a_serial(
        a: list[Device]) -> None:
    first = look(*a)
    both = merge(first, first)
    known = device_marks.identities(first)
    alone = [d for d in first.devices if device_marks.clean_serial(d.serial)
             and sum(v[:2] == known[d.id][:2] for v in known.values()) == 1
             and d.kind == 'gpu']
    for dev in alone:
        assert [d for d in both.devices if d.kind == 'gpu' and d.serial
                == dev.serial] == [dev]
