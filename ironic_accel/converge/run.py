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
from ironic_accel.converge.outcome import Outcome
from ironic_accel.converge.outcome import Progress
from ironic_accel.converge.outcome import Refused
from ironic_accel.converge.outcome import Wait
from ironic_accel.converge.pace import Pace
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Journal
from ironic_accel.model.checks import Facts
from ironic_accel.model.errors import Detail
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record


@dataclasses.dataclass
class Run:
    """One call of ``advance``: its ports, and the record as it changes."""

    backend: Backend
    images: Images
    journal: Journal
    profile: Profile
    record: Record
    now: float
    facts: Facts
    pace: Pace

    def save(self, **changes: object) -> None:
        """Change the record and make it durable."""
        self.record = dataclasses.replace(
            self.record, **changes)  # type: ignore[arg-type]
        self.journal.save(self.record)

    def wait(self, summary: str, seconds: float,
             percent: int | None = None) -> Wait:
        """Come back later; the progress is kept for others to read."""
        if summary != self.record.progress:
            self.record = dataclasses.replace(self.record, progress=summary)
        return Wait(self.now + seconds, Progress(summary, percent))

    def hold(self, summary: str, bound: float, detail: Detail) -> Outcome:
        """Wait for the box, but not for ever.

        :param bound: seconds from the first such wait on.
        """
        since = self.record.waiting
        if since is None:
            self.save(waiting=self.now)
        elif self.now - since > bound:
            return self.fail(detail)
        return self.wait(summary, self.pace.look)

    def fail(self, detail: Detail) -> Failed:
        """End the run; a write that is not settled may still run."""
        intent = self.record.intent
        running = intent is not None and intent.kind == 'action'
        if running and intent is not None and detail.running is None:
            detail = dataclasses.replace(
                detail, running=f'{intent.verb} by way of {intent.way}')
        self.finish()
        return Failed(detail, running)

    def refuse(self, plan: Plan) -> Refused | Failed:
        """End the run because of what the plan refuses."""
        if begun(self.record):
            return self.fail(cannot_go_on(plan))
        self.finish()
        return Refused(plan)

    def finish(self) -> None:
        """Keep what a next run inherits, and nothing else."""
        self.record = self.record.finished()
        self.journal.save(self.record)
