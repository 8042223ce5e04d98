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

"""How evenly one conductor serves nodes with an operation in progress.

``in_flight.py [NODES...] [--seconds S] [--slow N] [--workers N]
[--database URL]``: Ironic's objects on SQLite or another database, the
periodic that picks due operations, the conductor's own ticks, and BMCs that
take 0.3 s for each inventory and are never complete, so that each node is due
again one ``poll_interval`` after its tick. Some BMCs (``--slow``) take 30 s
each time.

Prints, for each number of nodes, the ticks of the nodes that responded (the
fewest and the most of one node), the longest time between two ticks of one
node in intervals (goal: 2), and CPU milliseconds of a tick. The peer is
Ironic's own way to work on nodes in a periodic: in the order of their ids, at
most so many at a time.
"""

from __future__ import annotations

import argparse
import collections
from concurrent import futures
import dataclasses
import itertools
import pathlib
import sys
import tempfile
import threading
import time
from typing import Any
from unittest import mock

from oslo_service import backend as oslo_backend

oslo_backend.init_backend(oslo_backend.BackendType.THREADING)

# ruff: noqa: E402
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic import objects

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench import audit as bench_audit
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.converge.ports import Backend
from tests.unit.conductor import sample

SIZES = (40, 200, 1000)
#: Seconds of an inventory, and of one of a slow BMC.
INVENTORY, SLOW = 0.3, 30.0
#: The longest time between two ticks of one node, in intervals.
GOAL = 2.0


def main() -> int:
    """Measure; gives 1 where a node waited for longer than it may."""
    args = _arguments()
    late = 0
    with tempfile.TemporaryDirectory() as folder:
        context = bench_audit._ironic(pathlib.Path(folder), args.database)
        uuids: list[str] = []
        for size in args.nodes or SIZES:
            uuids += [_node(context) for _ in range(size - len(uuids))]
            late += _measure(context, uuids, args)
    return int(late > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('nodes', nargs='*', type=int,
                        help='numbers of nodes in flight')
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--slow', type=int, default=0,
                        help=f'number of BMCs that take {SLOW:g} s')
    parser.add_argument('--workers', type=int,
                        help='[accelerator]max_workers')
    parser.add_argument('--database',
                        help="URL of an empty database (default: SQLite's)")
    return parser.parse_args()


def _measure(context: Any, uuids: list[str], args: argparse.Namespace
             ) -> int:
    """Print the figures of these nodes; 1 where one is too late."""
    slow = set(uuids[:args.slow])
    late, bmcs = 0, (_bmc(INVENTORY), _bmc(SLOW))
    for name, pass_ in (('ours', periodics.pick), ("Ironic's way", _in_order)):
        if args.workers:
            CONF.set_override('max_workers', args.workers, 'accelerator')
        with mock.patch.object(bmc_session, 'backend', autospec=True,
                               side_effect=lambda node, *_, **__: (
                                   bmcs[node.uuid in slow])):
            seen = _run(context, pass_, args.seconds)
        late += _print(name, uuids, slow, seen, args.seconds) * (
            pass_ is periodics.pick)
        for uuid in uuids:
            _begin(context, uuid)
    return late


def _node(context: Any) -> str:
    uuid = bench_audit._node(context)
    _begin(context, uuid)
    return uuid


def _begin(context: Any, uuid: str) -> None:
    """Store an operation that is due."""
    node = objects.Node.get_by_uuid(context, uuid)
    node.provision_state = 'manageable'
    operation.store(node, dataclasses.replace(
        operation.refresh('idle', 'accel_refresh', power_on=False),
        state='manageable', started=time.time(),
        deadline=time.time() + 86400.0))
    node.save()


def _bmc(seconds: float) -> Any:
    """A BMC that is still discovering its devices.

    :param seconds: that it takes for an inventory.
    """
    seen = sample.box(*(sample.gpu(n) for n in range(8)), complete=False)

    def sources() -> Any:
        time.sleep(seconds)
        return sample.sources(seen)

    made = mock.create_autospec(Backend, instance=True)
    made.sources.side_effect = sources
    made.transports.side_effect = lambda inventory, pushes=(): (
        sample.transport(inventory),)
    return made


@dataclasses.dataclass
class Seen:
    """When each node had its ticks, and the CPU seconds of all."""

    begun: dict[str, list[float]]
    cpu: float


def _run(context: Any, pass_: Any, seconds: float) -> Seen:
    """Make passes as Ironic does, for a while."""
    workers.OPERATIONS = workers.Queue('operations', 'max_workers')
    begun: dict[str, list[float]] = collections.defaultdict(list)
    real = runner.tick

    def tick(task: Any) -> None:
        begun[task.node.uuid].append(time.monotonic())
        real(task)

    with futures.ThreadPoolExecutor(CONF.conductor.workers_pool_size) as pool:
        manager = mock.create_autospec(
            base_manager.BaseConductorManager, instance=True)
        manager._shutdown = threading.Event()
        manager._spawn_worker.side_effect = pool.submit
        manager.iter_nodes.side_effect = lambda filters: (
            objects.Node.dbapi.get_nodeinfo_list(
                columns=['uuid', 'driver', 'conductor_group'],
                filters=filters))
        with mock.patch.object(runner, 'tick', autospec=True,
                               side_effect=tick):
            cpu, end = time.process_time(), time.monotonic() + seconds
            while (now := time.monotonic()) < end:
                pass_(manager, context)
                rest = CONF.accelerator.poll_interval - (
                    time.monotonic() - now)
                time.sleep(max(0.0, min(rest, end - time.monotonic())))
            cpu = time.process_time() - cpu
            manager._shutdown.set()
    return Seen(begun, cpu)


def _in_order(manager: Any, context: Any) -> None:
    """A pass over the nodes by id, while a worker is free."""
    lane = workers.OPERATIONS
    found = [node.uuid for node in queries.with_key(
        keys.OPERATION.name, ('provision_state', 'maintenance', 'fault'),
        unreserved=True, provision_states=periodics.WORK_STATES)
        if periodics.due(node)]
    for uuid in found[:lane.size - lane.busy]:
        lane._begun[uuid] = (time.monotonic(), False)
        manager._spawn_worker(_one, lane, context, uuid)


def _one(lane: Any, context: Any, uuid: str) -> None:
    try:
        periodics._tick(context, uuid)
    finally:
        lane._end(uuid)


def _print(name: str, uuids: list[str], slow: set[str], seen: Seen,
           seconds: float) -> int:
    ordinary = [u for u in uuids if u not in slow]
    counts = [len(seen.begun.get(u, ())) for u in ordinary]
    # A node that had one tick or none waited for the whole time.
    gaps = [max((b - a for a, b in itertools.pairwise(seen.begun[u])),
                default=seconds) if len(seen.begun.get(u, ())) > 1
            else seconds for u in ordinary]
    ticks = sum(map(len, seen.begun.values()))
    longest = max(gaps) / CONF.accelerator.poll_interval
    print(f'{len(uuids):6} nodes ({len(slow)} slow), {name:<12} '
          f'{min(counts):4} to {max(counts)} ticks of a node in '
          f'{seconds:g} s, {counts.count(0)} had none; longest time between '
          f'two: {longest:.1f} intervals (goal {GOAL:g}); '
          f'{seen.cpu / max(ticks, 1) * 1000:.1f} ms of CPU a tick',
          flush=True)
    return int(longest > GOAL)


if __name__ == '__main__':
    sys.exit(main())
