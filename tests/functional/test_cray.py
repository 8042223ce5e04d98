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

"""The two nodes of a recorded Cray EX235n, behind their one BMC.

What activates the FPGA of its A100 board has been published by nobody, so
the catalogue's row is null and nothing of it is changed. Here the site has a
row of its own (``catalogue/cray.yaml``), as an operator who knows would.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
from typing import Any

import pytest

from ironic_accel_emulator import images
from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine
from tests.functional.test_shared_bmc import remove

CAPTURE = (pathlib.Path(__file__).parents[3]
           / 'shared/captures/a100x4-cray-ex235n.tar.gz')
NAMES = ('Node0', 'Node1')
OLD, NEW = '2.7', '2.8'
BOARD = 'NVIDIA.HGX.A100.4.GPU'
#: Simulated seconds that a flash takes.
FLASH = 1200.0

Pair = tuple[Machine, Machine]


@pytest.fixture
def pair(lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
         ) -> Iterator[Pair]:
    """Manageable nodes for both Systems."""
    if not CAPTURE.exists():
        pytest.skip(f'no capture {CAPTURE.name} beside the repository')
    # Ironic finds virtual media by the manager of a System, and these name
    # none (``Links/ManagedBy``).
    first = machine('--capture', str(CAPTURE), '--power', 'on',
                    '--time-scale', str(stage.SCALE),
                    system=f'/redfish/v1/Systems/{NAMES[0]}',
                    boot_interface='ipxe')
    second = Machine(first.ironic, first.twin, lab.enroll(
        first.twin.url, f'/redfish/v1/Systems/{NAMES[1]}',
        boot_interface='ipxe'))
    for number, one in enumerate((first, second)):
        ironic.create_port(one.uuid, f'02:00:00:00:00:{number:02}')
    for name, one in zip(NAMES, (first, second), strict=True):
        activates(first, name, 'power-cycle')
        ironic.manage(one.uuid)
    yield first, second
    remove(ironic, second)


def activates(box: Machine, name: str, activation: str) -> None:
    """Let the truth be so about the FPGA of a node's board."""
    box.twin.control.post('/device', {
        'component': f'{name}.AccFPGA0', 'effect': activation})


def burning(lab: Lab, **more: Any) -> dict[str, Any]:
    """Fields of a profile that burns the FPGA of a node's board."""
    path = lab.folder / 'images' / 'acc-fpga.bin'
    digest = images.plain_image(path, 'fpga', NEW)
    return {
        'images': {'fw': {'url': f'{lab.images.url}/{path.name}',
                          'sha256': digest, 'fits': {'board': BOARD}}},
        'devices': {'board': {
            'match': {'kind': 'baseboard'}, 'count': 1,
            'firmware': {'fpga': {'version': NEW, 'image': 'fw'}}}},
        **more}


def fpgas(box: Machine) -> dict[str, str]:
    """What the FPGA of each node's board runs."""
    state = box.twin.state()
    assert isinstance(state, dict)
    return {name: state['components'][f'{name}.AccFPGA0']['running']
            for name in NAMES}


def resets(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Whom a reset has reached, and how."""
    return [(r['target'], r['kind']) for r in told['resets']]


def test_both_nodes_burn_at_once_and_push_one_after_another(
        lab: Lab, ironic: ironic_api.IronicApi, pair: Pair) -> None:
    box = pair[0]
    with stage.site_profile(lab, 'cray', **burning(lab)) as profile:
        stage.forget(box)
        for one in pair:
            ironic.set_provision(one.uuid, 'clean',
                                 clean_steps=[stage.step(profile)])
        for one in pair:
            ironic.wait_state(one.uuid, 'manageable', 180)
    told = stage.ledger(box)
    assert told['violations'] == []
    first, second = told['pushes']
    assert second['time'] - first['time'] >= FLASH
    assert {name for push in (first, second) for name in push['targets']} == {
        f'/redfish/v1/UpdateService/FirmwareInventory/{name}.AccFPGA0'
        for name in NAMES}
    # Each has reset its own System, once, and nobody the enclosure.
    assert sorted(resets(told)) == [
        ('Node0', 'ForceOff'), ('Node0', 'On'),
        ('Node1', 'ForceOff'), ('Node1', 'On')]
    assert fpgas(box) == {'Node0': NEW, 'Node1': NEW}
    for one in pair:
        assert stage.result(one)['outcome'] == 'converged'


def test_a_node_is_reset_beside_an_active_one_but_never_over_its_head(
        lab: Lab, ironic: ironic_api.IronicApi, pair: Pair) -> None:
    one, neighbour = pair
    ironic.provide(neighbour.uuid)
    lab.deploy(neighbour)
    # The row is wrong about this one: its System's own power is too little.
    activates(one, 'Node0', 'aux-cycle')
    stage.forget(one)
    with stage.site_profile(lab, 'cray', **burning(
            lab, limits={'reset': 'aux-cycle'})) as profile:
        ironic.set_provision(one.uuid, 'clean',
                             clean_steps=[stage.step(profile)])
        ironic.wait_state(one.uuid, 'clean failed', 180)
    told = stage.ledger(one)
    error = ironic.why(one.uuid)
    assert 'fpga: not applied' in error
    assert 'a reset stronger than power-cycle was not allowed' in error
    assert f'node {neighbour.uuid}, which shares the BMC, is active' in error
    assert len(told['pushes']) == 1
    assert told['violations'] == []
    assert resets(told) == [('Node0', 'ForceOff'), ('Node0', 'On')]
    assert fpgas(one) == {'Node0': OLD, 'Node1': OLD}
    assert ironic.node(neighbour.uuid)['power_state'] == 'power on'
