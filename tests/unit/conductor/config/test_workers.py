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
import subprocess
import sys
import threading
import time
from typing import Any
from unittest import mock

from ironic.common import metrics_collector
from ironic.common import states
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
        make_node: Make, acquire: Make, context: Any,
        verify_lane: workers.Threads,
        monkeypatch: pytest.MonkeyPatch) -> None:
    lane = workers.Places('operations', 'max_workers')
    monkeypatch.setattr(workers, 'OPERATIONS', lane)
    bmc = Slow()
    for _ in range(50):
        verify_lane.submit(bmc)
    until(lambda: bmc.read == 4)
    node = make_node(provision_state=states.CLEANWAIT)
    operation.store(node, operation.Operation('clean', 'apply_profile'))
    node.set_driver_internal_info('cleaning_polling', True)
    node.save()
    task = acquire(node, shared=True)
    manager = mock.Mock()
    manager._spawn_worker.side_effect = lambda call, *args: call(*args)
    with mock.patch.object(runner, 'tick', autospec=True) as ticked, \
            mock.patch.object(task, 'spawn_after', autospec=True,
                              side_effect=lambda spawn, *args: spawn(*args)):
        periodics._hand_over(task, manager)
    ticked.assert_called_once_with(task)
    assert lane.busy == 0
    bmc.go_on.set()


def test_places_are_bounded_and_given_back(
        database: object, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = workers.Places('operations', 'max_workers')
    CONF.set_override('max_workers', 2, group='accelerator')
    try:
        assert [lane.acquire() for _ in range(3)] == [True, True, False]
        lane.release()
        assert lane.acquire()
        lane.release()
        lane.release()
    finally:
        CONF.clear_override('max_workers', group='accelerator')
    with pytest.raises(ValueError, match='no place is taken'):
        lane.release()


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
began = threading.Event()
def hang():
    began.set()
    threading.Event().wait()
workers.VERIFY.submit(hang)
workers.IMAGES.submit(hang)
began.wait(10)
print('ending', flush=True)
"""


def test_hung_worker_does_not_keep_the_conductor_from_ending() -> None:
    done = subprocess.run([sys.executable, '-c', _ENDING], timeout=60,
                          capture_output=True, text=True, check=True)
    assert done.stdout.startswith('ending\n')
    assert 'Worker lane verify: 1 still running' in done.stdout
    assert 'Worker lane images: 1 still running' in done.stdout
