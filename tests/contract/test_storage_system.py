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

"""A storage or a switch box with a ComputerSystem works as a server does.

Roles and chassis types are DMTF's: ComputerSystem.HostingRoles and
Chassis.ChassisType (ComputerSystem v1.22, Chassis v1.22). The drive is there
so that what is no accelerator stays out of the inventory.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel_emulator import images as twin_images
from tests.contract.machine import machine

BOX = """
family: generic
service: {vendor: Contoso, product: Shelf, expand: 1, push: [multipart],
          bmc: '1.0'}
hosts:
- id: canister-a
  chassis: shelf
  manufacturer: Contoso
  model: Shelf 12
  serial: SHELF-0001
  cpus: 1
  fpgas:
  - id: FPGA{n}
    manufacturer: Xilinx
    model: ALVEO U55C
    part_number: 041-91083
    serial: XFL1ABCDEFG{n}
    pci: '10ee:505c:10ee:000e'
    board: u55c
    shell: xilinx_u55c_gen3x16_xdma_base_2
    sc: 7.1.20
  adapters:
  - id: NIC1
    manufacturer: Mellanox Technologies
    model: NVIDIA BlueField-3 B3220 P-Series FHHL DPU
    part_number: 900-9D3B6-00CV-AA0
    serial: MT2245X00001
    pci: '15b3:a2dc:15b3:0009'
    firmware: NIC1_BlueField-3
    version: 32.38.1002
    psid: MT_0000000884
    sriov: false
"""
SYSTEM = '/redfish/v1/Systems/canister-a'
CHASSIS = '/redfish/v1/Chassis/shelf'
DRIVE = {
    '@odata.id': f'{CHASSIS}/PCIeDevices/NVMe1',
    '@odata.type': '#PCIeDevice.v1_14_0.PCIeDevice', 'Id': 'NVMe1',
    'Name': 'NVMe drive', 'Manufacturer': 'Samsung',
    'Model': 'MZWLR3T8HBLS', 'SerialNumber': 'S5XJNE0N0001',
    'Links': {'Chassis': [{'@odata.id': CHASSIS}]}}


@pytest.mark.parametrize(('roles', 'chassis'), [
    (['StorageServer'], 'StorageEnclosure'), (['Switch'], 'RackMount')])
def test_a_box_that_is_no_server_is_burnt_set_reset_and_proved(
        tmp_path: Path, roles: list[str], chassis: str) -> None:
    (tmp_path / 'shelf.yaml').write_text(BOX)
    digest = twin_images.mlnx_image(tmp_path / 'dpu', '32.43.1014',
                                    'MT_0000000884')
    shell = 'xilinx_u55c_gen3x16_xdma_base_3'
    asked = f"""
profile: 1
name: shelf
images:
  dpu:
    url: file:///i/dpu
    sha256: {digest}
    fits: {{psid: MT_0000000884}}
  shell:
    url: file:///i/shell
    sha256: {twin_images.xsabin_image(tmp_path / 'shell', shell)}
    fits: {{part_number: 041-91083}}
devices:
  dpus:
    match: {{kind: dpu}}
    count: 1
    firmware: {{nic: {{version: 32.43.1014, image: dpu}}}}
    modes: {{sriov: enabled}}
  fpgas:
    match: {{kind: fpga}}
    count: 1
    firmware: {{shell: {{version: {shell}, image: shell}}}}
"""
    with machine(tmp_path / 'shelf.yaml', tmp_path, 'canister-a') as box:
        documents = box.box.documents
        for uri, said in ((SYSTEM, {'HostingRoles': roles}),
                          (CHASSIS, {'ChassisType': chassis}),
                          (DRIVE['@odata.id'], DRIVE)):
            documents.put(str(uri), {**(documents.see(str(uri)) or {}),
                                     **said})
        listed = documents.get(f'{CHASSIS}/PCIeDevices') or {}
        listed['Members'].append({'@odata.id': DRIVE['@odata.id']})
        listed['Members@odata.count'] = len(listed['Members'])
        documents.put(f'{CHASSIS}/PCIeDevices', listed)
        inventory = box.backend.observe()
        assert sorted((d.kind, d.serial) for d in inventory.devices) == [
            ('dpu', 'MT2245X00001'), ('fpga', 'XFL1ABCDEFG1')]
        out = box.run(asked)
        assert isinstance(out, outcome.Converged), out
        assert {p.item.name for p in out.proofs} == {
            'nic', 'sriov', 'shell'}
        assert [(r.kind, r.target) for r in box.box.ledger.resets] == [
            ('ForceOff', 'canister-a'), ('On', 'canister-a')]
        assert set(box.box.ledger.updates().values()) == {1}
        assert not box.box.ledger.violations
