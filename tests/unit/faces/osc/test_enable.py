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

"""``baremetal accelerator enable`` and ``disable``."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any

import pytest

from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]


PLAIN = {'driver': 'redfish', 'power_interface': 'redfish',
         'vendor_interface': 'no-vendor'}


def can_be_enabled(cloud: Cloud) -> None:
    """Let first inventories end at once."""
    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        assert body == {'power_on': False}
        node['driver_internal_info'] = {'accel_result': result(
            id='look-1', outcome='done', found=8)}
        return 200, {'id': 'look-1'}
    cloud.passthru['accel_refresh'] = refresh
    cloud.passthru['accel_disable'] = lambda node, body: (200, {
        'traits': ['CUSTOM_ACCEL_GPU'], 'kept_traits': [], 'firmware': 9,
        'keys': ['accel_summary']})


def test_disable_restores_what_enable_changed(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    node = cloud.add('one', **PLAIN, provision_state='active',
                     extra={'rack': 7})
    told = run(cloud, 'enable', 'one', '--dry-run')
    assert 'driver redfish > accel-redfish' in told.err
    assert (cloud.asked, node['driver']) == ([], 'redfish')
    told = run(cloud, 'enable', 'one', '-f', 'json')
    assert told.status == 0
    assert [(r['Outcome'], r['Devices']) for r in told.data] == [
        ('enabled', 8)]
    # Through maintenance, and one change for all fields.
    assert [v for v, p, b in cloud.asked] == ['PUT', 'PATCH', 'DELETE',
                                              'POST']
    assert (node['driver'], node['power_interface'],
            node['vendor_interface'], node['maintenance']) == (
        'accel-redfish', 'accel-redfish', 'accelerator', False)
    assert node['extra'] == {'rack': 7, 'accel_adopted': PLAIN}
    told = run(cloud, 'enable', 'one', '-f', 'json')
    assert told.data[0]['Outcome'] == 'already enabled'
    assert node['extra']['accel_adopted'] == PLAIN
    told = run(cloud, 'disable', 'one', '-f', 'json')
    assert told.status == 0
    assert [(r['Outcome'], r['Driver'], r['Traits removed'],
             r['Firmware components']) for r in told.data] == [
        ('disabled', 'redfish', ['CUSTOM_ACCEL_GPU'], 9)]
    assert {k: node[k] for k in PLAIN} == PLAIN
    assert (node['extra'], node['maintenance']) == ({'rack': 7}, False)


def test_enabling_again_keeps_the_values_stored_first(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    node = cloud.add('one', **PLAIN)
    assert run(cloud, 'enable', 'one').status == 0
    # An operator sets another interface meanwhile.
    node['vendor_interface'] = 'redfish'
    told = run(cloud, 'disable', 'one')
    assert (told.status, 'enable --no-inventory one' in told.err) == (1, True)
    assert node['driver'] == 'accel-redfish'
    assert run(cloud, 'enable', '--no-inventory', 'one').status == 0
    assert node['extra'] == {'accel_adopted': PLAIN}
    assert run(cloud, 'disable', 'one').status == 0
    assert ({k: node[k] for k in PLAIN}, node['extra']) == (PLAIN, {})


@pytest.mark.parametrize('ours, theirs', [
    ('accel-redfish', 'redfish'), ('ipmitool', 'ipmitool')])
def test_disable_replaces_management_interfaces_of_ours(
        make_cloud: MakeCloud, ours: str, theirs: str) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    node = cloud.add('one', management_interface=ours)
    told = run(cloud, 'disable', 'one')
    assert told.status == 0
    assert node['management_interface'] == theirs


@pytest.mark.parametrize('words', [
    ('enable', 'one'), ('disable', 'one', '--yes'),
    ('enable', 'one', '--dry-run')])
def test_who_may_not_call_passthru_is_refused_before_the_change(
        make_cloud: MakeCloud, words: tuple[str, ...]) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    cloud.add('one', **(PLAIN if words[0] == 'enable' else {}))
    rule = 'baremetal:node:vendor_passthru'
    cloud.refuse['GET .*/vendor_passthru/methods'] = (
        403, f'Access was denied to the following resource: {rule}')
    told = run(cloud, *words)
    assert (told.status, cloud.asked) == (1, []), told
    assert (f'(HTTP 403); next: use a system administrator '
            f'(--os-system-scope all), or a user that policy {rule} allows'
            ) in told.err


def test_policy_of_the_system_alone_is_a_refusal(
        make_cloud: MakeCloud) -> None:
    """Ironic answers it with HTTP 500, as recorded with Keystone."""
    cloud = make_cloud()
    can_be_enabled(cloud)
    cloud.add('one', **PLAIN)
    cloud.refuse['GET /v1/drivers'] = (
        500, '"baremetal:driver:get": "(role:reader and system_scope:all) or '
             'rule:service_role" requires a scope of [\'system\'], request '
             'was made with project scope.')
    told = run(cloud, 'enable', 'one')
    assert (told.status, cloud.asked) == (1, []), told
    assert 'not permitted to list the drivers: ' in told.err
    assert 'a user that policy baremetal:driver:get allows' in told.err


def test_node_of_a_driver_that_no_conductor_serves_is_enabled(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    node = cloud.add('one', **PLAIN)
    cloud.refuse['GET .*/vendor_passthru/methods'] = (
        404, 'No conductor service registered which supports driver redfish '
             'for conductor group "".')
    told = run(cloud, 'enable', 'one')
    assert (told.status, node['driver']) == (0, 'accel-redfish'), told


def test_disable_reports_a_node_left_in_maintenance(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    cloud.add('one')
    cloud.refuse['DELETE .*/maintenance'] = (403, 'policy')
    told = run(cloud, 'disable', 'one', '-f', 'json')
    assert told.status == 4
    assert 'maintenance unset one' in told.data[0]['Note']


def test_enable_sets_no_maintenance_without_an_instance(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    cloud.add('one', **PLAIN)
    told = run(cloud, 'enable', 'one')
    assert told.status == 0
    assert [v for v, p, b in cloud.asked] == ['PATCH', 'POST']


def test_a_refused_change_of_one_node_unsets_its_maintenance(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    one = cloud.add('one', **PLAIN, provision_state='active')
    two = cloud.add('two', **PLAIN)
    cloud.refuse[f"PATCH .*(one|{one['uuid']})$"] = (
        400, 'Could not find the interface accelerator')
    told = run(cloud, 'enable', 'one', 'two', '-f', 'json')
    assert told.status == 4
    assert [(r['Node'], r['Outcome']) for r in told.data] == [
        ('one', 'failed'), ('two', 'enabled')]
    assert 'Could not find the interface' in told.data[0]['Note']
    assert (one['maintenance'], one['driver']) == (False, 'redfish')
    assert two['driver'] == 'accel-redfish'


def test_enable_names_why_a_node_cannot_be_enabled(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('fake', driver='fake-hardware')
    cloud.add('dell', driver='idrac')
    cloud.add('busy', **PLAIN, provision_state='cleaning')
    cloud.add('locked', **PLAIN, reservation='conductor-7')
    for name, hint in (('fake', 'expected one of redfish, idrac'),
                       ('dell', 'enabled_hardware_types'),
                       ('busy', 'wait until this has ended'),
                       ('locked', 'locked by host conductor-7')):
        told = run(cloud, 'enable', name)
        assert (told.status, hint in told.err) == (1, True), told.err
    assert cloud.asked == []


RETRIES = ('--max-retries', '2', '--retry-interval', '0')


@pytest.mark.parametrize('word', ['enable', 'disable'])
@pytest.mark.parametrize('reads, status', [(2, 0), (3, 1)])
def test_a_lock_is_waited_for_as_long_as_the_client_waits(
        make_cloud: MakeCloud, word: str, reads: int, status: int) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    node = cloud.add('one', **(PLAIN if word == 'enable' else {}),
                     reservation='conductor-7')
    left = iter(range(reads))

    def on_read(read: dict[str, Any]) -> None:
        if next(left, None) is None:
            read['reservation'] = None
    cloud.on_read = on_read
    told = run(cloud, word, 'one', '--dry-run', *RETRIES)
    assert told.status == status, told.err
    assert (node['reservation'] is None) is (status == 0)
    assert ('node one: locked by host conductor-7' in told.err) is (
        status == 1)


def test_a_node_that_is_cleaning_is_not_waited_for(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    can_be_enabled(cloud)
    cloud.add('one', reservation='conductor-7', provision_state='cleaning')
    reads: list[str] = []
    cloud.on_read = lambda node: reads.append(node['name'])
    told = run(cloud, 'disable', 'one', *RETRIES)
    assert told.status == 1
    assert 'one is cleaning: the driver cannot be changed' in told.err
    assert reads == ['one']


def test_disable_refused_by_the_conductor_changes_no_driver(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    node = cloud.add('one')
    cloud.passthru['accel_disable'] = lambda node, body: clouds.error(
        409, 'firmware update in progress on gpu-0')
    told = run(cloud, 'disable', 'one', '-f', 'json')
    assert told.status == 4
    assert 'update in progress' in told.data[0]['Note']
    assert (node['driver'], node['maintenance']) == ('accel-redfish', False)


def test_disable_lists_traits_kept_for_the_instance(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', provision_state='active')
    cloud.passthru['accel_disable'] = lambda node, body: (200, {
        'traits': [], 'kept_traits': ['CUSTOM_ACCEL_IS_X'], 'firmware': 0,
        'keys': []})
    told = run(cloud, 'disable', 'one', '-f', 'json')
    assert told.status == 0
    assert 'remove trait one CUSTOM_ACCEL_IS_X' in told.data[0]['Note']


def test_disable_of_an_unmanaged_node_changes_nothing(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', **PLAIN)
    told = run(cloud, 'disable', 'one')
    assert told.status == 1
    assert 'nothing to disable' in told.err
    assert json.dumps(cloud.asked) == '[]'
