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

"""What the documentation names is there: options, commands, steps, tables."""

from __future__ import annotations

from importlib import metadata
import pathlib
import re

from ironic_accel.conductor.config import options
from ironic_accel.conductor.drivers.agent_steps import STEP
from ironic_accel.conductor.drivers import vendor
from ironic_accel.faces.cli import main as cli
from ironic_accel.model import loader

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {path: path.read_text(encoding="utf-8") for path in (
    *(ROOT / "doc/source").rglob("*.rst"), ROOT / "README.md",
    *(ROOT / "releasenotes/notes").glob("*.yaml"))}
ALL = "\n".join(PAGES.values())


def test_each_option_that_is_named_is_one() -> None:
    named = set(re.findall(r"\[accelerator\]\s*([a-z_]+)", ALL))
    known = {option.name for option in options.OPTIONS}
    assert len(named) > 20
    assert named <= known


def test_each_option_is_told_of_by_a_page_too() -> None:
    assert [option.name for option in options.OPTIONS
            if option.name not in ALL] == []


def test_each_command_that_is_named_is_one() -> None:
    named = set(re.findall(r"(?:\$|``|^ {4})(?:openstack )?baremetal "
                           r"accelerator ([a-z]+)", ALL, re.MULTILINE))
    known = {point.name.split("_")[2] for point in metadata.entry_points(
        group="openstack.baremetal.v1")
        if point.name.startswith("baremetal_accelerator_")}
    assert named == known


def test_each_verb_that_is_named_is_one() -> None:
    named = set(re.findall(r"(?:\$|``|^ {4})ironic-accel ([a-z]+)", ALL,
                           re.MULTILINE))
    assert named == set(cli.COMMANDS)


def test_each_step_in_a_request_is_one() -> None:
    named = set(re.findall(r'"step": "([a-z_]+)"', ALL))
    assert {"apply_profile", STEP} <= named
    assert {name for name in named
            if not hasattr(vendor.Accelerator, name)} == {STEP}


def test_each_profile_on_a_page_is_valid() -> None:
    found = [block for text in PAGES.values() for block in re.findall(
        r"code-block:: yaml\n(?: +:\w+:.*\n)*\n"
        r"((?:    ? ?profile: [12]\n)(?:    ?.*\n|\n)+)",
        text)]
    assert len(found) >= 3
    for block in found:
        lines = block.splitlines()
        deep = len(lines[0]) - len(lines[0].lstrip())
        profiles = loader.load_text(
            "\n".join(line[deep:] for line in lines) + "\n", source="a page")
        assert profiles
