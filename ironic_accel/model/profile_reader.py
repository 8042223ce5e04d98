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

"""Profile formats 1 and 2: plain data in, a typed profile out.

``profile.schema.json`` says what keys there are and of which form each value
is. What no schema can say is checked here and in ``profile_groups``: words of
the catalogue, names that refer to each other, versions, digests, and what may
be secret in a URL.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import copy
import functools
from importlib import resources
import json
import re
from typing import Any
from urllib.parse import urlsplit

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.profile import FORMATS
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Limits
from ironic_accel.model.profile import Profile
from ironic_accel.model.profile import Push
from ironic_accel.model.profile_groups import GroupReader
from ironic_accel.model import profile_spelling
from ironic_accel.model.profile_spelling import Words
from ironic_accel.model import schema_reader
from ironic_accel.model.schema_reader import Problems
from ironic_accel.model.strict_yaml import Path

_KNOWN_FORMATS = (
    f"{' or '.join(map(str, FORMATS))}, the formats that this release of "
    'ironic-accel reads (one of a later format needs a later release)')

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
    given = data.get('profile') if isinstance(data, dict) else None
    if type(given) is int and given not in FORMATS:
        # What else it has, no one can judge who does not know the format.
        problems.expected(('profile',), given, _KNOWN_FORMATS)
        return Profile('', ())
    words = Words(given if type(given) is int else FORMATS[0], problems)
    if words.format > 1:
        data = copy.deepcopy(data)
        for path, written in profile_spelling.respelled(data, schema()):
            problems.read_as(path, written, _at(data, path))
    fine = schema_reader.conforming(data, schema(), problems)
    reader = _ProfileReader(catalog, problems, words)
    images = {name: reader.image(('images', name), raw)
              for name, raw in fine.get('images', {}).items()}
    reading = GroupReader(catalog, problems, words, images)
    groups = tuple(reading.group(('devices', name), name, raw)
                   for name, raw in fine.get('devices', {}).items())
    if 'devices' in fine:
        reader.unused(images, reading.used)
    return Profile(name=fine.get('name', ''), groups=groups, images=images,
                   summary=fine.get('summary', ''),
                   offered=fine.get('offered', False),
                   order=reader.order(fine.get('order', [])),
                   allow=frozenset(fine.get('allow', ())),
                   limits=_limits(fine.get('limits', {})),
                   fallback=fine.get('fallback', 'update'),
                   format=reading.needed, notes=tuple(problems.notes))


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


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


def _limits(raw: Data) -> Limits:
    known = dict(raw)
    if 'reset' in known:
        known['reset'] = Activation(known['reset'])
    return Limits(**known)


class _ProfileReader:
    """The parts of a profile, of the right form, checked for their meaning.

    Entries that are required may be missing: that was said already.
    """

    def __init__(self, catalog: Catalog, problems: Problems,
                 words: Words) -> None:
        self._catalog, self._problems = catalog, problems
        self._words = words

    def image(self, path: Path, raw: Data) -> Image:
        url = raw.get('url', '')
        wrong = url_problem(url) if 'url' in raw else None
        if wrong:
            self._problems.add((*path, 'url'), wrong)
        fits = {key: self._words.any_of(
            (*path, 'fits', key), values,
            self._words.pci if key == 'pci' else None)
                for key, values in raw.get('fits', {}).items()}
        push = raw.get('push')
        targets = (push or {}).get('targets')
        return Image(
            str(path[-1]), url, raw.get('sha256', '').lower(),
            fits, None if push is None else Push(
                push.get('style', ''), None if targets is None else tuple(
                    [targets] if isinstance(targets, str) else targets)))

    def unused(self, images: Mapping[str, Image],
               used: Collection[str]) -> None:
        for name in images:
            if name not in used:
                self._problems.add(('images', name),
                                   'no firmware uses this image')

    def order(self, raw: list[str]) -> tuple[str, ...]:
        known = tuple(sorted({
            name for kind in self._catalog.kinds
            for name in self._catalog.components(kind)}))
        return tuple(self._words.read(('order', n), word, known)
                     for n, word in enumerate(raw))

