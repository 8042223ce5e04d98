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

"""Find modules that import each other, by whatever way round.

``import_circles.py [PACKAGE...]``: the product, the emulator and the harness
by default. Every import counts, in functions and under ``TYPE_CHECKING``
too: what needs another module's types needs that module. Exit status 1 where
there is a circle that is not in ``ALLOWED``, or one there that is gone.
"""

from __future__ import annotations

import pathlib
import sys

import grimp

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("ironic_accel", "ipa_hardware_manager", "ironic_accel_emulator",
            "tests.functional.harness")

#: Circles that are there for now: of each, one of its modules. This list is
#: only ever made shorter.
ALLOWED: frozenset[str] = frozenset({"ironic_accel_emulator.box"})


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """The sets of modules of which each one leads to all others.

    They are the graph's strongly connected components of more than one
    module, each in alphabetical order.
    """
    found = []
    left = set(graph.modules)
    while left:
        module = min(left)
        both = (graph.find_upstream_modules(module)
                & graph.find_downstream_modules(module))
        if both:
            found.append(sorted({module, *both}))
        left -= {module, *both}
    return found


def shortest(graph: grimp.ImportGraph, circle: list[str]) -> list[str]:
    """The shortest way from a module of a circle back to itself."""
    transports = []
    for module in circle:
        for imported in graph.find_modules_directly_imported_by(module):
            transport = graph.find_shortest_chain(imported, module)
            if transport is not None:
                transports.append([module, *transport])
    return min(transports, key=lambda transport: (len(transport), transport))


def main(packages: list[str]) -> int:
    """Print the circles; 1 where one is not allowed, or allowed and gone."""
    sys.path[:0] = [str(ROOT), str(ROOT / "emulator")]
    graph = grimp.build_graph(*(packages or PACKAGES), cache_dir=None)
    found = circles(graph)
    bad = [circle for circle in found if ALLOWED.isdisjoint(circle)]
    for circle in bad:
        print(f"{len(circle)} modules import each other: "
              f"{', '.join(circle)}; shortest circle: "
              f"{' -> '.join(shortest(graph, circle))}")
    gone = [] if packages else sorted(
        ALLOWED.difference(*found) if found else ALLOWED)
    for module in gone:
        print(f"{module} is in no circle any more: take it out of ALLOWED")
    return 1 if bad or gone else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
