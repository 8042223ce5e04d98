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

"""Ironic's own sessions go to the BMC alone, on nodes of ours."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.conf import CONF
from ironic.drivers.modules.redfish import utils as redfish_utils
import pytest
import requests

from ironic_accel.bounded import web
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import ironic_series
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client import connector as connector_module
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client import session
from tests.security import evil
from tests.unit.conductor.stage import Make

SYSTEM = '/redfish/v1/Systems/1'
SESSIONS = '/redfish/v1/SessionService/Sessions'
RESET = f'{SYSTEM}/Actions/ComputerSystem.Reset'
ELSEWHERE = ['http://{0}{1}', 'HTTP://{0}{1}', '//{0}{1}',
             'http://admin:x@{0}{1}', 'http://{0}.:80{1}']
Serve = Callable[..., evil.Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(answers: dict[str, evil.Answer] | None = None
                  ) -> evil.Server:
            return stack.enter_context(evil.serve(answers))

        yield start


@pytest.fixture(autouse=True)
def pinned_sessions() -> None:
    """They are pinned here."""


@pytest.fixture(autouse=True)
def sessions(database: Any) -> Iterator[None]:
    """No session of another test; nobody waits between two attempts."""
    redfish_utils.SessionCache._sessions.clear()
    bmc_session._cache.cache_clear()
    CONF.set_override('connection_attempts', 1, group='redfish')
    with mock.patch('sushy.connector.time.sleep', autospec=True):
        yield
    CONF.clear_override('connection_attempts', group='redfish')
    redfish_utils.SessionCache._sessions.clear()
    bmc_session._cache.cache_clear()


def answers(sessions: str = SESSIONS, system: str = SYSTEM,
            reset: str = RESET) -> dict[str, evil.Answer]:
    """A BMC as sushy wants it, with links that a test sets."""
    root = {'@odata.id': '/redfish/v1/', '@odata.type': '#ServiceRoot.x',
            'RedfishVersion': '1.6.0', 'Id': 'Root', 'Name': 'Root',
            'UUID': '1', 'Systems': {'@odata.id': '/redfish/v1/Systems'},
            'SessionService': {'@odata.id': '/redfish/v1/SessionService'},
            'Links': {'Sessions': {'@odata.id': sessions}}}
    machine = {
        '@odata.id': system, '@odata.type': '#ComputerSystem.x', 'Id': '1',
        'Name': 'One', 'PowerState': 'On', 'UUID': '1',
        'Boot': {}, 'Status': {'State': 'Enabled', 'Health': 'OK'},
        'Actions': {'#ComputerSystem.Reset': {
            'target': reset, 'ResetType@Redfish.AllowableValues': [
                'On', 'ForceOff', 'ForceRestart', 'GracefulShutdown']}}}
    service = {'@odata.id': '/redfish/v1/SessionService', 'Id': 'S',
               '@odata.type': '#SessionService.x', 'Name': 'S',
               'Sessions': {'@odata.id': sessions}, 'ServiceEnabled': True}
    made: dict[str, evil.Answer] = {
        '/redfish/v1/': evil.document(root), SYSTEM: evil.document(machine),
        '/redfish/v1/Systems': evil.document({
            '@odata.id': '/redfish/v1/Systems', '@odata.type': '#C.C',
            'Name': 'Systems', 'Members': [{'@odata.id': system}]}),
        '/redfish/v1/SessionService': evil.document(service),
        SESSIONS: evil.plain(201, b'{}', X_Auth_Token='token-7',
                             Location=f'{SESSIONS}/7')}
    return made


def node_of(make_node: Make, url: str, auth: str = 'session') -> Any:
    return make_node(driver_info={
        'redfish_address': url, 'redfish_system_id': SYSTEM,
        'redfish_username': 'admin', 'redfish_password': 'fleet-password',
        'redfish_auth_type': auth})


def host(server: evil.Server) -> str:
    return server.url.removeprefix('http://')


def secret(asked: evil.Asked) -> bool:
    """Whether a request has a credential in it."""
    return b'fleet' in asked.body or bool(
        {'x-auth-token', 'authorization'} & set(asked.headers))


def test_power_works_on_a_pinned_session(
        make_node: Make, acquire: Make, serve: Serve) -> None:
    bmc = serve(answers())
    task = acquire(node_of(make_node, bmc.url), shared=True)
    assert task.driver.power.get_power_state(task) == states.POWER_ON
    (session,) = redfish_utils.SessionCache._sessions.values()
    assert isinstance(session._conn._session.get_adapter('https://x'),
                      origin.PinnedAdapter)
    # Ironic's own interfaces, boot among them, find the same one.
    _ironic_s_system(task.node)
    assert list(redfish_utils.SessionCache._sessions.values()) == [session]
    assert len(bmc.paths('POST')) == 1
    assert bmc.asked[-1].headers['x-auth-token'] == 'token-7'


def _ironic_s_system(node: Any) -> None:
    """What Ironic's other interfaces begin with."""
    redfish_utils.get_system(node)


@pytest.mark.parametrize('auth', ['session', 'basic', 'auto'])
@pytest.mark.parametrize('form', ELSEWHERE)
def test_no_power_action_goes_elsewhere(
        make_node: Make, acquire: Make, serve: Serve, form: str,
        auth: str) -> None:
    """With a fleet's password it would be obeyed there."""
    other = serve({'*': evil.document({})})
    bmc = serve(answers(reset=form.format(host(other), RESET)))
    task = acquire(node_of(make_node, bmc.url, auth))
    power = task.driver.power
    with pytest.raises(exception.IronicException):
        power.set_power_state(task, states.POWER_OFF, timeout=1)
    with pytest.raises(exception.IronicException):
        power.reboot(task, timeout=1)
    assert not other.asked


@pytest.mark.parametrize('auth', ['session', 'auto'])
@pytest.mark.parametrize('form', ELSEWHERE)
def test_no_login_goes_elsewhere_by_a_link(
        make_node: Make, acquire: Make, serve: Serve, form: str,
        auth: str) -> None:
    other = serve({'*': evil.plain(201, b'{}', X_Auth_Token='theirs')})
    bmc = serve(answers(sessions=form.format(host(other), SESSIONS)))
    task = acquire(node_of(make_node, bmc.url, auth), shared=True)
    with pytest.raises(exception.RedfishError):
        task.driver.power.get_power_state(task)
    assert not other.asked
    assert not [a for a in bmc.asked if secret(a)]


@pytest.mark.parametrize('status', [301, 302, 307, 308])
@pytest.mark.parametrize('path', [SESSIONS, SYSTEM, RESET])
def test_no_credential_follows_a_redirect(
        make_node: Make, acquire: Make, serve: Serve, status: int,
        path: str) -> None:
    other = serve({'*': evil.plain(201, b'{}', X_Auth_Token='theirs')})
    bmc = serve({**answers(), RESET: evil.plain(204, b'')})
    bmc.answers[path] = evil.plain(status, Location=other.url + path)
    task = acquire(node_of(make_node, bmc.url))
    with pytest.raises(exception.IronicException):
        task.driver.power.set_power_state(task, states.POWER_OFF, timeout=1)
    assert not other.asked


def test_a_redirect_within_the_bmc_is_followed(
        make_node: Make, acquire: Make, serve: Serve) -> None:
    bmc = serve(answers())
    bmc.answers[f'{SYSTEM}/'] = bmc.answers[SYSTEM]
    bmc.answers[SYSTEM] = evil.plain(301, Location=f'{SYSTEM}/')
    task = acquire(node_of(make_node, bmc.url), shared=True)
    assert task.driver.power.get_power_state(task) == states.POWER_ON


def test_a_session_that_ironic_made_is_pinned_as_it_is(
        make_node: Make, acquire: Make, serve: Serve) -> None:
    other = serve({'*': evil.document({})})
    bmc = serve(answers(reset=other.url + RESET))
    task = acquire(node_of(make_node, bmc.url))
    _ironic_s_system(task.node)
    with pytest.raises(exception.IronicException):
        task.driver.power.set_power_state(task, states.POWER_OFF, timeout=1)
    assert not other.asked
    assert len(bmc.paths('POST')) == 1


def test_our_requests_on_the_session_are_bounded(
        make_node: Make, acquire: Make, serve: Serve) -> None:
    bmc = serve(answers())
    task = acquire(node_of(make_node, bmc.url), shared=True)
    connector, _ = bmc_session.session(task.node)
    with connector_module.session_of(connector, bmc.url) as session:
        assert isinstance(session.get_adapter(bmc.url), web.Adapter)


def test_session_that_cannot_be_pinned_is_reported_by_ironic(
        make_node: Make, acquire: Make) -> None:
    task = acquire(node_of(make_node, 'http://127.0.0.1:1'), shared=True)
    with pytest.raises(exception.RedfishConnectionError):
        task.driver.power.get_power_state(task)
    task.node.driver_info = {'redfish_address': 'http://[::1'}
    with pytest.raises(exception.InvalidParameterValue):
        task.driver.power.get_power_state(task)


def _hang(asked: evil.Asked, sock: Any) -> None:
    sock.recv(1)


def _hang_up(asked: evil.Asked, sock: Any) -> None:
    """Close the connection without an answer."""


@pytest.mark.parametrize('silence', [_hang, _hang_up])
@pytest.mark.parametrize(('path', 'method'), [
    ('/redfish/v1/', 'GET'), (SESSIONS, 'POST')])
def test_a_bmc_that_does_not_answer_is_asked_once(
        make_node: Make, serve: Serve, silence: evil.Answer, path: str,
        method: str) -> None:
    """Sushy asks ten times, each time as long as it may."""
    bmc = serve({**answers(), path: silence})
    node = node_of(make_node, bmc.url)
    if ironic_series.READ_TIMEOUT_OPTION.present:
        CONF.set_override('read_timeout', 1, group='redfish')
    bounds = BmcSettings(read_timeout=0.3, request_timeout=0.3)
    try:
        with mock.patch.object(connector_module.PinnedConnector, 'settings',
                               bounds), \
                pytest.raises(Unreachable, match='does not answer'):
            bmc_session.session(node)
    finally:
        if ironic_series.READ_TIMEOUT_OPTION.present:
            CONF.clear_override('read_timeout', group='redfish')
    assert bmc.paths(method) == [path]
    # It is asked anew as soon as it is there, and no less often by Ironic.
    bmc.answers = answers()
    connector, _ = bmc_session.session(node)
    assert connector._server_side_retries == 10


def test_without_a_cache_there_is_nothing_to_pin(
        make_node: Make, acquire: Make, serve: Serve) -> None:
    bmc = serve(answers())
    task = acquire(node_of(make_node, bmc.url), shared=True)
    CONF.set_override('connection_cache_size', 0, group='redfish')
    try:
        bmc_session.pin(task.node)
    finally:
        CONF.clear_override('connection_cache_size', group='redfish')
    assert not bmc.asked


@pytest.mark.parametrize(('url', 'goes'), [
    ('http://bmc.example.org/x', True),
    ('HTTP://BMC.example.org:80/x', True),
    ('https://bmc.example.org/x', False),
    ('http://bmc.example.org:81/', False),
    ('http://bmc.example.org.evil/', False),
    ('http://bmc.example.org@e/', False),
    ('http://bmc.example.org\\@evil/', False), ('http://evil/', False),
    ('http://bmc.example.org./x', False), ('ftp://bmc.example.org/', False)])
def test_request_to_another_origin_is_not_sent(url: str, goes: bool) -> None:
    inner = mock.create_autospec(requests.adapters.HTTPAdapter,
                                 instance=True)
    pin = origin.PinnedAdapter(('http', 'bmc.example.org', 80),
                          {'http': inner, 'https': inner})
    request = requests.PreparedRequest()
    request.url = url
    if goes:
        pin.send(request)
        inner.send.assert_called_once()
    else:
        with pytest.raises(origin.ForeignOrigin,
                           match='nothing was sent'):
            pin.send(request)
        inner.send.assert_not_called()


def test_ironic_s_classes_are_those_that_are_pinned() -> None:
    """Another way of Ironic's to log in would not be."""
    theirs = redfish_utils.SessionCache.AUTH_CLASSES
    assert set(theirs) == set(session.AUTH_CLASSES)
    for name, kind in theirs.items():
        assert issubclass(session.AUTH_CLASSES[name], kind)
