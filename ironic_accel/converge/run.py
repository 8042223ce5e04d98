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

"""One call of ``advance``: its ports, and the record as it changes."""

from __future__ import annotations

import dataclasses

from ironic_accel.converge.decide import begun
from ironic_accel.converge.decide import cannot_go_on
from ironic_accel.converge.outcome import Failed
from ironic_accel.converge.outcome import Progress
from ironic_accel.converge.outcome import Refused
from ironic_accel.converge.outcome import Wait
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Journal
from ironic_accel.converge.ports import Pace
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Busy
from ironic_accel.model.errors import Detail
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record


@dataclasses.dataclass
class Advance:
    """One call of ``advance``: its ports, and the record as it changes.

    :ivar busy: operations in progress, as the inventory of this call shows
        them.
    """

    backend: Backend
    images: Images
    journal: Journal
    profile: Profile
    record: Record
    now: float
    facts: Knowledge
    pace: Pace
    busy: tuple[Busy, ...] = ()

    def save(self, **changes: object) -> None:
        """Change the record and make it durable."""
        self.record = dataclasses.replace(
            self.record, **changes)  # type: ignore[arg-type]
        self.journal.save(self.record)

    def wait(self, summary: str, seconds: float,
             percent: int | None = None) -> Wait:
        """Return later; the record keeps the progress for readers."""
        if summary != self.record.progress:
            self.record = dataclasses.replace(self.record, progress=summary)
        return Wait(self.now + seconds, Progress(summary, percent))

    def hold(self, reason: str, summary: str, bound: float,
             detail: Detail) -> Wait | Failed:
        """Wait for the system, up to a limit.

        :param reason: identifies the limit: all waits with one reason count
            together, even if the system answers in between.
        :param bound: seconds, since the last host reset.
        """
        if not self.patient(reason, bound):
            return self.fail(detail)
        return self.wait(summary, self.pace.look)

    def patient(self, reason: str, bound: float) -> bool:
        """Whether the limit of a wait is not reached; counts the wait."""
        if self.record.awaited != reason or self.record.waiting is None:
            self.resume()
            self.save(awaited=reason, waiting=self.now)
        return self.spent(reason) <= bound

    def spent(self, reason: str) -> float:
        """Seconds waited for a reason, this wait included."""
        before = self.record.spent.get(reason, 0.0)
        since = self.record.waiting
        if since is None or self.record.awaited != reason:
            return before
        return before + max(self.now - since, 0.0)

    def resume(self) -> None:
        """Note the end of a wait; its duration still counts."""
        reason = self.record.awaited
        if self.record.waiting is not None:
            self.save(waiting=None, awaited='', spent={
                **self.record.spent, reason: self.spent(reason)})

    def fail(self, detail: Detail) -> Failed:
        """End the run; a write whose result is open may still be running.

        The error names what is running, whatever made the run fail.
        """
        intent = self.record.intent
        running = (intent is not None and intent.kind == 'action'
                   and not write_watch.over(intent))
        begun = write_watch.may_run(self.record, self.now, self.pace.gone)
        if detail.running is None:
            detail = dataclasses.replace(
                detail,
                running='; '.join(f'{b.kind} {b.words}' for b in self.busy)
                or (
                    f'{intent.verb} via {intent.transport}'
                    if running and intent is not None
                    else f'possibly an update of {write_watch.names(begun)}'
                    if begun
                    else None
                ),
            )
        self.finish()
        return Failed(detail, running or bool(begun))

    def refuse(self, plan: Plan) -> Refused | Failed:
        """End the run because of refused items."""
        if begun(self.record):
            return self.fail(cannot_go_on(plan))
        self.finish()
        return Refused(plan)

    def finish(self) -> None:
        """Keep only what the next run inherits."""
        self.record = self.record.finished()
        self.journal.save(self.record)
