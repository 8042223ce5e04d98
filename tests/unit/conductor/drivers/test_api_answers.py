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

"""Ironic's own API in this process, with a policy file: what it answers.

Only Keystone and the RPC to the conductor are not there.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import pathlib
from typing import Any
from unittest import mock

from ironic.api import app as api_app
from ironic.api import hooks
from ironic.common import policy
from ironic.conf import CONF
import pytest
import webob  # type: ignore[import-untyped]
import yaml

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.drivers import policies
from ironic_accel.model import loader
from ironic_accel.model import step_templates
from tests import roles_page
from tests.unit.conductor.stage import Make

STEP_RULE = 'baremetal:step:execute:vendor.apply_profile'
STEP = {'interface': 'vendor', 'step': 'apply_profile',
        'args': {'profile': 'ecc-on'}}
OTHER = {**STEP, 'step': 'refresh_traits', 'args': {}}
#: The headers by which keystonemiddleware tells Ironic who asks.
SYSTEM = {'X-User-Id': 'u', 'OpenStack-System-Scope': 'all'}
OWNER = {'X-User-Id': 'u', 'X-Project-Id': 'owner'}
#: The last version of the API without traits of runbooks.
BEFORE = '1.101'


class Api:
    """The WSGI application of Ironic's API.

    :ivar rpc: the conductor's methods that were called.
    """

    def __init__(self, app: Any, rpc: mock.Mock) -> None:
        self._app = app
        self.rpc = rpc

    def call(self, verb: str, path: str, body: Any = None,
             who: Mapping[str, str] = SYSTEM, role: str = 'admin',
             version: str = 'latest') -> tuple[int, str]:
        """The status and the body of the response."""
        request = webob.Request.blank(path, method=verb, headers={
            **who, 'X-Roles': ','.join(roles_page.ROLES[role]),
            'X-OpenStack-Ironic-API-Version': version,
            'X-Identity-Status': 'Confirmed'})
        if body is not None:
            request.json_body = body
            request.content_type = 'application/json'
        response = request.get_response(self._app)
        return response.status_code, response.text

    def clean(self, node: Any, step: Mapping[str, Any],
              **who: Any) -> tuple[int, str]:
        """Request a clean with a step."""
        return self.call('PUT', f'/v1/nodes/{node.uuid}/states/provision',
                         {'target': 'clean', 'clean_steps': [step]}, **who)


@pytest.fixture
def api(database: object, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Api]]:
    """``api(rules, middleware)``: with that ``policy.yaml``."""
    def make(rules: Mapping[str, str] | None = None,
             middleware: tuple[str, ...] = ()) -> Api:
        path.write_text(yaml.safe_dump(dict(rules or {})), 'utf-8')
        if middleware:
            CONF.set_override('middleware', list(middleware), group='api')
        return Api(api_app.VersionSelectorApplication(), rpc.return_value)

    path = tmp_path / 'policy.yaml'
    # It registers the option.
    policy.get_enforcer()
    monkeypatch.setattr(policy, '_ENFORCER', None)
    CONF.set_override('policy_file', str(path), group='oslo_policy')
    CONF.set_override('auth_strategy', 'keystone')
    with mock.patch.object(
            api_app.auth_token, 'AuthProtocol', autospec=True,
            side_effect=lambda app, conf: app), mock.patch.object(
                hooks.rpcapi, 'ConductorAPI', autospec=True) as rpc:
        rpc.return_value.get_topic_for.return_value = 'topic'
        yield make
    CONF.clear_override('auth_strategy')
    CONF.clear_override('policy_file', group='oslo_policy')
    if ironic_series.STEP_POLICY.present:
        CONF.clear_override('middleware', group='api')


def test_step_without_a_rule_is_permitted(
        api: Callable[..., Api], make_node: Make) -> None:
    one = api()
    node = make_node(owner='owner')
    assert one.clean(node, STEP)[0] == 202
    assert one.rpc.do_node_clean.call_args.args[2] == [STEP]
    assert one.clean(node, STEP, who=OWNER, role='reader')[0] == 403


@pytest.mark.skipif(not ironic_series.STEP_POLICY.present,
                    reason='STEP_POLICY')
def test_rule_of_a_step_alone_ends_every_request_with_http_500(
        api: Callable[..., Api], make_node: Make) -> None:
    """Once Ironic registers these rules, the page has to say so."""
    one = api({STEP_RULE: '@'})
    node = make_node(owner='owner')
    for who, role in ((SYSTEM, 'admin'), (OWNER, 'manager')):
        status, text = one.clean(node, STEP, who=who, role=role)
        assert (status, STEP_RULE in text) == (500, True), text
    assert not one.rpc.do_node_clean.called
    # Other steps are not concerned.
    assert one.clean(node, OTHER)[0] == 202
    page = ' '.join(roles_page.PAGE.read_text('utf-8').split())
    assert 'ends with HTTP 500 (``PolicyNotRegistered``)' in page


@pytest.mark.skipif(not ironic_series.STEP_POLICY.present,
                    reason='STEP_POLICY')
def test_rule_of_a_step_is_followed_with_the_middleware(
        api: Callable[..., Api], make_node: Make) -> None:
    one = api({STEP_RULE: 'role:manager and project_id:%(node.owner)s'},
              (policies.MIDDLEWARE,))
    node = make_node(owner='owner')
    for who, role, status in (
            (SYSTEM, 'admin', 403), (OWNER, 'member', 403),
            (OWNER, 'manager', 202)):
        found, text = one.clean(node, STEP, who=who, role=role)
        assert found == status, text
        assert (status == 403) == (
            'insufficient privileges to execute step apply_profile on '
            'interface vendor' in text)
        assert one.clean(node, OTHER, who=who, role=role)[0] == 202


@pytest.mark.skipif(ironic_series.STEP_POLICY.present, reason='STEP_POLICY')
def test_rule_of_a_step_restricts_nobody_before_there_are_such(
        api: Callable[..., Api], make_node: Make) -> None:
    assert api({STEP_RULE: '!'}).clean(make_node(), STEP)[0] == 202


def made() -> dict[str, Any]:
    """Deploy template and runbook of an offered profile."""
    return step_templates.document(loader.load_data({
        'profile': 1, 'name': 'ecc-on', 'offered': True,
        'devices': {'gpus': {'match': {'kind': 'gpu'},
                             'modes': {'ecc': 'enabled'}}}}),
        step_templates.StepNeeds(False))


@pytest.mark.parametrize('version', [BEFORE, 'latest'])
def test_ironic_takes_the_runbook_for_a_version_of_its_api(
        api: Callable[..., Api], version: str) -> None:
    one = api()
    has = version != BEFORE and ironic_series.RUNBOOK_TRAITS.present
    doc = made()
    body = doc['runbook']
    status, text = one.call('POST', '/v1/runbooks', body, version=version)
    assert status == 201, text
    try:
        path = f"/v1/runbooks/{body['name']}"
        shown = one.call('GET', path, version=version)
        assert shown[0] == 200
        assert yaml.safe_load(shown[1])['disable_ramdisk'] is True
        for trait in doc['runbook_traits'] if has else ():
            assert one.call('PUT', f'{path}/traits/{trait}',
                            version=version)[0] == 204
        assert one.call('PATCH', path, [
            {'op': 'replace', 'path': '/steps', 'value': [
                {**body['steps'][0], 'step': 'apply_baseline',
                 'args': {}}]}], version=version)[0] == 200
        # What ``runbook create --replace`` refuses to try.
        status, text = one.call('PATCH', path, [
            {'op': 'replace', 'path': '/disable_ramdisk', 'value': False}],
            version=version)
        assert status == (
            200 if ironic_series.RUNBOOK_TRAITS.present else 400), text
    finally:
        assert one.call('DELETE', path)[0] == 204


def test_ironic_takes_no_other_name_before_runbooks_have_traits(
        api: Callable[..., Api]) -> None:
    status, text = api().call('POST', '/v1/runbooks', {
        **made()['runbook'], 'name': 'accel-ecc-on'}, version=BEFORE)
    assert (status, 'accel-ecc-on' in text) == (400, True)


def test_ironic_takes_the_deploy_template(api: Callable[..., Api]) -> None:
    one = api()
    body = made()['deploy_template']
    status, text = one.call('POST', '/v1/deploy_templates', body)
    assert status == 201, text
    assert one.call('DELETE', f"/v1/deploy_templates/{body['name']}")[0] == 204
