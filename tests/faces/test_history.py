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

"""``ironic-accel history``: what runs wrote, and how they ended."""

from __future__ import annotations

import csv
import errno
import getpass
import io
import json
import os
import pathlib
import re
import signal
import stat
from typing import Any
from unittest import mock

import pytest

from ironic_accel.bounded import files
from ironic_accel.faces.cli import history
from ironic_accel.faces.cli import journal
from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import NEW
from tests.faces.conftest import Run
from tests.faces.test_resume import started
from tests.faces.test_resume import wait_for
from tests.faces.test_resume import words

#: The firmware of the GPUs of the simulated system.
FIRST = '96.00.68.00.01'
QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0', '--yes',
         '--allow-disruption')


def apply(run: Run, machine: Machine, profile: pathlib.Path) -> int:
    """Run a profile to its end; the exit code."""
    return run('apply', '--bmc', machine.url, '--profile', profile,
               *QUICK).code


def documents(run: Run, *words: str) -> list[dict[str, Any]]:
    """The documents that the command prints."""
    found: list[dict[str, Any]] = run('history', '--json', *words).document
    return found


def test_a_run_is_recorded_with_devices_values_and_digests(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    assert apply(run, machine, profile()) == 0
    doc, = documents(run)
    assert (doc['schema'], doc['outcome'], doc['step']) == (
        'history/1', 'converged', 'apply')
    assert doc['user'] == getpass.getuser()
    parts = {(c['component'], c['from'], c['to'], c['result'])
             for c in doc['changes']}
    assert parts == {('gpu', FIRST, NEW, 'verified'),
                     ('ecc', 'enabled', 'disabled', 'verified')}
    assert len({c['serial'] for c in doc['changes']}) == 8
    assert {len(c['image_sha256'] or '') for c in doc['changes']} == {0, 64}
    # A run that changes nothing is an end too.
    assert apply(run, machine, profile()) == 0
    assert [(d['outcome'], d['changes']) for d in documents(run)[1:]] == [
        ('converged', [])]


def test_a_failed_update_is_recorded_with_the_message_of_the_bmc(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    machine.box.faults.parse('fail-component=HGX_FW_GPU_SXM_3')
    assert apply(run, machine, profile()) == 4
    assert apply(run, machine, profile(ecc='enabled')) == 4
    failed = run('history', '--failed', '--csv')
    heading, *rows = csv.reader(io.StringIO(failed.out))
    found = [dict(zip(heading, row, strict=True)) for row in rows]
    broken = [r for r in found if r['Result'] == 'failed']
    assert {r['Component'] for r in broken} == {'gpu'}
    assert {r['Message ID'] for r in broken} == {'Update.1.0.ApplyFailed'}
    # Each failure is that of its own device.
    assert all(f"SXM_{r['Device'][-1]}'" in r['Message'] for r in broken)
    assert {r['Outcome'] for r in found} == {'failed'}
    error = found[0]['Error']
    assert 'device gpu-1653223000001' in error and "SXM_1'" in error


def test_a_refused_run_is_recorded(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    assert run('apply', '--bmc', machine.url, '--profile',
               profile(fits={'board': 'other'}), *QUICK).code == 3
    doc, = documents(run, '--failed')
    assert doc['outcome'] == 'refused'
    assert {c['result'] for c in doc['changes']} == {'refused'}
    assert all(c['from'] for c in doc['changes'])


def test_an_interrupted_run_is_stopped_until_it_is_continued(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    machine.going.clear()
    child = started(machine, profile())
    wait_for(child, 'Update')
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    doc, = documents(run)
    assert doc['outcome'] == 'stopped'
    assert {c['result'] for c in doc['changes']
            if c['component'] == 'gpu'} == {'unknown'}
    machine.going.set()
    assert run(*words(machine, profile())).code == 0
    later, = documents(run)
    assert (later['id'], later['outcome']) == (doc['id'], 'converged')
    assert ('gpu', FIRST) in {(c['component'], c['from'])
                            for c in later['changes']}


def test_a_killed_run_that_another_one_replaces_is_stopped(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    machine.going.clear()
    child = started(machine, profile())
    wait_for(child, 'Update')
    child.kill()
    child.communicate(timeout=60)
    assert documents(run) == []
    machine.going.set()
    assert apply(run, machine, profile(ecc='enabled')) == 0
    first, second = documents(run)
    assert (first['outcome'], second['outcome']) == ('stopped', 'converged')
    assert {c['component'] for c in first['changes']} == {'gpu'}


def test_a_history_is_selected_by_bmc_number_and_journal(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    one, two = boot('hgx-h100'), boot('plain')
    own = tmp_path / 'own.json'
    assert apply(run, one, profile()) == 0
    assert run('apply', '--bmc', two.url, '--profile', profile(),
               '--journal', own, *QUICK).code == 3
    assert len(documents(run)) == 1
    assert len(documents(run, '--bmc', one.url + '/')) == 1
    assert documents(run, '--bmc', two.url) == []
    assert len(documents(run, '--journal', str(own))) == 1
    assert apply(run, one, profile()) == 0
    assert len(documents(run, '--last', '1')) == 1
    missing = run('history', '--journal', tmp_path / 'none.json')
    assert missing.code == 2
    assert '--journal' in missing.err


def test_a_history_keeps_the_last_runs_and_is_private(
        tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / 'x.history')
    for number in range(history.MOST + 5):
        history.append(path, {'schema': 'history/1', 'id': str(number),
                              'changes': []})
    kept = history.read(path)
    assert [d['id'] for d in kept] == [
        str(n) for n in range(5, history.MOST + 5)]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    history.append(path, {'schema': 'history/1', 'id': 'big', 'changes': [],
                          'error': 'x' * history.MOST_BYTES})
    assert [d['id'] for d in history.read(path)] == ['big']


def test_a_line_that_is_no_document_is_left_out_with_a_warning(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'x.history'
    good = {'schema': 'history/1', 'id': 'a', 'changes': []}
    path.write_text('{\n' + json.dumps(good) + '\n{"schema": "history/2"}\n')
    assert history.read(str(path)) == [good]
    assert capsys.readouterr().err.count('not a history/1 document') == 2
    # A later version may have written it: the next run leaves it there.
    before = path.read_text()
    assert history.append(str(path), {**good, 'id': 'b'})
    assert path.read_text().startswith(before)
    assert [d['id'] for d in history.read(str(path))] == ['a', 'b']


def test_a_history_that_cannot_be_written_does_not_fail_the_run(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('plain')
    assert apply(run, machine, profile()) == 3
    folder = pathlib.Path(journal.default_folder())
    path, = folder.glob('*.history')
    path.unlink()
    path.mkdir()
    said = run('apply', '--bmc', machine.url, '--profile', profile(), *QUICK)
    assert said.code == 3
    assert 'warning: cannot' in said.err and str(path) in said.err


def test_a_history_that_cannot_be_read_is_not_replaced(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'x.history'
    path.write_text('{"schema": "history/1", "id": "a", "changes": []}\n')
    with mock.patch.object(files, 'open_regular', autospec=True,
                           side_effect=OSError(errno.EIO, 'I/O error')):
        assert not history.append(str(path), {'id': 'b'})
    assert 'I/O error' in capsys.readouterr().err
    assert [d['id'] for d in history.read(str(path))] == ['a']


def test_a_run_whose_end_was_not_written_is_written_by_the_next_one(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    with mock.patch.object(history, 'append', autospec=True,
                           return_value=False):
        assert apply(run, machine, profile()) == 0
    assert documents(run) == []
    assert apply(run, machine, profile()) == 0
    doc, = documents(run)
    assert doc['outcome'] == 'converged'
    assert {c['component'] for c in doc['changes']} == {'gpu', 'ecc'}


def rows(run: Run, *words: str) -> list[list[str]]:
    """The cells of the table, without its title, headings and rule."""
    return [[cell.strip() for cell in re.split(r' {2,}', line)] for line in
            run('history', *words).out.splitlines()[3:]]


def test_a_row_of_the_table_is_for_all_devices_with_the_same_change(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    assert apply(run, machine, profile()) == 0
    assert apply(run, machine, profile()) == 0
    devices = '8: gpu-1653223000001 .. gpu-1653223000008'
    assert sorted(row[1:] for row in rows(run)) == [
        ['hgx', 'converged', '-', 'nothing was written', '-'],
        ['hgx', 'converged', devices, 'ecc enabled > disabled: verified',
         '-'],
        ['hgx', 'converged', devices, f'gpu {FIRST} > {NEW}: verified', '-']]
    assert machine.url not in run('history').out


def test_a_device_that_failed_has_a_row_of_its_own(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    machine.box.faults.parse('fail-component=HGX_FW_GPU_SXM_3')
    assert apply(run, machine, profile()) == 4
    failed = [row for row in rows(run) if row[4].endswith(': failed')]
    assert 'gpu-1653223000003' in {row[3] for row in failed}
    assert '-' not in {row[5] for row in failed}


def test_a_declined_run_has_its_reason_in_the_table(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    words = ('apply', '--bmc', machine.url, '--profile', profile(),
             '--allow-disruption')
    said = run(*words)
    assert said.code == 3
    assert 'or with --yes' in said.err
    assert 'expected' not in said.err
    row, = rows(run)
    assert row[2:5] == ['refused', '-', 'nothing was written']
    assert 'there is no terminal to ask on; nothing was changed' in row[-1]
    assert row[-1].endswith('or with --yes [needs-operator]')


def test_the_table_names_the_systems_if_there_are_several(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    one, two = boot('hgx-h100'), boot('plain')
    assert apply(run, one, profile()) == 0
    assert apply(run, two, profile()) == 3
    said = run('history').out
    assert said.splitlines()[1].startswith('System')
    assert one.url in said and two.url in said
    assert one.url not in run('history', '--bmc', one.url).out


def test_without_runs_the_history_says_what_makes_one(run: Run) -> None:
    said = run('history')
    assert (said.code, said.out) == (0, '')
    assert 'ironic-accel apply' in said.err
    assert run('history', '--csv').out.startswith('Time,')
    assert documents(run) == []
