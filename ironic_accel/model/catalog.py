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

"""What is known of real devices beforehand: products, components, modes.

All of it is data in ``catalog_data``, each row with its source. A fact that
nobody has proved is ``None``: a component or mode whose ``activation`` is
None is not changed, a mode whose ``persistent`` is not True makes no IS
trait.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import functools
import re
from typing import Any

from ironic_accel.model import catalog_source
from ironic_accel.model.catalog_types import Architecture as Architecture
from ironic_accel.model.catalog_types import ComponentFacts as ComponentFacts
from ironic_accel.model.catalog_types import ModeFacts as ModeFacts
from ironic_accel.model.catalog_types import pci_id as pci_id
from ironic_accel.model.catalog_types import Product as Product
from ironic_accel.model.condition import FAMILIES
from ironic_accel.model.device import Activation
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import PciIds
from ironic_accel.model import nv_parameters

_INSTANCE = re.compile(r'(.+?)-[0-9]+\Z')


def _squeeze(text: str) -> str:
    """Text as names are compared: case, blanks and underscores aside."""
    return ' '.join(re.split(r'[\s_]+', text.strip().lower()))


class Catalog:
    """The facts, indexed.

    :param vendors: by short word, ``names`` and ``pci`` vendor ids.
    :param components: rows of components, overrides after general ones.
    :param modes: rows of modes, overrides after general ones.
    :param architectures: the defined architectures, each with its source.
    :param refused: rows of names that are refused as modes.
    """

    def __init__(self, products: Iterable[Product],
                 vendors: Mapping[str, Mapping[str, Any]],
                 components: Iterable[Mapping[str, Any]],
                 modes: Iterable[Mapping[str, Any]],
                 architectures: Iterable[Architecture] = (),
                 refused: Iterable[Mapping[str, Any]] = ()) -> None:
        self.products = {p.name: p for p in products}
        self._vendors = {_squeeze(str(name)): word
                         for word, row in vendors.items()
                         for name in (word, *row['names'], *row['pci'])}
        self._prefixes = tuple((_squeeze(p), word)
                               for word, row in vendors.items()
                               for p in row['names'])
        self._pci: dict[str, Product] = {}
        self._models: dict[tuple[str, str], Product] = {}
        for product in self.products.values():
            for key in product.pci:
                if product.variant_of is None:
                    self._pci[key] = product
            for model in product.models:
                self._models[product.vendor, _squeeze(model)] = product
        self._components = tuple(components)
        self._modes = tuple(modes)
        # Plans ask for the rows of a name again and again.
        self._component_rows: dict[tuple[str, str], list[
            Mapping[str, Any]]] = {}
        for row in self._components:
            self._component_rows.setdefault(
                (row['kind'], row['name']), []).append(row)
        self._mode_rows: dict[str, list[Mapping[str, Any]]] = {}
        for row in self._modes:
            self._mode_rows.setdefault(row['name'], []).append(row)
        self._component_names = {kind: self._listed(kind) for kind in {
            row['kind'] for row in self._components}}
        self.defined_architectures = {a.name: a for a in architectures}
        self.refused_modes = tuple(refused)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of device."""
        return KINDS

    def product(self, name: str | None) -> Product | None:
        """The product of our name, or None."""
        return self.products.get(name) if name else None

    def architectures(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """The closed list of architectures of devices of some kinds."""
        known = set(kinds)
        return tuple(sorted({
            p.arch for p in self.products.values()
            if p.arch is not None and p.kind in known}))

    def vendor(self, text: str | int | None) -> str | None:
        """The short word for what a device or a BMC calls its vendor.

        Takes names ("NVIDIA Corporation", "Mellanox Technologies") and PCI
        vendor ids ("10de", "0x15B3", a number). None where it is unknown.
        """
        if text is None:
            return None
        if isinstance(text, int):
            return self._vendors.get(pci_id(text) or '')
        name = _squeeze(text.replace('\0', ''))
        if name in self._vendors:
            return self._vendors[name]
        if re.fullmatch('(0x)?[0-9a-f]{1,8}', name):
            return self._vendors.get(pci_id(name) or '')
        return next((word for prefix, word in self._prefixes
                     if re.match(re.escape(prefix) + r'\b', name)), None)

    def by_pci(self, vendor_id: str | int | None,
               device_id: str | int | None,
               subsystem_vendor_id: str | int | None = None,
               subsystem_id: str | int | None = None) -> Product | None:
        """The product of these PCI ids; rows with subsystem ids come first.
        """
        pair = f'{pci_id(vendor_id)}:{pci_id(device_id)}'
        full = f'{pair}:{pci_id(subsystem_vendor_id)}:{pci_id(subsystem_id)}'
        return self._pci.get(full) or self._pci.get(pair)

    def by_model(self, vendor: str | None,
                 model: str | None) -> Product | None:
        """The product that calls itself so: the whole name, no part of it.

        :param vendor: a short word, or as the device reports it.
        """
        if not model:
            return None
        word = self.vendor(vendor)
        name = _squeeze(model.replace('\0', ''))
        if word:
            return self._models.get((word, name))
        found = {p.name: p for (_, m), p in self._models.items()
                 if m == name}
        return found.popitem()[1] if len(found) == 1 else None

    def by_part_number(self, vendor: str | None,
                       part_number: str | None) -> Product | None:
        """The product whose part numbers begin so, the longest beginning."""
        if not part_number:
            return None
        word, text = self.vendor(vendor), part_number.strip().lower()
        found = [(len(prefix), p) for p in self.products.values()
                 for prefix in p.part_numbers
                 if text.startswith(prefix.lower())
                 and (word is None or p.vendor == word)]
        return max(found, key=lambda f: f[0])[1] if found else None

    def identify(self, kind_hint: str | None = None,
                 vendor: str | None = None, model: str | None = None,
                 pci: PciIds | None = None,
                 part_number: str | None = None) -> Product | None:
        """The product of a device, by PCI ids, then part number, then model.

        A variant by part number or model takes precedence over the product by
        the PCI ids of the whole family; any other contradiction goes to
        the PCI ids. A product of a family of kinds that the hint excludes is
        no answer: the FPGA of a network adapter carries the adapter's ids.
        """
        best = None
        if pci is not None:
            best = self.by_pci(pci.vendor_id, pci.device_id,
                               pci.subsystem_vendor_id, pci.subsystem_id)
        for other in (self.by_part_number(vendor, part_number),
                      self.by_model(vendor, model)):
            if other is None:
                continue
            if best is None or other.variant_of == best.name:
                best = other
        if best is None or not _compatible(kind_hint, best.kind):
            return None
        return best

    def components(self, kind: str) -> tuple[str, ...]:
        """The closed list of component names of a kind, in order."""
        return self._component_names.get(kind, ())

    def _listed(self, kind: str) -> tuple[str, ...]:
        names = {r['name']: r['order'] for r in self._components
                 if r['kind'] == kind and 'for' not in r}
        return tuple(sorted(names, key=lambda n: (names[n], n)))

    def is_in_band(self, name: str) -> bool:
        """Whether a component of that name is written in band."""
        return any(row['name'] == name and row.get('in_band', False)
                   for row in self._components)

    def modes(self, kind: str) -> tuple[str, ...]:
        """The closed list of mode names of a kind."""
        return tuple(r['name'] for r in self._modes
                     if kind in r['kinds'] and 'for' not in r)

    def base_name(self, kind: str, name: str) -> str | None:
        """The listed name of a component: ``fpga`` of ``fpga-1``.

        A board may carry several of one component; the second and further
        ones have a number behind their name. None for unknown names.
        """
        known = self.components(kind)
        if name in known:
            return name
        match = _INSTANCE.match(name)
        return match[1] if match and match[1] in known else None

    def component(self, kind: str, name: str,
                  product: Product | str | None = None,
                  vendor: str | None = None) -> ComponentFacts | None:
        """The facts of a component; None for names that are not listed.

        :param product: where known, facts of its vendor and architecture
            and its own replace the general ones.
        :param vendor: a short word, where the product is not known.
        """
        base = self.base_name(kind, name)
        if base is None:
            return None
        row: dict[str, Any] = {}
        for part in self._component_rows[kind, base]:
            self._lay(row, part, product, vendor)
        return ComponentFacts(name, kind, _activation(row.get('activation')),
                              row.get('shows_pending', False), row['order'],
                              row.get('alone', False), row.get('form', 'auto'),
                              row['source'], row.get('longest'))

    def mode(self, kind: str, name: str,
             product: Product | str | None = None,
             vendor: str | None = None) -> ModeFacts | None:
        """The facts of a mode; None for names that are not listed.

        So are those of an NV configuration parameter of the allow list, which
        the rows of a catalogue do not change (``nv_parameters``).
        ``product`` and ``vendor`` as for ``component``.
        """
        row: dict[str, Any] = {}
        for part in self._mode_rows.get(name, ()):
            if kind in part['kinds']:
                self._lay(row, part, product, vendor)
        if not row:
            # No row has such a name: its schema allows no capitals.
            return (nv_parameters.facts(kind, name, product)
                    if nv_parameters.is_name(name) else None)
        return ModeFacts(
            name, kind, row['type'], tuple(row.get('values', ())),
            row.get('unordered', False), _activation(row.get('activation')),
            row.get('persistent'), row['source'],
            row.get('together', False),
            {value: tuple(others)
             for value, others in row.get('spellings', {}).items()},
            row.get('since', 1), row.get('maximum'),
            tuple(row.get('reported', ())), row.get('trait', True),
            row.get('read_only', ''), row.get('absent', ''),
            row.get('order', 0))

    def refused_mode(self, kind: str, name: str) -> str | None:
        """Why a mode that operators ask for is not one, and what to use
        instead; None for other names. Case, blanks and underscores aside."""
        plain = _squeeze(name).replace(' ', '-')
        return next((
            f"{row['reason']} ({row['source']})" for row in self.refused_modes
            if plain in row['names'] and kind in row['kinds']), None)

    def _lay(self, row: dict[str, Any], part: Mapping[str, Any],
             product: Product | str | None, vendor: str | None) -> None:
        """Lay a row over what is gathered, if it is for such a device."""
        if isinstance(product, str):
            product = self.product(product)
        scope = part.get('for')
        if scope is not None:
            seen = {'vendor': product.vendor if product else vendor,
                    'arch': product.arch if product else None,
                    'product': product.name if product else None}
            if any(seen[key] not in wanted for key, wanted in scope.items()):
                return
        row.update(part)


def _activation(text: str | None) -> Activation | None:
    return None if text is None else Activation(text)


def _compatible(hint: str | None, kind: str) -> bool:
    return hint is None or hint == kind or any(
        hint in family and kind in family for family in FAMILIES)


@functools.cache
def load() -> Catalog:
    """The catalogue that ships with this package, read once.

    :raises: BadInput where its data are not valid.
    """
    return extended({})


def extended(files: Mapping[str, str]) -> Catalog:
    """The catalogue that ships with this package and a site's own rows.

    A site adds new products, or what activates a component, in files of the
    same form, each row with its source; the caller reads the files.

    :param files: YAML texts by the name that messages call them.
    :raises: BadInput naming file, path and value of every mistake.
    """
    rows = catalog_source.read(files)
    return Catalog(rows.products, rows.vendors, rows.components, rows.modes,
                   rows.architectures, rows.refused)
