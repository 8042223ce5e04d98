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

"""A recorded Dell server behind the hardware type for Dell's."""

from __future__ import annotations

import pathlib

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness.machines import MakeMachine

IDRAC = {
    'driver': 'accel-idrac',
    'boot_interface': 'idrac-redfish-virtual-media',
    'management_interface': 'idrac-redfish',
    'power_interface': 'accel-idrac', 'inspect_interface': 'no-inspect',
    'vendor_interface': 'accelerator-idrac'}


def test_a_dell_server_is_looked_after_by_its_own_hardware_type(
        ironic: ironic_api.IronicApi, machine: MakeMachine,
        captures: pathlib.Path) -> None:
    assert {'accel-redfish', 'accel-idrac'} <= ironic.drivers()
    one = machine(
        '--capture', str(captures / 'dell-r750-h100.tar.gz'),
        '--power', 'on', '--time-scale', str(stage.SCALE),
        system='/redfish/v1/Systems/System.Embedded.1', **IDRAC)
    ironic.manage(one.uuid)
    told = stage.refresh(one)
    assert (told['outcome'], told['complete']) == ('done', True)
    assert {'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X1'} <= (
        ironic.traits(one.uuid))
    # The power interface is ours and does what Ironic's does.
    ironic.set_power(one.uuid, 'power off')
    ironic.wait_node(one.uuid, 'power off', lambda node: (
        node['power_state'] == 'power off'))
    assert [r['kind'] for r in stage.ledger(one)['resets']] == ['ForceOff']
    # Upstream's passthru is there beside ours.
    methods = ironic.get(
        f'/v1/nodes/{one.uuid}/vendor_passthru/methods')
    assert {'accel_inventory', 'create_subscription',
            'delete_subscription'} <= set(methods)
