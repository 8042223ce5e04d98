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

"""The periodics, and the look of the verify step."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import inspect
import pathlib
import threading
from typing import Any
from unittest import mock

from ironic.common import context as ironic_context
from ironic.common import driver_factory
from ironic.common import exception
from ironic.common import faults
from ironic.common import states
from ironic.conductor import base_manager
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic import objects
from oslo_db import exception as db_exc
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import node_cache
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.converge.ports import Backend
from ironic_accel.model.errors import Unreachable
from tests.unit.conductor import sample

Make = Callable[..., Any]


@pytest.fixture
def manager() -> Iterator[Any]:
    """A conductor that serves every node of the database."""
    made = mock.create_autospec(base_manager.BaseConductorManager,
                                instance=True)
    made._shutdown = threading.Event()
    pool = futures.ThreadPoolExecutor(4)

    def nodes(filters: dict[str, Any]) -> Any:
        return objects.Node.dbapi.get_nodeinfo_list(
            columns=['uuid', 'driver', 'conductor_group'],
            filters=filters)

    made.iter_nodes.side_effect = nodes
    made.begun = []

    def spawn(f: Any, *args: Any, **more: Any) -> Any:
        made.begun.append(pool.submit(f, *args, **more))
        return made.begun[-1]

    made._spawn_worker.side_effect = spawn
    yield made
    pool.shutdown()


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two nodes are worked on at a time."""
    monkeypatch.setattr(
        workers, 'OPERATIONS', workers.Queue('operations', 'max_workers'))
    CONF.set_override('max_workers', 2, group='accelerator')
    yield
    CONF.clear_override('max_workers', group='accelerator')


def waiting(make_node: Make, **fields: Any) -> Any:
    node = make_node(provision_state=states.CLEANWAIT, **fields)
    operation.store(node, operation.Operation('clean', 'apply_profile'))
    node.set_driver_internal_info('cleaning_polling', True)
    node.save()
    return node


def pick(acquire: Make, node: Any, manager: Any, context: Any) -> None:
    vendor = acquire(node, shared=True).driver.vendor
    vendor.pick_due_operations(manager, context)


def test_slow_nodes_use_at_most_max_workers(
        make_node: Make, acquire: Make, manager: Any, places: None,
        context: Any) -> None:
    nodes = [waiting(make_node) for _ in range(4)]
    go_on, ticked = threading.Event(), []
    both = threading.Barrier(3)

    def slow(task: Any) -> None:
        ticked.append(task.node.uuid)
        if not go_on.is_set():
            both.wait(30)
            go_on.wait(30)

    with mock.patch.object(runner, 'tick', autospec=True, side_effect=slow):
        pick(acquire, nodes[0], manager, context)
        pick(acquire, nodes[0], manager, context)
        assert manager._spawn_worker.call_count == 2
        # Each worker reserves its node.
        both.wait(30)
        locked = {n.uuid for n in objects.Node.list(context)
                  if n.reservation}
        go_on.set()
        futures.wait(manager.begun)
    assert len(locked) == 2
    assert set(ticked[:2]) == locked
    # Each worker took another one then.
    assert set(ticked) == {n.uuid for n in nodes}


def test_a_failing_database_does_not_end_the_pass(
        make_node: Make, acquire: Make, manager: Any, places: None,
        context: Any) -> None:
    nodes = [waiting(make_node) for _ in range(2)]
    failed: list[str] = []
    ticked: list[str] = []
    real = db_retry.acquire

    def failing(context: Any, uuid: str, **options: Any) -> Any:
        if not failed:
            failed.append(uuid)
            raise db_exc.DBConnectionError
        return real(context, uuid, **options)

    with mock.patch.object(db_retry, 'acquire', autospec=True,
                           side_effect=failing), \
            mock.patch.object(runner, 'tick', autospec=True,
                              side_effect=lambda task: ticked.append(
                                  task.node.uuid)):
        pick(acquire, nodes[0], manager, context)
        futures.wait(manager.begun)
    assert sorted([*failed, *ticked]) == sorted(n.uuid for n in nodes)
    assert len(failed) == 1


def test_a_worker_forgets_the_user_whom_its_thread_served(
        make_node: Make, acquire: Make, manager: Any, places: None,
        context: Any) -> None:
    node = waiting(make_node)

    def tick(task: Any) -> None:
        manager_utils.node_history_record(task.node, event='ticked')

    def run(call: Any, *args: Any) -> None:
        ironic_context.RequestContext(user_id='u').update_store()
        call(*args)

    manager._spawn_worker.side_effect = run
    with mock.patch.object(runner, 'tick', autospec=True, side_effect=tick):
        pick(acquire, node, manager, context)
    assert [entry.user for entry in objects.NodeHistory.list_by_node_id(
        context, node.id) if entry.event == 'ticked'] == [None]


def test_a_pass_names_no_user_whom_its_thread_served(
        make_node: Make, acquire: Make, manager: Any, context: Any) -> None:
    """Ironic runs periodics in the threads that serve its users."""
    node = make_node(provision_state=states.MANAGEABLE)
    operation.store(node, operation.Operation('clean', 'apply_profile'))
    node.save()
    vendor = acquire(node, shared=True).driver.vendor
    ironic_context.RequestContext(user_id='u').update_store()
    with mock.patch.object(
            cleanup, 'reap', autospec=True,
            side_effect=lambda task: manager_utils.node_history_record(
                task.node, event='removed')):
        vendor.clear_leftovers(manager, context)
    assert [entry.user for entry in objects.NodeHistory.list_by_node_id(
        context, node.id)] == [None]


def test_only_due_and_current_operations_are_picked(
        make_node: Make, acquire: Make, manager: Any, places: None,
        context: Any) -> None:
    later = waiting(make_node)
    operation.store(later, operation.Operation(
        'clean', 'apply_profile', due=1e12))
    stale = waiting(make_node)
    stale.del_driver_internal_info('cleaning_polling')
    away = waiting(make_node, maintenance=True)
    for node in (later, stale, away):
        node.save()
    pick(acquire, later, manager, context)
    manager._spawn_worker.assert_not_called()


@pytest.mark.parametrize(('share', 'taken'), [
    (0.0, True), (0.4, True), (0.6, False), (1.0, False)])
def test_operation_is_picked_by_the_nearest_pass(
        make_node: Make, monkeypatch: pytest.MonkeyPatch, share: float,
        taken: bool) -> None:
    """Otherwise what is due just after a pass waits for a whole one more."""
    node = waiting(make_node)
    monkeypatch.setattr(clock, 'now', lambda: 1000.0)
    operation.store(node, operation.Operation(
        'clean', 'apply_profile',
        due=1000.0 + share * CONF.accelerator.poll_interval))
    assert periodics.due(node) is taken


@pytest.fixture
def interfaces() -> Iterator[dict[str, Any]]:
    """All vendor interfaces are enabled."""
    made: dict[str, Any] = {
        'accelerator-idrac': vendor.IdracAccelerator(),
        'accelerator': vendor.RedfishAccelerator(),
        'no-vendor': mock.Mock()}
    with mock.patch.object(driver_factory, 'interfaces', autospec=True,
                           return_value=made):
        yield made


PASSES = sorted(name for name, method in inspect.getmembers(
    periodics.Periodics, inspect.isfunction)
    if hasattr(method, '_is_periodic'))


@pytest.mark.parametrize('name', PASSES)
def test_one_of_several_interfaces_runs_the_periodics(
        interfaces: dict[str, Any], manager: Any, context: Any, name: str
        ) -> None:
    assert len(PASSES) == 8
    with mock.patch.object(queries, 'select', autospec=True,
                           return_value=[]) as asked:
        getattr(interfaces['accelerator-idrac'], name)(manager, context)
        asked.assert_not_called()
        manager.iter_nodes.assert_not_called()
        assert not periodics.leads(interfaces['accelerator-idrac'])
        assert periodics.leads(interfaces['accelerator'])


def test_one_scan_answers_all_periodics_of_a_pass(
        make_node: Make, interfaces: dict[str, Any], manager: Any,
        context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_cache, 'SHARED', 1.0)
    for _ in range(3):
        make_node()
    with mock.patch.object(queries, '_read_scan', autospec=True,
                           side_effect=queries._read_scan) as scanned:
        monkeypatch.setattr(queries._scan, '_read', scanned)
        for interface in interfaces.values():
            for name in PASSES:
                getattr(interface, name)(manager, context)
        assert scanned.call_count == 1
        # Who decides by what it finds has it read now.
        queries.scanned(fresh=True)
        assert scanned.call_count == 2


def test_full_pool_of_ironic_releases_the_worker(
        make_node: Make, acquire: Make, manager: Any, places: None,
        context: Any, caplog: pytest.LogCaptureFixture) -> None:
    node = waiting(make_node)
    manager._spawn_worker.side_effect = exception.NoFreeConductorWorker()
    for _ in range(3):
        pick(acquire, node, manager, context)
        assert 'all [conductor]workers_pool_size workers' in caplog.text
        caplog.clear()
    assert workers.OPERATIONS.busy == 0
    node.refresh()
    assert node.reservation is None


def verify(acquire: Make, node: Any, backend: Any) -> dict[str, Any]:
    task = acquire(node)
    with mock.patch.object(bmc_session, 'backend', autospec=True,
                           **backend):
        task.driver.vendor.execute_verify_step(
            task, {'step': 'verify_accelerators'})
    task.node.refresh()
    return dict(task.node.driver_internal_info[keys.RESULT.name])


def seeing(inventory: Any) -> dict[str, Any]:
    backend = mock.create_autospec(Backend, instance=True)
    backend.sources.return_value = sample.sources(inventory)
    backend.transports.return_value = (sample.transport(inventory),)
    return {'return_value': backend}


def test_verify_inventories_a_host_that_is_on(
        make_node: Make, acquire: Make) -> None:
    node = make_node()
    assert verify(acquire, node, seeing(sample.box()))['note'] == (
        'inventoried')
    assert 'CUSTOM_ACCEL_GPU_X2' in objects.TraitList.get_by_node_id(
        None, node.id).get_trait_names()


@pytest.mark.parametrize(('backend', 'note'), [
    (seeing(sample.box(host='off', complete=False)),
     'host off: not inventoried'),
    (seeing(sample.box(complete=False)),
     'device discovery is not complete: not inventoried yet, a refresh '
     'follows'),
    ({'side_effect': Unreachable('no answer')},
     'not inventoried: no answer [permanent]'),
    ({'side_effect': ValueError('what')}, 'not inventoried: ValueError'),
])
def test_verify_never_fails(make_node: Make, acquire: Make,
                            backend: dict[str, Any], note: str) -> None:
    assert verify(acquire, make_node(), backend)['note'] == note


@pytest.mark.parametrize(('step', 'restore', 'gives_way'), [
    (keys.VERIFY_STEP, None, True), (keys.FOLLOW_UP_STEP, None, True),
    (keys.FOLLOW_UP_STEP, states.POWER_OFF, False),
    ('accel_refresh', None, False)])
def test_unrequested_refresh_gives_way(
        make_node: Make, step: str, restore: str | None, gives_way: bool
        ) -> None:
    node = make_node()
    operation.store(node, operation.Operation(
        'idle', step, work='look', state=node.provision_state,
        restore=restore))
    if gives_way:
        operation.check_free(node)
    else:
        with pytest.raises(exception.InvalidState, match='is in progress'):
            operation.check_free(node)


@pytest.mark.parametrize(('fault', 'ticks'), [
    (faults.POWER_FAILURE, True), (None, False),
    (faults.SERVICE_FAILURE, False)])
def test_a_silent_bmc_does_not_keep_an_operation_from_its_end(
        make_node: Make, fault: str | None, ticks: bool) -> None:
    """Ironic's power sync puts such a node into maintenance."""
    node = waiting(make_node, maintenance=True, fault=fault)
    assert periodics.due(node) is ticks


def test_unstable_node_at_verify_is_refreshed_at_once(
        make_node: Make, acquire: Make, context: Any) -> None:
    """A BMC that tells no reset needs two looks, and the audit is far."""
    node = make_node(provision_state=states.VERIFYING)
    verify(acquire, node, seeing(sample.box(complete=False)))
    node = objects.Node.get_by_id(context, node.id)
    current = operation.load(node)
    assert current is not None
    assert (current.work, current.power_on) == ('look', False)
    assert not periodics.due(node)
    node.provision_state = states.MANAGEABLE
    assert periodics.due(node)
    assert not cleanup.wanted(node)


@pytest.mark.parametrize('backend', [
    seeing(sample.box()), seeing(sample.box(host='off', complete=False)),
    {'side_effect': Unreachable('no answer')}])
def test_verify_does_not_refresh_without_need(
        make_node: Make, acquire: Make, context: Any,
        backend: dict[str, Any]) -> None:
    node = make_node(provision_state=states.VERIFYING)
    verify(acquire, node, backend)
    assert operation.load(objects.Node.get_by_id(context, node.id)) is None


def test_verify_does_not_wait_for_a_slow_bmc(
        make_node: Make, acquire: Make) -> None:
    release = threading.Event()
    backend = mock.create_autospec(Backend, instance=True)
    backend.sources.side_effect = lambda: release.wait(30)
    CONF.set_override('verify_timeout', 1, group='accelerator')
    try:
        told = verify(acquire, make_node(), {'return_value': backend})
    finally:
        release.set()
        CONF.clear_override('verify_timeout', group='accelerator')
    assert told['note'] == 'no response within 1 s: not inventoried'


@pytest.mark.parametrize(('broken', 'fails', 'logged'), [
    ({'console_interface': 'no-longer-enabled'}, None, 'no-longer-enabled'),
    ({}, saving.NotOurs('this conductor no longer holds the node'),
     'no longer holds'),
    ({}, db_exc.DBDataError('secret'), 'DBDataError'),
    ({}, ValueError('secret'), 'ValueError')])
def test_void_traits_go_although_another_node_fails(
        make_node: Make, acquire: Make, manager: Any, context: Any,
        profiles: pathlib.Path, caplog: pytest.LogCaptureFixture,
        broken: dict[str, str], fails: Exception | None, logged: str) -> None:
    """One node with a driver that is not enabled any more must not keep the
    void traits of all nodes after it.
    """
    first, second = (make_node(provision_state=states.AVAILABLE, **fields)
                     for fields in (broken, {}))
    for node in (first, second):
        verification.keep(node, sample.profile(
            sample.mode_profile('gone', ecc='enabled')), ['gpu-0'])
        node.save()
    vendor = acquire(second, shared=True).driver.vendor
    real = cleanup.reap

    def reap(task: Any) -> None:
        if task.node.id == first.id and fails is not None:
            raise fails
        real(task)

    with mock.patch.object(cleanup, 'reap', autospec=True, side_effect=reap):
        vendor.clear_available(manager, context)
    for node in (first, second):
        node.refresh()
    assert verification.of(first)
    assert verification.of(second) == {}
    assert (first.reservation, second.reservation) == (None, None)
    told = [r for r in caplog.records if first.uuid in r.getMessage()
            and logged in r.getMessage()]
    assert len(told) == 1
    assert 'secret' not in told[0].getMessage()


def test_void_verifications_of_available_nodes_have_their_own_pass(
        make_node: Make, acquire: Make, manager: Any, context: Any,
        profiles: pathlib.Path) -> None:
    """After a change of a profile every node has something to take back."""
    nodes = {state: make_node(provision_state=state)
             for state in (states.MANAGEABLE, states.AVAILABLE)}
    for node in nodes.values():
        verification.keep(node, sample.profile(
            sample.mode_profile('gone', ecc='enabled')), ['gpu-0'])
        node.save()
    vendor = acquire(nodes[states.MANAGEABLE], shared=True).driver.vendor
    vendor.clear_available(manager, context)
    for node in nodes.values():
        node.refresh()
    assert {s: bool(verification.of(n)) for s, n in nodes.items()} == {
        states.AVAILABLE: False, states.MANAGEABLE: True}
    vendor.clear_leftovers(manager, context)
    nodes[states.MANAGEABLE].refresh()
    assert verification.of(nodes[states.MANAGEABLE]) == {}
