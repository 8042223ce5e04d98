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
"""What questions about other nodes cost, and passes of the periodics.

Ironic's tables on MariaDB, where the conductor pays for its statements and the
rows that it gets; ``--database sqlite``, which runs in the conductor's own
process, counts the work of the database too. Two nodes stand behind each BMC,
each node has about 4 KiB of ``driver_internal_info`` and thirty lines of
history, and one in a thousand is being written to. All vendor interfaces are
enabled. CPU milliseconds are the least of five: a machine that is busy adds to
each. Growth is an exponent: 1 is linear.

A pass is one call of each periodic of each vendor interface, as Ironic makes
them. Every 5 s those of ``poll_interval`` run, every 30 s those of
``cleanup_interval`` too. A pass is about the nodes that changed; once a minute
one is about all nodes, and every ten minutes one compares what the nodes
contain. "A pass on the average" has its part of these. Once a minute the audit
lists the nodes besides ("which nodes are ours"). Peers are the pass of
upstream's periodics of firmware updates (``RedfishFirmware``) with nothing
due, over the same nodes, and loading all nodes, which each question about a
neighbour did before.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import os
import pathlib
import sys
import tempfile
import time
import types
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench.measure import cloud
from bench.measure import conductor
from bench.measure import database
from bench.measure import passes
from bench.measure import results
from ironic.drivers.modules.redfish import firmware
from ironic import objects

from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import node_cache
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import periodics

SIZES, QUICK = (1000, 4000, 10000), (100, 200, 400)
TIMES = 5
#: How often a tick that writes asks (tests/unit/conductor/node/
#: test_queries.py counts it).
A_TICK = {'who writes through the BMC': 2, 'child nodes': 3,
          'copy of the guard': 5}
#: The most that a tick may cost at the largest size, in CPU milliseconds;
#: and a pass with nothing due, in passes of upstream's.
ALLOWED, ALLOWED_RATIO = 50.0, 2.0
#: The exponent of what grows with the nodes: linear, and some noise.
LINEAR = 1.2

#: What is enabled besides Ironic's own defaults.
ENABLED = {
    'hardware_types': ['accel-redfish', 'accel-idrac', 'accel-ipmi'],
    'vendor_interfaces': ['accelerator', 'accelerator-idrac',
                          'accelerator-ipmi'],
    'power_interfaces': ['accel-redfish', 'accel-idrac', 'accel-ipmi'],
    'management_interfaces': ['redfish', 'idrac-redfish', 'ipmitool'],
    'boot_interfaces': ['ipxe', 'pxe'],
    'bios_interfaces': ['no-bios'], 'firmware_interfaces': ['no-firmware'],
    'inspect_interfaces': ['no-inspect'], 'raid_interfaces': ['no-raid'],
    'network_interfaces': ['noop'], 'storage_interfaces': ['noop'],
    'console_interfaces': ['no-console'], 'rescue_interfaces': ['no-rescue'],
    'deploy_interfaces': ['direct']}
#: The periodics by the options that space them, and whether a pass is about
#: all nodes and compares their contents.
OFTEN, ENTIRE, COMPARING, AVERAGE = (
    'periodics every 5 s', '... about all nodes', '... comparing contents',
    '= a pass on the average')
PASSES = {OFTEN: (passes.OFTEN, False, False),
          ENTIRE: (passes.OFTEN, True, False),
          COMPARING: (passes.OFTEN, True, True),
          '... and every 30 s': (passes.ALL, False, False)}

UPSTREAM = "upstream's firmware periodics"

Question = Callable[[], object]


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    parser.add_argument('nodes', nargs='*', type=int, metavar='NODES',
                        help='numbers of nodes')
    database.add_option(parser)
    options = parser.parse_args()
    report = results.report(__file__, __doc__)
    costs: dict[str, dict[int, float]] = {}
    made = 0
    with tempfile.TemporaryDirectory() as name, database.opened(
            options, pathlib.Path(name)) as url:
        folder = pathlib.Path(name)
        _add_ipmitool(folder)
        context = conductor.begin(folder, url, ENABLED)
        report.note(f'database: {url.partition(":")[0]}')
        for size in sorted(options.nodes) or (
                QUICK if options.quick else SIZES):
            cloud.grow(made, size)
            made = size
            for what, cost in _measure(context, size, report).items():
                costs.setdefault(what, {})[size] = cost
    linear = ('a tick that writes', AVERAGE, *PASSES)
    for what, each in costs.items():
        report.growth(what, each, 'CPU ms', results.at_most(LINEAR)
                      if what in linear else None)
    return report.end(options)


def _measure(context: Any, size: int, report: results.Report
             ) -> dict[str, float]:
    """Register what everything costs with so many nodes."""
    costs = {}
    for what, question in _questions(context, size).items():
        costs[what] = _cpu(question)
        report.add(what, costs[what], 'CPU ms', size=size)
    costs['a tick that writes'] = tick = sum(
        costs[what] * times for what, times in A_TICK.items())
    report.add('= a tick that writes', tick, 'CPU ms', results.at_most(
        ALLOWED), results.Peer('loading all nodes twice', 2 * _cpu(
            lambda: _load_all(context), 2)), size)
    upstream = firmware.RedfishFirmware()
    manager = conductor.manager()
    passing: dict[str, Question] = {
        what: functools.partial(passes.run, context, manager, *how)
        for what, how in PASSES.items()}
    passing[UPSTREAM] = lambda: [method(upstream, manager, context) for method
                                 in (type(upstream)._query_update_status,
                                     type(upstream)._query_update_failed)]
    with mock.patch.object(workers.Queue, 'start', autospec=True):
        costs.update(_in_turn(passing))
    theirs = costs.pop(UPSTREAM)
    entire, comparing = (CONF.accelerator.poll_interval / seconds for seconds
                         in (node_cache.ENTIRE, node_cache.LONGEST))
    costs[AVERAGE] = costs[OFTEN] * (1 - entire) + costs[ENTIRE] * (
        entire - comparing) + costs[COMPARING] * comparing
    for what in (*PASSES, AVERAGE):
        report.add(what, costs[what], 'CPU ms', results.ratio_at_most(
            ALLOWED_RATIO) if what in (OFTEN, AVERAGE) else None,
            results.Peer(UPSTREAM, theirs), size)
    return costs


def _questions(context: Any, size: int) -> dict[str, Question]:
    """The public questions, by what they ask."""
    number = size // 2 + size // 2 % 2
    uuid_ = cloud.uuid_of(number)
    node = objects.Node.get_by_uuid(context, uuid_)
    task = types.SimpleNamespace(context=context, node=node)
    manager = conductor.manager()
    digests = [f'{2**63 + n:016x}' for n in range(16)]
    return {
        'who writes through the BMC': lambda: related_nodes.writing_node(task),
        'who uses the BMC': lambda: related_nodes.in_use(task),
        'child nodes': lambda: queries.children(uuid_),
        'one node': lambda: queries.node(uuid_),
        'copy of the guard': lambda: guard_copy.copy_of(node),
        'who claims 16 new devices': lambda: device_ownership._claiming(
            digests),
        'operations that are due': lambda: [
            n for n in queries.with_key(
                'accel_operation', ('provision_state', 'maintenance',
                                    'fault'), unreserved=True,
                provision_states=periodics.WORK_STATES)
            if periodics.due(n)],
        'who waits for a device': device_ownership.waiting,
        'what to clear, available': lambda: cleanup.found(('available',)),
        'what to clear, others': lambda: cleanup.found(
            periodics.OTHER_STATES),
        'who was written over': guard_copy.all_overwritten,
        'profiles of other conductors': lambda: profile_agreement.others(
            'this'),
        'which nodes are ours': lambda: sum(
            1 for _ in queries.managed(manager))}


def _load_all(context: Any) -> None:
    """What each question about neighbours did before."""
    objects.Node.list(context, filters={'include_children': True}, fields=[
        'uuid', 'provision_state', 'instance_uuid', 'driver_info',
        'driver_internal_info', 'reservation', 'parent_node'])


def _cpu(question: Question, times: int = TIMES) -> float:
    """CPU milliseconds of a question, the least of some."""
    if times > 1:
        question()
    return min(_once(question) for _ in range(times))


def _in_turn(questions: dict[str, Question]) -> dict[str, float]:
    """As :func:`_cpu`, each after the other: a processor that is slow for a
    second is so for all of them.
    """
    taken: dict[str, list[float]] = {what: [] for what in questions}
    for _ in range(2 * TIMES):
        for what, question in questions.items():
            taken[what].append(_once(question))
    return {what: min(each) for what, each in taken.items()}


def _once(question: Question) -> float:
    passes.age()
    began = time.process_time()
    question()
    return (time.process_time() - began) * 1000


def _add_ipmitool(folder: pathlib.Path) -> None:
    """Put a command on PATH that Ironic's IPMI interface does not load
    without.
    """
    folder.joinpath('ipmitool').write_text('#!/bin/sh\n')
    folder.joinpath('ipmitool').chmod(0o755)
    os.environ['PATH'] = f"{folder}:{os.environ['PATH']}"


if __name__ == '__main__':
    sys.exit(main())
