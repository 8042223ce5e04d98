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

"""Reduced trees of real systems, and their correct inventories.

``check`` of a row is applied to each of its devices: kind, product, serial
number, location, PCI ids, versions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.reading_status import Standing
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup

pytestmark = pytest.mark.parametrize('expand', [True, False],
                                     ids=['expand', 'plain'])


@pytest.fixture
def seen(rig: Start, cases: Path, expand: bool) -> Any:
    """``seen('cray-ex425', 'Node0')``: the inventory of that tree."""
    def at(name: str, system: str | None = None) -> Inventory:
        return rig(cases / 'redfish' / f'{name}.tar.gz', system,
                   expand=expand).backend.observe()
    return at


def of(inventory: Inventory, kind: str) -> list[Device]:
    return [d for d in inventory.devices if d.kind == kind]


def runs(device: Device, name: str) -> str | None:
    return lookup.part(device, name).running


def test_an_ilo_lists_cards_only_in_its_own_collection(
        seen: Any) -> None:
    inventory = seen('hpe-ilo5-a40')
    assert inventory.complete
    assert inventory.complete_of('gpu')
    assert sorted((d.product, d.location, d.address, runs(d, 'gpu'),
                   d.pci.pair if d.pci else None)
                  for d in of(inventory, 'gpu')) == [
        ('nvidia-a40', 'PCI-E Slot 1', '0000:07:00.0', '94.02.4B.00.01',
         '10de:2235'),
        ('nvidia-a40', 'PCI-E Slot 5', '0000:48:00.0', '94.02.5C.00.03',
         '10de:2235')]
    nic, = of(inventory, 'nic')
    assert (nic.location, runs(nic, 'nic'), nic.health) == (
        'PCI-E Slot 18', '1.5.23', None)
    # The entries are those of the BMC, so that they can be updated.
    assert {c.uri for d in inventory.devices for c in d.components} == {
        f'/redfish/v1/UpdateService/FirmwareInventory/{n}'
        for n in (11, 15, 18)}
    assert len(inventory.devices) == 3


def test_an_hgx_board_without_a_system_of_its_own(
        seen: Any) -> None:
    inventory = seen('supermicro-hgx-h100')
    gpus = of(inventory, 'gpu')
    assert [(d.product, d.vendor, d.pci, runs(d, 'gpu')) for d in gpus] == [
        ('nvidia-h100-sxm', 'nvidia', None, '96.00.61.00.01')] * 2
    assert [sorted(c.id for c in d.components) for d in gpus] == [
        [f'HGX_FW_ERoT_GPU_SXM_{i}', f'HGX_FW_GPU_SXM_{i}',
         f'HGX_InfoROM_GPU_SXM_{i}'] for i in (1, 2)]
    board, = of(inventory, 'baseboard')
    assert runs(board, 'fpga') == '2.11'


@pytest.mark.parametrize('node', ['Node0', 'Node1'])
def test_blades_with_another_spelling_of_the_model(
        seen: Any, node: str) -> None:
    device, = seen('cray-ex425', node).devices
    assert (device.kind, runs(device, 'nic')) == ('nic', '1.5.27')
    assert device.components[0].id == f'{node}.HPCNet0'


def test_an_absent_entry_has_no_running_version(seen: Any) -> None:
    inventory = seen('gb200-absent-firmware', 'System_0')
    parts = [lookup.part(d, 'gpu') for d in of(inventory, 'gpu')]
    assert [(p.running, p.standing) for p in parts] == [
        (None, Standing.ABSENT)] * 2
    assert runs(of(inventory, 'gpu')[0], 'inforom') == 'G548.0201.00.03'
    # The health of the entry is not that of the device.
    assert {d.health for d in of(inventory, 'gpu')} == {'OK'}


def test_health_from_the_pcie_device_only(seen: Any) -> None:
    inventory = seen('health-in-pciedevice')
    assert {(d.serial, d.health, d.location, d.product)
            for d in inventory.devices} == {
        ('1300000000001', 'Critical', 'PCIe 1', 'nvidia-l40'),
        ('1300000000002', 'OK', 'PCIe 2', 'nvidia-l40')}


def test_states_in_which_a_gpu_does_not_work(seen: Any) -> None:
    assert sorted((d.serial or '', d.state)
                  for d in seen('state-offline').devices) == [
        ('1300000000001', 'UnavailableOffline'),
        ('1300000000002', 'Disabled'), ('1300000000003', 'Enabled')]


def test_pci_ids_in_decimal(seen: Any) -> None:
    inventory = seen('hpe-decimal-ids')
    assert {(d.kind, d.pci.pair if d.pci else None, d.product)
            for d in inventory.devices} == {
        ('nic', '15b3:101b', 'nvidia-connectx-6'),
        ('dpu', '15b3:a2d6', 'nvidia-bluefield-2')}
    assert {d.pci.subsystem_id for d in inventory.devices if d.pci} == {
        '0069', '0128'}


def test_a_card_without_a_maker(seen: Any) -> None:
    card, = seen('pciedevice-without-manufacturer').devices
    assert (card.kind, card.product, card.components) == (
        'gpu', 'nvidia-t4', ())
