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

"""``baremetal accelerator apply``: requests, progress and refusals."""

from __future__ import annotations

from collections.abc import Callable
import io
import sys
from typing import Any

import pytest

from ironic_accel.model.plan import Item
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Record
from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import begun
from tests.unit.faces.osc.operations import PLAN
from tests.unit.faces.osc.operations import planning
from tests.unit.faces.osc.operations import REFUSED
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run
from tests.unit.faces.osc.operations import running

MakeCloud = Callable[..., Cloud]


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
    # Ironic 32 would boot it.
    assert clean['disable_ramdisk'] is True
    assert service['service_steps'] == clean['clean_steps']
    assert 'disable_ramdisk' not in service


def test_the_step_is_of_the_interface_that_the_conductor_names(
        make_cloud: MakeCloud) -> None:
    """An Ironic may have an interface type of its own for accelerators."""
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, PLAN, interface='accelerator')
    assert run(cloud, 'apply', 'one', '--profile', 'ecc-on').status == 0
    assert begun(cloud)[0]['clean_steps'] == [{
        'interface': 'accelerator', 'step': 'apply_profile',
        'args': {'profile': 'ecc-on'}}]


def test_via_agent_requests_the_in_band_step_with_its_limits(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('two', provision_state='active')
    # A plan for Redfish refuses what only the agent can do.
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
    [asked] = begun(cloud)
    assert asked['clean_steps'][0]['step'] == 'apply_profile_in_band'
    assert 'disable_ramdisk' not in asked


def test_wait_prints_a_line_for_each_phase_of_a_node(
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
    progress = [line.partition(' s  ')[2] for line in lines]
    assert 'one: started' in progress
    assert any('one: clean wait: writing' in line for line in progress)
    assert progress[-1] == 'one: manageable: converged'
    assert not any('gpu-3' in line for line in progress)
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
     'cannot service: node one is manageable; allowed: active, '
     'service failed;'),
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


def test_what_stands_in_the_way_of_one_node_starts_nothing(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    cloud.add('two')
    cloud.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 1.0, 'profile': 'p', 'digest': 'd', 'plan': {
            **PLAN, 'undecided': False, 'blocked': [] if node[
                'name'] == 'one' else [{
                    'item': 'hold', 'reason': 'it is held: audit',
                    'next': 'baremetal accelerator unhold two'}]}})
    told = run(cloud, 'apply', 'one', 'two', '--profile', 'ecc-on', '-f',
               'json')
    assert told.status == 3
    assert [r['Outcome'] for r in told.data] == ['not started', 'refused']
    assert told.data[1]['Note'] == (
        'node hold: it is held: audit; next: baremetal accelerator unhold '
        'two')
    assert begun(cloud) == []


@pytest.mark.parametrize('undecided, code', [(True, 0), (False, 3)])
def test_what_the_inventory_cannot_tell_is_left_to_the_step(
        make_cloud: MakeCloud, undecided: bool, code: int) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, {**REFUSED, 'blocked': [], 'undecided': undecided})
    for via in ('redfish', 'agent'):
        told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--via',
                   via)
        assert told.status == code


def test_the_plans_are_shown_before_anything_is_started(
        make_cloud: MakeCloud) -> None:
    """Nodes with the same plan share a table."""
    cloud = make_cloud()
    for name in ('gpu-1', 'gpu-2', 'gpu-3'):
        cloud.add(name)
    planning(cloud, PLAN)
    told = run(cloud, 'apply', 'gpu-1', 'gpu-2', 'gpu-3', '--profile',
               'ecc-on')
    assert told.status == 0
    assert '3 nodes (3: gpu-1 .. gpu-3):' in told.err
    assert told.err.count('8: gpu-0 .. gpu-7') == 1
    assert len(begun(cloud)) == 3


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize('answer, words, started', [
    ('y', (), 1), ('n', (), 0), ('', (), 0), ('n', ('--yes',), 1)])
def test_a_terminal_is_asked_before_the_first_operation(
        make_cloud: MakeCloud, monkeypatch: pytest.MonkeyPatch, answer: str,
        words: tuple[str, ...], started: int) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, PLAN)
    monkeypatch.setattr(sys, 'stdin', _Terminal(answer + '\n'))
    monkeypatch.setattr('tests.commands.io.StringIO', _Terminal)
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', *words)
    assert len(begun(cloud)) == started
    assert told.status == (0 if started else 3)
    assert ('Continue? [y/N]' in told.err) is (words == ())
    if not started:
        assert 'declined; nothing was started' in told.err


def test_steps_are_counted_by_the_record(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, PLAN)
    running(cloud, result())
    begin = cloud.on_provision
    ecc = [Item(f'gpu-{n}', 'ecc', 'mode', 'enabled') for n in range(8)]

    def with_record(node: dict[str, Any], body: Any) -> None:
        begin(node, body)
        node['driver_internal_info']['accel_record'] = record_mod.to_dict(
            Record('ecc-on', 'd', attempts=dict.fromkeys(ecc, 1)))
    cloud.on_provision = with_record
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait')
    assert told.status == 0
    # A write of a mode, and a host reset.
    assert 'one: step 1/2, clean wait: writing' in told.err


def after_failure(cloud: Cloud) -> None:
    """A node whose clean failed after its inventory, and what it has now."""
    cloud.add('one', driver_internal_info={'accel_result': result(
        outcome='failed')})
    seen = {'old': True}

    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        seen['old'] = False
        node['driver_internal_info'] = {'accel_result': result(
            id='look-1', outcome='done')}
        return 200, {'id': 'look-1'}

    def plan(node: dict[str, Any], body: Any) -> clouds.Answer:
        old = seen['old']
        return 200, {'age': 60.0, 'profile': 'ecc-on', 'digest': 'd',
                     'outdated': old, 'plan': {
                         **(REFUSED if old else PLAN), 'blocked': [],
                         'undecided': False}}
    cloud.passthru['accel_refresh'] = refresh
    cloud.passthru['accel_plan'] = plan


def test_an_inventory_from_before_a_failure_is_taken_again(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    after_failure(cloud)
    running(cloud, result(id='run-2'))
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '-f',
               'json')
    assert told.status == 0, told.err
    assert [r['Outcome'] for r in told.data] == ['converged']
    assert 'taking a new one before the plan' in told.err
    called = [path.rpartition('/')[2] for _, path, _ in cloud.asked]
    assert called == ['accel_plan', 'accel_refresh', 'accel_plan',
                      'provision']
    # It reads, and powers nothing on.
    assert cloud.asked[1][2] == {'power_on': False}


def test_without_waiting_the_command_that_takes_it_is_named(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    after_failure(cloud)
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '-f', 'json')
    assert told.status == 3
    assert told.data[0]['Note'].endswith(
        'the last operation failed after the inventory was taken; next: '
        'baremetal accelerator refresh one, then apply again')
    assert begun(cloud) == []


def test_a_refresh_that_fails_starts_nothing(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    after_failure(cloud)
    cloud.passthru['accel_refresh'] = lambda node, body: clouds.error(
        409, 'Node one is locked by host two')
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait')
    assert told.status == 3
    assert 'node one: no new inventory: ' in told.err
    assert begun(cloud) == []
