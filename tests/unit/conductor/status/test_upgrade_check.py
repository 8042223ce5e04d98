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

"""The check before an upgrade, on a database of Ironic's.

Options and policies are asked of Ironic's own objects.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
from importlib import metadata
import json
import pathlib
from typing import Any

from ironic.common import policy
from ironic.common import release_mappings
from ironic.conf import CONF
from ironic import objects
from oslo_upgradecheck import upgradecheck
import pytest

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.status import conductors
from ironic_accel.conductor.status import step_access
from ironic_accel.conductor.status import upgrade_check
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


# Releases

#: An Ironic knows the names of the series until its own.
NAMED = pytest.mark.skipif(
    '2026.2' not in release_mappings.RELEASE_MAPPING,
    reason='2026.2 is later than this Ironic')
POLICIES = pytest.mark.skipif(
    not ironic_series.STEP_POLICY.present, reason='STEP_POLICY')


@NAMED
@pytest.mark.parametrize(('version', 'name'), [
    ('32.1.0', '2025.2'), ('35.0.0', '2026.1'), ('35.1.1', '2026.1'),
    ('39.0.0', '2026.2'), ('36.0.0', None), ('99.0.0', None)])
def test_series_of_a_version_is_named(version: str, name: str | None) -> None:
    assert conductors.series(version) == name
    assert conductors.release(version) == f'ironic {version}' + (
        f' ({name})' if name else '')


def test_release_of_ironic_is_told_with_its_series(checked: Any) -> None:
    code, words = checked()['Release of Ironic']
    assert code == Code.SUCCESS
    assert words == conductors.release(metadata.version('ironic'))


@pytest.fixture
def online(checked: Any, make_node: Make) -> Iterator[Callable[..., None]]:
    """Conductors that are online, each with a beacon of its releases."""
    hosts = []

    def start(host: str, ironic: str | None = None, accel: str = '1.0',
              group: str = '', drivers: tuple[str, ...] = ('accel-redfish',)
              ) -> None:
        objects.Conductor.dbapi.register_conductor({
            'hostname': host, 'drivers': list(drivers), 'version': '1.6',
            'conductor_group': group})
        hosts.append(host)
        node = make_node()
        beacon: Any = {'host': host, 'profiles': {}}
        if ironic:
            beacon |= {'ironic': ironic, 'accel': accel}
        keys.SITE.put(node, beacon)
        node.save()
    yield start
    for host in hosts:
        objects.Conductor.dbapi.unregister_conductor(host)


def told_of_conductors(checked: Any, pinned: str | None = None) -> Any:
    CONF.set_override('pin_release_version', pinned)
    try:
        return checked()['Conductors']
    finally:
        CONF.clear_override('pin_release_version')


@NAMED
def test_conductors_of_one_release_are_fine(
        checked: Any, online: Callable[..., None]) -> None:
    assert told_of_conductors(checked) == (
        Code.SUCCESS, 'no conductor is online')
    online('one', '39.0.0')
    online('two', '39.0.1', group='rack7')
    code, words = told_of_conductors(checked)
    assert code == Code.SUCCESS
    assert words == (
        'one: ironic 39.0.0 (2026.2), ironic-accel 1.0; '
        'two (group rack7): ironic 39.0.1 (2026.2), ironic-accel 1.0')
    assert told_of_conductors(checked, '39.0') == (code, words)
    code, words = told_of_conductors(checked, '2026.1')
    assert code == Code.WARNING
    assert words.endswith(': remove [DEFAULT]pin_release_version (2026.1)')


@NAMED
def test_conductors_of_two_series_are_named_with_the_pin(
        checked: Any, online: Callable[..., None]) -> None:
    online('one', '39.0.0')
    online('two', '35.1.0')
    code, words = told_of_conductors(checked)
    assert code == Code.WARNING
    assert 'two: ironic 35.1.0 (2026.1)' in words
    assert words.endswith(
        ': upgrade the older ones; set [DEFAULT]pin_release_version to '
        '2026.1 until then (it is not set)')
    code, words = told_of_conductors(checked, '2025.2')
    assert 'to 2026.1 until then (it is 2025.2)' in words
    code, words = told_of_conductors(checked, '2026.1')
    assert code == Code.WARNING and words.endswith(': upgrade the older ones')


@NAMED
def test_conductors_with_two_releases_of_ours_are_named(
        checked: Any, online: Callable[..., None]) -> None:
    online('one', '39.0.0', accel='1.1')
    online('two', '39.0.0', accel='1.0')
    code, words = told_of_conductors(checked)
    assert code == Code.WARNING
    assert words.endswith('ironic-accel 1.0: upgrade the older ones')


@NAMED
def test_conductor_that_stored_no_release_is_named(
        checked: Any, online: Callable[..., None]) -> None:
    """An earlier release of ours, or one that serves none of our nodes."""
    online('one', '39.0.0')
    online('two')
    code, words = told_of_conductors(checked, '2026.1')
    assert code == Code.WARNING
    assert 'two: release not known: upgrade the ones that have stored no ' \
           'release' in words
    assert 'remove' not in words


@NAMED
def test_conductor_without_our_hardware_types_does_not_count(
        checked: Any, online: Callable[..., None]) -> None:
    online('one', '39.0.0')
    online('two', drivers=('redfish',))
    code, words = told_of_conductors(checked)
    assert (code, 'two' in words) == (Code.SUCCESS, False)
    objects.Conductor.dbapi.unregister_conductor('one')
    online('three', '35.0.0')
    assert told_of_conductors(checked)[1].startswith('three: ironic 35.0.0')
    objects.Conductor.dbapi.register_conductor({
        'hostname': 'one', 'drivers': []}, update_existing=True)


def test_releases_are_those_of_this_process() -> None:
    assert profile_agreement.own_releases() == (
        metadata.version('ironic'), metadata.version('ironic-accel'))


def test_nothing_can_be_planned_without_inspection_data(
        checked: Any) -> None:
    assert checked()['Storage of inventories'][0] == Code.SUCCESS
    CONF.set_override('data_backend', 'none', group='inventory')
    try:
        code, words = checked()['Storage of inventories']
    finally:
        CONF.clear_override('data_backend', group='inventory')
    assert code == Code.FAILURE
    assert words.startswith('[inventory]data_backend is none: ')


# Steps that are taken away

@pytest.mark.parametrize(('kind', 'step', 'told'), [
    ('clean', 'apply_baseline', 'left out of automated cleaning without an '
                                'error: no node gets its baseline'),
    ('clean', 'refresh_traits', 'refused in a manual cleaning'),
    ('deploy', 'apply_profile_in_band', 'an instance gets a node without '
                                        'the profile of its flavor'),
    ('deploy', 'note_tenant', 'left out of deployments without an error'),
    ('service', 'reset_devices', 'refused')])
def test_disallowed_step_is_named(
        checked: Any, kind: str, step: str, told: str) -> None:
    option = f'disallow_{kind}_steps'
    assert checked()['Disallowed steps'] == (Code.SUCCESS, '')
    CONF.set_override(option, ['vendor.send_raw', f'vendor.{step}'],
                      group='api')
    try:
        code, words = checked()['Disallowed steps']
    finally:
        CONF.clear_override(option, group='api')
    assert code == Code.WARNING
    assert words.startswith(f'vendor.{step} in [api]{option}: ')
    assert told in words and 'send_raw' not in words


def test_disallowed_step_that_the_operation_has_not_is_no_loss(
        checked: Any) -> None:
    """Others' steps of the same name, and ours in another operation."""
    CONF.set_override('disallow_deploy_steps', [
        'vendor.apply_baseline', 'bios.apply_profile'], group='api')
    try:
        assert checked()['Disallowed steps'] == (Code.SUCCESS, '')
    finally:
        CONF.clear_override('disallow_deploy_steps', group='api')


RULE = 'baremetal:step:execute:vendor.{}'


@pytest.fixture
def ruled(checked: Any, tmp_path: pathlib.Path,
          monkeypatch: pytest.MonkeyPatch
          ) -> Iterator[Callable[..., tuple[Any, str]]]:
    """The check with rules in a policy file, asked of Ironic's enforcer."""
    path = tmp_path / 'policy.yaml'
    CONF.set_override('policy_file', str(path), group='oslo_policy')
    CONF.set_override('auth_strategy', 'keystone')

    def check(rules: dict[str, str], *middleware: str) -> tuple[Any, str]:
        monkeypatch.setattr(policy, '_ENFORCER', None)
        path.write_text(json.dumps(rules))
        if middleware:
            CONF.set_override('middleware', list(middleware), group='api')
        found: tuple[Any, str] = checked()['Policies of single steps']
        return found
    yield check
    if ironic_series.STEP_POLICY.present:
        CONF.clear_override('middleware', group='api')
    CONF.clear_override('auth_strategy')
    CONF.clear_override('policy_file', group='oslo_policy')


OURS = 'accelerator-step-policies'
EVERYBODY = ('admin (system), member (system), manager (owner), member '
             '(owner), manager (lessee)')


def test_rules_of_other_steps_and_no_rules_are_fine(
        ruled: Callable[..., tuple[Any, str]]) -> None:
    for rules in ({}, {RULE.format('send_raw'): '!'},
                  {'baremetal:step:execute:bios.apply_profile': '!'}):
        assert ruled(rules) == (
            Code.SUCCESS, 'no rule for a step of ironic-accel')


@POLICIES
def test_rule_that_ironic_cannot_ask_stops_the_upgrade(
        ruled: Callable[..., tuple[Any, str]]) -> None:
    """Once Ironic gives steps a default this ends with what the rule says."""
    rule = RULE.format('apply_profile')
    code, words = ruled({rule: '@'})
    assert code == Code.FAILURE
    assert words == (
        f'{rule}: every request for the step ends with an error: remove it, '
        f'or add {OURS} to [api]middleware')


@POLICIES
@pytest.mark.parametrize(('check', 'code', 'told'), [
    ('@', Code.SUCCESS, 'restricts nobody'),
    ('role:admin and system_scope:all', Code.SUCCESS,
     'not permitted to member (system), manager (owner), member (owner), '
     'manager (lessee)'),
    ('(role:member and system_scope:all) or '
     '(role:manager and project_id:%(node.owner)s)', Code.SUCCESS,
     'not permitted to member (owner), manager (lessee)'),
    ('role:firmware', Code.WARNING, f'not permitted to {EVERYBODY}: permit '
                                    'it to a system administrator'),
    ('!', Code.WARNING, f'not permitted to {EVERYBODY}: permit it to a '
                        'system administrator')])
def test_rule_of_a_step_is_asked_for_each_role(
        ruled: Callable[..., tuple[Any, str]], check: str, code: Any,
        told: str) -> None:
    rule = RULE.format('apply_profile')
    assert ruled({rule: check}, OURS) == (code, f'{rule}: {told}')


@POLICIES
def test_worst_of_several_rules_counts(
        ruled: Callable[..., tuple[Any, str]]) -> None:
    code, words = ruled({RULE.format('reset_devices'): '!',
                         RULE.format('apply_profile'): '@'}, OURS)
    assert code == Code.WARNING
    assert words.count('baremetal:step:execute:') == 2


def test_rule_restricts_nobody_before_ironic_39(
        ruled: Callable[..., tuple[Any, str]],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ironic_series, 'STEP_POLICY', dataclasses.replace(
        ironic_series.STEP_POLICY, present=False))
    rule = RULE.format('apply_profile')
    assert ruled({rule: '!'}) == (
        Code.WARNING, f'{rule}: Ironic has no policies of steps before 39, '
                      'the rule restricts nobody')


def test_no_policy_is_asked_without_keystone(
        ruled: Callable[..., tuple[Any, str]]) -> None:
    CONF.set_override('auth_strategy', 'noauth')
    assert ruled({RULE.format('apply_profile'): '!'}) == (
        Code.SUCCESS, 'auth_strategy is noauth: no policy is asked')


def test_left_out_names_each_kind_of_operation() -> None:
    assert set(step_access.LEFT_OUT) == {'clean', 'deploy', 'service'}
