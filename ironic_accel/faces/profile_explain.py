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

"""Explain the keys of a profile, and what the catalogue has for them.

As ``kubectl explain`` does: a path of keys (``devices.match.product``) is
explained from the schema of profiles, a kind of device or a product, with what
it has (``gpu.modes.ecc``, ``nvidia-h100-sxm``), from the catalogue. Names that
the author of a profile chooses (of groups, of images) may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
from importlib import resources
import json
from typing import Any, NamedTuple

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog import ComponentFacts
from ironic_accel.model.catalog import ModeFacts
from ironic_accel.model.catalog import Product
from ironic_accel.model import errors
from ironic_accel.model import schema_reader

Schema = Mapping[str, Any]

COLUMNS = ('Name', 'Values', 'Activation', 'Persistent', 'Devices',
           'Description')
_TYPES = {'object': 'a mapping', 'array': 'a list', 'string': 'text',
          'boolean': 'true or false'}
#: What is printed for a fact that no source proves.
UNPROVED = 'not proved'


class Fact(NamedTuple):
    """One name, in the order of ``COLUMNS``.

    :ivar values: what it may be; a closed list, or what is expected.
    :ivar devices: the products that the row is for; empty for all.
    """

    name: str
    values: tuple[str, ...] = ()
    activation: str | None = None
    persistent: str | None = None
    devices: tuple[str, ...] = ()
    text: str = ''


def explain(path: str, catalog: Catalog) -> list[Fact]:
    """The rows of a path: the name itself, then what it contains.

    :param path: keys with dots between them; empty for a whole profile.
    :raises: BadInput for an unknown name, with those that are known there.
    """
    words = [word for word in path.split('.') if word]
    if words and words[0] in catalog.kinds:
        return _of_kind(words[0], words[1:], catalog)
    product = catalog.product(words[0]) if words else None
    if product is not None:
        return _of_product(product, words[1:], catalog)
    return _of_schema(words, catalog)


# From the schema

@functools.cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files(
        'ironic_accel.model').joinpath('profile.schema.json').read_text(
            encoding='utf-8'))
    return found


def _resolved(part: Schema) -> Schema:
    """A part of the schema with what it refers to; its own keys win."""
    found: dict[str, Any] = dict(part)
    while '$ref' in found:
        name = found.pop('$ref').rpartition('/')[2]
        found = {**_schema()['$defs'][name], **found}
    if 'else' in found:
        # Versions of a component: for all products, or by product.
        found = {**_resolved(found['else']), **{
            k: v for k, v in found.items() if k not in ('if', 'then', 'else')}}
    return found


def _fields(part: Schema) -> dict[str, Schema]:
    """The keys of a mapping; those of its values if its keys are chosen."""
    own = part.get('properties')
    if own:
        return {name: _resolved(one) for name, one in own.items()}
    inner = part.get('additionalProperties')
    return _fields(_resolved(inner)) if isinstance(inner, dict) else {}


def _chosen(part: Schema) -> Schema | None:
    """The values of a mapping whose keys the author chooses, or None."""
    inner = part.get('additionalProperties')
    return (_resolved(inner) if isinstance(inner, dict)
            and 'properties' not in part else None)


def _of_schema(words: list[str], catalog: Catalog) -> list[Fact]:
    part, name = _resolved(_schema()), 'profile'
    for number, word in enumerate(words):
        fields, values = _fields(part), _chosen(part)
        if name in ('modes', 'firmware') and word not in fields:
            return _anywhere(name, words[number:], catalog)
        if word in fields:
            part = fields[word]
        elif values is not None:
            part = values
        else:
            known = [*fields] if number else [
                *fields, *catalog.kinds, *catalog.products]
            raise errors.BadInput(
                f"{'.'.join(words[:number + 1])}: unknown; "
                + schema_reader.suggest(word, known))
        name = word
    rows = [Fact('.'.join(words) or 'profile', _values(name, part, catalog),
                text=_text(part))]
    rows += [Fact(key, _values(key, one, catalog, brief=True),
                 text=_text(one)) for key, one in _fields(part).items()]
    if name == 'modes':
        rows += [_mode_row(f'{kind}.modes.{mode}', facts)
                 for kind in catalog.kinds for mode in catalog.modes(kind)
                 if (facts := catalog.mode(kind, mode)) is not None]
    if name == 'firmware':
        rows += [_component_row(f'{kind}.firmware.{one}', component)
                 for kind in catalog.kinds for one in catalog.components(kind)
                 if (component := catalog.component(kind, one)) is not None]
    return rows


def _text(part: Schema) -> str:
    text = str(part.get('description') or part.get('title') or '')
    if 'default' in part:
        text = f"{text.rstrip('.')}. Default: {json.dumps(part['default'])}."
    return text.strip()


def _values(name: str, part: Schema, catalog: Catalog,
            brief: bool = False) -> tuple[str, ...]:
    """What a key may be."""
    if name == 'product':
        return ('names of products',) if brief else tuple(catalog.products)
    if name == 'arch':
        return catalog.architectures(catalog.kinds)
    if name == 'vendor':
        return tuple(sorted({p.vendor for p in catalog.products.values()}))
    for one in (part, *map(_resolved, part.get('anyOf', ()))):
        if 'items' in one:
            one = _resolved(one['items'])
        if 'enum' in one:
            return tuple(map(str, one['enum']))
        if one.get('type') == 'integer':
            low, high = one.get('minimum', 0), one.get('maximum')
            return (f'{low} to {high}' if high else f'integer from {low}',)
        if one.get('type') in _TYPES:
            part = one
            break
    expected = part.get('x-expected') or _TYPES.get(str(part.get('type')))
    return (str(expected),) if expected else ()


# From the catalogue

def _of_kind(kind: str, words: list[str], catalog: Catalog) -> list[Fact]:
    parts = {'products': [p.name for p in catalog.products.values()
                          if p.kind == kind],
             'modes': list(catalog.modes(kind)),
             'firmware': list(catalog.components(kind))}
    if not words:
        return [Fact(kind, text=f'devices of kind {kind}'), *(
            Fact(f'{kind}.{part}', tuple(names))
            for part, names in parts.items())]
    if words[0] not in parts:
        raise errors.BadInput(f'{kind}.{words[0]}: unknown; '
                              + schema_reader.suggest(words[0], [*parts]))
    if len(words) == 1:
        return [Fact(f'{kind}.{words[0]}', tuple(parts[words[0]])), *(
            row for name in parts[words[0]]
            for row in _of_kind(kind, [words[0], name], catalog))]
    part, name = words[0], '.'.join(words[1:])
    if name not in parts[part]:
        refused = catalog.refused_mode(kind, name)
        raise errors.BadInput(f'{kind}.{part}.{name}: ' + (
            refused or 'unknown; '
            + schema_reader.suggest(name, parts[part])))
    if part == 'products':
        return _of_product(catalog.products[name], [], catalog)[:1]
    return _facts(kind, part, name, catalog)


def _facts(kind: str, part: str, name: str, catalog: Catalog) -> list[Fact]:
    """The facts of a mode or component; a row for products that share them.
    """
    read = catalog.mode if part == 'modes' else catalog.component
    shared: dict[Any, list[str]] = {read(kind, name): []}
    for product in catalog.products.values():
        has = product.modes if part == 'modes' else product.components
        if product.kind == kind and name in has:
            shared.setdefault(read(kind, name, product), []).append(
                product.name)
    return [_row(f'{kind}.{part}.{name}', facts, tuple(products))
            for facts, products in shared.items()
            if products or len(shared) == 1]


def _anywhere(part: str, words: list[str], catalog: Catalog) -> list[Fact]:
    """A mode or component of every kind that has it."""
    name = '.'.join(words)
    kinds = [kind for kind in catalog.kinds if name in (
        catalog.modes(kind) if part == 'modes' else catalog.components(kind))]
    if kinds:
        return [row for kind in kinds
                for row in _facts(kind, part, name, catalog)]
    refused = [why for kind in catalog.kinds
               if (why := catalog.refused_mode(kind, name))]
    known = sorted({one for kind in catalog.kinds for one in (
        catalog.modes(kind) if part == 'modes' else catalog.components(kind))})
    raise errors.BadInput(f'{part}.{name}: ' + (
        refused[0] if refused and part == 'modes'
        else 'unknown; ' + schema_reader.suggest(name, known)))


def _of_product(product: Product, words: list[str],
                catalog: Catalog) -> list[Fact]:
    if words:
        raise errors.BadInput(
            f"{product.name}.{'.'.join(words)}: expected the name of the "
            f'product alone, or {product.kind}.{".".join(words)}')
    rows = [Fact(product.name, (product.kind, product.vendor,
                               *((product.arch,) if product.arch else ())),
                text=f"PCI {', '.join(product.pci) or 'ids unknown'}; "
                     f'{product.source}'.rstrip('; '))]
    for part, names in (('modes', product.modes),
                        ('firmware', product.components)):
        read = catalog.mode if part == 'modes' else catalog.component
        rows += [_row(f'{product.kind}.{part}.{name}', facts,
                      (product.name,)) for name in names
                 if (facts := read(product.kind, name, product)) is not None]
    return rows


def _row(name: str, facts: Any, devices: tuple[str, ...]) -> Fact:
    return (_mode_row if isinstance(facts, ModeFacts)
            else _component_row)(name, facts, devices)


def _mode_row(name: str, facts: ModeFacts,
              devices: tuple[str, ...] = ()) -> Fact:
    values = facts.values or (
        f'integer up to {facts.maximum}' if facts.maximum is not None
        else 'integer',)
    notes = [facts.read_only and f'never changed: {facts.read_only}',
             'needs "profile: 2"' if facts.since > 1 else '',
             'a list' if facts.type == 'words' else '', facts.source]
    return Fact(name, values, _activation(facts), {
        True: 'yes', False: 'no', None: f'{UNPROVED}: no IS trait'}[
            facts.persistent], devices, '; '.join(filter(None, notes)))


def _component_row(name: str, facts: ComponentFacts,
                   devices: tuple[str, ...] = ()) -> Fact:
    return Fact(name, ('a version',), _activation(facts), None, devices,
               facts.source)


def _activation(facts: ModeFacts | ComponentFacts) -> str:
    if facts.activation is None:
        return f'{UNPROVED}: not changed'
    return str(facts.activation)
