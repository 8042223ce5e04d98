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

"""Run functional tests ten times, two runs at a time, to find flakes.

``soak.py [--rounds N] [--abreast N] [TEST...]``; a test is whatever pytest
takes (a file, ``FILE::NAME``), the whole functional tier by default. Each run
has services of its own in a folder of its own. What a run says is left in the
folder that is printed, with the logs of its services where it has failed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable

ROOT = pathlib.Path(__file__).resolve().parent.parent
BAD = ("failure", "error")


@dataclasses.dataclass(frozen=True)
class Case:
    """What became of one test in one run, and its seconds."""

    name: str
    outcome: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Run:
    """One run; ``status`` is pytest's exit status."""

    number: int
    status: int
    seconds: float
    cases: tuple[Case, ...]


def read_cases(path: pathlib.Path) -> tuple[Case, ...]:
    """Return the cases of pytest's XML report; none where there is none."""
    if not path.exists():
        return ()
    found: dict[str, Case] = {}
    tree = ElementTree.parse(path)  # noqa: S314 - we had it written
    for one in tree.getroot().iter("testcase"):
        name = f"{one.get('classname', '').rpartition('.')[2]}::" \
               f"{one.get('name')}"
        tags = {child.tag for child in one}
        outcome = ("failed" if tags.intersection(BAD)
                   else "skipped" if "skipped" in tags else "passed")
        # An error in the teardown is a case of its own, of the same name.
        if name not in found or outcome == "failed":
            found[name] = Case(name, outcome, float(one.get("time", "0")))
    return tuple(found.values())


def one_run(number: int, folder: pathlib.Path, tests: list[str]) -> Run:
    """Run the tests once, with temporary files in a folder of its own."""
    start = time.monotonic()
    own = folder / f"run-{number}"
    own.mkdir()
    # The agents of the lab are nobody's, and have to get through.
    own.chmod(0o711)
    report = own / "report.xml"
    with open(folder / f"run-{number}.log", "wb") as log:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             f"--junitxml={report}", *tests],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, check=False,
            env={**os.environ, "TMPDIR": str(own)})
    return Run(number, result.returncode, time.monotonic() - start,
               read_cases(report))


def table(runs: Iterable[Run]) -> list[str]:
    """Return a line for each test: its outcomes, and its seconds."""
    seen: dict[str, list[Case]] = {}
    for run in runs:
        for case in run.cases:
            seen.setdefault(case.name, []).append(case)
    lines = [f"{'passed':>6} {'failed':>6} {'skip':>4}  "
             f"{'least':>6} {'median':>6} {'most':>6}  test"]
    for name, cases in sorted(seen.items()):
        counts = [sum(c.outcome == word for c in cases)
                  for word in ("passed", "failed", "skipped")]
        times = [c.seconds for c in cases]
        lines.append(
            f"{counts[0]:6} {counts[1]:6} {counts[2]:4}  {min(times):6.1f} "
            f"{statistics.median(times):6.1f} {max(times):6.1f}  {name}")
    return lines


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; exits with 2 on bad usage."""
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--abreast", type=int, default=2, metavar="N")
    parser.add_argument("tests", nargs="*", metavar="TEST")
    given = parser.parse_args(arguments)
    for name in ("rounds", "abreast"):
        if getattr(given, name) < 1:
            parser.error(f"--{name}: {getattr(given, name)}: expected 1 or "
                         "more")
    given.tests = given.tests or ["tests/functional"]
    return given


def main(arguments: list[str]) -> int:
    """Run all rounds; 1 where any failed."""
    given = parse(arguments)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="accel-soak-"))
    folder.chmod(0o711)
    print(f"{given.rounds} runs of {' '.join(given.tests)}, {given.abreast} "
          f"at a time; output in {folder}", flush=True)
    done: list[Run] = []
    with concurrent.futures.ThreadPoolExecutor(given.abreast) as pool:
        pending = [pool.submit(one_run, number, folder, given.tests)
                   for number in range(1, given.rounds + 1)]
        for future in concurrent.futures.as_completed(pending):
            run = future.result()
            done.append(run)
            print(f"run {run.number:2}: "
                  f"{'ok' if run.status == 0 else 'FAILED'} in "
                  f"{run.seconds:.0f} s", flush=True)
    print("\n".join(table(done)))
    bad = sum(run.status != 0 for run in done)
    print(f"{given.rounds - bad} of {given.rounds} runs passed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
