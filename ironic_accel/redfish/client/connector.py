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

"""Sushy's connector, limited to one origin and bounded in time and size."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import functools
import json
import logging
import ssl
from typing import Any
from urllib import parse

import requests
from requests import adapters
from sushy import auth as sushy_auth
from sushy import connector as sushy_connector
from sushy import exceptions
from urllib3 import exceptions as urllib3_errors

from ironic_accel.bounded import web
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import strict_json
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin as origins
from ironic_accel.redfish.client import origin

LOG = logging.getLogger(__name__)

#: Errors of the libraries for a failed request.
BROKEN = (requests.RequestException, urllib3_errors.HTTPError, OSError,
          ValueError)
#: Bytes that are read of an error response.
ERROR_LIMIT = 256 * 1024
_REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
_SESSIONS = '/redfish/v1/SessionService/Sessions'


class RequestRefused(exceptions.HTTPError):  # type: ignore[misc]
    """A response that is refused; ``code`` has the reason.

    :ivar is_redirect: whether it is a redirect to another address.

    It has no HTTP status: callers that check only the status would accept a
    good one.
    """

    def __init__(self, url: str, code: str, is_redirect: bool = False
                 ) -> None:
        self.status_code = 0
        self.code = code
        self.is_redirect = is_redirect
        exceptions.SushyError.__init__(self, f'{url} {code}')


class LoginRejected(exceptions.AccessError):  # type: ignore[misc]
    """The BMC rejects the credentials with which a session expired."""


class PinnedConnector(sushy_connector.Connector):  # type: ignore[misc]
    """Sends each request once, to one origin, within limits.

    Sushy's own connector retries up to ten times, sends the token to
    redirects and absolute URIs, and reads responses of any size. The session
    (token, TLS settings) is that of the wrapped connector.

    :ivar settings: the limits.
    :ivar observer: is called for each request, or None.
    """

    settings = BmcSettings()
    observer: web.Observer | None = None
    _kept: web.Session | None = None

    @classmethod
    def like(cls, connector: Any, settings: BmcSettings | None
             ) -> PinnedConnector:
        """A connector that shares the session of another one."""
        made = cls.__new__(cls)
        made.__dict__.update(connector.__dict__)
        made._kept = None
        if settings is not None:
            made.settings = settings
        return made

    @contextlib.contextmanager
    def one_connection(self) -> Iterator[None]:
        """Keep the connection open for the reads within, and close it at
        the end.

        A read that finds it closed may be repeated on another one. A write
        may not, and has a connection of its own. Some BMCs choke at
        connections that stay open for long (sushy 5.14,
        ``Connector.__init__``); an observation takes seconds.
        """
        with session_of(self, base(self), closing=False) as self._kept:
            try:
                yield
            finally:
                self._kept = None

    def _op(self, method: str, path: str = '', data: Any = None,
            headers: Mapping[str, str] | None = None,
            blocking: bool = False, timeout: float | None = None,
            server_side_retries_left: int | None = None,
            allow_reauth: bool = True, **extra: Any) -> requests.Response:
        """One request; see sushy.

        :param timeout: seconds for all of it, redirects included.
        :raises: sushy's ConnectionError and HTTPError; Unreachable if the
            URI may not be written to.
        """
        response = self._exchange(method, path, data, headers, timeout)
        old = getattr(self._auth, '_session_resource_id', None)
        if response.status_code in (401, 403) and allow_reauth \
                and self._log_in():
            if response.status_code == 403:
                self.end_session(old)
            response = self._exchange(method, path, data, headers, timeout)
        exceptions.raise_for_response(method, response.url, response)
        return response

    def end_session(self, session: str | None) -> None:
        """Close a session that is still open: a BMC has few of them.

        :param session: its path; None for none.
        """
        if session is not None:
            with contextlib.suppress(exceptions.SushyError):
                self._exchange('DELETE', session, None, None, None)

    def _log_in(self) -> bool:
        """Create a new session after the old one expired; returns whether
        it did.

        :raises: LoginRejected; other errors of sushy.

        Not done by sushy, whose request would follow any URI from the BMC
        and has no time limit.
        """
        auth = self._auth
        if not isinstance(auth, sushy_auth.SessionAuth) or (
                self._session.auth is not None):
            return False
        if not auth._session_auth_previously_successful:
            return False
        response = self._exchange(
            'POST', origins.ResolvedUri(self._sessions_uri or _SESSIONS,
                                   'Links.Sessions'),
            {'UserName': auth._username, 'Password': auth._password},
            {'X-Auth-Token': ''}, None)
        if response.status_code == 401:
            raise LoginRejected('POST', response.url, response)
        if response.status_code == 403:
            return False
        exceptions.raise_for_response('POST', response.url, response)
        token = response.headers.get('X-Auth-Token')
        if not token:
            return False
        auth._session_key = token
        auth._session_resource_id = response.headers.get('Location')
        self.set_http_session_auth(token)
        return True

    def _exchange(self, method: str, path: str, data: Any,
                  headers: Mapping[str, str] | None,
                  timeout: float | None) -> requests.Response:
        """Send a request and follow its redirects."""
        pin = origins.of(self._url)
        where = self._where(method, path, pin)
        seconds = timeout if isinstance(timeout, int | float) else (
            self.settings.request_timeout)
        limit = web.Limit(seconds, self.settings.body_limit + web.OVERHEAD,
                          self.settings.read_timeout)
        with self._session_for(method) as session, web.under(limit):
            for _ in range(_REDIRECTS + 1):
                response = self._once(session, method, base(self) + where,
                                      data, headers, limit)
                if response.status_code not in _MOVED:
                    return response
                if method != 'GET':
                    raise RequestRefused(
                        response.url,
                        'answered a write with a '
                        f'redirect ({response.status_code})',
                    )
                where = _moved(response, pin)
        raise RequestRefused(response.url, 'redirects too often')

    def _session_for(self, method: str
                     ) -> contextlib.AbstractContextManager[web.Session]:
        """The kept connection for a read, with the present credentials, or
        a new one."""
        if self._kept is None or method != 'GET':
            return session_of(self, base(self))
        _authorize(self._kept, self._session)
        return contextlib.nullcontext(self._kept)

    @staticmethod
    def _where(method: str, path: str, pin: origins.Origin | None) -> str:
        if method in ('GET', 'HEAD', 'DELETE'):
            found = origins.to_read(path, pin, method)
            if found is None:
                raise RequestRefused(
                    origins.shown(path), 'is not the URI of a resource')
            return found
        try:
            return origins.to_write(path, pin)
        except Rejected as error:
            raise Unreachable(error.detail) from error

    def _once(self, session: web.Session, method: str, url: str, data: Any,
              headers: Mapping[str, str] | None, limit: web.Limit
              ) -> requests.Response:
        sent = {'OData-Version': '4.0', **(headers or {})}
        if sent.get('X-Auth-Token') == '':
            session.headers.pop('X-Auth-Token', None)
            del sent['X-Auth-Token']
        try:
            response = session.request(
                method, url, json=data, headers=sent, stream=True,
                # Passed explicitly: the environment overrides the session's
                # value.
                verify=self._verify,
                timeout=(min(self.settings.connect_timeout, limit.left),
                         limit.patience()))
            with response:
                _read(response, self.settings.body_limit)
            return response
        except web.TooMuch:
            LOG.debug('The response of %s is too large', url)
        except BROKEN as error:
            if not limit.spent:
                raise exceptions.ConnectionError(
                    url=url, error=error) from error
        raise RequestRefused(url, 'returned more than '
                      f'{self.settings.body_limit} bytes')


def base(connector: Any) -> str:
    """Scheme and authority of a connector's BMC, as configured."""
    where = parse.urlsplit(connector._url)
    return f'{where.scheme}://{where.netloc.rpartition("@")[2]}'


def session_of(connector: Any, url: str, closing: bool = True
               ) -> web.Session:
    """A bounded session with a connector's credentials, without cookies.

    :param closing: whether the connection is closed after each request.
    """
    theirs = connector._session
    session = web.Session(_adapter(theirs.get_adapter(url)))
    session.observer = getattr(connector, 'observer', None)
    session.trust_env = theirs.trust_env
    session.headers['Connection'] = 'close' if closing else 'keep-alive'
    session.headers['Accept-Encoding'] = 'identity'
    _authorize(session, theirs)
    return session


def _authorize(session: web.Session, theirs: requests.Session) -> None:
    """Give a session the credentials of another one, and no others.

    Those that it has remain untouched: other threads may be using them.
    """
    session.auth = theirs.auth
    token = theirs.headers.get('X-Auth-Token')
    if token and session.headers.get('X-Auth-Token') != token:
        session.headers['X-Auth-Token'] = token
    elif not token:
        session.headers.pop('X-Auth-Token', None)


@functools.lru_cache(maxsize=16)
def _tls(kind: Callable[..., Any], *settings: Any
         ) -> Callable[[], ssl.SSLContext]:
    """Makes the TLS context of sushy's adapter with these settings.

    One for the same settings, so that their contexts are equal too.
    """
    return lambda: kind(*settings).poolmanager.connection_pool_kw[
        'ssl_context']


def _adapter(theirs: Any) -> adapters.BaseAdapter:
    """A bounded adapter that replaces another one, with its TLS settings.

    An adapter that is neither of requests nor of sushy is used unchanged.
    """
    if isinstance(theirs, origin.PinnedAdapter):
        # Ironic's session, pinned by us. Our own requests are pinned too.
        theirs = theirs.inner[theirs.only[0] if theirs.only else 'https']
    if type(theirs) is adapters.HTTPAdapter:
        return web.Adapter()
    # sushy has it since 5.14.
    with_tls: Any = getattr(sushy_connector, 'TLSHttpAdapter', ())
    if isinstance(theirs, with_tls):
        if 'ssl_context' not in theirs.poolmanager.connection_pool_kw:
            return web.Adapter()
        kind: Any = type(theirs)
        return web.Adapter(_tls(kind, theirs.tls_min_version,
                                theirs.tls_ciphers, bool(theirs.verify)))
    found: adapters.BaseAdapter = theirs
    return found


def _read(response: requests.Response, size: int) -> None:
    """Read the body of a response up to a size limit."""
    if response.status_code in _MOVED:
        content = b''
    elif response.status_code >= 400:
        try:
            content = _plain(web.body(response, ERROR_LIMIT))
        except web.TooMuch:
            content = b''
    else:
        content = web.body(response, size)
    response._content = content
    response._content_consumed = True  # type: ignore[attr-defined]


def _plain(body: bytes) -> bytes:
    """An error response (DSP0266, "Error responses") that sushy can parse.

    Services also send ``{"error": "busy"}``, lists and plain text.
    """
    try:
        doc = strict_json.parse_object(body, ERROR_LIMIT)
    except strict_json.NotJson:
        return b''
    error = doc.get('error')
    error = error if isinstance(error, dict) else {}
    told = error.get('@Message.ExtendedInfo')
    told = told if isinstance(told, list) else [told]
    out: dict[str, Any] = {
        key: error[key] for key in ('code', 'message')
        if isinstance(error.get(key), str)}
    told = [m for m in told if isinstance(m, dict)]
    if told:
        out['@Message.ExtendedInfo'] = told
    return json.dumps({'error': out}).encode()


def _moved(response: requests.Response, pin: origins.Origin | None) -> str:
    """The path of a redirect within the origin.

    :raises: RequestRefused if it leaves the origin.
    """
    location = response.headers.get('Location', '')
    if not origins.is_foreign(location, pin):
        target = parse.urljoin(parse.urlsplit(response.url).path, location) \
            if origins.problem(location) == origins.NO_PATH else location
        found = origins.path(target)
        if found is not None and location:
            return found
    raise RequestRefused(
        response.url,
        f'answered {response.status_code} with a '
        f'redirect to {origins.shown(location)}, which is not '
        'followed: its address is not that of the BMC', is_redirect=True)
