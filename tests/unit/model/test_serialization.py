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

"""The document inventory/3: everything that is known survives it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Link
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.device import strongest
from ironic_accel.model.device import Warned
from ironic_accel.model import serialization

_TEXT = st.none() | st.text(max_size=6)
_ACTIVATION = st.none() | st.sampled_from(Activation)
_VALUE = (st.text(max_size=4) | st.integers(0, 9)
          | st.lists(st.sampled_from(['ib', 'eth']), min_size=1,
                     max_size=2).map(tuple))
_COMPONENT = st.builds(
    Component, name=st.sampled_from(['gpu', 'inforom']), id=st.text(),
    running=_TEXT, pending=_TEXT, shows_pending=st.booleans(),
    updateable=st.none() | st.booleans(), activation=_ACTIVATION, uri=_TEXT,
    lowest=_TEXT, max_image_bytes=st.none() | st.integers(0))
_MODE = st.builds(
    Mode, name=st.sampled_from(['ecc', 'mig', 'services']),
    current=st.none() | _VALUE, pending=st.none() | _VALUE,
    allowed=st.none() | st.lists(_VALUE, max_size=2).map(tuple),
    activation=_ACTIVATION, persistent=st.none() | st.booleans(), uri=_TEXT,
    unordered=st.booleans())
_DEVICE = st.builds(
    Device, id=st.text(), kind=st.sampled_from(['gpu', 'nic']),
    vendor=_TEXT, serial=_TEXT, parent=_TEXT,
    fit=st.builds(Fit, psid=_TEXT, board=_TEXT),
    pci=st.none() | st.builds(PciIds, vendor_id=_TEXT, device_id=_TEXT),
    link=st.none() | st.builds(Link, width=st.none() | st.integers(),
                               speed=_TEXT),
    numa_node=st.none() | st.integers(), macs=st.lists(
        st.text(max_size=4), max_size=2).map(tuple),
    components=st.lists(_COMPONENT, max_size=2).map(tuple),
    modes=st.lists(_MODE, max_size=3,
                   unique_by=lambda m: m.name).map(tuple))
_INVENTORY = st.builds(
    Inventory, system=st.text(), host=st.sampled_from(['on', 'off']),
    complete=st.booleans(), boot=_TEXT, requests=st.integers(0),
    busy=st.lists(st.builds(
        Busy, kind=st.just('task'), ref=st.text(), percent=st.none()
        | st.integers(0, 100), targets=st.lists(
            st.tuples(st.text(), st.text()), max_size=2).map(tuple),
        image=_TEXT), max_size=2).map(tuple),
    seen_via=st.lists(st.text(), max_size=2).map(tuple),
    warnings=st.lists(st.builds(Warned, st.text(), st.text()),
                      max_size=2).map(tuple),
    devices=st.lists(_DEVICE, max_size=2).map(tuple))


@given(_INVENTORY)
def test_an_inventory_survives_json(inventory: Inventory) -> None:
    data = json.loads(json.dumps(serialization.inventory_to_dict(inventory)))
    assert serialization.inventory_from_dict(data) == inventory


def test_the_shape_that_programs_read() -> None:
    data = serialization.inventory_to_dict(Inventory(
        'Node0', 'on', True, devices=(Device(
            'gpu-1', 'gpu', modes=(Mode('ecc', 'enabled'),),
            components=(Component('gpu', 'FW_GPU_0', '1'),)),)))
    assert set(data) == {
        'schema', 'system', 'host', 'settled', 'complete', 'unread', 'boot',
        'busy', 'seen_via', 'requests', 'warnings', 'devices'}
    assert data['settled'] is True
    assert set(data['complete']) == set(KINDS)
    assert data['schema'] == 'inventory/3'
    (dev,) = data['devices']
    assert set(dev) == {
        'id', 'kind', 'vendor', 'model', 'product', 'serial', 'part_number',
        'parent', 'fit', 'pci', 'address', 'numa_node', 'link', 'macs',
        'location', 'uri', 'health', 'state', 'unread', 'absent',
        'components', 'modes'}
    assert set(dev['components'][0]) == {
        'name', 'id', 'running', 'pending', 'shows_pending', 'updateable',
        'activation', 'uri', 'status'}
    assert set(dev['modes']['ecc']) == {
        'current', 'pending', 'allowed', 'activation', 'persistent',
        'status'}


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema: 'inventory/4', expected"):
        serialization.inventory_from_dict({'schema': 'inventory/4'})


def test_activations_are_ordered_by_strength() -> None:
    ranks = [e.rank for e in Activation]
    assert ranks == sorted(ranks)
    assert [e for e in Activation if e.is_host_reset] == [
        Activation.WARM_REBOOT, Activation.POWER_CYCLE, Activation.AUX_CYCLE]
    assert Activation.WARM_REBOOT.stronger() is Activation.POWER_CYCLE
    assert Activation.AUX_CYCLE.stronger() is None
    assert strongest([]) is Activation.NONE
    assert strongest([Activation.NONE, Activation.AUX_CYCLE,
                      Activation.DEVICE_RESET]) is Activation.AUX_CYCLE


def test_look_ups() -> None:
    dev = Device('a', 'gpu', pci=PciIds('10de', '2330'),
                 components=(Component('gpu', 'x'),), modes=(Mode('ecc'),))
    found = Inventory('1', 'on', True, devices=(dev,))
    assert found.device('a') is dev and found.device('b') is None
    assert dev.component('gpu') and dev.component('bmc') is None
    assert dev.mode('ecc') and dev.mode('mig') is None
    assert dev.pci is not None and dev.pci.pair == '10de:2330'
    assert PciIds('10de').pair is None
