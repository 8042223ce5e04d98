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

"""A mode that takes two requests, through a whole run.

Confidential computing of an H100 is two properties of the settings object,
one for each request (``ironic_accel/redfish/vendors/nvidia.py``). Where the
second one fails the mode has neither the old nor the new value.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ironic_accel.converge.outcome import Converged
from ironic_accel.converge.outcome import Failed
from ironic_accel.model import record as record_mod
from ironic_accel.redfish.backend import RedfishBackend
from tests.contract.machine import Machine
from tests.contract.machine import machine

PROFILE = """
profile: 1
name: cc
devices:
  gpus:
    match: {kind: gpu, product: nvidia-h100-sxm}
    count: 8
    modes: {cc: %s}
limits: {reset: power-cycle, attempts: 2}
"""
ON = PROFILE % '"on"'


@pytest.fixture
def hgx(tmp_path: Path) -> Iterator[Machine]:
    """An HGX whose GPUs are in mode devtools: the next mode needs two."""
    with machine('hgx-h100', tmp_path, 'System_0') as made:
        assert isinstance(made.run(PROFILE % 'devtools'), Converged)
        made.box.ledger.resets.clear()
        made.box.ledger.writes.clear()
        made.journal.saved.clear()
        yield made


def records(at: Machine) -> list[record_mod.Record]:
    """The saved records."""
    found = [record_mod.load(json.loads(text)) for text in at.journal.saved]
    return [r for r in found if r is not None]


def resets(at: Machine) -> list[str]:
    """Kinds of the resets that were performed."""
    return [r.kind for r in at.box.ledger.resets]


@pytest.mark.parametrize('status', ['400', '500', '503'])
@pytest.mark.parametrize('gpu', [0, 3, 7])
def test_refused_second_request_is_seen_and_sent_again(
        hgx: Machine, gpu: int, status: str) -> None:
    hgx.box.faults.add('status', status, '/Settings', 'PATCH', count=1,
                       skip=2 * gpu + 1)
    out = hgx.run(ON)
    assert isinstance(out, Converged)
    assert len(out.proofs) == 8
    # Each property of each GPU, and the first one of that GPU once more.
    assert len(hgx.box.ledger.writes) == 17
    assert resets(hgx) == ['ForceRestart']
    assert hgx.box.ledger.violations == []
    half = [r for r in records(hgx) if r.failure is not None]
    assert 'request 2 of 2 that set cc failed after the earlier ones' in str(
        half[0].failure)
    # It stays open until an inventory has shown the value for a while.
    assert half[0].intent is not None
    assert len(half[0].intent.items) == 1
    tries = max(half[-1].attempts.values())
    assert tries == 2
    assert 'verifying the result of the last write: cc of' in ' '.join(
        hgx.progress)


def test_process_that_dies_after_the_first_request_reads_it_again(
        hgx: Machine) -> None:
    """The record has the intent alone; nothing is known of its requests."""
    hgx.box.faults.add('status', '400', '/Settings', 'PATCH', count=1,
                       skip=1)

    class Died(BaseException):
        """The process dies."""

    real = RedfishBackend.start

    def dies(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        raise Died

    with mock.patch.object(RedfishBackend, 'start', autospec=True,
                           side_effect=dies), pytest.raises(Died):
        hgx.run(ON)
    found = hgx.journal.load()
    assert found is not None
    assert found.intent is not None
    assert found.intent.ticket is None
    hgx.box.faults.clear()
    out = hgx.run(ON)
    assert isinstance(out, Converged)
    assert hgx.box.ledger.violations == []
    assert resets(hgx) == ['ForceRestart']


@pytest.mark.parametrize('gpu', [0, 3])
def test_second_request_that_is_always_refused_fails_before_a_reset(
        hgx: Machine, gpu: int) -> None:
    # The second attempt begins with that GPU, and is turned down at once.
    for skip in (2 * gpu + 1, 0):
        hgx.box.faults.add('status', '400', '/Settings', 'PATCH', count=1,
                           skip=skip)
    out = hgx.run(ON)
    assert isinstance(out, Failed)
    assert not out.running
    assert 'request 2 of 2 that set cc failed' in out.error.summary
    assert out.error.device is not None
    assert out.error.component == 'cc'
    assert 'pending value of cc' in str(out.error.todo)
    # Nothing activates the value that nobody asked for.
    assert resets(hgx) == []
    half = [m for m in hgx.box.modes.values() if m.pending is not None]
    assert {m.device for m in half} >= {f'GPU_SXM_{gpu + 1}'}
    assert 'before that' in out.error.summary


def test_mode_that_stays_half_set_is_named_after_its_attempts(
        hgx: Machine) -> None:
    """Both attempts get as far as the second request."""
    for _ in range(2):
        hgx.box.faults.add('status', '400', '/Settings', 'PATCH', count=1,
                           skip=1)
    out = hgx.run(ON)
    assert isinstance(out, Failed)
    assert 'not applied after 2 attempts: request 2 of 2 that set cc' in (
        out.error.summary)
    assert (out.error.component, out.error.expected) == ('cc', 'on')
    assert resets(hgx) == []
