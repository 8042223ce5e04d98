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

"""Which nodes a command works on, and what it asks before that."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import io
import types
from typing import Any
from typing import cast

from osc_lib.exceptions import CommandError
import pytest

from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import selection
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import begun
from tests.unit.faces.osc.operations import PLAN
from tests.unit.faces.osc.operations import planning
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]


def fleet(make_cloud: MakeCloud) -> Cloud:
    """Three managed nodes, one of Ironic's own, and a DPU."""
    cloud = make_cloud()
    cloud.add('a1', resource_class='h100', conductor_group='east',
              _traits=['CUSTOM_ROW_A', 'CUSTOM_RACK_1'])
    cloud.add('a2', resource_class='h100', conductor_group='west',
              provision_state='active', _traits=['CUSTOM_ROW_A'])
    cloud.add('b1', resource_class='mi300x', conductor_group='',
              driver='accel-idrac', vendor_interface='accelerator-idrac',
              maintenance=True)
    cloud.add('plain', driver='redfish', vendor_interface='redfish',
              resource_class='h100', conductor_group='east')
    cloud.add('dpu', resource_class='h100',
              parent_node=cloud.nodes['a1']['uuid'])
    cloud.passthru['accel_hold'] = lambda node, body: (
        200, {'done': True})
    cloud.passthru['accel_unhold'] = lambda node, body: (
        200, {'done': True})
    return cloud


@pytest.mark.parametrize(('options', 'names'), [
    (['--all'], ['a1', 'a2', 'b1']),
    (['--driver', 'accel-idrac'], ['b1']),
    (['--resource-class', 'H100'], ['a1', 'a2']),
    (['--conductor-group', 'east'], ['a1']),
    (['--conductor-group', ''], ['b1']),
    (['--trait', 'CUSTOM_ROW_A'], ['a1', 'a2']),
    (['--trait', 'CUSTOM_ROW_A', '--trait', 'CUSTOM_RACK_1'], ['a1']),
    (['--provision-state', 'active'], ['a2']),
    (['--no-maintenance'], ['a1', 'a2']),
    (['--resource-class', 'h100', '--provision-state', 'active'], ['a2']),
])
def test_filters_select_managed_nodes_and_no_children(
        make_cloud: MakeCloud, options: list[str], names: list[str]) -> None:
    told = run(fleet(make_cloud), 'hold', '--reason', 'r', *options, '-f',
               'json')
    assert (told.status, [r['Node'] for r in told.data]) == (0, names)
    assert f'{len(names)} node' in told.err


@pytest.mark.parametrize(('options', 'error'), [
    ([], 'no nodes: expected names or UUIDs, or --all'),
    (['a1', '--all'], '--all: not allowed together with names of nodes (a1)'),
    (['a1', '--driver', 'x'], "--driver 'x': not allowed together with"),
    (['--all', '--driver', 'x'], "--all: not allowed together with --driver"),
    (['--driver', 'redfish'], "--driver 'redfish': 0 nodes; 1 other node "
                              'not managed by ironic-accel'),
    (['--driver', ''], "--driver '': 0 nodes"),
    (['--trait', 'CUSTOM_NO'], "--trait 'CUSTOM_NO': 0 nodes"),
])
@pytest.mark.parametrize('command', ['hold', 'apply', 'refresh', 'enable',
                                     'disable'])
def test_an_empty_or_double_selection_is_an_error(
        make_cloud: MakeCloud, command: str, options: list[str],
        error: str) -> None:
    if command == 'enable' and 'redfish' in options:
        pytest.skip('enable is for such nodes')
    more = {'hold': ['--reason', 'r'], 'apply': ['--profile', 'ecc-on']}
    cloud = fleet(make_cloud)
    told = run(cloud, command, *options, *more.get(command, []))
    assert (told.status, cloud.asked) == (1, [])
    if command != 'enable':
        assert error in told.err


def test_enable_all_is_for_nodes_that_are_not_enabled(
        make_cloud: MakeCloud) -> None:
    told = run(fleet(make_cloud), 'enable', '--all', '--dry-run', '-f',
               'json')
    assert (told.status, [r['Node'] for r in told.data]) == (0, ['plain'])


def test_several_selected_nodes_are_changed_only_after_a_confirmation(
        make_cloud: MakeCloud) -> None:
    cloud = fleet(make_cloud)
    planning(cloud, PLAN)
    words = ['apply', '--resource-class', 'h100', '--profile', 'ecc-on',
             '-f', 'json']
    told = run(cloud, *words)
    assert (told.status, begun(cloud)) == (1, [])
    assert 'not confirmed: apply profile ecc-on to 2 nodes' in told.err
    told = run(cloud, *words, '--yes')
    assert [r['Outcome'] for r in told.data] == ['started', 'started']
    told = run(cloud, 'unhold', '--all', '--reason', 'r')
    assert 'not confirmed: allow writes to 3 nodes' in told.err
    # One node, and nodes that are named, need none.
    told = run(cloud, 'unhold', 'a1', 'a2', '--reason', 'r')
    assert told.status == 0


def test_the_errors_of_all_selected_nodes_are_shown_together(
        make_cloud: MakeCloud) -> None:
    cloud = fleet(make_cloud)
    for name in ('a1', 'a2'):
        cloud.nodes[name]['provision_state'] = 'deploying'
    planning(cloud, PLAN)
    told = run(cloud, 'apply', '--all', '--profile', 'ecc-on', '--yes')
    assert (told.status, begun(cloud)) == (1, [])
    for text in ('node a1 is deploying', 'node a2 is deploying',
                 'node b1 is in maintenance'):
        assert text in told.err


def test_the_report_takes_the_same_filters(make_cloud: MakeCloud) -> None:
    cloud = fleet(make_cloud)
    told = run(cloud, 'report', '--conductor-group', 'west', '-f', 'json')
    assert [r['Node'] for r in told.data] == ['a2']
    told = run(cloud, 'report', '--conductor-group', 'north')
    assert told.status == 1
    assert "--conductor-group 'north': no node" in told.err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(('answer', 'goes_on'), [
    ('y\n', True), ('Yes\n', True), ('n\n', False), ('\n', False),
    ('', False)])
def test_on_a_terminal_the_question_says_how_many(
        answer: str, goes_on: bool) -> None:
    stderr = _Terminal()
    command: Any = types.SimpleNamespace(app=types.SimpleNamespace(
        stdin=_Terminal(answer), stderr=stderr))
    parser = argparse.ArgumentParser()
    selection.add_nodes(parser)
    selection.add_yes(parser)
    args = parser.parse_args(['--all'])

    def ask() -> None:
        selection.confirm(cast(base.Command, command), args,
                          'disable accelerator management on', ['a', 'b'])
    if goes_on:
        ask()
    else:
        with pytest.raises(CommandError, match='nothing was changed'):
            ask()
    assert stderr.getvalue() == (
        'Disable accelerator management on 2 nodes? [y/N] ')
