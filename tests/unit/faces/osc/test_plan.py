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

"""``baremetal accelerator plan``."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any

import pytest

from tests import commands
from tests.unit.conductor import sample
from tests.unit.faces.osc import cloud as clouds
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import begun
from tests.unit.faces.osc.operations import PLAN
from tests.unit.faces.osc.operations import planning
from tests.unit.faces.osc.operations import REFUSED
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]

BLOCKED = {'item': 'state', 'reason': 'the node is enroll',
           'next': 'baremetal node manage one'}


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
    assert '--name: required' in told.err
    assert 'a, b' in told.err
    told = run(cloud, 'plan', 'one', '--profile', str(file),
               '--name', 'b')
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
    # In maintenance nothing is written, and a refresh only reads.
    node['maintenance'] = True
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--refresh')
    assert told.status == 0


@pytest.mark.parametrize('plan, words, code', [
    (PLAN, (), 0), (PLAN, ('--detailed-exitcode',), 1),
    ({**PLAN, 'stages': [], 'converged': True}, ('--detailed-exitcode',), 0),
    ({**PLAN, 'stages': [], 'applies': False}, ('--detailed-exitcode',), 0),
    (REFUSED, ('--detailed-exitcode',), 3),
    ({**REFUSED, 'undecided': True}, (), 4),
    ({**PLAN, 'blocked': [BLOCKED]}, ('--detailed-exitcode',), 3)])
def test_the_exit_code_is_that_of_apply(
        make_cloud: MakeCloud, plan: dict[str, Any], words: tuple[str, ...],
        code: int) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, plan)
    assert run(cloud, 'plan', 'one', '--profile', 'ecc-on', *words
               ).status == code


def test_plan_passes_the_options_of_the_step(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, {**PLAN, 'blocked': []})
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--via', 'agent',
               '--service', '--max-activation', 'warm-reboot',
               '--allow-disruption')
    assert told.status == 0
    assert cloud.asked[-1][2] == {
        'profile': 'ecc-on', 'via': 'agent', 'kind': 'service',
        'max_activation': 'warm-reboot', 'allow_disruption': True}


def test_a_conductor_of_the_release_before_plans_without_the_options(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')

    def old(node: dict[str, Any], body: Any) -> tuple[int, Any]:
        more = sorted({*body} - {'profile'})
        if more:
            return clouds.error(
                400, f"accel_plan: {', '.join(more)}: unknown argument; "
                'supported arguments: profile')
        return 200, {'age': 1.0, 'profile': 'p', 'digest': 'd', 'plan': PLAN}

    cloud.passthru['accel_plan'] = old
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--via',
               'redfish')
    assert told.status == 0
    assert 'not checked: via: the conductor is of an earlier' in told.err
    assert run(cloud, 'plan', 'one', '--profile', 'ecc-on').status == 0
    assert run(cloud, 'apply', 'one', '--profile', 'ecc-on').status == 0


def test_plan_says_what_it_could_not_check(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', provision_state='available')
    cloud.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 7200.0, 'profile': 'p', 'digest': 'd',
        'limit': {'activation': 'warm-reboot', 'why': 'disable_power_off'},
        'plan': {**PLAN, 'blocked': [], 'not_checked': ['the weather']}})
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on')
    assert told.status == 0
    assert 'inventory of 2 h ago' in told.err
    assert 'not checked: the weather' in told.err
    assert 'resets up to warm-reboot: disable_power_off' in told.err
    assert 'node one is available; next: use apply --wait' in told.err


def test_the_lock_of_another_request_is_a_note(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', reservation='conductor-7')
    planning(cloud, {**PLAN, 'blocked': []})
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on')
    assert told.status == 0
    assert ('node one is locked by conductor conductor-7 for another request '
            'at the moment') in told.err


def test_a_plan_and_an_apply_say_how_long_it_takes(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, {**PLAN, 'blocked': [], 'duration': {
        'seconds': 4800.0, 'steps': 2, 'unknown': 1, 'is_limit': True,
        'limit': 1800, 'exceeds_limit': True}})
    for command in ('plan', 'apply'):
        told = run(cloud, command, 'one', '--profile', 'ecc-on')
        assert told.status == 0
        assert ('1 of 2 steps takes at most 1 h 20 min, by the catalogue; '
                'limits.minutes ends the run after 30 min') in told.err


def test_what_stands_in_the_way_is_a_row(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, {**PLAN, 'blocked': [BLOCKED]})
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '-f', 'json')
    assert told.data[-1]['Devices'] == ['node']
    assert told.data[-1]['Note'] == (
        'the node is enroll; next: baremetal node manage one')
    assert 'refused: the node is enroll' in told.err


@pytest.mark.parametrize('words, error', [
    (('plan', 'two', '--profile', 'ecc-on'),
     {'class': 'permanent', 'field': None}),
    (('plan', 'one', '--profile', '/nowhere.yaml'),
     {'class': 'permanent'}),
    (('apply', 'one', '--profile', './bad.yaml'),
     {'class': 'permanent', 'field': 'devices.g.count', 'value': "'many'"}),
    (('plan', 'ours', '--profile', 'ecc-on'),
     {'class': 'permanent', 'next': 'baremetal accelerator enable ours'}),
    (('apply', 'busy', '--profile', 'ecc-on'), {'class': 'transient'})])
def test_an_early_failure_is_a_document(
        make_cloud: MakeCloud, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...],
        error: dict[str, Any]) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath('bad.yaml').write_text(
        'profile: 1\nname: x\ndevices:\n  g:\n    match: {kind: gpu}\n'
        '    count: many\n    modes: {ecc: enabled}\n')
    cloud = make_cloud()
    cloud.add('one')
    cloud.add('ours', driver='redfish', vendor_interface='redfish')
    cloud.add('busy', provision_state='clean wait', driver_internal_info={
        'accel_operation': {
            'work': 'apply', 'step': 'apply_profile', 'kind': 'clean'}})
    planning(cloud, PLAN)
    told = run(cloud, *words, '-f', 'json')
    assert told.status == 1
    assert told.data['schema'] == 'error/1'
    assert told.data['command'] == f'accelerator {words[0]}'
    assert {name: told.data['error'][name] for name in error} == error
    assert told.data['error']['summary'][:20] in told.err
    assert run(cloud, *words).out == ''


def test_an_api_that_does_not_respond_is_a_document(
        make_cloud: MakeCloud) -> None:
    told = commands.run('http://127.0.0.1:1', 'accelerator', 'plan', 'one',
                        '--profile', 'ecc-on', '-f', 'json')
    assert told.status == 1
    assert told.data['error']['class'] == 'transient'
