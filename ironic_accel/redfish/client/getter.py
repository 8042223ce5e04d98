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

"""One GET: bounded, counted, judged, and its failure kept in words."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import http
import time
from typing import Any

from requests import exceptions as requests_errors
from sushy import exceptions

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import strict_json
from ironic_accel.redfish.client import documents
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import session

#: Failed connections in a row after which the BMC counts as gone.
_GONE_AFTER = 3

ROOT = '/redfish/v1'

Doc = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What came back in place of a resource.

    :ivar status: of HTTP; 0 where there was no answer, 200 where it was no
        resource.
    :ivar answer: in words, ``HTTP 503 Service Unavailable``.
    """

    status: int
    answer: str


#: How requests, urllib3 and http.client word what happened to a connection,
#: and what that is in plain words, the more special first.
_SILENCES = (
    ('connection refused', ('Connection refused',)),
    ('cannot resolve its host name', ('Name or service not known',
                                      'Temporary failure in name resolution',
                                      'Failed to resolve')),
    ('host or network unreachable', ('No route to host', 'is unreachable')),
    ('certificate verification failed', ('CERTIFICATE_VERIFY_FAILED',)),
    ('TLS error', ('SSLError', 'SSL:')),
    ('the response is incomplete', ('IncompleteRead', 'InvalidChunkLength')),
    ('the connection was closed without a response', (
        'Connection aborted', 'RemoteDisconnected',
        'Connection reset by peer')),
)


class Getter:
    """Asks a BMC for resources.

    :param connector: sushy's.
    :param settings: the bounds.
    :ivar requests: that were made since ``begin``.
    """

    def __init__(self, connector: session.Connector,
                 settings: BmcSettings) -> None:
        self._connector = session.reading(connector, settings)
        self._address = session.address(connector)
        self._settings = settings
        self._etags: dict[str, tuple[str, Doc]] = {}
        self.begin()

    def begin(self) -> None:
        """Count anew: another observation starts."""
        self.requests = 0
        self._gone = 0
        self._until = time.monotonic() + self._settings.look_timeout

    def ask(self, uri: str, target: str, steady: bool) -> Doc | Failure:
        """One GET.

        :param uri: of the resource.
        :param target: what is asked for: the resource, with a query or a
            page of it.
        :param steady: whether an unchanged ETag is believed.
        :raises: Unreachable where the BMC stopped answering at all, or where
            the observation has taken too long: whoever waits for it is
            needed elsewhere.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise Unreachable(
                'the inventory of the BMC took longer than '
                f'{self._settings.look_timeout:.0f} seconds, with '
                f'{self.requests} requests',
                error_class=ErrorClass.TRANSIENT,
                todo='check why the BMC is slow; the inventory is repeated')
        if self.requests >= self._settings.request_limit:
            return Failure(0, 'not read: the inventory has already made '
                           f'{self.requests} requests')
        self.requests += 1
        kept = self._etags.get(uri) if steady else None
        headers = {'If-None-Match': kept[0]} if kept else None
        try:
            response = self._send(target, headers, left)
        except exceptions.HTTPError as error:
            self._gone = 0
            return Failure(error.status_code or 0, _words(error))
        except exceptions.SushyError as error:
            return self._lost(uri, error)
        return self._take(uri, target, response, kept)

    def _send(self, target: str, headers: Mapping[str, str] | None,
              left: float) -> Any:
        """One GET, and a second where a kept connection was closed on us.

        A BMC that hangs is not asked twice: the time is what it costs.
        """
        for last_try in (False, True):
            try:
                return self._connector.get(
                    target, headers=headers,
                    timeout=min(left, self._settings.request_timeout))
            except exceptions.ConnectionError as error:
                cause = error.__context__
                closed = (
                    isinstance(cause, requests_errors.ConnectionError)
                    and not isinstance(cause, requests_errors.Timeout)
                    and 'Connection aborted' in str(cause))
                if last_try or not closed:
                    raise
        raise AssertionError('unreachable')

    def _take(self, uri: str, target: str, response: Any,
              kept: tuple[str, Doc] | None) -> Doc | Failure:
        """The document in an answer, within the bounds."""
        if response.status_code == 304 and kept:
            self._gone = 0
            return kept[1]
        self._gone = 0
        status = response.status_code
        try:
            doc = strict_json.parse_object(response.content,
                                           self._settings.body_limit)
        except strict_json.NotJson as error:
            return Failure(status, f'HTTP {status} with {error}')
        # A page of a collection may have the page's own address.
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

    def _lost(self, uri: str, error: Exception) -> Failure:
        """A connection failed; several in a row are a BMC that is gone."""
        self._gone += 1
        said = self._silence(error)
        if self._gone >= _GONE_AFTER or uri == ROOT:
            raise Unreachable(f'the BMC at {self._address} does not '
                              f'answer: {said}',
                              error_class=ErrorClass.TRANSIENT)
        return Failure(0, said)

    def _silence(self, error: Exception) -> str:
        causes = [*_causes(error)]
        if any(isinstance(c, requests_errors.Timeout) for c in causes):
            return f'no response within {self._settings.read_timeout:g} s'
        for words, marks in _SILENCES:
            for text in map(str, causes):
                if any(mark in text for mark in marks):
                    return words
        return f'no complete response: {str(error)[:200]}'


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__context__


def _words(error: exceptions.HTTPError) -> str:
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
