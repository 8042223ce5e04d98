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

"""A run that is killed or interrupted goes on where it was."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import OLD
from tests.faces.conftest import Run

QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0', '--json',
         '--allow-disruption', '--yes')


def words(machine: Machine, profile: pathlib.Path) -> tuple[str, ...]:
    return ('apply', '--bmc', machine.url, '--profile', str(profile), *QUICK)


def started(machine: Machine, profile: pathlib.Path
            ) -> subprocess.Popen[str]:
    """The command as a process of its own.

    A test run that a shell has put into the background ignores SIGINT, and
    what it starts would, too.
    """
    return subprocess.Popen(
        ['env', '--default-signal=INT', sys.executable, '-m',
         'ironic_accel.faces.cli.main',
         *words(machine, profile)], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(child: subprocess.Popen[str], line: str) -> None:
    """Read the output until a line has these words."""
    assert child.stderr is not None
    timer = threading.Timer(60, child.kill)
    timer.start()
    said = []
    try:
        for text in child.stderr:
            said.append(text)
            if line in text:
                return
    finally:
        timer.cancel()
    raise AssertionError(f'{line!r} was not said: {"".join(said)}')


@pytest.mark.parametrize('number, moment', [
    # The time of the system is stopped.
    (signal.SIGKILL, 'Update'),
    (signal.SIGINT, 'Update'),
    (signal.SIGTERM, 'Update'),
])
def test_an_image_is_pushed_once_however_the_run_ends(
        boot: Boot, run: Run, profile: MakeProfile,
        number: signal.Signals, moment: str) -> None:
    machine, file = boot('hgx-h100'), profile()
    machine.going.clear()
    child = started(machine, file)
    try:
        wait_for(child, moment)
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    if number == signal.SIGKILL:
        assert child.returncode == -signal.SIGKILL
    else:
        assert child.returncode == 4, err
        document = json.loads(out)
        assert document['outcome'] == 'failed'
        assert 'update' in document['error']['running']
        assert 'run the same command again' in err
    assert len(machine.box.ledger.pushes) == 1
    machine.going.set()
    said = run(*words(machine, file))
    assert said.code == 0, said.err
    assert said.document['outcome'] == 'converged'
    assert 'continuing the interrupted run' in said.err
    assert len(machine.box.ledger.pushes) == 1
    assert machine.resets() == ['ForceOff', 'AuxPowerCycle', 'On']
    assert machine.box.ledger.violations == []


def test_a_run_killed_in_a_reset_continues(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    """The host is off then, and was on before: it is on in the end."""
    machine, file = boot('hgx-h100'), profile()
    child = started(machine, file)
    try:
        wait_for(child, 'cycling the auxiliary power')
        # Time goes fast in the machine: its BMC is not away for long.
        machine.going.clear()
        child.kill()
        child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    until = time.monotonic() + 60
    while not machine.box.as_dict()['bmc_away']:
        assert time.monotonic() < until, 'the BMC was not seen to be away'
        machine.box.advance(1)
    # Without an interrupted run the BMC is not waited for.
    other = run('apply', '--bmc', machine.url, '--profile',
                str(profile(OLD)), *QUICK)
    assert other.code == 4
    assert 'continuing an interrupted run' not in other.err
    threading.Timer(0.3, machine.going.set).start()
    said = run(*words(machine, file))
    assert said.code == 0, said.err
    assert 'continuing an interrupted run, waiting for the BMC' in said.err
    assert said.document['outcome'] == 'converged'
    assert machine.resets().count('AuxPowerCycle') == 1
    assert machine.box.as_dict()['hosts'] == {'System_0': 'On'}
    assert len(machine.box.ledger.pushes) == 1


def test_a_second_run_on_the_same_bmc_is_refused(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine, file = boot('hgx-h100'), profile()
    machine.going.clear()
    child = started(machine, file)
    try:
        wait_for(child, 'Update')
        said = run(*words(machine, file))
        assert said.code == 4
        assert 'another run' in said.document['error']['summary']
    finally:
        child.kill()
        child.communicate(timeout=60)


def test_another_name_of_the_bmc_has_the_same_lock_and_journal(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine, file = boot('hgx-h100'), profile()
    named = [word.replace('127.0.0.1', 'LOCALHOST') + '/'
             if word == machine.url else word
             for word in words(machine, file)]
    machine.going.clear()
    child = started(machine, file)
    try:
        wait_for(child, 'Update')
        said = run(*named)
        assert said.code == 4
        assert 'another run' in said.err
        assert 'UUID' in said.err
    finally:
        child.kill()
        child.communicate(timeout=60)
    machine.going.set()
    said = run(*named)
    assert said.code == 0, said.err
    assert 'continuing the interrupted run' in said.err
    assert len(machine.box.ledger.pushes) == 1


def test_twin_serves_until_it_is_ended() -> None:
    child = subprocess.Popen(
        [sys.executable, '-m', 'ironic_accel.faces.cli.main', 'twin',
         '--system', 'plain', '--port', '0'],
        text=True, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert 'listening on http://127.0.0.1:' in child.stdout.readline()
        child.terminate()
        assert child.wait(timeout=30) == 0
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize('power', [None, 'Off'])
def test_host_whose_auxiliary_power_is_not_cycled_has_its_power_back(
        boot: Boot, run: Run, profile: MakeProfile, power: str | None
        ) -> None:
    machine, file = boot('hgx-h100', power=power), profile()
    machine.box.faults.add('status', '400', 'AuxPowerReset', 'POST')
    said = run(*words(machine, file))
    assert said.code == 4, said.err
    assert said.document['outcome'] == 'failed'
    assert machine.box.as_dict()['hosts'] == {'System_0': power or 'On'}
    assert 'AuxPowerCycle' not in machine.resets()
    assert ('the host is on again' in said.err) is (power is None)


@pytest.mark.parametrize('restarted', [False, True])
def test_host_that_was_off_is_off_again_unless_somebody_restarted_it(
        boot: Boot, run: Run, profile: MakeProfile, restarted: bool
        ) -> None:
    """Between the interrupted run and the one that continues it."""
    machine, file = boot('hgx-h100', power='Off'), profile()
    child = started(machine, file)
    try:
        wait_for(child, 'Update')
        machine.going.clear()
        child.kill()
        child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    if restarted:
        (host,) = machine.box.hosts.values()
        assert host.last_reset is not None
        host.last_reset += 1
    machine.going.set()
    said = run(*words(machine, file))
    assert said.code == 0, said.err
    assert machine.box.as_dict()['hosts'] == {
        'System_0': 'On' if restarted else 'Off'}
    assert ('was restarted since: it stays on' in said.err) is restarted
