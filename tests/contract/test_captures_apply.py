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

"""Whole runs on twins of recorded BMCs.

What a captured BMC can do is done: burn, mode, reset, proof. What it cannot,
or what nobody has proved of it, is refused with its reason and not a byte is
written. Profiles, images and versions are the boxes' own: names, part numbers
and boards are those that the captures tell.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model import catalog
from ironic_accel.model import catalog_source
from ironic_accel_emulator import images as twin_images
from tests.contract.asking import card
from tests.contract.asking import LOCKED
from tests.contract.asking import NO_WAY
from tests.contract.asking import refused
from tests.contract.asking import UNPROVED
from tests.contract.asking import UNSEEN
from tests.contract.asking import writes
from tests.contract.machine import Machine
from tests.contract.machine import machine

GB300 = {'gpu': '97.10.3F.00.01', 'fpga': '1.45'}


@contextlib.contextmanager
def capture(captures: Path, name: str, folder: Path,
            system: str | None = None, **options: Any
            ) -> Iterator[Machine]:
    """A machine grown from a recorded BMC."""
    with machine(captures / f'{name}.tar.gz', folder, system,
                 **options) as box:
        yield box


def gb300(digest: str, allow: str, modes: str = 'ecc: disabled') -> str:
    """A bundle for the GPUs and the FPGAs of the board, and a mode."""
    return f"""
profile: 1
name: gb300
images:
  bundle:
    url: file:///i/bundle
    sha256: {digest}
    fits: {{board: GB200 NVL}}
devices:
  gpus:
    match: {{kind: gpu, product: nvidia-gb300}}
    count: 4
    firmware: {{gpu: {{version: {GB300['gpu']}, image: bundle}}}}
    modes: {{{modes}}}
  board:
    match: {{kind: baseboard}}
    count: 1
    firmware: {{fpga: {{version: "{GB300['fpga']}", image: bundle}}}}
allow: [{allow}]
"""


def test_gb300_is_burnt_by_one_push_with_empty_targets(
        captures: Path, tmp_path: Path) -> None:
    with capture(captures, 'gb300-supermicro', tmp_path, 'System_0') as box:
        asked = gb300(box.image(GB300, board='gb300'), 'collateral')
        out = box.run(asked)
        assert isinstance(out, outcome.Converged), out
        seen = {(p.item.name, p.item.wanted) for p in out.proofs}
        assert seen == {('gpu', GB300['gpu']), ('ecc', 'disabled'),
                        ('fpga', GB300['fpga']), ('fpga-1', GB300['fpga'])}
        ledger = box.box.ledger
        assert [(p.transport, p.targets) for p in ledger.pushes] == [
            ('multipart', ())]
        assert {item for item, _ in ledger.updates()} == {
            *(f'HGX_FW_GPU_{n}' for n in range(4)),
            'HGX_FW_FPGA_0', 'HGX_FW_FPGA_1'}
        assert set(ledger.updates().values()) == {1}
        assert [r.kind for r in ledger.resets] == [
            'ForceOff', 'AuxPowerCycle', 'On']
        assert not ledger.violations
        before = writes(box)
        assert isinstance(box.run(asked), outcome.Converged)
        assert writes(box) == before


def test_gb300_wants_consent_to_what_the_push_writes_besides(
        captures: Path, tmp_path: Path) -> None:
    with capture(captures, 'gb300-supermicro', tmp_path, 'System_0') as box:
        out = refused(
            box, gb300(box.image(GB300, board='gb300'), 'downgrade'))
        assert [name for name, _ in out] == ['fpga', 'fpga-1', 'gpu']
        for _, why in out:
            # Four GPUs and two FPGAs are asked for with the same image.
            assert 'may also write 21 other components' in why
            assert 'add collateral to allow' in why


@pytest.mark.parametrize(('allow', 'forced'), [
    ('collateral', False), ('collateral, force', True)])
def test_gb300_with_one_gpu_that_is_there_already(
        captures: Path, tmp_path: Path, allow: str, forced: bool) -> None:
    """Without ForceUpdate it is turned down, with it it is written again."""
    with capture(captures, 'gb300-supermicro', tmp_path, 'System_0') as box:
        box.box.components['HGX_FW_GPU_2'].running = GB300['gpu']
        out = box.run(gb300(box.image(GB300, board='gb300'), allow))
        assert isinstance(out, outcome.Converged), out
        burnt = {item for item, _ in box.box.ledger.updates()}
        assert ('HGX_FW_GPU_2' in burnt) is forced
        assert len(box.box.ledger.pushes) == 1


def test_gb300_mode_whose_effect_nobody_has_shown_is_left_alone(
        captures: Path, tmp_path: Path) -> None:
    with capture(captures, 'gb300-supermicro', tmp_path, 'System_0') as box:
        out = refused(box, gb300(box.image(GB300, board='gb300'),
                                 'collateral', 'egm: disabled'))
        assert out == [('egm', 'the reset that activates it is unknown '
                        '(activation: null in the catalogue), so it is not '
                        'changed')]


@pytest.mark.parametrize(('push', 'transport'), [
    ('', 'multipart'), ('push: {style: simple-targets}', 'simple-update')])
def test_dell_bluefield_is_burnt_either_way_and_moves_to_another_id(
        captures: Path, tmp_path: Path, push: str, transport: str) -> None:
    """An iDRAC names firmware entries after the installed version."""
    with capture(captures, 'dell-r750-h100', tmp_path) as box:
        digest = twin_images.plain_image(
            tmp_path / 'fw', 'nic', '24.43.1014', {'pci': '15b3:a2d6'})
        out = box.run(card('kind: dpu, product: nvidia-bluefield-2',
                           '24.43.1014', 'part_number: MBF2H5', digest,
                           push))
        assert isinstance(out, outcome.Converged), out
        ledger = box.box.ledger
        # As Dell's own clients: a list of targets that names none.
        assert [(p.transport, p.targets) for p in ledger.pushes] == [
            (transport, () if transport == 'multipart' else (
                '/redfish/v1/UpdateService/FirmwareInventory/'
                'Installed-0-24.40.10.00__NIC.Slot.5-1',))]
        assert len(ledger.updates()) == 1
        assert [r.kind for r in ledger.resets] == ['ForceOff', 'On']
        assert ('Installed-0-24.43.1014__NIC.Slot.5-1'
                in box.box.components)
        assert not ledger.violations


def test_dell_connectx_without_a_device_reset_takes_a_warm_reboot(
        captures: Path, tmp_path: Path) -> None:
    with capture(captures, 'dell-r750-h100', tmp_path) as box:
        digest = twin_images.plain_image(
            tmp_path / 'fw', 'nic', '20.32.1010', {'pci': '15b3:101b'})
        out = box.run(card('kind: nic, product: nvidia-connectx-6',
                           '20.32.1010', 'pci: "15b3:101b"', digest))
        assert isinstance(out, outcome.Converged), out
        assert [r.kind for r in box.box.ledger.resets] == ['ForceRestart']


@pytest.mark.parametrize(('name', 'system', 'profile', 'reasons'), [
    ('dell-r750-h100', None,
     card('kind: gpu', '96.00.99.00.01', 'pci: "10de:2331"',
          component='gpu'), {UNPROVED, NO_WAY}),
    ('dell-r750-h100', None,
     card('kind: nic, pci: "14e4:16d7"', '22.0.0.0', 'pci: "14e4:16d7"'),
     {UNPROVED}),
    ('a100x4-cray-ex235n', 'Node0',
     card('kind: gpu', '92.00.99.00.01',
          'part_number: 692-2G506-0202-000', component='gpu'),
     {LOCKED}),
    ('a100x4-cray-ex235n', 'Node0',
     card('kind: nic', '1.6.0', 'part_number: P43012-001'),
     {LOCKED}),
    ('a100x4-cray-ex235n', 'Node0',
     card('kind: baseboard', '2.8', 'board: NVIDIA.HGX.A100.4.GPU',
          component='fpga'), {UNPROVED}),
    ('dmtf-smartnic', '437XR1138R2',
     card('kind: nic, part_number: SC2000-CNT5', '8.12.0',
          'part_number: SC2000-CNT5'), {UNPROVED, NO_WAY}),
    ('dmtf-smartnic', '437XR1138R2',
     card('kind: fpga', '2.0', 'model: x', component='fpga'), {UNSEEN}),
])
def test_what_a_captured_bmc_cannot_do_is_refused_by_name(
        captures: Path, tmp_path: Path, name: str, system: str | None,
        profile: str, reasons: set[str]) -> None:
    with capture(captures, name, tmp_path, system) as box:
        assert {why for _, why in refused(box, profile)} == reasons


def test_cray_is_burnt_by_simple_update_where_the_effect_is_known(
        captures: Path, tmp_path: Path) -> None:
    """What is missing is one fact: with it in the catalogue it is done."""
    rows = catalog_source.read()
    proved = {'kind': 'baseboard', 'name': 'fpga', 'for': {
        'product': ['nvidia-hgx-a100-4gpu']}, 'activation': 'power-cycle',
        'source': ['site']}
    known = catalog.Catalog(rows.products, rows.vendors,
                            [*rows.components, proved], rows.modes)
    with capture(captures, 'a100x4-cray-ex235n', tmp_path, 'Node0',
                 known=known,
                 activations={'Node0.AccFPGA0': 'power-cycle'}) as box:
        digest = twin_images.plain_image(tmp_path / 'fw', 'fpga', '2.8')
        out = box.run(card(
            'kind: baseboard', '2.8', 'board: NVIDIA.HGX.A100.4.GPU',
            digest, component='fpga'))
        assert isinstance(out, outcome.Converged), out
        ledger = box.box.ledger
        assert [(p.transport, p.targets) for p in ledger.pushes] == [
            ('simple-update',
             ('/redfish/v1/UpdateService/FirmwareInventory/'
              'Node0.AccFPGA0',))]
        assert [i for i, _ in ledger.updates()] == ['Node0.AccFPGA0']
        assert [(r.kind, r.target) for r in ledger.resets] == [
            ('ForceOff', 'Node0'), ('On', 'Node0')]
        assert box.box.components['Node1.AccFPGA0'].running == '2.7'
