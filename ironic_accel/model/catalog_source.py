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

"""Reading the catalogue's own data files, with every mistake named."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from importlib import resources
import json
import logging
from typing import Any

from ironic_accel.model.catalog_types import Architecture
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.errors import BadInput
from ironic_accel.model import strict_yaml
from ironic_accel.model import version

LOG = logging.getLogger(__name__)

_FOLDER = 'catalog_data'
_SCHEMA = 'schema.json'
#: Keys of component and mode rows by the names that they had before.
_RENAMED = {'effect': 'activation', 'persists': 'persistent'}


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """What the data files hold, checked each by itself and together."""

    products: tuple[Product, ...]
    vendors: Mapping[str, Mapping[str, Any]]
    components: tuple[Mapping[str, Any], ...]
    modes: tuple[Mapping[str, Any], ...]
    architectures: tuple[Architecture, ...] = ()
    refused: tuple[Mapping[str, Any], ...] = ()


def parse(files: Mapping[str, str], schema: Mapping[str, Any],
          shipped: Collection[str] = ()) -> Rows:
    """Rows out of file texts by file name, later ones over earlier ones.

    :param shipped: the files that are part of this package. They are not
        compared with the schema each time a command starts: a test does it.
    :raises: BadInput naming file, path and value of every mistake.
    """
    products: list[Product] = []
    vendors: dict[str, Any] = {}
    components: list[Mapping[str, Any]] = []
    modes: list[Mapping[str, Any]] = []
    architectures: list[Mapping[str, Any]] = []
    refused: list[Mapping[str, Any]] = []
    problems: list[str] = []
    for name, text in files.items():
        ours = name in shipped
        for doc in strict_yaml.documents(text, name, ours):
            _rename_keys(doc.data, name)
            bad = [] if ours else list(_invalid(doc.data, schema, name))
            problems += bad
            if bad:
                continue
            vendors |= doc.data.get('vendors', {})
            sourced = _Sourced(name, doc.data.get('sources', {}), problems)
            products += [p for row in doc.data.get('products', ())
                         if (p := sourced.product(doc.data, row))]
            components += sourced.rows(doc.data.get('components', ()))
            modes += sourced.rows(doc.data.get('modes', ()))
            architectures += sourced.rows(doc.data.get('architectures', ()))
            refused += sourced.rows(doc.data.get('refused_modes', ()))
    rows = Rows(tuple(products), vendors, _general_first(components),
                _general_first(modes),
                tuple(Architecture(**row) for row in architectures),
                tuple(refused))
    problems += _contradictions(rows)
    if problems:
        raise BadInput('catalogue: ' + '; '.join(problems))
    return rows


def read(more: Mapping[str, str] | None = None) -> Rows:
    """Rows of the data files that ship with this package.

    :param more: texts of a site's own files by name, laid over ours: among
        rows of one scope (kind, vendor, architecture, product) theirs win.
    :raises: BadInput as ``parse``.
    """
    folder = resources.files(__package__) / _FOLDER
    files = {f.name: f.read_text('utf-8')
             for f in sorted(folder.iterdir(), key=lambda f: f.name)
             if f.name.endswith('.yaml')}
    schema = json.loads((folder / _SCHEMA).read_text('utf-8'))
    more = more or {}
    return parse({**files, **more}, schema, files.keys() - more.keys())


class _Sourced:
    """Puts the words of the sources in place of their keys."""

    def __init__(self, file: str, sources: Mapping[str, str],
                 problems: list[str]) -> None:
        self._file, self._sources = file, sources
        self._problems = problems

    def _words(self, row: Mapping[str, Any]) -> str:
        words = []
        for key in row['source']:
            if key not in self._sources:
                self._problems.append(
                    f"{self._file}: {row['name']}: source: {key!r} is not "
                    'among the sources of the file')
            words.append(self._sources.get(key, key))
        return '; '.join(words)

    def rows(self, rows: Any) -> list[Mapping[str, Any]]:
        return [{**row, 'source': self._words(row)} for row in rows]

    def product(self, doc: Mapping[str, Any],
                row: Mapping[str, Any]) -> Product | None:
        merged: dict[str, Any] = {
            **doc.get('defaults', {}), **row, 'source': self._words(row)}
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in merged.items()}
        # A row may have them of the defaults, so no schema asks for them.
        missing = [f.name for f in dataclasses.fields(Product)
                   if f.default is dataclasses.MISSING
                   and f.default_factory is dataclasses.MISSING
                   and f.name not in fields]
        if missing:
            self._problems.append(
                f"{self._file}: {row['name']}: {', '.join(missing)}: "
                'missing, in the row and in the defaults of the file')
            return None
        return Product(**fields)


def _rename_keys(data: Any, name: str) -> None:
    """Rename deprecated keys of component and mode rows, in place.

    A row with both names keeps both: the schema refuses the deprecated one.
    """
    found: dict[str, None] = {}
    for section in ('components', 'modes'):
        rows = data.get(section) if isinstance(data, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, dict):
                continue
            for old, new in _RENAMED.items():
                if old in row and new not in row:
                    row[new] = row.pop(old)
                    found[old] = None
    for old in found:
        LOG.warning('Catalogue file %(file)s: the key %(old)s is deprecated '
                    'and will be removed; use %(new)s', {
                        'file': name, 'old': old, 'new': _RENAMED[old]})


def _invalid(data: Any, schema: Mapping[str, Any],
             name: str) -> Iterator[str]:
    # Late: its import takes longer than all that is read of the catalogue.
    import jsonschema
    checker = jsonschema.Draft202012Validator(schema)
    for error in checker.iter_errors(data):
        path = strict_yaml.dotted(tuple(error.absolute_path))
        yield f'{name}: {path}: {error.message}'


def _general_first(
        rows: list[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """General rows, then those for vendors, architectures, products."""
    return tuple(sorted(rows, key=_narrowness))


def _narrowness(row: Mapping[str, Any]) -> int:
    scope = row.get('for', {})
    return 4 * ('product' in scope) + 2 * ('arch' in scope) + (
        'vendor' in scope)


def _contradictions(rows: Rows) -> Iterator[str]:
    """What no file shows by itself: names and ids given twice, unknown."""
    known: dict[str, str] = {}
    names = {p.name for p in rows.products}
    listed = {(r['kind'], r['name']) for r in rows.components
              if 'for' not in r}
    moded = {(kind, r['name']) for r in rows.modes if 'for' not in r
             for kind in r['kinds']}
    for product in rows.products:
        keys = [f'name {product.name}']
        keys += [f'model {product.vendor} {m.lower()}'
                 for m in product.models]
        if product.variant_of is None:
            keys += [f'pci {p}' for p in product.pci]
        elif product.variant_of not in names:
            yield f'{product.name}: variant_of: {product.variant_of!r}'
        if product.vendor not in rows.vendors:
            yield f'{product.name}: vendor: {product.vendor!r} is unknown'
        for key in keys:
            if known.setdefault(key, product.name) != product.name:
                yield f'{key} is claimed by {known[key]} and {product.name}'
            elif key.startswith('name ') and len(
                    [p for p in rows.products
                     if p.name == product.name]) > 1:
                yield f'{key} is defined twice'
        for what, have, ours in (('component', listed, product.components),
                                 ('mode', moded, product.modes)):
            for name in ours:
                if (product.kind, name) not in have:
                    yield (f'{product.name}: {name!r} is not a {what} of kind '
                           f'{product.kind}')
    for arch in rows.architectures:
        if arch.vendor not in rows.vendors:
            yield f'{arch.name}: vendor: {arch.vendor!r} is unknown'
    for row in rows.components:
        yield from _astray(row, rows, (row['kind'],), listed)
        try:
            version.require(row.get('form', 'auto'))
        except ValueError as exc:
            yield f"{row['name']}: {exc}"
    for row in rows.modes:
        yield from _astray(row, rows, row['kinds'], moded)
        for value in row.get('spellings', {}):
            if value not in row.get('values', ()):
                yield (f"{row['name']}: spellings.{value}: not among the "
                       'values of this row')


def _astray(row: Mapping[str, Any], rows: Rows, kinds: Iterable[str],
            listed: set[tuple[str, str]]) -> Iterator[str]:
    """What a row for some devices names that nothing else knows: it would
    be read and never hold.
    """
    scope = row.get('for', {})
    known: dict[str, set[str | None]] = {
        'vendor': set(rows.vendors),
        'arch': {p.arch for p in rows.products},
        'product': {p.name for p in rows.products}}
    for key, wanted in scope.items():
        for word in wanted:
            if word not in known[key]:
                yield f"{row['name']}: for.{key}: {word!r} is unknown"
    for kind in kinds:
        if (kind, row['name']) not in listed:
            yield f"{row['name']}: unknown name for kind {kind}"
