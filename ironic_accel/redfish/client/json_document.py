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

"""Properties read off a Redfish resource, one by one.

A property that is missing, null, of the wrong type or has an unknown value
costs that property and no more: the answer is None and, where the property
matters, a warning says so. Parsing happens here and nowhere further in.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import functools
import re
from typing import Any

from ironic_accel.model import version
from ironic_accel.redfish.client import origin

#: Takes the URI of a resource and what is wrong with it.
Warn = Callable[[str, str], None]

#: Characters of a path of which ``normal`` keeps what it found.
_KEPT = 512


def normal(uri: str) -> str:
    """A resource's path without query, fragment and closing slash.

    Whatever authority stands before it is dropped: it is asked of the BMC
    that is talked to. What is no URI comes back as it is, and is refused
    where it is asked for.
    """
    # An endless text from elsewhere is not to be kept.
    return _normal(uri) if len(uri) <= _KEPT else _stripped(uri)


def _stripped(uri: str) -> str:
    uri = uri.strip()
    path = (origin.path(uri) or uri).split('?', 1)[0].split('#', 1)[0]
    return path.rstrip('/') or '/'


#: Each is asked for a hundred times in a look.
_normal = functools.lru_cache(maxsize=8192)(_stripped)


def last(uri: str) -> str:
    """The last segment of a path: a resource's id, mostly."""
    return normal(uri).rsplit('/', 1)[-1]


def stem(uri: str) -> str:
    """What ids of like resources have in common: ``GPU_#``."""
    return re.sub('[0-9]+', '#', last(uri))


def _uri(value: Any) -> str | None:
    """The URI of a link, or None.

    Some services give RelatedItem as a bare path.
    """
    if isinstance(value, str):
        return value if value.startswith('/redfish/') else None
    found = value.get('@odata.id') if isinstance(value, Mapping) else None
    return found if isinstance(found, str) and found else None


class Fields:
    """Typed access to one resource, or to an object in it.

    :param doc: the JSON object.
    :param warn: told what is wrong.
    :param uri: the resource, where the object is only a part of it.
    :param at: the path of that part, for the warnings.
    """

    def __init__(self, doc: Mapping[str, Any], warn: Warn,
                 uri: str | None = None, at: str = '') -> None:
        self.doc = doc
        self._warn = warn
        self._at = at
        own = doc.get('@odata.id')
        self.uri = uri or (normal(own) if isinstance(own, str) else '')

    def _find(self, path: tuple[str | int, ...]) -> Any:
        value: Any = self.doc
        for depth, key in enumerate(path):
            if isinstance(key, int) and isinstance(value, list):
                value = value[key] if len(value) > key else None
            elif not isinstance(key, int) and isinstance(value, Mapping):
                value = value.get(key)
            else:
                if value is not None:
                    self.complain(path[:depth], value, 'an array' if
                                  isinstance(key, int) else 'an object')
                return None
        return value

    def _name(self, path: tuple[str | int, ...]) -> str:
        return '.'.join([*([self._at] if self._at else []),
                         *map(str, path)])

    def complain(self, path: tuple[str | int, ...], value: Any,
                 expected: str) -> None:
        """Warn of a property: its path, its value, what was expected."""
        if value is None or value == '':
            self._warn(self.uri, f'{self._name(path)} is missing or empty')
            return
        shown = repr(value)
        if len(shown) > 80:
            shown = f'{shown[:77]}...'
        self._warn(self.uri,
                   f'{self._name(path)}: {shown}: expected {expected}')

    def say(self, message: str) -> None:
        """Note something that the resource says, as a warning."""
        self._warn(self.uri, message)

    def has(self, *path: str | int) -> bool:
        """Whether a property is there and not null."""
        return self._find(path) is not None

    def knows(self, *path: str) -> bool:
        """Whether a property is there at all, be it null."""
        parent = self._find(path[:-1]) if len(path) > 1 else self.doc
        return isinstance(parent, Mapping) and path[-1] in parent

    def text(self, *path: str | int, needed: bool = False) -> str | None:
        """A text, cleaned.

        :param needed: warn also where it is missing, null or empty.
        """
        value = self._find(path)
        if isinstance(value, str):
            found = version.clean(value)
            if found is None and needed:
                self.complain(path, value, 'a non-empty string')
            return found
        if value is not None or needed:
            self.complain(path, value, 'a string')
        return None

    def flag(self, *path: str | int) -> bool | None:
        """A boolean."""
        value = self._find(path)
        if value is None or isinstance(value, bool):
            return value
        self.complain(path, value, 'true or false')
        return None

    def number(self, *path: str | int) -> int | None:
        """A whole number."""
        value = self._find(path)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or type(value) is int:
            return value
        self.complain(path, value, 'an integer')
        return None

    def reading(self, *path: str | int) -> float | None:
        """A measured number, whole or not."""
        value = self._find(path)
        if value is None or type(value) in (int, float):
            return None if value is None else float(value)
        self.complain(path, value, 'a number')
        return None

    def word(self, *path: str | int, known: Collection[str],
             needed: bool = False) -> str | None:
        """A value out of an enumeration."""
        value = self._find(path)
        if isinstance(value, str) and value in known:
            return value
        if needed or value not in (None, ''):
            self.complain(path, value, f'one of {", ".join(sorted(known))}')
        return None

    def part(self, *path: str | int) -> Fields:
        """An object within the resource; an empty one where it is missing."""
        value = self._find(path)
        if value is not None and not isinstance(value, Mapping):
            self.complain(path, value, 'an object')
        found = value if isinstance(value, Mapping) else {}
        return Fields(found, self._warn, self.uri, self._name(path))

    def parts(self, *path: str | int) -> list[Fields]:
        """The objects of an array within the resource."""
        value = self._find(path)
        if value is None:
            return []
        if not isinstance(value, list):
            self.complain(path, value, 'an array')
            return []
        return [Fields(v, self._warn, self.uri, f'{self._name(path)}.{i}')
                for i, v in enumerate(value) if isinstance(v, Mapping)]

    def texts(self, *path: str | int) -> list[str]:
        """The texts of an array."""
        value = self._find(path)
        if value is None:
            return []
        if not isinstance(value, list):
            self.complain(path, value, 'an array')
            return []
        return [v for v in value if isinstance(v, str)]

    def link(self, *path: str | int) -> str | None:
        """The path of a linked resource."""
        value = self._find(path)
        if value is None:
            return None
        found = _uri(value)
        if found:
            return self._linked(path, found)
        if value != {}:
            self.complain(path, value, 'a link')
        return None

    def _linked(self, path: tuple[str | int, ...], uri: str) -> str | None:
        """The path of a link, without the host that it may name."""
        uri = uri.strip()
        wrong = origin.problem(uri)
        if wrong is not None:
            self._warn(self.uri, f'{self._name(path)}: ignoring the link '
                       f'{origin.shown(uri)}: {wrong}')
            return None
        said = origin.warning(uri)
        if said is not None:
            # The same for all such links, so that it is shown once.
            self._warn(self.uri, f'{self._name(path)}: {said}')
        return normal(uri)

    def target(self, *path: str | int) -> origin.ResolvedUri | None:
        """A URI that will be written to, as the service gives it.

        It keeps the host that it may name: the writer refuses a foreign one
        (``origin.to_write``), naming this property.
        """
        found = self.text(*path)
        return None if found is None else self._target(path, found)

    def target_link(self, *path: str | int) -> origin.ResolvedUri | None:
        """The URI of a linked resource that will be written to."""
        value = self._find(path)
        found = value.get('@odata.id') if isinstance(value, Mapping) else None
        if isinstance(found, str) and found:
            return self._target(path, found.strip())
        return None

    def _target(self, path: tuple[str | int, ...], uri: str
                ) -> origin.ResolvedUri:
        return origin.ResolvedUri(uri, f'{self.uri}: {self._name(path)}')

    def links(self, *path: str | int) -> list[str]:
        """The paths of an array of links."""
        value = self._find(path)
        if value is None:
            return []
        if isinstance(value, Mapping) or _uri(value):
            value = [value]
        if not isinstance(value, list):
            self.complain(path, value, 'an array of links')
            return []
        out = [self._linked(path, found) for found in map(_uri, value)
               if found]
        return [link for link in out if link is not None]
