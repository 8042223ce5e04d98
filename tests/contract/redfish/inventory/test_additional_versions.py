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

"""Additional versions of a processor: reported, required, never written.

AdditionalFirmwareVersions of Processor v1.15 are added to the documents of a
system, as no recorded BMC has them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model.serialization import inventory_to_dict
from ironic_accel_emulator import Box
from tests.contract.asking import card
from tests.contract.asking import LOCKED
from tests.contract.asking import refused
from tests.contract.asking import writes
from tests.contract.machine import machine
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup

GPU3 = '/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_3'

TOLD = {
    'Bootloader': 'U-Boot 2024.01', 'Kernel': 'Linux 6.1.0 aarch64 ',
    'Microcode': '0x2b', 'OSDistribution': 'Contoso 5',
    'BootParameters': '3', 'FactoryConfiguration': '7.1',
    'Oem': {'Contoso': {'Sequencer': '9'}}}
OURS = {
    'bootloader': 'U-Boot 2024.01', 'kernel': 'Linux 6.1.0 aarch64',
    'microcode': '0x2b', 'os-distribution': 'Contoso 5',
    'boot-parameters': '3', 'factory-configuration': '7.1'}


def tell(box: Box, path: str, versions: object) -> None:
    """Let a processor report the versions."""
    document = lookup.document(box, path)
    document['AdditionalFirmwareVersions'] = versions
    box.documents.put(path, document)


def asserted(name: str, wanted: str) -> str:
    """A profile that requires a version and has no image."""
    return f"""
profile: 1
name: asserted
devices:
  gpus:
    match: {{kind: gpu}}
    count: {{min: 1}}
    firmware: {{{name}: {{version: "{wanted}"}}}}
"""


def test_additional_versions_are_components_that_are_not_updateable(
        rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    before = at.backend.observe()
    tell(at.box, GPU3, TOLD)
    after = at.backend.observe()
    gpu = next(d for d in after.devices if d.uri == GPU3)
    seen = {c.name: c for c in gpu.components if c.name in OURS}
    assert {n: c.running for n, c in seen.items()} == OURS
    assert {(c.updateable, c.activation, c.shows_pending)
            for c in seen.values()} == {(False, None, False)}
    transports = at.backend.transports(after)
    assert not [ref for w in transports for ref in w.updates if ref[1] in OURS]
    known = next(d for d in before.devices if d.uri == GPU3)
    assert [c for c in gpu.components if c.name not in OURS] == list(
        known.components)
    listed = next(d for d in inventory_to_dict(after)['devices']
                  if d['uri'] == GPU3)['components']
    assert {c['name'] for c in listed} >= set(OURS)


def test_an_additional_version_does_not_replace_the_firmware(
        rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    document = lookup.document(at.box, GPU3)
    tell(at.box, GPU3, {'Microcode': document['FirmwareVersion']})
    gpu = next(d for d in at.backend.observe().devices if d.uri == GPU3)
    assert lookup.part(gpu, 'gpu').running == lookup.part(
        gpu, 'microcode').running


@pytest.mark.parametrize(('told', 'names'), [
    (None, set()), ('1.0', set()), ([], set()), ({}, set()),
    ({'Kernel': None, 'Microcode': '5'}, {'microcode'}),
    ({'Kernel': 7, 'Microcode': '5'}, {'microcode'}),
    ({'Invented': '1', 'Microcode': '5'}, {'microcode'})])
def test_an_invalid_additional_version_affects_only_itself(
        rig: Start, told: object, names: set[str]) -> None:
    at = rig('hgx-h100', 'System_0')
    tell(at.box, GPU3, told)
    gpu = next(d for d in at.backend.observe().devices if d.uri == GPU3)
    assert {c.name for c in gpu.components} & {
        *OURS, 'invented'} == names
    assert lookup.part(gpu, 'gpu').running


def test_a_profile_can_require_an_additional_version_but_not_update_it(
        tmp_path: Path) -> None:
    with machine('pcie-a100', tmp_path) as box:
        for uri in [d.uri for d in box.backend.observe().devices
                    if d.kind == 'gpu' and d.uri]:
            tell(box.box, uri, {'Microcode': '0x2b'})
        out = box.run(asserted('microcode', '0x2b'))
        assert isinstance(out, outcome.Converged), out
        assert {(p.item.name, p.item.wanted) for p in out.proofs} == {
            ('microcode', '0x2b')}
        assert writes(box) == 0
        assert refused(box, asserted('microcode', '0x2c')) == [
            ('microcode', 'its version differs, and the profile has no '
             'image for it')]
        assert refused(box, card(
            'kind: gpu', '0x2c', 'pci: "10de:20b5"',
            component='microcode')) == [('microcode', LOCKED)]
