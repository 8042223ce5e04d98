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

``members`` reads a collection over all its pages (DSP0266: ``Members``,
``Members@odata.count``, of the whole collection on each page, and
``Members@odata.nextLink``).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
import http
import time
from typing import Any

from requests import exceptions as requests_errors
from sushy import exceptions

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import strict_json
from ironic_accel.redfish.client import access_failures
from ironic_accel.redfish.client.connector import LoginRejected
from ironic_accel.redfish.client.connector import RequestRefused
from ironic_accel.redfish.client import documents
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client import session

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
        self._progress = _Progress(
            time.monotonic() + settings.inventory_timeout)

    @property
    def options(self) -> access_failures.OptionNames:
        """What the caller's options of its access are called."""
        return session.options(self._connector)

    def begin(self) -> None:
        """Count anew: a new inventory starts."""
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
        if self.requests >= self._settings.request_limit:
            return Failure(0, 'not read: the inventory has already made '
                           f'{self.requests} requests')
        self._progress.requests += 1
        kept = self._etags.get(uri) if steady else None
        headers = {'If-None-Match': kept[0]} if kept else None
        try:
            response = self._send(target, headers, left)
        except exceptions.HTTPError as error:
            self._progress.failed = 0
            self._check_access(uri, error)
            return Failure(error.status_code or 0, _describe_status(error))
        except exceptions.SushyError as error:
            return self._lost(uri, error)
        return self._take(uri, target, response, kept)

    def _send(self, target: str, headers: Mapping[str, str] | None,
              left: float) -> Any:
        """One GET, and a second one if a kept-alive connection was closed.

        After a timeout there is no second one, which would double the time.
        """
        for last_try in (False, True):
            try:
                return self._connector.get(
                    target, headers=headers,
                    timeout=min(left, self._settings.request_timeout))
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


@dataclasses.dataclass(slots=True)
class MemberList:
    """The members of one collection.

    :ivar links: their paths, each once, in the order of the pages.
    :ivar failures: why the list may be incomplete: a page that was not read,
        a member without a link, or another number of members than
        ``Members@odata.count``. ``links`` has the other members.
    :ivar warnings: other findings.
    """

    links: list[str]
    failures: list[Failure]
    warnings: list[str]


def members(doc: Doc, ask: Callable[[str], Doc | Failure],
            fields: Callable[[Doc], Fields], limit: int, counted: bool
            ) -> MemberList:
    """The members that a collection lists.

    :param doc: its first page.
    :param ask: reads another page by its link.
    :param fields: gives typed access to a page.
    :param limit: maximum number of members.
    :param counted: whether their number must equal ``Members@odata.count``.
    :raises: Unreachable if the BMC does not respond any more.
    """
    out = MemberList([], [], [])
    seen: dict[str, None] = {}
    pages: set[str] = set()
    number, told = 0, None
    page: Doc | None = doc
    while page is not None:
        wrong = documents.wrong_collection(page)
        if wrong:
            out.failures.append(Failure(200, f'HTTP 200 with {wrong}'))
        links = fields(page).links('Members')
        number += len(links)
        seen.update(dict.fromkeys(links))
        count = page.get('Members@odata.count')
        told = count if type(count) is int else told
        if len(seen) > limit:
            out.failures.append(Failure(200, f'more than {limit} members: '
                                        'the others are not read'))
            out.links = list(seen)[:limit]
            return out
        page = _next_page(page, ask, pages, out)
    if counted and told is not None and told != number and not out.failures:
        out.failures.append(Failure(
            200, f'{number} of {told} members (Members@odata.count)'))
    out.links = list(seen)
    return out


def _next_page(page: Doc, ask: Callable[[str], Doc | Failure], pages: set[str],
          out: MemberList) -> Doc | None:
    """The next page; None if there is none, or if it cannot be read."""
    following = page.get('Members@odata.nextLink')
    if following is None:
        return None
    if not isinstance(following, str) or not following or (
            following in pages):
        out.failures.append(Failure(200, 'invalid Members@odata.nextLink: '
                                    f'{str(following)[:120]}'))
        return None
    pages.add(following)
    said = origin.warning(following)
    if said is not None:
        out.warnings.append(f'Members@odata.nextLink: {said}')
    found = ask(following)
    if isinstance(found, Failure):
        out.failures.append(Failure(
            found.status,
            f'cannot read all pages of its members: {found.answer}'))
        return None
    return found
