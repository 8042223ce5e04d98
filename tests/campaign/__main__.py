# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""``python -m tests.campaign``: many cases, and a table of what came of them.

``--cases N --seed S`` draws and plays; ``--replay JSON`` plays one again and
tells all of it; ``--table`` plays every fault at every moment. Everything is
in this process and its workers, without sockets, in simulated time.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import itertools
import os
import re
import sys
import time

from tests.campaign import case as cases
from tests.campaign import draw
from tests.campaign import shrink
from tests.campaign import table
from tests.campaign import play

#: Cases of one errand of a worker.
BATCH = 20


@dataclasses.dataclass
class Wrong:
    """A case that must not be, small enough to be read."""

    case: cases.Case
    report: play.Report


def kind_of(sin: str) -> str:
    """What kind of thing went wrong: a sin without its names and numbers."""
    return re.sub(r'[\w.@/:-]*\d[\w.@/:-]*', '_', sin)


def quick_environment() -> None:
    """Ask the environment for nothing: requests looks for proxies in it."""
    for name in list(os.environ):
        if name not in ('PATH', 'HOME', 'PYTHONPATH', 'TMPDIR'):
            del os.environ[name]


def batch(seed: int, first: int, number: int, small: bool
          ) -> tuple[collections.Counter[str], list[Wrong]]:
    """Play some cases; what went wrong is made small."""
    tally: collections.Counter[str] = collections.Counter()
    bad = []
    for index in range(first, first + number):
        case = draw.case(seed, index)
        report = play.play(case)
        tally[report.outcome] += 1
        if report.sins:
            bad.append(Wrong(smallest(case, report) if small else case,
                             report))
    return tally, bad


def smallest(case: cases.Case, report: play.Report) -> cases.Case:
    """The case, without what does not matter to its first sin."""
    first = kind_of(report.sins[0])
    return shrink.shrink(case, lambda one: first in {
        kind_of(sin) for sin in play.play(one).sins})


def replay(text: str) -> int:
    """Play one case and tell all of it; 1 where it is wrong."""
    report = play.play(cases.load(text))
    for field in dataclasses.fields(report):
        print(f'{field.name}: {getattr(report, field.name)}')
    return 1 if report.sins else 0


def errands(total: int, start: int) -> Iterator[tuple[int, int]]:
    """First number and how many, of each batch."""
    for first in range(start, start + total, BATCH):
        yield first, min(BATCH, start + total - first)


def campaign(total: int, seed: int, start: int, workers: int,
             minutes: float, small: bool) -> int:
    """Play many cases; 1 where one was wrong."""
    begun = time.monotonic()
    tally: collections.Counter[str] = collections.Counter()
    kinds: dict[str, Wrong] = {}
    seen: collections.Counter[str] = collections.Counter()
    done, told = 0, begun
    print(f'seed {seed}, cases {start} to {start + total - 1}, '
          f'{workers} workers', flush=True)
    with futures.ProcessPoolExecutor(
            workers, initializer=quick_environment) as pool:
        todo = errands(total, start)
        open_now = {pool.submit(batch, seed, *one, small)
                    for one in itertools.islice(todo, 2 * workers)}
        while open_now:
            ready, open_now = futures.wait(
                open_now, return_when=futures.FIRST_COMPLETED)
            for future in ready:
                counted, bad = future.result()
                tally += counted
                done += counted.total()
                for wrong in bad:
                    for kind in {kind_of(s) for s in wrong.report.sins}:
                        seen[kind] += 1
                        if kind not in kinds:
                            kinds[kind] = wrong
                            _tell(kind, wrong)
            late = time.monotonic() - begun > 60 * minutes
            if not late:
                for one in itertools.islice(todo, len(ready)):
                    open_now.add(pool.submit(batch, seed, *one, small))
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(_line(done, begun, tally, seen), flush=True)
    print(_line(done, begun, tally, seen), flush=True)
    for kind, number in seen.most_common():
        print(f'{number:6} {kind}')
    return 1 if seen else 0


def _line(done: int, begun: float, tally: collections.Counter[str],
          seen: collections.Counter[str]) -> str:
    seconds = time.monotonic() - begun
    outcomes = ', '.join(f'{n} {name}' for name, n in tally.most_common())
    return (f'{done} cases, {seconds:.0f} s, {done / seconds:.1f} cases/s: '
            f'{outcomes}; wrong: {seen.total()}')


def _tell(kind: str, wrong: Wrong) -> None:
    print(f'WRONG ({wrong.case.seed}/{wrong.case.number}) {kind}')
    print(f'   {wrong.report.outcome}: {wrong.report.said}')
    for sin in wrong.report.sins[:4]:
        print(f'   {sin}')
    print(f"   python -m tests.campaign --replay '{wrong.case.dump()}'",
          flush=True)


def main(argv: Sequence[str]) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.campaign', description=__doc__)
    add = parser.add_argument
    add('--cases', type=int, default=1000)
    add('--seed', type=int, default=1)
    add('--start', type=int, default=0, help='number of the first case')
    add('--workers', type=int, default=2)
    add('--minutes', type=float, default=180.0,
        help='no new case begins after so many')
    add('--replay', metavar='JSON', help='play one case and tell all of it')
    add('--table', action='store_true',
        help='every fault at every moment, in print')
    add('--whole', action='store_true', help='do not make cases smaller')
    args = parser.parse_args(argv)
    if args.replay:
        quick_environment()
        return replay(args.replay)
    if args.table:
        quick_environment()
        return table.main()
    return campaign(args.cases, args.seed, args.start, args.workers,
                    args.minutes, not args.whole)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
