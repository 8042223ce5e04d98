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

"""Sessions with a BMC: one for callers without a conductor, and Ironic's own.

Ironic's drivers use sushy, which reads any absolute URI in a document, and
requests follows redirects; both send the token or password and the body. A
session that is pinned here sends to one scheme, host and port only; any
other request fails before a byte is sent. Timeouts and sizes remain those of
sushy.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import logging
import threading
import types
from typing import Any
from urllib import parse
import weakref

import requests
import sushy
from sushy import auth as sushy_auth
from sushy import exceptions

from ironic_accel.bounded.threads import ThreadPool
from ironic_accel.bounded import web
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client import access_failures
from ironic_accel.redfish.client.access_failures import OptionNames
from ironic_accel.redfish.client.connector import PinnedConnector
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin
from ironic_accel import uptime

LOG = logging.getLogger(__name__)

#: A ``sushy.connector.Connector``; sushy has no type hints.
Connector = Any

#: For the end of a session, which expires by itself.
CLOSING = BmcSettings(connect_timeout=5.0, read_timeout=15.0,
                      request_timeout=15.0)

#: Errors of sushy for a service root whose values have wrong types.
NOT_REDFISH = (AttributeError, KeyError, TypeError, ValueError)


def connect(url: str, user: str | None = None, password: str | None = None,
            verify: bool | str = True,
            settings: BmcSettings | None = None,
            observer: web.Observer | None = None,
            options: OptionNames | None = None) -> Connector:
    """Connect to a BMC.

    :param url: scheme and authority, ``https://192.0.2.1``.
    :param user: without it no credentials are sent (an emulator).
    :param verify: whether the certificate is verified, or the path of the CA
        certificates.
    :param observer: is called for each request.
    :param options: what the caller calls its options, for errors.
    :returns: a connector; to be closed by ``disconnect``.
    :raises: BadInput for another URL; Unreachable if the BMC does not
        respond; NoAccess if it rejects the credentials, or its certificate
        or protocol is not the expected one.
    """
    settings = settings or BmcSettings()
    where = parse.urlsplit(url)
    if '@' in where.netloc:
        raise BadInput('bmc: the URL contains credentials: give a user and '
                       'a password file instead')
    if origin.of(url) is None:
        raise BadInput(f'bmc: {url!r}: expected http://HOST or https://HOST')
    base = f'{where.scheme}://{where.netloc}'
    connector = PinnedConnector(base, verify=verify)
    connector.settings = settings
    connector.observer = observer
    if options is not None:
        name_options(connector, options)
    if user is None:
        return connector
    try:
        # The connector keeps the auth object, which keeps the root object.
        # Deleting the root object would close the session.
        auth = sushy_auth.SessionOrBasicAuth(user, password)
        sushy.Sushy(base, auth=auth, connector=connector)
        # Sushy falls back to basic authentication without testing it.
        reading(connector).get('/redfish/v1/Systems',
                               server_side_retries_left=0)
    except exceptions.SushyError as error:
        disconnect(connector)
        raise failure(connector, error, settings.read_timeout) from error
    except NOT_REDFISH as error:
        disconnect(connector)
        raise Unreachable(f'{base}: the response is not Redfish',
                          error_class=ErrorClass.TRANSIENT,
                          seen=f'{type(error).__name__}: {error}') from error
    return connector


def disconnect(connector: Connector) -> None:
    """Close the session at the BMC, if there is one, and the connection.

    One request, with the token of the session: a BMC that was restarted may
    have given its path to somebody else's session, which a new login could
    close.
    """
    uri = getattr(getattr(connector, '_auth', None), '_session_resource_id',
                  None)
    try:
        if uri is not None:
            reading(connector, CLOSING).end_session(uri)
    finally:
        forget(connector)
        connector.close()


def forget(connector: Connector) -> None:
    """Leave a session open at the BMC, if there is one: it expires.

    Sushy would close it during garbage collection, in any thread, and try so
    ten times.
    """
    auth: Any = getattr(connector, '_auth', None)
    if getattr(auth, '_session_resource_id', None) is not None:
        auth.reset_session_attrs()


def reading(connector: Connector, settings: BmcSettings | None = None
            ) -> Connector:
    """A connector that shares the session, sends each request once, to the
    BMC only, and has a time limit.

    A connector without a requests session works in process, and is used
    unchanged.

    :param settings: the limits; those of the connector by default.
    """
    if not isinstance(getattr(connector, '_session', None),
                      requests.Session):
        return connector
    return PinnedConnector.like(connector, settings)


def one_connection(connector: Connector
                   ) -> contextlib.AbstractContextManager[None]:
    """Keep the connection of a ``reading`` open for the reads within."""
    if isinstance(connector, PinnedConnector):
        return connector.one_connection()
    return contextlib.nullcontext()


def name_options(connector: Connector, names: OptionNames) -> None:
    """Set what the options of a connector's access are called in errors."""
    connector.option_names = names


def options(connector: Connector) -> OptionNames:
    """What the options of a connector's access are called."""
    found = getattr(connector, 'option_names', None)
    return found if isinstance(found, OptionNames) else OptionNames()


def cause(connector: Connector, error: Exception,
          seconds: float = BmcSettings().read_timeout
          ) -> access_failures.Cause:
    """Why a request got no response.

    :param seconds: how long a response was waited for.
    """
    return access_failures.cause(
        error, str(connector._url).startswith('http://'), seconds)


def failure(connector: Connector, error: Exception,
            seconds: float = BmcSettings().read_timeout) -> Unreachable:
    """The error for a request that got no response, or no access."""
    return access_failures.unreachable(
        error, f'the BMC at {address(connector)}', options(connector),
        str(connector._url).startswith('http://'), seconds)


def sends_credentials(connector: Connector) -> bool:
    """Whether requests carry a token or a password."""
    theirs = getattr(connector, '_session', None)
    return getattr(theirs, 'auth', None) is not None or bool(
        (getattr(theirs, 'headers', None) or {}).get('X-Auth-Token'))


def address(connector: Connector) -> str:
    """Host and port of the BMC, which identify it for all callers."""
    where = parse.urlsplit(connector._url)
    port = where.port or {'http': 80}.get(where.scheme, 443)
    return f'{where.hostname}:{port}'


def pin(connector: Any) -> None:
    """Pin a sushy connector, once."""
    session = connector._session
    if isinstance(session.get_adapter('https://'),
                  origin.PinnedAdapter):
        return
    made = origin.PinnedAdapter(origin.of(connector._url), {
        s: session.get_adapter(f'{s}://') for s in ('http', 'https')})
    # A longer prefix would take precedence, but nothing mounts one.
    session.adapters.clear()
    for scheme in made.inner:
        session.mount(f'{scheme}://', made)


def probe_service_root(url: str, path: str, verify: bool | str, **tls: str
                       ) -> None:
    """Read the service root of a BMC once, without credentials.

    Any response is accepted: the next request evaluates it.

    :param url: scheme and authority of the BMC.
    :param path: path of its service root.
    :param verify: as for sushy; ``tls`` too.
    :raises: sushy's ConnectionError without a response within the limits of
        one request.
    """
    connector = PinnedConnector(url, verify=verify, **tls)
    try:
        connector.get(path)
    except exceptions.ConnectionError:
        raise
    except (exceptions.SushyError, Unreachable) as error:
        LOG.debug('%s answers: %s', url, error)
    finally:
        connector.close()


class _Pins:
    """Pins the connector before a credential is used.

    Sushy reads the service root before that, without credentials. The login
    is tried once, and repeated for the next inventory.
    """

    _connector: Any

    def authenticate(self) -> None:
        """See sushy."""
        connector = self._connector
        retries = connector._server_side_retries
        connector._server_side_retries = 1
        try:
            super().authenticate()  # type: ignore[misc]
        finally:
            connector._server_side_retries = retries

    def set_context(self, root_resource: Any, connector: Any) -> None:
        """See sushy."""
        pin(connector)
        super().set_context(  # type: ignore[misc]
            root_resource, connector)


class BasicAuth(_Pins, sushy_auth.BasicAuth):  # type: ignore[misc]
    """Sushy's BasicAuth, limited to the BMC's origin."""


class SessionAuth(_Pins, sushy_auth.SessionAuth):  # type: ignore[misc]
    """Sushy's SessionAuth, limited to the BMC's origin."""


class SessionOrBasicAuth(
        _Pins, sushy_auth.SessionOrBasicAuth):  # type: ignore[misc]
    """Sushy's SessionOrBasicAuth, limited to the BMC's origin."""


#: By the values of Ironic's ``redfish_auth_type``.
AUTH_CLASSES: Mapping[
    str, type[sushy_auth.AuthBase]] = types.MappingProxyType({
        'basic': BasicAuth, 'session': SessionAuth,
        'auto': SessionOrBasicAuth})


#: Seconds between the drop of a session and its end: for requests of Ironic's
#: that began before, outside of a task with the node.
GRACE = 30.0
#: Sessions that wait to be closed; what is dropped beyond that expires at its
#: BMC.
MOST_WAITING = 1000
_THREADS = 2


class _Session:
    """A session, and who uses it.

    :ivar dropped: when it was found not to be in the cache any more.
    """

    def __init__(self, connector: Any, is_cached: Callable[[], bool]) -> None:
        self.connector, self.is_cached = connector, is_cached
        self.users: dict[int, weakref.ref[Any]] = {}
        self.dropped: float | None = None

    def is_over(self) -> bool:
        """Whether it was dropped, and nobody uses it."""
        self.users = {
            n: user for n, user in self.users.items() if user() is not None}
        return not self.users and self.dropped is not None and (
            uptime.steady() - self.dropped >= GRACE)

    def close(self) -> None:
        """Close it at the BMC, in a thread that nobody waits for."""
        try:
            disconnect(self.connector)
        except Exception as exc:  # nobody waits: it expires at the BMC
            LOG.debug('Failed to close a session with %(bmc)s: %(why)s', {
                'bmc': address(self.connector), 'why': exc})


class Sessions:
    """Sessions that a cache keeps, and those that it dropped.

    Ironic keeps the sessions of ``[redfish]connection_cache_size`` BMCs, drops
    the oldest one for a new one, and leaves it open at the BMC until it
    expires there (``SessionCache._expire_oldest_session``); so it does after
    an error. A BMC has few sessions. Those of nodes of ours are closed here:
    one request each, once nobody uses them any more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, _Session] = {}
        self._pool = ThreadPool('accel-session', lambda: _THREADS)

    def use(self, connector: Any, user: Any,
            is_cached: Callable[[], bool]) -> None:
        """Note a use of a session; after a login, close those that are over.

        :param user: for as long as this object exists, the session is used:
            a node, which exists as long as its task, or a backend.
        :param is_cached: whether Ironic still hands out the session.
        """
        with self._lock:
            known = self._known.get(id(connector))
            is_new = known is None
            if known is None:
                known = _Session(connector, is_cached)
                self._known[id(connector)] = known
            known.users[id(user)] = weakref.ref(user)
            over = self._take_over() if is_new else []
        for one in over:
            if self._pool.waiting < MOST_WAITING:
                self._pool.submit(one.close)
            else:
                forget(one.connector)

    def hold(self, connector: Any, user: Any) -> None:
        """Note another user of a session that is in use."""
        with self._lock:
            known = self._known.get(id(connector))
            if known is not None:
                known.users[id(user)] = weakref.ref(user)

    def _take_over(self) -> list[_Session]:
        """Take out those that are over. The lock is held."""
        for one in self._known.values():
            if one.is_cached():
                one.dropped = None
            elif one.dropped is None:
                one.dropped = uptime.steady()
        over = {n: one for n, one in self._known.items() if one.is_over()}
        for number in over:
            del self._known[number]
        return list(over.values())


#: Those of this conductor.
SESSIONS = Sessions()
