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

"""The exact accelerators and network cards of the recorded BMCs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_accel.model.device import Inventory
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup

Row = tuple[str | None, ...]

# (kind, model, serial, component, running)
GB300 = [
    ('baseboard', 'GB200 NVL', '1653125034241', 'bmc', 'GB200Nvl-25.07-7'),
    ('dpu', 'BlueField-3 DPU', 'MT2502602V6R', 'nic', '32.44.1600'),
    ('gpu', 'NVIDIA GB300', '1653125033721', 'gpu', '97.10.3E.00.05'),
    ('gpu', 'NVIDIA GB300', '1653125033721', 'gpu', '97.10.3E.00.05'),
    ('gpu', 'NVIDIA GB300', '1653125034241', 'gpu', '97.10.3E.00.05'),
    ('gpu', 'NVIDIA GB300', '1653125034241', 'gpu', '97.10.3E.00.05'),
    ('nic', 'ConnectX-8 800GE 2P NIC', 'MT2528605CGU', 'nic', '40.45.3048'),
    ('nic', 'ConnectX-8 800GE 2P NIC', 'MT2528605CGU', 'nic', '40.45.3048'),
    ('nic', 'ConnectX-8 800GE 2P NIC', 'MT2529600824', 'nic', '40.45.3048'),
    ('nic', 'ConnectX-8 800GE 2P NIC', 'MT2529600824', 'nic', '40.45.3048'),
]
CRAY0 = [
    ('baseboard', 'NVIDIA.HGX.A100.4.GPU', None, 'fpga', '2.7'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1322420112794', 'gpu',
     '92.00.19.00.13'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1322520068102', 'gpu',
     '92.00.19.00.13'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1322520068159', 'gpu',
     '92.00.19.00.13'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1322520068320', 'gpu',
     '92.00.19.00.13'),
    ('nic', 'R4K44A', 'PR114450BM', 'nic', '1.5.27'),
    ('nic', 'R4K44A', 'PR114450BM', 'nic', '1.5.27'),
    ('nic', 'R4K44A', 'PR114450C1', 'nic', '1.5.27'),
    ('nic', 'R4K44A', 'PR114450C1', 'nic', '1.5.27'),
]
CRAY1 = [
    ('baseboard', 'NVIDIA.HGX.A100.4.GPU', None, 'fpga', '2.7'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1321020042325', 'gpu',
     '92.00.19.00.13'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1321020042465', 'gpu',
     '92.00.19.00.13'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1321020042472', 'gpu',
     '92.00.19.00.13'),
    ('gpu', 'NVIDIA_A100-SXM4-40GB', '1321020042689', 'gpu',
     '92.00.19.00.13'),
    ('nic', 'R4K44A', 'PR114450BR', 'nic', '1.5.27'),
    ('nic', 'R4K44A', 'PR114450BR', 'nic', '1.5.27'),
    ('nic', 'R4K44A', 'PR114450CT', 'nic', '1.5.27'),
    ('nic', 'R4K44A', 'PR114450CT', 'nic', '1.5.27'),
]
DELL = [
    ('dpu', 'BlueField-2 SmartNIC Main Card', 'MT2242XZ00QA', 'nic',
     '24.40.10.00'),
    ('gpu', 'NVIDIA H100 PCIe', '1654422007043', 'gpu', '96.00.30.00.01'),
    ('nic', 'BRCM 2P 25G SFP 57414S OCP NIC', 'VNFCVBA14I00AD', 'nic',
     '21.80.16.95'),
    ('nic', 'Broadcom Gigabit Ethernet BCM5720', None, 'nic', '21.80.9'),
    ('nic', 'Mellanox ConnectX-6 Dual Port 10 GbE QSFP Network Adapter',
     None, 'nic', '20.31.10.14'),
]
SMARTNIC = [
    ('dpu', '9900', '637XR7568R4', None, None),
    ('fpga', 'Contoso Network Offload FPGA Series 1000', None, None, None),
    ('nic', 'Contoso SuperC 2000 25Gb 2p Adapter', 'CSC125J87D', 'nic',
     '8.11.0'),
    ('nic', 'Contoso SuperC 2050 25Gb 2p Adapter', 'CSC125J97D', 'nic',
     '8.11.0'),
]
BOXES = [
    ('gb300-supermicro', 'System_0', GB300),
    ('a100x4-cray-ex235n', 'Node0', CRAY0),
    ('a100x4-cray-ex235n', 'Node1', CRAY1),
    ('dell-r750-h100', None, DELL),
    ('dmtf-smartnic', '437XR1138R2', SMARTNIC),
]


def rows(inventory: Inventory) -> list[Row]:
    out: list[Row] = []
    for device in inventory.devices:
        part = device.components[0] if device.components else None
        out.append((device.kind, device.model, device.serial,
                    part.name if part else None,
                    part.running if part else None))
    return sorted(out, key=str)


@pytest.mark.parametrize('expand', [True, False], ids=['expand', 'plain'])
@pytest.mark.parametrize(('name', 'system', 'expected'), BOXES)
def test_every_device_is_listed(
        rig: Start, captures: Path, name: str, system: str | None,
        expected: list[Row], expand: bool) -> None:
    at = rig(captures / f'{name}.tar.gz', system, expand=expand)
    inventory = at.backend.observe()
    assert rows(inventory) == expected
    assert inventory.host == 'on'
    assert inventory.complete
    assert inventory.busy == ()
    assert len({d.id for d in inventory.devices}) == len(expected)
    # The counted requests are those that were sent, as the emulator causes
    # no retries.
    assert inventory.requests == len(at.box.ledger.requests)


def test_gb300_takes_few_requests_with_expand(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    # The first inventory of a process also reads some members directly.
    assert at.backend.observe().requests <= 23
    expanded = at.backend.observe().requests
    plain = at.again('System_0', expand=False).observe().requests
    # The PCIeDevice and the memory of each GPU, whose health counts too, come
    # with the processors. Including one for the Managers, whose own firmware
    # may be being written.
    assert expanded <= 11
    assert plain >= 9 * expanded


def test_tasks_are_read_before_the_firmware_inventory(
        rig: Start, captures: Path) -> None:
    """Otherwise an update that ends meanwhile shows the old version on an
    idle system."""
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    at.backend.observe()
    paths = [r.path.partition('?')[0] for r in at.box.ledger.requests]
    tasks = next(i for i, p in enumerate(paths) if 'TaskService' in p)
    assert all(i > tasks for i, p in enumerate(paths)
               if 'UpdateService' in p or '/Processors' in p
               or '/NetworkAdapters' in p)


def test_gb300_details(rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    inventory = at.backend.observe()
    assert inventory.boot is not None
    gpus = [d for d in inventory.devices if d.kind == 'gpu']
    assert sorted(d.location or '' for d in gpus) == [
        'HGX_Chassis_0/ProcessorModule_0/GPU_0',
        'HGX_Chassis_0/ProcessorModule_0/GPU_1',
        'HGX_Chassis_0/ProcessorModule_1/GPU_0',
        'HGX_Chassis_0/ProcessorModule_1/GPU_1']
    for gpu in gpus:
        assert gpu.product == 'nvidia-gb300'
        assert gpu.pci is not None
        assert gpu.pci.pair == '10de:31c2'
        assert gpu.pci.subsystem_id == '21f1'
        assert gpu.link is not None
        assert (gpu.link.width, gpu.link.speed) == (16, '64.0')
        assert gpu.health == 'OK'
        assert gpu.parent == 'baseboard-1653125034241'
        part = gpu.component('gpu')
        assert part is not None
        assert (part.updateable, part.shows_pending, part.pending) == (
            True, True, None)
        assert part.max_image_bytes == 209715200
        assert {m.name: m.current for m in gpu.modes} == {
            'ecc': 'enabled', 'mig': 'disabled', 'egm': 'enabled',
            'cc': 'off'}
    board = inventory.device('baseboard-1653125034241')
    assert board is not None
    assert [c.name for c in board.components] == [
        'bmc', 'cpld', 'cpu', 'cpu-1', 'erot', 'erot-1', 'erot-2',
        'erot-3', 'erot-4', 'fpga', 'fpga-1', 'pcie-switch-config']
    assert lookup.part(board, 'pcie-switch-config').updateable is False


def test_gb300_cards_of_one_board_keep_their_own_firmware(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    nics = {d.location: d.components[0].id
            for d in at.backend.observe().devices if d.kind == 'nic'}
    assert nics == {'IO_Board_0_CX8_0': 'CX8_0', 'IO_Board_0_CX8_1': 'CX8_1',
                    'IO_Board_1_CX8_0': 'CX8_2', 'IO_Board_1_CX8_1': 'CX8_3'}


def test_gb300_push_lists_its_collateral(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    gpu = next(d for d in inventory.devices if d.kind == 'gpu')
    target = transport.updates[gpu.id, 'gpu']
    assert ('-', 'FW_BMC_0') in target.also_writes
    assert ('baseboard-1653125034241', 'fpga') in target.also_writes
    assert (gpu.id, 'gpu') not in target.also_writes
    board = 'baseboard-1653125034241'
    assert (board, 'pcie-switch-config') not in target.also_writes
    assert (board, 'pcie-switch-config') not in transport.updates
    # Chassis are read anyway; adapters report that they can be reset.
    assert {d.kind for d in inventory.devices if d.id in transport.resets} == {
        'nic', 'dpu'}


def test_cray_nodes_have_separate_inventories(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'a100x4-cray-ex235n.tar.gz', 'Node0')
    here = at.backend.observe()
    there = at.again('Node1').observe()
    assert not {d.id for d in here.devices} & {
        d.id for d in there.devices if d.kind != 'baseboard'}
    assert all('Node1' not in (d.uri or '') for d in here.devices)
    gpu = next(d for d in here.devices if d.serial == '1322420112794')
    assert gpu.location == 'GPU2'
    assert gpu.components[0].id == 'Node0.Acc2.VBIOS'
    # The BMC cannot write it, and cannot write anything without a URI for
    # the download of images.
    assert gpu.components[0].updateable is False
    assert at.again('Node0').transports(here)[0].updates == {}


def test_dell_gpu_firmware_is_read_from_the_oem_collection(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'dell-r750-h100.tar.gz')
    inventory = at.backend.observe()
    assert inventory.system == '/redfish/v1/Systems/System.Embedded.1'
    gpu = next(d for d in inventory.devices if d.kind == 'gpu')
    assert gpu.product == 'nvidia-h100-pcie'
    assert gpu.location == 'Video.Slot.2-1'
    assert gpu.part_number == '699-21010-0200-600'
    assert gpu.pci is not None
    assert gpu.pci.subsystem_id == '1626'
    dpu = next(d for d in inventory.devices if d.kind == 'dpu')
    assert dpu.pci is not None
    assert dpu.pci.pair == '15b3:a2d6'
    # Only the PCIeDevice of the adapter has a health.
    assert dpu.health == 'OK'
    infiniband = next(d for d in inventory.devices
                      if d.location == 'InfiniBand.Slot.7')
    assert infiniband.components[0].id == (
        'Installed-0-20.31.10.14__InfiniBand.Slot.7-1')


def test_a_dell_card_hidden_while_off_keeps_its_identity(
        rig: Start, captures: Path) -> None:
    """Its adapter returns 400 then, and its PCIeDevice has no serial."""
    at = rig(captures / 'dell-r750-h100.tar.gz', options={'power': 'Off'})
    inventory = at.backend.observe()
    assert not inventory.complete
    assert [d.id for d in inventory.devices] == ['dpu-MT2242XZ00QA']


def test_smartnic_processors_belong_to_their_cards(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'dmtf-smartnic.tar.gz', '437XR1138R2')
    inventory = at.backend.observe()
    fpga = next(d for d in inventory.devices if d.kind == 'fpga')
    assert fpga.parent == 'nic-CSC125J97D'
    nic = inventory.device('nic-CSC125J87D')
    assert nic is not None
    assert nic.parent == 'dpu-637XR7568R4'
    assert at.backend.transports(inventory)[0].updates == {}


def test_adapter_firmware_of_a_dpu_system(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'dmtf-smartnic.tar.gz', 'Card1-SoC')
    inventory = at.backend.observe()
    assert inventory.system == '/redfish/v1/Systems/Card1-SoC'
    assert 'dpu-637XR7568R4' in [d.id for d in inventory.devices]
