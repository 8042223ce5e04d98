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

"""The benchmarks run, from any folder, and refuse what they do not know."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('ironic')

BENCH = Path(__file__).resolve().parents[2] / 'bench' / 'inventory.py'


def run(*boxes: str) -> subprocess.CompletedProcess[str]:
    """The benchmark on some boxes."""
    return subprocess.run([sys.executable, str(BENCH), *boxes],
                          capture_output=True, text=True, timeout=240,
                          check=False)


#: Runs a script up to where it would begin to measure.
IMPORT = """
import pathlib, runpy, sys
sys.path[0] = str(pathlib.Path(sys.argv[1]).parent)
runpy.run_path(sys.argv[1], run_name='imported')
"""


def outside(folder: Path, *command: object
            ) -> subprocess.CompletedProcess[str]:
    """A command with no help from the current folder or PYTHONPATH."""
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    return subprocess.run([sys.executable, *map(str, command)], env=env,
                          capture_output=True, text=True, timeout=240,
                          check=False, cwd=folder)


@pytest.mark.parametrize(
    'script', sorted(BENCH.parent.glob('*.py')), ids=lambda path: path.stem)
def test_each_script_finds_what_it_imports(
        tmp_path: Path, script: Path) -> None:
    done = outside(tmp_path, '-c', IMPORT, script)
    assert done.returncode == 0, done.stderr


def test_the_audit_is_measured_from_any_folder(tmp_path: Path) -> None:
    done = outside(tmp_path, BENCH.with_name('audit.py'), '3')
    assert done.returncode == 0, done.stderr
    assert '3 nodes made' in done.stdout
    assert 'an audit, first: ' in done.stdout


def test_every_reader_is_measured_on_a_box() -> None:
    done = run('plain')
    assert done.returncode == 0, done.stderr
    head, box, *rows = done.stdout.splitlines()
    assert head.split()[0] == 'requests'
    assert box == 'plain, /redfish/v1/Systems/1'
    requests = {row[2:19].strip(): int(row[19:25]) for row in rows}
    assert set(requests) == {'ours, $expand', 'ours, one by one',
                             'sushy only', 'upstream'}
    assert all(n > 0 for n in requests.values())


def test_an_unknown_box_is_named() -> None:
    done = run('nowhere')
    assert done.returncode == 2
    assert "BOX: 'nowhere'" in done.stderr


def test_a_mode_of_eight_gpus_takes_few_requests() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH.with_name('apply.py'))],
        capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    counted = {line[:20].strip(): int(line[20:25])
               for line in done.stdout.splitlines()}
    assert counted['whole run'] == (
        counted['until the reset'] + counted['reset, wait, proof'])


def test_our_presence_costs_an_agent_little() -> None:
    pytest.importorskip('ironic_python_agent')
    script = BENCH.with_name('agent_start.py')
    done = subprocess.run(
        [sys.executable, str(script), '--runs', '3', '--functions', '64'],
        capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        'start', 'inspection']
