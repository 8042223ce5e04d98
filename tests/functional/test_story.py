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

"""The main job end to end: declared, brought about, proved, scheduled."""

from __future__ import annotations

import contextlib

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness import nova_like
from tests.functional.harness.machines import MakeMachine

RESOURCES = {'CUSTOM_BAREMETAL_ACCEL': 1}


def trait(word: str, profile: str) -> str:
    """The trait of a profile."""
    return f"CUSTOM_ACCEL_{word}_{profile.upper().replace('-', '_')}"


def test_a_profile_from_its_declaration_to_the_scheduler(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    placement = lab.placement.api
    plain = machine('--system', 'plain', '--power', 'on')
    one = stage.hgx(machine)
    ironic.manage(plain.uuid)
    ironic.add_trait(one.uuid, 'CUSTOM_OPERATOR_S_OWN')
    with contextlib.ExitStack() as stack:
        def site(name: str, **fields: object) -> str:
            return stack.enter_context(
                stage.site_profile(lab, name, **fields))

        burnt = site('burnt', **stage.burning(
            lab, allow=['burn_at_deploy']))
        # Nothing can be promised of a deploy that may not burn.
        unasked = site('unasked', **stage.burning(lab))
        raw = site('raw', **stage.modes(ecc='disabled'))
        hopper = site('hopper', **stage.modes(mig='enabled'))
        # What is there, and what it can become, on the right nodes only.
        stage.refresh(one)
        stage.refresh(plain)
        there = {'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X8',
                 'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM',
                 trait('CAN', burnt), trait('CAN', raw),
                 trait('CAN', hopper), 'CUSTOM_OPERATOR_S_OWN'}
        assert there <= ironic.traits(one.uuid)
        assert trait('CAN', unasked) not in ironic.traits(one.uuid)
        assert ironic.traits(plain.uuid) == set()
        rows = [r['component'] for r in ironic.firmware(one.uuid)]
        assert len([r for r in rows if r.endswith('/gpu')]) == 8
        # A plain NIC is listed, and yields no trait.
        assert [r['component'].rpartition('/')[2] for r in ironic.firmware(
            plain.uuid)] == ['nic']
        # A dry run has no word with the BMC.
        stage.forget(one)
        planned = ironic.passthru(one.uuid, 'accel_plan', 'POST',
                                  {'profile': burnt})
        assert isinstance(planned, dict)
        assert [s['reset'] for s in planned['plan']['stages']] == [
            'aux-cycle']
        # Brought about, and proved.
        ironic.clean(one.uuid, [stage.step(burnt)], 180)
        assert trait('IS', burnt) in ironic.traits(one.uuid)
        assert stage.running(one) == {stage.NEW['gpu']}
        told = stage.ledger(one)
        assert (len(told['pushes']), told['violations']) == (1, [])
        # Scheduled.
        for node in (one, plain):
            ironic.provide(node.uuid)
            nova_like.publish(ironic, placement, node.uuid)
            stack.callback(nova_like.forget, placement, node.uuid)
        assert placement.candidates(
            RESOURCES, [trait('IS', burnt)]) == {one.uuid}
        ironic.set_provision(one.uuid, 'manage')
        ironic.wait_state(one.uuid, 'manageable')
        # Again: nothing is done.
        stage.forget(one)
        ironic.clean(one.uuid, [stage.step(burnt)])
        assert stage.result(one)['outcome'] == 'converged'
        told = stage.ledger(one)
        assert (told['writes'], told['resets']) == ([], [])
        assert told['by_method'].keys() == {'GET'}
        # What does not survive a reboot is no lasting state.
        ironic.clean(one.uuid, [stage.step(hopper)])
        assert 'not known to survive a reboot' in stage.result(one)['no_is']
        assert trait('IS', hopper) not in ironic.traits(one.uuid)
        # Converted on the way to a tenant, served, and given back.
        ironic.provide(one.uuid)
        ironic.create_deploy_template(trait('CAN', raw), [
            {**stage.step(raw), 'priority': 150}])
        stack.callback(ironic.delete_deploy_template, trait('CAN', raw))
        ironic.patch_node(one.uuid,
                          instance_info__traits=[trait('CAN', raw)])
        lab.deploy(one)
        assert trait('IS', raw) in ironic.traits(one.uuid)
        stage.forget(one)
        ironic.service(one.uuid, [stage.step(hopper)])
        told = stage.ledger(one)
        assert (bool(told['writes']), told['resets']) == (True, [])
        ironic.undeploy(one.uuid)
        ironic.wait_node(one.uuid, 'what a tenant had to be void', lambda n:
                         not [t for t in n['traits'] if '_IS_' in t])
        assert there - {trait('CAN', burnt)} <= ironic.traits(one.uuid)


def test_mig_lasts_on_ampere(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = machine('--system', 'pcie-a100', '--power', 'on', '--time-scale',
                  str(stage.SCALE))
    ironic.manage(one.uuid)
    with stage.site_profile(lab, 'ampere', devices={'gpus': {
            'match': {'kind': 'gpu', 'product': 'nvidia-a100-pcie-80gb'},
            'count': 4, 'modes': {'mig': 'enabled'}}}) as profile:
        stage.refresh(one)
        assert trait('CAN', profile) in ironic.traits(one.uuid)
        stage.forget(one)
        ironic.clean(one.uuid, [stage.step(profile)])
        assert {trait('IS', profile), 'CUSTOM_ACCEL_GPU_MIG',
                'CUSTOM_ACCEL_GPU_X4'} <= ironic.traits(one.uuid)
        # Not one host reset: the devices were reset by themselves.
        assert stage.ledger(one)['resets'] == [] or all(
            r['target'].startswith('GPU')
            for r in stage.ledger(one)['resets'])
        # A lost card is told, and takes back what it makes untrue.
        devices = one.twin.state()
        assert isinstance(devices, dict)
        gpu = next(k for k, v in devices['devices'].items()
                   if v['kind'] == 'gpu')
        one.twin.control.post('/device', {'device': gpu, 'present': False})
        stage.refresh(one)
        traits = ironic.traits(one.uuid)
    assert 'CUSTOM_ACCEL_DEGRADED' in traits
    assert not {trait('IS', profile), trait('CAN', profile),
                'CUSTOM_ACCEL_GPU_X4'} & traits
