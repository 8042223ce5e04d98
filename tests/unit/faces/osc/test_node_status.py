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

"""Each node of the report has one status, by a defined priority."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ironic_accel.faces.osc.report import node_status
from tests.faces import fleet

WORKING = {'step': 'apply_profile', 'kind': 'clean', 'work': 'apply',
           'profile': 'x', 'progress': None}


def good() -> dict[str, Any]:
    """A node that is compliant."""
    rng = random.Random(1)  # noqa: S311 - no secret
    return fleet.node(0, rng, 'compliant')


@pytest.mark.parametrize('changes, status, remark', [
    ({}, 'compliant', ''),
    ({'state': 'clean failed', 'last_error': 'no space'}, 'failed',
     'clean failed: no space'),
    ({'state': 'error'}, 'failed', 'error'),
    ({'fault': 'power failure'}, 'failed', 'power failure'),
    ({'last_error': 'the BMC is gone'}, 'failed',
     'last error: the BMC is gone'),
    ({'last': {'step': 'apply_profile', 'profile': 'x', 'operation': 'clean',
               'outcome': 'failed', 'error': {'summary': 'a task ended'}}},
     'failed', 'apply_profile x: failed: a task ended'),
    ({'last': {'step': 'apply_profile', 'outcome': 'refused',
               'operation': 'service'}}, 'failed', 'apply_profile: refused'),
    ({'last': {'step': 'accel_refresh', 'operation': 'idle',
               'outcome': 'failed'}}, 'compliant', ''),
    ({'last': {'step': 'accel_refresh', 'operation': 'idle',
               'outcome': 'failed'}, 'seen_after_last': False}, 'failed',
     'accel_refresh: failed'),
    ({'traits': ['CUSTOM_ACCEL_DEGRADED']}, 'unhealthy',
     'trait CUSTOM_ACCEL_DEGRADED'),
    ({'working': WORKING}, 'updating', 'apply_profile x'),
    ({'working': {**WORKING, 'kind': 'idle', 'work': 'watch'}}, 'updating',
     'apply_profile x'),
    ({'working': {**WORKING, 'step': 'audit', 'kind': 'idle',
                  'work': 'observe'}}, 'compliant', ''),
    ({'lock': 'gpu firmware'}, 'updating', 'power lock: gpu firmware'),
    ({'busy': ['Task 7']}, 'updating',
     'busy at the time of the inventory: Task 7'),
    ({'drift': ['trait CUSTOM_ACCEL_IS_HGX_H100 is void']}, 'drifted',
     'trait CUSTOM_ACCEL_IS_HGX_H100 is void'),
    ({'seen': 'never', 'complete': None, 'devices': [], 'age': None},
     'not seen', 'no inventory yet'),
    ({'seen': 'failed', 'failed': 'HTTP 500'}, 'not seen',
     'not read: HTTP 500'),
    ({'seen': 'partly'}, 'not seen',
     'the inventory may not be read by this user'),
    ({'complete': False}, 'not seen', 'the last inventory is not complete'),
    ({'age': 8 * 86400.0}, 'not seen', 'the last inventory is 8 d old'),
    ({'maintenance': True}, 'maintenance', 'in maintenance'),
    ({'maintenance': True, 'maintenance_reason': 'a fan'}, 'maintenance',
     'in maintenance: a fan'),
    ({'profiles': [], 'applied': None}, 'no profile',
     'no profile is declared'),
    ({'profiles': []}, 'no profile', 'profile hgx-h100 was applied and is '
     'not compared: it is no site profile, or conductors have different '
     'ones')])
def test_a_node_has_the_status_of_what_is_so_of_it(
        changes: dict[str, Any], status: str, remark: str) -> None:
    made = node_status.marked({**good(), **changes}, max_age=7 * 86400)
    assert made['status'] == status
    assert [r['text'] for r in made['remarks']] == ([remark] if remark
                                                    else [])


def test_the_first_status_that_applies_is_the_one() -> None:
    everything: dict[str, Any] = {
        'profiles': [], 'applied': None, 'maintenance': True,
        'complete': False, 'drift': ['drifted from profile x'],
        'working': WORKING, 'traits': ['CUSTOM_ACCEL_DEGRADED'],
        'state': 'clean failed'}
    right: dict[str, Any] = good()
    for status, key in zip(node_status.STATUSES, reversed(everything),
                           strict=False):
        if key in ('profiles', 'applied'):
            break
        made = node_status.marked({**right, **everything})
        assert made['status'] == status
        everything[key] = right[key]
    assert node_status.marked({**right, **everything})['status'] \
        == 'no profile'


def test_a_failed_or_maintained_node_has_no_compliant_device() -> None:
    for changes in ({'state': 'clean failed'}, {'maintenance': True},
                    {'working': WORKING}, {'complete': False}):
        made = node_status.marked({**good(), **changes})
        assert {d['status'] for d in made['devices']} == {made['status']}


@pytest.mark.parametrize('made', ['unhealthy', 'drifted'])
@pytest.mark.parametrize('changes, rest', [
    ({'maintenance': True}, 'maintenance'), ({'complete': False}, 'not seen'),
    ({'lock': 'gpu'}, 'updating'), ({}, 'compliant')])
def test_other_devices_of_a_node_share_what_is_so_of_it(
        made: str, changes: dict[str, Any], rest: str) -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    one = node_status.marked({**fleet.node(0, rng, made), **changes})
    assert {d['status'] for d in one['devices']} == {made, rest}


def test_devices_of_a_drifted_node_are_drifted_one_by_one() -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    made = node_status.marked(fleet.node(0, rng, 'drifted'))
    differing = {i['device'] for i in made['profiles'][0]['differs']}
    assert {d['id'] for d in made['devices'] if d['status'] == 'drifted'} \
        == differing
    assert {d['status'] for d in made['devices']} == {'drifted', 'compliant'}


def test_a_missing_device_shows_on_all_that_are_there() -> None:
    made = node_status.marked({
        **good(), 'drift': ['drifted from profile x: gpus count']})
    assert {d['status'] for d in made['devices']} == {'drifted'}


def test_a_profile_that_is_not_declared_is_no_drift() -> None:
    other = good()
    other['profiles'][0].update(
        published=[], status='differs', differs=[{
            'device': other['devices'][0]['id'], 'name': 'gpu',
            'expected': 'x', 'seen': 'y', 'reason': 'z'}])
    other['applied'] = None
    made = node_status.marked(other)
    assert {d['status'] for d in made['devices']} == {'no profile'}


def test_a_value_that_was_not_read_is_no_drift() -> None:
    rng = random.Random(2)  # noqa: S311 - no secret
    one = fleet.node(0, rng, 'compliant')
    one['profiles'][0].update(status='unread', differs=[{
        'device': one['devices'][0]['id'], 'name': 'ecc', 'seen': None,
        'expected': 'enabled', 'reason': 'HTTP 500', 'unread': True}])
    made = node_status.marked(one)
    assert made['status'] == 'not seen'
    assert 'cannot be compared' in made['remarks'][0]['text']


@pytest.mark.parametrize('changes, status', [
    ({'health': 'Warning'}, 'unhealthy'), ({'health': None}, 'compliant'),
    ({'health': None, 'unread': ['health']}, 'not seen'),
    ({'unread': ['presence']}, 'not seen'),
    ({'unread': ['mode:mig', 'firmware:*']}, 'compliant'),
    ({'health': 'Sehr schlecht'}, 'unhealthy')])
def test_the_health_of_a_device_counts(changes: dict[str, Any],
                                       status: str) -> None:
    one = good()
    one['devices'][0].update(changes)
    made = node_status.marked(one)
    assert (made['status'], made['devices'][0]['status']) == (status, status)


def test_every_node_is_counted_once() -> None:
    doc = fleet.report(300)
    numbers = doc['totals']['status']
    assert all(numbers.values()), 'the fleet has something of everything'
    assert sum(numbers.values()) == doc['totals']['nodes'] == 300
    for row in doc['changes']:
        assert sum(row['outcomes'].values()) == 300
    devices = sum(row['devices'] for row in doc['versions'])
    assert devices == doc['totals']['devices']
    for row in doc['versions']:
        for part in row['components']:
            assert sum(v['devices'] for v in part['versions']) \
                == row['devices']
