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


"""Tools are bounded, flashes are left alone."""

from __future__ import annotations

import os
import pathlib
import signal
import tempfile
import time

import pytest

from ironic_accel.inband.machine import machine as hosts
from ironic_accel.inband.machine.machine import FlashNote
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.model.errors import AccelError
from tests.unit.inband import sample


@pytest.fixture(name='host')
def _host(tmp_path: pathlib.Path) -> Machine:
    return sample.machine(tmp_path)[1]


def test_a_tool_is_run_without_a_shell_in_the_c_locale(
        host: Machine, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('LC_MESSAGES', 'de_DE.UTF-8')
    monkeypatch.setenv('LANGUAGE', 'de')
    sample.tool(tmp_path, 'say',
                'echo "$1|$LC_ALL|$LC_MESSAGES|$LANGUAGE"; exit 3')
    ran = host.run(['say', '$HOME; id'], 10)
    assert (ran.rc, ran.out.strip()) == (3, '$HOME; id|C||')
    assert not ran.ok


def test_a_missing_tool_is_told(host: Machine) -> None:
    ran = host.run(['no-such-tool'], 1)
    assert (ran.rc, ran.timed_out) == (hosts.NOT_STARTED, False)
    assert 'no-such-tool' in ran.err


def test_a_tool_that_hangs_is_ended_with_what_it_started(
        host: Machine, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / 'never')
    sample.tool(tmp_path, 'hang', f'''
        trap "" TERM
        (read x < {tmp_path}/never) &
        echo $!
        read x < {tmp_path}/never''')
    ran = host.run(['hang'], 2.0)
    assert ran.timed_out and ran.pid is not None
    assert hosts.start_time(ran.pid) is None
    # It was killed too, and nobody waited for its end.
    until = time.monotonic() + 30.0
    while hosts.start_time(int(ran.out)) is not None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_tool_that_cannot_be_killed_is_not_run_again(
        host: Machine, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits in the kernel for a device: no signal ends it."""
    sample.tool(tmp_path, 'stuck', f"""
        echo x >> {tmp_path}/runs
        exec sleep 600""")
    temporary = tempfile.gettempdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, 'killpg', lambda pid, number: None)
        first = host.run(['stuck', 'X', f'{temporary}/a'], 2.0)
        again = host.run(['stuck', 'X', f'{temporary}/b'], 2.0)
    assert first.timed_out and again.timed_out
    assert again.err == (f'process {first.pid} of an earlier call cannot be '
                         'killed')
    assert (tmp_path / 'runs').read_text() == 'x\n'
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    hosts._STUCK['stuck', 'X'].wait(30)
    # Another device's call was never held up, and this one's is no longer.
    for name in ('X', 'Y'):
        assert host.run(['stuck', name], 0.5).err == ''


def test_flashing_tool_is_not_ended_at_its_deadline(
        host: Machine, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / 'go')
    sample.tool(tmp_path, 'flash', f'''
        echo begun
        read x < {tmp_path}/go
        echo done''')
    (tmp_path / 'spool').mkdir()
    notes: list[FlashNote] = []
    ran = host.watched(str(tmp_path / 'spool'), notes.append).run(
        ['flash', 'X'], 0.3, flash=True)
    assert (ran.rc, ran.timed_out, ran.out) == (None, True, 'begun\n')
    assert ran.pid is not None
    assert notes == [FlashNote(
        ran.pid, hosts.start_time(ran.pid), ('flash', 'X'))]
    with open(tmp_path / 'go', 'w', encoding='ascii') as go:
        go.write('\n')
    os.waitpid(ran.pid, 0)
    said = [p.read_text() for p in (tmp_path / 'spool').glob('*.out')]
    assert said == ['begun\ndone\n']


def test_tool_with_endless_output_is_ended(
        host: Machine, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, 'MAX_OUTPUT', 1000)
    sample.tool(tmp_path, 'babble', 'yes')
    ran = host.run(['babble'], 60)
    assert ran.timed_out and len(ran.out) == 1000


def test_a_setting_is_written(host: Machine, tmp_path: pathlib.Path) -> None:
    path = f'/sys/bus/pci/devices/{sample.QAT}/sriov_numvfs'
    host.write(path, '16')
    assert host.read(path) == '16'


def test_missing_setting_is_named_in_the_error(host: Machine) -> None:
    path = f'/sys/bus/pci/devices/{sample.GPU}/sriov_numvfs'
    with pytest.raises(AccelError, match=r'sriov_numvfs.*16'):
        host.write(path, '16')
    assert not host.exists(path)


@pytest.mark.parametrize(('works', 'scope'), [('exec', 'yes'), ('exit 1 ;',
                                                              '')])
def test_flashing_tool_leaves_the_systemd_unit_of_the_agent(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        works: str, scope: str) -> None:
    tree, host = sample.machine(tmp_path)
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    sample.tool(tmp_path, 'systemd-run', f"""
        while [ "$1" != -- ]; do shift; done
        shift
        SCOPE=yes {works} "$@" """)
    sample.tool(tmp_path, 'flash', 'echo "$SCOPE"')
    assert host.run(['flash'], 10, flash=True).out == '\n'
    tree.at('/run/systemd/system').mkdir(parents=True)
    assert host.run(['flash'], 10, flash=True).out == f'{scope}\n'
    assert host.run(['flash'], 10).out == '\n'
