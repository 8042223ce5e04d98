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

"""List every text of the product that an operator can read.

``python -m tools.operator_strings`` prints one line for each: its kind
(log, error, help, option, words, page), its file and line, and the text.
``--draw 30 --seed 7`` prints that many of them, drawn at random: for a
reader who judges whether an OpenStack operator would have written them.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
import dataclasses
import html.parser
import pathlib
import random
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRODUCT = ('ironic_accel', 'ipa_hardware_manager')
#: Methods of a logger whose first argument is a message.
LEVELS = frozenset({'debug', 'info', 'warning', 'error', 'exception',
                    'critical'})
#: Keywords whose text stands in help, errors or tables.
TOLD = {
    'help': 'help', 'description': 'help', 'epilog': 'help',
    'metavar': 'help', 'todo': 'error', 'reason': 'error',
    'expected': 'error', 'seen': 'error', 'progress': 'words'}
#: Calls that make an error or a refusal out of their first argument.
ERROR = re.compile(r'(Error|Input|Rejected|Unreachable|Unknown|Refusal|Bad|'
                   r'Failed|Invalid\w*|Held|Busy|NotOurs|Denied|Missing|'
                   r'Wrong|UnsupportedDriverExtension|MissingParameterValue|'
                   r'fail|refuse|refused|bad|problem)$')
#: A text has words; a key, a path or a format has none.
WORDS = re.compile(r'[A-Za-z]{2,}[ ,:]+[A-Za-z(\[%{]')


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text and where it stands."""

    kind: str
    where: str
    text: str


def literal(node: ast.AST) -> str | None:
    """A string as it is written, ``{…}`` for what is put in; or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(
            part.value if isinstance(part, ast.Constant)
            and isinstance(part.value, str)
            else '{' + ast.unparse(part.value) + '}'
            if isinstance(part, ast.FormattedValue) else ''
            for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = literal(node.left), literal(node.right)
        return None if left is None or right is None else left + right
    return None


class Reader(ast.NodeVisitor):
    """Collects the texts of one module."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[Text] = []
        self.seen: set[int] = set()

    def add(self, kind: str, node: ast.AST) -> None:
        """Keep a text, unless it is none."""
        text = literal(node)
        if text is None or not WORDS.search(text):
            return
        self.seen.update(id(n) for n in ast.walk(node))
        self.found.append(Text(
            kind, f'{self.name}:{getattr(node, "lineno", 0)}',
            ' '.join(text.split())))

    def visit_Call(self, node: ast.Call) -> None:
        """Logging, errors, options, help."""
        called = node.func.attr if isinstance(
            node.func, ast.Attribute) else getattr(node.func, 'id', '')
        owner = getattr(getattr(node.func, 'value', None), 'id', '')
        if owner in ('LOG', 'log', 'logger') and called in LEVELS:
            kind = 'log'
        elif called.endswith('Opt'):
            kind = 'option'
        elif ERROR.search(called):
            kind = 'error'
        else:
            kind = ''
        for given in node.args if kind else ():
            self.add(kind, given)
        for keyword in node.keywords:
            if keyword.arg in TOLD:
                self.add('option' if kind == 'option'
                         else TOLD[keyword.arg], keyword.value)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """The description of a command is its docstring."""
        if any(ast.unparse(b).rpartition('.')[2] in
               ('Command', 'Lister', 'ShowOne') for b in node.bases):
            self.document('help', node)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Steps and passthru methods are documented to operators."""
        if any(isinstance(d, ast.Call) and ast.unparse(d.func).endswith(
                ('_step', 'passthru')) for d in node.decorator_list):
            self.document('help', node)
        self.generic_visit(node)

    def document(self, kind: str, node: ast.ClassDef | ast.FunctionDef
                 ) -> None:
        """Keep a docstring."""
        if ast.get_docstring(node):
            first = node.body[0]
            assert isinstance(first, ast.Expr)  # noqa: S101
            self.add(kind, first.value)

    def rest(self, tree: ast.Module) -> None:
        """Whatever else reads like a sentence: tables of words, reasons."""
        documents = {
            id(n.body[0].value) for n in ast.walk(tree)
            if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)
            and n.body and isinstance(n.body[0], ast.Expr)}
        parts = {id(c) for n in ast.walk(tree)
                 if isinstance(n, ast.JoinedStr | ast.BinOp)
                 for c in ast.walk(n) if c is not n}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) \
                    and id(node) not in self.seen | documents | parts:
                self.add('words', node)


class Page(html.parser.HTMLParser):
    """The texts of a page, without its style and script."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.skipped = 0
        self.found: list[Text] = []

    def handle_starttag(self, tag: str,
                        attrs: list[tuple[str, str | None]]) -> None:
        """Style and script are none."""
        self.skipped += tag in ('style', 'script')

    def handle_endtag(self, tag: str) -> None:
        """Style and script are over."""
        self.skipped -= tag in ('style', 'script')

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        if not self.skipped and WORDS.search(data):
            self.found.append(Text(
                'page', f'{self.name}:{self.getpos()[0]}',
                ' '.join(data.split())))


def texts() -> Iterator[Text]:
    """All texts of the product, in the order of their files."""
    for top in PRODUCT:
        for path in sorted((ROOT / top).rglob('*')):
            name = str(path.relative_to(ROOT))
            if path.suffix == '.py':
                tree = ast.parse(path.read_text('utf-8'))
                reader = Reader(name)
                reader.visit(tree)
                reader.rest(tree)
                yield from reader.found
            elif path.suffix == '.html':
                page = Page(name)
                page.feed(path.read_text('utf-8'))
                yield from page.found


def main(argv: list[str] | None = None) -> int:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--draw', type=int, metavar='N',
                        help='print N texts, drawn at random')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--kind', action='append',
                        help='log, error, help, option, words or page')
    args = parser.parse_args(argv)
    found = [t for t in texts() if not args.kind or t.kind in args.kind]
    if args.draw is not None:
        draw = random.Random(args.seed)  # noqa: S311
        found = draw.sample(found, min(args.draw, len(found)))
    for text in found:
        sys.stdout.write(f'{text.kind:7}{text.where}: {text.text}\n')
    sys.stderr.write(f'{len(found)} texts\n')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
