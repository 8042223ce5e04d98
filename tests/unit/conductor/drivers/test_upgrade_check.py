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

"""The check before an upgrade, on a database of Ironic's."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import json
import pathlib
from typing import Any

from ironic.conf import CONF
from ironic import objects
from oslo_upgradecheck import upgradecheck
import pytest

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.drivers import upgrade_check
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.redfish import backend
from tests.unit.conductor import sample

Make = Callable[..., Any]
Code = upgradecheck.Code


@pytest.fixture
def checked(database: pathlib.Path, profiles: pathlib.Path,
            ) -> Iterator[Callable[[], dict[str, tuple[Any, str]]]]:
    """Gives each check's code and words."""
    def check() -> dict[str, tuple[Any, str]]:
        checks = upgrade_check.Checks()
        found = {}
        for name, method in checks._upgrade_checks:
            told = method(checks)
            found[name] = (told.code, told.details or '')
        return found
    yield check
    CONF.clear_override('enabled_vendor_interfaces')
    CONF.set_override('enabled_vendor_interfaces', ['accelerator'])
    CONF.set_override('enabled_hardware_types', ['accel-redfish'])


def test_all_is_well(checked: Any, make_node: Make,
                     profiles: pathlib.Path) -> None:
    make_node()
    (profiles / 'x.yaml').write_text(sample.yaml_of(sample.profile_data()))
    told = checked()
    assert {code for code, _ in told.values()} == {Code.SUCCESS}, told


def test_upgrade_blockers_are_named(
        checked: Any, make_node: Make, profiles: pathlib.Path) -> None:
    (profiles / 'bad.yaml').write_text('profile: 2\n')
    CONF.set_override('enabled_vendor_interfaces', ['no-vendor'])
    newer, busy = make_node(), make_node()
    newer.set_driver_internal_info(keys.RECORD.name,
                                   {'schema': 'record/9'})
    newer.save()
    flash_guard.put(busy, 'gpu-0', clock.now(), 600)
    busy.save()
    told = checked()
    assert told['Enabled interfaces'][0] == Code.FAILURE
    assert 'accelerator in enabled_vendor_interfaces' in told[
        'Enabled interfaces'][1]
    assert told['Site profiles'][0] == Code.FAILURE
    assert 'bad.yaml' in told['Site profiles'][1]
    assert told['Records of the nodes'][0] == Code.FAILURE
    assert newer.uuid in told['Records of the nodes'][1]
    assert busy.uuid not in told['Records of the nodes'][1]
    assert told['No update in progress'][0] == Code.WARNING
    assert f'{busy.uuid}: gpu-0' in told['No update in progress'][1]


@pytest.mark.parametrize(('size', 'code'), [
    (0, Code.WARNING), (1, Code.WARNING), (2, Code.SUCCESS)])
def test_more_bmcs_than_sessions_are_counted(
        checked: Any, make_node: Make, size: int, code: Any) -> None:
    for address in ('http://192.0.2.1', 'https://192.0.2.2/redfish/v1/',
                    'HTTPS://192.0.2.2:443'):
        make_node(driver_info={'redfish_address': address})
    make_node(driver='accel-ipmi', driver_info={'ipmi_address': '192.0.2.3'})
    CONF.set_override('connection_cache_size', size, group='redfish')
    try:
        told = checked()['Sessions with BMCs']
    finally:
        CONF.clear_override('connection_cache_size', group='redfish')
    assert told[0] == code
    assert told[1].startswith('2 BMCs')
    assert (f'connection_cache_size is {size}:' in told[1]) == (
        code == Code.WARNING)


def test_each_conductor_that_is_online_has_a_cache(
        checked: Any, make_node: Make) -> None:
    for number in range(4):
        make_node(driver_info={'redfish_address': f'192.0.2.{number + 1}'})
    hosts = ['one', 'two']
    for host in hosts:
        objects.Conductor.dbapi.register_conductor(
            {'hostname': host, 'drivers': []})
    CONF.set_override('connection_cache_size', 2, group='redfish')
    try:
        assert checked()['Sessions with BMCs'] == (Code.SUCCESS, '4 BMCs')
        objects.Conductor.dbapi.unregister_conductor(hosts.pop())
        code, words = checked()['Sessions with BMCs']
    finally:
        CONF.clear_override('connection_cache_size', group='redfish')
        for host in hosts:
            objects.Conductor.dbapi.unregister_conductor(host)
    assert code == Code.WARNING
    assert words.startswith('4 BMCs, 1 conductor online, ')


def test_a_vendor_plug_in_that_is_not_used_is_named(
        checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, words = checked()['Redfish vendor plug-ins']
    assert code == Code.SUCCESS and 'dell' in words
    used = backend.vendor_plugins()
    monkeypatch.setattr(backend, 'vendor_plugins', lambda: (
        dataclasses.replace(used, left_out={
            'acme': 'cannot be loaded: ImportError: no acme'})))
    code, words = checked()['Redfish vendor plug-ins']
    assert code == Code.WARNING
    assert words.startswith('acme cannot be loaded: ImportError: no acme')


def test_warning_without_an_accelerator_hardware_type(
        checked: Any) -> None:
    CONF.set_override('enabled_hardware_types', ['redfish'])
    assert checked()['Enabled interfaces'][0] == Code.WARNING


def test_a_profile_folder_that_is_not_there_is_no_crash(
        checked: Any, tmp_path: pathlib.Path) -> None:
    CONF.set_override('profile_path', str(tmp_path / 'none'),
                      group='accelerator')
    assert checked()['Site profiles'][0] == Code.FAILURE


def test_profiles_are_checked_with_the_rows_of_the_site(
        checked: Any, profiles: pathlib.Path,
        tmp_path: pathlib.Path) -> None:
    rows = tmp_path / 'rows'
    rows.mkdir()
    (rows / 'site.yaml').write_text(
        'sources: {bench: measured by the operator}\n'
        'products:\n'
        '  - {name: acme-gpu, kind: gpu, vendor: nvidia, '
        'pci: ["10de:fff1"],\n'
        '     components: [gpu], modes: [ecc], source: [bench]}\n')
    data = sample.mode_profile('x', ecc='enabled')
    (profiles / 'x.yaml').write_text(json.dumps(data).replace(
        '"kind": "gpu"', '"kind": "gpu", "product": "acme-gpu"'))
    told = checked()['Site profiles']
    assert told[0] == Code.FAILURE and 'acme-gpu' in told[1]
    CONF.set_override('catalogue_path', str(rows), group='accelerator')
    catalogue.catalogue.cache_clear()
    try:
        told = checked()['Site profiles']
        assert told[0] == Code.SUCCESS, told[1]
    finally:
        CONF.clear_override('catalogue_path', group='accelerator')
        catalogue.catalogue.cache_clear()
