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

from pathlib import Path
import re
import socket
import time

import pytest
import requests

from tests import consoles

PAGE = consoles.SOURCE / 'user' / 'quickstart.rst'
#: The one command that is not run again here: tests/faces/test_packaging.py
#: installs both packages, and this environment has them.
INSTALL = 'pip install . ./emulator'


def commands() -> list[str]:
    """The commands of the page in their order, whole."""
    return [command for block in consoles.consoles(PAGE)
            for command, _ in block.commands()]


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


@pytest.mark.timeout(120)
def test_each_command_does_what_the_page_says(
        tmp_path: Path) -> None:
    number = port()
    said: dict[str, list[str]] = {}
    shell = consoles.Shell(tmp_path)
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
