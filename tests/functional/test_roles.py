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

"""Who may do what, asked of a real Ironic behind a real Keystone.

The page of roles has the least role of each place; every row is tried by
HTTP as each role of each place, and as an administrator of a project to which
the node does not belong.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
from typing import Any

from ironicclient.common import filecache
import pytest
import yaml

from ironic_accel.conductor.drivers import policies
from tests import commands
from tests import consoles
from tests.functional import guarded
from tests.functional.guarded import ADMIN
from tests.functional.guarded import LESSEE
from tests.functional.guarded import OUTSIDER
from tests.functional.guarded import OWNER
from tests.functional.guarded import PEOPLE
from tests.functional.guarded import Site
from tests.functional.guarded import STRANGER
from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness import rest
from tests.functional.harness.machines import Machine
from tests import roles_page

STEP_RULE = 'baremetal:step:execute:vendor.apply_profile'
#: A step that a node in another provision state than the right one refuses.
STEP = [{'interface': 'vendor', 'step': 'apply_profile',
         'args': {'profile': 'none-of-the-site'}}]


@pytest.fixture(scope='module')
def site(lab: Lab) -> Iterator[Site]:
    """Ironic behind Keystone, as long as the tests of this file."""
    pytest.importorskip('keystone')
    with guarded.opened(lab) as made:
        yield made


@pytest.fixture(autouse=True)
def clouds(site: Site, tmp_path: pathlib.Path,
           monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``clouds.yaml`` with each user; nothing else of this machine's."""
    path = tmp_path / 'clouds.yaml'
    path.write_text(yaml.safe_dump(site.clouds()), 'utf-8')
    monkeypatch.setenv('OS_CLIENT_CONFIG_FILE', str(path))
    monkeypatch.setattr(filecache, 'CACHE', None)
    monkeypatch.setattr(filecache, 'CACHE_FILENAME',
                        str(tmp_path / 'version.dbm'))
    monkeypatch.setattr(filecache, 'CACHE_DIR', str(tmp_path))


@pytest.fixture(autouse=True)
def counted(site: Site) -> None:
    """Each test counts the writes and resets from its own start."""
    for machine in (site.free, site.used):
        stage.forget(machine)


def written(site: Site) -> list[Any]:
    """The writes and resets that have reached the two systems."""
    return [stage.ledger(machine)[what] for machine in (
        site.free, site.used) for what in ('writes', 'resets')
        if stage.ledger(machine)[what]]


# Each row of the page by HTTP

def _passthru(method: str, **body: Any) -> Callable[..., Any]:
    return lambda api, site: api.passthru(
        site.free.uuid, method, 'POST', body)


def _template(api: ironic_api.IronicApi, site: Site) -> None:
    api.create_deploy_template('CUSTOM_ACCEL_CAN_ROLES', [
        {**step, 'priority': 150} for step in STEP])
    api.delete_deploy_template('CUSTOM_ACCEL_CAN_ROLES')


#: The request behind each row. What changes a state is sent to the node in a
#: state that refuses it after the policies were asked.
REQUESTS: Mapping[str, Callable[..., Any]] = {
    'read traits, ``list``': lambda api, site: api.traits(site.free.uuid),
    'read firmware': lambda api, site: api.firmware(site.free.uuid),
    '``show``, inventory': lambda api, site: api.inventory(site.free.uuid),
    '``history``': lambda api, site: api.history(site.free.uuid),
    '``progress``': lambda api, site: 'content' not in api.node(
        site.free.uuid)['driver_internal_info'],
    '``profile list``': lambda api, site: api.passthru(
        site.free.uuid, 'accel_profiles'),
    '``plan``': _passthru('accel_plan', profile='none-of-the-site'),
    '``refresh``': _passthru('accel_refresh', unknown='argument'),
    '``apply`` (clean)': lambda api, site: api.set_provision(
        site.used.uuid, 'clean', clean_steps=STEP),
    '``apply`` (service)': lambda api, site: api.set_provision(
        site.free.uuid, 'service', service_steps=STEP),
    'own baseline': lambda api, site: api.patch_node(
        site.free.uuid, driver_info__accel_baseline='none'),
    '``enable``, ``disable``': lambda api, site: api.get(
        f'/v1/nodes/{site.free.uuid}/vendor_passthru/methods'),
    '``hold``, ``unhold``': _passthru('accel_unhold', reason='so'),
    '``unlock``': _passthru('accel_unlock', reason='so'),
    'deploy templates': _template}


def test_each_row_of_the_page_has_a_request() -> None:
    assert list(REQUESTS) == [row.what for row in roles_page.rows()]


def test_ironic_lets_in_whom_the_page_names_and_nobody_else(
        site: Site) -> None:
    apis = {who: site.api(who) for who in site.users
            if STRANGER not in who or who == OUTSIDER}
    wrong = []
    for row in roles_page.rows():
        for who, api in apis.items():
            role, place = who.split(' ')
            allowed = not _denied(functools.partial(
                REQUESTS[row.what], api, site))
            if allowed is not row.allows(role, place):
                wrong.append((row.what, who, allowed))
    assert wrong == []
    assert written(site) == []


def _denied(call: Callable[[], Any]) -> bool:
    """Whether a request is refused because of who asks.

    A node that a user may not see does not exist for the user. A field that
    the user may not see is redacted.
    """
    try:
        return call() is False
    except rest.RestError as error:
        assert error.status < 500, error
        return error.status == 403 or (
            error.status == 404 and 'could not be found' in error.text)


# The commands

#: The exit code of each command for ADMIN, OWNER, LESSEE and OUTSIDER: 1 is
#: refused before anything, 4 refused for this node.
READS: Mapping[str, tuple[int, int, int, int]] = {
    'list {free}': (0, 0, 0, 1),
    'show {free} {device}': (0, 0, 1, 1),
    'traits {free}': (0, 0, 0, 1),
    'history {free}': (0, 0, 1, 1),
    'progress {free}': (0, 0, 1, 1),
    'report {free}': (0, 0, 0, 1),
    'profile list': (0, 1, 1, 1),
    'profile show {profile}': (0, 1, 1, 1),
    'plan {free} --profile {profile}': (0, 1, 1, 1),
    'disable {free} --dry-run': (0, 1, 1, 1),
    'enable {free} --dry-run': (0, 1, 1, 1)}
CHANGES: Mapping[str, tuple[int, int, int, int]] = {
    'refresh {free}': (0, 4, 4, 1),
    'hold {free} --reason {why}': (0, 4, 4, 1),
    'unhold {free} --reason {why} --yes': (0, 4, 4, 1),
    'unlock {free} --reason {why} --yes': (1, 1, 1, 1)}
SELF = '; next: use a system administrator (--os-system-scope all), or a'


@pytest.fixture(scope='module')
def profile(lab: Lab) -> Iterator[str]:
    """A profile that the systems have."""
    with stage.site_profile(
            lab, 'ecc-on', **stage.modes(ecc='enabled')) as name:
        yield name


def _words(site: Site, line: str, profile: str) -> list[str]:
    device = site.run(ADMIN, 'list', site.free.uuid, '-f', 'json').data[1][
        'Device'] if '{device}' in line else ''
    return line.format(
        free=site.free.uuid, device=device, profile=profile,
        why='so').split(' ')


@pytest.mark.parametrize('who', PEOPLE)
def test_user_logs_in_by_password(site: Site, who: str) -> None:
    told = site.run(f'{who} by password', 'list', site.free.uuid)
    assert told.status == (who == OUTSIDER), told


@pytest.mark.parametrize('line', READS)
def test_command_reads_what_the_user_may_read(
        site: Site, profile: str, line: str) -> None:
    words = _words(site, line, profile)
    before = stage.fields(site.ironic.api, site.free.uuid)
    for who, status in zip(PEOPLE, READS[line], strict=True):
        told = site.run(who, *words)
        assert told.status == status, (who, told)
        if status:
            _says_what_to_do(who, told)
    assert stage.fields(site.ironic.api, site.free.uuid) == before
    assert written(site) == []


@pytest.mark.parametrize('line', CHANGES)
def test_command_that_is_refused_changes_nothing(
        site: Site, profile: str, line: str) -> None:
    _try(site, line, profile, CHANGES[line])


def test_only_an_administrator_disables_and_enables(
        site: Site, profile: str) -> None:
    _try(site, 'disable {free} --yes', profile, (0, 1, 1, 1))
    _try(site, 'enable {free} --yes', profile, (0, 1, 1, 1))


def _try(site: Site, line: str, profile: str,
         statuses: tuple[int, int, int, int]) -> None:
    """Run a command as those who may not, then as the administrator."""
    words = _words(site, line, profile)
    before = _everything(site)
    for who, status in tuple(zip(PEOPLE, statuses, strict=True))[1:]:
        told = site.run(who, *words)
        assert told.status == status, (who, told)
        _says_what_to_do(who, told)
    assert _everything(site) == before
    told = site.run(ADMIN, *words)
    assert told.status == statuses[0], told
    assert SELF not in told.out + told.err
    assert written(site) == []


def _everything(site: Site) -> dict[str, Any]:
    api = site.ironic.api
    return {**stage.fields(api, site.free.uuid), **{
        k: api.node(site.free.uuid)[k] for k in (
            'driver', 'power_interface', 'vendor_interface', 'extra',
            'driver_internal_info')},
        'traits': api.traits(site.free.uuid)}


def _says_what_to_do(who: str, told: commands.Told) -> None:
    text = ' '.join((told.out + told.err).split())
    if who == OUTSIDER:
        assert 'baremetal node list' in text or SELF in text, text
    else:
        assert 'not permitted to ' in text and 'next: ' in text, text


# Apply, hold, and the rules of the page

def apply(site: Site, who: str, machine: Machine, profile: str,
          *options: str) -> dict[str, Any]:
    """Apply a profile and wait; the row of the node."""
    told = site.run(who, 'apply', machine.uuid, '--profile', profile, '--yes',
                    '--wait', '--interval', '0.3', '-f', 'json', *options)
    row, = told.data
    return {'status': told.status, **row, 'err': told.err}


def test_owner_and_lessee_apply_without_a_plan(
        site: Site, lab: Lab, profile: str) -> None:
    """The lessee may not read what came of it either."""
    with stage.site_profile(
            lab, 'ecc-off', **stage.modes(ecc='disabled')) as other:
        for who, wanted in ((OWNER, other), (LESSEE, profile)):
            row = apply(site, who, site.free, wanted)
            assert row['status'] == 0, row
            if who == OWNER:
                assert row['Outcome'] == 'converged', row
                assert row['Writes'] and row['Resets'], row
            else:
                assert row['Outcome'] == 'done', row
                assert 'not permitted to read the result' in row['Note'], row
            assert 'the conductor makes the plan when the step runs' in row[
                'err']
    stage.forget(site.free)
    row = apply(site, LESSEE, site.used, profile)
    assert (row['status'], row['Operation'], row['Outcome']) == (
        0, 'service', 'done'), row
    told = site.run(OUTSIDER, 'apply', site.free.uuid, '--profile', profile,
                    '--yes', '--wait')
    assert told.status == 1, told
    _says_what_to_do(OUTSIDER, told)
    assert written(site) == []


def test_step_refuses_what_the_owner_may_not_plan(site: Site) -> None:
    before = stage.fields(site.ironic.api, site.free.uuid)
    row = apply(site, OWNER, site.free, 'none-of-the-site')
    assert (row['status'], row['Outcome']) == (4, 'failed'), row
    assert 'is no site profile of this conductor; known: ' in row['Note']
    assert stage.fields(site.ironic.api, site.free.uuid) == before
    assert written(site) == []


def test_hold_of_an_administrator_binds_owner_and_lessee(
        site: Site, lab: Lab) -> None:
    uuid = site.free.uuid
    with stage.site_profile(
            lab, 'ecc-off', **stage.modes(ecc='disabled')) as other:
        assert site.run(ADMIN, 'hold', uuid, '--reason', 'audit').status == 0
        before = stage.fields(site.ironic.api, uuid)
        for who in (OWNER, LESSEE):
            told = site.run(who, 'apply', uuid, '--profile', other, '--yes',
                            '--wait', '--interval', '0.3')
            assert (told.status, 'held' in told.out) == (4, True), told
        assert stage.fields(site.ironic.api, uuid) == before
        told = site.run(ADMIN, 'unhold', uuid, '--reason', 'done', '--yes')
        assert told.status == 0, told
    assert written(site) == []


@pytest.fixture
def ruled(site: Site) -> Iterator[None]:
    """The rules of the page in the policy file, as an operator writes it."""
    site.policy.write_text('\n'.join(
        block.text for block in consoles.blocks(roles_page.PAGE)
        if block.language == 'yaml' and STEP_RULE not in block.text), 'utf-8')
    yield
    site.policy.write_text('{}', 'utf-8')


def test_rules_of_the_page_do_what_the_page_has(
        site: Site, profile: str, ruled: None) -> None:
    """A manager of the owner plans; only the system chooses steps."""
    uuid = site.free.uuid
    manager = site.api('manager owner')
    planned = manager.passthru(
        uuid, 'accel_plan', 'POST', {'profile': profile})
    assert planned['plan']['refused'] == []
    for method, rule in (('accel_hold', policies.HOLD),
                         ('accel_unhold', policies.HOLD),
                         ('accel_unlock', policies.UNLOCK)):
        status, text = stage.refused(functools.partial(
            manager.passthru, uuid, method, 'POST', {'reason': 'so'}))
        assert (status, rule in text) == (403, True), text
    told = site.run(OWNER, 'plan', uuid, '--profile', profile)
    assert told.status == 1, told
    for who in (OWNER, LESSEE):
        told = site.run(who, 'apply', uuid, '--profile', profile, '--yes')
        assert told.status == 4, told
        assert 'policy baremetal:node:set_provision_state:clean_steps' in (
            ' '.join(told.out.split())), told
    assert written(site) == []
    for place, status in (('owner', 403), ('system', 400)):
        assert stage.refused(functools.partial(
            site.api(f'admin {place}').set_provision, site.used.uuid, 'clean',
            clean_steps=STEP))[0] == status


# Single steps

#: Each starts a service, and the second a command, on a busy machine.
SLOW = pytest.mark.timeout(600)


@pytest.fixture(scope='module')
def restricted(site: Site, lab: Lab) -> Iterator[Site]:
    """One more Ironic, which disallows a step, and asks policies of steps."""
    policy = lab.folder / 'restricted.yaml'
    policy.write_text('{}', 'utf-8')
    more = lab.ironic_on(None, 'restricted', {
        'api': {'disallow_clean_steps':
                'vendor.send_raw,vendor.apply_baseline',
                'middleware': policies.MIDDLEWARE},
        'conductor': {'automated_clean': True},
        'oslo_policy': {'policy_file': policy}}, site.keystone)
    known = site.ironic.api.node(site.free.uuid)
    node = stage.hgx(functools.partial(
        lab.machine, into=more, owner=known['owner'],
        lessee=known['lessee']))
    try:
        stage.refresh(node)
        yield dataclasses.replace(
            site, ironic=more, free=node, used=node, policy=policy)
    finally:
        node.remove()
        more.stop()


@SLOW
def test_disallowed_baseline_is_left_out_of_cleaning_and_nobody_says_so(
        restricted: Site, profile: str) -> None:
    """The check before an upgrade does: see below."""
    api, uuid = restricted.ironic.api, restricted.free.uuid
    baseline = {'interface': 'vendor', 'step': 'apply_baseline'}
    status, text = stage.refused(functools.partial(
        api.set_provision, uuid, 'clean', clean_steps=[baseline]))
    assert (status, 'vendor.apply_baseline' in text) == (400, True), text
    api.create_runbook({
        'name': 'baseline', 'disable_ramdisk': True, 'steps': [
            {**baseline, 'args': {}, 'order': 1},
            {'interface': 'vendor', 'step': 'refresh_traits', 'args': {},
             'order': 2}]}, ['CUSTOM_CLEANED'])
    api.add_trait(uuid, 'CUSTOM_CLEANED')
    api.patch_node(uuid, driver_info__accel_baseline=profile,
                   driver_info__cleaning_runbook='baseline')
    stage.forget(restricted.free)
    api.set_provision(uuid, 'provide')
    api.wait_state(uuid, 'available')
    assert stage.result(restricted.free)['step'] == 'refresh_traits'
    assert written(restricted) == []
    assert not any('apply_baseline' in e['event'] for e in api.history(uuid))
    assert api.node(uuid)['last_error'] is None
    api.set_provision(uuid, 'manage')
    api.wait_state(uuid, 'manageable')


@SLOW
def test_policy_of_a_step_lets_in_whom_its_rule_names(
        restricted: Site, profile: str,
        tmp_path: pathlib.Path) -> None:
    """As the page writes it; our step to those whom it leaves out."""
    (tmp_path / 'clouds.yaml').write_text(
        yaml.safe_dump(restricted.clouds()), 'utf-8')
    restricted.policy.write_text('\n'.join(
        block.text for block in consoles.blocks(roles_page.PAGE)
        if block.language == 'yaml' and STEP_RULE in block.text), 'utf-8')
    stage.forget(restricted.free)
    for who in (OWNER, 'manager lessee'):
        status, text = stage.refused(functools.partial(
            restricted.api(who).set_provision, restricted.free.uuid, 'clean',
            clean_steps=STEP))
        assert (status, 'insufficient privileges to execute step '
                'apply_profile on interface vendor' in text) == (403, True), (
                    who, text)
    row = apply(restricted, OWNER, restricted.free, profile)
    assert row['status'] == 4, row
    assert 'apply_profile' in row['Note'], row
    assert written(restricted) == []
    # Steps without a rule are as they were.
    refreshing = [{'interface': 'vendor', 'step': 'refresh_traits'}]
    for who, steps in ((OWNER, refreshing), ('manager owner', STEP),
                       (ADMIN, STEP)):
        status, text = 0, ''
        try:
            restricted.api(who).set_provision(
                restricted.free.uuid, 'clean', clean_steps=steps)
        except rest.RestError as error:
            status, text = error.status, error.text
        assert (status, 'none-of-the-site' in text) == (
            (0, False) if steps is refreshing else (400, True)), (who, text)
        restricted.ironic.api.wait_state(restricted.free.uuid, 'manageable')
    told = subprocess.run(
        [pathlib.Path(sys.executable).with_name('ironic-accel-status'),
         '--config-file', restricted.ironic.config, 'upgrade', 'check',
         '--json'], capture_output=True, text=True, check=False)
    found = {c['check']: c for c in json.loads(told.stdout)['checks']}
    assert found['Policies of single steps'] == {
        'check': 'Policies of single steps', 'result': 0, 'details':
        'baremetal:step:execute:vendor.apply_profile: not permitted to '
        'member (system), member (owner), manager (lessee)'}
    assert found['Disallowed steps']['result'] == 1
    assert 'vendor.apply_baseline in [api]disallow_clean_steps' in (
        found['Disallowed steps']['details'])
    assert told.returncode == 1, told
