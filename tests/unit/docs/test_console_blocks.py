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

"""Every console block of the pages is run, or has the reason why it is not.

Pages that use a cloud are run in the lab
(tests/functional/test_console_blocks.py), the others here, each in one shell:
what a page writes, a later command of the page may read.
"""

from __future__ import annotations

from pathlib import Path
import re
import shlex

import pytest

from ironic_accel.faces.cli import main as cli
from tests import console_page
from tests import consoles

#: Run by tests/faces/test_quickstart.py.
QUICKSTART = consoles.SOURCE / 'user/quickstart.rst'
#: First words of commands: in another block they would not be run.
PROGRAMS = ('$', 'pip', 'baremetal', 'openstack', 'ironic-accel', 'make',
            'ironic-manage', 'ironic-accel-status', 'python', 'python3',
            'ironic-accel-emulator', '.venv/', 'sudo', 'export', 'curl')
#: A synopsis of options is no command; it is compared with the parser.
SYNOPSIS = re.compile(r'\[--|FILE|\.\.\.')

ALL = [block for page in consoles.PAGES for block in consoles.blocks(page)]
HERE = sorted({b.page for b in ALL if b.language == 'console'
               and b.reason is None and b.page != QUICKSTART
               and not console_page.needs_cloud(b.page)})


def test_literal_blocks_have_a_language() -> None:
    assert len(ALL) > 60
    assert [b.name for b in ALL if not b.language] == []


def test_commands_are_in_console_blocks() -> None:
    assert [b.name for b in ALL
            if b.language in ('none', 'text', 'bash', 'shell')
            and b.text.startswith(PROGRAMS)
            and not SYNOPSIS.search(b.text)] == []


def test_console_blocks_begin_with_a_command() -> None:
    consoles_ = [b for b in ALL if b.language == 'console']
    assert len(consoles_) > 25
    assert [b.name for b in consoles_ if not b.text.startswith('$ ')] == []


def test_block_that_is_not_run_has_a_reason_and_its_test_exists() -> None:
    marked = [b for b in ALL if b.reason is not None]
    assert [b.name for b in marked if b.language != 'console'] == []
    for block in marked:
        assert len(str(block.reason).split()) > 2, block.name
        for named in re.findall(r'tests/\S+\.py', str(block.reason)):
            assert (consoles.ROOT / named).is_file(), block.name


def test_options_of_a_synopsis_are_those_of_the_parser() -> None:
    block, = (b for b in ALL if b.page.name == 'command.rst'
              and b.text.startswith('ironic-accel inventory'))
    joined = re.sub(r'\n\s+', ' ', block.text)
    checked = 0
    for line in joined.splitlines():
        verbs = line.split()[1].split('|')
        for verb in verbs:
            help_ = console_page.help_of(verb)
            for option in re.findall(r'--[a-z-]+', line):
                assert option in help_, (verb, option)
                checked += 1
    assert checked > 20 and {
        v for line in joined.splitlines()
        for v in line.split()[1].split('|')} == set(cli.COMMANDS)


def test_commands_that_are_not_run_have_the_options_of_the_client() -> None:
    parsed = 0
    for block in ALL:
        for command, _ in block.commands() if block.reason else ():
            words = shlex.split(command.replace('\\\n', ' '))
            if words[:2] == ['baremetal', 'accelerator']:
                parser = console_page.client_parser(words[2])
                parser.parse_args(words[3:])
                parsed += 1
            if words[0] == 'make':
                assert f'\n{words[1]}:' in (
                    consoles.ROOT / 'Makefile').read_text('utf-8')
    assert parsed > 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize('page', HERE, ids=lambda p: p.stem)
def test_each_command_of_a_page_works(page: Path, tmp_path: Path) -> None:
    console_page.run(page, tmp_path)


def test_outputs_differ_in_what_a_page_leaves_out_alone() -> None:
    assert consoles.shown(
        'node N, 3 s ago: a ...\nb', 'node N,  9 s ago: a c\n b\n')
    assert not consoles.shown('a ...\nb', 'a c')
    assert not consoles.shown('8 writes', '9 writes')


def test_blocks_are_read_as_sphinx_reads_them(tmp_path: Path) -> None:
    page = tmp_path / 'page.rst'
    page.write_text(
        'Run::\n\n    bare\n\n.. not run: needs a card of ours\n\n'
        '.. code-block:: console\n\n   $ a \\\n     b\n   out\n   $ c\n\nx\n')
    bare, marked = consoles.blocks(page)
    assert (bare.language, bare.text, bare.reason) == ('', 'bare', None)
    assert marked.reason == 'needs a card of ours'
    assert marked.commands() == [('a \\\n  b', 'out'), ('c', '')]
