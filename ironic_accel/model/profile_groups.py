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

"""The groups of devices of a profile: which devices, with what values.

The form of the data was checked by the schema; here it is their meaning, by
the catalogue. Entries that are required may be missing: that was noted.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import re
from typing import Any

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog_types import ModeFacts
from ironic_accel.model.device import Value
from ironic_accel.model import device_marks
from ironic_accel.model import nv_parameters
from ironic_accel.model.profile import ANY
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import FirmwareByProduct
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import is_pattern
from ironic_accel.model.profile import is_product
from ironic_accel.model import profile_spelling
from ironic_accel.model.profile_spelling import Words
from ironic_accel.model.schema_reader import Problems
from ironic_accel.model.schema_reader import shown
from ironic_accel.model.schema_reader import suggest
from ironic_accel.model.strict_yaml import Path
from ironic_accel.model import version

Data = Mapping[str, Any]
Matched = Mapping[str, tuple[str, ...]]

#: What a problem is about that only a later format has.
LATER = 'needs "profile: 2"'


class GroupReader:
    """Reads the groups of one profile.

    :param images: the images of the profile.
    :ivar used: the names of the images that firmware refers to.
    :ivar needed: the lowest format that can say what the groups say.
    """

    def __init__(self, catalog: Catalog, problems: Problems, words: Words,
                 images: Mapping[str, Image]) -> None:
        self._catalog, self._problems = catalog, problems
        self._words, self._images = words, images
        self.used: set[str] = set()
        self.needed = 1

    def group(self, path: Path, name: str, raw: Data) -> Group:
        """One group."""
        match = self._match((*path, 'match'), raw.get('match', {}))
        kinds = match.get('kind', ())
        products = self._selected(match)
        modes = self._names((*path, 'modes'), raw.get('modes', {}),
                            lambda text: self._mode_name(text, kinds))
        firmware = self._names((*path, 'firmware'), raw.get('firmware', {}),
                               lambda text: self._component(text, kinds))
        return Group(
            name, match, self._count((*path, 'count'), raw.get('count')),
            {n: self._firmware(at, n, one, match) for n, at, one in firmware},
            {**{n: self._mode(at, n, one, kinds) for n, at, one in modes},
             **self._parameters((*path, 'raw'), raw.get('raw', {}), kinds,
                                products or ())},
            raw.get('health', 'ok'), products)

    def _names(self, path: Path, raw: Data,
               known: Callable[[str], str | None]
               ) -> Iterator[tuple[str, Path, Any]]:
        """The entries of a mapping by names of the catalogue.

        :returns: the name, where it was written, and the value.
        """
        found: dict[str, str] = {}
        for written, value in raw.items():
            name, at = written, (*path, written)
            meant = known(written) if self._words.format > 1 else None
            if meant is not None and meant != written:
                self._problems.read_as(at, written, meant)
                name = meant
            if name in found:
                self._problems.add(
                    at, f'{shown(written)} and {shown(found[name])} are the '
                    'same name')
                continue
            found[name] = written
            yield name, at, value

    def _component(self, text: str, kinds: Collection[str]) -> str | None:
        """The component that is spelled so; it may have a number."""
        plain = re.sub(r'[\s_]+', '-', text).lower()
        return next(
            (name for kind in kinds for name in (
                profile_spelling.word(text, self._catalog.components(kind)),
                plain)
             if name and self._catalog.base_name(kind, name)), None)

    def _mode_name(self, text: str, kinds: Collection[str]) -> str | None:
        return next((name for kind in kinds if (name := profile_spelling.word(
            text, self._catalog.modes(kind)))), None)

    def _match(self, path: Path, raw: Data) -> dict[str, tuple[str, ...]]:
        kinds = raw.get('kind', ())
        kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        before = len(self._problems.found)
        out = {key: self._words.any_of((*path, key), values, {
            'product': lambda at, text: self._product(at, text, kinds),
            'arch': lambda at, text: self._arch(at, text, kinds),
            'vendor': self._vendor, 'pci': self._words.pci}.get(key))
            for key, values in raw.items()}
        for name in out.get('product', ()):
            product = self._catalog.product(name)
            if product and kinds and product.kind not in kinds:
                self._problems.add(
                    path, f'product {name} is of kind {product.kind}, '
                    f"not {' or '.join(kinds)}")
        if 'arch' in out or any(map(is_pattern, out.get('product', ()))):
            self.needed = 2
            if before == len(self._problems.found) and kinds:
                self._satisfiable(path, out)
        return out

    def _satisfiable(self, path: Path, match: Matched) -> None:
        """Note it where no product is all that is asked for."""
        vendors = match.get('vendor')
        if not any(vendors is None or product.vendor in vendors
                   for name in self._selected(match) or ()
                   if (product := self._catalog.product(name))):
            asked = ', '.join(f"{key} {' or '.join(match[key])}" for key in (
                'kind', 'vendor', 'product', 'arch') if key in match)
            self._problems.add(path, f'no product is of {asked}')

    def _selected(self, match: Matched) -> tuple[str, ...] | None:
        """The products that ``product`` and ``arch`` select, if given."""
        wanted, arches = match.get('product'), match.get('arch')
        if wanted is None and arches is None:
            return None
        return tuple(sorted(
            p.name for p in self._catalog.products.values()
            if p.kind in match.get('kind', ())
            and (wanted is None or any(
                is_product(p.name, one) for one in wanted))
            and (arches is None or p.arch in arches)))

    def _product(self, path: Path, text: str, kinds: Collection[str]) -> str:
        known = tuple(self._catalog.products)
        if not is_pattern(text):
            return self._words.read(path, text, known)
        if self._words.format < 2:
            self._problems.add(path, f'{shown(text)}: a pattern {LATER}')
            return ''
        names = [n for n, p in self._catalog.products.items()
                 if p.kind in kinds] if kinds else list(known)
        if text.lower() != text:
            self._problems.read_as(path, text, text.lower())
            text = text.lower()
        if not any(is_product(name, text) for name in names):
            self._problems.expected(
                path, text, 'a pattern of known products '
                f"({suggest(text.replace('*', ''), names)})")
            return ''
        return text

    def _arch(self, path: Path, text: str, kinds: Collection[str]) -> str:
        known = self._catalog.architectures(kinds)
        if kinds and not known:
            self._problems.add(
                path, f'{shown(text)}: the catalogue has no architecture of '
                f"kind {' or '.join(kinds)}; use product")
            return ''
        return self._words.read(path, text, known)

    def _vendor(self, path: Path, text: str) -> str:
        found = self._catalog.vendor(text)
        if found is not None and found != text:
            self._problems.read_as(path, text, found)
        return found or text

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

    def _firmware(self, path: Path, name: str, raw: Data, match: Matched
                  ) -> Firmware | FirmwareByProduct:
        kinds = match.get('kind', ())
        for kind in kinds:
            if self._catalog.base_name(kind, name) is None:
                known = self._catalog.components(kind)
                self._problems.add(
                    path, f'{name!r} is not a component of kind {kind} '
                    f'({suggest(name, known)})')
        if not raw or not all(isinstance(v, dict) for v in raw.values()):
            return self._version(path, name, raw, kinds)
        rows = {key: self._version(at, name, one, kinds)
                for key, at, one in self._names(
                    path, raw, lambda text: profile_spelling.word(
                        text, (*self._catalog.products, ANY))
                    or (text.lower() if is_pattern(text) else None))}
        self._check_products(path, rows, match)
        if [*rows] == [ANY]:
            return rows[ANY]
        self.needed = 2
        return FirmwareByProduct(rows)

    def _check_products(self, path: Path, rows: Collection[str],
                        match: Matched) -> None:
        """Each row is for devices of the group, each device has one."""
        chosen = self._selected(match)
        if chosen is None:
            chosen = tuple(p.name for p in self._catalog.products.values()
                           if p.kind in match.get('kind', ()))
        if not chosen:
            # The match is wrong, which was noted.
            return
        for row in rows:
            if row == ANY or any(is_product(p, row) for p in chosen):
                continue
            self._problems.add(
                (*path, row), 'match of the group selects no such product '
                f"({suggest(row.replace('*', ''), chosen)})")
        for product in chosen:
            twice = [r for r in rows if is_pattern(r)
                     and is_product(product, r)]
            if product not in rows and len(twice) > 1:
                self._problems.add(
                    path, f"{' and '.join(twice)} both match {product}: add "
                    f'{product}')

    def _version(self, path: Path, name: str, raw: Data,
                 kinds: Collection[str]) -> Firmware:
        wanted = raw.get('version', '')
        if wanted and device_marks.clean_text(wanted) is None:
            self._problems.expected((*path, 'version'), wanted, 'a version')
        facts = next((f for k in kinds
                      if (f := self._catalog.component(k, name))), None)
        if self._words.format > 1 and facts is not None:
            plain = version.spelled(wanted, facts.form)
            if plain != wanted:
                self._problems.read_as((*path, 'version'), wanted, plain)
                wanted = plain
        image = None
        if 'image' in raw:
            self.used.add(raw['image'])
            # Its name is the operator's own: there is one spelling of it.
            image = self._words.read((*path, 'image'), raw['image'],
                                     tuple(self._images), lambda _: None
                                     ) or None
        return Firmware(wanted, raw.get('at_least', False), image)

    def _mode(self, path: Path, name: str, raw: Any,
              kinds: Collection[str]) -> Value:
        value: Value = ''
        for kind in kinds:
            known = self._catalog.mode(kind, name)
            if known is None:
                self._problems.add(path, self._no_mode(name, kind))
            elif known.since > self._words.format:
                self._problems.add(path, LATER)
            else:
                self.needed = max(self.needed, known.since)
                value = self._mode_value(path, raw, known)
        return value

    def _no_mode(self, name: str, kind: str) -> str:
        """Why a name is not a mode of a kind."""
        no = f'{name!r} is not a mode of kind {kind}'
        reason = self._catalog.refused_mode(kind, name)
        if reason is None and (nv_parameters.is_name(name)
                               or nv_parameters.spelled(name)):
            reason = 'an NV configuration parameter is written below raw'
        return f'{no}: {reason}' if reason else (
            f'{no} ({suggest(name, self._catalog.modes(kind))})')

    def _parameters(self, path: Path, raw: Data, kinds: Collection[str],
                    products: Collection[str]) -> dict[str, Value]:
        """NV configuration parameters by their own names."""
        out: dict[str, Value] = {}
        for name, at, written in self._names(path, raw, nv_parameters.spelled):
            self.needed = 2
            why = nv_parameters.problem(name, kinds, products)
            known = nv_parameters.find(name)
            value = nv_parameters.value_of(name, written)
            if why is not None or known is None:
                self._problems.add(at, why or 'is not known')
            elif value is None:
                self._problems.expected(at, written, known.expected)
            else:
                if value != written:
                    self._problems.read_as(at, written, value)
                out[name] = value
        return out

    def _mode_value(self, path: Path, raw: Any, known: ModeFacts) -> Value:
        """A value of the type and the words that the catalogue says.

        It is the catalogue that knows them, for a kind and a name, so the
        schema leaves them open.
        """
        words = ', '.join(known.values)
        if isinstance(raw, bool) and known.values and not (
                known.is_switch and known.type == 'word'
                and self._words.format > 1):
            meant = profile_spelling.maybe_meant(raw, known.values)
            self._problems.add(
                path, f'{shown(raw)} is a boolean, expected one of {words}' + (
                    f': write {meant}, not {shown(raw)}' if meant else ''))
            return ''
        if known.type == 'integer':
            if type(raw) is int and known.accepts(raw):
                return raw
            self._problems.expected(path, raw, 'a whole number from 0' + (
                '' if known.maximum is None else f' to {known.maximum}'))
            return 0
        if known.type == 'word':
            return self._mode_word(path, raw, known)
        if isinstance(raw, str) and self._words.format > 1:
            if not known.unordered:
                self.needed = 2
                return self._mode_word(path, raw, known)
            parts = profile_spelling.separated(raw)
            self._problems.read_as(path, raw, parts)
            raw = parts
        if not isinstance(raw, list) or not raw:
            self._problems.expected(
                path, raw, f'at least one of {words}' if raw == [] else
                f'a list of words ({words})' + (
                    f'; one word for every port {LATER}'
                    if raw in known.values and not known.unordered else ''))
            return ()
        value = tuple(self._mode_word((*path, n), word, known)
                      for n, word in enumerate(raw))
        if not known.unordered:
            return value
        if len(set(value)) < len(value):
            self._problems.add(path, 'duplicate value')
        return tuple(sorted(value))

    def _mode_word(self, path: Path, raw: Any, known: ModeFacts) -> str:
        return self._words.read(
            path, raw, known.values,
            lambda text: profile_spelling.mode_word(text, known))
