# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Redfish inspection with our hook, in front of upstream's."""

from __future__ import annotations

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness.machines import MakeMachine

FOREIGN = 'CUSTOM_LAB_RACK_7'


def test_a_redfish_inspection_publishes_what_the_bmc_shows(
        ironic: ironic_api.IronicApi, machine: MakeMachine) -> None:
    one = stage.hgx(machine)
    ironic.add_trait(one.uuid, FOREIGN)
    ironic.inspect(one.uuid)
    node = ironic.node(one.uuid)
    # Upstream's inspection writes its own copy of the properties back.
    assert [e['type'] for e in node['properties']['accelerators']
            if e['type'] == 'GPU'] == ['GPU'] * 8
    assert node['properties']['memory_mb']
    traits = ironic.traits(one.uuid)
    assert {'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X8', FOREIGN} <= traits
    stored = ironic.inventory(one.uuid)
    inventory = stored['plugin_data']['accelerators']['inventory']
    assert (inventory['schema'], inventory['seen_via']) == (
        'inventory/3', ['redfish'])
    assert stored['inventory']['cpu']
    assert stage.result(one)['step'] == 'accelerator-traits'
    # Again: the same, whatever order the devices came in.
    ironic.inspect(one.uuid)
    again = ironic.node(one.uuid)['properties']['accelerators']
    assert again == node['properties']['accelerators']
    assert ironic.traits(one.uuid) == traits


def test_a_node_without_our_interface_is_inspected_all_the_same(
        ironic: ironic_api.IronicApi, machine: MakeMachine) -> None:
    one = machine('--system', 'plain', '--power', 'on',
                  vendor_interface='no-vendor')
    ironic.manage(one.uuid)
    ironic.inspect(one.uuid)
    assert ironic.traits(one.uuid) == set()
    assert ironic.node(one.uuid)['properties']['memory_mb']
