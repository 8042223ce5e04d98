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

"""The benchmarks run, from any folder, and say which bars hold."""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any

import pytest

pytest.importorskip('ironic')

from bench import __main__ as bench
from bench.measure import plain_sushy
from bench.measure import results

FOLDER = Path(bench.__file__).parent

#: What a script needs besides Python.
NEEDS = {'agent_start': 'ironic_python_agent'}


@functools.cache
def measured(script: str) -> dict[str, Any]:
    """The document of a script that ran with no help from the current
    folder or PYTHONPATH.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'results.json'
        done = subprocess.run(
            [sys.executable, str(FOLDER / f'{script}.py'), '--quick',
             '--json', str(path)], capture_output=True, text=True,
            timeout=240, check=False, cwd=folder,
            env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'})
        assert done.returncode in (0, results.MISSED), (
            done.stdout + done.stderr)
        found: dict[str, Any] = json.loads(path.read_text('utf-8'))
    assert (done.returncode == results.MISSED) == any(
        r['bar'] and not r['holds'] for r in found['results'])
    for result in found['results']:
        assert result['name'] in done.stdout
    return found


@pytest.mark.parametrize('script', [
    path.stem for path in bench.scripts(FOLDER)])
def test_each_script_measures_and_writes_a_document(script: str) -> None:
    if script in NEEDS:
        pytest.importorskip(NEEDS[script])
    found = measured(script)
    assert found['version'] == 1
    assert found['script'] == script
    assert found['purpose']
    assert found['results'] or found['skipped']
    for result in found['results']:
        assert result['unit']
        assert math.isfinite(result['figure'])
        if result['peer'] and result['peer']['figure']:
            assert result['ratio'] == pytest.approx(
                result['figure'] / result['peer']['figure'])
        if result['goal'] is not None:
            assert result['holds'] in (True, False)


def test_every_reader_is_measured_on_a_box() -> None:
    found = measured('inventory')
    requests = {r['peer']['name']: r for r in found['results']
                if r['name'] == 'plain: requests'}
    # That of Ironic 32 cannot read a box.
    without = {line.partition(':')[0] for line in found['skipped']}
    assert set(requests) == {
        'sushy', 'ours without $expand', 'upstream'} - without
    assert ('sushy' in without) is bool(plain_sushy.MISSING)
    assert all(r['figure'] > 0 and r['peer']['figure'] > 0
               for r in requests.values())


def test_an_unknown_box_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / 'inventory.py'), 'nowhere'],
        capture_output=True, text=True, timeout=240, check=False,
        cwd=tmp_path)
    assert done.returncode == 2
    assert "BOX: 'nowhere'" in done.stderr


def test_a_mode_of_eight_gpus_takes_few_requests() -> None:
    found = {r['name']: r for r in measured('apply')['results']}
    assert found['whole run']['holds']
    assert found['whole run']['figure'] == (
        found['until the reset']['figure']
        + found['reset, wait, proof']['figure'])


def test_our_presence_costs_an_agent_little() -> None:
    pytest.importorskip('ironic_python_agent')
    found = measured('agent_start')['results']
    assert [r['holds'] for r in found if r['bar']] == [True, True]


def report() -> results.Report:
    """A report with one result of each kind."""
    made = results.Report('sample', 'Made for a test.')
    made.add('requests', 12, 'requests', results.at_most(10))
    made.add('polls', 9, 'requests', results.at_most(10))
    made.add('an audit', 300, 'CPU ms', results.at_most(200))
    made.add('pushing', 81, 'MB/s', results.ratio_at_least(0.8),
             results.Peer('a plain client', 100))
    made.add('reading', 30, 'CPU ms', results.ratio_at_most(2),
             results.Peer('sushy', 10))
    made.add('nothing', 1, 'requests', results.ratio_at_most(2),
             results.Peer('nobody', 0))
    made.add('just told', 5, 'MiB')
    return made


def test_a_bar_is_on_a_count_or_on_a_ratio_and_not_on_a_time() -> None:
    found = {r.name: r for r in report().results}
    assert [r.name for r in found.values() if r.is_bar] == [
        'requests', 'polls', 'pushing', 'reading', 'nothing']
    assert {n: r.holds for n, r in found.items()} == {
        'requests': False, 'polls': True, 'an audit': False,
        'pushing': True, 'reading': False, 'nothing': False,
        'just told': None}


def test_the_table_says_by_how_much_a_goal_is_missed() -> None:
    lines = {line.split('  ')[0]: line
             for line in results.table(report().results).splitlines()}
    assert lines['requests'].endswith('MISSED by 1.20 times')
    assert lines['an audit'].endswith('over by 1.50 times')
    assert lines['reading'].endswith('MISSED by 1.50 times')
    assert lines['pushing'].split('  ')[-1] == 'holds'
    assert 'a plain client 100' in lines['pushing']
    assert 'no peer' in lines['just told']


@pytest.mark.parametrize(('power', 'holds'), [(0, True), (1, True),
                                              (2, False)])
def test_growth_is_an_exponent(power: int, holds: bool) -> None:
    made = results.Report('sample', 'Made for a test.')
    made.growth('asking', {n: 2.0 * n ** power for n in (1000, 3000, 10000)},
                'CPU ms', results.at_most(1.2))
    (found,) = made.results
    assert found.figure == pytest.approx(power, abs=1e-9)
    assert found.holds is holds
    assert found.slope is not None
    if power == 1:
        assert found.slope.figure == pytest.approx(2000)


def test_two_sizes_show_no_growth() -> None:
    made = results.Report('sample', 'Made for a test.')
    made.growth('asking', {1: 1.0, 2: 2.0}, 'CPU ms')
    assert made.results == []
    assert made.notes == ['asking: no growth from 2 sizes, 3 are needed']


def test_a_missed_bar_is_an_exit_status_and_a_missed_time_is_none(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(json=str(tmp_path / 'file'))
    assert report().end(options) == results.MISSED
    made = results.Report('sample', 'Made for a test.')
    made.add('an audit', 300, 'CPU ms', results.at_most(200))
    made.skip('everything else', 'chromium is missing')
    assert made.end(options) == 0
    assert 'skipped: everything else: chromium is missing' in (
        capsys.readouterr().out)
    assert json.loads((tmp_path / 'file').read_text())['skipped'] == [
        'everything else: chromium is missing']


#: Scripts that end in each way.
SCRIPTS = {
    'holds': "report.add('polls', 1, 'requests', results.at_most(2))",
    'misses': "report.add('polls', 3, 'requests', results.at_most(2))",
    'slow': "report.add('reading', 3, 'ms', results.at_most(2))",
    'raises': 'raise RuntimeError("nothing responds")',
    'leaves': 'sys.exit(0)',
    'hangs': 'import time; time.sleep(600)'}


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, bench.Run]:
    """What became of each."""
    found = {}
    for name, work in SCRIPTS.items():
        path = tmp_path / f'{name}.py'
        path.write_text(
            'import sys\nfrom bench.measure import results\n'
            "options = results.parser('').parse_args()\n"
            f"report = results.report(__file__, '')\n{work}\n"
            'sys.exit(report.end(options))\n')
        found[name] = bench.run(path, limit=3 if name == 'hangs' else 60)
    return found


def test_a_script_that_breaks_is_named_beside_the_bars(
        runs: dict[str, bench.Run]) -> None:
    assert bench.summary(list(runs.values())).splitlines() == [
        '  holds   holds: polls',
        '  over    slow: reading: by 1.50 times',
        '  MISSED  misses: polls: by 1.50 times',
        '  BROKE   raises: exit status 1',
        '  BROKE   leaves: ' + runs['leaves'].why,
        '  BROKE   hangs: not done after 3 s']
    assert runs['leaves'].why.startswith('no results: ')
    assert bench.bars(list(runs.values())) == (1, 2)


def test_an_unknown_script_is_refused(
        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        bench.main(['nothing'])
    assert status.value.code == 2
    assert "SCRIPT: 'nothing': expected some of agent_start" in (
        capsys.readouterr().err)
