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

"""A GPU that changes its System is never counted on two nodes at once."""

from __future__ import annotations

from typing import Any

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine
from tests.functional.test_shared_bmc import remove

SERIAL = '1322520068322'
ONE, TWO = 'CUSTOM_ACCEL_GPU_X1', 'CUSTOM_ACCEL_GPU_X2'


def counts(ironic: ironic_api.IronicApi, machine: Machine) -> set[str]:
    """What a node is published to have."""
    return set(ironic.traits(machine.uuid)) & {ONE, TWO}


def test_the_first_node_gives_a_gpu_up_before_the_second_has_it(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine) -> None:
    # Its BMC does not tell when the hosts were reset: two equal looks have to
    # settle each tree.
    first = machine('--system', 'two-nodes', '--power', 'on',
                    system='/redfish/v1/Systems/Node0')
    hands = first.twin.control
    hands.post('/device', {'device': 'Node1.GPU1', 'present': False})
    second = Machine(first.ironic, first.twin, lab.enroll(
        first.twin.url, '/redfish/v1/Systems/Node1'))
    try:
        for one in (first, second):
            ironic.manage(one.uuid)
        # Nobody asks for the second look after the one of verify.
        for one, count in ((first, TWO), (second, ONE)):
            ironic.wait_node(one.uuid, count, lambda node, count=count: (
                count in node['traits']))
        hands.post('/device', {'device': 'Node0.GPU1', 'present': False})
        hands.post('/device', {'device': 'Node1.GPU1', 'present': True,
                               'serial': SERIAL})
        ironic.passthru(second.uuid, 'accel_refresh', 'POST', {})
        twice = []

        def ended(told: dict[str, Any]) -> Any:
            # The second first: what it has, the first must have given up.
            later, earlier = counts(ironic, second), counts(ironic, first)
            twice.append(TWO in later and TWO in earlier)
            return told['result']

        result = stage.wait(second, 'the GPU to be counted', ended)
        assert result['outcome'] == 'done'
        assert 'withheld' not in result
        assert counts(ironic, first) == {ONE}
        assert counts(ironic, second) == {TWO}
        assert len(twice) > 1
        assert not any(twice)
        said = f'gpu-{SERIAL} is still claimed by node {first.uuid}'
        assert any(said in event['event']
                   for event in ironic.history(second.uuid))
    finally:
        remove(ironic, second)
