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

"""Run the lab tests ten times, two runs at a time, to find flakes.

``soak.py [ROUNDS [ABREAST]]``. Each run has services of its own; a run that
fails leaves its output beside the others in the folder that is printed.
"""

from __future__ import annotations

import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def one_run(number: int, folder: pathlib.Path) -> tuple[int, int, float]:
    """Run the lab tier once; (number, exit status, seconds)."""
    start = time.monotonic()
    with open(folder / f"run-{number}.log", "wb") as log:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             "tests/lab"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, check=False)
    return number, result.returncode, time.monotonic() - start


def numbers_of(arguments: list[str]) -> tuple[int, int]:
    """Return how many rounds, and how many of them at a time."""
    given = [int(text) for text in arguments]
    rounds, abreast = [*given, *(10, 2)[len(given):]]
    return rounds, abreast


def main(arguments: list[str]) -> int:
    """Run all rounds; 1 where any failed."""
    rounds, abreast = numbers_of(arguments)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="accel-soak-"))
    print(f"{rounds} runs, {abreast} at a time; output in {folder}",
          flush=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(abreast) as pool:
        runs = [pool.submit(one_run, number, folder)
                for number in range(1, rounds + 1)]
        for run in concurrent.futures.as_completed(runs):
            number, status, seconds = run.result()
            bad += status != 0
            print(f"run {number:2}: {'ok' if status == 0 else 'FAILED'} "
                  f"in {seconds:.0f} s", flush=True)
    print(f"{rounds - bad} of {rounds} runs passed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
