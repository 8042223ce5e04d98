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

"""Commands to the agent of a node, over Ironic's own session with it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ironic.common import exception
from ironic.drivers.modules import agent_client
from oslo_log import log
import requests
from urllib3 import exceptions as urllib3_errors

from ironic_accel.bounded import web
from ironic_accel.conductor.config.options import CONF
from ironic_accel.converge import agent_answers
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import strict_json
from ironic_accel.model.untrusted import Untrusted

LOG = log.getLogger(__name__)

#: Seconds for a connection to the agent; an answer has
#: ``[agent]command_timeout``.
CONNECT = 10.0
#: Bytes of an answer: an inventory of a large machine has about 100 KiB.
LIMIT = 1024 * 1024


class Lost(AccelError):
    """It is unknown whether the agent received the command."""


class AgentCalls:
    """Commands to the agent of a node, each sent once.

    Ironic's client sends a command again where no answer comes, and waits
    for minutes meanwhile; a write must not be sent twice, and a tick holds
    the node's lock. So its URL, body and certificate are taken from it, and
    the request is our own.

    :param task: a task that holds the node.
    """

    def __init__(self, task: Any) -> None:
        self._task = task

    def ask(self, command: str, **params: Any) -> dict[str, Any]:
        """Send a command of our extension and return its result.

        The text of an exception is not passed on: it has the URL, which
        contains the agent's token.

        :raises: Unreachable if the agent was not reached or is busy; Lost if
            that is unknown; AccelError if it cannot run the command.
        """
        node = self._task.node
        try:
            status, raw = self._post(node, f'accel.{command}', params)
        except exception.AgentConnectionFailed as exc:
            raise Unreachable('no agent is running: the ramdisk is not up',
                              error_class=ErrorClass.TRANSIENT) from exc
        except requests.RequestException as exc:
            raise _no_response(node, command, exc) from None
        except strict_json.NotJson as exc:
            raise _invalid_response(node, command, str(exc)) from None
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _rejected(node, command, status, raw)
        if raw.get('command_status') != 'SUCCEEDED':
            raise _failed(node, command, raw)
        answer = raw.get('command_result')
        if not isinstance(answer, dict):
            raise _invalid_response(
                node, command, 'the response has no result')
        if answer.get('error'):
            try:
                failed = agent_answers.error(answer['error'])
            except agent_answers.Wrong as exc:
                raise _invalid_response(node, command, str(exc)) from exc
            raise failed
        return answer

    def _post(self, node: Any, method: str,
              params: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send a command once, without redirects; returns the status and the
        body.

        :raises: requests.RequestException; NotJson if the body of a success is
            invalid.
        """
        client = agent_client.get_client(self._task)
        query = {'wait': 'true'}
        token = node.driver_internal_info.get('agent_secret_token')
        if token:
            query['agent_token'] = token
        seconds = CONF.agent.command_timeout
        limit = web.Limit(CONNECT + seconds, LIMIT + web.OVERHEAD)
        with web.Session() as session, web.under(limit):
            # A session of Ironic's own follows redirects, with the token in
            # the URL, and reads without an end.
            session.stream = True
            with session.post(
                    client._get_command_url(node), params=query,
                    data=client._get_command_body(method, dict(params)),
                    verify=client._get_verify(node),
                    timeout=(CONNECT, seconds)) as response:
                body = web.body(response, LIMIT)
        try:
            return response.status_code, strict_json.parse_object(
                body, LIMIT)
        except strict_json.NotJson:
            if response.status_code < HTTPStatus.BAD_REQUEST:
                raise
            return response.status_code, {}


def _invalid_response(node: Any, command: str, why: str) -> AccelError:
    """The error for an invalid response: the result is unknown."""
    LOG.warning('Node %(node)s: the agent returned an invalid response to '
                '%(command)s: %(why)s', {'node': node.uuid, 'command': command,
                                       'why': why})
    return Lost('the agent in the ramdisk returned an invalid response to '
                f'{command}', error_class=ErrorClass.TRANSIENT, seen=why,
                todo='check the log of the ramdisk')


def _no_response(node: Any, command: str,
            exc: requests.RequestException) -> AccelError:
    """What it means that there was no answer."""
    LOG.warning('Node %(node)s: no response from the agent to %(command)s '
                '(%(kind)s)', {'node': node.uuid, 'command': command,
                               'kind': type(exc).__name__})
    reason = getattr(exc.args[0], 'reason', None) if exc.args else None
    if isinstance(exc, requests.ConnectTimeout) or isinstance(
            reason, urllib3_errors.NewConnectionError):
        return Unreachable('cannot connect to the agent in the ramdisk',
                           error_class=ErrorClass.TRANSIENT)
    return Lost('the agent in the ramdisk did not respond',
                error_class=ErrorClass.TRANSIENT, seen=type(exc).__name__)


def _rejected(node: Any, command: str, status: int,
                 raw: Mapping[str, Any]) -> AccelError:
    text = Untrusted(str(raw.get('faultstring') or ''), '').words()
    LOG.warning('Node %(node)s: the agent rejected %(command)s with HTTP '
                'status %(status)d',
                {'node': node.uuid, 'command': command, 'status': status})
    if status == HTTPStatus.CONFLICT or 'agent is busy' in text.lower():
        return Unreachable('the agent in the ramdisk is busy with another '
                           'command', error_class=ErrorClass.TRANSIENT)
    if status == HTTPStatus.UNAUTHORIZED:
        return Unreachable(
            'the agent in the ramdisk rejected the agent token',
            error_class=ErrorClass.NEEDS_OPERATOR,
            todo='restart the ramdisk')
    if status == HTTPStatus.NOT_FOUND:
        return AccelError(
            'the ramdisk does not contain ironic-accel',
            error_class=ErrorClass.NEEDS_OPERATOR,
            expected='a ramdisk with ironic-accel[agent] installed',
            seen=f'HTTP {status} for {command}')
    return Lost(f'the agent in the ramdisk responded to {command} with HTTP '
                f'{status}', error_class=ErrorClass.NEEDS_OPERATOR,
                todo='check the log of the ramdisk')


def _failed(node: Any, command: str, raw: Mapping[str, Any]) -> AccelError:
    error = Untrusted(raw, 'answer')['command_error']
    told = error.value.get('type') if isinstance(error.value, dict) else None
    kind = Untrusted(str(told or 'an error'), '').words(80)
    LOG.error('Node %(node)s: %(command)s failed in the ramdisk: %(error)s', {
        'node': node.uuid, 'command': command,
        'error': Untrusted(str(error.value), '').words()})
    return Lost(f'{command} failed in the ramdisk with {kind}',
                error_class=ErrorClass.NEEDS_OPERATOR,
                todo='check the log of the ramdisk')
