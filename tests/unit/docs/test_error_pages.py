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

"""The pages of errors quote messages of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import functools
import itertools
import pathlib
import re

from ironic.common import states
import pytest

from ironic_accel.model import traits

ROOT = pathlib.Path(__file__).parents[3]
PAGES = ROOT / 'doc/source/admin/errors'
WENT_WRONG = ROOT / 'doc/source/admin/went-wrong.rst'
#: An entry for many messages, named after their kind.
KINDS = {'bad input'}


def _texts(path: pathlib.Path) -> Iterator[str]:
    """Each string of a module, with an ellipsis for each value in it."""
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.JoinedStr):
            yield ''.join(
                str(part.value) if isinstance(part, ast.Constant) else '…'
                for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@functools.lru_cache(maxsize=1)
def messages() -> str:
    """All strings of the product, in lower case."""
    return '\n'.join(
        text.lower() for package in ('ironic_accel', 'ipa_hardware_manager')
        for path in sorted((ROOT / package).rglob('*.py'))
        for text in _texts(path))


def quoted(page: pathlib.Path) -> Iterator[str]:
    """The literal parts of the headings of a page's entries.

    A heading quotes one message, or several that a semicolon separates. An
    ellipsis or N stands for a value, parentheses hold a remark.
    """
    lines = page.read_text('utf-8').splitlines()
    for line, below in itertools.pairwise(lines):
        if re.match(r'\S', line) and below.startswith('    '):
            for part in re.split(r'; |…|\.\.\.|\bN\b|\(.*?\)', line):
                words = part.strip(' :,').lower()
                if len(words) > 3 and words not in KINDS:
                    yield words


@pytest.mark.parametrize('name', ['permanent', 'needs-operator', 'transient'])
def test_headings_quote_messages_of_the_code(name: str) -> None:
    found = list(quoted(PAGES / f'{name}.rst'))
    assert len(found) > 8
    assert [words for words in found if words not in messages()] == []


def entries() -> dict[str, str]:
    """What a person sees, with the text below it."""
    found: dict[str, str] = {}
    term = ''
    for line in WENT_WRONG.read_text('utf-8').splitlines():
        if line.startswith('``') and re.fullmatch(
                r'``[^`]+``(; ``[^`]+``)*', line):
            term = line
            found[term] = ''
        elif line.startswith('    ') and term:
            found[term] += line + '\n'
        elif line.strip():
            term = ''
    return found


def test_symptoms_are_words_of_the_code_or_states_of_ironic() -> None:
    known = {v for v in vars(states).values() if isinstance(v, str)}
    seen = [words for term in entries()
            for words in re.findall(r'``([^`]+)``', term)]
    assert len(seen) > 25
    assert [words for words in seen if words not in known
            and words.lower() not in messages()
            and words not in _prefixes()] == []


def _prefixes() -> set[str]:
    """Traits, whole or as far as they are the same for all."""
    return {traits.DEGRADED, f'{traits.PREFIX}IS_'}


@pytest.mark.parametrize('term', sorted(entries()))
def test_each_symptom_has_what_it_means_and_what_to_do(term: str) -> None:
    text = entries()[term]
    assert text.count('*Means:*') == text.count('*Do:*') == 1, text
    assert text.index('*Means:*') < text.index('*Do:*')
