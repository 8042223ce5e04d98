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

"""Completion of ``ironic-accel`` in a shell."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ironic_accel.faces.cli import main as command
from tests.faces.conftest import Run


def completed(run: Run, *words: str) -> list[str]:
    """What bash completes the last word to."""
    said = run('completion', 'bash')
    assert said.code == 0
    call = ('words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
            '_ironic_accel; printf "%s\\n" "${COMPREPLY[@]}"; }\n'
            'words ironic-accel "$@"')
    result = subprocess.run(
        ['bash', '--norc', '-u', '-c', said.out + call, 'bash', *words],
        text=True, capture_output=True, check=True)
    assert result.stderr == ''
    return result.stdout.split()


@pytest.mark.parametrize('words, found', [
    (('in',), ['inventory']),
    (('-q', 'pl'), ['plan']),
    (('--vers',), ['--version']),
    (('plan', '--prof'), ['--profile']),
    (('plan', '--max-activation', 'w'), ['warm-reboot']),
    (('templates', '--via', ''), ['redfish', 'agent']),
    # The shell completes the names of files.
    (('plan', '--profile', ''), []),
    (('validate', 'x'), []),
    (('completion', 'z'), ['zsh'])])
def test_bash_completes(run: Run, words: tuple[str, ...], found: list[str]
                        ) -> None:
    assert completed(run, *words) == found


def test_bash_completes_all_subcommands(run: Run) -> None:
    assert set(command.COMMANDS) <= set(completed(run, ''))


def test_deprecated_options_are_not_offered(run: Run) -> None:
    assert '--max-effect' not in completed(run, 'plan', '--')


def test_fish_has_all_subcommands_options_and_choices(run: Run) -> None:
    said = run('completion', 'fish')
    assert said.code == 0
    lines = said.out.splitlines()
    assert all(x.startswith('complete -c ironic-accel -n ') for x in lines)
    for name in command.COMMANDS:
        assert any(f' -f -a {name} -d ' in line for line in lines)
    assert any(line.startswith(
        "complete -c ironic-accel -n '__fish_seen_subcommand_from plan' "
        "-l max-activation -r -f -a 'none driver-reload ") for line in lines)
    # A path is completed by fish.
    [profile] = [x for x in lines if 'from plan' in x and '-l profile' in x]
    assert ' -r -d ' in profile


def test_zsh_loads_the_function_of_bash(run: Run) -> None:
    said = run('completion', 'zsh')
    assert said.out.splitlines()[2] == 'bashcompinit'
    assert run('completion', 'bash').out in said.out


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'fish'])
def test_the_shell_accepts_its_script(run: Run, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f'{shell} is not installed')
    subprocess.run([shell, '-n'], input=run('completion', shell).out,
                   text=True, check=True)


def test_an_unknown_shell_is_refused(run: Run) -> None:
    said = run('completion', 'tcsh')
    assert said.code == 2
    assert 'tcsh' in said.err
