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

"""A refusal, a failed look and a no-op touch no power, on Ironic's own boot
and deploy interfaces: what was sent to the BMC is counted by itself."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine

BOOTS = ('redfish-virtual-media', 'redfish-https', 'ipxe')
DEPLOYS = ('direct', 'ramdisk', 'custom-agent')
#: A step that only looks: what is refused after it is refused by the step
#: itself, not by the API.
LOOK = {'interface': 'vendor', 'step': 'refresh_traits'}
#: Inventories after which a silent BMC is given up (``max_failures``), and
#: seconds that a machine which does other things besides may take for them.
SILENT, PATIENCE = 10, 200
MEDIA = f'{stage.SYSTEM}/VirtualMedia/CD1'


def put_on(machine: Machine, boot: str, deploy: str) -> None:
    """Give a node other interfaces, as an operator may in maintenance."""
    api = machine.ironic.api
    api.set_maintenance(machine.uuid, True)
    api.patch_node(machine.uuid, boot_interface=boot,
                   deploy_interface=deploy)
    api.set_maintenance(machine.uuid, False)
    stage.forget(machine)


def untouched(machine: Machine) -> bool:
    """Whether neither power nor devices were written to."""
    told = stage.ledger(machine)
    return (told['resets'], told['writes'], told['pushes']) == ([], [], [])


def test_an_active_node_is_left_on(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = stage.hgx(machine)
    ironic.provide(one.uuid)
    lab.deploy(one)
    with stage.site_profile(lab, 'reset', **stage.modes(
            ecc='disabled')) as wants_reset, stage.site_profile(
                lab, 'as-is', **stage.modes(ecc='enabled')) as as_it_is:
        for boot, deploy in itertools.product(BOOTS, DEPLOYS):
            put_on(one, boot, deploy)
            # By the API, before anything.
            before = stage.fields(ironic, one.uuid)
            asked = [stage.step(wants_reset)]
            status, text = stage.refused(lambda: ironic.service(
                one.uuid, asked))  # noqa: B023 - it is called at once
            assert (status, 'max_activation of the step is none' in text) == (
                400, True), text
            assert stage.fields(ironic, one.uuid) == before
            # By the step, after a look.
            ironic.service(one.uuid, [LOOK, *asked, LOOK])
            told = stage.result(one)
            assert (told['step'], told['outcome']) == (
                'apply_profile', 'refused')
            assert any(
                'steps that were not run: vendor.refresh_traits' in e['event']
                for e in ironic.history(one.uuid))
            # Nothing to do.
            ironic.service(one.uuid, [stage.step(as_it_is)])
            assert stage.result(one)['outcome'] == 'converged'
            node = ironic.node(one.uuid)
            assert (node['power_state'], node['maintenance']) == (
                'power on', False)
            assert untouched(one), (boot, deploy)
        # A look that fails: nobody may power on what is off.
        put_on(one, 'redfish-virtual-media', 'direct')
        ironic.set_power(one.uuid, 'power off')
        ironic.wait_node(one.uuid, 'power off', lambda node: (
            node['power_state'] == 'power off' and not node['reservation']))
        stage.forget(one)
        ironic.service(one.uuid, [stage.step(as_it_is)])
        assert stage.result(one)['outcome'] == 'failed'
        assert untouched(one)
        assert ironic.node(one.uuid)['power_state'] == 'power off'
    put_on(one, 'redfish-virtual-media', 'ramdisk')
    ironic.undeploy(one.uuid)


@pytest.mark.parametrize(('boot', 'deploy'), [
    ('redfish-virtual-media', 'direct'), ('redfish-virtual-media', 'ramdisk'),
    ('redfish-https', 'custom-agent')])
def test_a_refused_clean_fails_and_leaves_the_host_on(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine,
        boot: str, deploy: str) -> None:
    one = stage.hgx(machine)
    put_on(one, boot, deploy)
    with stage.site_profile(lab, 'reset', **stage.modes(
            ecc='disabled')) as profile:
        asked = stage.step(profile, max_activation='none')
        status, _text = stage.refused(
            lambda: ironic.clean(one.uuid, [asked]))
        assert status == 400
        with pytest.raises(ironic_api.NodeStateError) as ended:
            ironic.clean(one.uuid, [LOOK, asked], disable_ramdisk=True)
    assert ended.value.node['provision_state'] == 'clean failed'
    assert 'refused, nothing was changed' in ironic.why(one.uuid)
    assert untouched(one)
    assert ironic.node(one.uuid)['power_state'] == 'power on'


@pytest.mark.parametrize('deploy', ['direct', 'ramdisk'])
def test_a_refused_deploy_begins_nothing(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine,
        deploy: str) -> None:
    one = stage.hgx(machine)
    ironic.provide(one.uuid)
    put_on(one, 'redfish-virtual-media', deploy)
    with stage.site_profile(lab, 'burns', **stage.burning(lab)) as profile:
        status, text = stage.refused(lambda: ironic.deploy(
            one.uuid, deploy_steps=[
                {**stage.step(profile), 'priority': 150}]))
    assert (status, 'burn_at_deploy' in text) == (400, True), text
    assert ironic.node(one.uuid)['provision_state'] == 'available'
    assert untouched(one)


@pytest.mark.parametrize('deploy', ['direct', 'ramdisk'])
def test_a_deploy_that_its_step_refuses_fails_and_is_not_torn_down(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine,
        deploy: str) -> None:
    one = stage.hgx(machine)
    ironic.provide(one.uuid)
    put_on(one, 'redfish-virtual-media', deploy)
    # What follows another step is not refused by what is stored.
    with stage.site_profile(lab, 'burns', **stage.burning(lab)) as profile, \
            pytest.raises(ironic_api.NodeStateError) as ended:
        lab.deploy(one, deploy_steps=[
            {**LOOK, 'args': {}, 'priority': 160},
            {**stage.step(profile), 'priority': 150}])
    node = ended.value.node
    assert node['provision_state'] == 'deploy failed'
    why = ironic.why(one.uuid)
    assert 'refused, nothing was changed' in why
    assert 'burn_at_deploy' in why
    told = stage.ledger(one)
    assert (told['writes'], told['pushes'], told['violations']) == (
        [], [], [])
    # Ironic's deploy begins with the host off; each step of ours powers it
    # on to look, and off again. Then nobody does anything any more.
    kinds = [r['kind'] for r in told['resets']]
    assert kinds == ['ForceOff', 'On', 'ForceOff', 'On', 'ForceOff']
    assert ironic.node(one.uuid)['power_state'] == 'power off'
    ironic.undeploy(one.uuid)


def test_a_bmc_that_is_silent_ends_a_service_soon_and_active(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = stage.hgx(machine)
    ironic.provide(one.uuid)
    lab.deploy(one)
    put_on(one, 'redfish-virtual-media', 'direct')
    with stage.site_profile(lab, 'as-is', **stage.modes(
            ecc='enabled')) as profile:
        stage.fault(one, 'refuse', match='/redfish')
        ironic.service(one.uuid, [stage.step(profile), LOOK], PATIENCE)
    stage.lift(one)
    told = stage.result(one)
    assert told['outcome'] == 'failed'
    assert 'does not answer' in told['error']['summary'], told
    counted = re.findall(
        rf'{one.uuid}: inventory failed (\d+) times in a row',
        lab.ironic.running().log.read_text(errors='replace'))
    assert [int(n) for n in counted] == [*range(1, SILENT)]
    assert any('steps that were not run: vendor.refresh_traits' in e['event']
               for e in ironic.history(one.uuid))
    assert untouched(one)
    assert stage.read(one, stage.SYSTEM)['PowerState'] == 'On'


def test_a_ramdisk_is_deployed_by_virtual_media(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    """Ironic's own interfaces work on the simulated BMC, so that a refused
    service meets them as on a real one."""
    iso = lab.folder / 'images' / 'instance.iso'
    iso.write_bytes(bytes(4096))
    url = f'{lab.images.url}/{iso.name}'
    one = stage.hgx(machine)
    ironic.patch_node(one.uuid, driver_info__deploy_iso=url)
    ironic.provide(one.uuid)
    put_on(one, 'redfish-virtual-media', 'ramdisk')
    ironic.patch_node(one.uuid, instance_info={
        'boot_iso': url, 'ramdisk_image_download_source': 'http'})
    ironic.deploy(one.uuid)
    assert stage.read(one, MEDIA)['Inserted'] is True
    stage.forget(one)
    with stage.site_profile(lab, 'reset', **stage.modes(
            ecc='disabled')) as profile:
        ironic.service(one.uuid, [LOOK, stage.step(profile)])
    assert stage.result(one)['outcome'] == 'refused'
    assert untouched(one)
    assert stage.read(one, MEDIA)['Inserted'] is True
