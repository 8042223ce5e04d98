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

"""``baremetal accelerator profile list``, ``show`` and ``explain``."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any

from ironic_accel.model import loader
from tests import commands
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]
DOC: dict[str, Any] = {
    'profile': 1, 'name': 'ecc-on', 'offered': True, 'devices': {'gpus': {
        'match': {'kind': 'gpu'}, 'modes': {'ecc': 'enabled'}}}}
OTHER = {**DOC, 'devices': {'gpus': {
    'match': {'kind': 'gpu'}, 'modes': {'ecc': 'disabled'}}}}


def site(make_cloud: MakeCloud, **by_conductor: dict[str, Any]) -> Cloud:
    """A node of each conductor, which has one profile."""
    cloud = make_cloud()
    for name in by_conductor:
        cloud.add(f'n-{name}', conductor=name)

    def answer(node: dict[str, Any], body: Any) -> Any:
        doc = by_conductor[node['conductor']]
        return 200, {'conductor': node['conductor'], 'writes': True,
                     'profiles': [{'digest': loader.load_data(doc).digest,
                                   'profile': doc}]}
    cloud.passthru['accel_profiles'] = answer
    return cloud


def test_list_has_the_profiles_of_all_conductors(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud, east=DOC, west=DOC)
    told = run(cloud, 'profile', 'list', '-f', 'json')
    row, = told.data
    assert (row['Profile'], row['Conductors'], row['Offered']) == (
        'ecc-on', ['east', 'west'], True)


def test_a_profile_that_differs_between_conductors_is_not_shown(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud, east=DOC, west=OTHER)
    told = run(cloud, 'profile', 'list', '-f', 'json')
    assert len(told.data) == 2
    assert 'profile ecc-on differs between conductors' in told.err
    told = run(cloud, 'profile', 'show', 'ecc-on')
    assert told.status == 1
    assert 'differs between conductors' in told.err


def test_show_prints_the_whole_profile_with_its_traits(
        make_cloud: MakeCloud) -> None:
    cloud = site(make_cloud, east=DOC)
    told = run(cloud, 'profile', 'show', 'ecc-on', '-f', 'json')
    assert told.data['traits'] == ['CUSTOM_ACCEL_IS_ECC_ON',
                                   'CUSTOM_ACCEL_CAN_ECC_ON']
    assert told.data['profile']['devices']['gpus']['modes'] == {
        'ecc': 'enabled'}
    told = run(cloud, 'profile', 'show', 'ecc-off')
    assert told.status == 1
    assert "'ecc-off' is not a site profile" in told.err


def test_show_reads_a_file_without_asking_a_conductor(
        make_cloud: MakeCloud, tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'p.yaml'
    file.write_text(loader.to_yaml(loader.load_data(DOC)))
    told = run(make_cloud(), 'profile', 'show', str(file), '-f', 'json')
    assert (told.status, told.data['name']) == (0, 'ecc-on')


def test_without_a_managed_node_no_profile_can_be_read(
        make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    told = run(cloud, 'profile', 'list')
    assert (told.status, 'this user may read no node; next: ' in told.err) \
        == (1, True), told
    cloud.add('plain', driver='redfish', vendor_interface='redfish')
    told = run(cloud, 'profile', 'list')
    assert (told.status, 'no node is managed by ironic-accel' in told.err) \
        == (1, True), told


def test_explain_needs_no_cloud() -> None:
    told = commands.bare('accelerator', 'profile', 'explain',
                         'gpu.modes.ecc', '-f', 'json')
    assert told.status == 0
    assert {r['Activation'] for r in told.data} >= {'warm-reboot'}
    told = commands.bare('accelerator', 'profile', 'explain', 'gpu.modes.no')
    assert (told.status, 'gpu.modes.no: unknown' in told.err) == (1, True)
