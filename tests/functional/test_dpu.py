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

"""A DPU with a BMC of its own, changed by a step on the host it is in."""

from __future__ import annotations


import pytest

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import MakeMachine

NIC_MODE = 'CUSTOM_ACCEL_DPU_MODE_NIC'
DPU_MODE = 'CUSTOM_ACCEL_DPU_MODE_DPU'
SCALE = ('--power', 'on', '--time-scale', str(stage.SCALE))


@pytest.mark.parametrize(('generation', 'server'), [
    (2, 'plain'), (3, 'pcie-a100')])
def test_the_mode_of_a_dpu_is_set_by_its_host(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine,
        generation: int, server: str) -> None:
    """A BlueField-2 takes it as a BIOS attribute, a BlueField-3 by an action.

    The card's own resets do not activate it: its power is that of the slot.
    """
    name = f'bluefield-{generation}'
    host = machine('--system', server, *SCALE)
    card = machine('--system', name, '--slot-powered', *SCALE,
                   parent_node=host.uuid)
    host.twin.control.post('/card', {'url': card.twin.url})
    for one in (host, card):
        ironic.manage(one.uuid)
    stage.refresh(card)
    assert DPU_MODE in ironic.traits(card.uuid)
    # Alone, the child is only looked at.
    with stage.site_profile(lab, 'as-nic', devices={'dpus': {
            'match': {'kind': 'dpu', 'product': f'nvidia-{name}'},
            'count': 1, 'modes': {'mode': 'nic'}}}) as profile:
        asked = [stage.step(profile)]
        status, text = stage.refused(lambda: ironic.clean(card.uuid, asked))
        assert (status, f'its parent {host.uuid}' in text) == (400, True)
        for one in (host, card):
            stage.forget(one)
        ironic.clean(host.uuid, [stage.step(profile)], 180)
        told = stage.result(host)
        assert (told['outcome'], told['writes'], told['resets']) == (
            'converged', 1, 1)
        # One write, to the child's BMC; one power cycle, of the host.
        at_host, at_card = stage.ledger(host), stage.ledger(card)
        assert at_host['writes'] == []
        assert len(at_card['writes']) == 1
        assert [r['kind'] for r in at_host['resets']] == [
            'GracefulShutdown', 'On']
        assert at_host['violations'] + at_card['violations'] == []
        assert NIC_MODE in ironic.traits(host.uuid)
        # The child says so too, by a look of its own.
        ironic.wait_node(card.uuid, NIC_MODE, lambda node: (
            NIC_MODE in node['traits']))
        assert DPU_MODE not in ironic.traits(card.uuid)
        assert ironic.node(card.uuid)['power_state'] == 'power on'
        # Again: nothing is done.
        for one in (host, card):
            stage.forget(one)
        ironic.clean(host.uuid, [stage.step(profile)])
        assert stage.result(host)['outcome'] == 'converged'
        for one in (host, card):
            told = stage.ledger(one)
            assert (told['writes'], told['resets']) == ([], [])
