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

"""Site profiles over time: the one that a run keeps, and the baseline."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from ironic.common import states
from ironic.conf import CONF
import pytest

from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.operation import baseline
from ironic_accel.model.errors import AccelError
from ironic_accel.model import loader
from ironic_accel.model import selection
from tests.unit.conductor.operation.test_runner import stage
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Stage

__all__ = ['stage']

NONE = 'CUSTOM_ACCEL_IS_H100_NEW'


@pytest.fixture(autouse=True)
def options() -> Any:
    """As they were."""
    yield
    for name in ('baseline_profiles', 'baseline_profile'):
        CONF.clear_override(name, group='accelerator')


def sites(folder: pathlib.Path, *profiles: dict[str, Any]) -> None:
    folder.joinpath('site.yaml').write_text(sample.yaml_of(*profiles))


def only_modes(name: str, count: int = 2, **match: str) -> dict[str, Any]:
    """A profile of ECC alone, for so many GPUs."""
    return {'profile': 1, 'name': name, 'devices': {'gpus': {
        'match': {'kind': 'gpu', **match}, 'count': count,
        'modes': {'ecc': 'enabled'}}}}


def test_a_run_keeps_the_profile_it_started_with(
        stage: Stage, profiles: pathlib.Path) -> None:
    stage.begin(profile='h100-new')
    stage.tick()
    sites(profiles, only_modes('h100-new', 8))
    assert stage.run()['outcome'] == 'converged'
    assert {p['gpu'].current for p in stage.box.parts.values()} == {
        sample.NEW}
    # What it was brought to is no longer what that name says.
    assert NONE not in stage.traits
    assert keys.PROFILE.name not in stage.info


def test_removed_profile_does_not_end_a_run(
        stage: Stage, profiles: pathlib.Path) -> None:
    stage.begin(profile='h100-new')
    stage.tick()
    profiles.joinpath('site.yaml').unlink()
    result = stage.run()
    assert (result['outcome'], result['no_is']) == (
        'converged', 'the profile was removed')


def test_large_profile_is_stored_compressed(make_node: Any) -> None:
    node = make_node()
    groups = {f'g{n}': {'match': {'kind': 'gpu', 'location': f'GPU_{n}'},
                        'modes': {'ecc': 'enabled'}} for n in range(200)}
    profile = loader.load_data(
        {'profile': 1, 'name': 'large', 'devices': groups}, inline=False)
    profile_snapshot.keep(node, profile)
    node.save()
    node.refresh()
    assert profile_snapshot.load(node) == profile
    size = len(json.dumps(node.driver_internal_info[keys.PROFILE.name]))
    assert size < profile_snapshot.PLAIN
    profile_snapshot.drop(node)
    assert profile_snapshot.load(node) is None
    node.set_driver_internal_info('somebody', 'x' * 59990)
    with pytest.raises(AccelError, match='no space for the record'):
        profile_snapshot.keep(node, profile)
    assert profile_snapshot.load(node) is None


def test_the_first_baseline_that_matches_is_applied(
        stage: Stage, profiles: pathlib.Path) -> None:
    sites(profiles, only_modes('eight', 8), only_modes('two'),
          only_modes('any', 2))
    CONF.set_override('baseline_profiles', ['eight', 'two', 'any'],
                      group='accelerator')
    stage.begin(step='apply_baseline')
    stage.node.refresh()
    assert stage.info[keys.OPERATION.name]['work'] == baseline.WORK
    result = stage.run()
    assert (result['outcome'], result['profile']) == ('converged', 'two')
    assert {m['ecc'].current for m in stage.box.modes.values()} == {
        'enabled'}
    assert stage.resumed == ['clean']
    # The dry run tells which one, and why not the one before.
    told = stage.acquire(stage.node).driver.vendor.accel_plan(
        stage.acquire(stage.node, shared=True))
    assert told['profile'] == 'two'
    assert told['plan']['converged'] is True
    assert told['baseline'] == [
        {'profile': 'eight',
         'why': 'group gpus requires 8 devices, found 2'},
        {'profile': 'two', 'why': 'the first profile that matches'}]


def test_baseline_powers_a_host_on_for_the_inventory(
        stage: Stage, profiles: pathlib.Path) -> None:
    sites(profiles, only_modes('two'))
    CONF.set_override('baseline_profiles', ['two'], group='accelerator')
    stage.box.host = 'off'
    stage.begin(step='apply_baseline')
    assert stage.run()['outcome'] == 'converged'
    assert stage.box.host == 'off'


def test_a_node_that_none_matches_has_no_baseline(
        stage: Stage, profiles: pathlib.Path) -> None:
    sites(profiles, only_modes('eight', 8))
    CONF.set_override('baseline_profiles', ['eight'], group='accelerator')
    stage.begin(step='apply_baseline')
    result = stage.run()
    assert (result['outcome'], result['writes']) == ('done', 0)
    assert 'eight: group gpus requires 8' in result['note']


def test_a_baseline_that_is_not_there_fails(
        stage: Stage, profiles: pathlib.Path) -> None:
    sites(profiles, only_modes('two'))
    CONF.set_override('baseline_profiles', ['gone', 'two'],
                      group='accelerator')
    stage.begin(step='apply_baseline')
    assert stage.run()['outcome'] == 'failed'
    assert "'gone' is no site profile" in stage.node.last_error
    assert stage.box.writes == 0


@pytest.mark.parametrize(('own', 'option', 'expected', 'why'), [
    ('mine', 'theirs', 'mine', 'set by driver_info/accel_baseline'),
    (None, 'theirs', 'theirs', 'set by [accelerator]baseline_profile')])
def test_configured_baseline_goes_before_matching_ones(
        stage: Stage, profiles: pathlib.Path, own: str | None, option: str,
        expected: str, why: str) -> None:
    sites(profiles, *map(only_modes, ('mine', 'theirs', 'two')))
    CONF.set_override('baseline_profiles', ['two'], group='accelerator')
    CONF.set_override('baseline_profile', option, group='accelerator')
    node = stage.make_node()
    if own:
        node.driver_info = {**node.driver_info, 'accel_baseline': own}
        node.save()
    assert not baseline.by_inventory(node)
    assert baseline.explain(stage.acquire(node)) == (
        expected, [{'profile': expected, 'why': why}])


def test_a_child_has_no_general_baseline(stage: Stage) -> None:
    CONF.set_override('baseline_profiles', ['two'], group='accelerator')
    parent = stage.make_node()
    child = stage.make_node(parent_node=parent.uuid)
    assert not baseline.by_inventory(child)


def test_baseline_of_a_node_without_inventory_is_unknown(
        stage: Stage, profiles: pathlib.Path) -> None:
    sites(profiles, only_modes('two'))
    CONF.set_override('baseline_profiles', ['two'], group='accelerator')
    node = stage.make_node(provision_state=states.MANAGEABLE)
    told = stage.acquire(node).driver.vendor.accel_plan(
        stage.acquire(node, shared=True))
    assert told == {'profile': None, 'plan': None, 'baseline': []}


def test_incomplete_inventory_selects_no_baseline() -> None:
    choice = selection.first([sample.profile(only_modes('two'))],
                             sample.box(complete=False))
    assert (choice.profile, choice.untold) == (None, True)
