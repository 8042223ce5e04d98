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

"""The progress of a run: steps, percent, elapsed and remaining time.

A step is a write, a reset of the host or of devices, or the copy to the
fallback slots. Steps are never counted backwards; one that was not planned,
such as a second attempt, is added to their number. How long one takes is
known from earlier steps of this run and of earlier runs, from the percentage
that the BMC reports, or, as an upper limit, from the catalogue. Without any
of them no remaining time is shown.
"""

from __future__ import annotations

import dataclasses
import time

from ironic_accel.converge import forecast
from ironic_accel.converge.forecast import Step
from ironic_accel.faces import board
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import step_times
from ironic_accel.faces import view
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Plan
from ironic_accel.model.record import Record

#: Percentages of a BMC from which a remaining time is derived: 100 may be
#: reported long before the end.
_FROM, _TO = 5, 99


@dataclasses.dataclass
class RunProgress:
    """The progress of one run.

    :ivar inherited: the record of the interrupted run that is continued: how
        long its step has taken is not known.
    :ivar times: the usual duration of known steps in seconds, by name.
    """

    catalog: Catalog
    inherited: Record
    times: dict[str, float] = dataclasses.field(
        default_factory=step_times.load)
    _steps: list[Step] = dataclasses.field(default_factory=list)
    _at: int = -1
    _mark: tuple[str, float] | None = None
    _is_open: bool = False
    _planned: bool = False
    _step_began: float = 0.0
    _reached: int = 0
    _summary: str = ''
    _percent: int | None = None
    _phase: object = None
    _taken: dict[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    @property
    def is_planned(self) -> bool:
        """Whether the steps are known."""
        return self._planned

    def plan(self, plan: Plan, seen: Inventory) -> None:
        """Take the steps from the plan, behind those that were begun before.

        The plan of a run that continues may have the open step or not.
        """
        begun = self._steps[:self._at + 1]
        coming = [*forecast.steps(plan, seen, self.catalog)]
        if begun and self._is_open:
            again = next((n for n, step in enumerate(coming)
                          if step.key == begun[-1].key), None)
            if again is not None:
                begun[-1] = coming.pop(again)
        self._steps, self._planned = [*begun, *coming], True

    def update(self, record: Record, summary: str,
               percent: int | None = None) -> None:
        """Take the state of the run, and print a line for a new phase."""
        self._advance(record)
        self._summary, self._percent = summary, percent
        phase = self._at, board.phase(summary)
        if phase != self._phase:
            self._phase = phase
            step = f'step {self._number}: ' if (
                self._planned and self._at >= 0) else ''
            messages.phase(view.progress(time.monotonic() - self._began,
                                         f'{step}{summary}', percent))

    def end(self) -> None:
        """Take the last step as completed, and remember all durations.

        :raises: OSError if they cannot be saved.
        """
        self._close()
        step_times.save(self._taken)

    def text(self) -> str:
        """The progress for the status line."""
        now = time.monotonic()
        parts = []
        if self._planned and self._steps:
            parts = [f'step {self._number}' if self._at >= 0 else
                     view.count(len(self._steps), 'step'),
                     f'{self.percent(now)} %']
        parts.append(view.duration(now - self._began))
        parts += self._left_text(now)
        shown = '' if self._percent is None else f' ({self._percent} %)'
        return f"{', '.join(parts)}: {self._summary}{shown}"

    def left(self) -> float | None:
        """Seconds that are left of the run; None if only a limit is known."""
        seconds, is_limit = self.remaining(time.monotonic())
        return None if is_limit else seconds

    def _left_text(self, now: float) -> list[str]:
        left, is_limit = self.remaining(now)
        if left is not None:
            return [f"{'at most' if is_limit else 'about'} "
                    f'{view.duration(left)} left']
        if self._at >= 0:
            left = self._left(self._steps[self._at],
                              now - self._step_began, True)
        return ([] if left is None
                else [f'about {view.duration(left)} left of this step'])

    @property
    def _number(self) -> str:
        return f'{self._at + 1}/{max(len(self._steps), self._at + 1)}'

    def percent(self, now: float) -> int:
        """How much of the run is done, 0 to 99.

        By time if the duration of all steps is known, else by steps.

        :param now: monotonic seconds.
        """
        if not self._steps or self._at < 0:
            return 0
        known = [self.times.get(step.name) for step in self._steps]
        weights = [1.0 if None in known else max(w or 0.0, 0.1)
                   for w in known]
        part = (self._percent or 0) / 100
        usual = known[self._at]
        if usual:
            part = max(part, min((now - self._step_began) / usual, 0.95))
        done = sum(weights[:self._at]) + part * weights[self._at]
        # It does not fall when the BMC reports no percentage any more.
        self._reached = max(self._reached,
                            min(int(100 * done / sum(weights)), 99))
        return self._reached

    def remaining(self, now: float) -> tuple[float | None, bool]:
        """Seconds that are left, and whether that is an upper limit.

        None if the duration of a step is not known.

        :param now: monotonic seconds.
        """
        if not (self._planned and self._steps):
            return None, False
        total, is_limit = 0.0, False
        for at, step in enumerate(self._steps[max(self._at, 0):],
                                  max(self._at, 0)):
            elapsed = now - self._step_began if at == self._at else 0.0
            left = self._left(step, elapsed, at == self._at)
            if left is None and step.longest is not None:
                left, is_limit = max(step.longest - elapsed, 0.0), True
            if left is None:
                return None, False
            total += left
        return total, is_limit

    def _left(self, step: Step, elapsed: float, is_current: bool
              ) -> float | None:
        """Seconds that a step still takes, as far as was seen."""
        usual = self.times.get(step.name)
        if usual is not None and elapsed < usual:
            return usual - elapsed
        percent = self._percent
        if is_current and percent is not None and _FROM <= percent <= _TO:
            return elapsed * (100 - percent) / percent
        return None

    def _advance(self, record: Record) -> None:
        """Find the step that the record is in."""
        mark = _mark(record)
        self._is_open = mark is not None
        if mark is None or mark == self._mark:
            return
        self._close()
        before, self._mark = self._mark, mark
        if not (before and before[0] == mark[0] and _is_device_reset(record)):
            # Devices are reset one transport after the other, in one step.
            self._at = self._find(mark[0])
        self._step_began = time.monotonic()

    def _find(self, key: str) -> int:
        """The number of a step; one that was not planned is added."""
        for at in range(self._at + 1, len(self._steps)):
            if self._steps[at].key == key:
                return at
        at = self._at + 1
        self._steps.insert(at, Step(key, ''))
        return at

    def _close(self) -> None:
        """Remember the duration of the step that has ended."""
        if self._mark is None or self._mark == _mark(self.inherited):
            return
        name = self._steps[self._at].name
        if name:
            seconds = time.monotonic() - self._step_began
            self._taken[name] = self.times[name] = seconds


def _mark(record: Record) -> tuple[str, float] | None:
    """The key of the step that a record is in, and when it began."""
    intent = record.intent
    if intent is not None:
        is_reset = intent.kind == 'reset' or _is_device_reset(record)
        return (str(intent.activation) if is_reset or not intent.key
                else intent.key), intent.since
    if record.committed is not None:
        return forecast.COPY, record.committed
    return None


def _is_device_reset(record: Record) -> bool:
    return record.intent is not None and record.intent.verb == 'reset'
