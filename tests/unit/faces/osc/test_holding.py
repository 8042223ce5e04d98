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

"""``hold``, ``unhold`` and ``unlock`` against a cloud that is simulated."""

from __future__ import annotations

from collections.abc import Callable
import io
import json
import pathlib
import sys
from typing import Any

import pytest

from ironic_accel.model.plan import Plan
from tests import commands
from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc import test_reading

MakeCloud = Callable[..., Cloud]
GUARD = {'what': 'gpu-1', 'state': 'running', 'last': 'writing 7'}


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> Cloud:
    """A node whose power is guarded."""
    made = make_cloud()
    made.add('one')
    made.passthru['accel_progress'] = lambda node, body: (
        200, {'guard': GUARD, 'stopped': None})
    for method in ('accel_hold', 'accel_unhold'):
        made.passthru[method] = lambda node, body: (200, {'hold': body})
    made.passthru['accel_unlock'] = lambda node, body: (200, {
        'guard': None, 'was': GUARD})
    return made


def run(cloud: Cloud, *words: str) -> commands.Told:
    """Run a command."""
    return commands.run(cloud.url, 'accelerator', *words)


def asked(cloud: Cloud) -> list[tuple[str, Any]]:
    """The methods that were posted, with their arguments."""
    return [(path.rpartition('/')[2], body)
            for _verb, path, body in cloud.asked]


@pytest.mark.parametrize(('verb', 'outcome'), [
    ('hold', 'held'), ('unhold', 'not held')])
def test_hold_and_unhold_call_their_methods(
        cloud: Cloud, verb: str, outcome: str) -> None:
    cloud.add('two')
    told = run(cloud, verb, 'one', 'two', '--reason', 'audit', '-f', 'json')
    assert told.status == 0
    assert [(r['Node'], r['Outcome']) for r in told.data] == [
        ('one', outcome), ('two', outcome)]
    assert asked(cloud) == [(f'accel_{verb}', {'reason': 'audit'})] * 2


def test_a_node_that_cannot_be_held_does_not_stop_the_others(
        cloud: Cloud) -> None:
    cloud.add('two')
    cloud.passthru['accel_hold'] = lambda node, body: (
        clouds.denied('baremetal:node:accelerator:hold')
        if node['name'] == 'one' else (200, {'hold': body}))
    told = run(cloud, 'hold', 'one', 'two', '--reason', 'audit', '-f',
               'json')
    assert told.status == 4
    assert [r['Outcome'] for r in told.data] == ['failed', 'held']
    assert 'accelerator:hold' in told.data[0]['Note']


@pytest.mark.parametrize('verb', ['hold', 'unhold', 'unlock'])
def test_a_reason_is_required(cloud: Cloud, verb: str) -> None:
    assert run(cloud, verb, 'one').status == 2
    assert asked(cloud) == []


def test_unlock_needs_a_terminal_or_yes(
        cloud: Cloud) -> None:
    told = run(cloud, 'unlock', 'one', '--reason', 'BMC replaced')
    assert told.status == 1
    assert 'use --yes' in told.err and asked(cloud) == []
    told = run(cloud, 'unlock', 'one', '--reason', 'BMC replaced', '--yes',
               '-f', 'json')
    assert told.status == 0
    assert told.data['outcome'] == 'unlocked'
    assert 'the write to gpu-1 is not known to have ended' in told.err
    assert asked(cloud) == [('accel_unlock', {'reason': 'BMC replaced'})]


@pytest.mark.parametrize(('typed', 'status'), [
    ('one\n', 0), ('yes\n', 1), ('\n', 1), ('', 1)])
def test_unlock_asks_for_the_name_on_a_terminal(
        cloud: Cloud, monkeypatch: pytest.MonkeyPatch, typed: str,
        status: int) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, 'isatty', lambda: True, raising=False)
    monkeypatch.setattr(sys, 'stdin', terminal)
    told = run(cloud, 'unlock', 'one', '--reason', 'so')
    assert told.status == status
    assert len(asked(cloud)) == (1 if status == 0 else 0)


def test_unlock_of_a_node_that_is_not_locked_fails(cloud: Cloud) -> None:
    cloud.passthru['accel_progress'] = lambda node, body: (
        200, {'guard': None})
    told = run(cloud, 'unlock', 'one', '--reason', 'so', '--yes')
    assert told.status == 1 and asked(cloud) == []
    assert 'the power is not locked' in told.err


WHY = 'node one is held by ops: audit'
HELD = {'accel_hold': {'reason': 'audit', 'by': 'ops', 'at': 1.0}}


def furnished(make_cloud: MakeCloud, role: str, stopped: str | None,
              writes: bool = True) -> Cloud:
    """A node with an inventory, and the progress of its conductor."""
    made = make_cloud(role)
    node = test_reading.furnish(made)
    if stopped == WHY:
        node['driver_internal_info'].update(HELD)
    made.passthru['accel_progress'] = lambda node, body: (
        200, {'guard': None, 'stopped': stopped})
    made.passthru['accel_profiles'] = lambda node, body: (
        200, {'conductor': 'one', 'writes': writes, 'profiles': []})
    made.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 1.0, 'profile': 'p', 'digest': 'd', 'stopped': stopped,
        'plan': Plan().to_dict()})
    return made


@pytest.mark.parametrize('stopped', [WHY, None])
def test_a_hold_is_shown_in_the_list_and_the_plan(
        make_cloud: MakeCloud, stopped: str | None) -> None:
    cloud = furnished(make_cloud, 'admin', stopped)
    for words, told in ((('list',), 'no operation is started: '),
                        (('plan', '--profile', 'p'),
                         'no operation is started: ')):
        shown = run(cloud, words[0], 'gpu-a', *words[1:])
        assert shown.status == 0, shown.err
        assert (told + WHY in shown.err) == (stopped is not None)


@pytest.mark.parametrize('stopped', [WHY, None])
def test_list_shows_a_hold_without_permission_for_passthru(
        make_cloud: MakeCloud, stopped: str | None) -> None:
    shown = run(furnished(make_cloud, 'reader', stopped), 'list', 'gpu-a')
    assert shown.status == 0
    assert ('no operation is started: held by ops: audit' in shown.err) == (
        stopped is not None)


@pytest.mark.parametrize('words', [
    ('report',), ('report', 'gpu-a'), ('list', 'gpu-a')])
@pytest.mark.parametrize('role', ['admin', 'reader'])
@pytest.mark.parametrize('whose', ['gpu-a', 'other'])
def test_list_of_a_parent_shows_the_hold_of_its_child(
        make_cloud: MakeCloud, role: str, words: tuple[str, ...],
        whose: str) -> None:
    """The parent's runs write to it: they are held by it."""
    cloud = furnished(make_cloud, role, None)
    other = cloud.add('other')
    parent = cloud.nodes['gpu-a'] if whose == 'gpu-a' else other
    cloud.add('dpu', parent_node=parent['uuid'],
              driver_internal_info=dict(HELD))
    why = 'child node dpu is held by ops: audit'
    cloud.passthru['accel_progress'] = lambda node, body: (200, {
        'guard': None,
        'stopped': why if node['uuid'] == parent['uuid'] else None})
    shown = run(cloud, *words, *(
        ('-f', 'json') if words[0] == 'report' else ()))
    assert shown.status == 0, shown.err
    if words == ('report',) or whose == 'gpu-a':
        assert why in shown.out + shown.err
    else:
        assert why not in shown.out + shown.err


@pytest.mark.parametrize(('stopped', 'writes', 'told'), [
    (WHY, True, 'held by ops: audit'),
    ('off', False, 'writes are disabled on conductor one'),
    (None, True, None)])
def test_the_report_and_its_page_show_stopped_nodes(
        make_cloud: MakeCloud, tmp_path: pathlib.Path,
        stopped: str | None, writes: bool, told: str | None) -> None:
    cloud = furnished(make_cloud, 'admin', stopped, writes)
    shown = run(cloud, 'report', '--save', str(tmp_path / 'r.json'),
                '--html', str(tmp_path / 'r.html'), '-f', 'csv')
    assert shown.status == 0, shown.err
    saved = json.loads((tmp_path / 'r.json').read_text())
    assert [n['stopped'] for n in saved['nodes']] == [told]
    html = (tmp_path / 'r.html').read_text()
    for text in (shown.out, html):
        if told:
            assert told in text
        else:
            assert 'held by' not in text and 'switched off' not in text
