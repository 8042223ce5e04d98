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

"""The checks of profile format 1: plain data in, a typed profile out."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import re
from typing import Any

from ironic_accel.model.catalog import Catalog
from ironic_accel.model import catalog_types
from ironic_accel.model.device import Effect
from ironic_accel.model.device import Value
from ironic_accel.model import image_url
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import FORMAT
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Limits
from ironic_accel.model.profile import Profile
from ironic_accel.model.profile import Push
from ironic_accel.model import profile_values
from ironic_accel.model.schema_reader import Node
from ironic_accel.model.schema_reader import Problems
from ironic_accel.model.schema_reader import suggest
from ironic_accel.model.strict_yaml import Path
from ironic_accel.model import version

ALLOWABLE = ('downgrade', 'force', 'collateral', 'burn_at_deploy',
             'first_boot', 'staged')
FITS = ('psid', 'board', 'part_number', 'model', 'pci')
MATCHES = ('kind', 'vendor', 'product', 'pci', 'part_number', 'psid',
           'location')
FALLBACK = ('update', 'keep')
HEALTH = ('ok', 'proved', 'any')
LONGEST_NAME = 48

_NAME = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]+)*')
_LABEL = re.compile(r'[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*')
_SHA256 = re.compile(r'[0-9A-Fa-f]{64}')


def read(data: Any, problems: Problems, catalog: Catalog) -> Profile:
    """A profile out of plain data; what is wrong is noted in ``problems``.

    The result means something only where nothing was noted.
    """
    top = Node(data, (), problems)
    fields = top.fields(
        ('profile', 'name', 'summary', 'offered', 'images', 'devices',
         'order', 'allow', 'limits', 'fallback'),
        ('profile', 'name', 'devices'))
    reader = _Reader(catalog, problems)
    if 'profile' in fields and not (
            type(fields['profile'].data) is int
            and fields['profile'].data == FORMAT):
        fields['profile'].fail(f'{FORMAT} (the format)')
    images = reader.images(fields.get('images'))
    groups = reader.groups(fields.get('devices'), images)
    return Profile(
        name=_name(fields.get('name')), groups=groups, images=images,
        summary=fields['summary'].text() if 'summary' in fields else '',
        offered=('offered' in fields and fields['offered'].boolean()),
        order=reader.order(fields.get('order')),
        allow=frozenset(_words(fields.get('allow'), ALLOWABLE)),
        limits=_limits(fields.get('limits')),
        fallback=(fields['fallback'].word(FALLBACK)
                  if 'fallback' in fields else 'update'))


def _name(node: Node | None) -> str:
    if node is None:
        return ''
    name = node.text(_NAME, 'a name')
    if len(name) > LONGEST_NAME:
        node.fail(f'a name of at most {LONGEST_NAME} characters')
    return name


def _words(node: Node | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """A list of words out of a closed list; it may be empty."""
    if node is None or node.data == []:
        return ()
    if not isinstance(node.data, list):
        node.fail('a list')
        return ()
    return node.texts(lambda n: n.word(known))


def _any_of(node: Node, read: Callable[[Node], str] | None
            ) -> tuple[str, ...]:
    """A text or several of which any will do: their order says nothing."""
    return tuple(sorted(node.texts(read)))


def _limits(node: Node | None) -> Limits:
    if node is None:
        return Limits()
    fields = node.fields(('attempts', 'resets', 'reset', 'minutes'))
    known: dict[str, Any] = {}
    for name, low, high in (('attempts', 1, 5), ('resets', 0, 10),
                            ('minutes', 1, 1440)):
        if name in fields:
            known[name] = fields[name].integer(low, high)
    if 'reset' in fields:
        word = fields['reset'].word([e.value for e in Effect])
        known['reset'] = Effect(word or Effect.NONE)
    return Limits(**known)


def _pci(node: Node) -> str:
    """``vendor:device`` in four lower-case hexadecimal digits each."""
    text = node.text()
    ids = [catalog_types.pci_id(part) for part in text.split(':')]
    if text and (len(ids) != 2 or None in ids):
        node.fail('PCI ids such as "10de:2330"')
        return ''
    return ':'.join(i or '' for i in ids)


def _url(node: Node | None) -> str:
    """An image's address; what may be secret in it is never repeated."""
    if node is None:
        return ''
    if isinstance(node.data, str):
        wrong = image_url.problem(node.data)
        if wrong:
            node.say(wrong)
            return ''
    return node.text()


class _Reader:
    """The parts of a profile that need the catalogue or each other."""

    def __init__(self, catalog: Catalog, problems: Problems) -> None:
        self._catalog, self._problems = catalog, problems
        self._used: set[str] = set()

    def images(self, node: Node | None) -> dict[str, Image]:
        if node is None:
            return {}
        return {name: self._image(name, entry)
                for name, entry in node.entries(_LABEL).items()}

    def _image(self, name: str, node: Node) -> Image:
        fields = node.fields(('url', 'sha256', 'fits', 'push'),
                             ('url', 'sha256', 'fits'))
        fits: dict[str, tuple[str, ...]] = {}
        if 'fits' in fields:
            entries = fields['fits'].fields(FITS)
            if not entries:
                fields['fits'].fail('at least one of ' + ', '.join(FITS))
            fits = {key: _any_of(entry, _pci if key == 'pci' else None)
                    for key, entry in entries.items()}
        digest = (fields['sha256'].text(_SHA256, 'a SHA-256 digest')
                  if 'sha256' in fields else '')
        return Image(
            name, _url(fields.get('url')), digest.lower(), fits,
            self._push(fields.get('push')))

    def _push(self, node: Node | None) -> Push | None:
        if node is None:
            return None
        fields = node.fields(('style', 'targets'), ('style',))
        targets = None
        if 'targets' in fields:
            targets = (() if fields['targets'].data == []
                       else fields['targets'].texts())
        style = fields['style'].text(_NAME) if 'style' in fields else ''
        return Push(style, targets)

    def groups(self, node: Node | None,
               images: Mapping[str, Image]) -> tuple[Group, ...]:
        if node is None:
            return ()
        entries = node.entries(_LABEL)
        if not node.data and isinstance(node.data, dict):
            node.fail('at least one group of devices')
        groups = tuple(self._group(name, entry, images)
                       for name, entry in entries.items())
        for name in images:
            if name not in self._used:
                path: Path = ('images', name)
                self._problems.add(path, 'no firmware uses this image')
        return groups

    def _group(self, name: str, node: Node,
               images: Mapping[str, Image]) -> Group:
        fields = node.fields(('match', 'count', 'firmware', 'modes',
                              'health'), ('match',))
        match = self._match(fields.get('match'))
        kinds = match.get('kind', ())
        firmware = fields.get('firmware')
        modes = fields.get('modes')
        return Group(
            name, match, profile_values.count(fields.get('count')),
            {n: self._firmware(n, entry, kinds, images) for n, entry in (
                firmware.entries().items() if firmware else ())},
            {n: self._mode(n, entry, kinds) for n, entry in (
                modes.entries().items() if modes else ())},
            fields['health'].word(HEALTH) if 'health' in fields
            else 'ok')

    def _match(self, node: Node | None) -> dict[str, tuple[str, ...]]:
        if node is None:
            return {}
        readers = {'kind': lambda n: n.word(self._catalog.kinds),
                   'product': self._product, 'vendor': self._vendor,
                   'pci': _pci}
        out = {key: _any_of(entry, readers.get(key)) for key, entry in
               node.fields(MATCHES, ('kind',)).items()}
        kinds = out.get('kind', ())
        for name in out.get('product', ()):
            product = self._catalog.product(name)
            if product and kinds and product.kind not in kinds:
                node.say(f'product {name} is of kind {product.kind}, '
                         f"not {' or '.join(kinds)}")
        return out

    def _product(self, node: Node) -> str:
        return node.word(tuple(self._catalog.products))

    def _vendor(self, node: Node) -> str:
        text = node.text()
        return self._catalog.vendor(text) or text

    def _firmware(self, name: str, node: Node, kinds: tuple[str, ...],
                  images: Mapping[str, Image]) -> Firmware:
        for kind in kinds:
            if self._catalog.base_name(kind, name) is None:
                known = self._catalog.components(kind)
                node.say(f'{name!r} is no component of kind {kind} '
                         f'({suggest(name, known)})')
        fields = node.fields(('version', 'at_least', 'image'), ('version',))
        wanted = fields['version'].text() if 'version' in fields else ''
        if wanted and version.clean(wanted) is None:
            fields['version'].fail('a version')
        image = None
        if 'image' in fields:
            image = fields['image'].word(tuple(images)) or None
            self._used.add(str(fields['image'].data))
        return Firmware(wanted, 'at_least' in fields
                        and fields['at_least'].boolean(), image)

    def _mode(self, name: str, node: Node, kinds: tuple[str, ...]) -> Value:
        value: Value = ''
        for kind in kinds:
            known = self._catalog.mode(kind, name)
            if known is None:
                names = self._catalog.modes(kind)
                node.say(f'{name!r} is no mode of kind {kind} '
                         f'({suggest(name, names)})')
            else:
                value = profile_values.mode(node, known)
        return value

    def order(self, node: Node | None) -> tuple[str, ...]:
        known = {name for kind in self._catalog.kinds
                 for name in self._catalog.components(kind)}
        return _words(node, tuple(sorted(known)))
