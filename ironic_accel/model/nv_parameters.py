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

"""NV configuration parameters of adapters that a profile sets by name.

The allow list is ``nv_parameters.yaml`` of this package, by families of
products, and nothing else: neither a site's catalogue nor an option adds to
it. In inventories and plans a parameter is a mode with the name of the
parameter, which is written in capitals and so is never the name of a mode.

Sources: mstflint 4.36, ``mlxconfig/mlxcfg_param.cpp`` (``True(1)`` and
``False(0)`` of BOOL, ``NAME(number)`` of ENUM, plain numbers of UNSIGNED,
``Array[0..7]`` of arrays) and ``mlxcfg_db_manager.cpp`` (``_P1`` behind the
name of a parameter of a port).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import functools
from importlib import resources
import re
from typing import Any

from ironic_accel.model.catalog_types import ModeFacts
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value

FILE = 'nv_parameters.yaml'
#: Reported of a parameter that physical functions of a card have differently.
MIXED = 'mixed'

_NAME = re.compile(r'[A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*\Z')
_PORT = re.compile(r'(.+)_P[1-8]\Z')
_BOOL: Mapping[str, int] = {'true': 1, 'false': 0}
#: Usual spellings of a BOOL, to its word.
_SPELLINGS = {'true': 'true', 'false': 'false', 'enabled': 'true',
              'disabled': 'false', 'on': 'true', 'off': 'false',
              '1': 'true', '0': 'false'}
_SHOWN = re.compile(r'(?P<word>.+?)\((?P<number>[0-9]{1,10})\)\Z')


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the allow list.

    :ivar scope: ``card`` (one value), ``port`` (one for each port, each by a
        name of its own) or ``function`` (one for each physical function).
    :ivar values: words to the numbers that the tool sets; empty for a number.
    :ivar maximum: the largest number.
    :ivar activation: what activates it, by family.
    """

    name: str
    scope: str
    values: Mapping[str, int]
    maximum: int | None
    activation: Mapping[str, Activation]
    source: str

    def word(self, number: int | None) -> Value | None:
        """A number of the tool as a value; None for one without a word."""
        if number is None or not self.values:
            return number
        return next((w for w, n in self.values.items() if n == number), None)

    def number(self, value: Value) -> int:
        """A value as the number that is set.

        :raises: ValueError for a value that is not the parameter's.
        """
        if self.values:
            if isinstance(value, str) and value in self.values:
                return self.values[value]
        elif type(value) is int and 0 <= value <= (self.maximum or 0):
            return value
        raise ValueError(f'{self.name}: {value!r}, expected {self.expected}')

    @property
    def expected(self) -> str:
        """The values, for a message."""
        if self.values:
            return 'one of ' + ', '.join(self.values)
        return f'a whole number from 0 to {self.maximum}'


@dataclasses.dataclass(frozen=True, slots=True)
class _List:
    """The file, indexed.

    :ivar families: the family of a product, and the kind of a family.
    :ivar parameters: by name, without the suffix of a port.
    :ivar modes: parameters that a mode sets, to its name.
    """

    families: Mapping[str, str]
    kinds: Mapping[str, str]
    parameters: Mapping[str, Parameter]
    modes: Mapping[str, str]


@functools.cache
def _load() -> _List:
    # Late: YAML is slow to import, and a host without any adapter of these
    # families never gets here.
    from ironic_accel.model import strict_yaml
    text = resources.files('ironic_accel.model').joinpath(FILE).read_text(
        'utf-8')
    raw = next(iter(strict_yaml.documents(text, FILE, shipped=True))).data
    sources: Mapping[str, str] = raw['sources']
    families = {one['name']: one for one in raw['families']}
    return _List(
        {product: name for name, one in families.items()
         for product in one['products']},
        {name: one['kind'] for name, one in families.items()},
        {row['name']: _parameter(row, families, sources)
         for row in raw['parameters']}, raw['modes'])


def _parameter(row: Mapping[str, Any], families: Mapping[str, Any],
               sources: Mapping[str, str]) -> Parameter:
    own = row.get('activation', {})
    return Parameter(
        row['name'], row['scope'],
        _BOOL if row['type'] == 'bool' else row.get('values', {}),
        row.get('maximum'),
        {name: Activation(own.get(name, families[name]['activation']))
         for name in row['families']},
        '; '.join(sources[key] for key in dict.fromkeys((
            *row['source'], *(key for name in row['families']
                              for key in families[name]['source'])))))


def is_name(name: str) -> bool:
    """Whether a name of a mode is that of a parameter: in capitals."""
    return _NAME.fullmatch(name) is not None


def spelled(text: str) -> str | None:
    """The parameter that is written so, in whatever case; None if the allow
    list has none."""
    return next((name for name in (text, text.upper())
                 if find(name) is not None), None)


def _base(name: str) -> tuple[str, bool]:
    """The name without the suffix of a port, and whether it has one."""
    match = _PORT.fullmatch(name)
    return (match[1], True) if match else (name, False)


def find(name: str, product: Product | str | None = None
         ) -> Parameter | None:
    """A parameter of the allow list, or None.

    :param product: only if the list has it for the family of that product;
        None for any family.
    """
    base, port = _base(name)
    found = _load().parameters.get(base)
    if found is None or port != (found.scope == 'port'):
        return None
    if product is not None and _family(product) not in found.activation:
        return None
    return dataclasses.replace(found, name=name)


def _family(product: Product | str) -> str | None:
    return _load().families.get(
        product if isinstance(product, str) else product.name)


def names(product: Product | str | None) -> tuple[str, ...]:
    """The allow list for the family of a product: names of card-wide
    parameters, and of port parameters without the suffix of a port."""
    family = None if product is None else _family(product)
    return tuple(p.name for p in _load().parameters.values()
                 if family in p.activation)


def rows() -> tuple[Parameter, ...]:
    """The whole allow list, for documentation."""
    return tuple(_load().parameters.values())


def facts(kind: str, name: str, product: Product | str | None
          ) -> ModeFacts | None:
    """A parameter as a mode of a device; None if it is not in the list for
    such a device. A product that is not known has none."""
    found = None if product is None else find(name, product)
    family = None if product is None else _family(product)
    if found is None or family is None or _load().kinds[family] != kind:
        return None
    return ModeFacts(name, kind, 'word' if found.values else 'integer',
                     tuple(found.values), False, found.activation[family],
                     True, found.source, maximum=found.maximum)


def problem(name: str, kinds: Collection[str], products: Collection[str]
            ) -> str | None:
    """Why a profile may not set a parameter, or None.

    :param products: those that the profile selects by name; empty for any.
    """
    known = _load()
    base, _ = _base(name)
    mode = known.modes.get(name) or known.modes.get(base)
    if mode is not None:
        return (f'{name} is set by the mode {mode}: write it below modes, '
                f'as {mode}')
    if '[' in name:
        return (f'{name} is an array: the allow list has none, because '
                'mstconfig reports an array without its values')
    found = find(name)
    if found is None:
        parameter = known.parameters.get(base)
        if parameter is not None:
            return (f'{name} is not a parameter: ' + (
                f'it has one value for each port: {base}_P1, {base}_P2'
                if parameter.scope == 'port' else
                f'{base} has one value for all ports'))
        return (f'{name} is not in the allow list of NV configuration '
                f'parameters: {", ".join(sorted(known.parameters))}')
    wrong = [k for k in kinds if k not in {
        known.kinds[f] for f in found.activation}]
    wrong += [p for p in products if find(name, p) is None]
    if wrong:
        return (f'{name} is not in the allow list for '
                f'{" and ".join(wrong)}')
    return None


def value_of(name: str, raw: object) -> Value | None:
    """What a profile or the tool writes for a parameter, as its value; None
    for what is no value of it.

    Takes ``true``, ``True(1)``, ``enabled`` and 1 of a BOOL, ``ALL``,
    ``all``, ``ALL(2)`` and 2 of an ENUM, and whole numbers.
    """
    found = find(name)
    if found is None:
        return None
    if isinstance(raw, bool):
        return str(raw).lower() if found.values is _BOOL else None
    if type(raw) is int:
        fits = bool(found.values) or 0 <= raw <= (found.maximum or 0)
        return found.word(raw) if fits else None
    if not isinstance(raw, str) or not found.values:
        return None
    text = raw
    match = _SHOWN.fullmatch(raw)
    if match is not None:
        text = match['word']
    if found.values is _BOOL:
        word = _SPELLINGS.get(text.lower())
    else:
        word = next((w for w in found.values
                     if w.lower() == text.lower()), None)
    if word is not None and match is not None and (
            found.values[word] != int(match['number'])):
        return None
    return word
