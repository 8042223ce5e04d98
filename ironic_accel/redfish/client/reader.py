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

"""The reads of one inventory: bounded, counted; a failure is not absence.

Collections are read with ``$expand`` if the service supports it correctly,
and member by member otherwise. Other resources in a response are kept, so
that nothing is read twice for one inventory.

The caller of a read declares what a failure leaves unknown
(``read_failures.Impact``). The failure is kept with the URI until the
inventory is complete.
"""

from __future__ import annotations

from collections.abc import Callable

from ironic_accel.model.device import Warned
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client.access_failures import OptionNames
from ironic_accel.redfish.client import documents
from ironic_accel.redfish.client import getter
from ironic_accel.redfish.client.getter import Doc
from ironic_accel.redfish.client.getter import Failure
from ironic_accel.redfish.client.getter import Getter
from ironic_accel.redfish.client.getter import ROOT
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.json_document import stem
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.read_failures import NOTHING
from ironic_accel.redfish.client.read_history import Readings
from ironic_accel.redfish.client import session

#: Number of wrong responses to ``$expand`` after which it is not used.
_EXPAND_FAULTS = 2
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


class Reader:
    """Reads the resources of a BMC.

    :param connector: a sushy connector.
    :param settings: the limits.
    :ivar failures: the failure of each resource that was not read.
    :ivar open: what these failures leave unknown, by resource.
    :ivar read_well: resources with such a declaration that were read.
    """

    def __init__(self, connector: session.Connector,
                 settings: BmcSettings) -> None:
        self._getter = Getter(connector, settings)
        self._settings = settings
        self.address = session.address(connector)
        self._expand_levels = 0
        self._docs = Readings(settings.history.now)
        self._expanded: set[str] = set()
        self.begin()

    def begin(self, age: Callable[[str], float] | None = None) -> None:
        """Forget all readings: a new inventory starts.

        :param age: readings that are not older than so many seconds, by
            their path, are kept; None keeps none.
        """
        self._docs.begin(age)
        self._expanded &= self._docs.keys()
        self.failures: dict[str, Failure] = {}
        self.open: dict[str, Impact] = {}
        self.read_well: dict[str, None] = {}
        self._warned: dict[tuple[str, str], None] = {}
        self._expand_faults = 0
        self._getter.begin()

    def forget_kept(self) -> None:
        """Forget what this inventory has from an earlier one."""
        for uri in self._docs.kept():
            self.forget(uri)

    @property
    def options(self) -> OptionNames:
        """What the caller's options of its access to the BMC are called."""
        return self._getter.options

    @property
    def requests(self) -> int:
        """The number of requests of this inventory."""
        return self._getter.requests

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """The warnings of this inventory, in their order."""
        return tuple(Warned(u, m) for u, m in self._warned)

    def warn(self, uri: str, message: str) -> None:
        """Add a warning about a resource, once."""
        self._warned[(uri, message)] = None

    def declare(self, uri: str, impact: Impact) -> None:
        """Declare what a failure to read a resource leaves unknown."""
        uri = normal(uri)
        if impact is NOTHING:
            return
        if uri in self.failures:
            known = self.open.get(uri)
            self.open[uri] = impact if known is None else known | impact
        else:
            self.read_well[uri] = None

    def mark_unread(self, uri: str, answer: str, impact: Impact) -> None:
        """Count a resource as unread although it was read: it is incomplete.
        """
        self._fail(normal(uri), Failure(200, answer))
        self.declare(uri, impact)

    def fields(self, doc: Doc) -> Fields:
        """A resource's properties, with this reader's warnings."""
        return Fields(doc, self.warn)

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
        if self._settings.expand and offer.flag('NoLinks'):
            self._expand_levels = 1
            if offer.flag('Levels'):
                self._expand_levels = offer.number('MaxLevels') or 6
        return root

    @property
    def expands(self) -> bool:
        """Whether collections are read with ``$expand``."""
        return self._expand_levels > 0

    def get(self, uri: str, steady: bool = False) -> Doc | None:
        """One resource, or None with a warning.

        :param steady: it contains nothing that must be verified, so that an
            unchanged ETag is accepted from one inventory to the next.
        :raises: Unreachable if the BMC does not respond any more.
        """
        uri = normal(uri)
        if uri in self._docs:
            return self._docs[uri]
        if uri in self.failures:
            return None
        doc = self._getter.ask(uri, uri, steady)
        if isinstance(doc, Failure):
            self._fail(uri, doc)
            return None
        self._docs[uri] = doc
        return doc

    def known(self, uri: str) -> Fields | None:
        """A resource that was read before. Makes no request."""
        doc = self._docs.get(normal(uri))
        return None if doc is None else self.fields(doc)

    def fresh(self, uri: str) -> Doc | None:
        """One resource, read again."""
        self._docs.pop(normal(uri), None)
        self.failures.pop(normal(uri), None)
        return self.get(uri)

    def forget(self, uri: str) -> None:
        """Read a resource again when it is next needed."""
        self._docs.pop(normal(uri), None)
        self._expanded.discard(normal(uri))

    def forget_below(self, uri: str) -> None:
        """Read a collection and all below it again."""
        for one in [u for u in self._docs if u == uri
                    or u.startswith(f'{uri}/')]:
            self.forget(one)

    def read(self, uri: str | None, steady: bool = False,
             impact: Impact = NOTHING) -> Fields | None:
        """The properties of a linked resource; None without a link."""
        if not uri:
            return None
        doc = self.get(uri, steady)
        self.declare(uri, impact)
        return None if doc is None else self.fields(doc)

    def whole(self, shown: Fields, *wanted: str) -> Fields:
        """A member, read directly if required properties are missing.

        Some services omit properties of members in ``$expand``.

        :param wanted: properties that every such resource should have.
        """
        uri = shown.uri
        if uri not in self._expanded or all(shown.knows(w) for w in wanted):
            return shown
        self._expanded.discard(uri)
        kept = self._docs.pop(uri, shown.doc)
        doc = self.get(uri)
        if doc is None:
            self._docs[uri] = kept
            return shown
        return self.fields(doc)

    def follow(self, shown: Fields, name: str, impact: Impact) -> str | None:
        """The path of a collection that a resource links to, or None.

        If an earlier inventory had the link, the resource is incomplete now
        and the collection counts as unread.

        :param impact: what is unknown without the collection.
        """
        uri = shown.link(name)
        if self._settings.history.is_link_lost(
                self.address, shown.uri, name, uri is not None):
            self.mark_unread(f'{shown.uri}/{name}', f'{shown.uri} no longer '
                             'links to it', impact)
        return uri

    def probe(self, uri: str) -> Fields | None:
        """A resource that is not linked anywhere, if it exists."""
        uri = normal(uri)
        before = dict(self._warned)
        doc = self.get(uri)
        if doc is None:
            self.failures.pop(uri, None)
            self._warned = before
            return None
        return self.fields(doc)

    def deep(self, uri: str, levels: int, impact: Impact = NOTHING
             ) -> Fields | None:
        """Read a resource with its sub-resources by ``$expand``.

        What the response lacks is read directly when it is needed.
        """
        levels = min(levels, self._expand_levels)
        if levels and normal(uri) not in self._docs:
            self._expand(normal(uri), levels)
        return self.read(uri, impact=impact)

    def members(self, uri: str | None, levels: int = 1,
                sufficient: Sufficient | None = None) -> list[Fields]:
        """The members of a collection whose failure leaves nothing unknown.
        """
        return self.listing(uri, NOTHING, levels, sufficient=sufficient)[0]

    def listing(self, uri: str | None, impact: Impact, levels: int = 1,
                steady: bool = False, sufficient: Sufficient | None = None,
                one_kind: bool = False) -> tuple[list[Fields], list[str]]:
        """The members of a collection: those that were read, and the paths
        of those that were not.

        The caller declares what the unread ones leave unknown.

        :param impact: what is unknown without the collection; unless that
            is nothing, the number of members must equal its count.
        :param levels: ``$expand`` levels, if supported.
        :param sufficient: of which members nothing else is used.
        :param one_kind: whether all are of one kind, whatever their Ids are.
        """
        if not uri:
            return [], []
        uri = normal(uri)
        whole = self._docs.get(uri)
        if whole is None and min(levels, self._expand_levels):
            whole = self._expand(uri, min(levels, self._expand_levels))
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
        listed = getter.members(
            doc, lambda page: self._getter.ask(uri, page, False), self.fields,
            self._settings.member_limit,
            counted and uri not in self.failures)
        for said in listed.warnings:
            self.warn(uri, said)
        for failure in listed.failures:
            self._fail(uri, failure)
        return listed.links

    def _expand(self, uri: str, levels: int) -> Doc | None:
        """A collection with its members; None if the response is wrong."""
        if self._expand_faults >= _EXPAND_FAULTS:
            return None
        query = '?$expand=.'
        if self._expand_levels > 1 or levels > 1:
            query += f'($levels={levels})'
        doc = self._getter.ask(uri, uri + query, False)
        wrong = (doc.answer if isinstance(doc, Failure)
                 else documents.wrong_expansion(uri, doc))
        if isinstance(doc, Failure) or wrong:
            if not isinstance(doc, Failure) or doc.status != 404:
                self._expand_faults += 1
                self.warn(uri, f'$expand: {wrong}: reading the members one '
                          'by one instead')
            return None
        self._expanded.update(self._docs.add_all(doc))
        return doc

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

    def _fail(self, uri: str, failure: Failure) -> None:
        self.failures[uri] = failure
        self.warn(uri, failure.answer)
