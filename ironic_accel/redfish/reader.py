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

"""Reads of one observation: bounded, counted, each failure worth one warning.

Collections are read with ``$expand`` where the service offers it and answers
it well, member by member otherwise. Whatever an answer carries besides what
was asked for is kept, so that nothing is read twice in one observation.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import logging
import time
from typing import Any

from requests import exceptions as requests_errors
from sushy import exceptions

from ironic_accel.model import strict_json
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish import connect
from ironic_accel.redfish import expand
from ironic_accel.redfish import origin
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import normal
from ironic_accel.redfish.settings import Settings

LOG = logging.getLogger(__name__)

#: Failed connections in a row after which the BMC counts as gone.
_GONE_AFTER = 3
#: Badly answered ``$expand`` after which it is not asked for any more.
_EXPAND_FAULTS = 2

ROOT = '/redfish/v1'

Doc = Mapping[str, Any]


class Reader:
    """Reads a BMC's tree.

    :param connector: sushy's.
    :param settings: the bounds.
    """

    def __init__(self, connector: connect.Connector,
                 settings: Settings) -> None:
        self._connector = connect.reading(connector, settings)
        self._settings = settings
        self._etags: dict[str, tuple[str, Doc]] = {}
        self._expand_levels = 0
        self.begin()

    def begin(self) -> None:
        """Forget what was read: a new observation starts."""
        self._docs: dict[str, Doc] = {}
        self.failures: dict[str, int] = {}
        self._warned: dict[tuple[str, str], None] = {}
        self.requests = 0
        self._gone = 0
        self._expand_faults = 0
        self._until = time.monotonic() + self._settings.look_timeout

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What could not be read, in the order in which it was met."""
        return tuple(Warned(u, m) for u, m in self._warned)

    def warn(self, uri: str, message: str) -> None:
        """Note what is wrong with a resource, once."""
        self._warned[(uri, message)] = None

    def fields(self, doc: Doc) -> Fields:
        """A resource's properties, with this reader's warnings."""
        return Fields(doc, self.warn)

    def root(self) -> Fields:
        """The service root; learns from it whether ``$expand`` is offered.

        :raises: Unreachable where there is none to be had.
        """
        doc = self.get(ROOT)
        if doc is None:
            reason = next((m for (u, m) in self._warned if u == ROOT), '')
            raise Unreachable(
                f'the BMC gives no service root: {reason}',
                error_class=(ErrorClass.NEEDS_OPERATOR
                             if self.failures.get(ROOT) in (401, 403)
                             else ErrorClass.TRANSIENT))
        root = self.fields(doc)
        offer = root.part('ProtocolFeaturesSupported', 'ExpandQuery')
        self._expand_levels = 0
        if self._settings.expand and offer.flag('NoLinks'):
            self._expand_levels = 1
            if offer.flag('Levels'):
                self._expand_levels = offer.number('MaxLevels') or 6
        return root

    @property
    def expands(self) -> bool:
        """Whether a collection comes with its members in one request."""
        return self._expand_levels > 0

    def get(self, uri: str, steady: bool = False) -> Doc | None:
        """One resource, or None with a warning.

        :param steady: that it carries nothing which has to be proved, so
            that an unchanged ETag is believed over observations.
        :raises: Unreachable where the BMC stopped answering at all.
        """
        uri = normal(uri)
        if uri in self._docs:
            return self._docs[uri]
        if uri in self.failures:
            return None
        kept = self._etags.get(uri) if steady else None
        doc = self._ask(uri, uri, kept)
        if doc is not None:
            self._docs[uri] = doc
        return doc

    def known(self, uri: str) -> Fields | None:
        """A resource that was read before; no traffic."""
        doc = self._docs.get(normal(uri))
        return None if doc is None else self.fields(doc)

    def fresh(self, uri: str) -> Doc | None:
        """One resource, read again whatever was read before."""
        self._docs.pop(normal(uri), None)
        self.failures.pop(normal(uri), None)
        return self.get(uri)

    def read(self, uri: str | None, steady: bool = False) -> Fields | None:
        """The properties of a linked resource; None of no link."""
        doc = self.get(uri, steady) if uri else None
        return None if doc is None else self.fields(doc)

    def deep(self, uri: str, levels: int) -> Fields | None:
        """A resource with what hangs below it, as far as that is answered.

        What is not is read plainly when it is asked for.
        """
        levels = min(levels, self._expand_levels)
        if levels and normal(uri) not in self._docs:
            self._expand(normal(uri), levels)
        return self.read(uri)

    def members(self, uri: str | None, levels: int = 1,
                steady: bool = False) -> list[Fields]:
        """The members of a collection that can be read.

        :param levels: how deep to expand, where that is offered.
        """
        if not uri:
            return []
        uri = normal(uri)
        whole = self._docs.get(uri)
        if whole is None and min(levels, self._expand_levels):
            whole = self._expand(uri, min(levels, self._expand_levels))
        if whole is None:
            whole = self.get(uri, steady)
        found = []
        for link in self._member_links(uri, whole):
            member = self.read(link, steady)
            if member is not None:
                found.append(member)
        return found

    def _member_links(self, uri: str, doc: Doc | None) -> Iterator[str]:
        """The members of a collection over all its pages, bounded."""
        seen: dict[str, None] = {}
        while doc is not None:
            page = self.fields(doc)
            seen.update(dict.fromkeys(page.links('Members')))
            if len(seen) >= self._settings.member_limit:
                self.warn(uri, f'Members: more than '
                          f'{self._settings.member_limit}: the rest is not '
                          'looked at')
                break
            following = doc.get('Members@odata.nextLink')
            doc = None
            if isinstance(following, str) and following not in seen:
                seen[following] = None
                said = origin.warning(following)
                if said is not None:
                    self.warn(uri, f'Members@odata.nextLink: {said}')
                doc = self._ask(uri, following, None)
                seen.pop(following)
        yield from list(seen)[:self._settings.member_limit]

    def _expand(self, uri: str, levels: int) -> Doc | None:
        """A collection with its members in it; None where answered badly."""
        if self._expand_faults >= _EXPAND_FAULTS:
            return None
        query = '?$expand=.'
        if self._expand_levels > 1 or levels > 1:
            query += f'($levels={levels})'
        before = dict(self._warned)
        doc = self._ask(uri, uri + query, None)
        wrong = 'no answer' if doc is None else expand.wrong(uri, doc)
        if doc is None or wrong:
            gone_missing = self.failures.get(uri) == 404
            self.failures.pop(uri, None)
            self._warned = before
            if not gone_missing:
                self._expand_faults += 1
                self.warn(uri, f'$expand: {wrong}: read one by one instead')
            return None
        self._keep(doc)
        return doc

    def _keep(self, value: Any) -> None:
        """Remember every whole resource within an answer."""
        if isinstance(value, Mapping):
            uri = value.get('@odata.id')
            if isinstance(uri, str) and '@odata.type' in value:
                self._docs.setdefault(normal(uri), value)
            for inner in value.values():
                self._keep(inner)
        elif isinstance(value, list):
            for inner in value:
                self._keep(inner)

    def _ask(self, uri: str, target: str,
             kept: tuple[str, Doc] | None) -> Doc | None:
        """One GET. Failures are noted under ``uri``.

        :raises: Unreachable where the observation has taken too long: whoever
            waits for it is needed elsewhere.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise Unreachable(
                'the observation of the BMC took longer than '
                f'{self._settings.look_timeout:.0f} seconds, with '
                f'{self.requests} requests',
                error_class=ErrorClass.TRANSIENT,
                todo='see why the BMC is so slow; it is looked at again')
        if self.requests >= self._settings.request_limit:
            self.warn(uri, 'not read: the observation has made '
                      f'{self.requests} requests already')
            self.failures[uri] = 0
            return None
        self.requests += 1
        headers = {'If-None-Match': kept[0]} if kept else None
        try:
            response = self._send(target, headers, left)
        except exceptions.HTTPError as error:
            self._gone = 0
            status = error.status_code or 0
            self._fail(uri, status, f'answered {status} {error.code}'
                       if status else str(error.code))
            return None
        except exceptions.SushyError as error:
            self._lost(uri, str(error))
            return None
        return self._take(uri, response, kept, expanded='?' in target)

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

    def _take(self, uri: str, response: Any,
              kept: tuple[str, Doc] | None, expanded: bool) -> Doc | None:
        """The document in an answer, within the bounds."""
        if response.status_code == 304 and kept:
            self._gone = 0
            return kept[1]
        self._gone = 0
        try:
            doc = strict_json.parse_object(response.content,
                                           self._settings.body_limit)
        except strict_json.NotJson as error:
            self._fail(uri, 0, f'answered {response.status_code} with what '
                       f'is no JSON object: {error}')
            return None
        if not isinstance(doc.get('@odata.id'), str):
            if not isinstance(doc.get('@odata.type'), str):
                # {"error": "busy"}, {}: it tells of no resource.
                self._fail(uri, 0, f'answered {response.status_code} with '
                           'what is no Redfish resource')
                return None
            doc['@odata.id'] = uri
        etag = response.headers.get('ETag')
        if etag and not expanded:
            self._etags[uri] = (etag, doc)
        return doc

    def _fail(self, uri: str, status: int, message: str) -> None:
        self.failures[uri] = status
        self.warn(uri, message)

    def _lost(self, uri: str, message: str) -> None:
        """A connection failed; several in a row are a BMC that is gone."""
        self._gone += 1
        self._fail(uri, 0, message)
        if self._gone >= _GONE_AFTER or uri == ROOT:
            raise Unreachable(f'the BMC does not answer: {message}',
                              error_class=ErrorClass.TRANSIENT)
