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

"""``baremetal accelerator refresh``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ironic_accel.model.serialization import inventory_to_dict
from tests.unit.conductor import sample
from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]


def test_refresh_lists_added_and_removed_traits(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', _traits=['CUSTOM_ACCEL_GPU_X8', 'CUSTOM_RACK'])

    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        assert body == {'power_on': False}
        node['_traits'] = ['CUSTOM_ACCEL_DEGRADED', 'CUSTOM_RACK']
        node['driver_internal_info'] = {'accel_result': result(
            id='look-1', outcome='done', found=7, host='on')}
        return 200, {'id': 'look-1'}
    cloud.passthru['accel_refresh'] = refresh
    told = run(cloud, 'refresh', 'one', '-f', 'json')
    assert told.status == 0
    row, = told.data
    assert (row['Traits added'], row['Traits removed'], row['Devices']) == (
        ['CUSTOM_ACCEL_DEGRADED'], ['CUSTOM_ACCEL_GPU_X8'], 7)


def test_refresh_lists_drift(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()

    def stored(*devices: Any) -> dict[str, Any]:
        return {'plugin_data': {'accelerators': {
            'at': 1.0, 'transports': [],
            'inventory': inventory_to_dict(sample.box(*devices))}}}
    cloud.add('one', _inventory=stored())

    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        node['_inventory'] = stored(sample.gpu(1, sample.NEW))
        node['driver_internal_info'] = {'accel_result': result(
            id='look-1', outcome='done')}
        return 200, {'id': 'look-1'}
    cloud.passthru['accel_refresh'] = refresh
    told = run(cloud, 'refresh', 'one', '-f', 'json')
    assert told.data[0]['Drift'] == [
        'gpu-0 vanished', f'gpu-1 gpu {sample.OLD} > {sample.NEW}']


def test_refresh_replaces_an_inventory_of_the_periodic(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', driver_internal_info={'accel_operation': {
        'kind': 'idle', 'work': 'look', 'step': 'verify_accelerators',
        'restore': None, 'progress': 'another look'}})

    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        node['driver_internal_info'] = {'accel_result': result(
            id='look-1', outcome='done', found=8, host='on')}
        return 200, {'id': 'look-1'}
    cloud.passthru['accel_refresh'] = refresh
    told = run(cloud, 'refresh', 'one', '-f', 'json')
    assert (told.status, told.data[0]['Devices']) == (0, 8)


def test_refresh_of_a_busy_node_names_the_operation(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', provision_state='clean wait', driver_internal_info={
        'accel_operation': {
            'work': 'apply', 'step': 'apply_profile', 'progress': 'burning',
            'kind': 'clean'}})
    told = run(cloud, 'refresh', 'one', '-f', 'json')
    assert told.status == 4
    assert 'apply_profile is in progress (burning)' in told.data[0]['Note']


def test_a_conductor_without_the_method_has_to_be_upgraded(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    told = run(cloud, 'refresh', 'one', '-f', 'json')
    assert told.status == 4
    assert 'upgrade ironic-accel on its conductor' in told.data[0]['Note']
