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

"""The reads of one inventory: the service root and collections.

Collections are read over all their pages (DSP0266: ``Members``,
``Members@odata.count``, of the whole collection on each page, and
``Members@odata.nextLink``); with ``$expand`` if the service supports it
correctly, and member by member otherwise. Other resources in a response are
kept, so that nothing is read twice for one inventory.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client import documents
from ironic_accel.redfish.client.getter import Doc
from ironic_accel.redfish.client.getter import Failure
from ironic_accel.redfish.client.getter import ROOT
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.json_document import stem
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.read_failures import NOTHING
from ironic_accel.redfish.client.resource_reader import ResourceReader
from ironic_accel.redfish.client import session

#: Number of wrong responses to ``$expand`` after which it is not used.
_EXPAND_FAULTS = 2
#: Seconds for which a collection is read without the resources that its
#: members link to, after a wrong response.
_NO_LINKS = 3600.0
#: Properties of which each service root has at least one.
_ROOTS = ('Systems', 'Chassis', 'Managers', 'SessionService', 'Links',
          'RedfishVersion')
#: Maximum number of members of one collection that are checked with a direct
#: read, and the share of the members that is enough.
_SAMPLES = 3
_ENOUGH = 0.9

#: Whether an expanded member needs no check: the caller uses only properties
#: that it has, or reads it by ``whole``.
Sufficient = Callable[[Doc], bool]


class Reader(ResourceReader):
    """Reads the resources of a BMC, and its collections of them.

    :param connector: a sushy connector.
    :param settings: the limits.
    :ivar at_once: number of requests at a time that the BMC bears.
    :ivar ahead_since: when the first ones were sent ahead, or None.
    """

    def __init__(self, connector: session.Connector,
                 settings: BmcSettings) -> None:
        super().__init__(connector, settings)
        self._expand_levels = 0
        self._expand_links = False
        self._expand_faults = 0
        self.at_once = 1
        self.ahead_since: float | None = None

    def begin(self, age: Callable[[str], float] | None = None) -> None:
        """Forget all readings; see ``ResourceReader``."""
        super().begin(age)
        self._expand_faults = 0
        self.at_once = 1
        self.ahead_since = None

    def ahead(self, *wanted: tuple[Fields, str, int, bool]) -> None:
        """Read what resources link to and is needed next, ``at_once`` at a
        time.

        :param wanted: the resource, the name of the link, the ``$expand``
            levels (0 for none), and whether with what the members of a
            collection link to.
        """
        if self.at_once < 2:
            return
        if self.ahead_since is None:
            self.ahead_since = self._settings.history.now()
        targets = []
        for shown, name, levels, linked in wanted:
            # A wrong link is reported where it is followed.
            uri = Fields(shown.doc, lambda _uri, _message: None).link(name)
            if uri and normal(uri) not in self._docs:
                targets.append(normal(uri) + self._query(
                    normal(uri), min(levels, self._expand_levels), linked))
        self._getter.read_ahead(targets, self.at_once)

    def root(self) -> Fields:
        """The service root; also shows whether ``$expand`` is supported.

        :raises: Unreachable if it cannot be read.
        """
        doc = self.get(ROOT)
        if doc is None:
            failure = self.failures[ROOT]
            summary = f'{ROOT}: cannot read the service root: {failure.answer}'
            if failure.status == 403:
                raise NoAccess(summary, error_class=ErrorClass.NEEDS_OPERATOR,
                               todo='check the role of the user in '
                               + self.options.credentials)
            raise Unreachable(summary, error_class=ErrorClass.TRANSIENT)
        root = self.fields(doc)
        if not any(root.has(name) for name in _ROOTS):
            raise Unreachable(
                'cannot read the service root: HTTP 200 with a resource that '
                f'has none of {", ".join(_ROOTS)}',
                error_class=ErrorClass.TRANSIENT)
        offer = root.part('ProtocolFeaturesSupported', 'ExpandQuery')
        self._expand_levels = 0
        self._expand_links = bool(offer.flag('ExpandAll'))
        if self._settings.expand and offer.flag('NoLinks'):
            self._expand_levels = 1
            if offer.flag('Levels'):
                self._expand_levels = offer.number('MaxLevels') or 6
        return root

    @property
    def expands(self) -> bool:
        """Whether collections are read with ``$expand``."""
        return self._expand_levels > 0

    def deep(self, uri: str, levels: int, impact: Impact = NOTHING
             ) -> Fields | None:
        """Read a resource with its sub-resources by ``$expand``.

        What the response lacks is read directly when it is needed. One that
        came with another resource is read directly once an hour, to find out
        whether it comes with all its properties.
        """
        uri, levels = normal(uri), min(levels, self._expand_levels)
        if uri in self._expanded:
            kind = str(self._docs[uri].get('@odata.type'))
            if not self._comes_whole(f'linked {kind} {stem(uri)}', uri):
                self.forget(uri)
        if levels and uri not in self._docs:
            self._expand(uri, levels)
        return self.read(uri, impact=impact)

    def members(self, uri: str | None, levels: int = 1,
                sufficient: Sufficient | None = None) -> list[Fields]:
        """The members of a collection whose failure leaves nothing unknown.
        """
        return self.listing(uri, NOTHING, levels, sufficient=sufficient)[0]

    def listing(self, uri: str | None, impact: Impact, levels: int = 1,
                steady: bool = False, sufficient: Sufficient | None = None,
                one_kind: bool = False, linked: bool = False
                ) -> tuple[list[Fields], list[str]]:
        """The members of a collection: those that were read, and the paths
        of those that were not.

        The caller declares what the unread ones leave unknown.

        :param impact: what is unknown without the collection; unless that
            is nothing, the number of members must equal its count.
        :param levels: ``$expand`` levels, if supported.
        :param sufficient: of which members nothing else is used.
        :param one_kind: whether all are of one kind, whatever their Ids are.
        :param linked: whether ``$expand`` includes what the members link to.
        """
        if not uri:
            return [], []
        uri = normal(uri)
        whole = self._docs.get(uri)
        if whole is None and min(levels, self._expand_levels):
            whole = self._expand(uri, min(levels, self._expand_levels),
                                 linked)
        if whole is None:
            whole = self.get(uri, steady)
        found, unread = [], []
        links = self._member_links(uri, whole, impact is not NOTHING)
        if whole is not None:
            self._distrust(uri, whole, links, sufficient, one_kind)
        for link in links:
            member = self.read(link, steady)
            wrong = None if member is None or whole is None else (
                documents.wrong_member(whole, member.doc))
            if wrong:
                self._docs.pop(normal(link), None)
                self._fail(normal(link), Failure(200, wrong))
                member = None
            if member is None:
                unread.append(normal(link))
            else:
                found.append(member)
        self.declare(uri, impact)
        return found, unread

    def _member_links(self, uri: str, doc: Doc | None, counted: bool
                      ) -> list[str]:
        """The members of a collection over all its pages, limited."""
        if doc is None:
            return []
        listed = _all_members(
            doc, lambda page: self._getter.ask(uri, page, False), self.fields,
            self._settings.member_limit,
            counted and uri not in self.failures)
        for said in listed.warnings:
            self.warn(uri, said)
        for failure in listed.failures:
            self._fail(uri, failure)
        return listed.links

    def _expand(self, uri: str, levels: int, linked: bool = False
                ) -> Doc | None:
        """A collection with its members; None if the response is wrong.

        :param linked: whether with the resources in ``Links`` too; without
            them for an hour after a response was wrong.
        """
        if self._expand_faults >= _EXPAND_FAULTS:
            return None
        query = self._query(uri, levels, linked)
        linked = '*' in query
        doc = self._getter.ask(uri, uri + query, False)
        wrong = (doc.answer if isinstance(doc, Failure)
                 else documents.wrong_expansion(uri, doc))
        status = doc.status if isinstance(doc, Failure) else 200
        if linked and wrong and status != 404:
            if status != 503:
                self._settings.history.remember(
                    self.address, f'$expand=* {uri}', True)
            self.warn(uri, f'$expand=*: {wrong}: reading the linked '
                      'resources one by one instead')
            return self._expand(uri, levels)
        if isinstance(doc, Failure) or wrong:
            if status != 404:
                self._expand_faults += 1
                self.warn(uri, f'$expand: {wrong}: reading the members one '
                          'by one instead')
            return None
        self._expanded.update(self._docs.add_all(doc))
        return doc

    def _query(self, uri: str, levels: int, linked: bool) -> str:
        """The query of a request with so many ``$expand`` levels."""
        if not levels:
            return ''
        linked = linked and self._expand_links and not (
            self._settings.history.recall(
                self.address, f'$expand=* {uri}', _NO_LINKS))
        query = f'?$expand={"*" if linked else "."}'
        if self._expand_levels > 1 or levels > 1:
            query += f'($levels={levels})'
        return query

    def _distrust(self, uri: str, doc: Doc, links: list[str],
                  sufficient: Sufficient | None, one_kind: bool) -> None:
        """Forget members of a type of which ``$expand`` omits properties.

        One of each kind is also read directly, once an hour.
        """
        given = {u: self._docs[u] for u in map(normal, links)
                 if u in self._expanded
                 and not (sufficient and sufficient(self._docs[u]))}
        kind = str(doc.get('@odata.type'))
        if all(self._comes_whole(f'{kind} {stem(one)}', one)
               for one in documents.samples(given, _SAMPLES, _ENOUGH,
                                            one_kind)):
            return
        self.warn(uri, '$expand drops properties: reading the members one '
                  'by one instead')
        for one in given:
            if one in self._expanded:
                self._expanded.discard(one)
                self._docs.pop(one, None)

    def _comes_whole(self, kind: str, uri: str) -> bool:
        """Whether ``$expand`` returns a type with all its properties."""
        history, shape = self._settings.history, documents.shape(
            self._docs[uri])
        known = history.expands_whole(self.address, kind, shape)
        if known is not None:
            return known
        member = self._docs.pop(uri)
        self._expanded.discard(uri)
        alone = self.get(uri)
        if alone is None:
            return True
        whole = documents.dropped(alone, member) is None
        history.tried_expand(self.address, kind, shape, whole)
        return whole


@dataclasses.dataclass(slots=True)
class _MemberList:
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


def _all_members(doc: Doc, ask: Callable[[str], Doc | Failure],
                 fields: Callable[[Doc], Fields], limit: int, counted: bool
                 ) -> _MemberList:
    """The members that a collection lists.

    :param doc: its first page.
    :param ask: reads another page by its link.
    :param fields: gives typed access to a page.
    :param limit: maximum number of members.
    :param counted: whether their number must equal ``Members@odata.count``.
    :raises: Unreachable if the BMC does not respond any more.
    """
    out = _MemberList([], [], [])
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
               out: _MemberList) -> Doc | None:
    """The next page; None if there is none, or if it cannot be read."""
    following = page.get('Members@odata.nextLink')
    if following is None:
        return None
    if not isinstance(following, str) or not following or (following in pages):
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
