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

"""Check the layout of the product, and print its figures.

``python -m tools.layout`` prints files and lines by package, and what
breaks a rule: a file of less than 60 or more than 400 lines, a package of
the conductor with more than 16 files, a class name that stands for two
things, a handler of all exceptions that does not say why. It exits with 1 if
there is such.
"""

from __future__ import annotations

import ast
import collections
from collections.abc import Iterator
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRODUCT = ('ironic_accel', 'ipa_hardware_manager')
SHORTEST, LONGEST, MOST = 60, 400, 16
#: Files that are as short as what they tell: plug-ins, data, what Ironic, the
#: agent or the command (its subcommands) loads by name.
MAY_BE_SHORT = re.compile(
    r'(__init__|__main__)\.py$|^ipa_hardware_manager/|/vendors/'
    r'|^ironic_accel/inband/tools/|/samples/|_data/'
    r'|^ironic_accel/faces/cli/templates\.py$')
#: Exceptions that are caught by handlers of all.
ALL = frozenset({'Exception', 'BaseException'})
#: Functions and protocols of Python and Ironic that are named by others.
NOT_OURS = frozenset({'Opts'})


def modules() -> list[pathlib.Path]:
    """All modules of the product, with paths below the checkout."""
    return [p.relative_to(ROOT) for top in PRODUCT
            for p in sorted((ROOT / top).rglob('*.py'))]


def lines(path: pathlib.Path) -> int:
    """How many lines a module has."""
    return len((ROOT / path).read_text('utf-8').splitlines())


def sizes() -> list[str]:
    """Modules that are too short or too long."""
    found = []
    for path in modules():
        number = lines(path)
        if number > LONGEST or (number < SHORTEST and not
                                MAY_BE_SHORT.search(str(path))):
            found.append(f'{path}: {number} lines')
    return found


def crowded() -> list[str]:
    """Packages of the conductor with too many modules."""
    number = collections.Counter(
        p.parent for p in modules()
        if 'conductor' in p.parts and p.name != '__init__.py')
    return [f'{folder}: {n} files' for folder, n in sorted(number.items())
            if n > MOST]


def classes() -> dict[str, list[str]]:
    """Classes whose name stands in more than one module."""
    where: dict[str, list[str]] = collections.defaultdict(list)
    for path in modules():
        tree = ast.parse((ROOT / path).read_text('utf-8'))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                where[node.name].append(str(path))
    return {name: paths for name, paths in sorted(where.items())
            if len(paths) > 1 and name not in NOT_OURS}


def handlers() -> list[str]:
    """Handlers of all exceptions without a comment that says why.

    Beside ``except`` or in its first lines; one that only raises again what
    it caught after it cleaned up needs none.
    """
    return [f'{path}:{line}: catches all exceptions and does not say why'
            for path in modules()
            for line in unexplained((ROOT / path).read_text('utf-8'))]


def unexplained(source: str) -> Iterator[int]:
    """The lines of such handlers in a module."""
    text = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = (node.type.elts if isinstance(node.type, ast.Tuple)
                  else [node.type])
        last = node.body[-1]
        if any(one is None or getattr(one, 'id', '') in ALL
               for one in caught) and not (
                isinstance(last, ast.Raise) and last.exc is None
                and not any(isinstance(x, ast.Return)
                            for x in ast.walk(node))) and not any(
                '# ' in line for line in text[
                    node.lineno - 1:node.body[0].lineno]):
            yield node.lineno


def main() -> int:
    """Print it."""
    files: dict[str, int] = collections.Counter()
    total: dict[str, int] = collections.Counter()
    for path in modules():
        package = '/'.join(path.parts[:3 if len(path.parts) > 3 else 2]
                           if len(path.parts) > 2 else path.parts[:1])
        files[package] += 1
        total[package] += lines(path)
    for package in sorted(files):
        sys.stdout.write(f'{package:36} {files[package]:4} files '
                         f'{total[package]:6} lines\n')
    sys.stdout.write(f'{"in all":36} {sum(files.values()):4} files '
                     f'{sum(total.values()):6} lines\n')
    broken = [*sizes(), *crowded(), *handlers(), *(
        f'class {name}: {", ".join(paths)}'
        for name, paths in classes().items())]
    for line in broken:
        sys.stdout.write(f'{line}\n')
    return 1 if broken else 0


if __name__ == '__main__':
    raise SystemExit(main())
