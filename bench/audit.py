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
"""What the audit costs a conductor, with and without Redfish and TLS.

Ironic's objects on SQLite, boxes of eight GPUs, ten site profiles.

An audit over https reads simulated BMCs, which are processes of their own:
the peer is plain sushy that reads the same facts of the same BMC, with a
connection for each request. Without HTTP a BMC responds at once,
which leaves what the conductor does with an inventory. Audits per hour are
counted with BMCs that take 0.3 s for an inventory and the default of
``audit_workers``. A pass is one call of the periodic, which lists the nodes
once a minute; the peer is Ironic's own list of the nodes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent import futures
import contextlib
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import conductor
from bench.measure import plain_sushy
from bench.measure import results
from bench.measure import twins

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.upkeep import audit
from ironic_accel.conductor.upkeep import periodics

SIZES, QUICK = (500, 1000, 2000), (3, 6, 12)
#: Nodes and rounds of audits that are measured.
SAMPLE, ROUNDS, BMCS = 40, 3, 3
#: Seconds of an inventory, and for which audits are counted.
INVENTORY, SECONDS = 0.3, 15.0
#: CPU milliseconds of an audit; how many times as many with TLS as without;
#: requests of one that follows another.
GOAL_MS, GOAL_RATIO, GOAL_REQUESTS = 200.0, 2.0, 10
#: Audits of a conductor in an hour.
GOAL_HOUR = 10000
#: The exponent of what grows with the nodes: linear, and some noise.
LINEAR = 1.2
#: The BMC that is read over Redfish.
BOX, SMALL_BOX = 'hgx-h100', 'pcie-a100'


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    parser.add_argument('nodes', nargs='*', type=int, metavar='NODES',
                        help='numbers of nodes')
    options = parser.parse_args()
    options.nodes = sorted(options.nodes) or (
        QUICK if options.quick else SIZES)
    report = results.report(__file__, __doc__)
    with tempfile.TemporaryDirectory() as folder:
        context = conductor.begin(pathlib.Path(folder))
        nodes: list[str] = []
        passes: dict[int, float] = {}
        for size in options.nodes:
            nodes += [conductor.node(context)
                      for _ in range(size - len(nodes))]
            passes[size] = _passes(context, size, report)
        report.growth('a pass that lists all nodes', passes, 'CPU ms',
                      results.at_most(LINEAR))
        with mock.patch.object(bmc_session, 'backend', autospec=True,
                               return_value=conductor.bmc()):
            _without_http(context, nodes[:SAMPLE], report)
        _an_hour(context, nodes, options, report)
        plain = _over_redfish(context, 'http', options, report)
        encrypted = _over_redfish(context, 'https', options, report)
    report.add('an audit over https, with TLS', encrypted, 'CPU ms',
               results.ratio_at_most(GOAL_RATIO), results.Peer(
                   'an audit over http', plain))
    return report.end(options)


def _passes(context: Any, size: int, report: results.Report) -> float:
    """A pass that lists all nodes, and one with nothing due."""
    manager = conductor.manager()
    list(manager.iter_nodes())  # What is loaded once is loaded.
    listed = _median_ms(lambda: list(manager.iter_nodes()))
    queues: list[audit.Due] = []

    def first() -> None:
        queues.append(audit.Due())
        again()

    def again() -> None:
        audit.begin(manager, context, periodics.Periodics, queues[-1])

    with mock.patch.object(workers.AUDIT, 'start', autospec=True):
        took = _median_ms(first)
        report.add('a pass that lists all nodes', took, 'CPU ms', None,
                   results.Peer("Ironic's list", listed), size)
        report.add('a pass with nothing due', _median_ms(again), 'CPU ms',
                   size=size)
    return took


def _without_http(context: Any, nodes: list[str], report: results.Report
                  ) -> None:
    queue = audit.Due()
    for what in ('the first', 'the same again'):
        report.add(f'an audit without HTTP, {what}', _cpu_ms(
            lambda: _audit(context, nodes, queue)) / len(nodes), 'CPU ms')


def _audit(context: Any, nodes: list[str], queue: audit.Due) -> None:
    """Audit nodes, which are as they should be.

    :raises: RuntimeError if one could not be audited.
    """
    for uuid in nodes:
        word = audit.audit(context, uuid, periodics.Periodics, queue)
        if word not in ('clean', 'drift'):
            raise RuntimeError(f'the audit of node {uuid} ended with {word}')


def _an_hour(context: Any, nodes: list[str], options: argparse.Namespace,
             report: results.Report) -> None:
    """How many audits a conductor makes, with a pass each five seconds."""
    seconds = 1.0 if options.quick else SECONDS
    done: list[str] = []
    lane = workers.Queue('audit', 'audit_workers')

    def work(uuid: str) -> None:
        _audit(context, [uuid], queue)
        done.append(uuid)

    queue = audit.Due()
    with mock.patch.object(
            bmc_session, 'backend', autospec=True,
            return_value=conductor.bmc(INVENTORY)), \
            futures.ThreadPoolExecutor(lane.size * 2) as pool:
        manager = conductor.manager(pool.submit)
        used, began = time.process_time(), time.monotonic()
        lane.fill(nodes)
        lane.start(manager, work)
        while (time.monotonic() - began < seconds
               and len(done) < len(nodes)):
            time.sleep(0.05)
        manager._shutdown.set()
    # The workers end what they have begun.
    passed = time.monotonic() - began
    report.add(f'audits with inventories of {INVENTORY:g} s',
               len(done) / passed * 3600, 'an hour', results.Goal(
                   GOAL_HOUR, at_least=True))
    report.add('CPU of one of these', (time.process_time() - used) * 1000
               / max(1, len(done)), 'CPU ms')


def _over_redfish(context: Any, scheme: str, options: argparse.Namespace,
                  report: results.Report) -> float:
    """CPU milliseconds of audits of simulated BMCs, again and again."""
    count, rounds, box = (1, 1, SMALL_BOX) if options.quick else (
        BMCS, ROUNDS, BOX)
    source = next(s for s in twins.SOURCES if s.name == box)
    more = ('--tls',) if scheme == 'https' else ()
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(twins.running(source, *more))
                for _ in range(count)]
        nodes = [conductor.node(context, driver_info={
            'redfish_address': twin.url, 'redfish_system_id': source.system,
            'redfish_username': 'user', 'redfish_password': 'secret',
            'redfish_auth_type': 'basic', 'redfish_verify_ca': twin.verify})
            for twin in made]
        queue = audit.Due()
        _audit(context, nodes, queue)
        for twin in made:
            twin.clear()
        ours = _cpu_ms(lambda: [
            _audit(context, nodes, queue) for _ in range(rounds)])
        each, asked = rounds * count, sum(t.counted()[0] for t in made)
        peers = _sushy(made[0], source.system)
    if plain_sushy.MISSING:
        report.skip(f'sushy over {scheme}', plain_sushy.MISSING)
    report.add(f'an audit over {scheme}', ours / each, 'CPU ms',
               results.at_most(GOAL_MS), peers[0])
    report.add(f'requests of an audit over {scheme}', asked / each,
               'requests', results.at_most(GOAL_REQUESTS)
               if box == BOX else None, peers[1])
    return ours / each


def _sushy(twin: twins.Twin, system: str
           ) -> tuple[results.Peer | None, results.Peer | None]:
    """CPU milliseconds and requests of sushy, where it can read a box."""
    if plain_sushy.MISSING:
        return None, None
    twin.clear()
    used = _cpu_ms(lambda: plain_sushy.read(twin.url, system, twin.verify))
    name = 'sushy, reading'
    return (results.Peer(name, used),
            results.Peer(name, twin.counted()[0]))


def _median_ms(work: Callable[[], Any]) -> float:
    """The median of three: one alone may hold a collection of garbage."""
    return statistics.median(_cpu_ms(work) for _ in range(3))


def _cpu_ms(work: Callable[[], Any]) -> float:
    """CPU milliseconds of a piece of work."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


if __name__ == '__main__':
    sys.exit(main())
