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

"""What the report counts, what a profile would change, and what is next."""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib
import time
from typing import Any

import pytest

from ironic_accel.faces import terminal
from ironic_accel.model.serialization import inventory_to_dict
from ironic_accel.model import transport_document
from tests import commands
from tests.unit.conductor import sample
from tests.unit.faces.osc.cloud import Cloud

MakeCloud = Callable[..., Cloud]


def stocked(cloud: Cloud, name: str, inventory: Any = None, age: float = 300,
            **fields: Any) -> dict[str, Any]:
    """A node with two GPUs, an inventory, and what can be written to them."""
    seen = inventory or sample.box()
    return cloud.add(name, **{'_inventory': {
        'inventory': {}, 'plugin_data': {'accelerators': {
            'inventory': inventory_to_dict(seen), 'at': time.time() - age,
            'transports': [transport_document.to_dict(
                sample.transport(seen))], 'plan': None}}}, **fields})


def offer(cloud: Cloud, *profiles: dict[str, Any]) -> None:
    """Site profiles of all conductors."""
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        'profiles': [{'digest': sample.profile(p).digest, 'profile': p}
                     for p in profiles]})


def report(cloud: Cloud, tmp_path: pathlib.Path, *words: str) -> Any:
    """The document of the report."""
    told = commands.run(cloud.url, 'accelerator', 'report', '--save',
                        str(tmp_path / 'report.json'), *words)
    assert told.status == 0, told
    return json.loads((tmp_path / 'report.json').read_text())


@pytest.fixture
def mixed(make_cloud: MakeCloud) -> Cloud:
    """Nodes on which a profile means different things."""
    cloud = make_cloud()
    new = [sample.with_mode(sample.gpu(n, sample.NEW), 'ecc', 'enabled')
           for n in (0, 1)]
    stocked(cloud, 'done', sample.box(*new))
    stocked(cloud, 'due')
    stocked(cloud, 'alone', sample.box(sample.gpu(0)))
    stocked(cloud, 'off', sample.box(host='off', complete=False))
    stocked(cloud, 'other', sample.box(
        sample.gpu(0).__class__(id='nic-0', kind='nic', health='OK')))
    cloud.add('new')
    offer(cloud, sample.profile_data())
    return cloud


def test_a_profile_is_planned_from_the_stored_inventories(
        mixed: Cloud, tmp_path: pathlib.Path) -> None:
    doc = report(mixed, tmp_path)
    row, = doc['changes']
    assert row['profile'] == 'h100-new'
    assert row['outcomes'] == {
        'compliant': 1, 'would change': 1, 'refused': 1,
        'does not apply': 1, 'not known': 2}
    assert row['writes'] == 3
    assert row['resets'] == {'power-cycle': 1}
    assert row['reasons'] == [{
        'reason': 'count: the number of devices in the group does not match '
                  'the profile', 'nodes': 1}]


@pytest.mark.parametrize('as_file', [False, True])
def test_the_profile_of_the_option_is_told_for_each_node(
        mixed: Cloud, tmp_path: pathlib.Path, as_file: bool) -> None:
    given = 'h100-new'
    if as_file:
        given = str(tmp_path / 'wanted.yaml')
        pathlib.Path(given).write_text(
            sample.yaml_of(sample.profile_data()))
        offer(mixed)
    told = commands.run(mixed.url, 'accelerator', 'report', '--profile',
                        given, '-f', 'json')
    assert told.status == 0, told
    assert {r['Node']: r['With profile']['outcome'] for r in told.data} == {
        'done': 'compliant', 'due': 'would change', 'alone': 'refused',
        'off': 'not known', 'other': 'does not apply', 'new': 'not known'}
    assert ('profile h100-new: 1 compliant, 1 would change, 1 refused, '
            '1 does not apply, 2 not known') in told.err
    told = commands.run(mixed.url, 'accelerator', 'report', '--profile',
                        given)
    assert 'would change: 3 writes, power-cycle' in told.out


def test_a_node_that_must_not_be_powered_off_is_refused(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    stocked(cloud, 'one', disable_power_off=True)
    offer(cloud, sample.profile_data())
    row, = report(cloud, tmp_path)['changes']
    assert row['outcomes']['refused'] == 1


def test_an_unknown_profile_names_those_of_the_site(mixed: Cloud) -> None:
    told = commands.run(mixed.url, 'accelerator', 'report', '--profile',
                        'no-such')
    assert told.status == 1
    assert "'no-such' is not a site profile" in told.err
    assert 'h100-new' in told.err
    mixed.may.discard('passthru')
    told = commands.run(mixed.url, 'accelerator', 'report', '--profile',
                        'h100-new')
    assert told.status == 1
    assert 'give the profile as a file' in told.err


def test_each_node_is_compared_with_the_profile_of_its_conductor(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    stocked(cloud, 'a', conductor='one')
    stocked(cloud, 'b', conductor='two')
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        'profiles': [{'digest': sample.profile(p).digest, 'profile': p}
                     for p in [sample.mode_profile(
                         'same', ecc='disabled' if node['conductor'] == 'one'
                         else 'enabled')]]})
    doc = report(cloud, tmp_path, '--profile', 'same')
    assert [n['change']['outcome'] for n in doc['nodes']] == [
        'compliant', 'would change']
    # Without the option, it is not known which of both is meant.
    row, = report(cloud, tmp_path)['changes']
    assert row['outcomes']['not known'] == 2


@pytest.mark.parametrize('broken', [
    {'transports': [{'name': 'redfish'}]}, {'transports': 'many'}])
def test_stored_data_that_cannot_be_read_tell_nothing(
        make_cloud: MakeCloud, tmp_path: pathlib.Path,
        broken: dict[str, Any]) -> None:
    cloud = make_cloud()
    node = stocked(cloud, 'one')
    node['_inventory']['plugin_data']['accelerators'].update(broken)
    offer(cloud, sample.profile_data())
    doc = report(cloud, tmp_path, '--profile', 'h100-new')
    change = doc['nodes'][0]['change']
    assert change['outcome'] == 'not known'
    assert 'its stored data cannot be read' in change['reasons'][0]


@pytest.mark.parametrize('broken', [
    {'at': 'yesterday'}, {'at': None}, {'inventory': []},
    {'inventory': {'schema': 'inventory/3'}},
    {'inventory': {'schema': 'inventory/9'}},
    {'inventory': {**inventory_to_dict(sample.box()), 'devices': [{}]}},
    {'inventory': {**inventory_to_dict(sample.box()), 'devices': 'x'}},
    {'inventory': {**inventory_to_dict(sample.box()), 'complete': None}}])
def test_a_malformed_inventory_stops_nothing(
        make_cloud: MakeCloud, tmp_path: pathlib.Path,
        broken: dict[str, Any]) -> None:
    cloud = make_cloud()
    stocked(cloud, 'good')
    node = stocked(cloud, 'bad')
    node['_inventory']['plugin_data']['accelerators'].update(broken)
    page = tmp_path / 'page.html'
    told = commands.run(cloud.url, 'accelerator', 'report', '--html',
                        str(page), '-f', 'json')
    assert told.status == 4
    assert {r['Node']: r['Status'] for r in told.data} == {
        'good': 'no profile', 'bad': 'not seen'}
    assert 'Cannot read the stored inventory' in told.err
    assert 'Cannot read the stored inventory' in page.read_text()


def test_a_conductor_that_does_not_answer_refuses_nothing(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    stocked(cloud, 'a', conductor='one')
    lost = stocked(cloud, 'b', conductor='two')
    offer(cloud, sample.profile_data())
    cloud.refuse[f"{lost['uuid']}/vendor_passthru"] = (500, 'it is lost')
    doc = report(cloud, tmp_path, '--profile', 'h100-new')
    assert [n['change']['outcome'] for n in doc['nodes']] == [
        'would change', 'not known']
    cloud.refuse.clear()
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        'profiles': [] if node['conductor'] == 'two' else [{
            'digest': 'd', 'profile': sample.profile_data()}]})
    doc = report(cloud, tmp_path, '--profile', 'h100-new')
    assert doc['nodes'][1]['change']['reasons'] == [
        'its conductor has no profile of this name']


def test_a_node_that_is_given_twice_is_counted_once(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    node = stocked(cloud, 'one')
    doc = report(cloud, tmp_path, 'one', node['uuid'], 'one')
    assert doc['totals']['nodes'] == len(doc['nodes']) == 1


def test_nodes_are_counted_by_status(mixed: Cloud) -> None:
    mixed.nodes['done'].update(_traits=['CUSTOM_ACCEL_IS_H100_NEW'])
    mixed.nodes['due'].update(
        driver_internal_info={'accel_applied': 'h100-new'})
    mixed.nodes['alone'].update(provision_state='clean failed',
                                maintenance=True, last_error='no space')
    mixed.nodes['other'].update(maintenance=True,
                                maintenance_reason='ticket 7')
    mixed.add('plain', driver='redfish', vendor_interface='redfish')
    told = commands.run(mixed.url, 'accelerator', 'report', '-f', 'json')
    assert {r['Node']: r['Status'] for r in told.data} == {
        'done': 'compliant', 'due': 'drifted', 'alone': 'failed',
        'off': 'not seen', 'other': 'maintenance', 'new': 'not seen'}
    assert ('6 managed nodes: 1 failed, 1 drifted, 2 not seen, '
            '1 maintenance, 1 compliant; 1 not managed by ironic-accel'
            ) in told.err
    told = commands.run(mixed.url, 'accelerator', 'report')
    assert 'clean failed: no space' in told.out


def test_devices_have_a_status_of_their_own(mixed: Cloud) -> None:
    mixed.nodes['due'].update(
        driver_internal_info={'accel_applied': 'h100-new'})
    mixed.nodes['done'].update(maintenance=True)
    told = commands.run(mixed.url, 'accelerator', 'report', '--devices',
                        '-f', 'json')
    found = {(r['Node'], r['Status']) for r in told.data}
    assert {('due', 'drifted'), ('done', 'maintenance'),
            ('alone', 'no profile')} <= found


def test_a_terminal_shows_how_many_nodes_are_read(
        mixed: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    told = commands.run(mixed.url, 'accelerator', 'report')
    assert 'nodes read' not in told.err
    monkeypatch.setattr(terminal, 'is_live', lambda stream: True)
    told = commands.run(mixed.url, 'accelerator', 'report')
    assert '\r1 of 6 nodes read' in told.err
    assert '\r6 of 6 nodes read\r\x1b[K' in told.err


@pytest.mark.parametrize('hours, status', [
    ('24', 'not seen'), ('0', 'no profile'), ('100', 'no profile')])
def test_an_old_inventory_is_not_seen(
        make_cloud: MakeCloud, hours: str, status: str) -> None:
    cloud = make_cloud()
    stocked(cloud, 'one', age=25 * 3600)
    told = commands.run(cloud.url, 'accelerator', 'report', '--max-age',
                        hours, '-f', 'json')
    assert told.data[0]['Status'] == status


@pytest.mark.parametrize('hours', ['-1', 'x', '1.5', ''])
def test_an_age_is_a_number_of_hours(make_cloud: MakeCloud,
                                     hours: str) -> None:
    told = commands.run(make_cloud().url, 'accelerator', 'report',
                        f'--max-age={hours}')
    assert told.status == 2
    assert 'expected a number of hours' in told.err


def test_what_is_redacted_is_no_failure(make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    cloud.add('one', _traits=['CUSTOM_ACCEL_IS_H100_NEW'])
    told = commands.run(cloud.url, 'accelerator', 'report', '-f', 'json')
    assert told.data[0]['Status'] == 'not seen'


@pytest.mark.parametrize('names, managed, command', [
    ((), False, 'baremetal node list'),
    (('bare-1', 'bare-2'), False,
     'baremetal accelerator enable bare-1'),
    (('one', 'two', 'three', 'four'), True,
     'baremetal accelerator refresh one two three ...')])
def test_an_empty_report_names_the_next_command(
        make_cloud: MakeCloud, names: tuple[str, ...], managed: bool,
        command: str) -> None:
    cloud = make_cloud()
    for name in names:
        cloud.add(name, **({} if managed else {
            'driver': 'redfish', 'vendor_interface': 'redfish'}))
    told = commands.run(cloud.url, 'accelerator', 'report')
    assert told.status == 0
    assert command in told.err
