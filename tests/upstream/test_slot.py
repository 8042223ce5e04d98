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

"""A node whose accelerator interface is ours, from its enrolment to a tenant.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
from typing import Any

from tests import commands
from tests.functional import ramdisk
from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness import rest
from tests.functional.harness.machines import MakeMachine

VERSION = 'X-OpenStack-Ironic-API-Version'
NAME = 'accel-redfish'


def step(profile: str, **args: Any) -> dict[str, Any]:
    """The step, of the accelerator interface."""
    return {**stage.step(profile, **args), 'interface': 'accelerator'}


def trait(word: str, profile: str) -> str:
    """The trait of a profile."""
    return f"CUSTOM_ACCEL_{word}_{profile.upper().replace('-', '_')}"


def as_of(lab: Lab, version: str, path: str) -> dict[str, Any]:
    """What the API shows in one of its versions."""
    client = rest.RestClient(lab.ironic.url, {VERSION: version})
    return dict(client.get(path))


def keys(node: Mapping[str, Any]) -> set[str]:
    """The keys of ours that a node has."""
    return {k for k in node['driver_internal_info']
            if k.startswith('accel_')}


def test_the_api_shows_the_interface(lab: Lab, machine: MakeMachine) -> None:
    api = lab.ironic.api
    one = machine('--system', 'plain', '--power', 'on')
    path = f'/v1/nodes/{one.uuid}'
    # Enabled, and no node changes by it.
    assert api.node(one.uuid)['accelerator_interface'] == 'no-accelerator'
    assert api.patch_node(one.uuid, accelerator_interface=NAME)[
        'accelerator_interface'] == NAME
    assert as_of(lab, '1.116', path)['accelerator_interface'] == NAME
    assert 'accelerator_interface' not in as_of(lab, '1.115', path)
    # Dell's is of another hardware type.
    status, text = stage.refused(lambda: api.patch_node(
        one.uuid, accelerator_interface='accel-idrac'))
    assert (status, 'accel-idrac' in text or 'AccelIdrac' in text) == (
        400, True)
    driver = as_of(lab, '1.116', '/v1/drivers/accel-redfish')
    assert driver['default_accelerator_interface'] == 'no-accelerator'
    assert set(driver['enabled_accelerator_interfaces']) == {
        'no-accelerator', NAME}
    assert as_of(lab, '1.116', '/v1/drivers/redfish')[
        'enabled_accelerator_interfaces'] == ['no-accelerator']
    told = api.get(f'{path}/validate')
    assert told['accelerator']['result'] is True, told


def test_a_profile_through_the_accelerator_interface(
        lab: Lab, machine: MakeMachine,
        record_property: Any) -> None:
    api = lab.ironic.api
    one, other = stage.hgxs(machine, stage.SCALE, stage.SCALE)
    api.patch_node(one.uuid, accelerator_interface=NAME)
    with contextlib.ExitStack() as stack:
        burnt = stack.enter_context(stage.site_profile(
            lab, 'burnt', **stage.burning(lab)))
        raw = stack.enter_context(stage.site_profile(
            lab, 'raw', **stage.modes(ecc='disabled')))
        hopper = stack.enter_context(stage.site_profile(
            lab, 'hopper', **stage.modes(mig='enabled')))
        for node in (one, other):
            stage.refresh(node)
        assert api.traits(one.uuid) == api.traits(other.uuid)
        assert trait('CAN', raw) in api.traits(one.uuid)
        for node, interface in ((one, 'accelerator'), (other, 'vendor')):
            planned = api.passthru(node.uuid, 'accel_plan', 'POST',
                                   {'profile': burnt})
            assert isinstance(planned, dict)
            assert planned['interface'] == interface
        # The steps are listed once: the vendor interface has none here.
        for node, wrong, right in ((one, stage.step(burnt), 'accelerator'),
                                   (other, step(burnt), 'vendor')):
            stage.forget(node)
            before = stage.fields(api, node.uuid)
            status, text = stage.refused(lambda: api.set_provision(
                node.uuid, 'clean', clean_steps=[wrong]))  # noqa: B023
            assert status == 400, text
            assert f'request {right}.apply_profile' in text
            assert stage.fields(api, node.uuid) == before
            assert stage.ledger(node)['resets'] == []
        # The command asks the conductor which interface it is.
        for node in (one, other):
            stage.forget(node)
            told = commands.run(
                lab.ironic.url, 'accelerator', 'apply', node.uuid,
                '--profile', burnt, '--wait', '--interval', '0.3')
            assert told.status == 0, told
        counted = [stage.ledger(node) for node in (one, other)]
        assert [len(c['pushes']) for c in counted] == [1, 1]
        assert [c['violations'] for c in counted] == [[], []]
        assert len(counted[0]['resets']) == len(counted[1]['resets'])
        # The same is published and stored, whichever interface it was.
        assert trait('IS', burnt) in api.traits(one.uuid)
        assert api.traits(one.uuid) == api.traits(other.uuid)
        first, second = (api.node(node.uuid) for node in (one, other))
        assert keys(first) == keys(second)
        results = [stage.result(node) for node in (one, other)]
        assert results[0].keys() == results[1].keys()
        # How often Ironic reads the power state depends on the time taken.
        reads = [c['by_method']['GET'] for c in counted]
        record_property(stage.FIGURE, (
            'GET requests of the same run through the accelerator and the '
            f'vendor interface: {reads[0]}, {reads[1]}'))
        # A tenant, by a deploy template, and a service of the instance.
        api.provide(one.uuid)
        api.create_deploy_template(trait('CAN', raw), [
            {**step(raw), 'priority': 150}])
        stack.callback(api.delete_deploy_template, trait('CAN', raw))
        api.patch_node(one.uuid, instance_info__traits=[trait('CAN', raw)])
        lab.deploy(one)
        assert trait('IS', raw) in api.traits(one.uuid)
        api.service(one.uuid, [step(hopper)])
        assert stage.result(one)['outcome'] == 'converged'
        # note_tenant ran, once: what the tenant had is void.
        api.undeploy(one.uuid)
        api.wait_node(one.uuid, 'what a tenant had to be void', lambda n:
                      not [t for t in n['traits'] if '_IS_' in t])


def test_a_killed_ironic_goes_on_with_it(
        lab: Lab, machine: MakeMachine) -> None:
    api = lab.ironic.api
    one = stage.hgx(machine, stage.SCALE, *stage.LASTING)
    api.patch_node(one.uuid, accelerator_interface=NAME)
    with stage.site_profile(lab, 'killed', **stage.burning(lab)) as profile:
        stage.refresh(one)
        stage.forget(one)
        api.set_provision(one.uuid, 'clean', clean_steps=[step(profile)])
        stage.writing(one)
        lab.ironic.kill()
        lab.ironic.restart()
        stage.finish(one)
        api.wait_state(one.uuid, 'manageable')
        assert trait('IS', profile) in api.traits(one.uuid)
        assert len(stage.ledger(one)['pushes']) == 1


def test_in_band_the_step_is_of_the_accelerator_interface(
        lab: Lab, host_machine: MakeMachine) -> None:
    """The agent declares it for the vendor interface, on every Ironic."""
    api = lab.ironic.api
    one, host = ramdisk.boot(
        host_machine, ramdisk.with_cards(lab, 'pcie-a100'),
        accelerator_interface=NAME)
    with stage.site_profile(lab, 'inside', **ramdisk.burning(lab)) as made:
        api.clean(one.uuid, [{**ramdisk.step(made),
                              'interface': 'accelerator'}], 300)
        result = stage.result(one)
        assert (result['outcome'], result['step']) == (
            'converged', 'apply_profile_in_band')
        assert trait('IS', made) in api.traits(one.uuid)
    assert ramdisk.component(one)['running'] == ramdisk.CX7_NEW
    assert len(ramdisk.updates(host)) == 1
    assert stage.ledger(one)['violations'] == []
