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

"""Run jobs on many nodes concurrently."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import math
import time
from typing import Protocol

from osc_lib.exceptions import CommandError

from ironic_accel.faces import board
from ironic_accel.faces.board import NodeProgress
from ironic_accel.faces.board import State
from ironic_accel.faces.osc.jobs.progress_display import ProgressDisplay
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.jobs.run_status import Status

#: Consecutive reads of a status that may fail while the API restarts.
FAILURES = 15
#: Seconds between two reads of the status of a node.
INTERVAL = 2.0
#: The outcome of an operation for which the command waits no longer.
TIMED_OUT = 'still running'


class NodeJob(Protocol):
    """An operation on one node.

    :ivar ref: name or UUID of the node, as given by the caller.
    :ivar devices: ids of the devices that it will change.
    """

    ref: str
    devices: Sequence[str]

    def begin(self) -> None:
        """Start it; CommandError if the API refuses it."""
        ...

    def read(self) -> Status:
        """Read its status."""
        ...


@dataclasses.dataclass
class NodeRun:
    """A job and its status.

    :ivar status: the status read last; None before it was started.
    :ivar failures: consecutive reads of the status that failed.
    :ivar touched: ids of devices that were written to.
    :ivar began: monotonic seconds of its start, or None.
    :ivar ended: monotonic seconds of its end, or None.
    :ivar phase: its step and what it does, without numbers and details.
    :ivar phase_began: monotonic seconds since it does that.
    """

    job: NodeJob
    status: Status | None = None
    failures: int = 0
    touched: set[str] = dataclasses.field(default_factory=set)
    began: float | None = None
    ended: float | None = None
    phase: str = ''
    phase_began: float = 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the write in progress still takes, by its percentage;
        None if it reports none."""
        percent = self.status.percent if self.status else None
        if percent is None or not 5 <= percent <= 99 or (
                self.ended is not None):
            # 100 may be reported long before the end.
            return None
        elapsed = time.monotonic() - self.phase_began
        return elapsed * (100 - percent) / percent

    @property
    def seconds(self) -> float | None:
        """Seconds since its start, or that it took.

        An operation that was in progress before has taken as long as its
        result says.
        """
        if self.began is None:
            return None
        end = time.monotonic() if self.ended is None else self.ended
        result = (self.status.result if self.status else None) or {}
        known = result.get('seconds')
        return max(end - self.began,
                   known if isinstance(known, int | float) else 0.0)

    def read(self) -> None:
        """Read the status; an API that restarts may fail some times."""
        try:
            self.status = self.job.read()
        except CommandError as error:
            self.failures += 1
            if self.failures >= FAILURES:
                self.status = Status(
                    '', 'status unknown', outcome='failed',
                    error=f'{error}; the operation may still be running')
            return
        self.failures = 0
        self.touched |= set(self.status.devices)
        phase = f'{self.status.step} {board.phase(self.status.text)}'
        if phase != self.phase:
            self.phase, self.phase_began = phase, time.monotonic()

    @property
    def outcome(self) -> str:
        """``not started``, ``running``, ``still running``, or the outcome.
        """
        if self.status is None:
            return 'not started'
        return self.status.outcome or 'running'


def run(jobs: Sequence[NodeJob], display: ProgressDisplay, most: int = 0,
        keep_going: bool = False, interval: float = INTERVAL,
        pause: Callable[[float], None] = time.sleep,
        limit: float | None = None) -> list[NodeRun]:
    """Run all jobs and wait until those that were started have ended.

    :param most: the number of jobs that run concurrently; 0 for all.
    :param keep_going: start further jobs after one has failed.
    :param interval: seconds between two reads of a status.
    :param limit: seconds after which it waits no longer and starts no
        further job; None for no limit.
    """
    runs = [NodeRun(job) for job in jobs]
    end = math.inf if limit is None else time.monotonic() + limit
    try:
        while True:
            _begin_more(runs, most or len(runs), keep_going)
            display.show([_progress(r) for r in runs])
            if not any(r.outcome == 'running' for r in runs):
                return runs
            left = end - time.monotonic()
            if left <= 0:
                _stop_waiting(runs, limit or 0)
                return runs
            pause(min(interval, left))
            for one in runs:
                if one.outcome == 'running':
                    one.read()
                if one.began is not None and one.ended is None and (
                        one.outcome != 'running'):
                    one.ended = time.monotonic()
    finally:
        display.close()


def _stop_waiting(runs: Sequence[NodeRun], limit: float) -> None:
    """Give the operations that have not ended an outcome that says so."""
    for one in runs:
        if one.outcome == 'running' and one.status is not None:
            one.ended = time.monotonic()
            one.status = dataclasses.replace(
                one.status, outcome=TIMED_OUT, error=(
                    f'{one.status.text}; not waited for longer than '
                    f'{limit:.0f} s; the operation continues; next: '
                    f'baremetal accelerator progress {one.job.ref}'))
        elif one.outcome == 'not started':
            one.status = Status('', 'not started', outcome='not started',
                                error=f'not started within {limit:.0f} s')


def begin_all(jobs: Sequence[NodeJob]) -> list[NodeRun]:
    """Start all jobs without waiting for them."""
    runs = [NodeRun(job) for job in jobs]
    for one in runs:
        _begin(one)
    return runs


def _begin_more(runs: Sequence[NodeRun], most: int, keep_going: bool) -> None:
    for one in runs:
        if any(_failed(r) for r in runs) and not keep_going:
            return
        if sum(r.outcome == 'running' for r in runs) >= most:
            return
        if one.status is None:
            _begin(one)


def _failed(one: NodeRun) -> bool:
    return one.outcome not in run_status.GOOD | {'not started', 'running'}


def _begin(one: NodeRun) -> None:
    one.began = time.monotonic()
    try:
        one.job.begin()
    except CommandError as error:
        one.status = Status('', 'not started', outcome='failed',
                            error=str(error))
    else:
        one.status = Status('', 'started')


def _progress(one: NodeRun) -> NodeProgress:
    """The progress of one node for the display."""
    status, job = one.status, one.job
    changes = bool(job.devices)
    if status is None:
        return NodeProgress(job.ref, 'waiting', 'waiting', changes=changes)
    text = (f'{status.state}: {status.text}'
            if status.state and status.text != status.state
            else status.text)
    if _failed(one) and status.error:
        text = f'{status.state or status.text}: {status.error}'
    state: State = 'running' if status.outcome is None else (
        'done' if not _failed(one) else
        'refused' if status.outcome == 'refused' else 'failed')
    return NodeProgress(
        job.ref, state, text, status.percent, one.seconds, changes,
        tuple((device, _device(device, status, one.touched))
              for device in dict.fromkeys(
                  [*job.devices, *sorted(one.touched)])),
        status.step, one.left)


def _device(device: str, status: Status, touched: set[str]) -> str:
    if device in status.devices:
        return str(status.devices[device])
    if status.outcome in run_status.GOOD:
        return 'compliant'
    if status.outcome is not None:
        return status.outcome
    # Whether a write that is over has changed the device shows at the end.
    return 'write ended, not verified yet' if device in touched else 'waiting'
