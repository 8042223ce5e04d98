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

"""What an operator types and sees, and what reached the BMC meanwhile."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import subprocess
import sys

from tests import commands
from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine

TRANSCRIPT = pathlib.Path(__file__).parents[2].joinpath(
    'doc', 'source', 'user', 'commands-transcript.txt')


class Shell:
    """Runs commands and keeps what an operator would have seen."""

    def __init__(self, lab: Lab) -> None:
        self._url = lab.ironic.url
        self.lines: list[str] = []

    def run(self, line: str, retries: int = 5) -> commands.Told:
        """Run ``baremetal ...`` or another command in this process.

        :param retries: how often a request that Ironic answers with 409 is
            repeated. Its own power sync locks a node for a moment.
        """
        words = shlex.split(line)
        assert words.pop(0) == 'baremetal'
        quick = ['--interval', '0.3'] if 'apply' in words else []
        told = commands.run(self._url, '--max-retries', str(retries),
                            *words, *quick)
        self.note(line, told)
        return told

    def start(self, line: str) -> commands.Told:
        """The same as a process, as an operator starts it."""
        program, *words = shlex.split(line)
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith('OS_') and 'proxy' not in k.lower()}
        done = subprocess.run(
            [pathlib.Path(sys.executable).with_name(program), *words],
            env={**clean, 'OS_AUTH_TYPE': 'none',
                 'OS_ENDPOINT': self._url}, timeout=60,
            capture_output=True, text=True, check=False)
        told = commands.Told(done.returncode, done.stdout, done.stderr)
        self.note(line, told)
        return told

    def note(self, line: str, told: commands.Told) -> None:
        """Keep it for the transcript."""
        self.lines += [f'$ {line}', *told.err.splitlines(),
                       *told.out.splitlines(), '']
        if told.status:
            self.lines.insert(-1, f'[exit code {told.status}]')

    def refused(self, line: str, name: str, machine: Machine,
                status: int) -> commands.Told:
        """Run a command that is refused, and add what the BMC counted.

        Ironic itself goes on reading power states meanwhile.
        """
        stage.forget(machine)
        told = self.run(line, retries=0)
        assert told.status == status, told
        counted = stage.ledger(machine)
        self.lines.insert(-1, (
            f"# simulated BMC of {name}: {len(counted['writes'])} writes, "
            f"{len(counted['pushes'])} images, {len(counted['resets'])} "
            'resets or power actions, '
            f"{_changing(counted['by_method'])} requests other than GET"))
        assert [counted[k] for k in ('writes', 'pushes', 'resets')] == [
            [], [], []]
        assert _changing(counted['by_method']) == 0, counted
        return told


def _changing(methods: dict[str, int]) -> int:
    return sum(n for method, n in methods.items()
               if method not in ('GET', 'HEAD'))


def skeleton(text: str) -> list[str]:
    """The part of a transcript that is the same in every run.

    Progress comes when it comes; times, ids and with them the widths of
    tables differ.
    """
    lines = []
    for line in text.splitlines():
        if re.match(r' *\d+\.\d s  ', line):
            continue
        for pattern, word in (
                (r'[0-9a-f]{8}-[0-9a-f]{4}-\S{22,}', 'UUID'),
                (r'\d{4}-\d\d-\d\dT[\d:.+Z]+', 'TIME'),
                (r'127\.0\.0\.1:\d+', 'HOST'),
                (r'\b\d+ (s|min) ago', 'AGE'), (r'\d+\.\d s', 'SECONDS'),
                (r'\d+ requests?', 'REQUESTS'),
                (r'-+', '-'), (r'\s+', ' ')):
            line = re.sub(pattern, word, line)
        lines.append(line.strip())
    return lines


def hold(text: str) -> None:
    """Compare a transcript with that in the documentation, or write it."""
    if os.environ.get('ACCEL_WRITE_TRANSCRIPT'):
        TRANSCRIPT.write_text(text, encoding='utf-8')
    there = TRANSCRIPT.read_text(encoding='utf-8')
    assert skeleton(there) == skeleton(text), (
        'the transcript in the docs is not what the commands print: write '
        'it again with ACCEL_WRITE_TRANSCRIPT=1')
