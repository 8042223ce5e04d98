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

"""The command against a BMC that is bad at writes: one push, plain words."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel_emulator.staged import CARRIED
from tests.faces.conftest import Boot
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import Run

YES = ('--yes', '--allow-disruption', '--poll-interval', '0.05')

#: Faults that a run gets over, with the pushes that it takes.
GOOD = [
    ('success', 1), ('bare=200', 1), ('bare=202', 1), ('bare=204', 1),
    ('monitor-error', 1), ('task-purged', 1), ('task-done', 1),
    ('task-new=30', 1), ('task-warning', 1), ('task-early', 1),
    ('task-waits', 1), ('jobs', 1), ('task-forgotten=60', 1),
    ('fail-component#1', 2), ('equal-refused', 1),
    ('busy=1@update-multipart#2', 1), ('drop@update-multipart#1', 1),
    ('late-devices=120', 1), ('foreign-task=300', 1), ('foreign-copy', 1)]

#: Faults that end a run: exit status, pushes, what is said.
BAD = [
    ('push-refused=400', 4, 0, 'the request wrote nothing'),
    ('aux-refused', 4, 1, 'the staged changes need an auxiliary power cycle'),
    ('weak-reset', 4, 1, 'no reset that the profile allows activated'),
    ('foreign-job=UserIntervention', 3, 0, 'another party staged'),
    ('foreign-settings', 3, 0, 'BIOS settings BootMode Legacy'),
    ('foreign-firmware=HGX_FW_NVSwitch_0', 3, 0, '9.9.9-of-others')]


def apply(run: Run, box: Machine, path: Any, *more: str) -> Any:
    """``apply``, without a terminal."""
    return run('apply', '--bmc', box.url, '--profile', path, *YES, *more)


def harmless(box: Machine, pushes: int) -> None:
    ledger = box.box.ledger
    assert ledger.violations == []
    assert len(ledger.pushes) == pushes


@pytest.mark.parametrize(('fault', 'pushes'), GOOD)
def test_a_run_recovers_from_the_fault(
        boot: Boot, run: Run, profile: MakeProfile, fault: str, pushes: int
        ) -> None:
    box = boot('hgx-h100')
    box.box.misbehave(fault)
    said = apply(run, box, profile(), '--json')
    assert said.code == 0, said.err
    assert said.document['outcome'] == 'converged'
    assert len(said.document['proofs']) == 16
    harmless(box, pushes)


@pytest.mark.parametrize(('fault', 'code', 'pushes', 'words'), BAD)
@pytest.mark.parametrize('json', [True, False])
def test_a_failed_run_names_the_reason(
        boot: Boot, run: Run, profile: MakeProfile, fault: str, code: int,
        pushes: int, words: str, json: bool) -> None:
    """And a second one pushes nothing that waits already."""
    box = boot('hgx-h100')
    box.box.misbehave(fault)
    path = profile()
    said = apply(run, box, path, *(['--json'] if json else []))
    assert said.code == code, said.err
    if json:
        told = said.document
        assert told['outcome'] == ('refused' if code == 3 else 'failed')
        assert words in str(told)
    else:
        assert words in ' '.join((said.out + said.err).split()) or (
            fault.startswith('foreign') and words.split()[0] in said.out)
    harmless(box, pushes)
    if code == 3:
        assert box.resets() == []
    again = apply(run, box, path)
    assert again.code == code
    harmless(box, pushes)


@pytest.mark.parametrize('fault', [f for f, *_ in BAD if 'foreign' in f])
def test_the_plan_refuses_it_as_well(
        boot: Boot, run: Run, profile: MakeProfile, fault: str) -> None:
    box = boot('hgx-h100')
    box.box.misbehave(fault)
    said = run('plan', '--bmc', box.url, '--profile', profile(), '--json',
               '--allow-disruption')
    assert said.code == 3
    assert 'add staged to allow of the profile' in (
        said.document['refused'][0]['reason'])
    seen = run('inventory', '--bmc', box.url, '--json')
    if 'firmware' not in fault:
        assert len(seen.document['waiting']) == 1
    assert CARRIED not in {v.kind for v in box.box.ledger.violations}
