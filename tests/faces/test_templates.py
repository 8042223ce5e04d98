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

"""``ironic-accel templates``: what Ironic is told of a profile."""

from __future__ import annotations

import json
import pathlib

import pytest

from ironic_accel.cli import main as cli
from ironic_accel.cli import templates
from ironic_accel.conductor import steps

TWO = """\
profile: 1
name: mig-on
offered: true
devices:
  gpus:
    match: {kind: gpu}
    modes: {mig: enabled}
---
profile: 1
name: mig-off
devices:
  gpus:
    match: {kind: gpu}
    modes: {mig: disabled}
"""


@pytest.fixture
def two(tmp_path: pathlib.Path) -> str:
    """A file of an offered profile and one that is not."""
    path = tmp_path / 'two.yaml'
    path.write_text(TWO)
    return str(path)


def test_an_offered_profile_has_template_and_runbook(
        two: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['templates', '--profile', two]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said['schema'] == 'templates/1'
    offered, other = said['profiles']
    step = {'interface': 'vendor', 'step': 'apply_profile',
            'args': {'profile': 'mig-on'}}
    assert offered['deploy_template'] == {
        'name': 'CUSTOM_ACCEL_CAN_MIG_ON',
        'steps': [{**step, 'priority': 150}]}
    assert offered['runbook'] == {
        'name': 'accel-mig-on', 'disable_ramdisk': True,
        'steps': [{**step, 'order': 1}]}
    assert offered['runbook_traits'] == ['CUSTOM_ACCEL_CAN_MIG_ON']
    assert (other['deploy_template'], other['runbook_traits']) == (None, [])


def test_one_profile_of_several(
        two: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['templates', '--profile', two,
                     '--name', 'mig-off']) == 0
    [only] = json.loads(capsys.readouterr().out)['profiles']
    assert only['name'] == 'mig-off'


def test_a_name_that_is_not_there(
        two: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['templates', '--profile', two, '--name', 'mig']) == 2
    said = capsys.readouterr()
    assert said.out == ''
    assert "'mig'" in said.err and 'mig-on, mig-off' in said.err


def test_the_priority_is_the_conductors() -> None:
    assert templates.OUT_OF_BAND_PRIORITY == steps.OUT_OF_BAND_PRIORITY
