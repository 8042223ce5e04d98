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


"""A baseline in a cleaning that has a ramdisk, and the step after it."""

from __future__ import annotations

from tests.functional import ramdisk
from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.agent import Host
from tests.functional.harness.machines import MakeMachine
from tests.functional.test_story import trait


def test_a_baseline_leaves_an_agent_to_the_step_after_it(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine
        ) -> None:
    """The reset that it needs ends the agent that the cleaning began with.

    GPUs by the BMC, the card by the agent; then a step of the agent's.
    """
    base = stage.modes(ecc='disabled')
    base['devices']['nics'] = {
        'match': ramdisk.CX7, 'count': 1, 'modes': {'vf-limit': 16}}
    with stage.site_profile(lab, 'base', **base) as made, \
            stage.site_profile(lab, 'after', devices={'nics': {
                'match': ramdisk.CX7, 'modes': {'vf-limit': 16}}}) as after:
        one, host = ramdisk.boot(
            host_machine, ramdisk.with_cards(lab, 'hgx-h100'),
            system=stage.SYSTEM, driver_info={'accel_baseline': made})
        ironic.clean(one.uuid, [
            {'interface': 'vendor', 'step': 'apply_baseline'},
            ramdisk.step(after)])
        result = stage.result(one)
        assert (result['step'], result['outcome'], result['resets']) == (
            'apply_profile_in_band', 'converged', 0)
        assert trait('IS', made) in ironic.traits(one.uuid)
        assert len(host.boots) == 2
        assert ramdisk.settings(host)['NUM_OF_VFS'] == 16
        assert stage.ledger(one)['violations'] == []


def test_automated_cleaning_brings_the_baseline_back_after_a_tenant(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine
        ) -> None:
    """The way of design with a ramdisk; the other is a cleaning runbook."""
    with stage.site_profile(lab, 'base', devices={'nics': {
            'match': ramdisk.CX7, 'count': 1, 'modes': {'vf-limit': 16}}}
            ) as made:
        one, host = ramdisk.boot(
            host_machine, ramdisk.with_cards(lab, 'pcie-a100'),
            automated_clean=True, driver_info={
                'accel_baseline': made, 'deploy_forces_oob_reboot': True})
        ironic.provide(one.uuid)
        assert ramdisk.settings(host)['NUM_OF_VFS'] == 16
        assert trait('IS', made) in ironic.traits(one.uuid)

        lab.deploy(one)
        tenant_sets(host, 64)
        ironic.undeploy(one.uuid)
        assert ramdisk.settings(host)['NUM_OF_VFS'] == 16
        assert trait('IS', made) in ironic.traits(one.uuid)
        assert stage.result(one)['step'] == 'apply_baseline'
        assert stage.ledger(one)['violations'] == []


def tenant_sets(host: Host, number: int) -> None:
    """What a tenant with mstconfig leaves behind, reboot included."""
    with host.inside.change() as state:
        card, = [c for c in state['cards'].values()
                 if c['facts'].get('psid') == ramdisk.CX7_PSID]
        card['settings']['NUM_OF_VFS']['current'] = number
    assert ramdisk.settings(host)['NUM_OF_VFS'] == number
