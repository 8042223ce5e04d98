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

"""Steps, percent, elapsed and remaining time of a run."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re
import sys
import time
from typing import TextIO
from unittest import mock

import pytest

from ironic_accel.faces.cli import main as command
from ironic_accel.faces.cli import step_times
from ironic_accel.faces.cli.run_progress import RunProgress
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model import plan as plan_module
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Stage
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from tests.faces.conftest import Boot
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import Run
from tests import terminals

QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0',
         '--allow-disruption', '--yes')
SEEN = Inventory('/S', 'on', True, devices=(
    Device('gpu-1', 'gpu', product='nvidia-h100-sxm'),
    Device('dpu-1', 'dpu', vendor='nvidia', product='nvidia-bluefield-3')))
UPDATE = Action('update', 'redfish', (
    Change(Item('gpu-1', 'gpu', 'firmware', '2'), '1'),),
    Activation.AUX_CYCLE, image='x')
SET = Action('set', 'redfish', (
    Change(Item('gpu-1', 'ecc', 'mode', 'enabled'), 'disabled'),),
    Activation.WARM_REBOOT)
PLAN = Plan((Stage((UPDATE, SET), Activation.AUX_CYCLE),))
NAMES = ('update gpu nvidia-h100-sxm', 'set ecc nvidia-h100-sxm',
         'reset aux-cycle nvidia-bluefield-3 nvidia-h100-sxm')


@pytest.fixture
def clock() -> Iterator[mock.Mock]:
    with mock.patch.object(time, 'monotonic', autospec=True,
                           return_value=1000.0) as made:
        yield made


def at(action: Action | None, since: float = 1.0) -> Record:
    """The record within an action, or within the reset."""
    if action is None:
        return Record(intent=Intent('reset', Activation.AUX_CYCLE, since, 9.0))
    return Record(intent=Intent(
        'action', action.activation, since, 9.0,
        key=plan_module.action_key(action)))


def made(plan: Plan = PLAN, inherited: Record | None = None,
         **times: float) -> RunProgress:
    progress = RunProgress(catalog.load(), inherited or Record(), {
        NAMES[int(number[1])]: seconds for number, seconds in times.items()})
    progress.plan(plan, SEEN)
    return progress


def test_steps_are_counted_and_the_time_is_unknown_at_first(
        clock: mock.Mock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = made()
    progress.update(at(UPDATE), 'update gpu on gpu-1')
    clock.return_value += 40
    assert progress.text() == 'step 1/3, 0 %, 40 s: update gpu on gpu-1'
    progress.update(at(UPDATE), 'Update Running: gpu-1', 50)
    assert progress.text() == (
        'step 1/3, 16 %, 40 s, about 40 s left of this step: '
        'Update Running: gpu-1 (50 %)')
    progress.update(Record(), 'update finished, verifying')
    progress.update(at(SET, 2.0), 'set ecc')
    assert progress.text().startswith('step 2/3, 33 %, 40 s: ')
    progress.update(at(None, 3.0), 'cycling the auxiliary power')
    assert progress.text().startswith('step 3/3, 66 %, 40 s: ')
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r'^ *[\d.]+ s  ', '', line) for line in lines] == [
        'step 1/3: update gpu on gpu-1',
        'step 1/3: Update Running: gpu-1 (50 %)',
        'step 1/3: update finished, verifying', 'step 2/3: set ecc',
        'step 3/3: cycling the auxiliary power']


def test_a_line_is_printed_for_a_phase_and_not_for_each_percent(
        capsys: pytest.CaptureFixture[str]) -> None:
    progress = made()
    for percent in range(0, 100, 5):
        progress.update(at(UPDATE), f'Update Running: gpu-{percent}', percent)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_remaining_time_is_that_of_earlier_runs(
        clock: mock.Mock) -> None:
    progress = made(_0=600.0, _1=10.0, _2=390.0)
    assert progress.remaining(1000.0) == (1000.0, False)
    progress.update(at(UPDATE), 'Update Running', 1)
    clock.return_value += 300
    assert progress.remaining(1300.0) == (700.0, False)
    assert progress.percent(1300.0) == 30
    assert 'about 12 min left' in progress.text()
    # It takes longer than before, and the BMC reports how far it is.
    clock.return_value += 600
    progress.update(at(UPDATE), 'Update Running', 90)
    assert progress.remaining(1900.0) == (100.0 + 400.0, False)


def test_no_remaining_time_is_invented(clock: mock.Mock) -> None:
    progress = made(_0=600.0, _1=10.0)
    progress.update(at(UPDATE), 'Update Running')
    assert progress.remaining(1000.0) == (None, False)
    late = made(_0=600.0, _1=10.0, _2=390.0)
    late.update(at(UPDATE), 'Update Running', 100)
    clock.return_value += 601
    assert late.remaining(1601.0) == (None, False)
    assert 'left' not in late.text()


def test_the_limit_of_the_catalogue_is_an_upper_limit(
        clock: mock.Mock) -> None:
    bfb = Action('update', 'agent', (
        Change(Item('dpu-1', 'bfb', 'firmware', '2'), '1'),),
        Activation.NONE, image='x')
    progress = made(Plan((Stage((bfb,)),)))
    progress.update(at(bfb), 'writing')
    clock.return_value += 600
    assert progress.remaining(1600.0) == (4200.0, True)
    assert 'at most 1 h 10 min left' in progress.text()


def test_durations_of_a_run_are_used_by_the_next_one(
        clock: mock.Mock) -> None:
    progress = made()
    for action, seconds in ((UPDATE, 500), (SET, 4), (None, 300)):
        progress.update(at(action, seconds), 'x')
        clock.return_value += seconds
    progress.end()
    assert step_times.load() == {
        NAMES[0]: 500.0, NAMES[1]: 4.0, NAMES[2]: 300.0}
    assert RunProgress(catalog.load(), Record()).times == step_times.load()


def test_the_duration_of_a_step_that_was_begun_before_is_not_known(
        clock: mock.Mock) -> None:
    progress = made(inherited=at(UPDATE))
    progress.update(at(UPDATE), 'Update Running')
    clock.return_value += 10
    progress.update(at(SET, 2.0), 'set')
    clock.return_value += 3
    progress.end()
    assert step_times.load() == {NAMES[1]: 3.0}


def test_a_step_that_was_not_planned_is_counted() -> None:
    progress = made()
    progress.update(at(UPDATE), 'x')
    progress.update(at(UPDATE, 5.0), 'x, again')
    assert progress.text().startswith('step 2/4, ')


@pytest.mark.parametrize('content', [
    '', '[]', '{"schema": "step-times/1", "steps": []}',
    '{"schema": "step-times/9", "steps": {"a": [1]}}',
    '{"schema": "step-times/1", "steps": {"a": [null, "x", true, -1]}}'])
def test_a_broken_file_of_durations_is_begun_anew(
        tmp_path: pathlib.Path, content: str) -> None:
    folder = tmp_path / 'state' / 'ironic-accel'
    folder.mkdir(parents=True)
    (folder / 'step-times').write_text(content)
    assert step_times.load() == {}
    step_times.save({'a': 5.0})
    assert step_times.load() == {'a': 5.0}


def test_the_usual_duration_is_the_median_of_the_last_runs() -> None:
    for seconds in (1.0, 1000.0, 10.0, 11.0, 12.0, 13.0):
        step_times.save({'reset': seconds})
    assert step_times.load() == {'reset': 12.0}


def test_a_run_prints_its_steps_and_remembers_their_durations(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    said = run('apply', '--bmc', boot('hgx-h100').url, '--profile',
               profile(), *QUICK)
    assert said.code == 0, said.err
    assert 'step 1/4: update gpu on 8 devices' in said.err
    assert 'step 4/4: ' in said.err
    assert len(said.err.splitlines()) < 35
    assert {key.split()[0] for key in step_times.load()} == {
        'update', 'set', 'reset', 'copy'}


def test_a_terminal_shows_the_remaining_time_of_a_second_run(
        boot: Boot, profile: MakeProfile,
        monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(profile())
    words = ['apply', '--profile', file, *QUICK]
    assert command.main([*words, '--bmc', boot('hgx-h100').url]) == 0
    for _ in range(5):
        step_times.save(dict.fromkeys(step_times.load(), 100.0))
    machine = boot('hgx-h100')
    machine.box.faults.parse('slow=0.1')

    def apply(stream: TextIO) -> None:
        monkeypatch.setattr(sys, 'stderr', stream)
        assert command.main([*words, '--bmc', machine.url]) == 0
    text = terminals.shown(apply, columns=100)
    assert re.search(r'[|/\\-] step \d/4, \d+ %, \d+ s, about \d min left: ',
                     text)
