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

Ironic's objects on SQLite or another database, the periodic that picks due
operations, the conductor's own ticks, and BMCs that take 0.3 s for each
inventory and are never complete, so that each node is due again one
``poll_interval`` after its poll. Some BMCs (``--slow``) take 30 s each time.

Measured for each number of nodes: the time until each had its first poll, all
beginning at once; once each had its second one, the longest time between two
polls of one node, in intervals; nodes without a poll, and CPU of a poll with
its part of the passes and of what is saved. The peer is Ironic's own way to
work on nodes in a periodic: in the order of their ids, at most so many at a
time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sized
from concurrent import futures
import dataclasses
import itertools
import pathlib
import sys
import tempfile
import time
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import conductor
from bench.measure import database
from bench.measure import in_operation
from bench.measure import results
from ironic.conf import CONF

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.upkeep import periodics

#: As long as the longest time between two saves of a node.
SIZES, SECONDS = (40, 200, 1000), 30.0
QUICK, QUICK_SECONDS = (1, 2, 3), 1.5
#: Seconds of an inventory, and of one of a slow BMC.
INVENTORY, SLOW = 0.3, 30.0
#: The longest time between two polls of one node, in intervals.
GOAL = 2.0
#: Seconds to wait for the first polls of each node.
BEGIN = 30.0


def main() -> int:
    """Measure."""
    options = _options()
    report = results.report(__file__, __doc__)
    with tempfile.TemporaryDirectory() as name, database.opened(
            options, pathlib.Path(name)) as url:
        context = conductor.begin(pathlib.Path(name), url)
        report.note(f'database: {url.partition(":")[0]}')
        with mock.patch.object(
                bmc_session, 'backend', autospec=True,
                return_value=conductor.bmc(complete=False)):
            # What is loaded once is loaded.
            periodics._tick(context, in_operation.node(context))
        if options.workers:
            CONF.set_override('max_workers', options.workers, 'accelerator')
        if options.quick:
            CONF.set_override('poll_interval', 1, 'accelerator')
        uuids: list[str] = []
        for size in options.nodes:
            uuids += [in_operation.node(context)
                      for _ in range(size - len(uuids))]
            _measure(context, uuids, options, report)
    return report.end(options)


def _options() -> argparse.Namespace:
    parser = results.parser(__doc__)
    parser.add_argument('nodes', nargs='*', type=int, metavar='NODES',
                        help='numbers of nodes in flight')
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--slow', type=int, default=0,
                        help=f'number of BMCs that take {SLOW:g} s')
    parser.add_argument('--workers', type=int,
                        help='[accelerator]max_workers')
    database.add_option(parser)
    made = parser.parse_args()
    made.nodes = sorted(made.nodes) or (QUICK if made.quick else SIZES)
    made.seconds = made.seconds or (QUICK_SECONDS if made.quick else SECONDS)
    return made


def _measure(context: Any, uuids: list[str], options: argparse.Namespace,
             report: results.Report) -> None:
    """Register the figures of these nodes."""
    slow = set(uuids[:options.slow])
    bmcs = [conductor.bmc(s, complete=False) for s in (INVENTORY, SLOW)]
    begun: dict[str, list[float]] = {}

    def backend(node: Any, *_: Any, **__: Any) -> Any:
        begun.setdefault(node.uuid, []).append(time.monotonic())
        return bmcs[node.uuid in slow]

    seen = {}
    for pass_ in (periodics.pick, _in_order):
        begun = {}
        with mock.patch.object(bmc_session, 'backend', new=backend):
            seen[pass_] = _run(
                context, pass_, options.seconds, begun, set(uuids) - slow)
        for uuid in uuids:
            in_operation.begin(context, uuid)
    ordinary = [u for u in uuids if u not in slow]
    ours, theirs = seen[periodics.pick], seen[_in_order]
    size, way = len(uuids), "Ironic's order"
    report.add('time until each node was polled once', ours.first,
               'intervals', None, results.Peer(way, theirs.first), size)
    report.add('longest time between two polls of a node',
               _longest(ours, ordinary, options.seconds), 'intervals',
               results.at_most(GOAL), results.Peer(way, _longest(
                   theirs, ordinary, options.seconds)), size)
    report.add('nodes without a poll', _without(ours, ordinary), 'nodes',
               results.at_most(0), results.Peer(way, _without(
                   theirs, ordinary)), size)
    report.add('CPU of a poll', ours.cpu_ms, 'CPU ms', None,
               results.Peer(way, theirs.cpu_ms), size)


def _longest(seen: Seen, uuids: list[str], seconds: float) -> float:
    """The longest time between two polls of a node, in intervals.

    The first of them may come before the measurement.
    """
    return max(b - a for u in uuids for a, b in itertools.pairwise((
        *(seen.begun.get(u) or (seen.since,)), seen.since + seconds))
        if b > seen.since) / CONF.accelerator.poll_interval


def _without(seen: Seen, uuids: list[str]) -> int:
    return sum(not seen.polls(u) for u in uuids)


@dataclasses.dataclass
class Seen:
    """What the BMCs saw.

    :ivar since: when the measurement began.
    :ivar begun: when each node was polled, before that too.
    :ivar cpu: CPU seconds since then.
    :ivar first: intervals until each node was polled once.
    """

    since: float
    begun: dict[str, list[float]]
    cpu: float
    first: float

    def polls(self, uuid: str) -> int:
        """How often a node was polled since the measurement began."""
        return sum(t > self.since for t in self.begun.get(uuid, ()))

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of a poll, with its part of the passes."""
        return self.cpu / max(sum(map(self.polls, self.begun)), 1) * 1000


def _run(context: Any, pass_: Any, seconds: float,
         begun: dict[str, list[float]], ordinary: set[str]) -> Seen:
    """Make passes as Ironic does, for a while.

    :param begun: what the BMCs note while it runs.
    :param ordinary: the nodes whose first poll is waited for.
    """
    workers.OPERATIONS = workers.Queue('operations', 'max_workers')
    interval = CONF.accelerator.poll_interval

    def passes(end: float, until: Callable[[], bool] = lambda: False) -> None:
        while (now := time.monotonic()) < end and not until():
            pass_(manager, context)
            following = min(end, now + interval)
            while time.monotonic() < following and not until():
                time.sleep(max(0.0, min(
                    0.05, following - time.monotonic())))

    with futures.ThreadPoolExecutor(CONF.conductor.workers_pool_size) as pool:
        manager = conductor.manager(pool.submit)
        since = time.monotonic()
        passes(since + BEGIN, lambda: _each(begun, ordinary, 1))
        first = (time.monotonic() - since) / interval
        # Their first polls wait for each other; from the second on they are
        # in flight.
        passes(since + BEGIN, lambda: _each(begun, ordinary, 2))
        cpu, since = time.process_time(), time.monotonic()
        passes(since + seconds)
        cpu = time.process_time() - cpu
        manager._shutdown.set()
    return Seen(since, begun, cpu, first)


def _each(begun: Mapping[str, Sized], uuids: set[str], polls: int) -> bool:
    """Whether each node was polled so often."""
    return all(len(begun.get(uuid, ())) >= polls for uuid in uuids)


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


if __name__ == '__main__':
    sys.exit(main())
