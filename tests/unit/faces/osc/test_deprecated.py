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

"""Commands and options by the names that they had in earlier versions."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import copy
from importlib import metadata
from typing import Any

import pytest

from ironic_accel.faces.cli import apply
from tests import commands
from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud

MakeCloud = Callable[..., Cloud]

RENAMED = {'adopt': 'enable', 'release': 'disable', 'audit': 'refresh',
           'evidence': 'history'}
EVENT = {'event_type': 'accelerator', 'created_at': '2026-11-28T10:00:00',
         'conductor': 'one', 'user': 'ops', 'severity': 'INFO',
         'event': 'ecc disabled > enabled'}


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> Cloud:
    """A node of ours that has the passthru methods of the commands."""
    made = make_cloud()

    def refresh(node: dict[str, Any], body: Any) -> clouds.Answer:
        node['driver_internal_info'] = {'accel_result': {
            'id': 'run-1', 'outcome': 'done', 'found': 8, 'error': None}}
        return 200, {'id': 'run-1'}

    made.passthru['accel_refresh'] = refresh
    made.passthru['accel_disable'] = lambda node, body: (200, {
        'traits': ['CUSTOM_ACCEL_GPU'], 'kept_traits': [], 'firmware': 2,
        'keys': ['accel_result']})
    made.add('one', _history=[EVENT])
    return made


def run(cloud: Cloud, *words: str) -> commands.Told:
    """Run a command and have its table as JSON."""
    return commands.run(cloud.url, 'accelerator', *words, '-f', 'json')


@pytest.mark.parametrize(('old', 'new'), RENAMED.items())
def test_an_old_command_does_the_same_and_warns(
        cloud: Cloud, old: str, new: str) -> None:
    before = copy.deepcopy(cloud.nodes['one'])
    first = run(cloud, old, 'one')
    asked = [(verb, path) for verb, path, _body in cloud.asked]
    cloud.asked.clear()
    cloud.nodes['one'] = before
    second = run(cloud, new, 'one')
    assert (first.status, second.status) == (0, 0)
    assert first.data == second.data
    assert asked == [(verb, path) for verb, path, _body in cloud.asked]
    warning = (f'warning: baremetal accelerator {old} is deprecated and will '
               f'be removed; use baremetal accelerator {new}')
    assert warning in first.err.splitlines()
    assert 'deprecated' not in second.err


def test_help_lists_the_new_commands_alone() -> None:
    listed = commands.bare('--help').out
    for old, new in RENAMED.items():
        assert f'accelerator {new} ' in listed
        assert f'accelerator {old} ' not in listed


def test_every_old_command_is_registered_beside_the_new_one() -> None:
    found = {e.name.removeprefix('baremetal_accelerator_')
             for e in metadata.entry_points(group='openstack.baremetal.v1')
             if 'ironic_accel' in e.value}
    assert set(RENAMED) | set(RENAMED.values()) <= found


def test_disable_uses_the_old_method_of_an_earlier_conductor(
        cloud: Cloud) -> None:
    cloud.passthru['accel_release'] = cloud.passthru.pop('accel_disable')
    told = run(cloud, 'disable', 'one')
    assert told.status == 0
    assert [r['Outcome'] for r in told.data] == ['disabled']
    assert [path.rpartition('/')[2] for verb, path, _ in cloud.asked
            if verb == 'POST'] == ['accel_disable', 'accel_release']
    assert cloud.nodes['one']['driver'] == 'redfish'


def test_disable_without_any_method_changes_no_driver(cloud: Cloud) -> None:
    del cloud.passthru['accel_disable']
    told = run(cloud, 'disable', 'one')
    assert told.status == 4
    assert 'upgrade ironic-accel on its conductor' in told.data[0]['Note']
    assert cloud.nodes['one']['driver'] == 'accel-redfish'


def parse(*words: str) -> argparse.Namespace:
    """The options of ``ironic-accel apply``, which has all renamed ones."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    apply.add_arguments(parser)
    return parser.parse_args(
        ['--bmc', 'http://[::1]', '--profile', 'p.yaml', *words])


OPTIONS = [
    ('--max-effect', '--max-activation', 'warm-reboot'),
    ('--accept-unread', '--allow-unreadable',
     '/redfish/v1/Systems/1/Memory/DIMM1'),
    ('--steady', '--warm-up', '0.5'),
    ('--poll', '--poll-interval', '0.5'),
    ('--soft-off', '--soft-power-off-timeout', '7')]


@pytest.mark.parametrize(('old', 'new', 'value'), OPTIONS)
def test_an_old_option_sets_the_same_and_warns(
        capsys: pytest.CaptureFixture[str], old: str, new: str,
        value: str) -> None:
    default = vars(parse())
    renamed = vars(parse(new, value))
    assert renamed != default
    assert capsys.readouterr().err == ''
    assert vars(parse(old, value)) == renamed
    assert capsys.readouterr().err == (
        f'warning: {old} is deprecated and will be removed; use {new}\n')


@pytest.mark.parametrize(('old', 'new', 'value'), OPTIONS)
def test_both_names_of_an_option_are_refused(
        capsys: pytest.CaptureFixture[str], old: str, new: str,
        value: str) -> None:
    with pytest.raises(SystemExit):
        parse(old, value, new, value)
    assert f'argument {new}: not allowed with argument {old}' \
        in capsys.readouterr().err


def test_help_shows_the_new_options_alone(
        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse('--help')
    words = capsys.readouterr().out.replace('[', ' ').split()
    for old, new, _value in OPTIONS:
        assert (old in words, new in words) == (False, True)


def test_old_options_of_the_commands_work_and_warn(cloud: Cloud) -> None:
    plan = {'schema': 'plan/2', 'converged': True, 'satisfied': [],
            'refused': [], 'stages': []}
    cloud.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 1.0, 'profile': 'p', 'digest': 'd', 'plan': plan})
    told = run(cloud, 'plan', 'one', '--profile', 'p', '--fresh')
    assert told.status == 0
    assert '--fresh is deprecated and will be removed; use --refresh' \
        in told.err
    assert [path.rpartition('/')[2] for _, path, _ in cloud.asked] == [
        'accel_refresh', 'accel_plan']
    told = run(cloud, 'apply', 'one', '--profile', 'p', '--max-effect', 'none')
    assert told.status == 0
    assert '--max-effect is deprecated' in told.err
    assert cloud.asked[-1][2]['clean_steps'][0]['args'] == {
        'profile': 'p', 'max_activation': 'none'}
