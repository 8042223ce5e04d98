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

"""Commands that change something: what they ask for, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib
from typing import Any

import pytest

from ironic_accel.model.serialization import inventory_to_dict
from tests import commands
from tests.unit.conductor import sample
from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud

MakeCloud = Callable[..., Cloud]

ITEM = {'device': 'gpu-0', 'name': 'ecc'}
PLAN: dict[str, Any] = {
    'schema': 'plan/2', 'converged': False, 'satisfied': [], 'refused': [],
    'stages': [{'reset': 'warm-reboot', 'staged': [], 'actions': [{
        'verb': 'set', 'transport': 'redfish', 'image': None,
        'also_writes': [],
        'items': [{**ITEM, 'device': f'gpu-{n}', 'from': 'disabled',
                   'to': 'enabled'} for n in range(8)]}]}]}
REFUSED = {**PLAN, 'stages': [], 'refused': [
    {**ITEM, 'expected': 'enabled', 'seen': None, 'reason': 'not there'}]}


def planning(cloud: Cloud, plan: dict[str, Any]) -> None:
    """Let the cloud plan anything as this."""
    cloud.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 60.0, 'profile': 'ecc-on', 'digest': 'd', 'plan': plan})


def result(**fields: Any) -> dict[str, Any]:
    """A result as the conductor writes it."""
    return {'id': 'run-1', 'operation': 'clean', 'step': 'apply_profile',
            'outcome': 'converged', 'profile': 'ecc-on', 'seconds': 61.0,
            'writes': 8, 'resets': 1, 'proved': 8, 'error': None, **fields}


def running(cloud: Cloud, told: dict[str, Any], looks: int = 3) -> None:
    """Let a clean or service take some looks, and end with a result."""
    left: dict[str, int] = {}

    def begin(node: dict[str, Any], body: Any) -> None:
        left[node['name']] = looks
        node['provision_state'] = {'clean': 'clean wait',
                                   'service': 'service wait'}[body['target']]
        node['driver_internal_info']['accel_operation'] = {
            'work': 'apply', 'step': 'apply_profile', 'progress': 'writing',
            'percent': 10, 'profile': 'ecc-on', 'kind': body['target']}

    def read(node: dict[str, Any]) -> None:
        if node['name'] not in left:
            return
        left[node['name']] -= 1
        node['driver_internal_info']['accel_operation'][
            'percent'] = 90 - 20 * left[node['name']]
        if left[node['name']] == 0:
            del left[node['name']]
            node['driver_internal_info'] = {'accel_result': told}
            good = told['error'] is None
            node['provision_state'] = 'manageable' if good else \
                'clean failed'
            node['maintenance'] = not good
    cloud.on_provision, cloud.on_read = begin, read


def begun(cloud: Cloud) -> list[Any]:
    """The bodies of what was asked for."""
    return [body for verb, path, body in cloud.asked
            if path.endswith('states/provision')]


def run(cloud: Cloud, *words: str) -> commands.Told:
    """Run a command, looking often."""
    if words[0] == 'apply':
        words = (*words, '--interval', '0.01')
    return commands.run(cloud.url, 'accelerator', *words)


# plan

def test_plan_prints_the_plan_and_starts_nothing(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, PLAN)
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '-f', 'json')
    assert told.status == 0
    assert [(r['Action'], r['Devices'], r['Target']) for r in told.data] == [
        ('set', [f'gpu-{n}' for n in range(8)], 'enabled'),
        ('reset', ['host'], None)]
    assert begun(cloud) == []
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on')
    assert '8: gpu-0 .. gpu-7' in told.out


def test_a_refused_plan_exits_with_3(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, REFUSED)
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '-f', 'json')
    assert told.status == 3
    assert [(r['Action'], r['Note']) for r in told.data] == [
        ('refused', 'not there')]


def test_plan_without_a_profile_uses_the_baseline(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    tried = [{'profile': 'a', 'why': 'gpus: 0 of 8'},
             {'profile': 'b', 'why': 'the first profile that matches'}]
    answer: dict[str, Any] = {
        'age': 1.0, 'profile': 'b', 'digest': 'd', 'plan': PLAN,
        'baseline': tried}
    cloud.passthru['accel_plan'] = lambda node, body: (200, answer)
    told = run(cloud, 'plan', 'one')
    assert told.status == 0
    assert 'baseline a: gpus: 0 of 8' in told.err
    assert cloud.asked[-1][2] == {}
    answer = {'profile': None, 'plan': None, 'baseline': []}
    told = run(cloud, 'plan', 'one')
    assert told.status == 1
    assert 'driver_info/accel_baseline' in told.err


def test_a_profile_in_a_file_is_sent_to_the_conductor(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, PLAN)
    file = tmp_path / 'two.yaml'
    file.write_text(sample.yaml_of(sample.mode_profile('a', ecc='enabled'),
                                   sample.mode_profile('b', ecc='enabled')))
    told = run(cloud, 'plan', 'one', '--profile', str(file))
    assert told.status == 1
    assert '--profile-name' in told.err
    assert 'a, b' in told.err
    told = run(cloud, 'plan', 'one', '--profile', str(file),
               '--profile-name', 'b')
    assert told.status == 0
    assert cloud.asked[-1][2]['profile']['name'] == 'b'
    told = run(cloud, 'plan', 'one', '--profile', 'a', '--profile-name', 'b')
    assert 'only allowed if --profile is a file' in told.err


def test_plan_with_refresh_takes_an_inventory_first(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    node = cloud.add('one')
    planning(cloud, PLAN)

    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        node['driver_internal_info'] = {'accel_result': result(
            id='look-1', outcome='done')}
        return 200, {'id': 'look-1'}
    cloud.passthru['accel_refresh'] = refresh
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--refresh')
    assert told.status == 0
    assert [p.rpartition('/')[2] for v, p, b in cloud.asked] == [
        'accel_refresh', 'accel_plan']
    # In maintenance nobody would take it up.
    node['maintenance'] = True
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--refresh')
    assert told.status == 1
    assert 'baremetal node maintenance unset one' in told.err


# apply

def test_a_manageable_node_is_cleaned_and_an_active_one_serviced(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    cloud.add('two', provision_state='active')
    planning(cloud, PLAN)
    told = run(cloud, 'apply', 'one', 'two', '--profile', 'ecc-on', '-f',
               'json')
    assert [(r['Operation'], r['Outcome']) for r in told.data] == [
        ('clean', 'started'), ('service', 'started')]
    clean, service = begun(cloud)
    assert clean['clean_steps'] == [{
        'interface': 'vendor', 'step': 'apply_profile',
        'args': {'profile': 'ecc-on'}}]
    assert service['service_steps'] == clean['clean_steps']


def test_via_agent_requests_the_in_band_step_with_its_limits(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('two', provision_state='active')
    # What only the agent can do is refused in a plan from the BMC's ways.
    planning(cloud, REFUSED)
    told = run(cloud, 'apply', 'two', '--profile', 'ecc-on', '--via',
               'agent', '--max-activation', 'warm-reboot',
               '--allow-disruption')
    assert told.status == 0
    assert begun(cloud)[0]['service_steps'] == [{
        'interface': 'vendor', 'step': 'apply_profile_in_band',
        'args': {'profile': 'ecc-on', 'max_activation': 'warm-reboot',
                 'allow_disruption': True}}]


def test_a_node_without_redfish_gets_the_in_band_step(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', driver='accel-ipmi',
              vendor_interface='accelerator-ipmi')
    planning(cloud, REFUSED)
    assert run(cloud, 'apply', 'one', '--profile', 'ecc-on').status == 0
    assert begun(cloud)[0]['clean_steps'][0]['step'] \
        == 'apply_profile_in_band'


def test_wait_prints_the_progress_of_each_device(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, PLAN)
    running(cloud, result())
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '-f',
               'json')
    assert told.status == 0
    assert [(r['Outcome'], r['Writes'], r['Verified']) for r in told.data] == [
        ('converged', 8, 8)]
    lines = told.err.splitlines()
    assert any('one gpu-3: waiting' in line for line in lines)
    assert any('one gpu-3: compliant' in line for line in lines)
    assert any('clean wait: writing' in line for line in lines)
    assert '\x1b' not in told.err


def test_max_in_flight_limits_nodes_and_stops_after_a_failure(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    names = [f'n{k}' for k in range(5)]
    for name in names:
        cloud.add(name)
    planning(cloud, PLAN)
    running(cloud, result())
    flying: list[int] = []
    begin = cloud.on_provision

    def count(node: dict[str, Any], body: Any) -> None:
        begin(node, body)
        flying.append(sum(n['provision_state'] == 'clean wait'
                          for n in cloud.nodes.values()))
    cloud.on_provision = count
    told = run(cloud, 'apply', *names, '--profile', 'ecc-on',
               '--max-in-flight', '2', '-f', 'json')
    assert {r['Outcome'] for r in told.data} == {'converged'}
    assert (len(flying), max(flying)) == (5, 2)
    running(cloud, result(outcome='failed', error={
        'summary': 'the BMC said no', 'class': 'permanent'}))
    cloud.asked.clear()
    for node in cloud.nodes.values():
        node['driver_internal_info'] = {}
    told = run(cloud, 'apply', *names, '--profile', 'ecc-on',
               '--max-in-flight', '2', '-f', 'json')
    assert told.status == 4
    assert [r['Outcome'] for r in told.data] == [
        'failed', 'failed', 'not started', 'not started', 'not started']
    assert 'the BMC said no' in told.data[0]['Note']
    assert len(begun(cloud)) == 2


def test_an_available_node_is_managed_cleaned_and_provided(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', provision_state='available')
    planning(cloud, PLAN)
    running(cloud, result())
    clean = cloud.on_provision

    def move(node: dict[str, Any], body: Any) -> None:
        if body['target'] == 'clean':
            assert node['provision_state'] == 'manageable'
            clean(node, body)
        else:
            node['provision_state'] = {'manage': 'manageable',
                                       'provide': 'available'}[body['target']]
    cloud.on_provision = move
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '-f',
               'json')
    assert (told.status, told.data[0]['Outcome']) == (0, 'converged')
    assert [b['target'] for b in begun(cloud)] == [
        'manage', 'clean', 'provide']
    # A node that failed is not offered to anybody.
    cloud.asked.clear()
    cloud.nodes['one']['driver_internal_info'] = {}
    running(cloud, result(outcome='failed', error={
        'summary': 'the BMC said no', 'class': 'permanent'}))
    clean = cloud.on_provision
    cloud.on_provision = move
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait')
    assert told.status == 4
    assert [b['target'] for b in begun(cloud)] == ['manage', 'clean']


def test_apply_waits_for_an_operation_in_progress(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    node = cloud.add('one')
    running(cloud, result())
    cloud.on_provision(node, {'target': 'clean'})
    node['driver_internal_info']['accel_operation'] |= {
        'id': 'run-1', 'kind': 'clean'}
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '-f',
               'json')
    assert (told.status, told.data[0]['Outcome']) == (0, 'converged')
    assert begun(cloud) == []
    running(cloud, result())
    cloud.on_provision(node, {'target': 'clean'})
    told = run(cloud, 'apply', 'one', '--profile', 'another', '--wait')
    assert told.status == 1
    assert 'apply_profile is in progress' in told.err


def test_a_refused_plan_starts_nothing_on_any_node(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    cloud.add('two')
    cloud.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 1.0, 'profile': 'p', 'digest': 'd',
        'plan': REFUSED if node['name'] == 'two' else PLAN})
    told = run(cloud, 'apply', 'one', 'two', '--profile', 'ecc-on', '-f',
               'json')
    assert told.status == 3
    assert [r['Outcome'] for r in told.data] == ['not started', 'refused']
    assert 'not there' in told.data[1]['Note']
    assert begun(cloud) == []


@pytest.mark.parametrize('state,words,hint', [
    ('available', (), 'baremetal node manage one'),
    ('enroll', (), 'baremetal node manage one'),
    ('clean failed', (), 'baremetal node maintenance unset one'),
    ('active', ('--clean',),
     'cannot clean: node one is active; allowed: manageable;'),
    ('manageable', ('--service',),
     'cannot service: node one is manageable; allowed: active;'),
    ('deploying', (), 'allowed: manageable, active')])
def test_a_wrong_provision_state_names_the_next_command(
        make_cloud: MakeCloud, state: str, words: tuple[str, ...],
        hint: str) -> None:
    cloud = make_cloud()
    cloud.add('one', provision_state=state)
    planning(cloud, PLAN)
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', *words)
    assert told.status == 1
    assert hint in told.err
    assert begun(cloud) == []


def test_a_locked_node_names_the_host_that_locks_it(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', reservation='conductor-7')
    planning(cloud, PLAN)
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '-f', 'json')
    assert told.status == 4
    assert 'locked by host conductor-7' in told.data[0]['Note']


def test_apply_works_without_permission_to_plan(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('owner')
    cloud.add('one')
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on')
    assert told.status == 0
    assert 'the conductor makes the plan when the step runs' in told.err
    assert len(begun(cloud)) == 1


def test_apply_without_permission_to_read_the_result_says_so(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('owner')
    cloud.may.discard('info')
    cloud.add('one')
    running(cloud, result())
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '-f',
               'json')
    assert (told.status, told.data[0]['Outcome']) == (0, 'done')
    assert 'not permitted to read the result' in told.data[0]['Note']


@pytest.mark.parametrize('words', [
    ('enable', 'one', '--max-in-flight', '0'),
    ('refresh', 'one', '--max-in-flight', '-1'),
    ('history', 'one', '--last', 'two'),
    ('apply', 'one', '--profile', 'x', '--max-in-flight', '0')])
def test_counts_have_to_be_positive_integers(
        make_cloud: MakeCloud, words: tuple[str, ...]) -> None:
    cloud = make_cloud()
    cloud.add('one')
    told = run(cloud, *words)
    assert told.status == 2
    assert 'expected an integer of at least 1' in told.err


def test_apply_without_permission_to_clean_fails(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    cloud.add('one')
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '-f', 'json')
    assert told.status == 4
    assert 'not permitted to request clean' in told.data[0]['Note']


def test_a_clean_that_never_ran_its_step_counts_as_failed(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    old = {'accel_result': result()}
    cloud.add('one', driver_internal_info=old)
    planning(cloud, PLAN)
    # Ironic calls it done; the result is that of an earlier run.
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '-f',
               'json')
    assert told.status == 4
    assert 'the operation ended without a result' in told.data[0]['Note']


# audit

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
    cloud.add('one', driver_internal_info={'accel_operation': {
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


# adopt and release

PLAIN = {'driver': 'redfish', 'power_interface': 'redfish',
         'vendor_interface': 'no-vendor'}


def adoptable(cloud: Cloud) -> None:
    """Let first looks end at once."""
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
    adoptable(cloud)
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
    adoptable(cloud)
    node = cloud.add('one', **PLAIN)
    assert run(cloud, 'enable', 'one').status == 0
    # Somebody tries another interface meanwhile.
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
    adoptable(cloud)
    node = cloud.add('one', management_interface=ours)
    told = run(cloud, 'disable', 'one')
    assert told.status == 0
    assert node['management_interface'] == theirs


def test_disable_reports_a_node_left_in_maintenance(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    adoptable(cloud)
    cloud.add('one')
    cloud.refuse['DELETE .*/maintenance'] = (403, 'policy')
    told = run(cloud, 'disable', 'one', '-f', 'json')
    assert told.status == 4
    assert 'maintenance unset one' in told.data[0]['Note']


def test_enable_sets_no_maintenance_without_an_instance(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    adoptable(cloud)
    cloud.add('one', **PLAIN)
    told = run(cloud, 'enable', 'one')
    assert told.status == 0
    assert [v for v, p, b in cloud.asked] == ['PATCH', 'POST']


def test_a_refused_change_of_one_node_unsets_its_maintenance(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    adoptable(cloud)
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
