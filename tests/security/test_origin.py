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

"""All requests stay at the origin of the BMC, wherever it points."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from pathlib import Path
import time
from typing import Any

import pytest
import requests
from sushy import connector as sushy_connector

from ironic_accel.converge.ports import Running
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.actions import tasks
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client.responses import Answer
from ironic_accel.redfish.client import session
from ironic_accel.redfish.client.writer import Writer
from tests.security.conftest import Serve
from tests.security import evil

PIN = ('https', 'bmc.example.org', 443)
THING = '/redfish/v1/Thing'
#: Ways to write "another host" that parsers disagree about.
ELSEWHERE = ['http://{0}{1}', 'HTTP://{0}{1}', 'hTTp://{0}{1}', '//{0}{1}',
             'http://user:secret@{0}{1}', 'https://{0}{1}', 'ftp://{0}{1}']
NO_URI = ['\\\\{0}{1}', '/\\{0}{1}', 'http:\\\\{0}{1}', '/a\r\nHost: {0}',
          '/a\tb', '/a\x00b', '', 'redfish', 'javascript:alert(1)',
          '/redfish/v1/../../x', '/redfish/%2e%2e/x', 'http://{0}//{0}{1}',
          '/\ud800', f'/{"a" * 3000}']
SETTINGS = BmcSettings(connect_timeout=2, read_timeout=2, write_timeout=2,
                    push_timeout=2, request_timeout=4)


def host(server: evil.Server) -> str:
    return server.url.removeprefix('http://')


def connected(url: str) -> Any:
    """A connector as Ironic has one: a token of its own in its session."""
    connector = sushy_connector.Connector(url)
    connector.set_http_session_auth('the-token')
    return connector


@pytest.mark.parametrize(('uri', 'foreign'), [
    ('/redfish/v1', False), ('https://bmc.example.org/redfish/v1', False),
    ('HTTPS://BMC.example.ORG:443/redfish/v1', False),
    ('//bmc.example.org/redfish/v1', False),
    ('http://bmc.example.org/redfish/v1', True),
    ('https://bmc.example.org:8443/redfish/v1', True),
    ('https://bmc.example.org.evil/redfish/v1', True),
    ('https://u@bmc.example.org/redfish/v1', True),
    ('https:/redfish/v1', True), ('ftp://bmc.example.org/redfish/v1', True),
    ('https://bmc.example.org:x/redfish/v1', True),
    ('https://[::1/redfish/v1', True), ('///redfish/v1', True)])
def test_an_origin_is_scheme_host_and_port(uri: str, foreign: bool) -> None:
    assert origin.is_foreign(uri, PIN) is foreign
    assert origin.to_read(uri, PIN, 'Links.X') == '/redfish/v1'
    assert normal(uri) == '/redfish/v1'
    if foreign:
        with pytest.raises(Rejected, match=r'Links\.X.*nothing was sent'):
            origin.to_write(origin.ResolvedUri(uri, 'Links.X'), PIN)
    else:
        assert origin.to_write(uri, PIN) == '/redfish/v1'


@pytest.mark.parametrize(('uri', 'foreign'), [
    ('https://[2001:db8::1]/x', False), ('https://[2001:db8::1]:443/x', False),
    ('https://[2001:DB8:0:0:0:0:0:1]/x', False), ('//[2001:db8::1]/x', False),
    ('https://[2001:db8::2]/x', True), ('http://[2001:db8::1]/x', True),
    ('https://[2001:db8::1]:8443/x', True),
    ('https://[2001:db8::1%25eth0]/x', True), ('https://2001:db8::1/x', True),
    ('https://[::ffff:192.0.2.1]/x', True), ('https://[2001:db8::1/x', True),
    ('https://u@[2001:db8::1]/x', True)])
def test_an_ipv6_address_is_one_however_it_is_written(
        uri: str, foreign: bool) -> None:
    pin = origin.of('https://[2001:db8::1]')
    assert origin.is_foreign(uri, pin) is foreign
    assert origin.to_read(uri, pin, 'Links.X') == '/x'


#: More ways to lead a write elsewhere, or to where nobody means.
TRICKS = [
    'https://bmc.example.org./x', 'https://bmc\u3002example.org/x',
    'https://bmc.example.org\u2024/x', 'https://xn--bmc.example.org/x',
    'https://bmc.example.org%2f@evil/x', 'https://bmc.example.org%00/x',
    'https://evil%2ebmc/x', 'https://:@bmc.example.org/x', 'https:///x',
    'https:bmc.example.org/x', 'https://bmc.example.org?@evil/x', '//x',
    '/\\x', '\\x', '/x\r\n', '/x\t', '/.//evil', '/..//x', '/%2e%2e/x',
    '/a/%2E%2e/x', '?x', '#x', 'x', ' /x', 'https ://bmc.example.org/x']


@pytest.mark.parametrize('uri', TRICKS)
def test_no_trick_leads_a_write_elsewhere(uri: str) -> None:
    with pytest.raises(Rejected, match='nothing was sent'):
        origin.to_write(origin.ResolvedUri(uri, 'Actions.target'), PIN)
    read = origin.to_read(uri, PIN, 'Links.X')
    assert read is None or read.startswith('/')
    assert read is None or not read.startswith('//')


def pages(number: int, last: int | None) -> evil.Answer:
    """A page of a collection that leads to the next one."""
    return evil.document({
        '@odata.id': '/redfish/v1/C', '@odata.type': '#C.C',
        'Members': [{'@odata.id': f'{THING}/{number}'}],
        **({} if number == last else {
            'Members@odata.nextLink': f'/redfish/v1/C?$skip={number + 1}'})})


@pytest.mark.parametrize('ring', [1, 2, 5])
def test_pages_in_a_ring_end(serve: Serve, ring: int) -> None:
    def answer(asked: evil.Asked, sock: Any) -> None:
        number = int(asked.path.partition('=')[2] or 0)
        evil.document({
            '@odata.id': '/redfish/v1/C', '@odata.type': '#C.C',
            'Members': [{'@odata.id': f'{THING}/{number}'}],
            'Members@odata.nextLink':
                f'/redfish/v1/C?$skip={(number + 1) % ring}'})(asked, sock)

    bmc = serve({'/redfish/v1/C': answer,
                 **{f'{THING}/{n}': evil.document(
                     {'@odata.id': f'{THING}/{n}'}) for n in range(5)}})
    reader = Reader(connected(bmc.url), SETTINGS)
    reader.members('/redfish/v1/C')
    assert len([p for p in bmc.paths() if '/C' in p]) <= ring + 2
    assert reader.warnings


def test_pages_without_an_end_end(serve: Serve) -> None:
    """Each leads to a new one: the look as a whole has an end."""
    def answer(asked: evil.Asked, sock: Any) -> None:
        number = int(asked.path.partition('=')[2] or 0)
        pages(number, None)(asked, sock)

    bmc = serve({'/redfish/v1/C': answer, '*': evil.document(
        {'@odata.id': THING})})
    reader = Reader(connected(bmc.url), BmcSettings(
        connect_timeout=2, read_timeout=2, request_timeout=4,
        inventory_timeout=1.5))
    start = time.monotonic()
    with contextlib.suppress(Unreachable):
        reader.members('/redfish/v1/C')
    assert time.monotonic() - start < 10
    assert len(bmc.asked) < 5000


@pytest.mark.parametrize('uri', [u.format('evil', THING) for u in NO_URI])
def test_what_is_no_uri_is_neither_read_nor_written(uri: str) -> None:
    assert origin.to_read(uri, PIN, 'Links.X') is None
    with pytest.raises(Rejected):
        origin.to_write(uri, PIN)


@pytest.mark.parametrize('form', ELSEWHERE)
def test_a_link_elsewhere_is_asked_of_the_bmc(
        serve: Serve, form: str) -> None:
    other = serve()
    link = form.format(host(other), THING)
    bmc = serve({
        '/redfish/v1/C': evil.document({
            '@odata.id': '/redfish/v1/C', '@odata.type': '#C.C',
            'Members': [{'@odata.id': link}]}),
        THING: evil.document({'@odata.id': link, 'Name': 'ours'})})
    reader = Reader(connected(bmc.url), SETTINGS)
    member, = reader.members('/redfish/v1/C')
    assert (member.text('Name'), member.uri) == ('ours', THING)
    assert not other.asked
    warned, = reader.warnings
    assert 'names another host' in warned.message
    assert 'secret' not in warned.message


@pytest.mark.parametrize('form', ELSEWHERE)
def test_a_next_page_elsewhere_is_asked_of_the_bmc(
        serve: Serve, form: str) -> None:
    other = serve()
    following = form.format(host(other), '/redfish/v1/C?$skip=1')
    bmc = serve({
        THING: evil.document({'@odata.id': THING}),
        '/redfish/v1/C': lambda asked, sock: evil.document({
            '@odata.id': '/redfish/v1/C', '@odata.type': '#C.C',
            'Members': ([{'@odata.id': THING}] if '?' in asked.path else []),
            **({} if '?' in asked.path else
               {'Members@odata.nextLink': following})})(asked, sock)})
    reader = Reader(connected(bmc.url), SETTINGS)
    assert [m.uri for m in reader.members('/redfish/v1/C')] == [THING]
    assert '/redfish/v1/C?$skip=1' in bmc.paths()
    assert not other.asked
    assert any('nextLink' in m.message for m in reader.warnings)


@pytest.mark.parametrize('uri', [u.format('evil', THING) for u in NO_URI
                                 if u])
def test_a_link_that_is_no_uri_costs_itself(uri: str) -> None:
    told: list[str] = []
    shown = Fields({'@odata.id': '/r', 'Link': {'@odata.id': uri},
                    'Links': [{'@odata.id': uri}, {'@odata.id': '/a'}]},
                   lambda where, message: told.append(message))
    assert shown.link('Link') is None
    assert shown.links('Links') == ['/a']
    assert len(told) == 2
    assert all('ignoring the link' in m for m in told)


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
@pytest.mark.parametrize('form', [*ELSEWHERE, '\\\\{0}{1}', '/\\{0}{1}'])
def test_no_redirect_leads_elsewhere(
        serve: Serve, status: int, form: str) -> None:
    other = serve()
    bmc = serve({THING: evil.plain(
        status, Location=form.format(host(other), THING))})
    reader = Reader(connected(bmc.url), SETTINGS)
    assert reader.get(THING) is None
    assert not other.asked
    warned, = reader.warnings
    assert 'redirect' in warned.message
    assert 'secret' not in warned.message


@pytest.mark.parametrize('location', [
    '/redfish/v1/There', 'There', '{0}/redfish/v1/There'])
def test_a_redirect_within_the_origin_is_followed(
        serve: Serve, location: str) -> None:
    bmc = serve({'/redfish/v1/There': evil.document(
        {'@odata.id': '/redfish/v1/There'})})
    bmc.answers[THING] = evil.plain(302, Location=location.format(bmc.url))
    assert Reader(connected(bmc.url), SETTINGS).get(THING) is not None


def test_redirects_in_a_ring_end(serve: Serve) -> None:
    bmc = serve({THING: evil.plain(302, Location=THING)})
    assert Reader(connected(bmc.url), SETTINGS).get(THING) is None
    assert len(bmc.asked) <= 6


@pytest.mark.parametrize('form', ELSEWHERE)
@pytest.mark.parametrize('method', ['PATCH', 'POST'])
def test_a_write_elsewhere_is_refused_by_name(
        serve: Serve, form: str, method: str) -> None:
    other, bmc = serve(), serve()
    shown = Fields({'@odata.id': THING, 'Actions': {
        '#Thing.Reset': {'target': form.format(host(other), THING)}}},
        lambda uri, message: None)
    target = shown.target('Actions', '#Thing.Reset', 'target')
    assert target is not None
    with pytest.raises(Rejected, match=r'#Thing\.Reset\.target') as caught:
        Writer(connected(bmc.url), SETTINGS).send(method, target, {'a': 1})
    assert caught.value.detail.error_class is ErrorClass.NEEDS_OPERATOR
    assert 'secret' not in str(caught.value)
    assert not other.asked
    assert not bmc.asked


@pytest.mark.parametrize('form', ELSEWHERE)
@pytest.mark.parametrize('plain', [True, False])
def test_no_image_goes_elsewhere(
        serve: Serve, form: str, plain: bool, tmp_path: Path) -> None:
    other, bmc = serve(), serve()
    image = tmp_path / 'fw.bin'
    image.write_bytes(b'firmware')
    digest = hashlib.sha256(b'firmware').hexdigest()
    writer = Writer(connected(bmc.url), SETTINGS)
    uri = origin.ResolvedUri(form.format(host(other), '/push'), 'HttpPushUri')
    with pytest.raises(Rejected, match='HttpPushUri'):
        if plain:
            writer.push_plain(uri, str(image), 8, digest)
        else:
            writer.push_multipart(uri, {}, str(image), 8, digest)
    assert not other.asked
    assert not bmc.asked


@pytest.mark.parametrize('status', [301, 307, 308])
def test_no_write_is_sent_on_by_a_redirect(
        serve: Serve, status: int) -> None:
    other = serve()
    bmc = serve({'*': evil.plain(status, Location=other.url + THING)})
    with pytest.raises(Rejected):
        Writer(connected(bmc.url), SETTINGS).send('POST', THING, {})
    assert not other.asked
    assert len(bmc.asked) == 1


@pytest.mark.parametrize('form', ELSEWHERE)
def test_a_task_elsewhere_is_polled_at_the_bmc(
        serve: Serve, form: str, caplog: pytest.LogCaptureFixture) -> None:
    other = serve()
    task = '/redfish/v1/TaskService/Tasks/7'
    bmc = serve({task: evil.document({
        '@odata.id': task, '@odata.type': '#Task.v1_4_3.Task',
        'TaskState': 'Running'})})
    ticket = tasks.ticket(Answer(
        202, form.format(host(other), task), {}), [])
    with caplog.at_level(logging.WARNING):
        assert isinstance(tasks.poll(connected(bmc.url), ticket), Running)
    assert not other.asked


@pytest.mark.parametrize('form', ELSEWHERE)
def test_no_password_goes_where_the_session_service_is_said_to_be(
        serve: Serve, form: str) -> None:
    other = serve()
    root = {'@odata.id': '/redfish/v1', '@odata.type': '#ServiceRoot.x',
            'RedfishVersion': '1.6.0', 'Id': 'Root', 'Name': 'Root',
            'Links': {'Sessions': {'@odata.id': form.format(
                host(other), '/redfish/v1/SessionService/Sessions')}}}
    bmc = serve({'/redfish/v1': evil.document(root),
                 '/redfish/v1/': evil.document(root)})
    with pytest.raises(Unreachable):
        session.connect(bmc.url, 'admin', 'fleet-password',
                        settings=SETTINGS)
    assert not other.asked


def test_a_new_session_is_made_at_the_bmc_alone(serve: Serve) -> None:
    """Ironic's connector: its session ends, ours is asked to log in."""
    from sushy import auth as sushy_auth
    other = serve()
    bmc = serve({THING: evil.plain(401), '*': evil.plain(201)})
    connector = connected(bmc.url)
    auth = sushy_auth.SessionAuth('admin', 'fleet-password')
    auth.set_context(None, connector)
    auth._session_auth_previously_successful = True
    connector._sessions_uri = f'{other.url}/redfish/v1/SessionService'
    with pytest.raises(Unreachable, match=r'Links\.Sessions'):
        session.reading(connector, SETTINGS).get(THING)
    assert not other.asked
    assert bmc.paths('POST') == []


def test_ironics_own_session_is_left_as_it_is(serve: Serve) -> None:
    bmc = serve({THING: evil.document({'@odata.id': THING})})
    connector = connected(bmc.url)
    before = dict(connector.__dict__)
    adapter = connector._session.get_adapter(bmc.url)
    session.reading(connector, SETTINGS).get(THING)
    assert connector.__dict__ == before
    assert connector._session.get_adapter(bmc.url) is adapter
    assert type(adapter) is requests.adapters.HTTPAdapter
    assert bmc.asked[0].headers['x-auth-token'] == 'the-token'
