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

"""Cells of sheets and of lines: one value in each, in all commands."""

from __future__ import annotations

from collections.abc import Callable
import csv
import functools
from importlib import metadata
import io
import re
from typing import Any

import pytest

from ironic_accel.faces.osc import base
from ironic_accel.faces import sheet
from ironic_accel.model import loader
from tests.unit.conductor import sample
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import planning
from tests.unit.faces.osc.operations import PLAN
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run
from tests.unit.faces.osc.operations import running
from tests.unit.faces.osc import test_enable
from tests.unit.faces.osc import test_reading

MakeCloud = Callable[..., Cloud]

WHY = ('--reason', 'rack; 7')
#: A line of each command that prints a table or the fields of an object, by
#: the name of its entry point; the deprecated ones are the same commands.
LINES: dict[str, tuple[str, ...]] = {
    'apply': ('apply', 'gpu-a', '--profile', 'ecc-on', '--wait'),
    'disable': ('disable', 'gpu-a'),
    'enable': ('enable', 'plain'),
    'history': ('history', 'gpu-a'),
    'hold': ('hold', 'gpu-a', *WHY),
    'list': ('list', 'gpu-a'),
    'plan': ('plan', 'gpu-a', '--profile', 'ecc-on'),
    'profile_explain': ('profile', 'explain', 'gpu.modes'),
    'profile_list': ('profile', 'list'),
    'profile_show': ('profile', 'show', 'h100-new'),
    'profile_validate': ('profile', 'validate', 'file.yaml'),
    'progress': ('progress', 'gpu-a'),
    'refresh': ('refresh', 'gpu-a'),
    'report': ('report', '--profile', 'h100-new'),
    'runbook_create': ('runbook', 'create', 'h100-new'),
    'show': ('show', 'gpu-a', 'gpu-0'),
    'template_create': ('template', 'create', 'h100-new', '--dry-run'),
    'traits': ('traits', 'gpu-a', '--all-traits'),
    'unhold': ('unhold', 'gpu-a', *WHY),
    'unlock': ('unlock', 'gpu-a', *WHY, '--yes'),
}
DEPRECATED = {'adopt', 'audit', 'evidence', 'release'}

#: What Python writes for a list, a mapping, nothing and a truth value.
_PYTHON = re.compile(r"""[\[{(]['"{\[(]|\[\]|\{\}|\b(None|True|False)\b""")


def commands_of(kind: type[Any]) -> set[str]:
    """The commands of a class, by the names of their entry points."""
    return {point.name.removeprefix('baremetal_accelerator_')
            for point in metadata.entry_points(
                group='openstack.baremetal.v1')
            if point.name.startswith('baremetal_accelerator_')
            and issubclass(point.load(), kind)} - DEPRECATED


LISTS = sorted(commands_of(base.Lister))
OBJECTS = sorted(commands_of(base.ShowOne))


def _answer(answer: Any, node: dict[str, Any], body: Any) -> Any:
    return 200, answer


@pytest.fixture
def cloud(make_cloud: MakeCloud, tmp_path: Any) -> Cloud:
    """A node with everything that a table may have, and one without us."""
    made = make_cloud()
    node = test_reading.furnish(made, _history=[
        test_reading.ended(1, 'failed', test_reading.CHANGE),
        {'event_type': 'accelerator', 'created_at': '2026-11-28T10:00:00',
         'conductor': 'one', 'user': 'ops', 'severity': 'INFO',
         'event': 'a line\nand another'}])
    made.add('plain', **test_enable.PLAIN)
    node['driver_internal_info']['accel_result'] = result(
        id='earlier', traits=['CUSTOM_ACCEL_GPU'], asked={'user': 'ops'})
    seen = node['_inventory']['plugin_data']['accelerators']['inventory']
    seen['devices'][0]['modes']['ecc']['pending'] = 'enabled'
    seen['devices'][1]['components'][0]['pending'] = '=new'
    test_enable.can_be_enabled(made)
    planning(made, PLAN)
    running(made, result())

    def refresh(node: dict[str, Any], body: Any) -> Any:
        node['driver_internal_info']['accel_result'] = result(
            id='look-1', outcome='done', found=2, host='on',
            withheld='gpu-0: another node; gpu-1: another node')
        node['_traits'] = ['CUSTOM_ACCEL_DEGRADED', 'CUSTOM_ACCEL_NIC']
        return 200, {'id': 'look-1'}
    guard = {'what': 'gpu-0', 'state': 'running', 'last': None}
    answers: dict[str, Any] = {
        'accel_progress': {'operation': None, 'stopped': None,
                           'result': result(), 'guard': guard},
        'accel_profiles': {
            'conductor': 'one', 'writes': True, 'profiles': [{
                'digest': sample.profile(sample.profile_data()).digest,
                'profile': loader.normalise(
                    sample.profile(sample.profile_data())),
                'steps': {'agent': False, 'volatile': []}}]},
        'accel_hold': {'reason': 'x'}, 'accel_unhold': {'reason': 'x'},
        'accel_unlock': {'was': guard}}
    made.passthru.update({
        name: functools.partial(_answer, answer)
        for name, answer in answers.items()}, accel_refresh=refresh)
    (tmp_path / 'file.yaml').write_text(
        sample.yaml_of(sample.profile_data()))
    return made


def test_every_command_has_a_line_here() -> None:
    assert {*LISTS, *OBJECTS} == set(LINES)


@pytest.mark.parametrize('name', LISTS)
def test_a_sheet_has_one_value_in_each_cell(cloud: Cloud, name: str) -> None:
    told = run(cloud, *LINES[name], '-f', 'csv')
    assert told.status == 0, told
    heading, *rows = csv.reader(io.StringIO(told.out))
    assert rows
    for row in rows:
        for column, text in zip(heading, row, strict=True):
            assert not _PYTHON.search(text), (column, text)
            assert '\n' not in text, (column, text)
            assert not text.startswith(('=', '+', '@')), (column, text)


@pytest.mark.parametrize('name', [*LISTS, *OBJECTS])
def test_a_value_is_not_printed_as_python_writes_it(
        cloud: Cloud, name: str) -> None:
    told = run(cloud, *LINES[name], '-f', 'value')
    assert told.status == 0, told
    # None, True and False are the client's own words.
    assert not re.search(r"""[\[{(]['"{\[(]|\[\]|\{\}""", told.out), told.out


@pytest.mark.parametrize('name', OBJECTS)
def test_a_shell_can_read_the_fields(cloud: Cloud, name: str) -> None:
    told = run(cloud, *LINES[name], '-f', 'shell')
    assert told.status == 0, told
    assert not re.search(r"""[\[{(]['"{\[(]|\[\]|\{\}""", told.out), told.out


def test_lists_and_mappings_of_a_sheet_can_be_split(cloud: Cloud) -> None:
    told = run(cloud, 'list', 'gpu-a', '-f', 'csv')
    first, second = csv.DictReader(io.StringIO(told.out))
    assert first['Firmware'] == f'gpu={sample.OLD}'
    assert first['Modes'].split(';') == [
        'ecc.current=disabled', 'ecc.pending=enabled', 'mig=disabled']
    assert second['Firmware'].split(';') == [
        f'gpu.running={sample.OLD}', 'gpu.pending==new']
    told = run(cloud, 'plan', 'gpu-a', '--profile', 'ecc-on', '-f', 'csv')
    change, reset = csv.DictReader(io.StringIO(told.out))
    assert change['Devices'].split(';') == [f'gpu-{n}' for n in range(8)]
    assert (reset['Devices'], reset['Target']) == ('host', '')


def test_the_last_operation_is_a_sentence_in_a_sheet(cloud: Cloud) -> None:
    told = run(cloud, 'report', 'gpu-a', '-f', 'csv')
    row, = csv.DictReader(io.StringIO(told.out))
    assert row['Last operation'] == 'apply_profile ecc-on: converged'
    assert row['Devices'] == 'gpu=2'
    told = run(cloud, 'report', 'gpu-a', '-f', 'json')
    assert told.data[0]['Last operation']['writes'] == 8


@pytest.mark.parametrize(('value', 'cell'), [
    (None, ''), (True, 'yes'), (3, 3), (1.5, 1.5), ('a', 'a'),
    ('=1+1', "'=1+1"), ('\t=1', "'\N{REPLACEMENT CHARACTER}=1"),
    ('two\nlines', 'two lines'), ([], ''), ({}, ''),
    (['a', 'b;c', None, 2], 'a;b,c;;2'), ({'a': 1, 'b': None}, 'a=1;b='),
    ({'a': {'b': [1, 2], 'c': False}}, 'a.b=1 2;a.c=no'),
    ([{'a': 1, 'b': 2}, {'a': 3}], 'a=1 b=2;a=3'),
    (['-x', 'y'], "'-x;y")])
def test_a_value_as_a_cell(value: Any, cell: Any) -> None:
    assert sheet.cell(value) == cell
