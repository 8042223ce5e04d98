# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""BMCs without sockets: requests of this process are answered in it.

    network = Network(clock)
    url = network.add(box)
    with network:
        requests.get(f'{url}/redfish/v1')

Inside the context nothing that is sent by ``requests`` leaves the process: a
request to an unknown host is refused and recorded in ``strays``. Time is that
of the clock: each request takes ``latency`` simulated seconds, and one that
takes longer than the client's timeout ends with that timeout.
"""

from __future__ import annotations

import functools
import http.client
import io
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests import exceptions
from requests.adapters import HTTPAdapter

from ironic_accel_emulator.bmc import quick
from ironic_accel_emulator.bmc.messages import Body, Reply, Request
from ironic_accel_emulator.bmc.service import Service
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.clock import Clock

_PORTS = {'http': 80, 'https': 443}


class Network:
    """The hosts that this process can reach.

    :ivar strays: URLs of requests to any other host, with their credentials;
        must always be empty.
    """

    def __init__(self, clock: Clock, latency: float = 0.02) -> None:
        self._clock = clock
        self._latency = latency
        self._services: dict[tuple[str, str, int], Service] = {}
        self.strays: list[str] = []

        def send(
            adapter: HTTPAdapter,
            request: requests.PreparedRequest,
            stream: bool = False,
            timeout: Any = None,
            *_: Any,
            **__: Any,
        ) -> requests.Response:
            return self._send(adapter, request, timeout)

        real = requests.Session.request

        def ask(
            session: requests.Session,
            method: str,
            url: str,
            *args: Any,
            **words: Any,
        ) -> requests.Response:
            if args or not quick.is_plain(session, url, words):
                return real(session, method, url, *args, **words)
            return self._ask(session, method, url, words)

        nowhere = urllib3.PoolManager()

        def no_pool(adapter: Any, *_: Any, **__: Any) -> None:
            adapter.poolmanager = nowhere

        self._patches = (
            mock.patch.object(HTTPAdapter, 'send', new=send),
            mock.patch.object(HTTPAdapter, 'init_poolmanager', new=no_pool),
            mock.patch.object(requests.Session, 'request', new=ask),
        )

    def add(
        self, box: Box | Service, url: str = 'http://bmc.invalid'
    ) -> str:
        """Let a system, or its service, answer at a URL; return the URL."""
        service = box if isinstance(box, Service) else Service(box)
        self._services[_origin(url)] = service
        return url

    def __enter__(self) -> Network:
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for patch in self._patches:
            patch.stop()

    def _ask(
        self,
        session: requests.Session,
        method: str,
        url: str,
        words: Mapping[str, Any],
    ) -> requests.Response:
        """A plain exchange, without the preparations of requests."""
        asked = quick.request_of(
            session, method, url, words, _patience(words.get('timeout'))
        )
        reply = self._reply(asked, quick.sent(method, url))
        return quick.response_of(method, url, reply)

    def _send(
        self,
        adapter: HTTPAdapter,
        request: requests.PreparedRequest,
        timeout: Any,
    ) -> requests.Response:
        asked = _request(request, _patience(timeout))
        return _response(adapter, request, self._reply(asked, request))

    def _reply(
        self, asked: Request, sent: requests.PreparedRequest
    ) -> Reply:
        """The response of the BMC with that URL.

        Raises ConnectionError and ReadTimeout of requests without a response.
        """
        service = self._services.get(_origin(sent.url or ''))
        if service is None:
            secret = [name for name in ('X-Auth-Token', 'Authorization')
                      if name.lower() in asked.headers]
            self.strays.append(' '.join([str(sent.url), *secret]))
            raise exceptions.ConnectionError('no such host', request=sent)
        self._clock.advance(self._latency)
        try:
            reply = service.handle(asked)
        except TimeoutError as error:
            raise exceptions.ReadTimeout(error, request=sent) from error
        except ConnectionError as error:
            raise _aborted(sent) from error
        if reply.drop:
            raise _aborted(sent)
        return reply


@functools.lru_cache(maxsize=1024)
def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or '').lower(), port


def _patience(timeout: Any) -> float:
    """Seconds that the client waits for a response; a day if forever."""
    if isinstance(timeout, urllib3.Timeout):
        timeout = timeout.read_timeout
    if isinstance(timeout, tuple):
        timeout = timeout[1]
    return float(timeout) if isinstance(timeout, int | float) else 86400.0


def _request(sent: requests.PreparedRequest, patience: float) -> Request:
    parts = urlsplit(sent.url or '')
    content: Any = sent.body
    if isinstance(content, str):
        content = content.encode()
    body: Body | None = content
    if isinstance(content, bytes):
        body = io.BytesIO(content)
    elif content is not None and not hasattr(content, 'read'):
        body = io.BytesIO(b''.join(content))
    length = sent.headers.get('Content-Length')
    return Request(
        method=sent.method or 'GET',
        path=unquote(parts.path) or '/',
        query=parts.query,
        headers={k.lower(): _text(v) for k, v in sent.headers.items()},
        body=body,
        length=int(length) if length else None,
        patience=patience,
    )


def _text(value: str | bytes) -> str:
    return value.decode('latin-1') if isinstance(value, bytes) else value


def _aborted(
    request: requests.PreparedRequest,
) -> exceptions.ConnectionError:
    """The error of urllib3 for a server that closed the connection."""
    cause = http.client.RemoteDisconnected(
        'Remote end closed connection without response'
    )
    error = urllib3.exceptions.ProtocolError('Connection aborted.', cause)
    return exceptions.ConnectionError(error, request=request)


def _response(
    adapter: HTTPAdapter, request: requests.PreparedRequest, reply: Reply
) -> requests.Response:
    data = reply.encoded()
    headers = {'Content-Type': 'application/json; charset=utf-8',
               **reply.headers}  # fmt: skip
    if reply.status not in (204, 304):
        length = len(data) * (2 if reply.truncate else 1)
        headers['Content-Length'] = str(length)
    raw = urllib3.HTTPResponse(
        body=io.BytesIO(b'' if request.method == 'HEAD' else data),
        headers=headers,
        status=reply.status,
        preload_content=False,
        request_method=request.method,
        enforce_content_length=request.method != 'HEAD',
    )
    return adapter.build_response(request, raw)
