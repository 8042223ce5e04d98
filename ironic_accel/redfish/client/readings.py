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
"""The resources that one inventory has read, by their paths."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ironic_accel.redfish.client.json_document import normal

Doc = Mapping[str, Any]


class Readings(dict[str, Doc]):
    """Resources by path, with the time at which each was read.

    A new inventory starts with none, or with those that are young enough for
    it; these are known as kept.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._at: dict[str, float] = {}
        self._kept: dict[str, Doc] = {}

    def __setitem__(self, uri: str, doc: Doc) -> None:
        super().__setitem__(uri, doc)
        self._at[uri] = self._clock()

    def begin(self, age: Callable[[str], float] | None) -> None:
        """Start a new inventory.

        :param age: readings that are not older than so many seconds, by
            their path, are kept; None keeps none.
        """
        now = self._clock()
        old = [] if age is None else [
            (uri, doc, self._at[uri]) for uri, doc in self.items()
            if (most := age(uri)) and 0 <= now - self._at[uri] <= most]
        self.clear()
        self._at.clear()
        for uri, doc, at in old:
            self[uri] = doc
            # It does not become younger by being kept.
            self._at[uri] = at
        self._kept = dict(self)

    def kept(self) -> list[str]:
        """The paths of what is from an earlier inventory."""
        return [uri for uri, doc in self._kept.items()
                if self.get(uri) is doc]

    def add_all(self, value: Any) -> Iterator[str]:
        """Add every complete resource within a response that is not known.

        :returns: the paths of what was added.
        """
        if isinstance(value, Mapping):
            uri = value.get('@odata.id')
            if isinstance(uri, str) and '@odata.type' in value and (
                    normal(uri) not in self):
                self[normal(uri)] = value
                yield normal(uri)
            for inner in value.values():
                yield from self.add_all(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from self.add_all(inner)
