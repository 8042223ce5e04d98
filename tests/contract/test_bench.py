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

"""The benchmark runs, and knows what it was not asked for."""

from __future__ import annotations

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


def test_our_presence_costs_an_agent_little() -> None:
    pytest.importorskip('ironic_python_agent')
    script = BENCH.with_name('agent_start.py')
    done = subprocess.run(
        [sys.executable, str(script), '--runs', '3', '--functions', '64'],
        capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        'start', 'inspection']
