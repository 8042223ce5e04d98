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

"""The table of features: its commands are those of the programs."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from ironic_accel.faces.cli import main as cli
from ironic_accel.faces.osc.report import trait_reason
from tests import console_page
from tests import consoles

PAGE = consoles.SOURCE / 'reference/features.rst'
ROWS = re.findall(r'^``((?:B|ironic-accel) [^`]+)`` +(yes|no)$',
                  PAGE.read_text('utf-8'), re.MULTILINE)


def help_of_ironic_accel(words: list[str]) -> str | None:
    """What the command prints for ``--help``; None if there is none."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main([*words, '--help'])
        except SystemExit as exc:
            return None if exc.code else out.getvalue()
    return out.getvalue()


def help_of_client(words: list[str]) -> str | None:
    """The help of ``baremetal accelerator WORDS``; None if there is none."""
    try:
        return console_page.client_parser(*words).format_help()
    except LookupError:
        return None


@pytest.mark.parametrize(('what', 'available'), ROWS)
def test_command_is_there_if_the_table_has_it(
        what: str, available: str) -> None:
    program, *words = what.split()
    option = words.pop() if words[-1].startswith('--') else None
    text = (help_of_client if program == 'B'
            else help_of_ironic_accel)(words)
    found = text is not None and (option is None or re.search(
        rf'{option}(?![\w-])', text) is not None)
    assert found is (available == 'yes')


def test_table_has_what_is_there_and_what_is_not() -> None:
    assert {available for _, available in ROWS} == {'yes', 'no'}
    assert len(ROWS) == PAGE.read_text('utf-8').count(
        '``B ') + PAGE.read_text('utf-8').count('``ironic-accel ')


def test_every_reason_of_a_trait_is_explained() -> None:
    text = (consoles.SOURCE / 'user/commands.rst').read_text('utf-8')
    table = re.search(r'The reasons:\n\n(=+ =+\n.*?=+ =+\n)', text, re.DOTALL)
    assert table is not None
    column = ''.join(f'{line[:23]}\n' for line in table[1].splitlines())
    assert sorted(re.findall(r'``([a-z-]+)``', column)) == sorted(
        trait_reason.CODES)
