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

"""A conductor dies after it has saved an update, before it asks for it.

The next one cannot know that it was never asked for.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ironic import objects
import pytest

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import operation
from ironic_accel.converge import ports
from ironic_accel.converge import write_watch
from ironic_accel.model.record import Intent
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import ramdisk
from tests.unit.conductor.ramdisk import Ramdisk
from tests.unit.conductor.stage import Stage
from tests.unit.converge.box import Box

stage = test_runner.stage
inside = ramdisk.inside


class _Died(BaseException):
    """The conductor dies: nothing may catch it."""


class Asked:
    """The requests for updates, of which the first is never sent."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch,
                 where: type) -> None:
        self.died: float | None = None
        self.times: list[float] = []
        real = where.start  # type: ignore[attr-defined]

        def start(backend: Any, action: Any, *args: Any) -> Any:
            if action.verb == 'update':
                if self.died is None:
                    self.died = stage.box.now
                    raise _Died
                self.times.append(stage.box.now)
            return real(backend, action, *args)

        monkeypatch.setattr(where, 'start', start)

    def waited(self) -> float:
        """Seconds until the next conductor asks."""
        assert self.died is not None
        return self.times[0] - self.died


def die(stage: Stage) -> Intent:
    """Tick until the conductor dies; another one gets the node."""
    with pytest.raises(_Died):
        for _ in range(60):
            stage.tick()
    objects.Node.release(None, 'this-conductor', stage.node.id)
    stage.node.refresh()
    record = operation.load_record(stage.node)
    assert record is not None and record.intent is not None
    assert record.intent.ticket is None
    return record.intent


def test_an_idle_agent_is_asked_again_within_minutes(
        stage: Stage, inside: Ramdisk, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    """It lists every tool that runs in its ramdisk, and lists none."""
    ramdisk.burn_by_agent(stage)
    ramdisk.begin(stage)
    asked = Asked(stage, monkeypatch, agent_backend.AgentBackend)
    die(stage)
    assert stage.run(200)['outcome'] == 'converged'
    lost = CONF.accelerator.lost_task_timeout
    assert lost <= asked.waited() <= lost + 3 * stage.seconds
    assert set(stage.box.pushes.values()) == {1}
    assert stage.box.sins == []


@pytest.mark.parametrize(('changes', 'answering'), [
    ({'ticket': {'gone': True}}, {'agent'}), ({'boot': 'another'}, {'agent'}),
    ({'transport': 'redfish'}, {'redfish', 'agent'}), ({}, {'redfish'})])
def test_what_may_run_unseen_is_waited_for_as_long_as_a_write(
        stage: Stage, inside: Ramdisk, monkeypatch: pytest.MonkeyPatch,
        changes: dict[str, Any], answering: set[str]) -> None:
    """Its job is lost, its ramdisk is, the BMC has it, nobody was asked."""
    ramdisk.burn_by_agent(stage)
    ramdisk.begin(stage)
    Asked(stage, monkeypatch, agent_backend.AgentBackend)
    intent, seen = die(stage), stage.box.observe()
    pace = ports.Pace()
    facts = ramdisk.Facts(stage.box, catalogue.catalogue())
    assert write_watch.patience(
        intent, seen, facts, pace, {'agent'}) == pace.lost
    assert write_watch.patience(
        dataclasses.replace(intent, **changes), seen, facts, pace,
        answering) > 3 * pace.lost


def test_a_bmc_is_asked_again_when_the_write_would_be_over(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may write without a task that it reports, and nothing shows it."""
    stage.begin(profile='h100-new')
    asked = Asked(stage, monkeypatch, Box)
    die(stage)
    assert stage.run(300)['outcome'] == 'converged'
    longest = CONF.accelerator.lost_update_timeout
    assert longest <= asked.waited() <= longest + 3 * stage.seconds
    assert set(stage.box.pushes.values()) == {1}
    assert stage.box.sins == []
