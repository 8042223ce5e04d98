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

"""The reads of single resources for one inventory; a failure is not absence.

Whatever was read is kept until the inventory is complete, so that nothing is
read twice for it. The caller of a read declares what a failure leaves unknown
(``read_failures.Impact``). The failure is kept with the URI.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib

from ironic_accel.model.device import Warned
from ironic_accel.redfish.client.access_failures import OptionNames
from ironic_accel.redfish.client.getter import Doc
from ironic_accel.redfish.client.getter import Failure
from ironic_accel.redfish.client.getter import Getter
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.read_failures import NOTHING
from ironic_accel.redfish.client.read_history import Readings
from ironic_accel.redfish.client import session


class ResourceReader:
    """Reads single resources of a BMC.

    :param connector: a sushy connector.
    :param settings: the limits.
    :ivar names: what the options of the access to the BMC are called.
    :ivar failures: the failure of each resource that was not read.
    :ivar open: what these failures leave unknown, by resource.
    :ivar read_well: resources with such a declaration that were read.
    """

    def __init__(self, connector: session.Connector,
                 settings: BmcSettings) -> None:
        self._getter = Getter(connector, settings)
        self._settings = settings
        self.address = session.address(connector)
        self.names = session.options(connector)
        self._docs = Readings(settings.history.now)
        self._expanded: set[str] = set()
        self._reset()

    def begin(self, age: Callable[[str], float] | None = None) -> None:
        """Forget all readings: a new inventory starts.

        :param age: readings that are not older than so many seconds, by
            their path, are kept; None keeps none.
        """
        self._docs.begin(age)
        self._expanded &= self._docs.keys()
        self._reset()
        self._getter.begin()

    def _reset(self) -> None:
        """Forget the failures and warnings of the last inventory."""
        self.failures: dict[str, Failure] = {}
        self.open: dict[str, Impact] = {}
        self.read_well: dict[str, None] = {}
        self._warned: dict[tuple[str, str], None] = {}

    def forget_kept(self) -> None:
        """Forget what this inventory has from an earlier one."""
        for uri in self._docs.kept():
            self.forget(uri)

    def one_connection(self) -> contextlib.AbstractContextManager[None]:
        """Make the reads within on one connection, closed at the end."""
        return self._getter.one_connection()

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

    def _fail(self, uri: str, failure: Failure) -> None:
        self.failures[uri] = failure
        self.warn(uri, failure.answer)
