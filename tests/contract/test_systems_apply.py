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

"""Whole runs on the shipped boxes; the HGX one has ``test_path``."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model import catalog
from ironic_accel.model import catalog_source
from ironic_accel_emulator import images as twin_images
from tests.contract.asking import card
from tests.contract.asking import refused
from tests.contract.asking import UNPROVED
from tests.contract.asking import writes
from tests.contract.machine import machine

SHELL = 'xilinx_u55c_gen3x16_xdma_base_3'


def cards(folder: Path) -> str:
    """All kinds of cards of the PCIe server, each with what it can take."""
    dpu = twin_images.mlnx_image(folder / 'dpu', '32.43.1014',
                                 'MT_0000000884')
    nic = twin_images.mlnx_image(folder / 'nic', '28.43.1014',
                                 'MT_0000000834')
    shell = twin_images.xsabin_image(folder / 'shell', SHELL)
    sc = twin_images.plain_image(folder / 'sc', 'sc', '7.1.22',
                                 {'board': 'u55c'})
    return f"""
profile: 1
name: cards
images:
  dpu:
    url: file:///i/dpu
    sha256: {dpu}
    fits: {{psid: MT_0000000884}}
  nic:
    url: file:///i/nic
    sha256: {nic}
    fits: {{psid: MT_0000000834}}
  shell:
    url: file:///i/shell
    sha256: {shell}
    fits: {{part_number: 041-91083}}
  sc:
    url: file:///i/sc
    sha256: {sc}
    fits: {{part_number: 041-91083}}
devices:
  dpus:
    match: {{kind: dpu}}
    firmware: {{nic: {{version: 32.43.1014, image: dpu}}}}
    modes: {{sriov: enabled}}
  nics:
    match: {{kind: nic}}
    firmware: {{nic: {{version: 28.43.1014, image: nic}}}}
  fpgas:
    match: {{kind: fpga}}
    firmware:
      shell: {{version: {SHELL}, image: shell}}
      sc: {{version: 7.1.22, image: sc}}
  gpus:
    match: {{kind: gpu}}
    count: 4
    modes: {{ecc: disabled, mig: enabled}}
"""


def test_cards_of_four_makers_share_one_power_cycle(tmp_path: Path) -> None:
    with machine('pcie-a100', tmp_path) as box:
        asked = cards(tmp_path)
        out = box.run(asked)
        assert isinstance(out, outcome.Converged), out
        assert len(out.proofs) == 13
        assert all(p.persistent for p in out.proofs)
        ledger = box.box.ledger
        assert sorted(t.rsplit('/', 1)[-1] for p in ledger.pushes
                      for t in p.targets or ()) == [
            'Alveo_FPGA1_SC', 'Alveo_FPGA1_SHELL', 'NIC5_BlueField-3',
            'NIC6_ConnectX-7']
        assert set(ledger.updates().values()) == {1}
        assert [r.kind for r in ledger.resets] == ['ForceOff', 'On']
        assert not ledger.violations
        before = writes(box)
        assert isinstance(box.run(asked), outcome.Converged)
        assert writes(box) == before


@pytest.mark.parametrize('name', ['bluefield-2', 'bluefield-3'])
def test_a_dpu_becomes_a_nic_by_one_power_cycle(
        name: str, tmp_path: Path) -> None:
    asked = """
profile: 1
name: nic-mode
devices:
  dpus:
    match: {kind: dpu}
    count: 1
    modes: {mode: nic}
"""
    with machine(name, tmp_path) as box:
        out = box.run(asked)
        assert isinstance(out, outcome.Converged), out
        proof, = out.proofs
        assert (proof.item.name, proof.item.wanted) == ('mode', 'nic')
        assert proof.persistent
        assert box.box.modes['Bluefield/mode'].current == 'NicMode'
        assert [r.kind for r in box.box.ledger.resets] == [
            'ForceOff', 'On']


VBIOS = '92.00.19.00.13'


def gpus(digest: str) -> str:
    """The VBIOS of a node's A100s."""
    return card('kind: gpu', VBIOS, 'part_number: 692-2G506-0202-000',
                digest, component='gpu')


def test_gpus_whose_effect_nobody_has_shown_are_refused(
        tmp_path: Path) -> None:
    with machine('two-nodes', tmp_path, 'Node0') as box:
        assert refused(box, gpus('0' * 64)) == [('gpu', UNPROVED)]


def test_one_of_two_nodes_is_burnt_and_the_other_left_alone(
        tmp_path: Path) -> None:
    rows = catalog_source.read()
    proved = {'kind': 'gpu', 'name': 'gpu', 'for': {
        'product': ['nvidia-a100-sxm4-40gb']}, 'activation': 'power-cycle',
        'source': ['site']}
    known = catalog.Catalog(rows.products, rows.vendors,
                            [*rows.components, proved], rows.modes)
    with machine('two-nodes', tmp_path, 'Node1', known) as box:
        digest = twin_images.plain_image(
            tmp_path / 'fw', 'gpu', VBIOS,
            {'model': 'NVIDIA_A100-SXM4-40GB'})
        out = box.run(gpus(digest))
        assert isinstance(out, outcome.Converged), out
        ledger = box.box.ledger
        assert sorted(item for item, _ in ledger.updates()) == [
            'Node1.Acc0.VBIOS', 'Node1.Acc1.VBIOS']
        assert [(r.kind, r.target) for r in ledger.resets] == [
            ('ForceOff', 'Node1'), ('On', 'Node1')]
        assert not ledger.violations


def test_a_plain_card_of_a_maker_that_says_nothing_is_refused(
        tmp_path: Path) -> None:
    with machine('plain', tmp_path) as box:
        assert refused(box, card(
            'kind: nic', '22.0.0.0', 'pci: "14e4:16d8"')) == [
            ('nic', UNPROVED)]
