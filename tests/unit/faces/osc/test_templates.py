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

"""``baremetal accelerator template create`` and ``runbook create``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import pathlib
from typing import Any

import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.model import loader
from ironic_accel.model import traits
from tests import commands
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]

STEP = {'interface': 'vendor', 'step': 'apply_profile',
        'args': {'profile': 'ecc-on'}}
TEMPLATE = {'name': 'CUSTOM_ACCEL_CAN_ECC_ON',
            'steps': [{**STEP, 'priority': 150}]}
CAN = 'CUSTOM_ACCEL_CAN_ECC_ON'
RUNBOOK = {'name': CAN, 'disable_ramdisk': True,
           'steps': [{**STEP, 'order': 1}]}
#: The client is of the same series as Ironic.
WITH_TRAITS = pytest.mark.skipif(
    not ironic_series.RUNBOOK_TRAITS.present, reason='RUNBOOK_TRAITS')
#: The last version of the API without traits of runbooks.
BEFORE = 111
KINDS = pytest.mark.parametrize(('verb', 'kind', 'name', 'latest'), [
    ('template', 'deploy_templates', CAN, 115),
    pytest.param('runbook', 'runbooks', CAN, 115, marks=WITH_TRAITS),
    ('runbook', 'runbooks', CAN, BEFORE)])


def site(make_cloud: MakeCloud, *modes: str, steps: Any = None,
         offered: bool = True, latest: int = 115,
         interfaces: Mapping[str, str] | None = None) -> Cloud:
    """A conductor for each value of ECC that its profile sets.

    :param latest: the version of its API.
    :param interfaces: those that have the steps, by conductor.
    """
    cloud = make_cloud()
    cloud.latest = latest
    for value in modes or ('enabled',):
        cloud.add(f'n-{value}', conductor=value)

    def answer(node: dict[str, Any], body: Any) -> Any:
        known = interfaces or {}
        doc = {'profile': 1, 'name': 'ecc-on', 'offered': offered,
               'devices': {'gpus': {'match': {'kind': 'gpu'}, 'modes': {
                   'ecc': node['conductor']}}}}
        return 200, {'conductor': node['conductor'], 'profiles': [{
            'digest': loader.load_data(doc).digest, 'profile': doc,
            'steps': {'agent': False, 'volatile': []}
            if steps is None else steps}]} | (
                {'interface': known[node['conductor']]}
                if node['conductor'] in known else {})
    cloud.passthru['accel_profiles'] = answer
    return cloud


def changes(cloud: Cloud) -> list[tuple[str, str]]:
    """The calls that changed a deploy template or runbook."""
    return [(verb, path) for verb, path, _ in cloud.asked
            if 'vendor_passthru' not in path]


def test_a_template_is_named_after_the_trait(make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud)
    told = run(cloud, 'template', 'create', 'ecc-on', '-f', 'json')
    assert told.status == 0, told
    made = cloud.objects['deploy_templates'][CAN]
    assert {k: made[k] for k in TEMPLATE} == TEMPLATE
    assert (told.data['outcome'], told.data['uuid']) == (
        'created', made['uuid'])
    assert told.data['steps'] == TEMPLATE['steps']


@WITH_TRAITS
def test_a_runbook_has_the_trait(make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud)
    told = run(cloud, 'runbook', 'create', 'ecc-on', '-f', 'json')
    assert told.status == 0, told
    made = cloud.objects['runbooks'][CAN]
    assert {k: made[k] for k in RUNBOOK} == RUNBOOK
    assert (made['traits'], told.data['traits']) == ([CAN], [CAN])


@KINDS
def test_a_second_run_changes_nothing(
        make_cloud: MakeCloud, verb: str, kind: str, name: str,
        latest: int) -> None:
    cloud = site(make_cloud, latest=latest)
    assert run(cloud, verb, 'create', 'ecc-on').status == 0
    # As the API may return it: texts, other fields, more traits.
    step = cloud.objects[kind][name]['steps'][0]
    for field in ('priority', 'order'):
        if field in step:
            step[field] = str(step[field])
    cloud.objects[kind][name].update(extra={'rack': 7}, links=[])
    cloud.objects[kind][name].setdefault('traits', []).append('CUSTOM_MORE')
    before = changes(cloud)
    told = run(cloud, verb, 'create', 'ecc-on', '--replace', '-f', 'json')
    assert (told.status, told.data['outcome']) == (0, 'unchanged'), told
    assert (told.data['differences'], changes(cloud)) == ([], before)


@KINDS
def test_what_differs_is_shown_and_changed_by_replace_alone(
        make_cloud: MakeCloud, verb: str, kind: str, name: str,
        latest: int) -> None:
    cloud = site(make_cloud, latest=latest)
    assert run(cloud, verb, 'create', 'ecc-on').status == 0
    has_traits = 'traits' in cloud.objects[kind][name]
    there = cloud.objects[kind][name]
    wanted = {k: there[k] for k in there if k not in ('extra', 'traits')}
    there.update(extra={'rack': 7}, steps=[
        {**there['steps'][0], 'step': 'apply_baseline', 'args': {}}])
    if has_traits:
        there.update(disable_ramdisk=False, traits=['CUSTOM_MORE'])
    before = changes(cloud)
    told = run(cloud, verb, 'create', 'ecc-on', '-f', 'json')
    assert (told.status, told.data['outcome']) == (3, 'differs'), told
    text = ' '.join(told.data['differences'])
    assert 'vendor.apply_baseline' in text
    assert 'vendor.apply_profile profile ecc-on' in text
    if has_traits:
        assert 'disable_ramdisk: no, expected yes' in text
        assert f'traits: CUSTOM_MORE, expected also {CAN}' in text
    assert '--replace' in told.err
    for words in (('--dry-run',), ('--dry-run', '--replace')):
        told = run(cloud, verb, 'create', 'ecc-on', *words, '-f', 'json')
        assert told.status == (0 if '--replace' in words else 3)
    assert (told.data['outcome'], changes(cloud)) == (
        'would be replaced', before)
    told = run(cloud, verb, 'create', 'ecc-on', '--replace', '-f', 'json')
    assert (told.status, told.data['outcome']) == (0, 'replaced'), told
    assert {k: there[k] for k in wanted} == wanted
    assert there['extra'] == {'rack': 7}
    if has_traits:
        assert there['traits'] == ['CUSTOM_MORE', CAN]


@KINDS
def test_a_dry_run_shows_the_body_and_creates_nothing(
        make_cloud: MakeCloud, verb: str, kind: str, name: str,
        latest: int) -> None:
    cloud = site(make_cloud, latest=latest)
    told = run(cloud, verb, 'create', 'ecc-on', '--dry-run')
    assert told.status == 0, told
    assert 'would be created' in told.out
    assert 'vendor.apply_profile profile ecc-on' in told.out
    assert (cloud.objects[kind], changes(cloud)) == ({}, [])


def test_the_conductor_tells_what_the_steps_need(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud, steps={'agent': True, 'volatile': []})
    told = run(cloud, 'template', 'create', 'ecc-on', '-f', 'json')
    assert [(s['step'], s['priority']) for s in told.data['steps']] == [
        ('apply_profile_in_band', 90)]
    told = run(cloud, 'runbook', 'create', 'ecc-on', '--via', 'redfish',
               '-f', 'json')
    assert (told.data['steps'][0]['step'], told.data['disable_ramdisk']) == (
        'apply_profile', True)


@pytest.mark.parametrize('steps', [
    {}, [], {'agent': 'yes'}, {'agent': True, 'volatile': [['a']]},
    {'agent': True, 'volatile': None}])
def test_a_conductor_that_does_not_report_it_is_named(
        make_cloud: MakeCloud, steps: Any) -> None:
    cloud = site(make_cloud, steps=steps)
    told = run(cloud, 'template', 'create', 'ecc-on')
    assert told.status == 1
    assert 'earlier release' in told.err
    assert changes(cloud) == []


def test_a_profile_that_is_not_offered_has_no_template(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud, offered=False)
    told = run(cloud, 'template', 'create', 'ecc-on')
    assert told.status == 1
    assert 'ecc-on is not offered' in told.err
    assert 'offered: true' in told.err


@pytest.mark.parametrize('latest', [
    pytest.param(115, marks=WITH_TRAITS), BEFORE])
def test_runbook_of_a_profile_that_is_not_offered_has_a_trait_of_its_own(
        make_cloud: MakeCloud, latest: int) -> None:
    """It is none that is taken from nodes again."""
    cloud = site(make_cloud, offered=False, latest=latest)
    name = 'CUSTOM_RUNBOOK_ECC_ON'
    assert not name.startswith(traits.PREFIX)
    told = run(cloud, 'runbook', 'create', 'ecc-on', '-f', 'json')
    assert (told.status, told.data['name']) == (0, name), told
    assert f'next: baremetal node add trait NODE {name}' in told.err
    made = cloud.objects['runbooks'][name]
    assert made.get('traits', [name]) == [name]


@pytest.mark.parametrize(('profile', 'text'), [
    ('no-such', "<profile>: 'no-such' is not a site profile"),
    ('ecc-on', 'differs between conductors'),
    ('./ecc-on.yaml', 'expected the name of a site profile')])
def test_a_profile_that_cannot_be_named_is_an_error(
        make_cloud: MakeCloud, tmp_path: pathlib.Path, profile: str,
        text: str) -> None:
    cloud = site(make_cloud, 'enabled', 'disabled')
    told = run(cloud, 'runbook', 'create', profile)
    assert told.status == 1
    assert text in told.err
    assert changes(cloud) == []


def test_without_traits_a_runbook_has_the_trait_for_a_name(
        make_cloud: MakeCloud) -> None:
    """It is for the nodes with that trait (Ironic 32 and 35)."""
    cloud = site(make_cloud, latest=BEFORE)
    told = run(cloud, 'runbook', 'create', 'ecc-on', '-f', 'json')
    assert (told.status, told.err) == (0, ''), told
    made = cloud.objects['runbooks'][CAN]
    assert {k: made[k] for k in RUNBOOK} == RUNBOOK
    assert (told.data['name'], told.data['uuid']) == (CAN, made['uuid'])
    assert 'traits' not in told.data
    assert changes(cloud) == [('POST', '/v1/runbooks')]


def test_requested_version_without_traits_gives_the_same(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud)
    told = commands.run(cloud.url, '--os-baremetal-api-version', '1.101',
                        'accelerator', 'runbook', 'create', 'ecc-on')
    assert told.status == 0, told
    assert list(cloud.objects['runbooks']) == [CAN]


def test_ramdisk_that_no_patch_can_change_changes_nothing(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud, latest=BEFORE)
    assert run(cloud, 'runbook', 'create', 'ecc-on').status == 0
    before = changes(cloud)
    for words in ((), ('--dry-run',)):
        told = run(cloud, 'runbook', 'create', 'ecc-on', '--via', 'agent',
                   '--replace', *words)
        assert told.status == 1
        assert f'next: baremetal runbook delete {CAN}' in told.err
    assert changes(cloud) == before


@WITH_TRAITS
def test_a_runbook_without_its_trait_is_completed_by_replace(
        make_cloud: MakeCloud) -> None:
    """The client was killed between the two requests."""
    cloud = site(make_cloud)
    cloud.refuse['PUT'] = 500, 'the database is gone'
    assert run(cloud, 'runbook', 'create', 'ecc-on').status == 1
    cloud.refuse.clear()
    told = run(cloud, 'runbook', 'create', 'ecc-on')
    assert told.status == 3
    told = run(cloud, 'runbook', 'create', 'ecc-on', '--replace')
    assert told.status == 0
    assert cloud.objects['runbooks'][CAN]['traits'] == [CAN]


@WITH_TRAITS
def test_a_later_client_gives_the_runbook_its_trait(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud)
    assert commands.run(
        cloud.url, '--os-baremetal-api-version', '1.101', 'accelerator',
        'runbook', 'create', 'ecc-on').status == 0
    told = run(cloud, 'runbook', 'create', 'ecc-on', '--replace', '-f', 'json')
    assert (told.status, told.data['outcome']) == (0, 'replaced'), told
    assert told.data['differences'] == [f'traits: -, expected also {CAN}']
    assert list(cloud.objects['runbooks']) == [CAN]
    assert cloud.objects['runbooks'][CAN]['traits'] == [CAN]


SLOT = {'enabled': 'accelerator'}


@pytest.mark.parametrize(('known', 'words', 'wanted'), [
    ({}, (), 'vendor'), ({'enabled': 'vendor'}, (), 'vendor'),
    (SLOT, (), 'accelerator'), (SLOT, ('--interface', 'vendor'), 'vendor'),
    ({}, ('--interface', 'accelerator'), 'accelerator')])
@KINDS
def test_steps_are_of_the_interface_that_has_them(
        make_cloud: MakeCloud, verb: str, kind: str, name: str, latest: int,
        known: dict[str, str], words: tuple[str, ...], wanted: str) -> None:
    cloud = site(make_cloud, latest=latest, interfaces=known)
    told = run(cloud, verb, 'create', 'ecc-on', *words, '-f', 'json')
    assert told.status == 0, told
    for steps in (cloud.objects[kind][name]['steps'], told.data['steps']):
        assert [s['interface'] for s in steps] == [wanted]


def test_interface_is_requested_where_conductors_differ(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud, interfaces=SLOT)
    cloud.add('old', conductor='old')
    answer = cloud.passthru['accel_profiles']
    # A conductor of an earlier release does not tell it.
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        k: v for k, v in answer(cloud.nodes['n-enabled'], body)[1].items()
        if node['name'] != 'old' or k != 'interface'})
    told = run(cloud, 'template', 'create', 'ecc-on')
    assert told.status == 1
    assert 'accelerator on enabled, vendor on old' in told.err
    assert 'next: --interface' in told.err
    assert changes(cloud) == []
    told = run(cloud, 'template', 'create', 'ecc-on', '--interface',
               'accelerator')
    assert told.status == 0, told


def test_the_caller_may_not_write_templates(make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud)
    cloud.refuse['deploy_templates'] = 403, 'denied'
    told = run(cloud, 'template', 'create', 'ecc-on')
    assert told.status == 1
    assert 'not permitted to read deploy template' in told.err
