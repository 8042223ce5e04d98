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

"""Directives that generate the reference tables from the code."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from collections.abc import Mapping
from importlib import resources
import inspect
from typing import Any

from docutils import nodes
from docutils import statemachine
from sphinx.util import docutils as sphinx_docutils

_KINDS = ('clean', 'deploy', 'service', 'verify')


class _Generated(sphinx_docutils.SphinxDirective):
    """Renders the reStructuredText that ``text`` returns."""

    def text(self) -> Iterable[str]:
        """The lines."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse the generated lines."""
        return list(self.parse_text_to_nodes(
            statemachine.StringList(list(self.text()))))


def _summary(method: Any) -> str:
    doc = inspect.getdoc(method) or ''
    return ' '.join(doc.partition('\n\n')[0].split())


def _table(header: Iterable[str],
           rows: Iterable[Iterable[object]]) -> Iterable[str]:
    yield from ('.. list-table::', '   :header-rows: 1', '')
    for row in (header, *rows):
        for number, cell in enumerate(row):
            yield f"   {'  -' if number else '* -'} {cell}"
    yield ''


def _words(raw: object) -> str:
    if raw is None:
        return 'unproved'
    if isinstance(raw, bool):
        return 'yes' if raw else 'no'
    if isinstance(raw, tuple | list | frozenset):
        return ', '.join(str(part) for part in raw)
    return str(raw)


class Steps(_Generated):
    """Every step of the vendor interface, and its arguments."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.conductor.drivers.vendor import Accelerator as source
        for name, method in inspect.getmembers(source, inspect.isfunction):
            kinds = [kind for kind in _KINDS
                     if getattr(method, f'_is_{kind}_step', False)]
            if not kinds:
                continue
            told = ', '.join(
                f"{kind} (priority {getattr(method, f'_{kind}_step_priority')}"
                ')' for kind in kinds)
            yield from (f'``{name}``', f'    {_summary(method)} {told}.', '')
            arguments: dict[str, Any] = {}
            for kind in kinds:
                arguments |= getattr(
                    method, f'_{kind}_step_argsinfo', None) or {}
            yield from _arguments(arguments)


def _arguments(arguments: Mapping[str, Any]) -> Iterable[str]:
    for argument, info in arguments.items():
        needed = ' Required.' if info.get('required') else ''
        yield f"    * ``{argument}``: {info['description']}{needed}"
    yield ''


class AgentStep(_Generated):
    """The step of the ramdisk's agent, and its arguments.

    Its module is parsed and not imported, because the options of the agent
    and of Ironic cannot be registered in one process.
    """

    def text(self) -> Iterable[str]:
        """The lines."""
        source = resources.files('ipa_hardware_manager') / 'manager.py'
        told = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse(source.read_text()).body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in ('STEP', '_ARGSINFO')}
        yield from (
            f"``{told['STEP']}``",
            '    Apply a profile through the BMC and the agent. clean '
            '(priority 0), deploy (99 to 81), service (priority 0).', '')
        yield from _arguments(told['_ARGSINFO'])


class Passthru(_Generated):
    """Every passthru method of ironic-accel."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.conductor.drivers import passthru
        for name in sorted(passthru.OURS):
            told = getattr(passthru.Passthru, name)._vendor_metadata[1]
            methods = ', '.join(told['http_methods'])
            yield from (f'``{name}`` ({methods})',
                        f"    {told['description']}", '')


class Metrics(_Generated):
    """Every metric: its name, its type and what it counts."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.conductor.config import metrics
        yield from _table(
            ('Metric', 'Type', 'Description'),
            ((f'``{metrics.PREFIX}.{row.name}``', row.type, row.description)
             for row in metrics.TABLE))


class Catalogue(_Generated):
    """Every product: its kind, architecture, components and modes."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.model import catalog
        products = sorted(catalog.load().products.values(), key=lambda p: (
            p.kind, p.name))
        yield from _table(
            ('Product', 'Kind', 'Architecture', 'PCI ids', 'Components',
             'Modes'),
            ((f'``{p.name}``', p.kind, p.arch or '-', _words(p.pci),
              _words(p.components), _words(p.modes)) for p in products))


def _by_products(kind: str, names: Iterable[str], ask: Any
                 ) -> Iterable[tuple[str, str, str, Any]]:
    """Rows of (name, kind, products, facts), one for each set of facts.

    Facts depend on the vendor and on the product's architecture too.
    """
    from ironic_accel.model import catalog
    known = catalog.load()
    for name in names:
        groups: dict[Any, set[str]] = {}
        for product in known.products.values():
            if product.kind != kind or name not in (
                    *product.components, *product.modes):
                continue
            facts = ask(kind, name, product.name, product.vendor)
            if facts is not None:
                words = f'{product.vendor} {product.arch or ""}'.strip()
                groups.setdefault(facts, set()).add(words)
        for facts, words_of in groups.items():
            yield name, kind, ', '.join(sorted(words_of)), facts
        if not groups and ask(kind, name) is not None:
            yield name, kind, 'any', ask(kind, name)


class Modes(_Generated):
    """Every mode: its values, activation and persistence."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.model import catalog
        known = catalog.load()
        yield from _table(
            ('Kind', 'Mode', 'Values', 'Products', 'Activation', 'Persistent'),
            ((kind, f'``{name}``', _words(mode.values or mode.type), who,
              _words(mode.activation), _words(mode.persistent))
             for each in known.kinds for name, kind, who, mode
             in _by_products(each, known.modes(each), known.mode)))


class RefusedModes(_Generated):
    """Every name that is asked for and is no mode: what to use instead."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.model import catalog
        yield from _table(
            ('Names', 'Kinds', 'Why, and what to use instead'),
            ((_words(tuple(row['names'])), _words(tuple(row['kinds'])),
              row['reason']) for row in catalog.load().refused_modes))


class Parameters(_Generated):
    """Every NV configuration parameter of the allow list."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.model import nv_parameters
        yield from _table(
            ('Parameter', 'Values', 'Activation'),
            ((f'``{row.name}``' + (
                ' (each port: ``_P1``, ``_P2``)' if row.scope == 'port'
                else ''), row.expected, ', '.join(
                    f'{family}: {activation}' for family, activation
                    in row.activation.items()))
             for row in nv_parameters.rows()))


class Components(_Generated):
    """Every component name: what activates it."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.model import catalog
        known = catalog.load()
        yield from _table(
            ('Kind', 'Component', 'Products', 'Activation',
             'Reports a pending version'),
            ((kind, f'``{name}``', who, _words(part.activation),
              _words(part.shows_pending))
             for each in known.kinds for name, kind, who, part
             in _by_products(each, known.components(each),
                             known.component)))


class Keys(_Generated):
    """Every key stored with a node: place, content, writer."""

    def text(self) -> Iterable[str]:
        """The lines."""
        from ironic_accel.conductor.node import keys
        yield from _table(
            ('Key', 'Stored in', 'Content', 'Written by', 'Removed'),
            ((f'``{k.name}``', k.where, k.holds, k.writer, k.ends)
             for k in keys.KEYS))


def setup(app: Any) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in (
            ('accelerator-steps', Steps),
            ('accelerator-agent-step', AgentStep),
            ('accelerator-passthru', Passthru),
            ('accelerator-metrics', Metrics),
            ('accelerator-catalogue', Catalogue),
            ('accelerator-modes', Modes),
            ('accelerator-refused-modes', RefusedModes),
            ('accelerator-parameters', Parameters),
            ('accelerator-components', Components),
            ('accelerator-keys', Keys)):
        app.add_directive(name, directive)
    return {'version': '1', 'parallel_read_safe': True}
