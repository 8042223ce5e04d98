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

"""What Ironic and Nova see of the power of an instance's host in a reset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

from ironic.common import nova
from ironic.common import states
from ironic.drivers.modules.redfish import power as redfish_power
import pytest

from ironic_accel.conductor.node import keys
from tests.unit.conductor import sample
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.stage import Stage

stage = test_runner.stage

#: Requests to power on that a BMC turns down, more than any operation makes.
ALL = 10_000
INSTANCE = '5a1c9d8e-3a55-4f6c-9b2e-1f0a6cf1d001'


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The power states that Nova was told."""
    with mock.patch.object(nova, 'power_update', autospec=True) as update:
        said: list[str] = []
        update.side_effect = lambda _context, _uuid, state: said.append(state)
        yield said


def begin(stage: Stage, activation: str, node: Any = None) -> None:
    """Begin a service step that resets the host."""
    if node is None:
        node = stage.make_node(instance_uuid=INSTANCE,
                               power_state=states.POWER_ON)
    stage.begin('service', profile=sample.mode_profile('ecc', ecc='enabled'),
                max_activation=activation, allow_disruption=True, node=node)


def watch(stage: Stage) -> tuple[set[str], set[str]]:
    """Tick until it is over: the states of the host, and those shown."""
    real, shown = set(), set()
    for _ in range(200):
        current = stage.tick()
        real.add(stage.box.host)
        shown.add(stage.node.power_state)
        if current is None:
            return real, shown
    raise AssertionError('not over')


def test_a_host_that_restarts_for_its_instance_is_shown_as_on(
        stage: Stage, told: list[str]) -> None:
    offs = []
    real = redfish_power.RedfishPower.set_power_state

    def power(this: Any, task: Any, state: str,
              timeout: int | None = None) -> None:
        if state != states.POWER_ON:
            offs.append(task.node.power_state)
        real(this, task, state, timeout=timeout)

    begin(stage, 'power-cycle')
    with mock.patch.multiple(redfish_power.RedfishPower,
                             set_power_state=power):
        _real, shown = watch(stage)
    assert offs
    assert shown == {states.POWER_ON}
    assert states.POWER_OFF not in told
    assert stage.result['outcome'] == 'converged'
    assert stage.node.target_power_state is None


def test_without_an_instance_ironic_records_each_state(
        stage: Stage, told: list[str]) -> None:
    begin(stage, 'power-cycle', stage.make_node(power_state=states.POWER_ON))
    real, shown = watch(stage)
    assert ('off' in real) == (states.POWER_OFF in shown)
    assert told == []
    assert stage.node.power_state == states.POWER_ON


def test_a_host_that_stays_off_is_unknown_until_ironic_reads_it(
        stage: Stage, told: list[str]) -> None:
    begin(stage, 'power-cycle')
    with test_runner.turning_down(stage, ALL):
        watch(stage)
    assert stage.box.host == 'off'
    assert stage.result['not_restored'] == states.POWER_ON
    assert keys.LEFT_OFF.is_there(stage.node)
    # Recorded as on, Ironic would power it on; as off, off.
    assert stage.node.power_state is None
    assert states.POWER_OFF not in told
