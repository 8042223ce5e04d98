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

"""Profile format 1: plain data in, a typed profile out.

``profile.schema.json`` says what keys there are and of which form each value
is. What no schema can say is checked here: words of the catalogue, names that
refer to each other, versions, digests, and what may be secret in a URL.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import functools
from importlib import resources
import json
import re
from typing import Any
from urllib.parse import urlsplit

from ironic_accel.model.catalog import Catalog
from ironic_accel.model import catalog_types
from ironic_accel.model.catalog_types import ModeFacts
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Limits
from ironic_accel.model.profile import Profile
from ironic_accel.model.profile import Push
from ironic_accel.model import schema_reader
from ironic_accel.model.schema_reader import Problems
from ironic_accel.model.schema_reader import shown
from ironic_accel.model.schema_reader import suggest
from ironic_accel.model.strict_yaml import Path
from ironic_accel.model import version

SCHEMES = ('http', 'https', 'file')

_USER_INFO = re.compile(r'//[^/?#]*@')

Data = Mapping[str, Any]


@functools.cache
def schema() -> Data:
    """The JSON Schema of the format."""
    text = resources.files('ironic_accel.model').joinpath(
        'profile.schema.json').read_text(encoding='utf-8')
    found: Data = json.loads(text)
    return found


def read(data: Any, problems: Problems, catalog: Catalog) -> Profile:
    """A profile out of plain data; what is wrong is noted in ``problems``.

    The result means something only where nothing was noted.
    """
    fine = schema_reader.conforming(data, schema(), problems)
    reader = _Reader(catalog, problems)
    images = {name: reader.image(('images', name), raw)
              for name, raw in fine.get('images', {}).items()}
    groups = tuple(reader.group(('devices', name), name, raw, images)
                   for name, raw in fine.get('devices', {}).items())
    if 'devices' in fine:
        reader.unused(images)
    return Profile(
        name=fine.get('name', ''), groups=groups, images=images,
        summary=fine.get('summary', ''),
        offered=fine.get('offered', False),
        order=reader.order(fine.get('order', [])),
        allow=frozenset(fine.get('allow', ())),
        limits=_limits(fine.get('limits', {})),
        fallback=fine.get('fallback', 'update'))


def url_problem(url: str) -> str | None:
    """What is wrong with an image's URL, or None.

    A URL that may have a secret in it is not repeated in the answer.
    """
    if _USER_INFO.search(url):
        return 'user info is not allowed in an image URL'
    if '?' in url or '#' in url:
        return 'neither query nor fragment is allowed in an image URL'
    if not url.isascii() or re.search(r'[\s\x00-\x1f\x7f\\]', url):
        # Parsers disagree about what is the host of such a one.
        return (f'{url!r} contains blanks, control characters, backslashes '
                'or characters that are not ASCII')
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        return f'{url!r} is not a URL: {exc}'
    if parts.scheme not in SCHEMES:
        return (f'{url!r}, expected a URL with one of the schemes '
                f"{', '.join(SCHEMES)}")
    if parts.scheme == 'file':
        if parts.netloc not in ('', 'localhost') or (
                not parts.path.startswith('/')):
            return f'{url!r}, expected file:///absolute/path'
    elif not host:
        return f'{url!r} has no host'
    if parts.path.endswith('/') or not parts.path:
        return f'{url!r} has no file name'
    return None


def _limits(raw: Data) -> Limits:
    known = dict(raw)
    if 'reset' in known:
        known['reset'] = Activation(known['reset'])
    return Limits(**known)


class _Reader:
    """The parts of a profile, of the right form, checked for their meaning.

    Entries that are required may be missing: that was said already.
    """

    def __init__(self, catalog: Catalog, problems: Problems) -> None:
        self._catalog, self._problems = catalog, problems
        self._used: set[str] = set()

    def image(self, path: Path, raw: Data) -> Image:
        url = raw.get('url', '')
        wrong = url_problem(url) if 'url' in raw else None
        if wrong:
            self._problems.add((*path, 'url'), wrong)
        fits = {key: self._any_of((*path, 'fits', key), values,
                                  self._pci if key == 'pci' else None)
                for key, values in raw.get('fits', {}).items()}
        push = raw.get('push')
        targets = (push or {}).get('targets')
        return Image(
            str(path[-1]), url, raw.get('sha256', '').lower(),
            fits, None if push is None else Push(
                push.get('style', ''), None if targets is None else tuple(
                    [targets] if isinstance(targets, str) else targets)))

    def unused(self, images: Mapping[str, Image]) -> None:
        for name in images:
            if name not in self._used:
                self._problems.add(('images', name),
                                   'no firmware uses this image')

    def group(self, path: Path, name: str, raw: Data,
              images: Mapping[str, Image]) -> Group:
        match = self._match((*path, 'match'), raw.get('match', {}))
        kinds = match.get('kind', ())
        return Group(
            name, match, self._count((*path, 'count'), raw.get('count')),
            {n: self._firmware((*path, 'firmware', n), one, kinds, images)
             for n, one in raw.get('firmware', {}).items()},
            {n: self._mode((*path, 'modes', n), one, kinds)
             for n, one in raw.get('modes', {}).items()},
            raw.get('health', 'ok'))

    def order(self, raw: list[str]) -> tuple[str, ...]:
        known = tuple(sorted({
            name for kind in self._catalog.kinds
            for name in self._catalog.components(kind)}))
        return tuple(self._word(('order', n), word, known)
                     for n, word in enumerate(raw))

    def _word(self, path: Path, value: Any, known: tuple[str, ...]) -> str:
        """A word of a closed list that the catalogue or the profile has."""
        if isinstance(value, str) and value in known:
            return value
        self._problems.expected(
            path, value, schema_reader.one_of(value, known))
        return ''

    def _any_of(self, path: Path, raw: str | list[str],
                read: Callable[[Path, str], str] | None = None
                ) -> tuple[str, ...]:
        """Values of which any will do: their order says nothing."""
        values = [raw] if isinstance(raw, str) else raw
        if read is not None:
            values = [read(path if isinstance(raw, str) else (*path, n), v)
                      for n, v in enumerate(values)]
            if len(set(values)) < len(values) and all(values):
                self._problems.add(path, 'duplicate value')
        return tuple(sorted(v for v in values if v))

    def _pci(self, path: Path, text: str) -> str:
        """``vendor:device`` in four lower-case hexadecimal digits each."""
        ids = [catalog_types.pci_id(part) for part in text.split(':')]
        if len(ids) != 2 or None in ids:
            self._problems.expected(
                path, text, 'PCI ids such as "10de:2330"')
            return ''
        return ':'.join(i or '' for i in ids)

    def _match(self, path: Path, raw: Data) -> dict[str, tuple[str, ...]]:
        readers = {'product': self._product, 'vendor': self._vendor,
                   'pci': self._pci}
        out = {key: self._any_of((*path, key), values, readers.get(key))
               for key, values in raw.items()}
        kinds = out.get('kind', ())
        for name in out.get('product', ()):
            product = self._catalog.product(name)
            if product and kinds and product.kind not in kinds:
                self._problems.add(
                    path, f'product {name} is of kind {product.kind}, '
                    f"not {' or '.join(kinds)}")
        return out

    def _product(self, path: Path, text: str) -> str:
        return self._word(path, text, tuple(self._catalog.products))

    def _vendor(self, path: Path, text: str) -> str:
        return self._catalog.vendor(text) or text

    def _count(self, path: Path, raw: int | Data | None) -> Count:
        if raw is None:
            return Count()
        if isinstance(raw, int):
            return Count(raw, raw)
        low, high = raw.get('min', 1), raw.get('max')
        if high is not None and high < low:
            self._problems.expected(
                path, raw, f'max not less than min ({low})')
        return Count(low, high)

    def _firmware(self, path: Path, raw: Data, kinds: tuple[str, ...],
                  images: Mapping[str, Image]) -> Firmware:
        name = str(path[-1])
        for kind in kinds:
            if self._catalog.base_name(kind, name) is None:
                known = self._catalog.components(kind)
                self._problems.add(
                    path, f'{name!r} is not a component of kind {kind} '
                    f'({suggest(name, known)})')
        wanted = raw.get('version', '')
        if wanted and version.clean(wanted) is None:
            self._problems.expected(
                (*path, 'version'), wanted, 'a version')
        image = None
        if 'image' in raw:
            self._used.add(raw['image'])
            image = self._word((*path, 'image'), raw['image'],
                               tuple(images)) or None
        return Firmware(wanted, raw.get('at_least', False), image)

    def _mode(self, path: Path, raw: Any, kinds: tuple[str, ...]) -> Value:
        name = str(path[-1])
        value: Value = ''
        for kind in kinds:
            known = self._catalog.mode(kind, name)
            if known is None:
                names = self._catalog.modes(kind)
                self._problems.add(
                    path, f'{name!r} is not a mode of kind {kind} '
                    f'({suggest(name, names)})')
            else:
                value = self._mode_value(path, raw, known)
        return value

    def _mode_value(self, path: Path, raw: Any, known: ModeFacts) -> Value:
        """A value of the type and the words that the catalogue says.

        It is the catalogue that knows them, for a kind and a name, so the
        schema leaves them open.
        """
        words = ', '.join(known.values)
        if isinstance(raw, bool) and known.values:
            self._problems.add(
                path, f'{shown(raw)} is a boolean, expected one of {words}: '
                f'write {known.values[0]}, not {shown(raw)}')
            return ''
        if known.type == 'integer':
            if type(raw) is int and raw >= 0:
                return raw
            self._problems.expected(path, raw, 'a whole number from 0')
            return 0
        if known.type == 'word':
            return self._word(path, raw, known.values)
        if not isinstance(raw, list) or not raw:
            self._problems.expected(
                path, raw, f'at least one of {words}' if raw == [] else
                f'a list of words ({words})')
            return ()
        value = tuple(self._word((*path, n), word, known.values)
                      for n, word in enumerate(raw))
        if not known.unordered:
            return value
        if len(set(value)) < len(value):
            self._problems.add(path, 'duplicate value')
        return tuple(sorted(value))
