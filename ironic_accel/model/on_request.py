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

"""A mapping that is made when something is first asked of it.

``plan.Transport`` has such mappings. What a transport can do besides setting
modes takes a while to work out on a large system, and a profile without
firmware asks nothing of it. Whoever reads the mapping does not notice: it
has the same keys and values as one that was made at once, is compared and
stored as one, and an error of making it is raised at the first use.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TypeVar

_K = TypeVar('_K')
_V = TypeVar('_V')


class OnRequest(Mapping[_K, _V]):
    """A mapping that is made when something is first asked of it.

    :param make: makes it; called once at most.
    """

    def __init__(self, make: Callable[[], Mapping[_K, _V]]) -> None:
        self._make = make
        self._made: Mapping[_K, _V] | None = None

    def _mapping(self) -> Mapping[_K, _V]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __repr__(self) -> str:
        """What is in it, if it was made."""
        return f'OnRequest({"not made" if self._made is None else self._made})'

    def __getitem__(self, key: _K) -> _V:
        return self._mapping()[key]

    def __iter__(self) -> Iterator[_K]:
        return iter(self._mapping())

    def __len__(self) -> int:
        return len(self._mapping())
