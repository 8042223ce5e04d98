# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Changes staged by other clients are not applied by our resets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel_emulator import images
from ironic_accel_emulator.staged import CARRIED
from tests.contract.machine import Machine
from tests.contract.machine import machine
from tests.contract.redfish.actions.test_updates import NEW
from tests.contract.redfish.actions.test_updates import profile

#: Faults, and a text that the refusal contains.
STAGED = [
    (['foreign-job=UserIntervention'], 'TaskService/Tasks/0'),
    (['foreign-job=Suspended'], 'Firmware Update: BIOS Suspended'),
    (['jobs', 'foreign-job=Scheduled'], 'JobService/Jobs/JID_0'),
    (['jobs', 'foreign-job=RebootPending'], 'Firmware Update: BIOS'),
    (['jobs', 'foreign-job=Waiting'], 'Task successfully scheduled'),
    (['foreign-settings'], 'BIOS settings BootMode Legacy'),
    (['foreign-firmware=HGX_FW_NVSwitch_0'], '9.9.9-of-others'),
]


def touched(box: Machine) -> tuple[int, int, int]:
    ledger = box.box.ledger
    return (len(ledger.pushes), len(ledger.resets),
            len(ledger.violations))


def staged(box: Machine, faults: list[str]) -> None:
    for fault in faults:
        box.box.misbehave(fault)


@pytest.mark.parametrize(('faults', 'words'), STAGED)
def test_a_reset_that_would_apply_foreign_changes_is_refused(
        tmp_path: Path, faults: list[str], words: str) -> None:
    with machine('hgx-h100', tmp_path) as box:
        staged(box, faults)
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Refused), out
        reason = out.plan.refused[0].reason
        assert words in reason
        assert 'add staged to allow' in reason
        assert touched(box) == (0, 0, 0)


@pytest.mark.parametrize(('faults', 'words'), STAGED)
def test_foreign_changes_are_applied_with_consent(
        tmp_path: Path, faults: list[str], words: str) -> None:
    with machine('hgx-h100', tmp_path) as box:
        staged(box, faults)
        out = box.run(profile(box.image({'gpu': NEW}), 'allow: [staged]'))
        assert isinstance(out, outcome.Converged), out
        kinds = {v.kind for v in box.box.ledger.violations}
        assert kinds <= {CARRIED}
        assert len(box.box.ledger.pushes) == 1


@pytest.mark.parametrize('state', ['New', 'Pending', 'Downloaded',
                                   'ReadyForExecution'])
def test_a_foreign_job_that_may_start_any_time_is_waited_for(
        tmp_path: Path, state: str) -> None:
    """Nothing is written or reset meanwhile."""
    with machine('hgx-h100', tmp_path) as box:
        staged(box, [*(['jobs'] if state not in ('New', 'Pending') else []),
                     f'foreign-job={state}'])
        if state not in ('New', 'Pending'):
            for task in box.box.tasks.all.values():
                task.messages[:] = task.messages[:1]
        box.look_rarely()
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Failed), out
        assert f'Firmware Update: BIOS {state}' in str(out.error)
        name = next(iter(box.box.tasks.all))
        assert f'/{name})' in str(out.error)
        assert touched(box) == (0, 0, 0)


@pytest.mark.parametrize('faults', [f for f, _ in STAGED[:6]])
def test_a_host_with_foreign_changes_is_not_powered_on(
        tmp_path: Path, faults: list[str]) -> None:
    with machine('hgx-h100', tmp_path) as box:
        box.box.power.reset(next(iter(box.box.hosts.values())), 'ForceOff')
        before = len(box.box.ledger.resets)
        staged(box, faults)
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Refused), out
        assert len(box.box.ledger.resets) == before
        assert box.box.ledger.violations == []


@pytest.mark.parametrize('fault', ['foreign-firmware=HGX_FW_NVSwitch_0',
                                   'foreign-firmware=HGX_FW_GPU_SXM_8'])
def test_a_weaker_reset_does_not_apply_foreign_changes(
        tmp_path: Path, fault: str) -> None:
    """A change that waits for an auxiliary cycle, with a warm reboot."""
    asked = """
profile: 1
name: ecc
devices:
  gpus:
    match: {kind: gpu}
    modes: {ecc: disabled}
"""
    with machine('hgx-h100', tmp_path) as box:
        staged(box, [fault])
        out = box.run(asked)
        assert isinstance(out, outcome.Converged), out
        assert box.box.ledger.violations == []
        assert [r.kind for r in box.box.ledger.resets]


def test_a_foreign_change_staged_during_the_run_stops_the_reset(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        box.box.timeline.after(
            30.0, lambda: box.box.misbehave('foreign-job=UserIntervention'),
            'somebody else')
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Failed), out
        assert 'TaskService/Tasks/1' in str(out.error)
        assert (len(box.box.ledger.pushes), box.box.ledger.resets) == (1, [])
        # It has ended: the next run resets the host without another push.
        box.box.tasks.all.clear()
        again = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(again, outcome.Converged), again
        assert len(box.box.ledger.pushes) == 1


def test_our_own_pending_update_is_not_foreign(
        tmp_path: Path, captures: Path) -> None:
    """An iDRAC reports it as a job: that of our push."""
    digest = images.plain_image(tmp_path / 'nic', 'nic', '24.43.2026',
                                {'pci': '15b3:a2d6'})
    asked = f"""
profile: 1
name: bf2
images:
  nic:
    url: file:///i/nic.exe
    sha256: {digest}
    fits: {{pci: "15b3:a2d6"}}
devices:
  dpus:
    match: {{kind: dpu, location: NIC.Slot.5}}
    firmware: {{nic: {{version: "24.43.2026", image: nic}}}}
"""
    for faults in ([], ['foreign-job=Scheduled']):
        with machine(captures / 'dell-r750-h100.tar.gz', tmp_path,
                     'System.Embedded.1') as box:
            box.box.misbehave('jobs')
            staged(box, faults)
            out = box.run(asked)
            if not faults:
                assert isinstance(out, outcome.Converged), out
                assert len(box.box.ledger.pushes) == 1
            else:
                assert isinstance(out, outcome.Refused), out
                assert '/Jobs/JID_0' in out.plan.refused[0].reason
                assert box.box.ledger.pushes == []
