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

"""Whole runs on simulated recorded BMCs: update, set, reset, verify."""

from __future__ import annotations

from pathlib import Path

from ironic_accel.converge import outcome
from ironic_accel_emulator import images
from tests.contract.machine import machine

GB300 = """
profile: 1
name: gb300
images:
  gpu:
    url: file:///i/gpu
    sha256: {digest}
    fits: {{model: NVIDIA GB300}}
devices:
  gpus:
    match: {{kind: gpu, product: nvidia-gb300}}
    count: 4
    firmware: {{gpu: {{version: "97.10.55.00.01", image: gpu}}}}
    modes: {{ecc: disabled}}
allow: [{allow}]
"""


def gb300(digest: str, allow: str = 'collateral') -> str:
    return GB300.format(digest=digest, allow=allow)


def test_gb300_is_updated_reset_and_verified(
        captures: Path, tmp_path: Path) -> None:
    digest = images.plain_image(tmp_path / 'gpu', 'gpu', '97.10.55.00.01')
    with machine(captures / 'gb300-supermicro.tar.gz', tmp_path,
                 'System_0') as box:
        out = box.run(gb300(digest))
        assert isinstance(out, outcome.Converged), out
        assert len(out.proofs) == 8
        assert len(box.box.ledger.pushes) == 1
        assert [r.kind for r in box.box.ledger.resets] == [
            'ForceOff', 'AuxPowerCycle', 'On']
        assert box.box.ledger.violations == []
        before = len(box.box.ledger.writes)
        again = box.run(gb300(digest))
        assert isinstance(again, outcome.Converged)
        assert len(box.box.ledger.writes) == before
        assert len(box.box.ledger.pushes) == 1


def test_gb300_push_with_collateral_requires_consent(
        captures: Path, tmp_path: Path) -> None:
    digest = images.plain_image(tmp_path / 'gpu', 'gpu', '97.10.55.00.01')
    with machine(captures / 'gb300-supermicro.tar.gz', tmp_path,
                 'System_0') as box:
        out = box.run(gb300(digest, 'downgrade'))
        assert isinstance(out, outcome.Refused)
        assert any('collateral' in r.reason for r in out.plan.refused)
        assert box.box.ledger.pushes == []


def test_dell_dpu_is_updated_reset_and_verified(
        captures: Path, tmp_path: Path) -> None:
    digest = images.plain_image(tmp_path / 'nic', 'nic', '24.43.2026',
                                {'pci': '15b3:a2d6'})
    asked = f"""
profile: 1
name: bf2
images:
  nic:
    url: file:///i/nic.exe
    sha256: {digest}
    fits: {{pci: "15b3:a2d6"}}
devices:
  dpus:
    match: {{kind: dpu, location: NIC.Slot.5}}
    firmware: {{nic: {{version: "24.43.2026", image: nic}}}}
"""
    with machine(captures / 'dell-r750-h100.tar.gz', tmp_path,
                 'System.Embedded.1') as box:
        out = box.run(asked)
        assert isinstance(out, outcome.Converged), out
        assert len(box.box.ledger.pushes) == 1


def test_cray_component_without_known_activation_is_refused(
        captures: Path, tmp_path: Path) -> None:
    digest = images.plain_image(tmp_path / 'fpga', 'fpga', '2.8')
    asked = f"""
profile: 1
name: accfpga
images:
  fpga:
    url: file:///i/fpga
    sha256: {digest}
    fits: {{board: NVIDIA.HGX.A100.4.GPU}}
devices:
  board:
    match: {{kind: baseboard}}
    count: 1
    firmware: {{fpga: {{version: "2.8", image: fpga}}}}
"""
    with machine(captures / 'a100x4-cray-ex235n.tar.gz', tmp_path,
                 'Node0') as box:
        out = box.run(asked)
        assert isinstance(out, outcome.Refused)
        refusal, = out.plan.refused
        assert refusal.item.device == 'baseboard@Node0'
        assert 'activation: null' in refusal.reason
        assert box.box.ledger.pushes == []
