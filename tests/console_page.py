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

"""Runs the console blocks of one page in one shell, in their order."""

from __future__ import annotations

import argparse
import contextlib
from importlib import metadata
import io
import pathlib
import re
from collections.abc import Mapping

from ironic_accel.faces.cli import main as cli
from tests import consoles

#: Programs that need a cloud.
_CLOUD = re.compile(r'\b(baremetal|openstack|ironic-accel-status'
                    r'|ironic-manage)\b')


def needs_cloud(page: pathlib.Path) -> bool:
    """Whether a command of a page that is run needs an Ironic."""
    return any(_CLOUD.search(command) for block in consoles.consoles(page)
               if block.reason is None for command, _ in block.commands())


def help_of(verb: str) -> str:
    """What ``ironic-accel VERB --help`` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli.main([verb, '--help'])
    return out.getvalue()


def client_parser(*words: str) -> argparse.ArgumentParser:
    """The parser of ``baremetal accelerator WORDS``.

    :raises: LookupError if there is no such command.
    """
    name = '_'.join(['baremetal_accelerator', *words])
    for point in metadata.entry_points(group='openstack.baremetal.v1'):
        if point.name == name:
            command = point.load()
            made: argparse.ArgumentParser = command(
                argparse.Namespace(), argparse.Namespace()).get_parser(
                    ' '.join(['baremetal', 'accelerator', *words]))
            return made
    raise LookupError(f'baremetal accelerator {" ".join(words)}')


def run(page: pathlib.Path, folder: pathlib.Path,
        env: Mapping[str, str] | None = None,
        replaced: Mapping[str, str] | None = None) -> int:
    """Run the commands of a page; each has to end with 0.

    A block with a caption is a file of that name. Where the page shows an
    output, that is what the command has to print.

    :param env: added to the environment of the shell.
    :param replaced: texts of the page that are something else here.
    :returns: how many commands were run.
    """
    shell = consoles.Shell(folder, {
        'HOME': str(folder), 'COLUMNS': '200', **(env or {})})
    count = 0
    try:
        for block in consoles.blocks(page):
            if block.caption is not None:
                (folder / block.caption).write_text(f'{block.text}\n', 'utf-8')
            if block.language != 'console' or block.reason is not None:
                continue
            for command, expected in block.commands():
                _run(shell, block, command, expected, replaced or {})
                count += 1
    finally:
        shell.end()
    return count


def _run(shell: consoles.Shell, block: consoles.Block, command: str,
         expected: str, replaced: Mapping[str, str]) -> None:
    asked = command
    for text, here in replaced.items():
        asked = asked.replace(text, here)
    status, output = shell.run(asked)
    assert status == 0, f'{block.name}: {asked}: {status}: {output}'
    if expected:
        assert consoles.shown(expected, output), (
            f'{block.name}: {command} printed:\n{output}')
