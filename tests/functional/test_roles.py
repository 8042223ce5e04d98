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
import contextlib
import dataclasses
import functools
import pathlib
from typing import Any

from ironicclient.common import filecache
import pytest
import yaml

from tests import commands
from tests.functional import stage
from tests.functional.harness import ironic as ironic_service
from tests.functional.harness import ironic_api
from tests.functional.harness import keystone as keystone_service
from tests.functional.harness import keystone_api
from tests.functional.harness import Lab
from tests.functional.harness import rest
from tests.functional.harness.machines import Machine
from tests import roles_page

#: The administrator of a project that neither owns nor leases the node.
STRANGER = 'stranger'
#: Who uses the commands: a role, and where it is held.
ADMIN, OWNER, LESSEE = 'admin system', 'member owner', 'manager lessee'
OUTSIDER = f'admin {STRANGER}'
REASON = ['--reason', 'a disk is replaced']
#: A step that a node in another provision state than the right one refuses.
STEP = [{'interface': 'vendor', 'step': 'apply_profile',
         'args': {'profile': 'none-of-the-site'}}]


@dataclasses.dataclass
class Site:
    """Ironic behind Keystone, two nodes, and the users.

    :ivar free: a manageable node.
    :ivar used: an active one.
    :ivar users: by ``ROLE PLACE``.
    """

    ironic: ironic_service.Ironic
    keystone: keystone_service.Keystone
    free: Machine
    used: Machine
    users: Mapping[str, keystone_api.Account]

    def api(self, who: str) -> ironic_api.IronicApi:
        """Ironic as one of the users."""
        return ironic_api.IronicApi(self.ironic.url, keystone_api.token(
            self.keystone.url, self.users[who]))

    def run(self, who: str, *words: str) -> commands.Told:
        """Run ``baremetal accelerator`` as one of the users."""
        return commands.bare('--os-cloud', who, 'accelerator', *words)


@pytest.fixture(scope='module')
def site(lab: Lab) -> Iterator[Site]:
    """Keystone and one more Ironic, as long as the tests of this file."""
    pytest.importorskip('keystone')
    with contextlib.ExitStack() as stack:
        keystone = lab.start_keystone()
        stack.callback(keystone.stop)
        ironic = lab.ironic_on(None, 'guarded', asked=keystone)
        stack.callback(ironic.stop)
        keystone.api.create_endpoint('baremetal', ironic.url)
        projects = {place: keystone.api.create_project(place) for place in (
            'owner', 'lessee', STRANGER)}
        users = {f'{role} {place}': account for role in roles_page.ROLES
                 for place, account in keystone.api.create_accounts(
                     role, {'system': None, **projects}).items()}

        def make(*arguments: str, **fields: Any) -> Machine:
            made = lab.machine(*arguments, into=ironic, **{
                'owner': projects['owner'], 'lessee': projects['lessee'],
                **fields})
            stack.callback(made.remove)
            return made

        free, used = stage.hgxs(make, stage.SCALE, stage.SCALE)
        for machine in (free, used):
            stage.refresh(machine)
        ironic.api.patch_node(used.uuid, instance_info={
            'image_source': 'http://127.0.0.1:9/image', 'image_checksum':
            '0' * 32, 'capabilities': {'boot_option': 'local'}})
        ironic.api.set_provision(used.uuid, 'adopt')
        ironic.api.wait_state(used.uuid, 'active')
        yield Site(ironic, keystone, free, used, users)


@pytest.fixture(autouse=True)
def clouds(site: Site, tmp_path: pathlib.Path,
           monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``clouds.yaml`` with each user; nothing else of this machine's."""
    path = tmp_path / 'clouds.yaml'
    path.write_text(yaml.safe_dump({'clouds': {
        who: account.cloud(site.keystone.url)
        for who, account in site.users.items()}}), 'utf-8')
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
    apis = {who: site.api(who) for who in site.users}
    wrong = []
    for row in roles_page.rows():
        for who, api in apis.items():
            role, place = who.split(' ')
            if place == STRANGER and role != 'admin':
                continue
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
PEOPLE = (ADMIN, OWNER, LESSEE, OUTSIDER)
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
