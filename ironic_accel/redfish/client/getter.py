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

"""One GET: bounded, counted, checked, and its failure described.

Several may be sent ahead at a time; they are taken up in their order.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Mapping
import contextlib
import contextvars
import dataclasses
import http
import logging
import threading
import time
from typing import Any

from requests import exceptions as requests_errors
from sushy import exceptions

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import strict_json
from ironic_accel.redfish.client import access_failures
from ironic_accel.redfish.client.connector import LoginRejected
from ironic_accel.redfish.client.connector import PinnedConnector
from ironic_accel.redfish.client.connector import RequestRefused
from ironic_accel.redfish.client import documents
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import session

LOG = logging.getLogger(__name__)

#: HTTP statuses after which a BMC gets one request at a time: of a session
#: that was lost, and of a service or a proxy that has too much to do.
_OVERLOADED = frozenset({401, 403, 408, 425, 429, 502, 503, 504})
#: For how many seconds, and as what that is remembered.
_ALONE_FOR, _ALONE = 3600.0, 'one request at a time'
#: Failed connections in a row after which the BMC counts as gone.
_GONE_AFTER = 3

ROOT = '/redfish/v1'

Doc = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A read that failed.

    :ivar status: HTTP status; 0 without a response, 200 if the response was
        not a resource.
    :ivar answer: description, ``HTTP 503 Service Unavailable``.
    """

    status: int
    answer: str


@dataclasses.dataclass(slots=True)
class _Progress:
    """What counts in one inventory.

    :ivar until: monotonic seconds at which it has to end.
    :ivar requests: number of requests so far.
    :ivar failed: failed connections in a row.
    :ivar let_in: whether the BMC has returned a protected resource.
    """

    until: float
    requests: int = 0
    failed: int = 0
    let_in: bool = False


class Getter:
    """Reads resources of a BMC.

    :param connector: a sushy connector.
    :param settings: the limits.
    """

    def __init__(self, connector: session.Connector,
                 settings: BmcSettings) -> None:
        self._connector = session.reading(connector, settings)
        self._address = session.address(connector)
        self._settings = settings
        self._etags: dict[str, tuple[str, Doc]] = {}
        # What was read ahead: a response or an error, by the request's path.
        self._ahead: dict[str, Any] = {}
        self._progress = _Progress(
            time.monotonic() + settings.inventory_timeout)

    @property
    def options(self) -> access_failures.OptionNames:
        """What the caller's options of its access are called."""
        return session.options(self._connector)

    def begin(self) -> None:
        """Count anew: a new inventory starts."""
        self._ahead.clear()
        self._progress = _Progress(
            time.monotonic() + self._settings.inventory_timeout)

    def one_connection(self) -> contextlib.AbstractContextManager[None]:
        """Make the reads within on one connection, closed at the end."""
        return session.one_connection(self._connector)

    @property
    def requests(self) -> int:
        """The number of requests since ``begin``."""
        return self._progress.requests

    def ask(self, uri: str, target: str, steady: bool) -> Doc | Failure:
        """One GET.

        :param uri: path of the resource.
        :param target: path of the request: the resource, with a query or a
            page of it.
        :param steady: whether an unchanged ETag is accepted in place of a
            new reading.
        :raises: Unreachable if the BMC does not respond any more, or if the
            inventory takes too long: the worker is needed elsewhere.
        """
        left = self._progress.until - time.monotonic()
        if left <= 0:
            raise Unreachable(
                'the inventory of the BMC took longer than '
                f'{self._settings.inventory_timeout:.0f} seconds, with '
                f'{self.requests} requests',
                error_class=ErrorClass.TRANSIENT,
                todo='check why the BMC is slow; the inventory is repeated')
        if target not in self._ahead:
            if self.requests >= self._settings.request_limit:
                return Failure(0, 'not read: the inventory has already made '
                               f'{self.requests} requests')
            self._progress.requests += 1
        kept = self._etags.get(uri) if steady else None
        headers = {'If-None-Match': kept[0]} if kept else None
        try:
            response = self._ahead.pop(target, None)
            if isinstance(response, exceptions.SushyError):
                raise response
            if response is None:
                response = self._send(target, headers, left)
        except exceptions.HTTPError as error:
            self._progress.failed = 0
            self._check_access(uri, error)
            return Failure(error.status_code or 0, _describe_status(error))
        except exceptions.SushyError as error:
            return self._lost(uri, error)
        return self._take(uri, target, response, kept)

    def read_ahead(self, targets: Iterable[str], at_once: int) -> None:
        """Send the GETs that ``ask`` is about to send, several at a time.

        ``ask`` takes the responses in its own order, so that the inventory
        is the same. Where the BMC is overloaded or the session is lost,
        ``ask`` sends them itself, and the BMC gets one request at a time for
        an hour.

        :param at_once: number of requests at a time.
        """
        history = self._settings.history
        room = self._settings.request_limit - self.requests
        waiting = collections.deque([*dict.fromkeys(targets)][:max(room, 0)])
        if min(at_once, len(waiting)) < 2 or not isinstance(
                self._connector, PinnedConnector) or history.recall(
                    self._address, _ALONE, _ALONE_FOR):
            return
        sent: list[str] = []
        trouble: list[str] = []

        def work() -> None:
            while waiting and not trouble:
                with contextlib.suppress(IndexError):
                    target = waiting.popleft()
                    sent.append(target)
                    self._read_one_ahead(target, trouble)

        threads = [threading.Thread(
            target=contextvars.copy_context().run, args=(work,), daemon=True)
            for _ in range(min(at_once, len(waiting)) - 1)]
        try:
            for thread in threads:
                thread.start()
            work()
            for thread in threads:
                thread.join()
        finally:
            waiting.clear()
            self._progress.requests += len(sent)
        if trouble:
            history.remember(self._address, _ALONE, True)
            LOG.warning('The BMC at %s is read one request at a time for an '
                        'hour: %s', self._address, trouble[0])

    def _read_one_ahead(self, target: str, trouble: list[str]) -> None:
        """Keep the response to one GET, unless it shows an overload."""
        left = self._progress.until - time.monotonic()
        try:
            self._ahead[target] = self._send(
                target, None, max(left, 0.0), allow_reauth=False)
        except exceptions.HTTPError as error:
            if error.status_code in _OVERLOADED:
                trouble.append(_describe_status(error))
            else:
                self._ahead[target] = error
        except exceptions.SushyError as error:
            trouble.append(session.cause(
                self._connector, error, self._settings.read_timeout).words)

    def _send(self, target: str, headers: Mapping[str, str] | None,
              left: float, **options: Any) -> Any:
        """One GET, and a second one if a kept-alive connection was closed.

        After a timeout there is no second one, which would double the time.
        """
        for last_try in (False, True):
            try:
                return self._connector.get(
                    target, headers=headers,
                    timeout=min(left, self._settings.request_timeout),
                    **options)
            except exceptions.ConnectionError as error:
                if last_try or not self._is_closed(error.__context__):
                    raise
        raise AssertionError('unreachable')

    def _is_closed(self, cause: BaseException | None) -> bool:
        """Whether a connection was closed before a byte of a response.

        OpenSSL writes to a closed TLS connection with "EOF occurred in
        violation of protocol", as it ends a handshake that is refused.
        """
        if not isinstance(cause, requests_errors.ConnectionError) or (
                isinstance(cause, requests_errors.Timeout)):
            return False
        return 'Connection aborted' in str(cause) or (
            isinstance(cause, requests_errors.SSLError)
            and 'EOF occurred' in str(cause) and self._progress.let_in)

    def _take(self, uri: str, target: str, response: Any,
              kept: tuple[str, Doc] | None) -> Doc | Failure:
        """The document in a response, within the limits."""
        self._progress.failed = 0
        self._progress.let_in |= uri != ROOT
        if response.status_code == 304 and kept:
            return kept[1]
        status = response.status_code
        try:
            doc = strict_json.parse_object(response.content,
                                           self._settings.body_limit)
        except strict_json.NotJson as error:
            return Failure(status, f'HTTP {status} with {error}')
        # A page of a collection may have its own URI.
        page = target.partition('?')[0] != uri
        wrong = documents.wrong(uri, {**doc, '@odata.id': uri} if page and (
            '@odata.id' in doc) else doc, getattr(response, 'url', ''))
        if wrong:
            return Failure(status, f'HTTP {status} with {wrong}')
        doc.setdefault('@odata.id', uri)
        etag = response.headers.get('ETag')
        found: Doc = doc
        if etag and target == uri:
            self._etags[uri] = (etag, found)
        return found

    def _lost(self, uri: str, error: exceptions.SushyError) -> Failure:
        """Count a failed connection; after several the BMC is unreachable.

        :raises: Unreachable; NoAccess at once, unless one response was
            garbled of a BMC that has returned resources a moment ago.
        """
        progress = self._progress
        progress.failed += 1
        why = session.cause(
            self._connector, error, self._settings.read_timeout)
        if progress.failed >= _GONE_AFTER or uri == ROOT or (
                why.lasting and not (why.garbled and progress.let_in)):
            raise session.failure(self._connector, error,
                                  self._settings.read_timeout)
        return Failure(0, why.words)

    def _check_access(self, uri: str, error: exceptions.HTTPError) -> None:
        """Raise if the BMC lets nobody in, rather than to one resource.

        A session that expired has been renewed by now. With a password in
        each request a BMC that has returned a protected resource knows the
        user: another one that answers 401 is unread like any other failure.

        :raises: NoAccess.
        """
        names = self.options
        where = f'the BMC at {self._address}'
        if uri == ROOT and isinstance(error, RequestRefused) \
                and error.is_redirect:
            raise access_failures.moved(where, names, error.code) from error
        if error.status_code != 401:
            return
        if isinstance(error, LoginRejected) or uri == ROOT or (
                not self._progress.let_in):
            raise access_failures.rejected(
                where, names, 401, str(error.code),
                session.sends_credentials(self._connector)) from error


def _describe_status(error: exceptions.HTTPError) -> str:
    """``HTTP 503 Service Unavailable (Base.1.8.ServiceInUnknownState)``."""
    status = error.status_code or 0
    if not status:
        return str(error.code)
    try:
        phrase = f' {http.HTTPStatus(status).phrase}'
    except ValueError:
        phrase = ''
    code = error.code if isinstance(error.code, str) else ''
    more = f' ({code[:120]})' if code and code != 'Base.1.0.GeneralError' \
        else ''
    return f'HTTP {status}{phrase}{more}'
