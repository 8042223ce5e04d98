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

"""The steps of whole runs are counted forward, and their number is true.

The runs are those of ``tests/contract/test_plan_and_run.py``: profiles that
are drawn from what each simulated system has. Each state of a run is shown by
both commands: by ``ironic-accel`` from the record in its process, and by
``baremetal accelerator`` from what a conductor keeps with the node.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import random
import re
from typing import Any
from unittest import mock

import pytest

from ironic_accel.converge.composite import CountingBackend
from ironic_accel.converge import forecast
from ironic_accel.converge import outcome
from ironic_accel.faces.cli.run_progress import RunProgress
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs.apply_job import ApplyJob
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Record
from tests.contract import machine as machines
from tests.contract import test_plan_and_run
from tests.contract.machine import Machine
from tests.contract.machine import Memory

#: Profiles of systems with host resets, device resets, both, and neither.
RUNS = [case for case in test_plan_and_run.CASES if case[2] < 12]


@dataclasses.dataclass
class Watched(Memory):
    """A journal; ``device_resets`` counts those that were begun."""

    backend: Any = None
    device_resets: list[int] = dataclasses.field(default_factory=list)

    def __init__(self, backend: Any) -> None:
        super().__init__()
        self.backend, self.device_resets = backend, []

    def save(self, record: Record) -> None:
        """Save a record, and how many devices were reset until then."""
        super().save(record)
        self.device_resets.append(self.backend.device_resets)


def cli_steps(plan: Plan, seen: Inventory, records: list[Record],
              known: Catalog) -> list[str]:
    """The status lines of ``ironic-accel apply``."""
    progress = RunProgress(known, Record(), {})
    progress.plan(plan, seen)
    texts = []
    for record in records:
        progress.update(record, 'x')
        texts.append(progress.text())
    return texts


def osc_steps(plan: Plan, journal: Watched) -> list[str]:
    """The steps of ``baremetal accelerator apply --wait``."""
    ironic = mock.create_autospec(api.Ironic, instance=True)
    job = ApplyJob(ironic, 'one', 'clean', {}, attached='run-1')
    job.planned({**plan.to_dict(), 'blocked': []}, 'redfish')
    found = []
    for raw, resets in zip(journal.saved, journal.device_resets,
                           strict=True):
        ironic.node.return_value = {
            'provision_state': 'clean wait', 'driver_internal_info': {
                'accel_record': json.loads(raw), 'accel_operation': {
                    'id': 'run-1', 'kind': 'clean', 'step': 'apply_profile',
                    'work': 'apply', 'device_resets': resets}}}
        found.append(job.read().step)
    return found


def numbers(texts: list[str]) -> list[tuple[int, int]]:
    """The numbers of the steps that are shown."""
    found = [re.search(r'step (\d+)/(\d+)', text) for text in texts]
    return [(int(m[1]), int(m[2])) for m in found if m]


def check(shown: list[tuple[int, int]], steps: int) -> None:
    """Steps only go forward, up to the planned number of them."""
    assert shown == sorted(shown)
    assert {total for _, total in shown} <= {steps}
    if steps:
        assert shown[-1] == (steps, steps)


def drawn(box: Machine, name: str, seed: int, folder: pathlib.Path
          ) -> tuple[Profile, Plan, Inventory] | None:
    """A profile, its plan and the inventory; None if nothing is written."""
    draw = random.Random(f'{name} {seed}')  # noqa: S311
    seen = test_plan_and_run.settled(box)
    wanted = next((p for _ in range(99) if (p := test_plan_and_run.profile(
        draw, seen, folder)) is not None), None)
    assert wanted is not None
    plan = test_plan_and_run.foresee(box, wanted)
    writes = not plan.refused and plan.counts.writes
    return (wanted, plan, seen) if writes else None


def number_of(plan: Plan) -> int:
    """Writes, resets at the end of a stage, and the copy."""
    return sum(len(s.actions) + bool(
        s.reset.is_host_reset or s.device_resets) for s in plan.stages
    ) + bool(plan.fallback)


@pytest.mark.parametrize('name, system, seed', RUNS)
def test_steps_go_forward_up_to_the_planned_number(
        name: str, system: str | None, seed: int, tmp_path: pathlib.Path
        ) -> None:
    with machines.machine(test_plan_and_run.described(name, tmp_path),
                          tmp_path, system) as box:
        found = drawn(box, name, seed, tmp_path)
        if found is None:
            return
        wanted, plan, seen = found
        backend = CountingBackend(box.backend)
        box.backend = backend  # type: ignore[assignment]
        box.journal = journal = Watched(backend)
        assert isinstance(box.run(wanted), outcome.Converged)
        records = [record_mod.load(json.loads(raw)) or Record()
                   for raw in journal.saved]
        texts = cli_steps(plan, seen, records, box.known)
        check(numbers(texts), number_of(plan))
        percents = [int(m[1]) for text in texts
                    if (m := re.search(r'(\d+) %', text))]
        assert percents == sorted(percents)
        check(numbers(osc_steps(plan, journal)), number_of(plan))


class Killed(Exception):
    """The process of a run has ended."""


class Continued(Memory):
    """A journal that kills a run after a save, and shows the next one.

    :ivar left: saves until the run is killed.
    :ivar shown: the status lines of the run that continues.
    """

    def __init__(self, box: Machine, wanted: Profile, left: int) -> None:
        super().__init__()
        self.box, self.wanted, self.left = box, wanted, left
        self.progress: RunProgress | None = None
        self.shown: list[str] = []

    def save(self, record: Record) -> None:
        """Save a record, and die or show it."""
        before = self.load() or Record()
        super().save(record)
        self.left -= 1
        if self.left == 0:
            self.progress = RunProgress(self.box.known, record, {})
            raise Killed
        if self.progress is not None:
            # What is planned was seen before this was decided.
            self.plan(before)
            self.progress.update(record, 'x')
            self.shown.append(self.progress.text())

    def plan(self, record: Record) -> None:
        """Plan as the command does: once the system can be planned for."""
        assert self.progress is not None
        if self.progress.is_planned:
            return
        seen = self.box.backend.observe()
        if seen.complete and seen.host == 'on' and not seen.busy:
            self.progress.plan(forecast.plan(
                seen, self.wanted, record, self.box.backend.transports(
                    seen, self.wanted.pushes), self.box.known), seen)


@pytest.mark.parametrize('left', range(1, 9))
@pytest.mark.parametrize('name, seed', [('hgx-h100', 7), ('pcie-a100', 5)])
def test_the_steps_of_a_run_that_continues_go_forward(
        name: str, seed: int, left: int, tmp_path: pathlib.Path) -> None:
    with machines.machine(name, tmp_path) as box:
        found = drawn(box, name, seed, tmp_path)
        assert found is not None
        wanted, plan, _ = found
        box.journal = journal = Continued(box, wanted, left)
        with contextlib.suppress(Killed):
            assert isinstance(box.run(wanted), outcome.Converged)
            assert left > len(journal.saved)
            return
        assert isinstance(box.run(wanted), outcome.Converged)
        shown = numbers(journal.shown)
        assert shown == sorted(shown)
        totals = [total for _, total in shown]
        assert totals == sorted(totals)
        if shown:
            # What was begun before is not counted again.
            assert totals[-1] <= number_of(plan)
            assert shown[-1][0] == shown[-1][1]
