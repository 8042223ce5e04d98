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


"""What sysfs and VPD tell, without any tool."""

from __future__ import annotations

import pathlib

import pytest

from ironic_accel.inband.inventory import detect
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine import pci_functions
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.machine import smbios_slots
from ironic_accel.inband.machine import vpd
from ironic_accel.model import catalog
from ironic_accel.model.device import Link
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import slot_entry
from ironic_accel_emulator.inside.tree import Tree
from ironic_accel_emulator.inside import vpd as made
from tests.unit.inband import sample

# Laid out as the example in appendix I of the PCI Local Bus Specification:
# identifier, PN, EC, SN, MN, RV.
_SPECIFIED = (
    b'\x82\x21\x00ABCD Super-Fast Widget Controller'
    b'\x90\x2e\x00PN\x086181682AEC\x0a4950262536SN\x0800000194MN\x041037'
    b'RV\x01\x00\x78')


def _scan(tmp_path: pathlib.Path) -> dict[str, Function]:
    _, host = sample.machine(tmp_path)
    return {f.address: f for f in pci_functions.scan(host)}


def test_function_is_read_completely(tmp_path: pathlib.Path) -> None:
    found = _scan(tmp_path)['0000:17:00.1']
    assert found.pci.pair == '15b3:101d'
    assert (found.subsystem_vendor_id, found.subsystem_id) == (
        '15b3', '0016')
    assert found.class_code == '020000'
    assert (found.serial, found.part_number) == (
        'MT2049X00001', 'MCX623106AN-CDAT')
    assert found.model == 'ConnectX-6 Dx EN adapter card'
    assert found.link == Link(16, '16.0')
    assert found.macs == ('0c:42:a1:00:00:01',)
    assert (found.driver, found.numa_node) == ('mlx5_core', 0)
    assert found.totalvfs == 8
    assert (found.card, found.slot) == ('0000:17:00', '7')


def test_missing_values_are_none(tmp_path: pathlib.Path) -> None:
    found = _scan(tmp_path)[sample.GPU]
    assert (found.serial, found.part_number, found.model) == (
        None, None, None)
    assert (found.link, found.numa_node, found.driver) == (None, None, None)
    assert (found.totalvfs, found.slot) == (None, None)


def test_virtual_functions_are_no_cards(tmp_path: pathlib.Path) -> None:
    tree, host = sample.machine(
        tmp_path, Card('0000:17:00.2', ('15b3', '101e', '15b3', '0016')))
    assert '0000:17:00.2' in pci_functions.addresses(host)
    tree.at('/sys/bus/pci/devices/0000:17:00.2/physfn').symlink_to(
        '../0000:17:00.0')
    assert '0000:17:00.2' not in pci_functions.addresses(host)


def test_a_machine_without_pci_has_none(tmp_path: pathlib.Path) -> None:
    assert pci_functions.scan(Machine(str(tmp_path))) == ()


def test_only_the_wanted_vendors_are_read(tmp_path: pathlib.Path) -> None:
    _, host = sample.machine(tmp_path)
    found = pci_functions.scan(host, {'10de'})
    assert [f.address for f in found] == [sample.GPU]


def test_vpd_of_the_specification() -> None:
    assert vpd.parse(_SPECIFIED) == vpd.Vpd(
        'ABCD Super-Fast Widget Controller', '6181682A', '00000194')


@pytest.mark.parametrize('cut', range(0, len(_SPECIFIED), 7))
def test_truncated_vpd_reports_nothing_wrong(cut: int) -> None:
    whole = vpd.parse(_SPECIFIED)
    part = vpd.parse(_SPECIFIED[:cut])
    for name in ('name', 'part_number', 'serial'):
        assert getattr(part, name) in (None, getattr(whole, name))


@pytest.mark.parametrize('raw', [
    b'', b'\xff' * 64, b'\0' * 64, bytes(range(256)), b'\x90\xff\xff'])
def test_invalid_vpd_reports_nothing(raw: bytes) -> None:
    assert vpd.parse(raw) == vpd.Vpd()


@pytest.mark.parametrize('serial', ['0000000000', 'N/A', '   '])
def test_a_placeholder_is_no_serial(serial: str) -> None:
    assert vpd.parse(made.build('X', {'SN': serial})).serial is None


def test_slots_by_smbios(tmp_path: pathlib.Path) -> None:
    _, host = sample.machine(tmp_path)
    assert smbios_slots.designations(host) == {'0000:17:00': 'PCIe Slot 7'}
    assert smbios_slots.numbers(host) == {'0000:17:00': '7'}


def test_designation_of_two_slots_is_ignored(
        tmp_path: pathlib.Path) -> None:
    tree = Tree(tmp_path)
    for number, address in enumerate(('0000:17:00.0', '0000:18:00.0')):
        tree.put(f'/sys/firmware/dmi/entries/9-{number}/raw',
                 slot_entry('Slot', address, number))
    assert smbios_slots.designations(Machine(str(tmp_path))) == {}


@pytest.mark.parametrize('raw', [
    b'', b'\x09', slot_entry('Slot 1', '0000:17:00.0')[:12],
    b'\x11' + slot_entry('Slot 1', '0000:17:00.0')[1:]])
def test_invalid_slot_is_ignored(
        tmp_path: pathlib.Path, raw: bytes) -> None:
    Tree(tmp_path).put('/sys/firmware/dmi/entries/9-0/raw', raw)
    assert smbios_slots.designations(Machine(str(tmp_path))) == {}


def test_the_probe_knows_what_the_catalogue_knows() -> None:
    assert detect.known_ids() == {
        key for product in catalog.load().products.values()
        for key in product.pci}


@pytest.mark.parametrize(('card', 'there'), [
    (Card('0000:01:00.0', ('8086', '1521', '8086', '0001')), False),
    (Card('0000:01:00.0', ('10de', '20b0', '10de', '1463')), True),
    # An Intel FPGA is told by its subsystem alone.
    (Card('0000:01:00.0', ('8086', 'bcce', '8086', '1770')), True),
    (Card('0000:01:00.0', ('8086', 'bcce', '8086', '0000')), False),
])
def test_the_probe_finds_accelerators(
        tmp_path: pathlib.Path, card: Card, there: bool) -> None:
    Tree(tmp_path).add(card)
    assert detect.has_accelerator(Machine(str(tmp_path))) is there
