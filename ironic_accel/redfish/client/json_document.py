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

"""Typed access to the properties of a Redfish resource.

A property that is missing, null, of the wrong type or has an unknown value
is read as None, with a warning if it matters; the other properties are not
affected. All parsing of resources happens here.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import functools
import re
from typing import Any

from ironic_accel.model import device_marks
from ironic_accel.redfish.client import origin

#: Called with the URI of a resource and a warning about it.
Warn = Callable[[str, str], None]

#: Maximum length of a path that ``normal`` caches.
_KEPT = 512


def normal(uri: str) -> str:
    """A resource's path without query, fragment and closing slash.

    An authority in the URI is dropped: the path is read from the same BMC.
    An invalid URI is returned unchanged, and is refused when it is read.
    """
    # Long strings from a BMC are not cached.
    return _normal(uri) if len(uri) <= _KEPT else _stripped(uri)


def _stripped(uri: str) -> str:
    uri = uri.strip()
    path = (origin.path(uri) or uri).split('?', 1)[0].split('#', 1)[0]
    return path.rstrip('/') or '/'


#: Each path is used many times in one inventory.
_normal = functools.lru_cache(maxsize=8192)(_stripped)


def last(uri: str) -> str:
    """The last segment of a path, usually the Id of a resource."""
    return normal(uri).rsplit('/', 1)[-1]


def stem(uri: str) -> str:
    """The common form of the Ids of similar resources: ``GPU_#``."""
    return re.sub('[0-9]+', '#', last(uri))


def _uri(value: Any) -> str | None:
    """The URI of a link, or None.

    Some services have a bare path in RelatedItem.
    """
    if isinstance(value, str):
        return value if value.startswith('/redfish/') else None
    found = value.get('@odata.id') if isinstance(value, Mapping) else None
    return found if isinstance(found, str) and found else None


class Fields:
    """Typed access to one resource, or to an object in it.

    :param doc: the JSON object.
    :param warn: called with warnings.
    :param uri: path of the resource, if the object is a part of it.
    :param at: path of that part, for warnings.
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
                    self.warn_expected(
                        path[:depth], value,
                        'an array' if isinstance(key, int) else 'an object')
                return None
        return value

    def _name(self, path: tuple[str | int, ...]) -> str:
        return '.'.join([*([self._at] if self._at else []),
                         *map(str, path)])

    def warn_expected(self, path: tuple[str | int, ...], value: Any,
                      expected: str) -> None:
        """Warn of a property with its path, value and expected value."""
        if value is None or value == '':
            self._warn(self.uri, f'{self._name(path)} is missing or empty')
            return
        shown = repr(value)
        if len(shown) > 80:
            shown = f'{shown[:77]}...'
        self._warn(self.uri,
                   f'{self._name(path)}: {shown}: expected {expected}')

    def add_warning(self, message: str) -> None:
        """Add a warning about the resource."""
        self._warn(self.uri, message)

    def has(self, *path: str | int) -> bool:
        """Whether a property exists and is not null."""
        return self._find(path) is not None

    def knows(self, *path: str) -> bool:
        """Whether a property exists, even if it is null."""
        parent = self._find(path[:-1]) if len(path) > 1 else self.doc
        return isinstance(parent, Mapping) and path[-1] in parent

    def text(self, *path: str | int, needed: bool = False) -> str | None:
        """A string, cleaned.

        :param needed: warn also if it is missing, null or empty.
        """
        value = self._find(path)
        if isinstance(value, str):
            found = device_marks.clean_text(value)
            if found is None and needed:
                self.warn_expected(path, value, 'a non-empty string')
            return found
        if value is not None or needed:
            self.warn_expected(path, value, 'a string')
        return None

    def flag(self, *path: str | int) -> bool | None:
        """A boolean."""
        value = self._find(path)
        if value is None or isinstance(value, bool):
            return value
        self.warn_expected(path, value, 'true or false')
        return None

    def number(self, *path: str | int) -> int | None:
        """An integer."""
        value = self._find(path)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or type(value) is int:
            return value
        self.warn_expected(path, value, 'an integer')
        return None

    def reading(self, *path: str | int) -> float | None:
        """A measured number, as a float."""
        value = self._find(path)
        if value is None or type(value) in (int, float):
            return None if value is None else float(value)
        self.warn_expected(path, value, 'a number')
        return None

    def word(self, *path: str | int, known: Collection[str],
             needed: bool = False) -> str | None:
        """A value of an enumeration."""
        value = self._find(path)
        if isinstance(value, str) and value in known:
            return value
        if needed or value not in (None, ''):
            self.warn_expected(path, value,
                               f'one of {", ".join(sorted(known))}')
        return None

    def part(self, *path: str | int) -> Fields:
        """An object within the resource; an empty one if it is missing."""
        value = self._find(path)
        if value is not None and not isinstance(value, Mapping):
            self.warn_expected(path, value, 'an object')
        found = value if isinstance(value, Mapping) else {}
        return Fields(found, self._warn, self.uri, self._name(path))

    def parts(self, *path: str | int) -> list[Fields]:
        """The objects of an array within the resource."""
        return [Fields(v, self._warn, self.uri, f'{self._name(path)}.{i}')
                for i, v in enumerate(self._array(path))
                if isinstance(v, Mapping)]

    def texts(self, *path: str | int) -> list[str]:
        """The strings of an array."""
        return [v for v in self._array(path) if isinstance(v, str)]

    def _array(self, path: tuple[str | int, ...]) -> list[Any]:
        """An array within the resource; an empty one if it is missing."""
        value = self._find(path)
        if value is not None and not isinstance(value, list):
            self.warn_expected(path, value, 'an array')
        return value if isinstance(value, list) else []

    def link(self, *path: str | int) -> str | None:
        """The path of a linked resource."""
        value = self._find(path)
        if value is None:
            return None
        found = _uri(value)
        if found:
            return self._linked(path, found)
        if value != {}:
            self.warn_expected(path, value, 'a link')
        return None

    def _linked(self, path: tuple[str | int, ...], uri: str) -> str | None:
        """The path of a link, without scheme and host."""
        uri = uri.strip()
        wrong = origin.problem(uri)
        if wrong is not None:
            self._warn(self.uri, f'{self._name(path)}: ignoring the link '
                       f'{origin.shown(uri)}: {wrong}')
            return None
        said = origin.warning(uri)
        if said is not None:
            # The same text for all such links, so that it is logged once.
            self._warn(self.uri, f'{self._name(path)}: {said}')
        return normal(uri)

    def target(self, *path: str | int) -> origin.ResolvedUri | None:
        """A URI that will be written to, exactly as in the resource.

        It keeps a host: the writer refuses a foreign one, naming this
        property (``origin.to_write``).
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
            self.warn_expected(path, value, 'an array of links')
            return []
        out = [self._linked(path, found) for found in map(_uri, value)
               if found]
        return [link for link in out if link is not None]
