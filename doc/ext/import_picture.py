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

"""The picture and the table of the packages, made from the code's imports.

``accelerator-imports`` draws the direct subpackages of a package as boxes,
each above those that it imports, and an arrow for every pair of which one
imports the other. The number at an arrow's head counts module pairs.
``accelerator-packages`` lists the same packages with the first sentence of
their docstrings. grimp reads the imports; it comes with import-linter.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import functools
from html import escape
import importlib.util
import pathlib
from typing import Any

from docutils import nodes
from docutils import statemachine
import grimp
from sphinx.util import docutils as sphinx_docutils

#: What the product consists of.
ROOTS = ('ironic_accel', 'ipa_hardware_manager')

#: Pixels: a box, the space between rows, the space between lines.
WIDE, HIGH, ROW, LANE = 190, 30, 46, 30


@functools.lru_cache(maxsize=1)
def graph() -> Any:
    """The imports of the product."""
    return grimp.build_graph(*ROOTS, cache_dir=None)


def packages(parent: str = '') -> tuple[str, ...]:
    """The direct children of a package; of the product by default."""
    if parent:
        return tuple(sorted(graph().find_children(parent)))
    return (*sorted(graph().find_children(ROOTS[0])), *ROOTS[1:])


def imports(names: Collection[str]) -> dict[tuple[str, str], int]:
    """How many modules of one package import how many of another.

    :returns: the number of pairs of modules, by importer and imported.
    """
    found: dict[tuple[str, str], int] = {}
    for module in sorted(graph().modules):
        importer = _within(module, names)
        if importer is None:
            continue
        for other in graph().find_modules_directly_imported_by(module):
            imported = _within(other, names)
            if imported not in (None, importer):
                pair = importer, str(imported)
                found[pair] = found.get(pair, 0) + 1
    return found


def _within(module: str, names: Iterable[str]) -> str | None:
    return next((n for n in names
                 if module == n or module.startswith(f'{n}.')), None)


def order(names: Iterable[str],
          arrows: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """Importers before what they import.

    Where packages import each other in a circle, the one with the fewest
    importers comes first, and its arrow points up.
    """
    left, out = sorted(names), []
    while left:
        number = {n: sum(b == n and a in left for a, b in arrows)
                  for n in left}
        first = min(left, key=lambda n: (number[n], n))
        left.remove(first)
        out.append(first)
    return tuple(out)


def upward(names: Iterable[str], arrows: Collection[tuple[str, str]]
           ) -> list[tuple[str, str]]:
    """The arrows that point up: circles between packages."""
    place = {n: i for i, n in enumerate(order(names, arrows))}
    return sorted((a, b) for a, b in arrows if place[a] > place[b])


def svg(parent: str, names: Iterable[str],
        arrows: Mapping[tuple[str, str], int]) -> str:
    """The picture.

    Each importer has a vertical line of its own to the right of the boxes.
    A dot where it meets the arrow to a box means that it imports that box;
    the number beside the dot counts module pairs.
    """
    rows = order(names, arrows)
    place = {n: i for i, n in enumerate(rows)}
    out = [_shape('text', name.removeprefix(f'{parent}.'),
                  x=20, y=place[name] * ROW + 32) for name in rows]
    boxes = [_shape('rect', '', x=10, y=place[n] * ROW + 12, width=WIDE,
                    height=HIGH, rx=4, fill='none', stroke='currentColor')
             for n in rows]
    lines = []
    right = 10 + WIDE
    lanes = {n: right + 40 + (len(rows) - place[n]) * LANE for n in rows}
    for name in rows:
        heights = [_arrive(place[b]) for a, b in arrows if a == name]
        if heights:
            leave = place[name] * ROW + 12 + HIGH - 7
            lines.append(_line(
                f'M {right} {leave} H {lanes[name]} '
                f'M {lanes[name]} {min(leave, *heights)} '
                f'V {max(leave, *heights)}'))
        importers = [a for a, b in arrows if b == name]
        y = _arrive(place[name])
        if importers:
            far = max(lanes[a] for a in importers)
            lines.append(_line(
                f'M {far} {y} H {right + 2} m 7 -3 l -7 3 l 7 3'))
        for importer in importers:
            lines.append(_shape('circle', '', cx=lanes[importer], cy=y, r=2))
            out.append(_shape(
                'text', str(arrows[importer, name]), x=lanes[importer] - 4,
                y=y - 3, text_anchor='end', font_size=10))
    width = right + 60 + (len(rows) + 1) * LANE
    height = len(rows) * ROW + 12
    title = f'Imports between the packages of {parent or "the product"}'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            f'viewBox="0 0 {width} {height}" width="{width}" '
            f'font-family="monospace" font-size="13" fill="currentColor">'
            f'<title>{escape(title)}</title>'
            f'{"".join((*boxes, *lines, *out))}</svg>')


def _arrive(row: int) -> int:
    """Where the arrow to a box ends."""
    return row * ROW + 12 + 9


def _line(path: str) -> str:
    return _shape('path', '', d=path, fill='none', stroke='currentColor')


def _shape(tag: str, text: str, **attributes: object) -> str:
    words = ' '.join(f'{k.replace("_", "-")}="{escape(str(v))}"'
                     for k, v in attributes.items())
    return f'<{tag} {words}>{escape(text)}</{tag}>'


def summary(name: str) -> str:
    """The first sentence of a package's or a module's docstring."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LookupError(f'{name} cannot be found')
    tree = ast.parse(pathlib.Path(spec.origin).read_text('utf-8'))
    text = ' '.join((ast.get_docstring(tree) or '').split('\n\n')[0].split())
    if not text:
        raise LookupError(f'{name} has no docstring')
    return text


class Imports(sphinx_docutils.SphinxDirective):
    """The picture of a package; of the product without an argument."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        parent = self.arguments[0] if self.arguments else ''
        names = packages(parent)
        return [nodes.raw('', svg(parent, names, imports(names)),
                          format='html')]


class Packages(sphinx_docutils.SphinxDirective):
    """The packages in the order of the picture, with what they are for."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """List them."""
        parent = self.arguments[0] if self.arguments else ''
        names = packages(parent)
        lines = []
        for name in order(names, imports(names)):
            number = len(graph().find_descendants(name)) or 1
            modules = 'module' if number == 1 else 'modules'
            lines += [f'``{name}`` ({number} {modules})',
                      f'    {summary(name)}', '']
        return list(self.parse_text_to_nodes(
            statemachine.StringList(lines)))


def setup(app: Any) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive('accelerator-imports', Imports)
    app.add_directive('accelerator-packages', Packages)
    return {'version': '1', 'parallel_read_safe': True}
