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

"""Run every command of the quick start page."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / 'doc' / 'source' / 'user' / 'quickstart.rst'
#: The one command that is not run again here: tests/faces/test_packaging.py
#: installs both packages, and this environment has them.
INSTALL = 'pip install . ./emulator'


def commands() -> list[str]:
    """The commands of the page in their order, continuation lines with them.

    In a console block a command starts after ``$``.
    """
    found = []
    for block in re.findall(
            r'^\.\. code-block:: console\n\n((?:   .*\n|\n)+)',
            PAGE.read_text(), re.MULTILINE):
        lines = [line[3:] for line in block.rstrip().splitlines()]
        assert lines[0].startswith('$ ')
        found += '\n'.join(lines)[2:].split('\n$ ')
    return found


def port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        number: int = probe.getsockname()[1]
        return number


def answers(url: str) -> None:
    """Wait until the simulated BMC answers: a person is slower than it."""
    end = time.monotonic() + 30
    while True:
        try:
            requests.get(url + '/redfish/v1', timeout=5).raise_for_status()
            return
        except requests.RequestException:
            assert time.monotonic() < end, 'the twin does not answer'
            time.sleep(0.1)


class Shell:
    """A shell that runs one command after another."""

    def __init__(self, folder: pathlib.Path) -> None:
        path = f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'
        self.process = subprocess.Popen(
            ['bash', '-m'], cwd=folder, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, 'PATH': path})

    def run(self, command: str) -> tuple[int, str]:
        """The status of a command, and what it printed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f'{command}\necho "=== $?"\n')
        self.process.stdin.flush()
        said: list[str] = []
        for line in self.process.stdout:
            if match := re.fullmatch(r'=== (\d+)\n', line):
                return int(match[1]), ''.join(said)
            said.append(line)
        raise AssertionError(f'the shell has ended at {command!r}')

    def end(self) -> None:
        """End the shell with what it has started."""
        assert self.process.stdin and self.process.stdout
        if self.process.poll() is None:
            self.process.stdin.write('kill $(jobs -p) 2>/dev/null\n')
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()


@pytest.mark.timeout(120)
def test_each_command_does_what_the_page_says(
        tmp_path: pathlib.Path) -> None:
    number = port()
    said: dict[str, list[str]] = {}
    shell = Shell(tmp_path)
    try:
        for command in commands():
            if command == INSTALL:
                continue
            status, output = shell.run(command.replace('8000', str(number)))
            assert status == 0, f'{command}: {output}'
            said.setdefault(command.split()[1], []).append(output)
            if ' twin ' in command:
                answers(f'http://127.0.0.1:{number}')
    finally:
        shell.end()
    assert '9 devices, complete' in said['inventory'][0]
    assert 'valid' in said['validate'][0]
    first, second = said['apply']
    assert re.search(r'converged', first) and re.search(r'converged', second)
    assert '0 writes' in second and '0 writes' not in first


def test_the_page_has_its_commands() -> None:
    found = commands()
    assert found[0] == INSTALL
    assert [c.split()[1] for c in found if c.startswith('ironic-accel')] == [
        'twin', 'inventory', 'validate', 'apply', 'apply']
