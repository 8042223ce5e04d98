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

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest
from tools import check_venv
from tools import debian_packages
from tools import vm_images
from tools import import_circles
from tools import layout
from tools import run_tests
from tools import soak


def write_tests(folder: pathlib.Path, source: str) -> pathlib.Path:
    """Run pytest on a file of tests; the path of its XML report."""
    test = folder / "test_them.py"
    test.write_text(textwrap.dedent(source))
    report = folder / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         f"--junitxml={report}", f"--rootdir={folder}", "-c",
         "/dev/null", str(test)], stdout=subprocess.DEVNULL, check=False)
    return report


def test_a_tally_counts_what_pytest_reports(tmp_path: pathlib.Path) -> None:
    tally = run_tests.read_junit(write_tests(tmp_path, """
        import pytest
        def test_good(): pass
        def test_good_too(): pass
        def test_bad(): assert False
        @pytest.fixture
        def broken(): raise ValueError
        def test_error(broken): pass
        def test_skipped(): pytest.skip("why")
    """))
    assert tally.line() == "2 passed, 2 failed, 1 skipped"


def test_an_unknown_tier_is_bad_usage(
        capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tests.main(["unit", "units"]) == 2
    assert "units" in capsys.readouterr().err


def test_a_soak_has_defaults() -> None:
    given = soak.parse([])
    assert (given.rounds, given.abreast, given.tests) == (
        10, 2, ["tests/functional"])
    given = soak.parse(["--rounds", "3", "--abreast", "1", "a", "b::c"])
    assert (given.rounds, given.abreast, given.tests) == (
        3, 1, ["a", "b::c"])


def test_a_soak_of_no_rounds_is_bad_usage(
        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.parse(["--rounds", "0"])
    assert ended.value.code == 2
    assert "--rounds: 0: expected 1 or more" in capsys.readouterr().err


def test_a_soak_tells_each_test_apart(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = tmp_path / "test_flaky.py"
    test.write_text(textwrap.dedent(f"""
        import pathlib
        import pytest
        def test_good(): pass
        def test_skipped(): pytest.skip("why")
        def test_flaky():
            seen = pathlib.Path({str(tmp_path / 'seen')!r})
            first = not seen.exists()
            seen.touch()
            assert not first
        @pytest.fixture
        def untidy():
            yield
            raise ValueError
        def test_untidy(untidy): pass
    """))
    assert soak.main(["--rounds", "3", "--abreast", "1", str(test)]) == 1
    said = capsys.readouterr().out
    rows = {words[-1]: words[:3] for line in said.splitlines()
            if len(words := line.split()) == 7}
    assert rows["test_flaky::test_good"] == ["3", "0", "0"]
    assert rows["test_flaky::test_skipped"] == ["0", "0", "3"]
    assert rows["test_flaky::test_flaky"] == ["2", "1", "0"]
    assert rows["test_flaky::test_untidy"] == ["0", "3", "0"]
    assert said.endswith("0 of 3 runs passed\n")


def test_a_missing_venv_module_names_the_debian_package(
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check_venv, "MODULE", "no_such_module_here")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert check_venv.main() == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Debian package python{version}-venv" in capsys.readouterr().err


def test_a_machine_that_can_make_one_needs_nothing() -> None:
    assert check_venv.main() == 0


def test_a_program_that_is_there_installs_nothing(
        monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(debian_packages, "install",
                        lambda package, why: asked.append(package))
    assert debian_packages.main(["sh=dash", "no-such-one=some-package"]) == 0
    assert asked == ["some-package"]


def test_a_pair_without_a_package_is_bad_usage() -> None:
    assert debian_packages.main(["sh"]) == 2


@pytest.fixture
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
            request: pytest.FixtureRequest) -> str:
    """A package of four modules: a imports b, b imports c for its types."""
    # A name of its own: the graph finds packages that were imported before.
    name = f"circles_{tmp_path.name.rpartition('_')[2]}"
    folder = tmp_path / name
    folder.mkdir()
    for module, source in {
            "__init__": "", "d": "",
            "a": f"from {name} import b",
            "b": "from typing import TYPE_CHECKING\n"
                 f"if TYPE_CHECKING:\n    from {name}.c import x",
            "c": f"from {name} import {request.param}\nx = 1"}.items():
        (folder / f"{module}.py").write_text(f"{source}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


@pytest.mark.parametrize("package", ["a"], indirect=True)
def test_an_import_circle_is_told_with_its_way(
        package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_circles.main([package]) == 1
    a, b, c = (f"{package}.{name}" for name in "abc")
    assert capsys.readouterr().out == (
        f"3 modules import each other: {a}, {b}, {c}; shortest circle: "
        f"{a} -> {b} -> {c} -> {a}\n")


@pytest.mark.parametrize("package", ["d"], indirect=True)
def test_modules_without_a_circle_are_passed(
        package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_circles.main([package]) == 0
    assert capsys.readouterr().out == ""


def test_a_circle_that_is_gone_is_allowed_no_longer(
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(import_circles, "ALLOWED", frozenset(
        {*import_circles.ALLOWED, "ironic_accel.model.device"}))
    assert import_circles.main([]) == 1
    assert "ironic_accel.model.device is in no circle" in (
        capsys.readouterr().out)


def test_the_product_breaks_no_rule_of_its_layout(
        capsys: pytest.CaptureFixture[str]) -> None:
    broken = layout.main()
    assert not broken, capsys.readouterr().out.partition("in all")[2]


@pytest.mark.parametrize(("handler", "lines"), [
    ("except Exception:\n    LOG.exception('failed')", [3]),
    ("except (OSError, Exception) as exc:\n    print(exc)", [3]),
    ("except BaseException:\n    close()\n    return", [3]),
    ("except BaseException:\n    if soft:\n        return\n    raise", [3]),
    ("except:\n    pass", [3]),
    ("except Exception:  # a plug-in's\n    LOG.exception('failed')", []),
    ("except Exception:\n    # Nothing was begun.\n    later()", []),
    ("except BaseException:\n    close()\n    raise", []),
    ("except OSError:\n    pass", [])])
def test_a_handler_of_all_exceptions_says_why(
        handler: str, lines: list[int]) -> None:
    assert list(layout.unexplained(f"try:\n    work()\n{handler}")) == lines


@pytest.fixture
def images(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
           ) -> pathlib.Path:
    """Where images of virtual machines are."""
    monkeypatch.setenv("VM_IMAGES", str(tmp_path / "images"))
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def test_an_image_is_made_once_and_again_when_its_parts_change(
        images: pathlib.Path) -> None:
    made: list[str] = []

    def build(target: pathlib.Path) -> None:
        made.append(target.name)
        (target / "file").touch()

    for parts, number in ((["a"], 1), (["a"], 1), (["a", "b"], 2)):
        vm_images._once("root", parts, build)
        assert len(made) == number
        assert (images / "root" / "file").exists()


def test_an_image_that_fails_is_not_there(images: pathlib.Path) -> None:
    vm_images._once("root", 1, lambda target: (target / "old").touch())

    def fail(target: pathlib.Path) -> None:
        raise vm_images.ImageError("no space left")

    with pytest.raises(vm_images.ImageError):
        vm_images._once("root", 2, fail)
    vm_images._once("root", 1, lambda target: (target / "new").touch())
    assert [p.name for p in (images / "root").iterdir()] == ["new"]
    assert sorted(p.name for p in images.iterdir()) == ["root", "root.made"]


@pytest.mark.parametrize(("said", "release"), [
    ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)", 10),
    ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", 7),
    ("sh: not QEMU", None)])
def test_the_release_of_qemu_is_read(
        tmp_path: pathlib.Path, said: str, release: int | None) -> None:
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    assert vm_images.qemu_release(str(program)) == release


def test_a_kernel_that_is_missing_says_what_to_run(
        images: pathlib.Path) -> None:
    with pytest.raises(vm_images.ImageError, match="make vm-images"):
        vm_images.kernel()
