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

"""A BMC that lets nobody in: its end is at once, unless it restarts for us."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ironic_accel.converge import outcome
from ironic_accel.converge import reset_note
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Activation
from ironic_accel.model import errors
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge.drive import Disk
from tests.unit.converge.drive import profile
from tests.unit.converge.drive import run

DENIED = errors.NoAccess(errors.Detail(
    'the BMC rejected the credentials', errors.ErrorClass.NEEDS_OPERATOR,
    todo='set --user'))


class Closed(Box):
    """A BMC that lets nobody in for some time after a write."""

    closed_for = 0.0
    tries = 0
    since: float | None = None

    def _check(self) -> None:
        if self.writes and self.since is None:
            self.since = self.now
        if self.since is not None and self.now < self.since + self.closed_for:
            self.tries += 1
            raise DENIED

    def sources(self) -> tuple[Source, ...]:
        """See ports.Backend."""
        self._check()
        return super().sources()

    def poll(self, ticket: Any) -> Any:
        """See ports.Backend."""
        self._check()
        return super().poll(ticket)


def closed(name: str, seconds: float) -> Closed:
    """A BMC with one component, closed for some seconds after its update."""
    box = Closed({'d0': {name: Part('1', claimed=Activation.WARM_REBOOT,
                                    real=Activation.WARM_REBOOT)}}, {}, [])
    box.closed_for = seconds
    return box


def test_a_bmc_that_lets_nobody_in_ends_the_run_at_once() -> None:
    class Denied(Box):
        def sources(self) -> tuple[Source, ...]:
            raise DENIED

    box = Denied({'d0': {'gpu': Part('1')}}, {}, [])
    began = box.now
    out = run(box, profile({'d0': {'gpu': '2'}}), Disk())
    assert isinstance(out, outcome.Failed)
    assert out.error.todo == 'set --user'
    assert box.now == began


def test_a_write_that_is_not_let_in_ends_the_run_at_once() -> None:
    class Denied(Box):
        def start(self, *_args: Any, **_more: Any) -> dict[str, Any]:
            raise DENIED

    box, disk = Denied({'d0': {'gpu': Part('1')}}, {}, []), Disk()
    began = box.now
    out = run(box, profile({'d0': {'gpu': '2'}}), disk)
    assert isinstance(out, outcome.Failed) and not out.running
    assert box.now == began
    left = disk.load()
    assert left is not None and left.is_empty


def test_a_bmc_that_restarts_after_its_own_update_is_waited_for() -> None:
    box = closed('bmc', 240)
    out = run(box, profile({'d0': {'bmc': '2'}}), Disk())
    assert isinstance(out, outcome.Converged)
    assert box.now > (box.since or 0) + 240


def test_a_bmc_that_never_returns_after_its_own_update_ends_the_run() -> None:
    box = closed('bmc', 1e9)
    out = run(box, profile({'d0': {'bmc': '2'}}), Disk())
    assert isinstance(out, outcome.Failed)
    assert out.error.summary == 'the BMC rejected the credentials'
    assert out.running


def test_an_update_in_progress_is_watched_to_its_end() -> None:
    box = closed('gpu', 240)
    out = run(box, profile({'d0': {'gpu': '2'}}), Disk())
    assert isinstance(out, outcome.Converged)
    assert box.writes == 1
    # Each try is a login, and a BMC locks accounts after some.
    assert box.tries <= 240 / 60 + 1


def test_a_bmc_that_lets_nobody_in_again_leaves_the_update_running() -> None:
    box = closed('gpu', 1e9)
    out = run(box, profile({'d0': {'gpu': '2'}}), Disk())
    assert isinstance(out, outcome.Failed)
    assert out.running and 'update' in str(out.error.running)
    assert box.since is not None
    assert 900 <= box.now - box.since < 1100


def reset(activation: Activation, phase: str | None) -> Record:
    """A record with an open reset in that phase, begun at 100."""
    return Record(intent=Intent(
        'reset', activation, 100, 1900,
        ticket={'phase': phase, 'at': 200} if phase else None))


def update(*also: tuple[str, str], transport: str = 'redfish',
           name: str = 'gpu') -> Record:
    """A record with an open update, begun at 100."""
    return Record(intent=Intent(
        'action', Activation.NONE, 100, 200, verb='update',
        transport=transport, items=(Item('d0', name, 'firmware', '2'),),
        also=also))


def ended(record: Record) -> Record:
    """The same; a task reported that the update ended."""
    assert record.intent is not None
    return dataclasses.replace(record, intent=dataclasses.replace(
        record.intent, ticket={write_watch.ENDED: 150.0}))


@pytest.mark.parametrize(('record', 'now', 'expected'), [
    (Record(), 210, False),
    (reset(Activation.AUX_CYCLE, 'bmc'), 210, True),
    (reset(Activation.AUX_CYCLE, 'on'), 210, True),
    (reset(Activation.AUX_CYCLE, 'on'), 1101, False),
    (reset(Activation.AUX_CYCLE, 'off'), 210, False),
    (reset(Activation.AUX_CYCLE, None), 210, False),
    (reset(Activation.POWER_CYCLE, 'on'), 210, False),
    (update(), 210, False),
    (update(name='bmc'), 210, True),
    (update(name='bmc'), 1101, False),
    (update(('board', 'bmc')), 210, True),
    (update(name='bmc', transport='agent'), 210, False)])
def test_a_bmc_restarts_after_its_update_and_after_an_auxiliary_cycle(
        record: Record, now: float, expected: bool) -> None:
    assert reset_note.restarts_bmc(record, now, 900) is expected


@pytest.mark.parametrize(('record', 'now', 'expected'), [
    (Record(), 210, False),
    (update(), 210, True),
    (update(), 1101, False),
    (update(transport='agent'), 210, True),
    # Begun by an earlier run: this one may never have had access.
    (dataclasses.replace(update(), started=150), 210, False),
    # Ended: nothing is left alone.
    (ended(update()), 210, False),
    (reset(Activation.AUX_CYCLE, 'bmc'), 210, False)])
def test_an_update_of_this_run_is_not_left_alone(
        record: Record, now: float, expected: bool) -> None:
    assert write_watch.is_updating(record, now, 900) is expected
