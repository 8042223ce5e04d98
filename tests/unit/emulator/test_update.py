# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Updates: from the image to the running firmware."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path
from typing import Any

import pytest

from ironic_accel_emulator.images import (
    mlnx_image,
    plain_image,
    pldm_bundle,
    xsabin_image,
)

from tests.unit.emulator.conftest import UPDATE, Client, MakeClient
from tests.unit.emulator.test_power import AUX

GPU = 'HGX_FW_GPU_SXM_1'
NEW = '96.00.A6.00.01'


def slots(hgx: Client, name: str = GPU) -> tuple[Any, Any]:
    """Active and inactive slot: (version, state) each."""
    entry = hgx.get(f'{UPDATE}/FirmwareInventory/{name}')['Oem']['Nvidia']
    pair = entry['ActiveFirmwareSlot'], entry['InactiveFirmwareSlot']
    return tuple(  # type: ignore[return-value]
        (slot['Version'], slot['FirmwareState']) for slot in pair
    )


def test_bundle_is_staged_until_the_aux_cycle(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    digest = pldm_bundle(image, {'gpu': NEW, 'fpga': '3.11'})
    old = hgx.version(GPU)
    reply = hgx.push(image, {'Targets': []})
    assert reply.status == 202
    task = reply.body['@odata.id']
    hgx.box.advance(610)
    assert 40 < hgx.get(task)['PercentComplete'] < 60
    monitor = hgx.send('GET', reply.headers['Location'])
    assert (monitor.status, monitor.body['PercentComplete']) == (202, 0)
    hgx.box.advance(601)
    assert hgx.get(task)['TaskState'] == 'Completed'
    said = [m['MessageId'] for m in hgx.get(task)['Messages']]
    assert said.count('Update.1.0.AwaitToActivate') == 9
    assert slots(hgx) == (
        (old, 'Activated'), (NEW, 'PendingActivation'),
    )  # fmt: skip
    hgx.box.advance(180)
    for kind in ('ForceRestart', 'ForceOff'):
        hgx.reset(kind)
        hgx.box.advance(60)
        assert hgx.version(GPU) == old
    hgx.post(AUX, {'ResetType': 'AuxPowerCycle'})
    hgx.box.advance(121)
    assert slots(hgx) == ((NEW, 'Activated'), (old, 'Inactive'))
    assert hgx.version('HGX_FW_FPGA_0') == '3.11'
    assert set(hgx.box.ledger.updates().values()) == {1}
    assert [push.digest for push in hgx.box.ledger.pushes] == [digest]
    assert hgx.box.ledger.violations == []


def test_targets_limit_what_is_written(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': NEW, 'fpga': '3.11'})
    target = f'{UPDATE}/FirmwareInventory/HGX_FW_GPU_SXM_3'
    hgx.push(image, {'Targets': [target]})
    hgx.box.advance(1300)
    written = {write.item for write in hgx.box.ledger.writes}
    assert written == {'HGX_FW_GPU_SXM_3'}
    bad = hgx.push(image, {'Targets': [target + '99']})
    assert bad.status == 400


@pytest.mark.parametrize('what', ['garbage', 'misfit'])
def test_invalid_images_end_the_task_with_an_exception(
    client: MakeClient, tmp_path: Path, what: str
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    if what == 'garbage':
        image.write_bytes(b'\0' * 5000)
    else:
        pldm_bundle(image, {'gpu': '1'}, board='hgx-h200')
    task = hgx.push(image, {'Targets': []}).body['@odata.id']
    hgx.box.advance(11)
    found = hgx.get(task)
    assert (found['TaskState'], found['TaskStatus']) == (
        'Exception', 'Critical',
    )  # fmt: skip
    assert hgx.box.ledger.writes == []


def test_size_limit_is_413_before_anything_is_stored(
    client: MakeClient, tmp_path: Path
) -> None:
    box = client('hgx-h100')
    box.box.documents.see(UPDATE)['MaxImageSizeBytes'] = 1000  # type: ignore[index]
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': '1'}, size=5000)
    assert box.push(image, {'Targets': []}).status == 413
    assert box.box.ledger.pushes == []


def test_two_concurrent_pushes_are_refused_and_recorded(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': NEW})
    hgx.push(image, {'Targets': []})
    reply = hgx.push(image, {'Targets': []})
    assert (reply.status, 'Retry-After' in reply.headers) == (503, True)
    kinds = [v.kind for v in hgx.box.ledger.violations]
    assert kinds == ['two pushes at once']


def test_a_reset_during_a_flash_bricks_the_cards(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': NEW})
    target = f'{UPDATE}/FirmwareInventory/{GPU}'
    hgx.push(image, {'Targets': [target]})
    hgx.box.advance(300)
    hgx.reset('ForceRestart')
    hgx.box.advance(100)
    (violation,) = hgx.box.ledger.violations
    assert violation.kind == 'reset during a flash'
    gpus = '/redfish/v1/Systems/HGX_Baseboard_0/Processors'
    assert hgx.send('GET', f'{gpus}/GPU_SXM_1').status == 404
    assert hgx.send('GET', f'{gpus}/GPU_SXM_2').status == 200


def test_aux_cycle_during_background_copy_is_recorded(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': NEW})
    hgx.push(image, {'Targets': []})
    hgx.box.advance(1220)
    trust = '/redfish/v1/Chassis/HGX_ERoT_GPU_SXM_1'
    status = hgx.get(trust)['Oem']['Nvidia']['BackgroundCopyStatus']
    assert status == 'InProgress'
    hgx.post(AUX, {'ResetType': 'AuxPowerCycleForce'})
    kinds = {v.kind for v in hgx.box.ledger.violations}
    assert kinds == {'cut during background copy'}


def test_an_equal_version_is_skipped_unless_forced(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': hgx.version(GPU)})
    task = hgx.push(image, {'Targets': []}).body['@odata.id']
    hgx.box.advance(20)
    assert hgx.get(task)['TaskState'] == 'Completed'
    assert hgx.box.ledger.writes == []
    hgx.push(image, {'Targets': [], 'ForceUpdate': True})
    hgx.box.advance(1300)
    assert len(hgx.box.ledger.writes) == 8


def test_a_bmc_reset_activates_only_the_bmc(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': NEW, 'bmc': 'HGX-24.10-1'})
    task = hgx.push(image, {'Targets': []}).body['@odata.id']
    hgx.box.advance(1500)
    manager = '/redfish/v1/Managers/HGX_BMC_0'
    hgx.post(f'{manager}/Actions/Manager.Reset')
    hgx.box.advance(91)
    assert hgx.get(manager)['FirmwareVersion'] == 'HGX-24.10-1'
    assert hgx.version(GPU) != NEW
    assert hgx.send('GET', task).status == 404


def test_gb300_requires_empty_targets_and_force(
    client: MakeClient, tmp_path: Path, capture: Any
) -> None:
    station = client(capture('gb300-supermicro'))
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': '97.10.99.00.01'}, board='gb300')
    target = f'{UPDATE}/FirmwareInventory/HGX_FW_GPU_0'
    assert station.push(image, {}).status == 400
    assert station.push(image, {'Targets': [target]}).status == 400
    assert station.push(image, {'Targets': []}).status == 202
    station.box.advance(1300)
    items = {write.item for write in station.box.ledger.writes}
    assert items == {f'HGX_FW_GPU_{n}' for n in range(4)}


def test_dell_refuses_an_equal_version_and_changes_ids(
    client: MakeClient, tmp_path: Path, capture: Any
) -> None:
    dell = client(capture('dell-r750-h100'))
    image = tmp_path / 'fw.bin'
    inventory = f'{UPDATE}/FirmwareInventory'
    name = 'Installed-0-24.40.10.00__NIC.Slot.5-1'
    target = [f'{inventory}/{name}']
    plain_image(image, 'nic', '24.40.10.00')
    reply = dell.push(image, {'Targets': target})
    assert 'SUP029' in reply.body['error']['code']
    plain_image(image, 'nic', '24.41.10.00')
    assert dell.push(image, {'Targets': target}).status == 202
    dell.box.advance(1300)
    dell.reset('ForceRestart', 'System.Embedded.1')
    dell.box.advance(60)
    assert dell.send('GET', target[0]).status == 404
    moved = 'Installed-0-24.41.10.00__NIC.Slot.5-1'
    assert dell.version(moved) == '24.41.10.00'


class _Files(http.server.BaseHTTPRequestHandler):
    content = b''

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header('Content-Length', str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def test_simple_update_downloads_over_http(
    client: MakeClient, tmp_path: Path
) -> None:
    box = client('pcie-a100')
    image = tmp_path / 'shell.xsabin'
    shell = 'xilinx_u55c_gen3x16_xdma_base_3'
    xsabin_image(image, shell)

    class Files(_Files):
        content = image.read_bytes()

    server = http.server.HTTPServer(('127.0.0.1', 0), Files)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        action = f'{UPDATE}/Actions/UpdateService.SimpleUpdate'
        uri = f'http://127.0.0.1:{server.server_address[1]}/shell.xsabin'
        reply = box.post(action, {'ImageURI': uri})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert reply.status == 202
    box.box.advance(1300)
    box.reset('ForceRestart', '1')
    box.box.advance(60)
    assert box.version('Alveo_FPGA1_SHELL') != shell
    box.reset('PowerCycle', '1')
    box.box.advance(60)
    assert box.version('Alveo_FPGA1_SHELL') == shell


def test_simple_update_without_an_image_fails_its_task(
    client: MakeClient, tmp_path: Path
) -> None:
    box = client('pcie-a100')
    action = f'{UPDATE}/Actions/UpdateService.SimpleUpdate'
    uri = f'file://{tmp_path}/nowhere'
    task = box.post(action, {'ImageURI': uri}).body['@odata.id']
    found = box.get(task)
    assert found['TaskState'] == 'Exception'
    assert found['Messages'][1]['MessageId'] == 'Update.1.0.TransferFailed'


def test_cray_accepts_simple_update_for_one_node(
    client: MakeClient, tmp_path: Path, capture: Any
) -> None:
    blade = client(capture('a100x4-cray-ex235n'))
    image = tmp_path / 'vbios.bin'
    plain_image(image, 'bios', 'ex235n.bios-1.3.0')
    target = f'{UPDATE}/FirmwareInventory/Node0.BIOS'
    action = f'{UPDATE}/Actions/SimpleUpdate'
    body = {'ImageURI': f'file://{image}', 'Targets': [target]}
    assert blade.post(action, body).status == 202
    blade.box.advance(1300)
    for system, expected in (('Node1', False), ('Node0', True)):
        blade.reset('PowerCycle', system)
        blade.box.advance(60)
        found = blade.version('Node0.BIOS') == 'ex235n.bios-1.3.0'
        assert found is expected


def test_a_staged_image_waits_for_its_activation(
    client: MakeClient, tmp_path: Path
) -> None:
    hgx = client('hgx-h100')
    image = tmp_path / 'bundle.fwpkg'
    pldm_bundle(image, {'gpu': NEW})
    option = {'Oem': {'Nvidia': {'UpdateOption': 'StageOnly'}}}
    hgx.push(image, {'Targets': [], **option})
    hgx.box.advance(1500)
    assert slots(hgx)[1] == (NEW, 'Staged')
    hgx.post(AUX, {'ResetType': 'AuxPowerCycleForce'})
    hgx.box.advance(200)
    assert hgx.version(GPU) != NEW
    option['Oem']['Nvidia']['UpdateOption'] = 'StageAndActivate'
    hgx.push(image, {'Targets': [], **option})
    hgx.box.advance(1500)
    hgx.post(AUX, {'ResetType': 'AuxPowerCycleForce'})
    hgx.box.advance(200)
    assert hgx.version(GPU) == NEW


def test_the_psid_selects_the_card(
    client: MakeClient, tmp_path: Path
) -> None:
    box = client('pcie-a100')
    image = tmp_path / 'fw.bin'
    mlnx_image(image, '32.43.1014', 'MT_0000000884')
    box.push(image, {})
    box.box.advance(1300)
    items = [write.item for write in box.box.ledger.writes]
    assert items == ['NIC5_BlueField-3']


def test_apply_times_that_wait(client: MakeClient, tmp_path: Path) -> None:
    box = client('pcie-a100')
    image = tmp_path / 'fw.bin'
    mlnx_image(image, '32.43.1014', 'MT_0000000884')
    when = {'@Redfish.OperationApplyTime': 'OnStartUpdateRequest'}
    task = box.push(image, when).body['@odata.id']
    box.box.advance(2000)
    assert box.get(task)['TaskState'] == 'Pending'
    start = f'{UPDATE}/Actions/UpdateService.StartUpdate'
    assert box.post(start).status == 202
    box.box.advance(1300)
    assert box.get(task)['TaskState'] == 'Completed'
