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

"""Two nodes behind one BMC do not get in each other's way."""

from __future__ import annotations

import pathlib
from typing import Any

from ironic_accel_emulator import images
from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine

BOX = pathlib.Path(__file__).with_name('boxes') / 'two-dpus.yaml'
VERSION, PSID = '32.43.1014', 'MT_0000000884'
#: Simulated seconds that a flash takes.
FLASH = 1200.0


def nodes(lab: Lab, machine: MakeMachine) -> tuple[Machine, Machine]:
    """Manageable nodes for both hosts of one box."""
    first = machine('--system', str(BOX), '--power', 'on', '--time-scale',
                    str(stage.SCALE), system='/redfish/v1/Systems/Host0')
    second = Machine(first.ironic, first.twin, lab.enroll(
        first.twin.url, '/redfish/v1/Systems/Host1'))
    for one in (first, second):
        first.ironic.api.manage(one.uuid)
    return first, second


def burning(lab: Lab) -> dict[str, Any]:
    """Fields of a profile that burns the DPU of a host.

    Nothing published says that this service writes its targets alone, so
    the other host's DPU is collateral that has to be consented to.
    """
    path = lab.folder / 'images' / 'bluefield.bin'
    digest = images.mlnx_image(path, VERSION, PSID)
    return {
        'allow': ['collateral'],
        'images': {'nic': {'url': f'{lab.images.url}/{path.name}',
                           'sha256': digest, 'fits': {'psid': PSID}}},
        'devices': {'dpus': {
            'match': {'kind': 'dpu'}, 'count': 1,
            'firmware': {'nic': {'version': VERSION, 'image': 'nic'}}}}}


def test_nodes_behind_one_bmc_push_one_after_another(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    both = nodes(lab, machine)
    box = both[0]
    try:
        with stage.site_profile(lab, 'shared', **burning(lab)) as profile:
            stage.forget(box)
            for one in both:
                ironic.set_provision(one.uuid, 'clean',
                                     clean_steps=[stage.step(profile)])
            for one in both:
                ironic.wait_state(one.uuid, 'manageable', 240)
        told = stage.ledger(box)
        assert told['violations'] == []
        assert len(told['pushes']) == 2
        first, second = (push['time'] for push in told['pushes'])
        assert second - first >= FLASH
        assert sorted((r['target'], r['kind']) for r in told['resets']) == [
            ('Host0', 'GracefulShutdown'), ('Host0', 'On'),
            ('Host1', 'GracefulShutdown'), ('Host1', 'On')]
        for one in both:
            assert stage.result(one)['outcome'] == 'converged'
    finally:
        remove(ironic, both[1])


def test_a_reset_of_the_whole_bmc_waits_for_no_neighbour(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    # Both are of one System, so the second one comes when nothing changes
    # its power any more: Ironic's sync would set it back.
    neighbour = stage.hgx(machine)
    ironic.provide(neighbour.uuid)
    lab.deploy(neighbour)
    one = Machine(neighbour.ironic, neighbour.twin, lab.enroll(
        neighbour.twin.url, stage.SYSTEM))
    try:
        ironic.manage(one.uuid)
        stage.forget(one)
        with stage.site_profile(lab, 'wide', **stage.burning(lab)) as profile:
            asked = [stage.step(profile)]
            status, error = stage.refused(
                lambda: ironic.clean(one.uuid, asked))
        assert status == 400
        assert 'refused, nothing was changed' in error
        assert (f'node {neighbour.uuid}, which shares the BMC, is active'
                in error)
        told = stage.ledger(one)
        assert (told['pushes'], told['writes'], told['resets']) == (
            [], [], [])
    finally:
        remove(ironic, one)


def remove(ironic: ironic_api.IronicApi, machine: Machine) -> None:
    """Take a node away whose box is another node's too."""
    ironic.wait_node(machine.uuid, 'no reservation',
                     lambda node: node['reservation'] is None)
    ironic.set_maintenance(machine.uuid, True)
    ironic.delete_node(machine.uuid)
