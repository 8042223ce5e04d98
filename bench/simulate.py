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
"""An hour of a large cloud: polls, audits and periodics of one conductor.

Ironic's objects and tables, and BMCs without HTTP that take 0.3 s for an
inventory of eight GPUs, which are different ones in each node. One node in a
hundred has an operation in progress, which is due each ``poll_interval``; all
others are audited once an ``audit_interval``. The periodics run as Ironic
calls them.

For each number of nodes the conductor runs for a while. Measured are polls,
audits and passes (per hour) beside what is due, how late polls are, and what
each of them takes of a processor. A poll is an inventory of a BMC, without
the node's lock or in a tick with it. From how this grows follows on paper how
many nodes fill one processor, which is all that the threads of a conductor
have, and what 100,000 nodes take.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent import futures
import dataclasses
import functools
import itertools
import math
import pathlib
import resource
import statistics
import sys
import tempfile
import time
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import cloud
from bench.measure import conductor
from bench.measure import database
from bench.measure import in_operation
from bench.measure import passes
from bench.measure import results
from bench.measure import silent_bmc
from ironic.conf import CONF

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import node_cache
from ironic_accel.conductor.upkeep import audit
from ironic_accel.conductor.upkeep import periodics

SIZES, SECONDS = (1000, 3000, 10000), 45.0
QUICK, QUICK_SECONDS = (100, 200, 300), 1.5
#: Of so many nodes one has an operation in progress.
SHARE = 100
#: Each so many passes the periodics of ``cleanup_interval`` run too.
EACH = 6
#: Seconds of an inventory.
INVENTORY = 0.3
#: The longest time between two polls of a node, in intervals; what is done of
#: what is due.
GOAL_LATE, GOAL_DONE = 2.0, 0.9
#: The exponent of what grows with the nodes: linear, and some noise.
LINEAR = 1.2
#: That of what is for one node: some noise alone.
CONSTANT = 0.3
#: What is computed from how the figures grow.
ON_PAPER = 100_000
#: The part of its processor that a conductor should need.
HALF = 0.5
HOUR = 3600.0


@dataclasses.dataclass(frozen=True)
class Load:
    """What one conductor did for a while.

    :ivar polls: when each node in flight was polled, between the begin and
        the end of the time.
    :ivar audits: how many nodes were audited.
    :ivar waiting: how many wait for an audit at the end.
    :ivar cpu: the CPU seconds of everything.
    :ivar pass_cpu: those of a pass with nothing to clean up, and of one with.
    :ivar poll_cpu: those of a poll, on the average.
    :ivar audit_cpu: those of an audit, on the average.
    """

    seconds: float
    polls: list[list[float]]
    audits: int
    waiting: int
    passes: int
    cpu: float
    pass_cpu: tuple[float, float]
    poll_cpu: float
    audit_cpu: float

    @property
    def hour(self) -> float:
        """How many of these times make an hour."""
        return HOUR / self.seconds

    @property
    def late(self) -> float:
        """The longest time between two polls of a node, in intervals."""
        return max(b - a for each in self.polls
                   for a, b in itertools.pairwise(each)
                   ) / CONF.accelerator.poll_interval

    @property
    def part(self) -> float:
        """The part of one processor that was used."""
        return self.cpu / self.seconds

    def needed(self, size: int) -> float:
        """The part of one processor that is needed for all that is due.

        Other work on the machine adds little to it.
        """
        options = CONF.accelerator
        return (len(self.polls) * self.poll_cpu / options.poll_interval
                + size * self.audit_cpu / options.audit_interval
                + self.for_passes)

    @property
    def for_passes(self) -> float:
        """The part of it that passes take, whoever has the nodes."""
        often, both = self.pass_cpu
        return (often * (EACH - 1) + both) / EACH / (
            CONF.accelerator.poll_interval)


def main() -> int:
    """Measure."""
    options = _options()
    report = results.report(__file__, __doc__)
    loads: dict[int, Load] = {}
    made = 0
    with tempfile.TemporaryDirectory() as name, database.opened(
            options, pathlib.Path(name)) as url:
        context = conductor.begin(pathlib.Path(name), url)
        if options.quick:
            CONF.set_override('poll_interval', 1, 'accelerator')
        report.note(f'database: {url.partition(":")[0]}; one node in {SHARE} '
                    'has an operation in progress')
        for size in options.nodes:
            cloud.grow(made, size)
            flying = [cloud.uuid_of(n) for n in range(SHARE // 2, size,
                                                      SHARE)]
            for uuid in flying:
                in_operation.begin(context, uuid)
            made = size
            _prepare(context, options.seconds)
            if options.quick:
                audit._due.put(cloud.uuid_of(0), time.monotonic())
            loads[size] = _run(context, flying, options.seconds)
            _register(report, size, len(flying), loads[size])
    _on_paper(report, loads)
    return report.end(options)


def _options() -> argparse.Namespace:
    parser = results.parser(__doc__)
    parser.add_argument('nodes', nargs='*', type=int, metavar='NODES',
                        help='numbers of nodes')
    parser.add_argument('--seconds', type=float)
    database.add_option(parser)
    made = parser.parse_args()
    made.nodes = sorted(made.nodes) or (QUICK if made.quick else SIZES)
    made.seconds = made.seconds or (QUICK_SECONDS if made.quick else SECONDS)
    if made.nodes[0] < SHARE:
        parser.error(f'NODES: {made.nodes[0]}: expected at least {SHARE}')
    return made


def _prepare(context: Any, seconds: float) -> None:
    """Audit the nodes that are due in a while: an hour ago they were too."""
    # The nodes that are new are due within an interval, as after a start.
    audit._due._listed = float('-inf')
    with mock.patch.object(workers.Queue, 'start', autospec=True):
        passes.run(context, conductor.manager(), passes.OFTEN)
    with mock.patch.object(bmc_session, 'backend', autospec=True,
                           side_effect=silent_bmc.backend(0.0)):
        for uuid in audit._due.due(time.monotonic() + seconds):
            audit.audit(context, uuid, periodics.Periodics, audit._due)


def _run(context: Any, flying: list[str], seconds: float) -> Load:
    """Run the conductor's part of it for a while."""
    interval = float(CONF.accelerator.poll_interval)
    workers.OPERATIONS = workers.Queue('operations', 'max_workers')
    workers.AUDIT = workers.Queue('audit', 'audit_workers')
    idle = conductor.manager()
    with mock.patch.object(workers.Queue, 'start', autospec=True):
        costs = [_of_a_pass(context, idle, o)
                 for o in (passes.OFTEN, passes.ALL)]
    begun: dict[str, list[float]] = {uuid: [] for uuid in flying}
    audited: list[str] = []
    costs_of: dict[str, list[float]] = {'poll': [0.0], 'audit': [0.0]}
    tick, audit_ = periodics._tick, audit.audit
    silent = silent_bmc.backend(INVENTORY)

    def spent(what: str, work: Callable[..., Any], *args: Any) -> Any:
        began = time.thread_time()
        try:
            return work(*args)
        finally:
            costs_of[what].append(time.thread_time() - began)

    def asked(node: Any, *args: Any, **options: Any) -> Any:
        if node.uuid in begun:
            begun[node.uuid].append(time.monotonic())
        return silent(node, *args, **options)

    def auditing(_context: Any, uuid: str, *args: Any) -> Any:
        audited.append(uuid)
        return spent('audit', audit_, _context, uuid, *args)

    with futures.ThreadPoolExecutor(
            CONF.conductor.workers_pool_size) as pool, \
            mock.patch.object(bmc_session, 'backend', autospec=True,
                              side_effect=asked), \
            mock.patch.object(periodics, '_tick', autospec=True,
                              side_effect=functools.partial(
                                  spent, 'poll', tick)), \
            mock.patch.object(audit, 'audit', autospec=True,
                              side_effect=auditing):
        manager = conductor.manager(pool.submit)
        used, since = time.process_time(), time.monotonic()
        end, number = since + seconds, 0
        while (now := time.monotonic()) < end:
            passes.run(context, manager,
                       passes.OFTEN if number % EACH else passes.ALL)
            number += 1
            rest = interval - (time.monotonic() - now)
            time.sleep(max(0.0, min(rest, end - time.monotonic())))
        used = time.process_time() - used
        waiting = len(audit._due.due(time.monotonic() - interval))
        manager._shutdown.set()
    return Load(seconds, [[since, *begun[u], end] for u in flying],
                len(audited), waiting, number, used, (costs[0], costs[1]),
                *(sum(each) / max(1, len(each) - 1)
                  for each in costs_of.values()))


def _of_a_pass(context: Any, manager: Any, options: tuple[str, ...]) -> float:
    """CPU seconds of a pass, with its part of those about all nodes."""
    often, entire, comparing = (min(_cpu(functools.partial(
        passes.run, context, manager, options, *how)) for _ in range(3))
        for how in ((), (True,), (True, True)))
    each = CONF.accelerator.poll_interval
    entirely, compared = each / node_cache.ENTIRE, each / node_cache.LONGEST
    return (often * (1 - entirely) + entire * (entirely - compared)
            + comparing * compared)


def _cpu(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _register(report: results.Report, size: int, flying: int, load: Load
              ) -> None:
    """The figures of one number of nodes."""
    interval = CONF.accelerator.poll_interval
    for name, number, expected in (
            ('polls', sum(len(each) - 2 for each in load.polls),
             flying * load.seconds / interval),
            ('audits', load.audits, load.audits + load.waiting),
            ('passes', load.passes, load.seconds / interval)):
        report.add(name, number * load.hour, 'an hour', results.ratio_at_least(
            GOAL_DONE), results.Peer('due', expected * load.hour), size)
    report.add('longest time between two polls of a node', load.late,
               'intervals', results.at_most(GOAL_LATE), size=size)
    report.add('part of one processor that was used', load.part, 'of 1',
               size=size)
    report.add('part of one processor for all that is due',
               load.needed(size), 'of 1', size=size)
    for name, cost in zip(
            ('a pass', 'a pass that cleans up', 'a poll', 'an audit'),
            (*load.pass_cpu, load.poll_cpu, load.audit_cpu), strict=True):
        report.add(name, cost * 1000, 'CPU ms', size=size)


def _on_paper(report: results.Report, loads: dict[int, Load]) -> None:
    """How it grows, where the first wall is, and what is beyond it."""
    parts = {size: load.needed(size) for size, load in loads.items()}
    report.growth('part of one processor for all that is due', parts, 'of 1',
                  results.at_most(LINEAR))
    for name, costs, most in (
            ('a pass', [v.pass_cpu[0] for v in loads.values()], LINEAR),
            ('a pass that cleans up', [v.pass_cpu[1] for v in loads.values()],
             LINEAR),
            ('a poll', [v.poll_cpu for v in loads.values()], CONSTANT),
            ('an audit', [v.audit_cpu for v in loads.values()], CONSTANT)):
        report.growth(name, {size: cost * 1000 for size, cost in zip(
            loads, costs, strict=True)}, 'CPU ms', results.at_most(most))
    if len(parts) < results.LEAST_SIZES:
        return
    # Passes go over the nodes of all conductors, the rest over their own.
    largest = max(loads)
    own = (parts[largest] - loads[largest].for_passes) / largest
    slope, base = statistics.linear_regression(
        list(loads), [load.for_passes for load in loads.values()])
    slope = max(0.0, slope)
    report.add('nodes until the processor of one conductor is full, on paper',
               (1 - base) / (own + slope), 'nodes')
    passes_ = base + slope * ON_PAPER
    report.add('part of each processor for the passes, on paper', passes_,
               'of 1', size=ON_PAPER)
    if passes_ < HALF:
        report.add('conductors, each half full, on paper',
                   math.ceil(own * ON_PAPER / (HALF - passes_)),
                   'conductors', size=ON_PAPER)
    else:
        report.note(f'on paper: passes over {ON_PAPER:,} nodes take more '
                    'than half a processor of each conductor')
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.add('memory of the process at the end', memory, 'MiB',
               size=max(loads))


if __name__ == '__main__':
    sys.exit(main())
