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

"""What an answer of the agent means, and what none means."""

from __future__ import annotations

from collections.abc import Iterator
import json
import logging
import pathlib
import types
from typing import Any
from unittest import mock

from ironic.conf import CONF
from ironic.drivers.modules import agent_client
import pytest
import requests
from urllib3 import exceptions as urllib3_errors

from ironic_accel.conductor.access.agent_backend import AgentBackend
from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.converge import agent_schema
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Transport
from ironic_accel.model.serialization import inventory_to_dict
from tests.unit.conductor.ramdisk import answer
from tests.unit.model import stored

SECRET = 'tell-nobody'
URL = 'http://192.0.2.9:9999'


def _task(**info: Any) -> Any:
    """A task as far as the client looks at one."""
    return types.SimpleNamespace(node=types.SimpleNamespace(
        uuid='the-node', driver_info={}, driver_internal_info={
            'agent_url': URL, 'agent_secret_token': SECRET, **info}))


@pytest.fixture(name='post')
def _post(database: Any) -> Iterator[mock.MagicMock]:
    with mock.patch.object(requests.Session, 'post', autospec=True) as post:
        yield post


def _look(task: Any = None) -> Inventory:
    return AgentBackend(AgentCalls(task or _task())).observe()


def _failure(kind: type[requests.RequestException], reason: Any = None
             ) -> requests.RequestException:
    cause = urllib3_errors.MaxRetryError(
        mock.sentinel.pool, f'{URL}?agent_token={SECRET}', reason)
    return kind(cause)


def test_a_command_is_one_request_with_the_token(post: mock.MagicMock
                                                 ) -> None:
    post.return_value = answer(200, {
        'command_status': 'SUCCEEDED', 'command_result': {'poll': {
            'state': 'running', 'summary': 'flashing', 'percent': 3}}})
    poll = AgentBackend(AgentCalls(_task())).poll({'job': 'j'})
    assert poll.summary == 'flashing'  # type: ignore[union-attr]
    ((_session, url), more), = post.call_args_list
    assert url == f'{URL}/v1/commands/'
    assert more['params'] == {'wait': 'true', 'agent_token': SECRET}
    assert json.loads(more['data']) == {
        'name': 'accel.accel_poll', 'params': {'ticket': {'job': 'j'}}}
    assert more['timeout'] == (10.0, CONF.agent.command_timeout)


@pytest.mark.parametrize('verify', [False, True])
def test_the_agents_certificate_is_checked_as_ironic_does(
        post: mock.MagicMock, verify: bool) -> None:
    post.side_effect = _failure(requests.ConnectionError)
    with pytest.raises(Unreachable):
        _look(_task(agent_verify_ca=verify))
    assert post.call_args.kwargs['verify'] is verify


def test_without_an_agent_nothing_is_sent(post: mock.MagicMock) -> None:
    with pytest.raises(Unreachable, match='the ramdisk is not up'):
        _look(_task(agent_url=None))
    post.assert_not_called()


@pytest.mark.parametrize(('raised', 'words'), [
    (_failure(requests.ConnectTimeout), 'cannot connect'),
    (_failure(requests.ConnectionError, urllib3_errors.NewConnectionError(
        mock.sentinel.connection, 'refused')), 'cannot connect'),
    (_failure(requests.ConnectionError, ConnectionResetError()),
     'did not respond'),
    (_failure(requests.ReadTimeout), 'did not respond'),
])
def test_missing_response_to_an_inventory_is_unreachable(
        post: mock.MagicMock, raised: Exception, words: str,
        caplog: pytest.LogCaptureFixture) -> None:
    post.side_effect = raised
    with caplog.at_level(logging.DEBUG), \
            pytest.raises(Unreachable, match=words) as told:
        _look()
    assert SECRET not in str(told.value)
    assert SECRET not in caplog.text
    assert post.call_count == 1


@pytest.mark.parametrize(('status', 'text', 'kind', 'words'), [
    (409, 'Agent is busy', Unreachable, 'busy with another command'),
    (500, 'the Agent is busy with x', Unreachable, 'busy'),
    (401, 'Token invalid.', Unreachable, 'rejected the agent token'),
    (404, 'Extension not found', AccelError, 'does not contain ironic-accel'),
    (500, 'a long story', Unreachable, 'HTTP 500'),
])
def test_requests_that_the_agent_rejects(
        post: mock.MagicMock, status: int, text: str,
        kind: type[AccelError], words: str) -> None:
    post.return_value = answer(status, {'faultstring': text})
    with pytest.raises(kind, match=words) as told:
        _look()
    assert type(told.value) is kind


def test_failed_command_is_reported_by_its_type(
        post: mock.MagicMock) -> None:
    post.return_value = answer(200, {
        'command_status': 'FAILED', 'command_result': None,
        'command_error': {'type': 'ZeroDivisionError', 'code': 500,
                          'message': SECRET, 'details': SECRET}})
    with pytest.raises(Unreachable, match='ZeroDivisionError') as told:
        _look()
    assert SECRET not in str(told.value)


def test_an_answer_that_is_no_json_is_none(post: mock.MagicMock) -> None:
    response = requests.Response()
    response.status_code = 200
    response._content = b'<html>'
    post.return_value = response
    with pytest.raises(Unreachable, match='invalid response'):
        _look()


def test_an_error_of_the_ramdisk_is_that_error(post: mock.MagicMock) -> None:
    post.return_value = answer(200, {
        'command_status': 'SUCCEEDED', 'command_result': {
            'error': agent_schema.error_to_dict(Rejected(
                'a burn is under way', retry_after=30))}})
    with pytest.raises(Rejected, match='under way') as told:
        AgentBackend(AgentCalls(_task())).poll({'job': 'j'})
    assert told.value.retry_after == 30


ITEM = Item('nic-joined', 'sriov', 'mode', 'enabled')
SET = Action('set', 'agent', (Change(ITEM, 'disabled'),),
             Activation.DEVICE_RESET)
#: As the BMC sees it, and as the agent does.
OUTSIDE = Device('nic-joined', 'nic', serial='MT2049X00001')
INSIDE = Device('nic-1', 'nic', serial='MT2049X00001',
                address='0000:17:00.0', modes=(Mode('sriov', 'disabled'),))


def _answers(post: mock.MagicMock, started: Any) -> AgentBackend:
    """A backend that has looked; ``started`` befalls the start."""
    transport = Transport('agent', {}, frozenset({('nic-1', 'sriov')}),
              {'nic-1': Activation.DEVICE_RESET})
    looked = answer(200, {
        'command_status': 'SUCCEEDED', 'command_result': {
            'inventory': inventory_to_dict(Inventory(
                'sys', 'on', True, None, devices=(INSIDE,))),
            'transports': [agent_schema.transport_to_dict(transport)]}})
    post.side_effect = [looked, started]
    backend = AgentBackend(AgentCalls(_task()))
    backend.observe()
    (named,) = backend.transports(Inventory('sys', 'on', True, None,
                                      devices=(OUTSIDE,)))
    assert named.sets == {('nic-joined', 'sriov')}
    assert named.resets == {'nic-joined': Activation.DEVICE_RESET}
    return backend


def test_start_identifies_the_device(
        post: mock.MagicMock) -> None:
    backend = _answers(post, answer(200, {
        'command_status': 'SUCCEEDED',
        'command_result': {'ticket': {'transport': 'agent', 'job': 'j'}}}))
    assert backend.start(SET) == {'transport': 'agent', 'job': 'j'}
    sent = json.loads(post.call_args.kwargs['data'])['params']['request']
    assert agent_schema.start_from_dict(sent).devices == (agent_schema.Whose(
        'nic-joined', 'nic', 'MT2049X00001'),)


RECORDED = pathlib.Path(stored.__file__).parents[1] / 'converge/documents'


def test_a_ramdisk_of_the_release_before_gets_requests_that_it_reads(
        post: mock.MagicMock) -> None:
    """Its inventory, what it can do and its ticket are read too."""
    looked = json.loads((RECORDED / 'observe-answer.json').read_text())
    post.side_effect = [
        answer(200, {'command_status': 'SUCCEEDED',
                     'command_result': looked}),
        answer(200, {'command_status': 'SUCCEEDED', 'command_result': {
            'ticket': {'way': 'agent', 'job': 'j'}}})]
    backend = AgentBackend(AgentCalls(_task()))
    (nic,) = backend.observe().devices
    (transport,) = backend.transports(Inventory(
        'sys', 'on', True, devices=(nic,)))
    assert transport.updates == {
        (nic.id, 'nic'): stored.NIC_INSIDE.updates[stored.NIC]}
    ticket = backend.start(Action(
        'update', 'agent', (Change(
            Item(nic.id, 'nic', 'firmware', '28.43'), '28.39'),),
        Activation.DEVICE_RESET, 'fw'))
    assert ticket['job'] == 'j'
    sent = json.loads(post.call_args.kwargs['data'])['params']['request']
    assert sent['schema'] == 'accel-start/1'
    asked = sent['action']
    assert (asked['verb'], asked['way'], asked['effect']) == (
        'burn', 'agent', 'device-reset')
    recorded = json.loads((RECORDED / 'start-update.json').read_text())
    assert set(asked) == set(recorded['action'])
    assert set(sent) == set(recorded)


@pytest.mark.parametrize(('started', 'kind'), [
    (_failure(requests.ReadTimeout), OutcomeUnknown),
    (_failure(requests.ConnectionError, ConnectionResetError()),
     OutcomeUnknown),
    (_failure(requests.ConnectTimeout), Unreachable),
    (answer(409, {'faultstring': 'busy'}), Unreachable),
    (answer(500, {'faultstring': 'x'}), OutcomeUnknown),
])
def test_a_start_is_sent_once_whatever_comes_of_it(
        post: mock.MagicMock, started: Any, kind: type[AccelError]) -> None:
    backend = _answers(post, started)
    with pytest.raises(AccelError) as told:
        backend.start(SET)
    assert type(told.value) is kind
    assert post.call_count == 2


def test_a_device_that_was_not_seen_is_not_written(
        post: mock.MagicMock) -> None:
    with pytest.raises(Rejected, match='does not report the device'):
        AgentBackend(AgentCalls(_task())).start(SET)
    post.assert_not_called()


def test_ironics_client_has_the_methods_that_are_used() -> None:
    for name in ('_get_command_url', '_get_command_body', '_get_verify'):
        assert callable(getattr(agent_client.AgentClient, name))
