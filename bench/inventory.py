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

Prints, for every recorded BMC (skipped where ``../shared/captures`` is not
there) and every shipped box: requests; simulated wall time (20 ms a request
and 10 ms more for each resource that ``$expand`` pulled in, as the twin
counts them); seconds of CPU and peak Python memory of the reader alone (the
twin is another process); and what was found. Exit status 1 where a bar is
missed: GB300 in at most 15 requests with ``$expand``, and at least 5 times
fewer than one by one.
"""

from __future__ import annotations

import argparse
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
from bench.measure import twins
from bench.measure import upstream
from bench.measure.facts import Facts

Reader = Callable[[str, str], Facts]

#: The bars, and the box that they are about.
BARRED = 'gb300-supermicro'
MOST_REQUESTS = 15
LEAST_RATIO = 5.0

READERS: dict[str, Reader] = {
    'ours, $expand': lambda url, system: ours.read(url, system, True),
    'ours, one by one': lambda url, system: ours.read(url, system, False),
    'sushy only': plain_sushy.read,
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


def row(name: str, one: Measured, best: Measured) -> str:
    """A line of the table; ratios are to ours with ``$expand``."""
    found = '/'.join('-' if n is None else str(n) for n in (
        one.facts.devices, one.facts.versions, one.facts.modes))
    return (f'  {name:17}{one.requests:6}{one.wall:9.2f}'
            f'{one.requests / best.requests:8.1f}'
            f'{one.wall / best.wall:7.1f}{one.cpu:8.2f}'
            f'{one.memory:8.1f}  {found:10} {one.facts.note}').rstrip()


def bench(source: twins.Source) -> dict[str, Measured]:
    """Measure every reader on a box and print the rows."""
    with twins.running(source) as twin:
        done = {name: measure(twin, read, source.system)
                for name, read in READERS.items()}
    print(f'{source.name}, {source.system}')
    for name, one in done.items():
        print(row(name, one, done['ours, $expand']))
    return done


def missed(done: dict[str, Measured]) -> list[str]:
    """The bars that a box misses."""
    few = done['ours, $expand'].requests
    many = done['ours, one by one'].requests
    out = []
    if few > MOST_REQUESTS:
        out.append(f'{few} requests with $expand: expected at most '
                   f'{MOST_REQUESTS}')
    if many < LEAST_RATIO * few:
        out.append(f'{many / few:.1f} times fewer than one by one: '
                   f'expected at least {LEAST_RATIO:.0f}')
    return out


def main() -> int:
    """Measure, print, and say whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [s.name for s in twins.SOURCES]
    parser.add_argument('boxes', nargs='*', metavar='BOX',
                        help=f'some of {", ".join(names)}; all by default')
    wanted = parser.parse_args().boxes or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f'BOX: {unknown[0]!r}: expected some of {names}')
    logging.disable(logging.CRITICAL)
    print(f'{"":19}{"requests":>6}{"wall s":>7}{"x req":>8}{"x wall":>7}'
          f'{"CPU s":>8}{"MiB":>8}  devices/versions/modes')
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        upstream.begin(Path(folder))
        try:
            for source in twins.SOURCES:
                if source.name not in wanted:
                    continue
                if source.missing:
                    print(f'{source.name}: skipped: {source.missing}')
                    continue
                done = bench(source)
                if source.name == BARRED:
                    wrong = missed(done)
        finally:
            upstream.end()
    for line in wrong:
        print(f'{BARRED}: {line}', file=sys.stderr)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
