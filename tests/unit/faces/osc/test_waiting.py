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

"""``--wait [SECONDS]`` and ``--no-wait``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import begun
from tests.unit.faces.osc.operations import PLAN
from tests.unit.faces.osc.operations import planning
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run
from tests.unit.faces.osc.operations import running

MakeCloud = Callable[..., Cloud]
LONG = 10**6


def endless_refresh(node: dict[str, Any], body: Any) -> Any:
    """A refresh that does not end."""
    node['driver_internal_info'] = {'accel_operation': {
        'kind': 'idle', 'work': 'look', 'step': 'verify_accelerators',
        'restore': None, 'progress': 'reading', 'id': 'look-1'}}
    return 200, {'id': 'look-1'}


def test_at_the_limit_the_operation_continues_and_the_row_says_so(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    cloud.add('two')
    planning(cloud, PLAN)
    running(cloud, result(), reads=LONG)
    told = run(cloud, 'apply', 'one', 'two', '--profile', 'ecc-on',
               '--max-in-flight', '1', '--wait', '1', '-f', 'json')
    assert told.status == 4
    assert [r['Outcome'] for r in told.data] == ['still running',
                                                 'not started']
    assert told.data[0]['Note'] == (
        'writing; not waited for longer than 1 s; the operation continues; '
        'next: baremetal accelerator progress one')
    assert told.data[1]['Note'] == 'not started within 1 s'
    assert len(begun(cloud)) == 1


def test_an_available_node_has_to_be_provided_by_hand_after_the_limit(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one', provision_state='available')
    planning(cloud, PLAN)
    running(cloud, result(), reads=LONG)
    begin = cloud.on_provision

    def move(node: dict[str, Any], body: Any) -> None:
        if body['target'] == 'manage':
            node['provision_state'] = 'manageable'
        else:
            begin(node, body)
    cloud.on_provision = move
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '1',
               '-f', 'json')
    assert 'when it has converged: baremetal node provide one' \
        in told.data[0]['Note']
    assert [b['target'] for b in begun(cloud)] == ['manage', 'clean']


def test_wait_with_seconds_ends_as_soon_as_the_operation_has(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    planning(cloud, PLAN)
    running(cloud, result())
    told = run(cloud, 'apply', 'one', '--profile', 'ecc-on', '--wait', '600',
               '-f', 'json')
    assert (told.status, told.data[0]['Outcome']) == (0, 'converged')


@pytest.mark.parametrize(('words', 'status', 'error'), [
    (['--wait', 'one'], 2, "'one': expected seconds, 0 for no limit; put "
                           '--wait behind the names of the nodes'),
    (['one', '--wait=-1'], 2, "'-1': expected seconds"),
    (['one', '--wait', '1.5'], 2, "'1.5': expected seconds"),
    (['one', '--no-wait', '--wait'], 1, '--no-wait: not allowed together'),
])
def test_bad_limits_are_errors_before_anything_is_begun(
        make_cloud: MakeCloud, words: list[str], status: int,
        error: str) -> None:
    cloud = make_cloud()
    cloud.add('one')
    told = run(cloud, 'refresh', *words)
    assert (told.status, cloud.asked) == (status, [])
    assert error in told.err


def test_a_refresh_and_an_enable_wait_at_most_so_long(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    cloud.passthru['accel_refresh'] = endless_refresh
    told = run(cloud, 'refresh', 'one', '--wait', '1', '-f', 'json')
    assert (told.status, told.data[0]['Outcome']) == (4, 'still running')
    cloud.add('two', driver='redfish', vendor_interface='redfish',
              power_interface='redfish')
    told = run(cloud, 'enable', 'two', '--wait', '1', '-f', 'json')
    assert told.status == 4
    assert told.data[0]['Note'].startswith(
        'enabled, but the first inventory has not ended: reading; not waited')


def test_no_wait_requests_the_inventories_alone(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('one')
    cloud.add('two', provision_state='deploying')
    cloud.passthru['accel_refresh'] = endless_refresh
    told = run(cloud, 'refresh', 'one', 'two', '--no-wait', '-f', 'json')
    assert told.status == 4
    assert [(r['Node'], r['Outcome']) for r in told.data] == [
        ('one', 'started'), ('two', 'failed')]
    assert told.data[0]['Note'] == 'next: baremetal accelerator progress one'
    assert 'deploying' in told.data[1]['Note']


def test_disable_waits_for_an_operation_in_progress(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    node = cloud.add('one', driver_internal_info={'accel_operation': {
        'work': 'apply', 'step': 'apply_profile', 'progress': 'writing',
        'kind': 'clean'}})
    cloud.passthru['accel_disable'] = lambda node, body: (
        200, {'traits': ['CUSTOM_ACCEL_GPU']})
    told = run(cloud, 'disable', 'one', '--wait', '1')
    assert told.status == 1
    assert 'apply_profile: writing; not waited for longer than 1 s' \
        in told.err
    assert cloud.asked == []
    node['driver_internal_info'] = {}
    told = run(cloud, 'disable', 'one', '--wait', '30', '-f', 'json')
    assert told.data[0]['Outcome'] == 'disabled'
