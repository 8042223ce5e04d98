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
    # In maintenance the conductor starts no operation.
    node['maintenance'] = True
    told = run(cloud, 'plan', 'one', '--profile', 'ecc-on', '--refresh')
    assert told.status == 1
    assert 'baremetal node maintenance unset one' in told.err
