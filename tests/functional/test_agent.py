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

"""In-band life with a real ironic-python-agent, booted by the twin."""

from __future__ import annotations

import contextlib
import json
import runpy

import pytest
from tests.functional import ramdisk
from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness import NodeStateError
from tests.functional.harness.machines import MakeMachine
from tests.functional.test_story import trait


def test_inspected_then_burnt_and_set_by_the_agent(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine
        ) -> None:
    one, host = ramdisk.boot(
        host_machine, ramdisk.with_cards(lab, 'pcie-a100'))
    ironic.inspect(one.uuid)
    data = ironic.inventory(one.uuid)['plugin_data']
    told = data['accelerators']['inventory']
    assert (told['schema'], told['settled'], told['unread']) == (
        'inventory/3', True, [])
    assert 'agent' in told['seen_via']
    assert {d['serial'] for d in told['devices']} >= {
        'MT2245X00002', 'XFL1ABCDEFG1', '1324521000001'}
    # What the agent saw stands on the node, before any step ran.
    assert {'CUSTOM_ACCEL_GPU_X4', 'CUSTOM_ACCEL_GPU_ECC',
            'CUSTOM_ACCEL_GPU_NVIDIA_A100_PCIE_80GB',
            'CUSTOM_ACCEL_FPGA_AMD_ALVEO_U55C'} <= ironic.traits(one.uuid)
    assert [e['type'] for e in ironic.node(one.uuid)['properties'][
        'accelerators']].count('GPU') == 4
    with contextlib.ExitStack() as stack:
        wanted = ramdisk.burning(
            lab, {'vf-limit': 16, 'link-type': ['ib', 'ib']})
        wanted['devices']['dpus'] = {
            'match': ramdisk.BLUEFIELD, 'modes': {'mode': 'nic'}}
        made = stack.enter_context(
            stage.site_profile(lab, 'in-band', **wanted))
        ironic.clean(one.uuid, [ramdisk.step(made)])
        result = stage.result(one)
        assert (result['outcome'], result['step']) == (
            'converged', 'apply_profile_in_band')
        assert trait('IS', made) in ironic.traits(one.uuid)
        # One box, seen both ways: its BMC has written nothing of this.
        assert ramdisk.component(one)['running'] == ramdisk.CX7_NEW
        assert ramdisk.settings(host).items() >= {
            'NUM_OF_VFS': 16, 'LINK_TYPE_P1': 1, 'LINK_TYPE_P2': 1}.items()
        assert ramdisk.settings(host, ramdisk.BLUEFIELD_PSID)[
            'INTERNAL_CPU_OFFLOAD_ENGINE'] == 1
        assert stage.ledger(one)['writes'] == []
        # The DPU took a power cycle, and the ramdisk came back from it: an
        # inspection, a cleaning, and its second half.
        assert (result['resets'], len(host.boots)) == (1, 3)
        assert None not in host.boots
        assert stage.ledger(one)['violations'] == []
        # Again: the agent looks, and nothing is done.
        updates = ramdisk.updates(host)
        assert len(updates) == 1
        ironic.clean(one.uuid, [ramdisk.step(made)])
        result = stage.result(one)
        assert (result['outcome'], result['writes'], result['resets']) == (
            'converged', 0, 0)
        assert ramdisk.updates(host) == updates


def test_an_agent_from_virtual_media_burns_and_comes_back_from_a_cycle(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine
        ) -> None:
    """Its image was built beforehand, so that no token comes with it."""
    one, host = ramdisk.boot(
        host_machine, ramdisk.with_cards(lab, 'pcie-a100'),
        boot_interface='redfish-virtual-media')
    wanted = ramdisk.burning(lab)
    wanted['devices']['dpus'] = {
        'match': ramdisk.BLUEFIELD, 'modes': {'mode': 'nic'}}
    with stage.site_profile(lab, 'by-media', **wanted) as made:
        ironic.clean(one.uuid, [ramdisk.step(made)])
        result = stage.result(one)
        assert (result['outcome'], result['resets']) == ('converged', 1)
        assert trait('IS', made) in ironic.traits(one.uuid)
    assert len(host.boots) == 2
    assert all(b and 'ipa-agent-token' not in b for b in host.boots)
    assert ramdisk.component(one)['running'] == ramdisk.CX7_NEW
    assert stage.ledger(one)['violations'] == []
    # Ironic ejects it, and the host is left off, as after any clean.
    assert stage.read(one, '/redfish/v1/Systems/1/VirtualMedia/CD1')[
        'Inserted'] is False


def test_an_image_for_another_board_fails_with_both_names(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine
        ) -> None:
    one, host = ramdisk.boot(
        host_machine, ramdisk.with_cards(lab, 'pcie-a100'))
    with stage.site_profile(lab, 'misfit', **ramdisk.burning(
            lab, psid='MT_0000000001')) as made, \
            pytest.raises(NodeStateError):
        ironic.clean(one.uuid, [ramdisk.step(made)])
    node = ironic.node(one.uuid)
    assert node['provision_state'] == 'clean failed'
    why = ironic.why(one.uuid)
    assert 'PSID' in why
    assert 'MT_0000000001' in why
    assert stage.result(one)['outcome'] == 'failed'
    assert ramdisk.updates(host) == []
    stage.clean_up(one)


def test_both_ways_in_a_deploy_then_a_first_boot_and_a_service(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine,
        capsys: pytest.CaptureFixture[str]) -> None:
    one, host = ramdisk.boot(
        host_machine, ramdisk.with_cards(lab, 'hgx-h100'),
        system=stage.SYSTEM)
    root = ramdisk.debian(host)
    both = stage.burning(lab, allow=['burn_at_deploy'])
    both['devices']['nics'] = {
        'match': ramdisk.CX7, 'count': 1, 'modes': {'vf-limit': 16}}
    ironic.provide(one.uuid)
    with stage.site_profile(lab, 'both', **both) as made, \
            stage.site_profile(lab, 'first', allow=['first_boot'], devices={
                'nics': {'match': ramdisk.CX7, 'modes': {'vfs': 4}}}
            ) as first:
        lab.deploy(one, deploy_steps=[
            {**ramdisk.step(made), 'priority': 90},
            {**stage.step(first), 'step': 'deliver_first_boot',
             'priority': 70}])
        # The GPUs by the BMC, whose bundle an auxiliary cycle activates
        # under the agent; the card by the agent that came after it.
        assert stage.running(one) == {stage.NEW['gpu']}
        assert 'AuxPowerCycle' in ''.join(
            r['kind'] for r in stage.ledger(one)['resets'])
        assert ramdisk.settings(host)['NUM_OF_VFS'] == 16
        # Ironic's deploy interface wrote its image in between, once.
        assert len(host.written) == 1
        assert trait('IS', made) in ironic.traits(one.uuid)
        assert trait('IS', first) not in ironic.traits(one.uuid)
        document = json.loads(
            (root / 'etc/ironic-accel/first-boot.json').read_text())
        assert [(i['mode'], i['wanted']) for i in document['items']] == [
            ('vfs', 4)]
        # The instance runs it at every boot: twice, to the same end.
        applier = runpy.run_path(
            str(root / 'usr/local/lib/ironic-accel/first-boot.py'))
        for told in ('set to 4', 'is already 4'):
            assert applier['apply'](document, str(host.root), 0) is True
            assert told in capsys.readouterr().out
        host.wait_disk()
        assert stage.ledger(one)['violations'] == []
    with stage.site_profile(lab, 'served', devices={'nics': {
            'match': ramdisk.CX7, 'modes': {'vf-limit': 32}}}) as served:
        ironic.service(one.uuid, [ramdisk.step(
            served, max_activation='power-cycle', allow_disruption=True)])
        assert ramdisk.settings(host)['NUM_OF_VFS'] == 32
        assert stage.result(one)['operation'] == 'service'
        # Back in the instance.
        host.wait_disk()


def test_an_auxiliary_cycle_under_the_agent_then_an_in_band_step(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine
        ) -> None:
    one, host = ramdisk.boot(
        host_machine, ramdisk.with_cards(lab, 'hgx-h100'),
        system=stage.SYSTEM)
    with stage.site_profile(lab, 'outside', **stage.burning(lab)) as outside, \
            stage.site_profile(
                lab, 'inside', **ramdisk.burning(lab)) as inside:
        ironic.clean(one.uuid, [stage.step(outside), ramdisk.step(inside)])
        assert {trait('IS', outside), trait('IS', inside)} <= (
            ironic.traits(one.uuid))
    told = stage.ledger(one)
    assert 'AuxPowerCycle' in ''.join(r['kind'] for r in told['resets'])
    assert told['violations'] == []
    assert stage.running(one) == {stage.NEW['gpu']}
    assert ramdisk.component(one)['running'] == ramdisk.CX7_NEW
    assert len(ramdisk.updates(host)) == 1


def test_an_agent_that_dies_in_a_burn_leaves_a_node_that_tells_so(
        lab: Lab, ironic: ironic_api.IronicApi, host_machine: MakeMachine
        ) -> None:
    one, host = ramdisk.boot(
        host_machine, ramdisk.with_cards(lab, 'pcie-a100'))
    ramdisk.pace(host, 4)
    with stage.site_profile(lab, 'killed', **ramdisk.burning(lab)) as made:
        ironic.set_provision(one.uuid, 'clean',
                             clean_steps=[ramdisk.step(made)])
        stage.wait(one, 'a burn', lambda told: (
            told['guard'] and ramdisk.flashes(host)))
        host.kill_agent()
        ironic.wait_node(one.uuid, 'clean failed', lambda node: (
            node['provision_state'] == 'clean failed'))
        assert 'unknown' in ironic.why(one.uuid)
        assert trait('IS', made) not in ironic.traits(one.uuid)
        # The tool did not die with the agent, and nothing cuts it short:
        # nobody knows that it has ended by now.
        assert len(ramdisk.updates(host)) == 1
        stage.clean_up(one)
        status, text = stage.refused(lambda: ironic.clean(
            one.uuid, [ramdisk.step(made)]))
        assert (status, 'update in progress' in text) == (409, True)
        # Somebody looks at the host's console, and resets it by hand.
        ramdisk.reset(one)
        stage.wait(one, 'the guard to fall', lambda told: not told['guard'])
        ironic.clean(one.uuid, [ramdisk.step(made)])
        assert trait('IS', made) in ironic.traits(one.uuid)
        assert len(ramdisk.updates(host)) == 1
        assert stage.ledger(one)['violations'] == []
        assert ramdisk.component(one)['running'] == ramdisk.CX7_NEW
