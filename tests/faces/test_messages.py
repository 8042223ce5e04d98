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

"""What ``ironic-accel`` prints besides its result, and when."""

from __future__ import annotations

import getpass
import json
import logging
import pathlib
import re
import subprocess
import sys
from typing import TextIO
from unittest import mock

import pytest

from ironic_accel.faces.cli import main as command
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import request_log
from tests.faces.conftest import Boot
from tests.faces.conftest import Run
from tests import terminals

STATUS = re.compile(r'reading the BMC, \d+ requests?, \d+ s: GET \S+')


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('IRONIC_ACCEL_USER', 'IRONIC_ACCEL_PASSWORD'):
        monkeypatch.delenv(name, raising=False)


def test_a_pipe_gets_one_line_after_two_seconds_of_a_slow_bmc(
        boot: Boot, run: Run) -> None:
    machine = boot('hgx-h100')
    machine.box.faults.parse('slow=0.25')
    said = run('inventory', '--bmc', machine.url)
    assert said.code == 0
    assert len(said.err.splitlines()) == 1
    assert STATUS.fullmatch(said.err.strip())
    assert ', 2 s: ' in said.err


def test_a_terminal_shows_a_status_line_that_is_removed_at_the_end(
        boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = boot('plain')
    machine.box.faults.parse('slow=0.2')

    def inventory(stream: TextIO) -> None:
        monkeypatch.setattr(sys, 'stderr', stream)
        assert command.main(['inventory', '--bmc', machine.url]) == 0
    text = terminals.shown(inventory, columns=60)
    drawn = text.split('\r\x1b[2K')
    assert len(drawn) > 3
    assert drawn[0] == drawn[-1] == ''
    assert any(STATUS.search(line) for line in drawn)
    assert max(map(len, drawn)) < 60
    assert '\n' not in text


def test_quiet_prints_errors_only(boot: Boot, run: Run) -> None:
    machine = boot('hgx-h100')
    machine.box.faults.parse('status=500@FirmwareInventory/HGX_FW_BMC_0$')
    machine.box.faults.parse('expand-error')
    loud = run('inventory', '--bmc', machine.url)
    assert loud.err != ''
    for words in (('-q', 'inventory'), ('inventory', '-q')):
        said = run(*words, '--bmc', machine.url)
        assert (said.code, said.err) == (0, '')
        assert 'gpu' in said.out
    failed = run('inventory', '-q', '--bmc', 'http://127.0.0.1:1')
    assert failed.code == 4
    assert '127.0.0.1:1' in failed.err


def test_verbose_prints_each_request_and_no_secret(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    machine = boot('plain', user='root', password='s3cret')
    file = tmp_path / 'password'
    file.write_text('s3cret\n')
    file.chmod(0o600)
    said = run('-v', 'inventory', '--bmc', machine.url, '--user', 'root',
               '--password-file', file)
    assert said.code == 0
    lines = said.err.splitlines()
    assert all(re.fullmatch(r'(GET|POST|DELETE) /redfish\S*: HTTP \d+, '
                            r'\d+\.\d\d s', line) for line in lines)
    assert len([x for x in lines if x.startswith('POST')]) == 1
    assert sum(x.startswith('GET /redfish/v1/Systems') for x in lines) > 1
    assert 's3cret' not in said.err
    sent = [r for r in machine.box.ledger.requests if r.method == 'GET']
    assert len([x for x in lines if x.startswith('GET')]) == len(sent)


def test_verbose_names_the_error_of_a_request_that_failed(run: Run) -> None:
    said = run('inventory', '-v', '--bmc', 'http://127.0.0.1:1')
    assert 'GET /redfish/v1: ConnectionError, ' in said.err


def test_query_parameters_of_vendors_are_not_printed(
        capsys: pytest.CaptureFixture[str]) -> None:
    log = request_log.RequestLog('http://bmc')
    with messages.configured(quiet=False, verbose=True):
        log.answered('GET', '/redfish/v1/X?$skip=5&token=abc&only',
                     'HTTP 200', 0.5)
    assert capsys.readouterr().err == (
        'GET /redfish/v1/X?$skip=5&...&only: HTTP 200, 0.50 s\n')


def test_warnings_of_libraries_are_messages(
        boot: Boot, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with messages.configured(quiet=False, verbose=False):
        logging.getLogger('sushy').warning('the BMC is odd')
    assert capsys.readouterr().err == 'the BMC is odd\n'
    with messages.configured(quiet=True, verbose=False):
        logging.getLogger('sushy').warning('the BMC is odd')
    assert capsys.readouterr().err == ''


def test_messages_do_not_go_to_standard_output_if_errors_are_closed(
        boot: Boot) -> None:
    url = boot('plain').url
    for words in (['inventory', '--bmc', url, '--json'],
                  ['inventory', '--bmc', 'http://127.0.0.1:1', '-v']):
        result = subprocess.run(
            ['bash', '-c', 'exec "$@" 2>&-', 'bash', sys.executable, '-m',
             'ironic_accel.faces.cli.main', *words], text=True,
            stdout=subprocess.PIPE, check=False)
        assert result.returncode == (0 if '--json' in words else 4)
        assert result.stdout == '' or json.loads(result.stdout)


def test_version_is_printed(run: Run) -> None:
    said = run('--version')
    assert said.code == 0
    assert re.fullmatch(r'ironic-accel \S+\n', said.out)


def test_credentials_come_from_the_environment(
        boot: Boot, run: Run, monkeypatch: pytest.MonkeyPatch,
        tmp_path: pathlib.Path) -> None:
    url = boot('plain', user='root', password='s3cret').url
    monkeypatch.setenv('IRONIC_ACCEL_USER', 'root')
    monkeypatch.setenv('IRONIC_ACCEL_PASSWORD', 's3cret')
    assert run('inventory', '--bmc', url).code == 0
    # Options override the environment.
    assert run('inventory', '--bmc', url, '--user', 'other').code == 4
    wrong = tmp_path / 'wrong'
    wrong.write_text('not-it\n')
    said = run('inventory', '--bmc', url, '--password-file', wrong)
    assert said.code == 4
    assert 'not-it' not in said.err
    monkeypatch.delenv('IRONIC_ACCEL_USER')
    said = run('inventory', '--bmc', url)
    assert said.code == 2
    assert '--user: required with IRONIC_ACCEL_PASSWORD' in said.err
    assert run('inventory', '--bmc', url, '--user', 'root').code == 0


def test_a_password_is_asked_for_once_on_a_terminal(
        boot: Boot, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    url = boot('plain', user='root', password='s3cret').url
    words = ('inventory', '--bmc', url, '--user', 'root')
    said = run(*words)
    assert said.code == 2
    assert '--password-file: required with a user' in said.err
    monkeypatch.setattr(sys.stdin, 'isatty', lambda: True)
    with mock.patch.object(sys.stderr, 'isatty', return_value=True), \
            mock.patch.object(getpass, 'getpass', autospec=True,
                              return_value='s3cret') as asked:
        assert run(*words).code == 0
    asked.assert_called_once_with(f'Password of root at {url}: ')


def test_an_empty_password_file_is_invalid(
        run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'empty').write_text('\n')
    said = run('inventory', '--bmc', 'http://127.0.0.1:1', '--user', 'root',
               '--password-file', tmp_path / 'empty')
    assert said.code == 2
    assert 'is empty' in said.err
