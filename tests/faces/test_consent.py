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

"""``ironic-accel apply`` resets no host without consent."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
import io
import json
import pathlib
import sys
from typing import Any

import pytest

from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import Run

PACE = ('--poll-interval', '0.02', '--json')
ALLOWED = '--allow-disruption'
#: Two minutes of the twin's time, which has none of it to lose.
SOFT = ('--soft-power-off-timeout', '5')
Answer = Callable[[str], None]


class Terminal(io.StringIO):
    """A terminal on which an answer is typed."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """``typing('y')``: a person at a terminal answers so."""
    def answer(text: str) -> None:
        monkeypatch.setattr(sys, 'stdin', Terminal(text + '\n'))
        monkeypatch.setattr(type(sys.stderr), 'isatty', lambda _self: True,
                            raising=False)
    return answer


@pytest.fixture
def ecc(tmp_path: pathlib.Path) -> pathlib.Path:
    """A profile of one mode: one warm reboot."""
    path = tmp_path / 'ecc.yaml'
    path.write_text(
        '{profile: 1, name: ecc, devices: {gpus: {match: {kind: gpu}, '
        'count: 8, modes: {ecc: disabled}}}}')
    return path


def apply(run: Run, machine: Machine, profile: pathlib.Path,
          *more: str) -> Any:
    return run('apply', '--bmc', machine.url, '--profile', profile, *PACE,
               *more)


def touched(machine: Machine) -> bool:
    """Whether anything was written to the BMC, resets included."""
    ledger = machine.box.ledger
    return bool(ledger.count('POST', 'PATCH') or ledger.pushes)


def test_a_host_that_is_on_is_not_reset_by_default(
        boot: Boot, run: Run, profile: MakeProfile) -> None:
    machine = boot('hgx-h100')
    said = apply(run, machine, profile(), '--yes')
    assert said.code == 3
    assert said.document['outcome'] == 'refused'
    assert len(said.document['refused']) == 16
    assert '--allow-disruption' in said.err
    assert not touched(machine)


@pytest.mark.parametrize('answer', [None, '', 'n', 'no', 'maybe', 'yep'])
def test_nothing_is_written_without_consent(
        boot: Boot, run: Run, profile: MakeProfile, typing: Answer,
        answer: str | None) -> None:
    if answer is not None:
        typing(answer)
    machine = boot('hgx-h100')
    said = apply(run, machine, profile(), ALLOWED)
    assert said.code == 3
    assert said.document['outcome'] == 'refused'
    assert 'nothing was changed' in said.document['error']['summary']
    assert ('no terminal' in said.document['error']['summary']) is (
        answer is None)
    assert not touched(machine)
    # The journal knows of nothing either: the next run begins anew.
    assert 'continuing' not in apply(run, machine, profile(), ALLOWED).err


@pytest.mark.parametrize('answer', ['y', 'Y', 'yes', ' YES '])
def test_the_question_names_host_resets_and_time_limit(
        boot: Boot, run: Run, profile: MakeProfile, typing: Answer,
        answer: str) -> None:
    typing(answer)
    machine = boot('hgx-h100')
    said = apply(run, machine, profile(), ALLOWED,
                 '--soft-power-off-timeout', '0')
    assert said.code == 0, said.err
    question, = [line for line in said.err.splitlines()
                 if 'Continue? [y/N]' in line]
    assert '/redfish/v1/Systems/System_0' in question
    assert machine.url in question
    assert '(aux-cycle) within the next' in question
    assert ' minutes' in question
    assert machine.resets() == ['ForceOff', 'AuxPowerCycle', 'On']


def test_a_run_without_resets_asks_nothing(
        boot: Boot, run: Run, ecc: pathlib.Path) -> None:
    machine = boot('hgx-h100')
    words = (ALLOWED, '--yes', '--soft-power-off-timeout', '0')
    assert apply(run, machine, ecc, *words).code == 0
    machine.box.ledger.clear()
    again = apply(run, machine, ecc)
    assert again.code == 0, again.err
    assert 'Continue?' not in again.err
    assert not touched(machine)


def test_a_host_that_was_off_may_be_reset_after_consent(
        boot: Boot, run: Run, ecc: pathlib.Path) -> None:
    machine = boot('hgx-h100', power='Off')
    said = apply(run, machine, ecc, '--yes', '--soft-power-off-timeout', '0')
    assert said.code == 0, said.err
    machine = boot('hgx-h100', power='Off')
    said = apply(run, machine, ecc, '--soft-power-off-timeout', '0')
    assert said.code == 3, said.err
    # It was powered on to be looked at, and is off again.
    assert machine.resets() == ['On', 'ForceOff']
    assert machine.box.ledger.count('PATCH') == 0


def test_a_warm_reboot_asks_the_operating_system_first(
        boot: Boot, run: Run, ecc: pathlib.Path) -> None:
    machine = boot('hgx-h100')
    said = apply(run, machine, ecc, ALLOWED, '--yes', *SOFT)
    assert said.code == 0, said.err
    assert machine.resets()[0] in ('GracefulRestart', 'GracefulShutdown')
    assert not {'ForceRestart', 'ForceOff'} & set(machine.resets())


def test_no_host_is_powered_off_for_a_cycle_that_the_bmc_does_not_offer(
        boot: Boot, run: Run, profile: MakeProfile, tmp_path: pathlib.Path
        ) -> None:
    """An operator disconnects the AC power instead, if the profile allows."""
    text = (resources.files('ironic_accel_emulator')
            / 'boxes/hgx-h100.yaml').read_text('utf-8')
    system, wanted = tmp_path / 'no-aux.yaml', profile()
    system.write_text(text.replace('  aux: true\n', ''))
    machine = boot(system)
    words = ('--bmc', machine.url, '--profile', wanted, ALLOWED)
    plan = run('plan', *words, '--json')
    said = apply(run, machine, wanted, ALLOWED, '--yes')
    assert (plan.code, said.code) == (3, 3), said.err
    assert said.document['refused'] == plan.document['refused']
    assert len(said.document['refused']) == 8
    assert 'the BMC offers none' in said.err
    assert not touched(machine)
    wanted.write_text(json.dumps({**json.loads(wanted.read_text()),
                                  'allow': ['manual_ac_cycle']}))
    plan = run('plan', *words, '--json')
    assert plan.code == 0
    assert (plan.document['counts']['writes'],
            plan.document['counts']['resets']) == (9, 0)
    said = apply(run, machine, wanted, ALLOWED, '--yes')
    assert said.code == 4, said.err
    assert said.document['writes'] == 9
    assert 'disconnect and reconnect the AC power' in said.err
    assert machine.resets() == []
    with machine.box.lock:
        machine.box.power.aux_cycle(force=True)
    machine.box.advance(3600)
    said = apply(run, machine, wanted)
    assert said.code == 0, said.err
    # Nothing is left but to copy to the fallback slots.
    assert (said.document['outcome'], said.document['writes']) == (
        'converged', 1)
