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

"""One command on the BMCs of a file, several at a time."""

from __future__ import annotations

import getpass
import json
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any
from typing import TextIO
from unittest import mock

import pytest

from ironic_accel.faces.cli import bmc_lock
from ironic_accel.faces.cli import main as command
from ironic_accel.faces.cli import step_times
from ironic_accel.faces.cli import workers
from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import Run
from tests import terminals

QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0',
         '--allow-disruption', '--yes')
#: Nobody listens there.
NOBODY = 'http://127.0.0.1:1'


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('IRONIC_ACCEL_USER', 'IRONIC_ACCEL_PASSWORD'):
        monkeypatch.delenv(name, raising=False)


def hosts(tmp_path: pathlib.Path, *lines: str) -> pathlib.Path:
    file = tmp_path / 'hosts'
    file.write_text('\n'.join(lines) + '\n')
    return file


def test_the_results_come_in_the_order_of_the_file(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    slow, fast = boot('hgx-h100'), boot('pcie-a100')
    slow.box.faults.parse('slow=0.02')
    said = run('inventory', '--bmc-file', hosts(
        tmp_path, '# rack 1', slow.url, '', f'{fast.url} system=1  # second'))
    assert said.code == 0, said.err
    assert said.out.index(slow.url) < said.out.index(fast.url)
    assert '  8 gpu' in said.out
    assert '  4 gpu' in said.out
    assert '2 BMCs: 2 done; 100 %' in said.err


def test_the_exit_code_is_the_highest_and_others_go_on(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    url = boot('plain').url
    said = run('inventory', '--json', '--bmc-file',
               hosts(tmp_path, NOBODY, url))
    assert said.code == 4
    document = said.document
    assert (document['schema'], document['command'],
            document['exit_code']) == ('bmcs/1', 'inventory', 4)
    first, second = document['bmcs']
    assert (first['bmc'], first['exit_code'],
            first['document']['schema']) == (NOBODY, 4, 'error/1')
    assert (second['bmc'], second['exit_code'],
            second['document']['schema']) == (url, 0, 'inventory/3')
    assert f'{NOBODY}: the BMC at 127.0.0.1:1 does not answer' in said.err


def test_a_refused_plan_of_one_bmc_is_exit_code_3(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    file = hosts(tmp_path, boot('hgx-h100').url, boot('plain').url)
    said = run('plan', '--bmc-file', file, '--profile', profile(), '--json',
               '--allow-disruption')
    assert said.code == 3, said.err
    assert [b['exit_code'] for b in said.document['bmcs']] == [0, 3]
    assert '2 BMCs: 1 done, 1 refused' in said.err


def test_entries_have_options_of_their_own(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    secured = boot('plain', user='root', password='s3cret')
    open_, two = boot('pcie-a100'), boot('two-nodes')
    (tmp_path / 'password').write_text('s3cret\n')
    file = tmp_path / 'hosts.yaml'
    file.write_text(f"""\
# A rack.
bmcs:
- url: {secured.url}
  user: root
  password-file: password
- {open_.url}
- {{url: '{two.url}/', system: Node0}}
- {{url: {two.url}, system: Node1}}
""")
    said = run('inventory', '--bmc-file', file, '--json', '--once')
    assert said.code == 0, said.err
    assert [b['document']['system'].rpartition('/')[2]
            for b in said.document['bmcs']] == ['1', '1', 'Node0', 'Node1']
    assert 's3cret' not in said.out + said.err


@pytest.mark.parametrize('text, words', [
    ('', 'no BMC in this file'),
    ('ftp://host', "line 1: url: expected http://HOST"),
    ('http://h\nhttp://u:secret@h', 'line 2: url: expected'),
    ('http://h user', "'user': expected URL [KEY=VALUE...]"),
    ('http://h user=a user=b', "'user': expected"),
    ("http://h user='a", 'No closing quotation'),
    ('http://h pasword-file=x', "'pasword-file': unknown; expected one of"),
    ('http://h password=secret', "'password': not accepted; expected "
                                 'password-file'),
    ('- http://h\n- {user: a}', 'entry 2: url: required'),
    ('- [http://h]', 'entry 1: expected a URL, or a mapping'),
    ('- {url: http://h, insecure: maybe}', 'insecure: \'maybe\': expected '
                                           'true or false'),
    ('- {url: http://h, system: 1}', 'system: 1: expected a text'),
    ('- {url: http://h, insecure: true, ca: x}', 'cannot be combined'),
    ('- {url: https://h, ca: none.pem}', 'entry 1: ca: '),
    ('- {url: http://h, user: a}', 'http://h: password-file: required'),
    ('bmcs: 5', 'expected a list of BMCs'),
    ('- http://h\n- http://H:80/', 'is listed twice'),
    ('- {', 'hosts')])
def test_a_wrong_entry_is_named_before_any_bmc_is_contacted(
        run: Run, tmp_path: pathlib.Path, text: str, words: str) -> None:
    said = run('inventory', '--bmc-file', hosts(tmp_path, text))
    assert (said.code, said.out) == (2, '')
    assert '--bmc-file: ' in said.err or 'hosts' in said.err
    assert words in said.err
    assert 'secret' not in said.err


@pytest.mark.parametrize(('in_file', 'named'), [
    (True, 'system in --bmc-file'), (False, '--system')])
def test_a_system_that_the_bmc_lacks_is_named_with_its_option(
        boot: Boot, run: Run, tmp_path: pathlib.Path, in_file: bool,
        named: str) -> None:
    url = boot('plain').url
    given = (('--bmc-file', hosts(tmp_path, f'{url} system=Nope'))
             if in_file else ('--bmc', url, '--system', 'Nope'))
    said = run('inventory', *given)
    assert said.code == 2
    assert f"{named}: 'Nope': expected one of the Systems" in said.err


def test_an_error_of_a_bmc_in_a_file_names_the_keys_of_the_file(
        run: Run, tmp_path: pathlib.Path) -> None:
    said = run('inventory', '--bmc-file', hosts(tmp_path, NOBODY))
    assert 'check host and port in its url in --bmc-file' in said.err
    assert '--bmc ' not in said.err


@pytest.mark.parametrize('words, expected', [
    (('--bmc', NOBODY), 'not allowed with'),
    (('--max-in-flight', '0'), 'expected an integer of at least 1')])
def test_options_that_do_not_fit_are_refused(
        run: Run, tmp_path: pathlib.Path, words: tuple[str, ...],
        expected: str) -> None:
    said = run('inventory', '--bmc-file', hosts(tmp_path, NOBODY), *words)
    assert said.code == 2
    assert expected in said.err


@pytest.mark.parametrize('words, expected', [
    (('--journal', 'j'), '--journal: cannot be combined with --bmc-file'),
    (('--image-address', 'host:80'), '--image-address: '),
    ((), '--yes: required with --bmc-file; see the plans first: '
         'ironic-accel plan --bmc-file ')])
def test_apply_on_several_bmcs_needs_fitting_options(
        run: Run, tmp_path: pathlib.Path, profile: MakeProfile,
        words: tuple[str, ...], expected: str) -> None:
    yes = ('--yes',) if words else ()
    said = run('apply', '--bmc-file', hosts(tmp_path, NOBODY), '--profile',
               profile(), *words, *yes)
    assert (said.code, said.out) == (2, '')
    assert expected in said.err


def test_apply_stops_after_a_failure_unless_it_shall_go_on(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    machine = boot('hgx-h100')
    words = ('apply', '--bmc-file', hosts(tmp_path, NOBODY, machine.url),
             '--profile', profile(), '--json', '--max-in-flight', '1',
             *QUICK)
    said = run(*words)
    assert said.code == 4
    assert said.document['bmcs'][1] == {
        'bmc': machine.url, 'system': None, 'exit_code': None,
        'document': None}
    assert f'not started: {machine.url}' in said.err
    assert machine.box.ledger.requests == []
    said = run(*words, '--keep-going')
    assert said.code == 4
    assert said.document['bmcs'][1]['document']['outcome'] == 'converged'
    assert f'{machine.url}:' in said.err
    assert machine.box.ledger.violations == []


def test_two_names_of_a_bmc_in_a_file_do_not_write_at_the_same_time(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    machine = boot('hgx-h100')
    other = machine.url.replace('127.0.0.1', 'localhost')
    refusal = bmc_lock._in_use

    def refused(*args: Any) -> bmc_lock.InUse:
        machine.going.set()
        return refusal(*args)

    # The update lasts until the other one is refused.
    machine.going.clear()
    with mock.patch.object(bmc_lock, '_in_use', autospec=True,
                           side_effect=refused):
        said = run('apply', '--bmc-file', hosts(tmp_path, machine.url, other),
                   '--profile', profile(), '--json', '--keep-going', *QUICK)
    assert said.code == 4
    assert sorted(b['exit_code'] for b in said.document['bmcs']) == [0, 4]
    assert 'another run' in said.err
    assert len(machine.box.ledger.pushes) == 1


def test_two_systems_are_updated_at_the_same_time_from_one_cache(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    machines = [boot('hgx-h100'), boot('hgx-h100')]
    # Two machines of one box have the same UUIDs.
    machines[1].box.faults.parse(
        'says=/UUID:"0c5f9b1e-6f1c-4d5b-9f0a-2b7d3c1e8a44"')
    machines[1].box.faults.parse('says=/SerialNumber:"ANOTHER"@System_0$')
    said = run('apply', '--bmc-file', hosts(
        tmp_path, *(m.url for m in machines)), '--profile', profile(),
        '--json', *QUICK)
    assert said.code == 0, said.err
    for machine, entry in zip(machines, said.document['bmcs'], strict=True):
        assert entry['document']['outcome'] == 'converged'
        assert len(machine.box.ledger.pushes) == 1
        assert machine.box.ledger.violations == []
    # Each line says whose it is.
    urls = tuple(f'{m.url}: ' for m in machines)
    assert all(line.startswith((*urls, '2 BMCs: '))
               for line in said.err.splitlines() if line)


def test_a_file_that_others_can_change_is_warned_about(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    file = hosts(tmp_path, boot('plain').url)
    file.chmod(0o666)
    said = run('inventory', '--bmc-file', file)
    assert said.code == 0
    assert 'other users can change which BMCs get the passwords' in said.err


def test_two_systems_of_one_bmc_are_worked_on_one_after_the_other(
        boot: Boot, run: Run, tmp_path: pathlib.Path) -> None:
    machine = boot('two-nodes')
    file = tmp_path / 'eco.yaml'
    file.write_text('profile: 1\nname: any\ndevices:\n  g:\n'
                    '    match: {kind: gpu}\n    count: {min: 0}\n'
                    '    modes: {ecc: enabled}\n')
    said = run('apply', '--bmc-file', hosts(
        tmp_path, f'{machine.url} system=Node0',
        f'{machine.url}/ system=Node1'), '--profile', file, '--json',
        '--warm-up', '0', *QUICK)
    assert 'another run' not in said.err
    assert [b['document']['schema'] for b in said.document['bmcs']] == [
        'plan/2', 'plan/2']


def test_a_shared_password_is_asked_for_once(
        boot: Boot, run: Run, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [boot(name, user='root', password='s3cret').url
            for name in ('plain', 'pcie-a100')]
    monkeypatch.setattr(sys.stdin, 'isatty', lambda: True)
    with mock.patch.object(sys.stderr, 'isatty', return_value=True), \
            mock.patch.object(getpass, 'getpass', autospec=True,
                              return_value='s3cret') as asked:
        said = run('inventory', '--user', 'root', '--bmc-file',
                   hosts(tmp_path, *urls))
    assert said.code == 0, said.err
    asked.assert_called_once()


def test_an_interrupted_apply_ends_each_run_and_can_be_continued(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    machine = boot('hgx-h100')
    file = hosts(tmp_path, machine.url, NOBODY)
    words = ('apply', '--bmc-file', str(file), '--profile', str(profile()),
             '--json', '--keep-going', *QUICK)
    machine.going.clear()
    child = subprocess.Popen(
        ['env', '--default-signal=INT', sys.executable, '-m',
         'ironic_accel.faces.cli.main', *words], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    timer = threading.Timer(60, child.kill)
    timer.start()
    try:
        assert child.stderr is not None
        for line in child.stderr:
            if 'Update' in line:
                break
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    finally:
        timer.cancel()
        child.kill()
        child.wait()
    assert child.returncode == 4, err
    [document, _] = json.loads(out)['bmcs']
    assert document['document']['error']['summary'] == 'interrupted'
    assert 'run the same command again' in err
    machine.going.set()
    said = run(*words)
    assert 'continuing the interrupted run' in said.err
    assert said.document['bmcs'][0]['document']['outcome'] == 'converged'
    assert len(machine.box.ledger.pushes) == 1


def test_no_more_jobs_run_than_allowed() -> None:
    lock, at_once, most = threading.Lock(), 0, 0

    def job() -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        return 0
    pool = workers.Pool([job] * 12, 3, lambda result: True)
    assert [number for number, _ in pool.results()] == [*range(12)]
    assert most == 3


def test_an_interruption_reaches_jobs_that_wait() -> None:
    ended: list[str] = []

    def job() -> str:
        try:
            workers.sleep(60)
        except KeyboardInterrupt:
            ended.append('interrupted')
            return 'interrupted'
        return 'slept'
    pool = workers.Pool([job] * 5, 2, lambda result: True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
    try:
        assert [*pool.results()] == [(0, 'interrupted'), (1, 'interrupted')]
    finally:
        signal.signal(signal.SIGINT, before)
    assert pool.interrupted
    assert (pool.started, ended) == (2, ['interrupted'] * 2)
    workers.sleep(0)  # The next command is not interrupted.


def test_an_error_of_a_job_interrupts_the_others_and_waits_for_them(
        ) -> None:
    ended: list[str] = []

    def fails() -> str:
        time.sleep(0.1)
        raise ZeroDivisionError

    def saves() -> str:
        try:
            workers.sleep(60)
        except KeyboardInterrupt:
            time.sleep(0.1)
            ended.append('saved')
        return 'interrupted'

    pool = workers.Pool([fails, saves, saves], 2, lambda result: True)
    with pytest.raises(ZeroDivisionError):
        list(pool.results())
    assert (pool.started, ended) == (2, ['saved'])
    workers.sleep(0)  # The next command is not interrupted.


def test_an_error_of_a_job_is_raised() -> None:
    def job() -> None:
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        list(workers.Pool([job], 1, lambda result: True).results())


def two_machines(boot: Boot) -> list[Machine]:
    """Two machines; two of one box would have the same UUIDs."""
    machines = [boot('hgx-h100'), boot('hgx-h100')]
    machines[1].box.faults.parse(
        'says=/UUID:"0c5f9b1e-6f1c-4d5b-9f0a-2b7d3c1e8a44"')
    machines[1].box.faults.parse('says=/SerialNumber:"ANOTHER"@System_0$')
    return machines


def test_a_terminal_shows_a_board_of_all_bmcs(
        boot: Boot, profile: MakeProfile, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    machines = two_machines(boot)
    for machine in machines:
        machine.box.faults.parse('slow=0.02')
    file = hosts(tmp_path, *(m.url for m in machines), NOBODY)
    words = ['apply', '--bmc-file', str(file), '--profile', str(profile()),
             '--keep-going', '--json', *QUICK]

    def apply(stream: TextIO) -> None:
        monkeypatch.setattr(sys, 'stderr', stream)
        assert command.main(words) == 4
    text = terminals.shown(apply, columns=160, lines=12)
    frames = [f.replace('\x1b[1A', '') for f in re.split(
        r'\r\x1b\[2K', text)]
    boards = [f.replace('\x1b[2K', '').splitlines() for f in frames
              if re.match(r'(\x1b\[2K)*[|/\\-] 3 BMCs: ', f)]
    assert len(boards) > 5, boards
    assert max(map(len, boards)) <= 10
    working = [b for b in boards if 'step ' in ''.join(b)]
    # What failed is first, then what is worked on.
    assert any(
        re.match(r'. 3 BMCs: 2 running, 1 failed; 33 %', b[0])
        and re.match(NOBODY + r' +failed, \d+ s: the BMC at ', b[1])
        and all(re.match(r'http://\S+ +(step \d/\d|\d steps|reading)', line)
                for line in b[2:4]) for b in working), working
    # The board has the phases; they are no lines of their own.
    assert not re.search(r'^http://\S+: +[\d.]+ s  step', text, re.M)
    # How each one has ended is such a line.
    for machine in machines:
        assert f'{machine.url}: converged, ' in text


def test_the_time_that_is_left_is_that_of_earlier_runs(
        boot: Boot, profile: MakeProfile, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    machines = two_machines(boot)
    words = ['apply', '--profile', str(profile()), '--json', *QUICK]
    assert command.main([*words, '--bmc', machines[0].url]) == 0
    for _ in range(5):
        step_times.save(dict.fromkeys(step_times.load(), 100.0))
    file = hosts(tmp_path, machines[1].url, boot('plain').url)
    machines[1].box.faults.parse('slow=0.05')

    def apply(stream: TextIO) -> None:
        monkeypatch.setattr(sys, 'stderr', stream)
        command.main([*words, '--bmc-file', str(file), '--keep-going'])
    text = terminals.shown(apply, columns=160)
    assert re.search(r'2 BMCs: [^\n]* s, about [567] min left', text)
    assert re.search(r'step 1/4, \d+ %, \d+ s, about [567] min left: ', text)


def test_a_pipe_gets_a_line_for_the_end_of_each_of_many_bmcs(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    machine = boot('hgx-h100')
    nobody = [f'http://127.0.0.1:{port}' for port in range(1, 9)]
    said = run('apply', '--bmc-file', hosts(tmp_path, machine.url, *nobody),
               '--profile', profile(), '--json', '--keep-going', *QUICK)
    lines = [line for line in said.err.splitlines()
             if line.startswith(f'{machine.url}: ')]
    assert not [line for line in lines if 'step ' in line]
    assert re.fullmatch(rf'{machine.url}: converged, \d+ s', lines[-1])
    assert len(lines) <= 4
    assert '9 BMCs: 1 done, 8 failed; 100 %' in said.err
