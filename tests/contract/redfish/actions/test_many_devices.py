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

"""One mode of eight GPUs is set by one action with a request for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import dataclasses
from pathlib import Path
import re

import pytest

from ironic_accel.converge import outcome
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel_emulator.faults import Fault
from tests.contract.machine import Machine
from tests.contract.machine import machine

ECC = """
profile: 1
name: ecc
limits: {attempts: %d}
devices:
  gpus:
    match: {kind: gpu, product: nvidia-h100-sxm}
    count: 8
    modes: {ecc: disabled}
"""
ALL = [*range(1, 9)]
THIRD = 'GPU_SXM_3/Settings$'

#: Requests from the first inventory of a new process until every GPU was read
#: back and the reset is requested.
MOST = 60


def patched(box: Machine) -> list[int]:
    """The GPUs in the order of their PATCH requests."""
    return [int(found[1]) for r in box.box.ledger.requests
            if r.method == 'PATCH' and (found := re.search(
                r'GPU_SXM_(\d)/Settings$', r.path))]


def taken(box: Machine) -> dict[int, int]:
    """How often each GPU accepted its new setting."""
    return dict(Counter(
        int(found[1]) for w in box.box.ledger.writes
        if (found := re.search(r'GPU_SXM_(\d)', str(w)))))


def again(box: Machine, before_write: Callable[[], None] | None = None,
          expand: bool = True) -> None:
    """A new process takes over the node."""
    old = box.backend
    box.backend = RedfishBackend(
        old._connector, old._system, catalog=box.known,
        settings=dataclasses.replace(
            old._settings, before_write=before_write, expand=expand))


def test_eight_gpus_take_sixty_requests_and_one_inventory(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        out = box.run(ECC % 1)
        assert isinstance(out, outcome.Converged), out
        assert len(out.proofs) == 8
        told = [(r.method, r.path) for r in box.box.ledger.requests]
        assert patched(box) == ALL
        reset = next(n for n, (method, _) in enumerate(told)
                     if method == 'POST')
        assert reset <= MOST
        last = max(n for n, (method, _) in enumerate(told)
                   if method == 'PATCH')
        assert told[last:reset].count(('GET', '/redfish/v1/Systems')) == 1
        assert [r.kind for r in box.box.ledger.resets] == ['ForceRestart']
        assert not box.box.ledger.violations


def test_a_permanent_rejection_is_sent_once_and_ends_the_run(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        fault = box.box.faults.add('status', '400', THIRD, 'PATCH')
        out = box.run(ECC % 2)
        assert isinstance(out, outcome.Failed)
        assert 'GPU_SXM_3/Settings' in out.error.summary
        assert 'wrote nothing' in str(out.error.todo)
        assert not out.running
        assert patched(box) == [1, 2, 3]
        assert box.box.ledger.resets == []
        # Staged values are kept, and the next run sets the others.
        box.box.faults.lift(fault)
        assert isinstance(box.run(ECC % 1), outcome.Converged)
        assert patched(box) == [1, 2, 3, *ALL[2:]]
        assert set(taken(box).values()) == {1}
        assert [r.kind for r in box.box.ledger.resets] == ['ForceRestart']


def test_a_lost_response_is_resolved_before_the_other_requests(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        fault = box.box.faults.add('drop', None, THIRD, 'PATCH')
        box.box.timeline.after(5, lambda: box.box.faults.lift(fault), 'over')
        # It did not count as an attempt of requests that were not sent.
        out = box.run(ECC % 1)
        assert isinstance(out, outcome.Converged), out
        assert patched(box) == ALL
        told = [(r.method, r.path) for r in box.box.ledger.requests]
        third, fourth = (n for n, t in enumerate(told) if t[0] == 'PATCH'
                         and re.search('GPU_SXM_[34]/', t[1]))
        assert ('GET', '/redfish/v1/Systems') in told[third:fourth]
        assert set(taken(box).values()) == {1}


def test_a_lost_request_without_effect_is_sent_once_more(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        fault = box.box.faults.add('refuse', None, THIRD, 'PATCH')
        box.box.timeline.after(60, lambda: box.box.faults.lift(fault), 'over')
        began = box.clock.now()
        out = box.run(ECC % 2)
        assert isinstance(out, outcome.Converged), out
        assert Counter(patched(box)) == Counter([*ALL, 3])
        assert set(taken(box).values()) == {1}
        assert box.clock.now() - began > box.pace.lost


def test_a_busy_bmc_counts_as_no_attempt(tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        fault = box.box.faults.add('busy', '30', THIRD, 'PATCH')
        box.box.timeline.after(20, lambda: box.box.faults.lift(fault), 'over')
        out = box.run(ECC % 1)
        assert isinstance(out, outcome.Converged), out
        # Sent a second time after the next inventory, and then waited for.
        assert Counter(patched(box)) == Counter([*ALL, 3, 3])
        assert set(taken(box).values()) == {1}


@pytest.mark.parametrize('attempts', [1, 2])
def test_a_transient_rejection_fails_only_its_own_device(
        tmp_path: Path, attempts: int) -> None:
    with machine('hgx-h100', tmp_path) as box:
        fault = box.box.faults.add('status', '500', THIRD, 'PATCH')
        box.box.timeline.after(5, lambda: box.box.faults.lift(fault), 'over')
        out = box.run(ECC % attempts)
        assert patched(box)[:8] == ALL
        if attempts == 1:
            assert isinstance(out, outcome.Failed)
            assert 'not applied after 1 attempts' in out.error.summary
            assert box.box.ledger.resets == []
            return
        assert isinstance(out, outcome.Converged), out
        assert patched(box) == [*ALL, 3]
        assert set(taken(box).values()) == {1}


@pytest.mark.parametrize('sent', range(9))
def test_an_interrupted_action_is_resolved_by_an_inventory(
        tmp_path: Path, sent: int) -> None:

    class Ended(Exception):
        """The process has ended, or has lost the node."""

    with machine('hgx-h100', tmp_path) as box:
        def fence() -> None:
            if len(patched(box)) == sent:
                raise Ended

        again(box, fence)
        if sent < 8:
            with pytest.raises(Ended):
                box.run(ECC % 1)
        else:
            box.run(ECC % 1)
        assert patched(box) == ALL[:sent]
        again(box)
        out = box.run(ECC % 1)
        assert isinstance(out, outcome.Converged), out
        assert patched(box) == ALL
        assert set(taken(box).values()) == {1}
        assert [r.kind for r in box.box.ledger.resets] == ['ForceRestart']


def test_a_value_that_is_not_kept_causes_no_reset(tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add('says', 'MemorySummary/ECCModeEnabled:true', THIRD,
                           'GET')
        out = box.run(ECC % 1)
        assert isinstance(out, outcome.Failed)
        assert 'still reports the old value' in out.error.summary
        assert box.box.ledger.resets == []
        assert patched(box) == ALL


def test_without_expand_each_setting_is_read_back_separately(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        again(box, expand=False)
        out = box.run(ECC % 1)
        assert isinstance(out, outcome.Converged), out
        assert patched(box) == ALL
        told = box.box.ledger.requests
        last = max(n for n, r in enumerate(told) if r.method == 'PATCH')
        # Read back one by one, as the service has no $expand.
        for number in ALL:
            assert any(r.method == 'GET' and r.path.endswith(
                f'GPU_SXM_{number}/Settings') for r in told[last:last + 20])


@pytest.mark.parametrize('lasts', [60, 400])
def test_an_unread_setting_is_unknown_without_affecting_the_others(
        tmp_path: Path, lasts: float) -> None:
    with machine('hgx-h100', tmp_path) as box:
        def unread() -> None:
            # From the PATCH of the third one on.
            if patched(box)[-1:] == [3] and not standing:
                standing.append(box.box.faults.add(
                    'status', '503', THIRD, 'GET'))
                box.box.timeline.after(lasts, lambda: box.box.faults.lift(
                    standing[0]), 'over')

        standing: list[Fault] = []
        again(box, unread, expand=False)
        out = box.run(ECC % 1)
        assert isinstance(out, outcome.Converged), out
        assert standing
        assert patched(box) == ALL
        assert set(taken(box).values()) == {1}
