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

"""Nodes behind one BMC, of which Ironic's core writes one over."""

from __future__ import annotations

from collections.abc import Iterator
import copy
import pathlib
from typing import Any
from unittest import mock

from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import states
from ironic import objects
import pytest

from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import backends
from ironic_accel.conductor.operation import guard_followup
from ironic_accel.conductor.operation import host_reset
from ironic_accel.conductor.operation import context
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Rejected
from ironic_accel.model.record import Record
from tests.unit.conductor import stage as stages
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import Stage
from tests.unit.converge.box import burn_of

#: What an open write is in the record of a node.
INTENT = {'kind': 'action', 'transport': 'redfish', 'since': 1.0, 'key': 'k',
          'deadline': 0.0}


@pytest.fixture
def stage(make_node: Make, acquire: Make, profiles: pathlib.Path
          ) -> Iterator[Stage]:
    """A box behind the ports."""
    with stages.staged(make_node, acquire, profiles) as made:
        yield made


class Neighbour:
    """A node that burns through the same BMC, as another worker has it.

    :ivar before: what it said before that.
    """

    def __init__(self, make_node: Make, acquire: Make, **fields: Any
                 ) -> None:
        self.node = make_node(**fields)
        self.acquire = acquire
        self.before = copy.deepcopy(dict(self.node.driver_internal_info))

    def begin(self, intent: dict[str, Any] | None = None,
              kind: str = 'action',
              record: dict[str, Any] | None = None) -> None:
        """Save an intent and its guard, as the journal does."""
        task = self.acquire(self.node)
        task.node.set_driver_internal_info(
            keys.RECORD.name, record or {
                'intent': {**INTENT, **(intent or {})}})
        flash_guard.put(task.node, 'gpu-7', 1.0, 600.0, kind)
        saving.save(task.node)
        task.release_resources()

    def wipe(self, info: dict[str, Any] | None = None,
             state: str = states.CLEANFAIL) -> None:
        """What Ironic's core does that knows nothing of it."""
        there = objects.Node.get_by_id(
            ironic_context.get_admin_context(), self.node.id)
        there.driver_internal_info = self.before if info is None else info
        there.provision_state = state
        there.save()
        assert flash_guard.lock_of(there) is None

    def mend(self) -> None:
        """What the periodic does."""
        task = self.acquire(self.node)
        assert saving.restore_overwritten(task.node)
        task.release_resources()

    def end(self) -> None:
        """It is seen to be over."""
        task = self.acquire(self.node)
        flash_guard.drop(task.node)
        task.node.del_driver_internal_info(keys.RECORD.name)
        saving.save(task.node)
        task.release_resources()


@pytest.fixture
def neighbour(make_node: Make, acquire: Make) -> Neighbour:
    """A neighbour that has begun nothing yet."""
    return Neighbour(make_node, acquire)


@pytest.mark.parametrize(('info', 'state'), [
    (None, states.CLEANFAIL), ({}, states.MANAGEABLE),
    ({'accel_fence': '0:stale'}, states.AVAILABLE),
    ({'agent_url': 'http://192.0.2.9'}, states.ERROR)])
def test_a_neighbour_that_was_written_over_is_waited_for(
        stage: Stage, neighbour: Neighbour, info: dict[str, Any] | None,
        state: str) -> None:
    neighbour.begin()
    neighbour.wipe(info, state)
    stage.begin(profile='h100-new')
    for _ in range(3):
        current = stage.tick()
        assert neighbour.node.uuid in current.progress
    assert (stage.box.writes, stage.box.resets) == (0, [])
    record = operation.load_record(stage.node)
    assert record is not None and record.intent is None
    # Neither does anybody cut the power of the one that burns.
    task = stage.acquire(neighbour.node, shared=True)
    with pytest.raises(exception.InvalidState, match='update in progress'):
        task.driver.power.validate(task)
    for power in (task.driver.power.reboot,
                  lambda t: task.driver.power.set_power_state(
                      t, states.POWER_OFF)):
        with pytest.raises(exception.DriverOperationError):
            power(task)
    task.release_resources()
    neighbour.mend()
    for _ in range(2):
        assert neighbour.node.uuid in stage.tick().progress
    neighbour.end()
    assert stage.run()['outcome'] == 'converged'


@pytest.mark.parametrize('wiped', [False, True])
@pytest.mark.parametrize(('kind', 'intent', 'waits'), [
    ('action', {}, True), ('action', {'transport': 'agent'}, False),
    ('busy', {}, True),
    ('reset', {'kind': 'reset', 'activation': 'power-cycle'}, False),
    ('reset', {'kind': 'reset', 'activation': 'aux-cycle'}, True)])
def test_whose_write_is_waited_for(
        neighbour: Neighbour, make_node: Make, acquire: Make, wiped: bool,
        kind: str, intent: dict[str, Any], waits: bool) -> None:
    """An auxiliary cycle takes the BMC down, and with it what is pushed."""
    neighbour.begin(intent, kind)
    if wiped:
        neighbour.wipe()
    task = acquire(make_node(), shared=True)
    assert related_nodes.writing_node(task) == (
        neighbour.node.uuid if waits else None)


@pytest.mark.parametrize(('kind', 'intent', 'waits'), [
    ('action', {'way': 'redfish', 'effect': 'none'}, True),
    ('action', {'way': 'agent', 'effect': 'aux-cycle'}, False),
    ('reset', {'way': '', 'effect': 'power-cycle'}, False),
    ('reset', {'way': '', 'effect': 'aux-cycle'}, True)])
def test_a_write_of_a_conductor_of_the_release_before_is_waited_for(
        neighbour: Neighbour, make_node: Make, acquire: Make,
        kind: str, intent: dict[str, Any], waits: bool) -> None:
    neighbour.begin(kind=kind, record={
        'schema': 'record/1', 'intent': {'kind': kind, **intent}})
    assert related_nodes.writing_node(acquire(make_node(), shared=True)) == (
        neighbour.node.uuid if waits else None)


def test_background_copy_of_another_node_is_waited_for(
        neighbour: Neighbour, make_node: Make, acquire: Make) -> None:
    task = acquire(neighbour.node)
    flash_guard.put(task.node, 'background copy', 1.0, 600.0, 'busy')
    saving.save(task.node)
    task.release_resources()
    neighbour.wipe({})
    task = acquire(make_node(), shared=True)
    assert related_nodes.writing_node(task) == neighbour.node.uuid


@pytest.mark.parametrize('kind', ['action', 'busy'])
def test_two_nodes_on_one_bmc_do_not_wait_forever(
        stage: Stage, neighbour: Neighbour, kind: str) -> None:
    """Each has a guard left of what it could not begin."""
    stage.begin(profile='h100-new')
    task = stage.acquire(stage.node)
    flash_guard.put(task.node, 'gpu-0', 1.0, 600.0, kind)
    saving.save(task.node)
    task.release_resources()
    neighbour.begin()
    for _ in range(guard_followup.QUIET):
        assert neighbour.node.uuid in stage.tick().progress
    assert flash_guard.lock_of(stage.node) is None
    task = stage.acquire(neighbour.node, shared=True)
    assert related_nodes.writing_node(task) is None
    assert stage.box.writes == 0


def test_write_that_did_not_begin_blocks_no_other_node(
        neighbour: Neighbour, make_node: Make, acquire: Make) -> None:
    """Its guard stands until the box is seen idle, and no longer."""
    task = acquire(neighbour.node)
    flash_guard.put(task.node, 'gpu-7', 1.0, 600.0)
    saving.save(task.node)
    task.release_resources()
    assert related_nodes.writing_node(
        acquire(make_node(), shared=True)) is None


@pytest.mark.parametrize('wiped', [False, True])
def test_no_bmc_is_reset_over_a_write(
        neighbour: Neighbour, make_node: Make, acquire: Make,
        wiped: bool) -> None:
    neighbour.begin()
    if wiped:
        neighbour.wipe({})
    strongest, why = host_reset.strongest_allowed(
        acquire(make_node(), shared=True))
    assert strongest is Activation.POWER_CYCLE
    assert why is not None and neighbour.node.uuid in why


def test_who_begins_between_our_intent_and_our_write_is_seen(
        stage: Stage, neighbour: Neighbour) -> None:
    """And is written over at once, by a core that was stopped meanwhile."""
    real = flash_guard.put

    def put(node: Any, *args: Any, **more: Any) -> None:
        real(node, *args, **more)
        if node.uuid != neighbour.node.uuid:
            neighbour.begin()
            neighbour.wipe({})

    stage.begin(profile='h100-new')
    with mock.patch.object(flash_guard, 'put', autospec=True, side_effect=put):
        stage.tick()
    assert stage.box.writes == 0
    current = operation.load(stage.node)
    assert current is not None and neighbour.node.uuid in current.progress


def test_a_worker_asks_right_before_it_writes(
        stage: Stage, neighbour: Neighbour) -> None:
    stage.begin(profile='h100-new')
    task = stage.acquire(stage.node)
    current = operation.load(task.node)
    assert current is not None
    lent = backends.GuardedBackend(task, current, stage.box)
    neighbour.begin()
    neighbour.wipe()
    with pytest.raises(Rejected, match=neighbour.node.uuid):
        lent.start(burn_of('gpu-0'))
    with pytest.raises(context.BmcBusy, match=neighbour.node.uuid):
        context.NodeJournal(task, current)._check_bmc()
    assert stage.box.writes == 0


def want_aux(stage: Stage) -> None:
    """Firmware that nothing less than an auxiliary cycle activates."""
    for device in stage.box.parts.values():
        device['gpu'].claimed = device['gpu'].real = Activation.AUX_CYCLE


def to_aux(stage: Stage) -> None:
    """Run until the host is down and the auxiliary cycle is next."""
    stage.begin(profile='h100-new')
    while (operation.load_record(stage.node) or Record()).intent is None \
            or stage.box.host == 'on':
        assert stage.tick() is not None


@pytest.mark.parametrize('wiped', [False, True])
def test_the_cycle_waits_for_who_began_while_the_host_went_down(
        stage: Stage, neighbour: Neighbour, wiped: bool) -> None:
    want_aux(stage)
    to_aux(stage)
    neighbour.begin()
    if wiped:
        neighbour.wipe()
    for _ in range(3):
        current = stage.tick()
        assert neighbour.node.uuid in current.progress
    stage.aux.aux_cycle.assert_not_called()
    if wiped:
        neighbour.mend()
    neighbour.end()
    assert stage.run()['outcome'] == 'converged'
    stage.aux.aux_cycle.assert_called_once_with()


def test_bmc_reset_is_refused_once_another_node_is_in_use(
        stage: Stage, neighbour: Neighbour) -> None:
    want_aux(stage)
    to_aux(stage)
    neighbour.node.provision_state = states.DEPLOYWAIT
    neighbour.node.save()
    told = stage.run()
    assert told['outcome'] == 'failed'
    assert f'node {neighbour.node.uuid}' in told['error']['summary']
    stage.aux.aux_cycle.assert_not_called()
    assert stage.box.host == 'on'


def test_refresh_of_a_node_on_the_same_bmc_is_waited_for(
        stage: Stage, neighbour: Neighbour) -> None:
    """It would see a BMC that goes away, and nothing is lost by waiting."""
    want_aux(stage)
    to_aux(stage)
    task = stage.acquire(neighbour.node)
    operation.store(task.node, operation.Operation(
        kind='idle', step='accel_refresh', work='look',
        state=states.MANAGEABLE))
    saving.save(task.node)
    task.release_resources()
    assert neighbour.node.uuid in stage.tick().progress
    stage.aux.aux_cycle.assert_not_called()


def test_read_of_other_nodes_is_not_saved(
        neighbour: Neighbour, make_node: Make, acquire: Make) -> None:
    """Whoever sees through an overwritten node leaves it as it is."""
    neighbour.begin()
    neighbour.wipe({})
    task = acquire(make_node(), shared=True)
    assert related_nodes.writing_node(task) is not None
    assert related_nodes.in_use(task) is not None
    assert related_nodes.check_reset(task) is not None
    there = objects.Node.get_by_id(None, neighbour.node.id)
    assert there.driver_internal_info == {}
