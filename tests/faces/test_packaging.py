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

"""The wheels of a clean clone: light, complete, and what they install starts.

Both wheels are built once: ironic-accel is installed with its base
dependencies alone, ironic-accel-emulator into an environment of its own.
"""

from __future__ import annotations

import ast
import collections
from collections.abc import Iterator
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tokenize
import tomllib
from typing import Any
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UV = pathlib.Path(sys.executable).with_name("uv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
    "project"]
EMULATOR = "emulator/ironic_accel_emulator"

#: Lines of code in the wheel of ironic-accel: neither blank ones nor
#: comments nor docstrings. Raise it only for what users can do with them,
#: and name that in the commit.
MOST_LINES = 42_995

#: What cannot be imported without an extra: the package and the extra.
EXTRAS = {
    "ironic_accel.conductor": "conductor",
    "ironic_accel.faces.export.prometheus": "exporter",
    "ironic_accel.faces.osc": "osc",
    "ironic_accel.ipmi.reader": "ipmi",
    "ipa_hardware_manager": "agent",
}

#: Imports every module; prints those that lack a package, and which.
WALK = """
import importlib, json, pkgutil, sys
missing = {}
def load(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        missing[name] = exc.name
for top in sys.argv[1:]:
    path = load(top).__path__
    for found in pkgutil.walk_packages(
            path, top + '.', onerror=lambda name: None):
        load(found.name)
print(json.dumps(missing))
"""


def run(*command: object, **options: Any) -> str:
    """Run a command; its standard output, or a failure that shows all."""
    result = attempt(*command, **options)
    assert result.returncode == 0, (
        f"{command}: {result.stdout}\n{result.stderr}")
    return result.stdout


def attempt(*command: object, **options: Any
            ) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail, without this checkout on its path."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, env=env, **options)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A fresh clone of this checkout's commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: pbr has no version to find")
    folder = tmp_path_factory.mktemp("packaging") / "clone"
    run("git", "clone", "-q", "--no-tags", ROOT, folder)
    return folder


def build(source: pathlib.Path, wheels: pathlib.Path) -> pathlib.Path:
    """The wheel of one of the two distributions."""
    run(UV, "build", "-q", "--wheel", "--out-dir", wheels, source)
    [wheel] = wheels.glob("*.whl")
    return wheel


def install(wheel: pathlib.Path, venv: pathlib.Path) -> pathlib.Path:
    """A throw-away environment with a wheel and no extra."""
    run(UV, "venv", "-q", "--python", sys.executable, venv)
    run(UV, "pip", "install", "-q", "--python", venv / "bin/python",
        "-c", ROOT / "constraints.txt", wheel)
    return venv


@pytest.fixture(scope="module")
def wheel(clone: pathlib.Path) -> pathlib.Path:
    return build(clone, clone.parent / "wheel")


@pytest.fixture(scope="module")
def emulator_wheel(clone: pathlib.Path) -> pathlib.Path:
    return build(clone / "emulator", clone.parent / "emulator-wheel")


@pytest.fixture(scope="module")
def installed(wheel: pathlib.Path, clone: pathlib.Path) -> pathlib.Path:
    return install(wheel, clone.parent / "venv")


@pytest.fixture(scope="module")
def emulator(emulator_wheel: pathlib.Path, clone: pathlib.Path
             ) -> pathlib.Path:
    return install(emulator_wheel, clone.parent / "emulator-venv")


def packages(venv: pathlib.Path) -> dict[str, str]:
    """Name and version of everything in an environment."""
    text = run(UV, "pip", "list", "-q", "--format", "json", "--python",
               venv / "bin/python")
    return {row["name"]: row["version"] for row in json.loads(text)}


def without_extras(venv: pathlib.Path, *tops: str) -> dict[str, str]:
    """The modules that cannot be imported, and what each of them lacks."""
    text = run(venv / "bin/python", "-c", WALK, *tops, cwd=venv)
    # A __main__ of ours prints something first.
    found: dict[str, str] = json.loads(text.splitlines()[-1])
    return found


def code_lines(text: str) -> int:
    """Lines of Python without blank ones, comments and docstrings."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE,
               tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {line for token in tokenize.generate_tokens(
        io.StringIO(text).readline) if token.type not in skipped
        for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef
                      | ast.AsyncFunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno,
                               (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def modules(wheel: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Name and text of each Python file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                yield name, archive.read(name).decode()


def test_lines_of_code_are_those_with_code() -> None:
    text = ('#!/usr/bin/python\n"""Doc\nstring."""\n\nx = """a\nb"""\n'
            'def f():\n    """Doc."""\n    # why\n    return (\n'
            '        1)\n')
    assert code_lines(text) == 5


def test_the_wheel_has_the_product_alone(
        wheel: pathlib.Path, emulator_wheel: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    texts = dict(modules(wheel))
    assert {name.partition("/")[0] for name in texts} == {
        "ironic_accel", "ipa_hardware_manager"}
    assert not [name for name in texts if {
        "twin", "lab", "harness", "tests"}.intersection(name.split("/"))]
    code = sum(map(code_lines, texts.values()))
    simulated = dict(modules(emulator_wheel))
    assert {name.partition("/")[0] for name in simulated} == {
        "ironic_accel_emulator"}
    with capsys.disabled():
        print(f"\nironic-accel: {code} lines of code in {len(texts)} files "
              f"({sum(t.count(chr(10)) for t in texts.values())} with "
              "comments and blank lines); ironic-accel-emulator: "
              f"{sum(map(code_lines, simulated.values()))}")
    assert 10_000 < code <= MOST_LINES


def test_the_base_is_light(installed: pathlib.Path) -> None:
    found = packages(installed)
    assert "sushy" in found
    assert found.keys().isdisjoint({
        "ironic", "ironic-accel-emulator", "ironic-python-agent",
        "openstack-placement", "os-traits", "python-multipart",
        "requests-toolbelt"})


def test_there_is_a_version_without_any_tag(
        installed: pathlib.Path, emulator: pathlib.Path) -> None:
    version = packages(installed)["ironic-accel"]
    major, minor, *_ = version.split(".")
    assert major.isdigit() and minor.isdigit()
    assert packages(emulator)["ironic-accel-emulator"] == version


def test_the_command_starts(installed: pathlib.Path,
                            tmp_path: pathlib.Path) -> None:
    text = run(installed / "bin/ironic-accel", "--help", cwd=tmp_path)
    assert "inventory" in text


@pytest.mark.parametrize("words, code, told", [
    (("ironic-accel", "twin", "--system", "hgx-h100"), 2,
     "ironic-accel twin needs the package ironic-accel-emulator, which is "
     "not installed: pip install ironic-accel-emulator"),
    (("ironic-accel", "demo"), 2,
     "ironic-accel demo needs a checkout of the source: clone the "
     'repository of ironic-accel and run "make demo" in it'),
    (("ironic-accel-status", "upgrade", "check"), 255,
     "ironic-accel-status: package ironic is not installed; run the "
     "command on a conductor, or pip install "
     '"ironic-accel[conductor]"'),
], ids=["twin", "demo", "status"])
def test_a_command_says_how_to_get_what_it_lacks(
        installed: pathlib.Path, tmp_path: pathlib.Path,
        words: tuple[str, ...], code: int, told: str) -> None:
    result = attempt(installed / "bin" / words[0], *words[1:], cwd=tmp_path)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1


def test_the_demo_of_a_checkout_says_which_package_it_lacks(
        installed: pathlib.Path, clone: pathlib.Path,
        tmp_path: pathlib.Path) -> None:
    code = (f"import sys; sys.path.insert(0, {str(clone)!r}); "
            "from ironic_accel.faces.cli.main import main; "
            "sys.exit(main(['demo']))")
    result = attempt(installed / "bin/python", "-c", code, cwd=tmp_path)
    assert result.returncode == 2
    told = re.match(
        r"ironic-accel demo: package (\w+) is not installed: "
        f'run "make install" in {re.escape(str(clone))}', result.stderr)
    assert told, result.stderr
    assert attempt(installed / "bin/python", "-c", f"import {told[1]}",
                   cwd=tmp_path).returncode == 1


def test_every_module_can_be_imported_or_needs_a_declared_extra(
        installed: pathlib.Path) -> None:
    missing = without_extras(installed, "ironic_accel",
                             "ipa_hardware_manager")
    needed = collections.defaultdict(set)
    for name, lacks in missing.items():
        assert not lacks.startswith(("ironic_accel", "ipa_hardware")), name
        [package] = [package for package in EXTRAS
                     if f"{name}.".startswith(f"{package}.")] or [name]
        needed[package].add(lacks)
    assert needed.keys() == EXTRAS.keys()
    assert set(EXTRAS.values()) <= PROJECT["optional-dependencies"].keys()


def points(package: str | None) -> list[str]:
    """The entry points of pyproject.toml: of a package that needs an extra,
    or those that need none.
    """
    values = [value for group in (
        PROJECT["scripts"], *PROJECT["entry-points"].values())
        for value in group.values()]
    return [value for value in values if package == next(
        (one for one in EXTRAS if value.startswith((f"{one}.", f"{one}:"))),
        None)]


#: Loads the entry points that it is given.
LOAD = """
import importlib.metadata, sys
for value in sys.argv[1:]:
    importlib.metadata.EntryPoint('', value, '').load()
"""


@pytest.mark.parametrize("package, loader", [
    ("ironic_accel.conductor", "ironic"),
    ("ironic_accel.faces.export.prometheus", "oslo_messaging"),
    ("ironic_accel.faces.osc", "openstackclient"),
    ("ipa_hardware_manager", "ironic_python_agent.config")])
def test_the_entry_points_of_an_extra_load_where_it_is(
        package: str, loader: str) -> None:
    pytest.importorskip(loader.partition(".")[0])
    values = points(package)
    assert values
    # Not in this process: Ironic and the agent register the same options.
    run(sys.executable, "-c", f"import {loader}\n{LOAD}", *values, cwd=ROOT)


def test_the_entry_points_without_an_extra_load_alone(
        installed: pathlib.Path) -> None:
    values = points(None)
    assert len(values) > 10
    run(installed / "bin/python", "-c", LOAD, *values, cwd=installed)


def test_every_data_file_is_installed(
        installed: pathlib.Path, emulator: pathlib.Path) -> None:
    for venv, folder, tops in (
            (installed, ROOT, ("ironic_accel", "ipa_hardware_manager")),
            (emulator, ROOT / "emulator", ("ironic_accel_emulator",))):
        tracked = run("git", "ls-tree", "-r", "--name-only", "HEAD", "--",
                      *tops, cwd=folder).split()
        library = next((venv / "lib").glob("python3*/site-packages"))
        assert len(tracked) > 5
        assert [name for name in tracked
                if not (library / name).exists()] == []


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


def test_the_emulator_works_without_ironic_accel(
        emulator: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert packages(emulator).keys().isdisjoint(
        {"ironic-accel", "sushy", "cryptography"})
    assert without_extras(emulator, "ironic_accel_emulator") == {}
    command = emulator / "bin/ironic-accel-emulator"
    assert "renumber" in run(command, "--list-faults", cwd=tmp_path)
    with subprocess.Popen([command, "--system", "hgx-h100"], cwd=tmp_path,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on http")
        process.terminate()
