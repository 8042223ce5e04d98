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

"""While a flash goes on, nobody cuts the power of the box."""

from __future__ import annotations

import time

import pytest

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import MakeMachine

#: What Ironic says at the end of each pass over the nodes' power states.
SYNCED = 'Completed power state sync operation'


def test_delete_and_power_are_refused_during_a_flash(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = stage.hgx(machine, stage.SCALE, *stage.LASTING)
    ironic.provide(one.uuid)
    with stage.site_profile(lab, 'guarded', **stage.burning(
            lab, allow=['burn_at_deploy'])) as profile:
        lab.give_instance(one)
        ironic.set_provision(one.uuid, 'active', deploy_steps=[
            {**stage.step(profile), 'priority': 150}])
        guard = stage.writing(one)
        before = stage.fields(ironic, one.uuid)
        assert before['provision_state'] == 'wait call-back'
        for call in (
                lambda: ironic.set_provision(one.uuid, 'deleted'),
                lambda: ironic.set_power(one.uuid, 'power off'),
                lambda: ironic.set_power(one.uuid, 'rebooting')):
            status, text = stage.refused(call)
            assert (status, 'firmware update in progress on gpu-' in text) == (
                409, True), text
        assert stage.flashing(one)
        assert stage.fields(ironic, one.uuid) == before
        assert guard['what'].startswith('gpu-')
        stage.finish(one)
        ironic.wait_state(one.uuid, 'active')
    told = stage.ledger(one)
    assert told['violations'] == []
    assert len(told['pushes']) == 1
    ironic.undeploy(one.uuid)


def test_the_power_sync_does_no_harm_while_an_instance_is_served(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = stage.hgx(machine, stage.SCALE, *stage.LASTING)
    ironic.provide(one.uuid)
    lab.deploy(one)
    stage.forget(one)
    with stage.site_profile(lab, 'served', **stage.burning(lab)) as profile:
        ironic.set_provision(one.uuid, 'service', service_steps=[stage.step(
            profile, max_activation='aux-cycle', allow_disruption=True)])
        stage.writing(one)
        status, text = stage.refused(
            lambda: ironic.set_provision(one.uuid, 'deleted'))
        assert (status, 'update in progress' in text) == (409, True), text
        # The sync that goes on at this moment may have begun before.
        await_power_syncs(lab, 2)
        assert stage.flashing(one)
        stage.finish(one)
        ironic.wait_state(one.uuid, 'active', 180)
    told = stage.ledger(one)
    assert told['violations'] == []
    assert len(told['pushes']) == 1
    assert stage.result(one)['outcome'] == 'converged'
    assert [r['kind'] for r in told['resets']] == [
        'GracefulShutdown', 'AuxPowerCycle', 'On']
    assert ironic.node(one.uuid)['power_state'] == 'power on'


def await_power_syncs(lab: Lab, more: int, seconds: float = 60) -> None:
    """Wait until Ironic has synced power states so often from now on."""
    log = lab.ironic.running().log
    end = time.monotonic() + seconds
    wanted = log.read_text().count(SYNCED) + more
    while log.read_text().count(SYNCED) < wanted:
        assert time.monotonic() < end, 'Ironic syncs no power states'
        time.sleep(stage.POLL)


def test_an_abort_does_not_touch_a_flash(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = stage.hgx(machine, stage.SCALE, *stage.LASTING)
    with stage.site_profile(lab, 'aborted', **stage.burning(lab)) as profile:
        ironic.set_provision(one.uuid, 'clean',
                             clean_steps=[stage.step(profile)])
        stage.writing(one)
        ironic.set_provision(one.uuid, 'abort')
        assert ironic.node(one.uuid)['provision_state'] == 'clean wait'
        assert stage.flashing(one)
        stage.finish(one)
        # Ironic ends the clean as aborted once the step is over.
        with pytest.raises(ironic_api.NodeStateError) as ended:
            ironic.wait_state(one.uuid, 'manageable', 180)
    assert ended.value.node['provision_state'] == 'clean failed'
    assert stage.result(one)['outcome'] == 'converged'
    assert stage.running(one) == {stage.NEW['gpu']}
    assert stage.ledger(one)['violations'] == []
