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
"""An agent, or a whole ramdisk, that is lost in the middle of a step."""

from __future__ import annotations

from typing import Any

from ironic.common import states

from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import ramdisk
from tests.unit.conductor.ramdisk import begin
from tests.unit.conductor.ramdisk import burn_by_agent
from tests.unit.conductor.ramdisk import Ramdisk
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
inside = ramdisk.inside


def test_a_ramdisk_that_never_comes_back_ends_the_step(
        stage: Stage, inside: Ramdisk) -> None:
    inside.never_again = True
    begin(stage)
    told = stage.run(200)
    assert told['outcome'] == 'failed'
    assert 'did not respond after a host reset' in stage.node.last_error
    assert 'heartbeat within 900 s' in stage.node.last_error
    assert stage.node.provision_state == states.CLEANFAIL
    assert told['seconds'] < 900 + 400
    assert flash_guard.lock_of(stage.node) is None


def _killed_in_mid_burn(stage: Stage, inside: Ramdisk) -> dict[str, Any]:
    burn_by_agent(stage)
    stage.seconds = 5.0
    begin(stage)
    while not stage.box.flashing():
        assert stage.tick() is not None
    inside.token = None
    stage.seconds = 40.0
    for _ in range(100):
        current = stage.tick()
        if current is None or current.work == 'watch':
            return dict(stage.result)
    raise AssertionError(f'not over: {stage.info}')


def test_agent_killed_during_an_update_leaves_the_result_unknown(
        stage: Stage, inside: Ramdisk) -> None:
    told = _killed_in_mid_burn(stage, inside)
    assert told['outcome'] == 'failed'
    assert stage.node.provision_state == states.CLEANFAIL
    assert 'the result of the write is unknown' in stage.node.last_error
    assert 'still running: unknown' in stage.node.last_error
    assert 'token' not in stage.node.last_error
    assert 'SECRET' not in stage.node.last_error
    assert flash_guard.lock_of(stage.node) is not None


def test_host_reset_releases_the_lock_of_a_lost_update(
        stage: Stage, inside: Ramdisk) -> None:
    _killed_in_mid_burn(stage, inside)
    assert stage.tick() is not None
    assert flash_guard.lock_of(stage.node) is not None
    stage.box.host = 'off'
    assert stage.tick() is None
    assert flash_guard.lock_of(stage.node) is None
    assert not {'agent_url', 'agent_secret_token'} & set(stage.info)


def test_lock_of_a_lost_update_expires(
        stage: Stage, inside: Ramdisk) -> None:
    _killed_in_mid_burn(stage, inside)
    for _ in range(100):
        if stage.tick() is None:
            break
    assert flash_guard.lock_of(stage.node) is None
    assert stage.box.now - stage.result['started'] < 3000


def test_next_run_verifies_a_lost_update(
        stage: Stage, inside: Ramdisk) -> None:
    _killed_in_mid_burn(stage, inside)
    stage.box.host = 'off'
    assert stage.tick() is None
    stage.box.power_on()
    inside.world()
    stage.node.maintenance = False
    stage.node.save()
    inside.call()
    begin(stage)
    told = stage.run()
    assert told['outcome'] == 'converged'
    assert max(stage.box.pushes.values()) == 1


def test_an_agent_that_lives_is_watched_on(
        stage: Stage, inside: Ramdisk) -> None:
    """Ironic forgets the agent when a step fails; the flash goes on."""
    burn_by_agent(stage)
    stage.seconds = 5.0
    begin(stage)
    while not stage.box.flashing():
        assert stage.tick() is not None
    record = operation.load_record(stage.node)
    assert record is not None
    for job in stage.box.jobs.values():
        job.ends += 8000
    stage.box.now = record.deadline + 1
    current = stage.tick()
    assert current is not None
    assert (current.work, current.in_band) == ('watch', True)
    before = len(inside.asked('poll'))
    assert stage.tick() is not None
    assert len(inside.asked('poll')) == before + 1
    assert flash_guard.lock_of(stage.node) is not None
    for job in stage.box.jobs.values():
        job.ends = stage.box.now
    # A box is idle once two looks find it so.
    assert stage.tick() is not None
    assert flash_guard.lock_of(stage.node) is not None
    assert stage.tick() is None
    assert flash_guard.lock_of(stage.node) is None
