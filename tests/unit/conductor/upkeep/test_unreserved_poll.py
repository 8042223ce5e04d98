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

"""Polls of a BMC without a lock on the node."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import pathlib
from typing import Any
from unittest import mock

from ironic.conf import CONF
from ironic import objects
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.conductor.upkeep import unreserved_poll
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Unreachable
from tests.unit.conductor.stage import Stage
from tests.unit.conductor.stage import staged

Make = Callable[..., Any]


@pytest.fixture
def stage(make_node: Make, acquire: Make, profiles: pathlib.Path,
          monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A box behind the ports; nothing was polled before."""
    monkeypatch.setattr(unreserved_poll, '_next', {})
    monkeypatch.setattr(unreserved_poll, '_found', {})
    with staged(make_node, acquire, profiles) as made:
        made.seconds = 1.0
        yield made


def loaded(node: Any) -> operation.Operation:
    """The operation of a node."""
    found = operation.load(node)
    assert found is not None
    return found


def ticked(stage: Stage) -> operation.Operation:
    """The operation that a tick leaves."""
    found = stage.tick()
    assert isinstance(found, operation.Operation)
    return found


def updating(stage: Stage) -> None:
    """Bring the node to an update in progress, polled once."""
    stage.begin(profile='h100-new')
    while not stage.box.flashing():
        ticked(stage)
    assert ticked(stage).progress == 'flashing'


def incomplete(stage: Stage) -> None:
    """Bring the node to an inventory that was incomplete once."""
    stage.box.ready_at = 1e12
    stage.begin(step='refresh_traits')
    assert ticked(stage).progress


def row(node: Any) -> Any:
    """All of a node in the database."""
    return objects.Node.get_by_uuid(None, node.uuid).as_dict()


def poll(stage: Stage) -> tuple[bool, int]:
    """Poll the node as a pass finds it.

    :returns: whether nothing is new, and how often the BMC was asked.
    """
    asked = [0]

    def count(function: Any) -> Any:
        def called(*args: Any) -> Any:
            asked[0] += 1
            return function(*args)
        return called

    box = stage.box
    unreserved_poll.set_found(
        found for found in queries.nodes([stage.node.uuid]).values())
    with mock.patch.multiple(box, poll=count(box.poll),
                             sources=count(box.sources)):
        return unreserved_poll.nothing_new(stage.node.uuid), asked[0]


def due_in(stage: Stage) -> float:
    """Seconds until the operation of the node is due."""
    node = objects.Node.get_by_uuid(None, stage.node.uuid)
    return unreserved_poll.due(node, loaded(node)) - clock.elapsed(node)


@pytest.mark.parametrize('begin', [updating, incomplete])
def test_a_poll_that_shows_nothing_new_saves_nothing(
        stage: Stage, begin: Callable[[Stage], None]) -> None:
    begin(stage)
    stage.box.now += 4
    before = row(stage.node)
    assert poll(stage) == (True, 1)
    assert row(stage.node) == before
    assert due_in(stage) == CONF.accelerator.poll_interval


@pytest.mark.parametrize('begin', [updating, incomplete])
def test_the_node_is_saved_at_least_each_half_minute(
        stage: Stage, begin: Callable[[Stage], None]) -> None:
    begin(stage)
    before = saving.generation(stage.node)
    # The next poll would come more than half a minute after the save.
    stage.box.now += 26.0 - stage.seconds
    assert poll(stage) == (False, 0)
    stage.tick()
    assert saving.generation(stage.node) == before + 1
    assert poll(stage) == (True, 1)


def test_what_ironic_waits_for_is_saved_before_its_timeout(
        stage: Stage) -> None:
    updating(stage)
    CONF.set_override('clean_callback_timeout', 18, group='conductor')
    try:
        # A third of it; the next poll would come after that.
        stage.box.now += 2
        assert poll(stage) == (False, 0)
    finally:
        CONF.clear_override('clean_callback_timeout', group='conductor')
    assert poll(stage) == (True, 1)


def test_the_time_of_a_save_differs_from_node_to_node(stage: Stage) -> None:
    updating(stage)
    node, found = stage.node, set()
    current = loaded(node)
    for number in range(50):
        keys.FENCE.put(node, f'7:{number}')
        found.add(unreserved_poll._longest(node, current))
    assert 15.0 <= min(found) < 17.0
    assert 28.0 < max(found) <= 30.0


def test_an_ended_update_is_left_to_a_tick(stage: Stage) -> None:
    updating(stage)
    before = row(stage.node)
    for job in stage.box.jobs.values():
        job.told = True
    assert poll(stage) == (False, 1)
    assert row(stage.node) == before
    assert unreserved_poll._next == {}


@pytest.mark.parametrize('error', [
    Unreachable('the BMC does not respond'), saving.NotOurs('gone'),
    ZeroDivisionError('no text of a stranger')])
def test_an_error_is_left_to_a_tick(stage: Stage, error: Exception) -> None:
    updating(stage)
    backend: Any = bmc_session.backend
    before, backend.side_effect = backend.side_effect, error
    assert poll(stage) == (False, 0)
    assert unreserved_poll._next == {}
    backend.side_effect = before
    assert poll(stage) == (True, 1)


@pytest.mark.parametrize(('error', 'lines'), [
    (Unreachable('the BMC does not respond'), 0), (ZeroDivisionError(), 1)])
def test_a_defect_is_logged(
        stage: Stage, error: Exception, lines: int,
        caplog: pytest.LogCaptureFixture) -> None:
    updating(stage)
    backend: Any = bmc_session.backend
    backend.side_effect = error
    caplog.clear()
    assert poll(stage) == (False, 0)
    assert len([r for r in caplog.records
                if r.levelname == 'ERROR']) == lines


def test_after_an_error_the_next_poll_has_a_lock(stage: Stage) -> None:
    updating(stage)
    with mock.patch.object(stage.box, 'poll', autospec=True,
                           side_effect=Unreachable('no answer')):
        stage.tick()
    assert poll(stage) == (False, 0)
    # The tick that reaches it notes that the wait is over.
    stage.tick()
    assert poll(stage) == (True, 1)


def test_nothing_is_written_without_a_lock(stage: Stage) -> None:
    updating(stage)
    assert poll(stage) == (True, 1)
    backend: Any = bmc_session.backend
    before_write = backend.call_args.kwargs['before_write']
    with pytest.raises(saving.NotOurs):
        before_write()


def test_a_node_that_was_saved_since_is_due_as_it_was_saved(
        stage: Stage) -> None:
    updating(stage)
    assert poll(stage) == (True, 1)
    assert due_in(stage) == CONF.accelerator.poll_interval
    task = stage.acquire(stage.node)
    operation.store(task.node, loaded(task.node).but(due=stage.box.now))
    saving.save(task.node)
    task.release_resources()
    assert due_in(stage) == 0


def test_a_node_is_polled_once_for_each_pass(stage: Stage) -> None:
    updating(stage)
    assert poll(stage) == (True, 1)
    assert not unreserved_poll.nothing_new(stage.node.uuid)


def test_what_has_no_operation_any_more_is_forgotten(stage: Stage) -> None:
    updating(stage)
    poll(stage)
    unreserved_poll.keep([stage.node.uuid])
    assert set(unreserved_poll._next) == {stage.node.uuid}
    unreserved_poll.keep(['another'])
    assert unreserved_poll._next == {}


def test_the_first_inventory_has_a_lock(stage: Stage) -> None:
    stage.box.ready_at = 1e12
    stage.begin(step='refresh_traits')
    assert poll(stage) == (False, 0)


def test_a_complete_inventory_is_left_to_a_tick(stage: Stage) -> None:
    incomplete(stage)
    stage.box.ready_at = 0.0
    assert poll(stage) == (False, 1)


def test_a_host_that_is_off_is_left_to_a_tick(stage: Stage) -> None:
    incomplete(stage)
    stage.box.host = 'off'
    assert poll(stage) == (False, 1)


def changed(node: Any, **values: Any) -> None:
    operation.store(node, loaded(node).but(**values))


def restarted(node: Any) -> None:
    mark: Any = keys.CLOCK.of(node)
    mark['boot'] = 'another'
    keys.CLOCK.put(node, mark)


NOT_POLLED: dict[str, Callable[[Any], None]] = {
    'no token': keys.FENCE.drop,
    'a child node': lambda node: setattr(node, 'parent_node', 'host'),
    'another driver': lambda node: setattr(node, 'driver', 'redfish'),
    'no BMC': lambda node: setattr(node, 'driver_info', {}),
    'a failed inventory': lambda node: changed(node, failures=1),
    'a power state to restore': lambda node: changed(
        node, restore='power on'),
    'the agent is read too': lambda node: changed(node, in_band=True),
    'past the deadline': lambda node: changed(node, deadline=1.0),
    'another start of the machine': restarted,
    'a power lock': lambda node: flash_guard.put(
        node, 'gpu-0', 1.0, 1.0, 'busy')}


@pytest.mark.parametrize('why', NOT_POLLED)
def test_an_inventory_is_left_to_a_tick(stage: Stage, why: str) -> None:
    incomplete(stage)
    node = stage.node
    assert unreserved_poll._may_be_polled(node, loaded(node))
    NOT_POLLED[why](node)
    assert not unreserved_poll._may_be_polled(node, loaded(node))


def test_a_write_of_another_transport_is_left_to_a_tick(
        stage: Stage) -> None:
    updating(stage)
    record: Any = keys.RECORD.of(stage.node)
    assert unreserved_poll._may_be_polled(
        stage.node, loaded(stage.node))
    record['intent']['ticket']['transport'] = 'redfish-dpu'
    keys.RECORD.put(stage.node, record)
    assert not unreserved_poll._may_be_polled(
        stage.node, loaded(stage.node))


def test_a_worker_ticks_what_has_news(stage: Stage, context: Any) -> None:
    updating(stage)
    uuid = stage.node.uuid
    with mock.patch.object(runner, 'tick', autospec=True) as tick:
        for new in (True, False):
            with mock.patch.object(unreserved_poll, 'nothing_new',
                                   autospec=True, return_value=not new):
                tick.reset_mock()
                stage.box.now += 5
                periodics._tick(context, uuid)
                assert tick.called == new


def test_a_poll_reserves_nothing(stage: Stage, context: Any) -> None:
    updating(stage)
    unreserved_poll.set_found(queries.nodes([stage.node.uuid]).values())
    with mock.patch.object(db_retry, 'acquire', autospec=True) as acquire:
        periodics._tick(context, stage.node.uuid)
    acquire.assert_not_called()


def test_a_record_that_cannot_be_read_is_left_to_a_tick(
        stage: Stage) -> None:
    updating(stage)
    with mock.patch.object(operation, 'load_record', autospec=True,
                           side_effect=BadInput('of a later version')):
        assert poll(stage) == (False, 0)
