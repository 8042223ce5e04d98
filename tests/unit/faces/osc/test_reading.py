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

"""What may be seen of a node, by whom, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
import csv
import io
import json
import pathlib
import time
from typing import Any

import pytest

from ironic_accel.model import loader
from ironic_accel.model.serialization import inventory_to_dict
from tests import commands
from tests.unit.conductor import sample
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.model import stored

MakeCloud = Callable[..., Cloud]

TRAITS = ['CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X2',
          'CUSTOM_ACCEL_IS_H100_NEW', 'CUSTOM_RACK_7']
ROWS = [{'component': 'bmc', 'current_version': '1.2'}] + [
    {'component': f'accel:gpu-{n}/gpu', 'current_version': sample.OLD,
     'vendor': 'nvidia', 'model': 'NVIDIA H100 80GB HBM3',
     'serial_number': f'{n}'} for n in (0, 1)]


def furnish(cloud: Cloud, **fields: Any) -> dict[str, Any]:
    """A node with two GPUs that was looked at."""
    return cloud.add('gpu-a', **{
        '_traits': TRAITS, '_firmware': ROWS, '_inventory': {
            'inventory': {}, 'plugin_data': {'accelerators': {
                'inventory': inventory_to_dict(sample.box()),
                'at': time.time() - 300, 'transports': [], 'plan': None}}},
        'driver_internal_info': {
            'accel_traits': {'CUSTOM_ACCEL_GPU': 'here',
                             'CUSTOM_ACCEL_GPU_X2': 'here',
                             'CUSTOM_ACCEL_IS_H100_NEW': 'is h100-new'},
            'accel_proofs': {'h100-new': {'digest': 'd', 'at': 86400.0,
                                          'devices': []}}}, **fields})


def test_an_inventory_is_listed_with_its_age(make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    furnish(cloud)
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a')
    assert told.status == 0
    assert 'inventory of 5 min ago' in told.err
    assert 'nvidia-h100-sxm' in told.out
    assert 'not permitted' not in told.out + told.err


def test_a_cloud_of_clouds_yaml_is_used(
        make_cloud: MakeCloud, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = make_cloud('reader')
    furnish(cloud)
    monkeypatch.setenv('OS_CLIENT_CONFIG_FILE',
                       str(tmp_path / 'clouds.yaml'))
    (tmp_path / 'clouds.yaml').write_text(json.dumps({'clouds': {'metal': {
        'auth_type': 'none', 'baremetal_endpoint_override': cloud.url}}}))
    told = commands.bare('--os-cloud', 'metal', 'accelerator', 'list',
                         'gpu-a', '-f', 'value', '-c', 'Device')
    assert (told.status, told.out.split()) == (0, ['gpu-0', 'gpu-1'])


@pytest.mark.parametrize('form', ['json', 'yaml', 'csv', 'value', 'table'])
def test_every_output_format_works(make_cloud: MakeCloud, form: str) -> None:
    cloud = make_cloud()
    furnish(cloud)
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a', '-f',
                        form)
    assert (told.status, sample.OLD in told.out) == (0, True)
    if form == 'json':
        assert told.data[0]['Firmware'] == {'gpu': sample.OLD}
        assert told.data[0]['Modes'] == {'ecc': 'disabled',
                                         'mig': 'disabled'}


def test_a_lessee_sees_firmware_and_what_is_not_permitted(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    furnish(cloud)
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a', '-f',
                        'json')
    assert told.status == 0
    assert [(r['Device'], r['Serial'], r['Firmware'], r['Health'])
            for r in told.data] == [
        ('gpu-0', '0', {'gpu': sample.OLD}, 'not permitted'),
        ('gpu-1', '1', {'gpu': sample.OLD}, 'not permitted')]
    assert 'not permitted to read its inventory' in told.err
    assert 'CUSTOM_ACCEL_IS_H100_NEW' in told.err
    assert 'CUSTOM_RACK_7' not in told.err


def test_without_firmware_components_properties_are_listed(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    furnish(cloud, _firmware=[], properties={'accelerators': [
        {'vendor_id': '10de', 'device_id': '2330', 'type': 'GPU',
         'device_info': 'H100', 'pci_address': '0000:17:00.0'}]})
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a', '-f',
                        'json')
    assert [(r['Device'], r['Kind'], r['Product']) for r in told.data] == [
        ('0000:17:00.0', 'gpu', 'H100')]


def test_with_traits_alone_there_is_a_row_for_each_kind(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    furnish(cloud, _firmware=[])
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a', '-f',
                        'json')
    assert [(r['Device'], r['Kind']) for r in told.data] == [
        ('2 devices', 'gpu')]


def test_list_without_any_readable_data_is_an_error(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    furnish(cloud, _firmware=[], _traits=[])
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a')
    assert told.status != 0
    assert 'not permitted' in told.err
    assert told.out == ''


def test_the_inventory_is_read_by_passthru_if_permitted(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    furnish(cloud)
    cloud.may.add('passthru')
    cloud.passthru['accel_inventory'] = lambda node, body: (200, {
        'age': 60.0, 'inventory': inventory_to_dict(sample.box())})
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a', '-f',
                        'json')
    assert told.data[0]['Health'] == 'OK'


def test_a_table_has_one_row_for_identical_devices(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    furnish(cloud)
    words = ('accelerator', 'list', 'gpu-a')
    told = commands.run(cloud.url, *words)
    assert '2 gpu' in told.out
    assert '\N{REPLACEMENT CHARACTER}' not in told.out
    assert 'gpu-0' not in told.out
    assert max(map(len, told.out.splitlines())) <= 80
    every = commands.run(cloud.url, *words, '--long')
    assert 'gpu-0' in every.out and 'gpu-1' in every.out
    some = commands.run(cloud.url, *words, '-c', 'Device')
    assert 'gpu-1' in some.out


def test_an_inventory_of_the_release_before_is_shown(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    node = furnish(cloud)
    plugin = node['_inventory']['plugin_data']['accelerators']
    plugin['inventory'] = stored.document('inventory', 'whole')
    told = commands.run(cloud.url, 'accelerator', 'show', 'gpu-a',
                        stored.GPUS[0], '-f', 'json')
    assert told.data['components'][0]['activation'] == 'aux-cycle'
    assert told.data['modes']['ecc']['persistent'] is True


def test_an_inventory_of_a_later_release_is_an_error(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    node = furnish(cloud)
    node['_inventory']['plugin_data']['accelerators']['inventory'] = {
        'schema': 'inventory/9'}
    told = commands.run(cloud.url, 'accelerator', 'list', 'gpu-a')
    assert told.status != 0
    assert "schema: 'inventory/9', expected 'inventory/3'" in (
        told.err)


def test_one_device_is_shown_by_id_and_by_serial(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    furnish(cloud)
    for name in ('gpu-1', '1'):
        told = commands.run(cloud.url, 'accelerator', 'show', 'gpu-a', name,
                            '-f', 'json')
        assert told.data['id'] == 'gpu-1'
        assert told.data['components'][0]['activation'] == 'power-cycle'
    told = commands.run(cloud.url, 'accelerator', 'show', 'gpu-a', 'gpu-9')
    assert told.status == 1
    assert "device 'gpu-9' not found" in told.err
    assert 'gpu-0, gpu-1' in told.err
    cloud.may.discard('inventory')
    told = commands.run(cloud.url, 'accelerator', 'show', 'gpu-a', 'gpu-1')
    assert told.status == 1
    assert 'not permitted' in told.err


def test_traits_lists_meaning_and_time_of_verification(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    node = furnish(cloud)
    node['driver_internal_info']['accel_void'] = ['CUSTOM_ACCEL_GPU']
    told = commands.run(cloud.url, 'accelerator', 'traits', 'gpu-a', '-f',
                        'json')
    rows = {r['Trait']: r for r in told.data}
    assert set(rows) == set(TRAITS) - {'CUSTOM_RACK_7'}
    assert rows['CUSTOM_ACCEL_GPU']['Status'].startswith('void')
    proved = rows['CUSTOM_ACCEL_IS_H100_NEW']
    assert proved['Meaning'].startswith('compliant with profile h100-new')
    assert proved['Verified at'] == '1970-01-02T00:00:00Z'
    told = commands.run(cloud.url, 'accelerator', 'traits', 'gpu-a',
                        '--all', '-f', 'json')
    assert told.data[-1]['Trait'] == 'CUSTOM_RACK_7'


def test_a_lessee_sees_traits_without_status(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    furnish(cloud)
    told = commands.run(cloud.url, 'accelerator', 'traits', 'gpu-a', '-f',
                        'json')
    rows = {r['Trait']: r for r in told.data}
    assert rows['CUSTOM_ACCEL_GPU_X2']['Meaning'] \
        == 'exactly 2 healthy devices of kind gpu'
    assert rows['CUSTOM_ACCEL_IS_H100_NEW']['Status'] == 'not permitted'


CHANGE = {'device': 'gpu-1', 'serial': 'S1', 'component': 'gpu',
          'kind': 'firmware', 'from': '1', 'to': '2', 'image_sha256': 'f' * 64,
          'result': 'failed', 'message_id': 'Update.1.0.Failed',
          'message': '=cmd'}


def ended(number: int, outcome: str, *changes: dict[str, Any],
          line: str = 'apply_profile p') -> dict[str, Any]:
    """An event of the end of an operation."""
    doc = {'schema': 'history/1', 'id': f'run-{number}', 'outcome': outcome,
           'step': 'apply_profile', 'profile': 'p', 'user': 'ada',
           'finished': '2026-01-01T00:00:00Z', 'seconds': 9.5,
           'error': None, 'changes': list(changes)}
    return {'event_type': 'accelerator', 'created_at': '2026-01-01',
            'conductor': 'one', 'user': 'ada', 'severity': 'INFO',
            'event': f'{line}: {outcome}\n{json.dumps(doc)}'}


def test_history_has_a_row_for_each_change_and_one_value_in_each_cell(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    furnish(cloud, _history=[
        ended(1, 'converged', {**CHANGE, 'result': 'verified'}),
        ended(2, 'failed', CHANGE, {**CHANGE, 'device': 'gpu-2'})])
    told = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a', '-f',
                        'json')
    assert [(r['Device'], r['Serial'], r['Component'], r['From'], r['To'],
             r['Result'], r['Message ID']) for r in told.data] == [
        ('gpu-1', 'S1', 'gpu', '1', '2', 'verified', 'Update.1.0.Failed'),
        ('gpu-1', 'S1', 'gpu', '1', '2', 'failed', 'Update.1.0.Failed'),
        ('gpu-2', 'S1', 'gpu', '1', '2', 'failed', 'Update.1.0.Failed')]
    failed = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a',
                          '--failed', '-f', 'csv')
    heading, *rows = csv.reader(io.StringIO(failed.out))
    assert len(rows) == 2
    first = dict(zip(heading, rows[0], strict=True))
    assert (first['Outcome'], first['Time'], first['User']) == (
        'failed', '2026-01-01T00:00:00Z', 'ada')
    assert first['Message'] == "'=cmd"
    shown = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a',
                         '--failed')
    assert 'apply_profile p: failed' in shown.out
    assert 'history/1' not in shown.out


def test_the_later_of_two_ends_of_an_operation_counts(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    furnish(cloud, _history=[
        ended(1, 'stopped', CHANGE), ended(2, 'done'),
        ended(1, 'converged', {**CHANGE, 'result': 'verified'})])
    told = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a', '-f',
                        'json')
    assert [(r['ID'], r['Outcome']) for r in told.data] == [
        ('run-2', 'done'), ('run-1', 'converged')]


@pytest.mark.parametrize('rest', ['{', '[1]', '{"schema": "history/9"}'])
def test_an_event_that_is_no_document_is_shown_as_it_is(
        make_cloud: MakeCloud, rest: str) -> None:
    cloud = make_cloud('reader')
    furnish(cloud, _history=[
        {**ended(1, 'done'), 'event': f'a line\n{rest}'}])
    told = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a', '-f',
                        'json')
    assert [r['Event'] for r in told.data] == [f'a line {rest}']


def test_history_lists_accelerator_events_only(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('reader')
    furnish(cloud, _history=[
        {'event_type': t, 'event': e, 'created_at': '2026-01-01',
         'conductor': 'one', 'user': 'ada', 'severity': 'INFO'}
        for t, e in (('provisioning', 'x'), ('accelerator', 'burn 1'),
                     ('accelerator', 'burn 2'))])
    told = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a', '-f',
                        'json')
    assert [(r['Event'], r['User']) for r in told.data] == [
        ('burn 1', 'ada'), ('burn 2', 'ada')]
    told = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a',
                        '--last', '1', '-f', 'json')
    assert [r['Event'] for r in told.data] == ['burn 2']
    assert [r['Outcome'] for r in told.data] == ['event']
    cloud.may.discard('history')
    told = commands.run(cloud.url, 'accelerator', 'history', 'gpu-a')
    assert told.status == 1
    assert 'not permitted to read its history' in told.err


@pytest.mark.parametrize('command', [
    ('list', 'no-such'), ('traits', 'no-such'), ('refresh', 'no-such'),
    ('show', 'no-such', 'gpu-0'), ('plan', 'no-such', '--profile', 'p'),
    ('apply', 'no-such', '--profile', 'p'), ('enable', 'no-such'),
    ('disable', 'no-such'), ('history', 'no-such')])
def test_an_unknown_node_is_named(make_cloud: MakeCloud,
                               command: tuple[str, ...]) -> None:
    cloud = make_cloud()
    told = commands.run(cloud.url, 'accelerator', *command)
    assert told.status == 1
    assert 'no-such' in told.err
    assert told.out == ''


@pytest.mark.parametrize('command', [
    ('list', 'plain'), ('traits', 'plain'), ('refresh', 'plain'),
    ('show', 'plain', 'gpu-0'), ('plan', 'plain', '--profile', 'p'),
    ('apply', 'plain', '--profile', 'p')])
def test_an_unmanaged_node_names_the_enable_command(
        make_cloud: MakeCloud, command: tuple[str, ...]) -> None:
    cloud = make_cloud()
    cloud.add('plain', driver='redfish', vendor_interface='redfish')
    told = commands.run(cloud.url, 'accelerator', *command)
    assert told.status == 1
    assert 'baremetal accelerator enable plain' in told.err


def test_a_node_without_inventory_names_the_refresh_command(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    cloud.add('new')
    told = commands.run(cloud.url, 'accelerator', 'list', 'new')
    assert told.status == 1
    assert 'baremetal accelerator refresh new' in told.err


def test_an_api_that_does_not_respond_names_the_options(
        make_cloud: MakeCloud) -> None:
    told = commands.run('http://127.0.0.1:9', 'accelerator', 'list', 'x')
    assert told.status == 1
    assert 'does not respond' in told.err
    assert '--os-endpoint' in told.err


def test_the_report_has_all_nodes_of_the_caller(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    furnish(cloud)
    cloud.add('plain', driver='redfish', vendor_interface='redfish')
    cloud.add('fresh')
    wanted = sample.profile()
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        'profiles': [{'digest': wanted.digest,
                      'profile': sample.profile_data()}]})
    saved = tmp_path / 'report.json'
    told = commands.run(cloud.url, 'accelerator', 'report', '--save',
                        str(saved), '-f', 'json')
    assert told.status == 0
    rows = {r['Node']: r for r in told.data}
    assert set(rows) == {'gpu-a', 'fresh'}
    assert '1 not managed by ironic-accel' in told.err
    one = rows['gpu-a']
    assert (one['Devices'], one['Health']) == ({'gpu': 2}, 'OK')
    assert one['Profiles'] == {'h100-new': 'differs'}
    # Its IS trait is of a profile that it has drifted from.
    assert 'drifted from profile h100-new' in one['Drift'][0]
    assert rows['fresh']['Devices'] == {}
    doc = json.loads(saved.read_text())
    assert doc['schema'] == 'report/2'
    assert [o['name'] for o in doc['others']] == ['plain']
    node, = (n for n in doc['nodes'] if n['name'] == 'gpu-a')
    assert {(d['device'], d['name']) for d in node['profiles'][0][
        'differs']} == {(f'gpu-{n}', name) for n in (0, 1)
                        for name in ('gpu', 'ecc')}
    told = commands.run(cloud.url, 'accelerator', 'report', 'gpu-a',
                        '--devices', '-f', 'json')
    assert [r['Device'] for r in told.data] == ['gpu-0', 'gpu-1']
    assert len(told.data[0]['Differences']) == 2


@pytest.mark.parametrize(('products', 'statuses'), [
    ({'gpus': ['nvidia-h100-acme']}, {'hopper': 'compliant'}),
    # A conductor of an earlier release does not list them.
    (None, {}), ([], {}), ({'gpus': 'all'}, {})])
def test_the_report_knows_products_of_the_site(
        make_cloud: MakeCloud, products: Any,
        statuses: dict[str, str]) -> None:
    """The catalogue of a conductor may have more rows than that of here."""
    cloud = make_cloud()
    node = furnish(cloud)
    there = node['_inventory']['plugin_data']['accelerators']['inventory']
    for device in there['devices']:
        device['product'] = 'nvidia-h100-acme'
    profile = loader.load_data({'profile': 2, 'name': 'hopper', 'devices': {
        'gpus': {'match': {'kind': 'gpu', 'arch': 'hopper'},
                 'modes': {'ecc': 'off'}}}})
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        'profiles': [{'digest': profile.digest, 'products': products,
                      'profile': loader.normalise(profile)}]})
    told = commands.run(cloud.url, 'accelerator', 'report', '-f', 'json')
    assert told.status == 0
    [row] = told.data
    assert row['Profiles'] == statuses


def test_a_node_that_cannot_be_read_does_not_stop_the_report(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    furnish(cloud)
    lost = cloud.add('lost')
    cloud.refuse[f"GET .*{lost['uuid']}/inventory"] = (500, 'no conductor')
    saved = tmp_path / 'report.json'
    told = commands.run(cloud.url, 'accelerator', 'report', '-f', 'json',
                        '--save', str(saved))
    assert (told.status, 'no conductor' in told.err) == (4, True), told
    assert {r['Node'] for r in told.data} == {'gpu-a', 'lost'}
    seen = {n['name']: n['seen'] for n in json.loads(
        saved.read_text())['nodes']}
    assert seen == {'gpu-a': 'inventory', 'lost': 'failed'}


def test_the_report_of_a_lessee_lists_what_is_not_permitted(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud('lessee')
    furnish(cloud)
    told = commands.run(cloud.url, 'accelerator', 'report')
    assert told.status == 0
    assert '1 node read partly' in told.err
    assert 'not permitted' in told.out
    told = commands.run(cloud.url, 'accelerator', 'report', '-f', 'json')
    assert told.data[0]['Profiles'] == {'h100-new': 'compliant'}


def test_the_report_has_both_digests_of_a_differing_profile(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    cloud = make_cloud()
    furnish(cloud)
    furnish(cloud)['conductor'] = 'one'
    cloud.nodes['gpu-b'] = {**cloud.nodes['gpu-a'], 'name': 'gpu-b',
                            'uuid': 'b', 'conductor': 'two'}
    one, other = (sample.profile_data(), sample.profile_data(
        summary='another text'))
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        'profiles': [{'digest': sample.profile(d).digest, 'profile': d}
                     for d in [one if node['conductor'] == 'one'
                               else other]]})
    saved = tmp_path / 'report.json'
    commands.run(cloud.url, 'accelerator', 'report', '--save', str(saved))
    doc = json.loads(saved.read_text())
    assert {(p['name'], *p['conductors']) for p in doc['profiles']} == {
        ('h100-new', 'one'), ('h100-new', 'two')}


def test_profiles_are_checked_without_a_cloud(tmp_path: pathlib.Path) -> None:
    good, bad = tmp_path / 'good.yaml', tmp_path / 'bad.yaml'
    good.write_text(sample.yaml_of(sample.profile_data()))
    bad.write_text('profile: 1\nname: Bad Name\n')
    told = commands.run('http://127.0.0.1:9', 'accelerator', 'profile',
                        'validate', str(good), '-f', 'json')
    assert [(r['Profile'], r['Traits']) for r in told.data] == [
        ('h100-new', ['CUSTOM_ACCEL_IS_H100_NEW',
                      'CUSTOM_ACCEL_CAN_H100_NEW'])]
    told = commands.run('http://127.0.0.1:9', 'accelerator', 'profile',
                        'validate', str(good), str(bad))
    assert (told.status, told.out) == (1, '')
    assert 'Bad Name' in told.err


def test_spellings_are_told_without_a_cloud(tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'site.yaml'
    file.write_text('profile: 2\nname: x\ndevices:\n  gpus:\n'
                    '    match: {kind: gpu}\n    modes: {mig: Enabled}\n')
    told = commands.run('http://127.0.0.1:9', 'accelerator', 'profile',
                        'validate', str(file), '-f', 'json')
    assert told.status == 0
    assert [r['Profile'] for r in told.data] == ['x']
    assert told.err.splitlines() == [
        "x: line 6: devices.gpus.modes.mig: 'Enabled' is read as 'enabled'"]


def test_a_profile_with_unknown_catalogue_rows_is_reported(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    furnish(cloud)
    strange = sample.profile_data()
    strange['devices']['gpus']['match'] = {'product': 'of-the-site'}
    cloud.passthru['accel_profiles'] = lambda node, body: (200, {
        'profiles': [{'digest': 'd', 'profile': strange},
                     {'digest': 'e', 'profile': sample.profile_data()}]})
    told = commands.run(cloud.url, 'accelerator', 'report', '-f', 'json')
    assert told.data[0]['Profiles'] == {'h100-new': 'differs'}
    assert 'of-the-site' in told.err
