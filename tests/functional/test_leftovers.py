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

"""What a delete leaves behind is not taken for the next thing's."""

from __future__ import annotations

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import MakeMachine


def test_a_deleted_deploy_leaves_no_operation_for_the_next_clean(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = stage.hgx(machine)
    ironic.provide(one.uuid)
    with stage.site_profile(lab, 'deleted', **stage.modes(ecc='disabled')
                            ) as profile:
        # The devices do not appear, so the step waits, and writes nothing.
        stage.fault(one, 'late-devices', value='100000')
        ironic.set_power(one.uuid, 'rebooting')
        ironic.wait_node(one.uuid, 'no reservation',
                         lambda node: node['reservation'] is None)
        lab.give_instance(one)
        ironic.set_provision(one.uuid, 'active', deploy_steps=[
            {**stage.step(profile), 'priority': 150}])
        stage.wait(one, 'the step to wait for devices', lambda told: (
            'is booting' in (told['operation'] or {}).get('progress', '')))
        ironic.undeploy(one.uuid)
        ironic.wait_node(one.uuid, 'no operation', lambda node: (
            'accel_operation' not in node['driver_internal_info']
            and not node['deploy_step']))
        assert stage.ledger(one)['writes'] == []
        stage.lift(one)
        ironic.set_provision(one.uuid, 'manage')
        ironic.wait_state(one.uuid, 'manageable')
        ironic.clean(one.uuid, [stage.step(profile)])
    told = stage.result(one)
    assert (told['operation'], told['outcome']) == ('clean', 'converged')
    assert told['writes'] > 0
