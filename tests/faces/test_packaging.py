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

"""``pip install .`` of a clean clone: light, complete, and it starts."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UV = pathlib.Path(sys.executable).with_name("uv")


def run(*command: object, **options: Any) -> str:
    """Run a command; its standard output, or a failure that shows all."""
    result: subprocess.CompletedProcess[str] = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, (
        f"{command}: {result.stdout}\n{result.stderr}")
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A throw-away environment with the package and no extra."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: pbr has no version to find")
    folder = tmp_path_factory.mktemp("packaging")
    clone, venv = folder / "clone", folder / "venv"
    run("git", "clone", "-q", "--no-tags", ROOT, clone)
    run(UV, "venv", "-q", "--python", sys.executable, venv)
    run(UV, "pip", "install", "-q", "--python", venv / "bin/python",
        "-c", ROOT / "constraints.txt", clone)
    return venv


@pytest.fixture(scope="module")
def packages(installed: pathlib.Path) -> dict[str, str]:
    """Name and version of everything in it."""
    text = run(UV, "pip", "list", "-q", "--format", "json", "--python",
               installed / "bin/python")
    return {row["name"]: row["version"] for row in json.loads(text)}


def test_the_base_is_light(packages: dict[str, str]) -> None:
    assert "sushy" in packages
    assert packages.keys().isdisjoint(
        {"ironic", "ironic-python-agent", "openstack-placement"})


def test_there_is_a_version_without_any_tag(
        packages: dict[str, str]) -> None:
    major, minor, *_ = packages["ironic-accel"].split(".")
    assert major.isdigit() and minor.isdigit()


def test_the_command_starts(installed: pathlib.Path,
                            tmp_path: pathlib.Path) -> None:
    text = run(installed / "bin/ironic-accel", "--help", cwd=tmp_path)
    assert "inventory" in text


def test_every_data_file_is_installed(installed: pathlib.Path) -> None:
    tracked = run("git", "ls-tree", "-r", "--name-only", "HEAD", "--",
                  "ironic_accel", "ipa_hardware_manager", cwd=ROOT).split()
    library = next((installed / "lib").glob("python3*/site-packages"))
    assert [name for name in tracked if not (library / name).exists()] == []


@pytest.mark.parametrize("folder", [
    "ipa_hardware_manager/elements/ironic-accel", "ironic_accel/samples",
    "ironic_accel/faces/export", "ironic_accel/faces/osc",
    "ironic_accel/model/catalog_data"])
def test_it_carries_its_data_with_their_modes(
        installed: pathlib.Path, folder: str) -> None:
    [there] = (installed / "lib").glob("python*/site-packages")
    listed = run("git", "-C", ROOT, "ls-files", folder).split()
    assert listed
    for name in listed:
        assert (there / name).is_file(), name
        assert (os.access(there / name, os.X_OK)
                == os.access(ROOT / name, os.X_OK)), name
