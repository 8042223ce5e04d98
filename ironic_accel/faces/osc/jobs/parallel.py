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

"""Many nodes, some of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import time
from typing import Protocol

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc.jobs import progress_display as boards
from ironic_accel.faces.osc.jobs.progress_display import Line
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.jobs.run_status import Status

#: Looks in a row that may fail: an API that is restarted comes back.
FAILURES = 15
#: Seconds between two looks at a node.
INTERVAL = 2.0


class NodeJob(Protocol):
    """What is done to one node.

    :ivar ref: what people call the node.
    :ivar devices: devices known to be changed, shown from the start.
    """

    ref: str
    devices: Sequence[str]

    def begin(self) -> None:
        """Begin it; CommandError where that is turned down."""
        ...

    def look(self) -> Status:
        """See how it goes."""
        ...


@dataclasses.dataclass
class NodeRun:
    """A job and how it stands.

    :ivar status: how it was seen last; None where it was not begun.
    :ivar failures: looks in a row that failed.
    :ivar touched: devices that something was seen to be written to.
    """

    job: NodeJob
    status: Status | None = None
    failures: int = 0
    touched: set[str] = dataclasses.field(default_factory=set)

    @property
    def outcome(self) -> str:
        """``not begun``, ``running``, or what it came to."""
        if self.status is None:
            return 'not begun'
        return self.status.outcome or 'running'


def run(jobs: Sequence[NodeJob], board: boards.Board, most: int = 0,
        keep_going: bool = False, interval: float = INTERVAL,
        pause: Callable[[float], None] = time.sleep) -> list[NodeRun]:
    """Do all jobs, and wait for all that were begun.

    :param most: at a time; 0 is all at once.
    :param keep_going: begin the next ones also after one has failed.
    :param interval: seconds between two looks.
    """
    runs = [NodeRun(job) for job in jobs]
    try:
        while True:
            _begin_more(runs, most or len(runs), keep_going)
            board.show([x for r in runs for x in _lines(r)])
            if not any(r.outcome == 'running' for r in runs):
                return runs
            pause(interval)
            for one in runs:
                if one.outcome == 'running':
                    _look(one)
    finally:
        board.close()


def begin_all(jobs: Sequence[NodeJob]) -> list[NodeRun]:
    """Begin all jobs, and wait for none."""
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
    return one.outcome not in run_status.GOOD | {'not begun', 'running'}


def _begin(one: NodeRun) -> None:
    try:
        one.job.begin()
    except CommandError as error:
        one.status = Status('', 'not begun', outcome='failed',
                            error=str(error))
    else:
        one.status = Status('', 'begun')


def _look(one: NodeRun) -> None:
    try:
        one.status = one.job.look()
        one.failures = 0
        one.touched |= set(one.status.devices)
    except CommandError as error:
        one.failures += 1
        if one.failures >= FAILURES:
            one.status = Status('', 'lost sight of it', outcome='failed',
                                error=f'{error}; it may still be running')


def _lines(one: NodeRun) -> list[Line]:
    ref = one.job.ref
    status = one.status
    if status is None:
        return [Line(ref, '', 'waits for its turn')]
    text = (f'{status.state}: {status.text}'
            if status.state and status.text != status.state
            else status.text)
    lines = [Line(ref, '', text, status.percent)]
    for device in dict.fromkeys([*one.job.devices, *sorted(one.touched)]):
        lines.append(Line(ref, device, _device(device, status, one.touched),
                          status.percent if device in status.devices
                          and 'writing' in status.devices[device]
                          else None))
    return lines


def _device(device: str, status: Status, touched: set[str]) -> str:
    if device in status.devices:
        return str(status.devices[device])
    if status.outcome in run_status.GOOD:
        return 'as the profile says'
    if status.outcome is not None:
        return status.outcome
    # The conductor forgets what was written once it is read back.
    return 'read back as written' if device in touched else 'waits'
