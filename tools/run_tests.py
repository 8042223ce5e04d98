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

"""Run the test tiers and print their seconds and one closing line.

``run_tests.py [TIER...]``: lint, unit, contract, security, functional, faces;
all of them by default. Each check of the tier ``lint`` counts as one test in
the total.
A failing tier does not stop the next one. Exit status 0 or 1.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from typing import IO

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(sys.executable).parent

LINT: dict[str, list[str]] = {
    "ruff": ["ruff", "check", "--quiet", "."],
    "hacking": ["flake8"],
    "mypy": ["mypy", "--no-error-summary"],
    "import-linter": ["lint-imports", "--no-cache"],
    "import circles": ["python", "tools/import_circles.py"],
    "reno": ["reno", "lint"],
    "docs": ["sphinx-build", "-q", "-W", "--keep-going", "-b", "html",
             "doc/source", "doc/build/html"],
}

# Two cores, two workers. A worker of the functional tier has services of its
# own, started once, and takes whole files, the longest first (as its conftest
# sorts them). They wait more than they compute, so that the tiers which start
# no services run beside them, and give way to them.
PYTEST: dict[str, list[str]] = {
    "unit": ["-n", "2"],
    "contract": ["-n", "2"],
    "security": ["-n", "2"],
    "functional": ["-n", "2", "--dist", "loadfile",
                   "--no-loadscope-reorder"],
    "faces": ["-n", "2"],
}

TIERS = ("lint", *PYTEST)


@dataclasses.dataclass
class Tally:
    """What a tier came to: counts of tests, and wall seconds."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(self.passed + other.passed, self.failed + other.failed,
                     self.skipped + other.skipped,
                     self.seconds + other.seconds)

    def line(self) -> str:
        """Return ``N passed, N failed, N skipped``."""
        return (f"{self.passed} passed, {self.failed} failed, "
                f"{self.skipped} skipped")


def check(command: list[str]) -> tuple[bool, str, float]:
    """Run one check: whether it is content, what it says, seconds."""
    start = time.monotonic()
    result = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    return (result.returncode == 0, result.stdout,
            time.monotonic() - start)


def run_lint() -> Tally:
    """Run the checks, two at a time; show what one says where it fails."""
    tally = Tally()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = pool.map(check, LINT.values())
        for name, (good, said, seconds) in zip(LINT, answers, strict=True):
            print(f"   {name:<14} {'ok' if good else 'FAILED':<7}"
                  f"{seconds:6.1f} s", flush=True)
            if not good:
                print(said, flush=True)
            tally += Tally(passed=good, failed=not good)
    return tally


def read_junit(path: pathlib.Path) -> Tally:
    """Count the cases of pytest's own XML report."""
    tally = Tally()
    tree = ElementTree.parse(path)  # noqa: S314 - we had it written
    for suite in tree.getroot().iter("testsuite"):
        total = int(suite.get("tests", "0"))
        bad = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        skipped = int(suite.get("skipped", "0"))
        tally += Tally(total - bad - skipped, bad, skipped)
    return tally


def run_pytest(tier: str, options: list[str],
               output: IO[str] | None = None, polite: bool = False,
               ) -> Tally:
    """Run one tier with pytest; a tier without tests yet counts nothing.

    :param output: where what it says goes; None is where ours goes.
    :param polite: let others have the processor first.
    """
    folder = ROOT / "tests" / tier
    if not any(folder.rglob("test_*.py")):
        print("   no tests in this tier", file=output, flush=True)
        return Tally()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="accel-junit-") as temporary:
        report = pathlib.Path(temporary) / "report.xml"
        result = subprocess.run(
            [*(("nice", "-n", "10") if polite else ()), sys.executable, "-m",
             "pytest", "-q", f"--junitxml={report}", *options, str(folder)],
            cwd=ROOT, check=False, stdin=subprocess.DEVNULL, stdout=output,
            stderr=None if output is None else subprocess.STDOUT)
        tally = read_junit(report) if report.exists() else Tally(failed=1)
    if result.returncode != 0 and not tally.failed:
        tally.failed = 1  # an interrupted or misconfigured run is no success
    tally.seconds = time.monotonic() - start
    return tally


def run_tiers(names: Sequence[str]) -> dict[str, Tally]:
    """Run tiers in order, the functional one beside pytest's others."""
    tallies: dict[str, Tally] = {}
    beside = "functional" in names and bool(
        {"unit", "contract", "security", "faces"} & {*names})
    with (tempfile.TemporaryFile("w+") as said,
          concurrent.futures.ThreadPoolExecutor(1) as pool):
        functional = None
        for name in names:
            if name == "lint":
                print("== lint", flush=True)
                start = time.monotonic()
                tallies[name] = run_lint()
                tallies[name].seconds = time.monotonic() - start
                continue
            if beside and functional is None:
                functional = pool.submit(
                    run_pytest, "functional", PYTEST["functional"], said)
            if functional is None or name != "functional":
                print(f"== {name}", flush=True)
                tallies[name] = run_pytest(name, PYTEST[name],
                                           polite=functional is not None)
        if functional is not None:
            tallies["functional"] = functional.result()
            said.seek(0)
            print(f"== functional\n{said.read()}", flush=True)
    return tallies


def main(names: list[str]) -> int:
    """Run the named tiers, print the table and the closing line."""
    unknown = [name for name in names if name not in TIERS]
    if unknown:
        print(f"unknown tier {unknown[0]!r}; known: {', '.join(TIERS)}",
              file=sys.stderr)
        return 2
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.monotonic()
    tallies = run_tiers(names or TIERS)
    print("== seconds")
    for name, tally in tallies.items():
        print(f"   {name:<10}{tally.seconds:7.1f} s   {tally.line()}")
    total = sum(tallies.values(), Tally())
    print(f"   {'all':<10}{time.monotonic() - start:7.1f} s"
          f"{'   (functional beside the others)' if len(tallies) > 1 else ''}")
    print(total.line(), flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
