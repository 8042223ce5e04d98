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

"""The lab itself: what every other lab test takes for granted."""

from __future__ import annotations

import pytest

from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness import nova_like
from tests.functional.harness.machines import MakeMachine

RESOURCES = {"CUSTOM_BAREMETAL_ACCEL": 1}


def test_placement_offers_the_node_with_the_trait_and_no_other(
        lab: Lab, ironic: ironic_api.IronicApi,
        machine: MakeMachine) -> None:
    placement = lab.placement.api
    wanted, other = machine("--system", "plain"), machine("--system", "plain")
    for one in (wanted, other):
        ironic.manage(one.uuid)
        ironic.provide(one.uuid)
    ironic.add_trait(wanted.uuid, "CUSTOM_LAB_WANTED")
    for one in (wanted, other):
        nova_like.publish(ironic, placement, one.uuid)
    assert placement.candidates(
        RESOURCES, ["CUSTOM_LAB_WANTED"]) == {wanted.uuid}
    assert placement.candidates(RESOURCES) >= {wanted.uuid, other.uuid}

    ironic.delete(f"/v1/nodes/{wanted.uuid}/traits/CUSTOM_LAB_WANTED")
    assert nova_like.publish(ironic, placement, wanted.uuid) == (
        ironic.traits(wanted.uuid))
    assert placement.candidates(RESOURCES, ["CUSTOM_LAB_WANTED"]) == set()
    for one in (wanted, other):
        nova_like.forget(placement, one.uuid)
    assert not placement.candidates(RESOURCES) & {wanted.uuid, other.uuid}


def test_a_killed_ironic_comes_back_with_its_nodes(
        lab: Lab, ironic: ironic_api.IronicApi,
        machine: MakeMachine) -> None:
    one = machine("--system", "plain")
    before = lab.ironic.running().pid
    lab.ironic.kill()
    assert not lab.ironic.running().running
    lab.ironic.restart()
    assert lab.ironic.running().pid != before
    assert ironic.manage(one.uuid)["provision_state"] == "manageable"


def test_a_refused_state_says_what_happened(
        ironic: ironic_api.IronicApi, machine: MakeMachine) -> None:
    one = machine("--system", "plain", system="/redfish/v1/Systems/absent")
    with pytest.raises(ironic_api.NodeStateError) as caught:
        ironic.manage(one.uuid)
    assert caught.value.node["provision_state"] == "enroll"
    assert str(caught.value.node["last_error"]) in str(caught.value)
