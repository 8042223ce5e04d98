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

"""The whole out-of-band path against twins, in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model.device import Activation
from ironic_accel_emulator import images as twin_images
from tests.contract.machine import Machine
from tests.contract.machine import machine

BUNDLE = {'gpu': '96.00.A6.00.01', 'fpga': '3.11'}


def hgx(digest: str, modes: str = 'ecc: disabled', more: str = '',
        board: str = 'HGX H100 8-GPU', version: str = BUNDLE['gpu']) -> str:
    """The profile of an HGX H100: a bundle for GPUs and tray, a mode."""
    return f"""
profile: 1
name: hgx
offered: true
images:
  bundle:
    url: file:///images/bundle
    sha256: {digest}
    fits: {{board: "{board}"}}
devices:
  gpus:
    match: {{kind: gpu, product: nvidia-h100-sxm}}
    count: 8
    firmware: {{gpu: {{version: "{version}", image: bundle}}}}
    modes: {{{modes}}}
  tray:
    match: {{kind: baseboard}}
    count: 1
    firmware: {{fpga: {{version: "3.11", image: bundle}}}}
{more}"""


def writes(box: Machine) -> int:
    """Requests that change something, sessions apart."""
    return box.box.ledger.count('POST', 'PATCH', 'PUT', 'DELETE')


def test_a_host_that_is_off_is_burnt_set_reset_once_and_proved(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path, power='Off') as box:
        out = box.run(hgx(box.image(BUNDLE)))
        assert isinstance(out, outcome.Converged)
        assert len(out.proofs) == 17
        assert all(p.persistent for p in out.proofs)
        ledger = box.box.ledger
        assert [len(p.targets or ()) for p in ledger.pushes] == [9]
        assert set(ledger.updates().values()) == {1}
        assert [r.kind for r in ledger.resets] == [
            'On', 'ForceOff', 'AuxPowerCycle', 'On']
        assert not ledger.violations


def test_the_same_again_writes_nothing_and_resets_nothing(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        asked = hgx(box.image(BUNDLE))
        assert isinstance(box.run(asked), outcome.Converged)
        before = writes(box), len(box.box.ledger.resets)
        out = box.run(asked)
        assert isinstance(out, outcome.Converged)
        assert (writes(box), len(box.box.ledger.resets)) == before


def test_mig_on_hopper_is_set_last_and_does_not_last(tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        out = box.run(hgx(box.image(BUNDLE), 'mig: enabled'))
        assert isinstance(out, outcome.Converged)
        persistent = {p.item.name: p.persistent for p in out.proofs}
        assert persistent == {'gpu': True, 'fpga': True, 'mig': False}
        patched = [r.path for r in box.box.ledger.requests
                   if r.method == 'PATCH']
        assert len(patched) == 8


@pytest.mark.parametrize(('change', 'reason', 'expected', 'seen'), [
    ({'board': 'HGX H200 8-GPU'}, 'its board does not match', 'HGX H200 8-GPU',
     'HGX H100 8-GPU'),
    ({'version': '95.00.00.00.01'}, 'downgrade', '95.00.00.00.01',
     '96.00.68.00.01'),
    ({'more': 'limits: {reset: power-cycle}'}, 'limits.reset',
     Activation.POWER_CYCLE, Activation.AUX_CYCLE)])
def test_what_is_refused_is_refused_before_a_byte(
        tmp_path: Path, change: dict[str, Any], reason: str, expected: str,
        seen: str) -> None:
    with machine('hgx-h100', tmp_path) as box:
        out = box.run(hgx(box.image(BUNDLE), **change))
        assert isinstance(out, outcome.Refused)
        assert reason in out.plan.refused[0].reason
        assert (out.plan.refused[0].expected,
                out.plan.refused[0].seen) == (expected, seen)
        assert writes(box) == 0


def test_a_wrong_digest_is_refused_before_a_byte(tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        box.image(BUNDLE)
        out = box.run(hgx('0' * 64))
        assert isinstance(out, outcome.Refused)
        assert out.plan.refused[0].expected == '0' * 64
        assert writes(box) == 0


def test_mig_on_a100_lasts_over_the_reset_that_activates_it(
        tmp_path: Path) -> None:
    asked = """
profile: 1
name: a100-mig
devices:
  gpus:
    match: {kind: gpu, product: nvidia-a100-pcie-80gb}
    count: 4
    modes: {mig: enabled}
"""
    with machine('pcie-a100', tmp_path) as box:
        out = box.run(asked)
        assert isinstance(out, outcome.Converged)
        assert [p.persistent for p in out.proofs] == [True] * 4
        assert len(box.box.ledger.resets) <= 1
        assert not box.box.ledger.violations


def test_a_dpu_is_burnt_by_an_image_that_fits_its_part_number(
        tmp_path: Path) -> None:
    digest = twin_images.mlnx_image(
        tmp_path / 'nic-fw', '32.43.1014', 'MT_0000000884')
    asked = f"""
profile: 1
name: bf3
images:
  nic-fw:
    url: file:///i/nic-fw
    sha256: {digest}
    fits: {{part_number: 900-9D3B6-00CV-AA0}}
devices:
  dpus:
    match: {{kind: dpu, product: nvidia-bluefield-3}}
    firmware: {{nic: {{version: "32.43.1014", image: nic-fw}}}}
"""
    with machine('pcie-a100', tmp_path) as box:
        out = box.run(asked)
        assert isinstance(out, outcome.Converged), out
        assert [len(p.targets or ()) for p in box.box.ledger.pushes] == [1]
        assert [r.kind for r in box.box.ledger.resets] == [
            'ForceOff', 'On']


def test_a_misfit_by_psid_or_an_unseen_one_is_refused(tmp_path: Path) -> None:
    digest = twin_images.mlnx_image(
        tmp_path / 'nic-fw', '32.43.1014', 'MT_0000000884')
    asked = f"""
profile: 1
name: bf3
images:
  nic-fw:
    url: file:///i/nic-fw
    sha256: {digest}
    fits: {{psid: MT_0000000999}}
devices:
  dpus:
    match: {{kind: dpu}}
    firmware: {{nic: {{version: "32.43.1014", image: nic-fw}}}}
"""
    with machine('pcie-a100', tmp_path) as box:
        out = box.run(asked)
        assert isinstance(out, outcome.Refused)
        assert 'its psid' in out.plan.refused[0].reason
        assert out.plan.refused[0].expected == 'MT_0000000999'
        assert writes(box) == 0
