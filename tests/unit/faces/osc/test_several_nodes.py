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

"""Commands that read nodes: several at a time, by names or filters."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

import pytest

from ironic_accel.faces.osc import base
from ironic_accel.faces import terminal
from ironic_accel.model.serialization import inventory_to_dict
from tests.unit.conductor import sample
from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import PLAN
from tests.unit.faces.osc.operations import REFUSED
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run
from tests.unit.faces.osc import test_reading

MakeCloud = Callable[..., Cloud]

DONE = {**PLAN, 'stages': [], 'converged': True}
COMMANDS = {'list': (), 'traits': (), 'history': (),
            'plan': ('--profile', 'ecc-on')}


def stocked(cloud: Cloud, name: str, *devices: Any, **fields: Any) -> Any:
    """A node with an inventory, one trait and one event."""
    return cloud.add(name, **{
        '_traits': ['CUSTOM_ACCEL_GPU'],
        '_history': [test_reading.ended(1, 'converged')],
        '_inventory': {'inventory': {}, 'plugin_data': {'accelerators': {
            'inventory': inventory_to_dict(sample.box(*devices)),
            'at': time.time() - 60, 'transports': [], 'plan': None}}},
        **fields})


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> Cloud:
    """Two nodes of ours with devices, and one without us."""
    made = make_cloud()
    stocked(made, 'one', resource_class='h100')
    stocked(made, 'two', sample.gpu(7), resource_class='a100')
    made.add('plain', driver='redfish', vendor_interface='redfish')
    plans = {'one': PLAN, 'two': DONE}
    made.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 60.0, 'profile': 'ecc-on', 'digest': 'd',
        'plan': plans[node['name']]})
    return made


@pytest.mark.parametrize('verb', COMMANDS)
@pytest.mark.parametrize(('nodes', 'shown'), [
    (('one', 'two'), ['one', 'two']), (('two', 'one', 'two'), ['two', 'one']),
    (('--all',), ['one', 'two']), (('--resource-class', 'h100'), ['one'])])
def test_the_node_stands_in_front(
        cloud: Cloud, verb: str, nodes: tuple[str, ...],
        shown: list[str]) -> None:
    words = (verb, *nodes, *COMMANDS[verb])
    told = run(cloud, *words, '-f', 'json')
    assert told.status == 0, told
    rows = [row['Node'] for row in told.data]
    assert list(dict.fromkeys(rows)) == [
        n for n in shown if verb != 'plan' or n == 'one'], told
    table = run(cloud, *words)
    assert table.status == 0
    assert '| Node ' in table.out


@pytest.mark.parametrize('verb', COMMANDS)
def test_one_named_node_has_no_column(cloud: Cloud, verb: str) -> None:
    told = run(cloud, verb, 'one', *COMMANDS[verb], '-f', 'json')
    assert told.status == 0, told
    assert told.data and 'Node' not in told.data[0]


@pytest.mark.parametrize('verb', COMMANDS)
def test_a_node_that_cannot_be_read_does_not_stop_the_others(
        cloud: Cloud, verb: str) -> None:
    cloud.refuse['nodes/[^/]*one'] = 500, 'the database is gone'
    told = run(cloud, verb, 'one', 'two', *COMMANDS[verb], '-f', 'json')
    assert told.status == 4, told
    assert 'the database is gone' in told.err
    assert {row['Node'] for row in told.data} == (
        set() if verb == 'plan' else {'two'})


@pytest.mark.parametrize('verb', [*COMMANDS, 'show'])
def test_without_nodes_the_selection_is_asked_for(cloud: Cloud,
                                                  verb: str) -> None:
    more = ('gpu-0',) if verb == 'show' else COMMANDS[verb]
    told = run(cloud, verb, *more)
    assert told.status == 1
    assert 'no nodes: expected names or UUIDs, or --all' in told.err


def test_a_terminal_shows_how_many_nodes_are_read(
        cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'nodes read' not in run(cloud, 'list', '--all').err
    monkeypatch.setattr(terminal, 'is_live', lambda stream: True)
    told = run(cloud, 'list', '--all')
    assert '\r1 of 2 nodes read' in told.err
    assert '\r2 of 2 nodes read\r\x1b[K' in told.err


def test_an_interrupt_reads_no_further_node(
        cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        stocked(cloud, f'n{number}')
    read: list[str] = []

    def on_read(node: dict[str, Any]) -> None:
        read.append(node['name'])
        if len(read) > 1:
            # As from an API far away: the command hears of the first one.
            time.sleep(0.5)
    cloud.on_read = on_read

    def interrupted(command: Any, done: int, nodes: int) -> None:
        raise KeyboardInterrupt
    monkeypatch.setattr(base.Command, 'tick', interrupted)
    told = run(cloud, 'history', *(f'n{n}' for n in range(60)))
    assert told.status == 130
    again = run(cloud, 'list', *(f'n{n}' for n in range(60)))
    assert (again.status, 0 < len(read) < 60) == (130, True)


def test_the_last_events_are_those_of_each_node(cloud: Cloud) -> None:
    for name in ('one', 'two'):
        cloud.nodes[name]['_history'] = [
            test_reading.ended(n, 'converged') for n in (1, 2, 3)]
    told = run(cloud, 'history', '--all', '--last', '1', '-f', 'json')
    assert [(r['Node'], r['ID']) for r in told.data] == [
        ('one', 'run-3'), ('two', 'run-3')]


@pytest.mark.parametrize('words', [('one', 'two'), ('--all',)])
def test_a_device_is_looked_up_on_several_nodes(
        cloud: Cloud, words: tuple[str, ...]) -> None:
    told = run(cloud, 'show', *words, '7', '-f', 'json')
    assert told.status == 0, told
    assert (told.data['node'], told.data['id']) == ('two', 'gpu-7')
    told = run(cloud, 'show', *words, 'gpu-9')
    assert told.status == 1
    assert "device 'gpu-9' not found on 2 nodes" in told.err


def test_a_device_on_several_nodes_is_not_chosen(cloud: Cloud) -> None:
    stocked(cloud, 'three')
    told = run(cloud, 'show', '--all', 'gpu-0')
    assert told.status == 1
    assert 'found on 2 nodes (one, three)' in told.err
    told = run(cloud, 'show', 'three', 'gpu-0', '-f', 'json')
    assert (told.status, 'node' in told.data) == (0, False)


def test_nodes_without_an_inventory_are_named_beside_a_device(
        cloud: Cloud) -> None:
    cloud.nodes['one']['_inventory'] = None
    told = run(cloud, 'show', '--all', 'gpu-0')
    assert told.status == 1
    assert 'not found on 1 node; 1 could not be read' in told.err


@pytest.mark.parametrize(('plans', 'words', 'code'), [
    ((PLAN, DONE), (), 0), ((PLAN, DONE), ('--detailed-exitcode',), 1),
    ((REFUSED, PLAN), ('--detailed-exitcode',), 3),
    ((DONE, {**REFUSED, 'undecided': True}), (), 4)])
def test_the_highest_exit_code_of_several_plans_counts(
        cloud: Cloud, plans: tuple[Any, Any], words: tuple[str, ...],
        code: int) -> None:
    of = dict(zip(('one', 'two'), plans, strict=True))
    cloud.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 60.0, 'profile': 'ecc-on', 'digest': 'd',
        'plan': of[node['name']]})
    told = run(cloud, 'plan', '--all', '--profile', 'ecc-on', *words)
    assert told.status == code
    assert 'node one, profile ecc-on' in told.err
    assert 'node two, profile ecc-on' in told.err


def refreshing(cloud: Cloud, never: str = '') -> None:
    """Let refreshes end at once, but that of one node."""
    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        node['driver_internal_info'] = {
            'accel_operation': {'kind': 'idle', 'step': 'refresh',
                                'id': 'look-1'}} if node[
            'name'] == never else {'accel_result': result(
                id='look-1', outcome='done')}
        return 200, {'id': 'look-1'}
    cloud.passthru['accel_refresh'] = refresh


def test_plans_of_several_nodes_are_made_of_new_inventories(
        cloud: Cloud) -> None:
    refreshing(cloud)
    told = run(cloud, 'plan', '--all', '--profile', 'ecc-on', '--refresh',
               '--wait', '-f', 'json')
    assert told.status == 0, told
    assert sorted(p.rpartition('/')[2] for _, p, _ in cloud.asked) == [
        'accel_plan', 'accel_plan', 'accel_refresh', 'accel_refresh']


def test_the_wait_for_new_inventories_ends(cloud: Cloud) -> None:
    refreshing(cloud, never='one')
    told = run(cloud, 'plan', '--all', '--profile', 'ecc-on', '--refresh',
               '--wait', '1')
    assert told.status == 4, told
    assert 'not planned' in told.err and 'node two, profile' in told.err
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--refresh',
               '--wait', '1')
    assert told.status == 1, told
    assert told.out == ''


def test_a_wait_without_a_refresh_is_an_error(cloud: Cloud) -> None:
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--wait')
    assert told.status == 1
    assert '--wait: only allowed together with --refresh' in told.err
    assert cloud.asked == []


def test_all_traits_had_another_name(cloud: Cloud) -> None:
    cloud.nodes['one']['_traits'].append('CUSTOM_RACK_7')
    told = run(cloud, 'traits', 'one', '--all', '-f', 'json')
    assert told.status == 0
    assert 'deprecated' in told.err and '--all-traits' in told.err
    assert told.data[-1]['Trait'] == 'CUSTOM_RACK_7'
    new = run(cloud, 'traits', 'one', '--all-traits', '-f', 'json')
    assert (new.data, 'deprecated' in new.err) == (told.data, False)
    assert {r['Trait'] for r in run(
        cloud, 'traits', '--all', '-f', 'json').data} == {'CUSTOM_ACCEL_GPU'}
