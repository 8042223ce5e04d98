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

"""Run parts of the tests with each supported series of Ironic.

``test_series.py [SERIES...] [--parts PART...]``: all by default. Each series
has an environment with the packages of its release. It is made once, in the
folder of ``SERIES_ENVS`` (``.series``), and made anew when its constraints or
our dependencies change. At the end stands a table. Exit status 0 or 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from tools.run_tests import read_junit
from tools.run_tests import ROOT
from tools.run_tests import Tally

UV = pathlib.Path(sys.executable).with_name("uv")


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """A series of Ironic: the release of OpenStack and its packages."""

    release: str
    constraints: str


SERIES = {
    "32": Series("2025.2", "constraints/ironic-32.txt"),
    "35": Series("2026.1", "constraints/ironic-35.txt"),
    "39": Series("2026.2", "constraints.txt"),
}

@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """What runs with each series.

    :ivar tests: arguments of pytest.
    :ivar services: whether pytest runs in our own environment, and only the
        services that the tests start in that of the series.
    """

    tests: tuple[str, ...]
    services: bool = False


#: A test that is about something which a series lacks skips with the name of
#: the capability (ironic_accel/conductor/config/ironic_series.py).
PARTS = {
    "unit": Part(("-n", "2", "tests/unit")),
    "contract": Part(("-n", "2", "tests/contract")),
    "demo": Part(("tests/series/test_demo.py", *(
        f"tests/functional/test_{name}.py" for name in (
            "story", "nova", "agent", "agent_baseline", "audit"))), True),
    "upgrade": Part(("tests/series/test_upgrade.py",
                     "tests/series/test_releases.py"), True),
}


def environment(name: str) -> pathlib.Path:
    """The Python of a series, made where it is missing or out of date.

    :raises: CalledProcessError if a package cannot be installed.
    """
    folder = pathlib.Path(os.environ.get("SERIES_ENVS", ROOT / ".series"))
    venv = folder.resolve() / f"ironic-{name}"
    python = venv / "bin" / "python"
    constraints = ROOT / SERIES[name].constraints
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (constraints, ROOT / "pyproject.toml",
                 ROOT / "emulator" / "pyproject.toml"):
        digest.update(path.read_bytes())
    stamp = venv / ".installed"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return python
    for command in (
            ("venv", "-q", "--clear", "--python", sys.executable, venv),
            ("pip", "install", "-q", "--compile-bytecode", "--python",
             python, "-c", constraints, "-e", f"{ROOT}[dev]",
             "-e", f"{ROOT / 'emulator'}[tls]")):
        subprocess.run([str(part) for part in (UV, *command)], check=True,
                       stdin=subprocess.DEVNULL)
    stamp.write_text(digest.hexdigest())
    return python


def services(name: str) -> dict[str, str]:
    """The variables for tests whose services are those of a series.

    In an upgrade it is followed by the next series that is listed.

    :raises: CalledProcessError if a package cannot be installed.
    """
    later = [*SERIES][[*SERIES].index(name):][:2][-1]
    return {"ACCEL_SERVICES_PYTHON": str(environment(name)),
            "ACCEL_NEWER_PYTHON": str(environment(later))}


def run(python: pathlib.Path, options: Sequence[str],
        variables: Mapping[str, str]) -> Tally:
    """Run pytest with an environment's Python."""
    start = time.monotonic()
    env = {key: value for key, value in os.environ.items()
           if key not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    env.update(variables)
    with tempfile.TemporaryDirectory(prefix="accel-junit-") as temporary:
        report = pathlib.Path(temporary) / "report.xml"
        result = subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             f"--junitxml={report}", *options],
            cwd=ROOT, env=env, check=False, stdin=subprocess.DEVNULL)
        tally = read_junit(report) if report.exists() else Tally(failed=1)
    if result.returncode != 0 and not tally.failed:
        tally.failed = 1
    tally.seconds = time.monotonic() - start
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts with the series, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", metavar="SERIES",
                        help=", ".join(SERIES))
    parser.add_argument("--parts", nargs="+", choices=PARTS,
                        default=[*PARTS])
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.series if name not in SERIES]
    if unknown:
        parser.error(f"unknown series {unknown[0]!r}; known: "
                     f"{', '.join(SERIES)}")
    rows = []
    total = Tally()
    for name in asked.series or SERIES:
        try:
            python = environment(name)
            variables = services(name) if any(
                PARTS[part].services for part in asked.parts) else {}
        except subprocess.CalledProcessError:
            rows.append(f"   ironic {name}   {'environment':<11} failed")
            total += Tally(failed=1)
            continue
        for part in asked.parts:
            print(f"== ironic {name} ({SERIES[name].release}): {part}",
                  flush=True)
            tests = PARTS[part].tests
            tally = (run(pathlib.Path(sys.executable), tests, variables)
                     if PARTS[part].services else run(python, tests, {}))
            rows.append(f"   ironic {name}   {part:<11}"
                        f"{tally.seconds:7.1f} s   {tally.line()}")
            total += tally
    print("== series", *rows, total.line(), sep="\n", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
