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


"""The lanes of workers: each is bounded, and none takes from another."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import subprocess
import sys
import threading
import time
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import metrics_collector
from ironic.common import states
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic import objects
import pytest

from ironic_accel.bounded.threads import Closed
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import metrics
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import observe
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.converge.ports import Backend
from ironic_accel import uptime

Make = Callable[..., Any]


@pytest.fixture
def verify_lane(monkeypatch: pytest.MonkeyPatch, database: object
                ) -> Iterator[workers.Threads]:
    """A lane ``verify`` of the test's own, with four workers."""
    made = workers.Threads('verify', 'verify_workers')
    monkeypatch.setattr(workers, 'VERIFY', made)
    CONF.set_override('verify_workers', 4, group='accelerator')
    yield made
    CONF.clear_override('verify_workers', group='accelerator')
    made.stop()
    assert made.busy == 0


class Slow:
    """A BMC that answers when it is told to.

    :ivar most: how many reads ran at a time, at most.
    """

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.read = 0
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self._now += 1
            self.read += 1
            self.most = max(self.most, self._now)
        self.go_on.wait(30)
        with self._lock:
            self._now -= 1
        return 'read'


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so, for ten seconds at most."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_fifty_verifies_are_read_four_at_a_time(
        verify_lane: workers.Threads) -> None:
    bmc = Slow()
    told: list[str] = []
    callers = [threading.Thread(
        target=lambda: told.append(verify_lane.run(bmc, 30)))
        for _ in range(50)]
    for caller in callers:
        caller.start()
    until(lambda: bmc.read == 4)
    time.sleep(0.2)
    assert bmc.read == 4
    assert sum(t.name == 'accel-verify' for t in threading.enumerate()) == 4
    bmc.go_on.set()
    for caller in callers:
        caller.join(30)
    assert told == ['read'] * 50
    assert bmc.most <= 4
    until(lambda: verify_lane.busy == 0)
    assert not [t for t in threading.enumerate() if t.name == 'accel-verify']


def test_read_that_finds_no_worker_is_not_made_later(
        verify_lane: workers.Threads) -> None:
    bmc = Slow()
    hung = [verify_lane.submit(bmc) for _ in range(4)]
    until(lambda: bmc.read == 4)
    late = Slow()
    with pytest.raises(workers.NoFreeWorker, match=(
            r'all 4 workers \(\[accelerator\]verify_workers\) were in use')):
        verify_lane.run(late, 0.1)
    bmc.go_on.set()
    assert [f.result(10) for f in hung] == ['read'] * 4
    until(lambda: verify_lane.busy == 0)
    assert late.read == 0


def test_read_that_began_and_hangs_times_out(
        verify_lane: workers.Threads) -> None:
    bmc = Slow()
    with pytest.raises(TimeoutError):
        verify_lane.run(bmc, 0.1)
    assert bmc.read == 1
    bmc.go_on.set()


def test_error_of_a_read_reaches_the_caller(
        verify_lane: workers.Threads) -> None:
    def broken() -> None:
        raise LookupError('no such system')

    with pytest.raises(LookupError, match='no such system'):
        verify_lane.run(broken, 10)


def verifying(make_node: Make, acquire: Make, context: Any) -> Any:
    """Run the verify step; gives the node as it is stored."""
    node = make_node(provision_state=states.VERIFYING)
    task = acquire(node)
    observe.verify(task)
    task.release_resources()
    return objects.Node.get_by_id(context, node.id)


def test_verify_without_a_free_worker_is_reported_as_not_read(
        make_node: Make, acquire: Make, context: Any,
        verify_lane: workers.Threads) -> None:
    CONF.set_override('verify_timeout', 1, group='accelerator')
    bmc = Slow()
    for _ in range(4):
        verify_lane.submit(bmc)
    until(lambda: bmc.read == 4)
    backend = mock.create_autospec(Backend, instance=True)
    try:
        with mock.patch.object(bmc_session, 'backend', autospec=True,
                               return_value=backend):
            node = verifying(make_node, acquire, context)
    finally:
        bmc.go_on.set()
        CONF.clear_override('verify_timeout', group='accelerator')
    note = (keys.RESULT.of(node) or {})['note']
    assert note.startswith('not read: all 4 workers')
    backend.observe.assert_not_called()
    assert node.traits.objects == []
    # It is not lost: the node is inventoried once it is manageable.
    current = operation.load(node)
    assert current is not None and current.work == 'look'
    node.provision_state = states.MANAGEABLE
    assert periodics.due(node)


def test_hung_verifies_leave_the_operations_their_workers(
        make_node: Make, context: Any, verify_lane: workers.Threads,
        monkeypatch: pytest.MonkeyPatch) -> None:
    lane = workers.Queue('operations', 'max_workers')
    monkeypatch.setattr(workers, 'OPERATIONS', lane)
    bmc = Slow()
    for _ in range(50):
        verify_lane.submit(bmc)
    until(lambda: bmc.read == 4)
    node = make_node(provision_state=states.CLEANWAIT)
    operation.store(node, operation.Operation('clean', 'apply_profile'))
    node.set_driver_internal_info('cleaning_polling', True)
    node.save()
    manager = conductor()
    manager.iter_nodes.return_value = [(node.uuid, 'accel-redfish', '')]
    with mock.patch.object(runner, 'tick', autospec=True) as ticked:
        periodics.pick(manager, context)
    ticked.assert_called_once()
    assert lane.busy == 0
    bmc.go_on.set()


def conductor() -> Any:
    """Ironic's conductor manager, whose workers end before it goes on."""
    made = mock.create_autospec(base_manager.BaseConductorManager,
                                instance=True)
    made._shutdown = threading.Event()
    made._spawn_worker.side_effect = lambda call, *args: call(*args)
    return made


@pytest.fixture
def lane(database: object) -> Iterator[workers.Queue]:
    """A lane with two places."""
    CONF.set_override('max_workers', 2, group='accelerator')
    yield workers.Queue('operations', 'max_workers')
    CONF.clear_override('max_workers', group='accelerator')


def test_a_worker_takes_the_next_node_when_it_ends(
        lane: workers.Queue) -> None:
    manager = conductor()
    done: list[str] = []
    lane.fill('abcde')
    lane.start(manager, done.append)
    assert done == [*'abcde']
    manager._spawn_worker.assert_called_once()
    assert lane.busy == 0


def test_every_node_has_its_turn_whatever_its_id(lane: workers.Queue
                                                 ) -> None:
    """All are due at each pass, and a pass manages a fifth of them."""
    manager = conductor()
    done: list[str] = []
    nodes = [f'node-{n:02}' for n in range(40)]

    def work(uuid: str) -> None:
        done.append(uuid)
        if len(done) % 8 == 0:
            manager._shutdown.set()

    for _ in range(10):
        manager._shutdown.clear()
        lane.fill(nodes)
        lane.start(manager, work)
    assert sorted(done[:40]) == nodes
    assert sorted(done[40:]) == nodes


@pytest.fixture
def hanging(lane: workers.Queue, monkeypatch: pytest.MonkeyPatch
            ) -> Iterator[Hanging]:
    """Work that ends when it is told to, in simulated time."""
    made = Hanging(lane, monkeypatch)
    yield made
    lane.fill('')
    made.end(*made.begun)
    made.pool.shutdown()
    assert lane.busy == 0


class Hanging:
    """Nodes that a lane works on.

    :ivar begun: each node that is worked on, and what ends that.
    """

    def __init__(self, lane: workers.Queue, monkeypatch: pytest.MonkeyPatch
                 ) -> None:
        self.lane, self.now = lane, 100.0
        self.begun: dict[str, threading.Event] = {}
        self.pool = futures.ThreadPoolExecutor(20)
        self.manager = conductor()
        self.manager._spawn_worker.side_effect = self.pool.submit
        monkeypatch.setattr(uptime, 'steady', lambda: self.now)

    def work(self, uuid: str) -> None:
        """Hang until the end."""
        ended = self.begun[uuid] = threading.Event()
        assert ended.wait(30)
        del self.begun[uuid]

    def turn(self, due: str, begun: str) -> None:
        """A pass; after it these nodes are worked on."""
        self.lane.fill(due)
        self.lane.start(self.manager, self.work)
        until(lambda: sorted(self.begun) == sorted(begun))
        assert self.lane.busy == len(begun)

    def end(self, *uuids: str) -> None:
        """Have nodes respond."""
        left = set(self.begun) - set(uuids)
        for uuid in uuids:
            self.begun[uuid].set()
        until(lambda: self.lane.busy == len(left))


def test_nodes_that_respond_do_not_wait_for_slow_ones(
        hanging: Hanging) -> None:
    hanging.turn('abcd', 'ab')
    hanging.now += workers.SLOW / 2
    hanging.turn('cd', 'ab')
    hanging.now += workers.SLOW
    # Each slow one keeps its own place, two as the option says.
    hanging.turn('cd', 'abcd')
    hanging.now += 2 * workers.SLOW
    hanging.turn('ef', 'abcd')


def test_a_node_that_was_slow_does_not_take_the_place_of_others(
        hanging: Hanging) -> None:
    hanging.turn('ab', 'ab')
    hanging.now += 2 * workers.SLOW
    hanging.turn('cd', 'abcd')
    hanging.now += 2 * workers.SLOW
    hanging.lane.fill('')
    hanging.end('a', 'b', 'c', 'd')
    # All four are known as slow: two may run, beside two others.
    hanging.turn('abcdefg', 'abef')
    hanging.lane.fill('')
    hanging.end('a', 'e')
    # Node a responded in time, and is like any other again: it takes the
    # place of e, c the one of a, and g waits.
    hanging.turn('acg', 'abcf')


def test_a_slow_node_does_not_wait_for_others_without_end(
        hanging: Hanging) -> None:
    """An update is polled whose image took long to upload."""
    hanging.turn('ab', 'ab')
    hanging.now += 2 * workers.SLOW
    hanging.lane.fill('')
    hanging.end('a', 'b')
    # Two others take the places of slow nodes, uploading; a and b are known.
    hanging.turn('cd', 'cd')
    hanging.now += 2 * workers.SLOW
    hanging.turn('abef', 'cdef')
    hanging.now += workers.PATIENCE / 2
    hanging.lane.fill('abgh')
    hanging.begun['e'].set()
    until(lambda: sorted(hanging.begun) == [*'cdfg'])
    hanging.now += workers.PATIENCE
    hanging.begun['g'].set()
    # Node a waits longest, and is next before h.
    until(lambda: sorted(hanging.begun) == [*'acdf'])


def test_a_node_keeps_its_turn_while_ironic_has_no_worker(
        lane: workers.Queue) -> None:
    manager = conductor()
    done: list[str] = []
    take = manager._spawn_worker.side_effect
    manager._spawn_worker.side_effect = exception.NoFreeConductorWorker()
    for _ in range(2):
        lane.fill('abc')
        lane.start(manager, done.append)
    assert (done, lane.busy) == ([], 0)
    manager._spawn_worker.side_effect = take
    lane.fill('abc')
    lane.start(manager, done.append)
    assert done == [*'abc']


def test_a_slow_node_stays_one_while_ironic_has_no_worker(
        hanging: Hanging) -> None:
    hanging.turn('ab', 'ab')
    hanging.now += 2 * workers.SLOW
    hanging.lane.fill('')
    hanging.end('a', 'b')
    take = hanging.manager._spawn_worker.side_effect
    hanging.manager._spawn_worker.side_effect = (
        exception.NoFreeConductorWorker())
    for _ in range(2):
        hanging.turn('abcd', '')
    hanging.manager._spawn_worker.side_effect = take
    # Both places of slow nodes, and two more.
    hanging.turn('abcd', 'abcd')


def test_an_error_with_one_node_is_logged_and_the_next_one_follows(
        lane: workers.Queue, caplog: pytest.LogCaptureFixture) -> None:
    done = []

    def work(uuid: str) -> None:
        done.append(uuid)
        if uuid == 'a':
            raise LookupError('what is this')

    lane.fill('ab')
    lane.start(conductor(), work)
    assert done == ['a', 'b']
    assert 'unexpected error with node a' in caplog.text
    assert 'what is this' in caplog.text
    assert lane.busy == 0


@pytest.mark.parametrize('flag', [True, threading.Event()])
def test_a_conductor_that_stops_begins_no_other_node(
        lane: workers.Queue, flag: Any) -> None:
    manager = conductor()
    done: list[str] = []
    manager._shutdown = flag
    if isinstance(flag, threading.Event):
        flag.set()
    lane.fill('abc')
    lane.start(manager, done.append)
    assert done == []


def test_lanes_are_counted(verify_lane: workers.Threads,
                           monkeypatch: pytest.MonkeyPatch) -> None:
    collected: dict[str, Any] = {}
    monkeypatch.setattr(metrics_collector, 'STATISTIC_DATA', collected)
    monkeypatch.setattr(
        metrics, 'METRICS',
        metrics_collector.DictCollectionMetricLogger('accelerator'))
    bmc = Slow()
    futures = [verify_lane.submit(bmc) for _ in range(4)]
    until(lambda: bmc.read == 4)
    futures += [verify_lane.submit(bmc) for _ in range(2)]
    name = 'accelerator.workers.verify.'
    assert collected[f'{name}full']['count'] == 2
    assert collected[f'{name}busy']['value'] == 4
    bmc.go_on.set()
    for future in futures:
        future.result(10)
    assert collected[f'{name}busy']['value'] < 4
    known = {row.name for row in metrics.TABLE}
    assert {f'workers.{lane}.{what}'
            for lane in ('operations', 'audit', 'verify', 'images')
            for what in ('busy', 'full')} <= known


def test_stop_cancels_queued_work_and_reports_it(
        verify_lane: workers.Threads) -> None:
    bmc = Slow()
    for _ in range(4):
        verify_lane.submit(bmc)
    until(lambda: bmc.read == 4)
    told: list[str] = []

    def wait() -> None:
        try:
            verify_lane.run(bmc, 30)
        except workers.NoFreeWorker as exc:
            told.append(str(exc))

    callers = [threading.Thread(target=wait) for _ in range(5)]
    for caller in callers:
        caller.start()
    until(lambda: verify_lane._pool.waiting == 5)
    verify_lane.before_stop(bmc.go_on.set)
    verify_lane.stop()
    for caller in callers:
        caller.join(10)
    assert told == ['the conductor is stopping'] * 5
    assert verify_lane.busy == 0
    assert not [t for t in threading.enumerate() if t.name == 'accel-verify']
    with pytest.raises(Closed):
        verify_lane.submit(bmc)


_ENDING = """
from oslo_service import backend
backend.init_backend(backend.BackendType.THREADING)
from ironic.common import service
import threading
from ironic_accel.conductor.config import workers
service.prepare_command(['test'])
began = threading.Barrier(3)
def hang():
    began.wait(30)
    threading.Event().wait()
workers.VERIFY.submit(hang)
workers.IMAGES.submit(hang)
began.wait(30)
print('ending', flush=True)
"""


def test_hung_worker_does_not_keep_the_conductor_from_ending() -> None:
    done = subprocess.run([sys.executable, '-c', _ENDING], timeout=60,
                          capture_output=True, text=True, check=True)
    assert done.stdout.startswith('ending\n')
    assert 'Worker lane verify: 1 still running' in done.stdout
    assert 'Worker lane images: 1 still running' in done.stdout
