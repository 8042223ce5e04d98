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
"""What reading a box costs: ours, upstream's own way, and sushy alone.

For every recorded BMC (skipped where ``../shared/captures`` is not there) and
every shipped box: requests; simulated wall time (20 ms a request and 10 ms
more for each resource that ``$expand`` pulled in, as the twin counts them);
CPU and peak Python memory of the reader alone (the twin is another process);
and what was found. The peers are sushy, one request for each resource, and
what Ironic itself reads (firmware and inspection), which is less.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import logging
from pathlib import Path
import sys
import tempfile
import time
import tracemalloc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measure import ours
from bench.measure import plain_sushy
from bench.measure import results
from bench.measure import slow_bmc
from bench.measure import twins
from bench.measure import upstream
from bench.measure.facts import Facts

Reader = Callable[[str, str], Facts]

#: The most requests of an inventory with ``$expand``.
MOST_REQUESTS = {'gb300-supermicro': 12, 'hgx-h100': 10}
#: Requests for each one without ``$expand``, there.
MOST_RATIO = 0.2
#: The box that shows that everything runs.
QUICK = ('plain',)

OURS, ONE_BY_ONE = 'ours', 'ours without $expand'
#: Who else reads, and what is compared.
COMPARED = (
    ('sushy', 'requests', 'requests'), ('sushy', 'wall', 's'),
    ('sushy', 'cpu', 'CPU s'), ('sushy', 'memory', 'MiB'),
    (ONE_BY_ONE, 'requests', 'requests'), ('upstream', 'requests', 'requests'),
    ('upstream', 'cpu', 'CPU s'))
BARRED = (ONE_BY_ONE, 'requests')

#: Seconds of a response of a slow BMC, and of an inventory of it.
RESPONSE, MOST_SECONDS = 0.5, 3.0

READERS: dict[str, Reader] = {
    OURS: lambda url, system: ours.read(url, system, True),
    ONE_BY_ONE: lambda url, system: ours.read(url, system, False),
    **({} if plain_sushy.MISSING else {'sushy': plain_sushy.read}),
    'upstream': upstream.read,
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """One reader on one box; seconds and MiB."""

    requests: int
    wall: float
    cpu: float
    memory: float
    facts: Facts


def measure(twin: twins.Twin, read: Reader, system: str) -> Measured:
    """Read twice: for memory, then, with everything loaded, the rest."""
    tracemalloc.start()
    try:
        read(twin.url, system)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    twin.clear()
    start = time.process_time()
    facts = read(twin.url, system)
    cpu = time.process_time() - start
    requests, wall = twin.counted()
    return Measured(requests, wall, cpu, peak / 2**20, facts)


def bench(source: twins.Source, report: results.Report) -> None:
    """Measure every reader on a box and register the results."""
    with twins.running(source) as twin:
        done = {name: measure(twin, read, source.system)
                for name, read in READERS.items()}
    best = done[OURS]
    for name, one in done.items():
        found = '/'.join('-' if n is None else str(n) for n in (
            one.facts.devices, one.facts.versions, one.facts.modes))
        report.note(f'{source.name}, {name}: {found} devices/versions/modes '
                    f'{one.facts.note}'.rstrip())
    barred = source.name in MOST_REQUESTS
    for name, what, unit in COMPARED:
        if name not in done:
            continue
        goal = results.ratio_at_most(MOST_RATIO) if (
            barred and (name, what) == BARRED) else None
        report.add(f'{source.name}: {what}', getattr(best, what), unit, goal,
                   results.Peer(name, getattr(done[name], what)))
    if barred:
        report.add(f'{source.name}: requests of an inventory',
                   best.requests, 'requests', results.at_most(
                       MOST_REQUESTS[source.name]))
        with twins.running(source) as twin, slow_bmc.proxy(
                twin.url, RESPONSE) as slow:
            # At first contact samples prove that $expand leaves nothing out.
            ours.read(slow, source.system, True)
            report.add(f'{source.name}: requests of the first contact',
                       twin.counted()[0], 'requests')
            began = time.monotonic()
            ours.read(slow, source.system, True)
            seconds = time.monotonic() - began
        report.add(f'{source.name}: {RESPONSE} s a response', seconds, 's',
                   results.at_most(MOST_SECONDS))


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    names = [s.name for s in twins.SOURCES]
    parser.add_argument('boxes', nargs='*', metavar='BOX',
                        help=f'some of {", ".join(names)}; all by default')
    options = parser.parse_args()
    wanted = options.boxes or (QUICK if options.quick else names)
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f'BOX: {unknown[0]!r}: expected some of {names}')
    logging.disable(logging.CRITICAL)
    report = results.report(__file__, __doc__)
    if plain_sushy.MISSING:
        report.skip('sushy', plain_sushy.MISSING)
    with tempfile.TemporaryDirectory() as folder:
        upstream.begin(Path(folder))
        try:
            for source in twins.SOURCES:
                if source.name not in wanted:
                    continue
                if source.missing:
                    report.skip(source.name, source.missing)
                    continue
                bench(source, report)
        finally:
            upstream.end()
    return report.end(options)


if __name__ == '__main__':
    sys.exit(main())
