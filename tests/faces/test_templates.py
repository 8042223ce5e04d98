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

"""``ironic-accel templates``: deploy templates and runbooks of profiles."""

from __future__ import annotations

import json
import pathlib

import pytest

from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import first_boot_step
from ironic_accel.conductor.drivers import steps
from ironic_accel.faces.cli import main as cli
from ironic_accel.model import step_templates as templates
from ironic_accel import samples

SAMPLES = pathlib.Path(samples.__file__).parent
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
        'name': 'CUSTOM_ACCEL_CAN_MIG_ON', 'disable_ramdisk': True,
        'steps': [{**step, 'order': 1}]}
    assert offered['runbook_traits'] == ['CUSTOM_ACCEL_CAN_MIG_ON']
    assert other['deploy_template'] is None
    assert other['runbook']['name'] == 'CUSTOM_RUNBOOK_MIG_OFF'
    assert other['runbook_traits'] == ['CUSTOM_RUNBOOK_MIG_OFF']


@pytest.mark.parametrize('name', ['hgx-h100.yaml', 'h100-mig-at-boot.yaml'])
@pytest.mark.parametrize('words', [(), ('--via', 'agent')])
def test_all_steps_are_of_the_interface_that_is_given(
        name: str, words: tuple[str, ...],
        capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for more in ((), ('--interface', 'accelerator')):
        assert cli.main(['templates', '--profile', str(SAMPLES / name),
                         *words, *more]) == 0
        said.append(json.loads(capsys.readouterr().out))
    [before], [after] = (one['profiles'] for one in said)
    for what in ('deploy_template', 'runbook'):
        assert after[what]['steps'] == [
            {**step, 'interface': 'accelerator'}
            for step in before[what]['steps']]


def test_one_profile_of_several(
        two: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['templates', '--profile', two,
                     '--name', 'mig-off']) == 0
    [only] = json.loads(capsys.readouterr().out)['profiles']
    assert only['name'] == 'mig-off'


def test_an_unknown_profile_name_is_an_error(
        two: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['templates', '--profile', two, '--name', 'mig']) == 2
    said = capsys.readouterr()
    assert said.out == ''
    assert "'mig'" in said.err and 'mig-on, mig-off' in said.err


def test_the_out_of_band_priority_is_that_of_the_conductor() -> None:
    assert templates.OUT_OF_BAND_PRIORITY == steps.OUT_OF_BAND_PRIORITY



def steps_of(name: str, capsys: pytest.CaptureFixture[str],
             *more: str) -> tuple[list[tuple[str, int]], bool]:
    """The deploy steps of a sample, and whether its runbook has a ramdisk."""
    assert cli.main(['templates', '--profile', str(SAMPLES / name),
                     *more]) == 0
    [only] = json.loads(capsys.readouterr().out)['profiles']
    return ([(s['step'], s['priority'])
             for s in only['deploy_template']['steps']],
            not only['runbook']['disable_ramdisk'])


@pytest.mark.parametrize('name, steps, ramdisk', [
    ('hgx-h100.yaml', [('apply_profile', 150)], False),
    ('a100-mig.yaml', [('apply_profile', 150)], False),
    ('bluefield3-nic.yaml', [('apply_profile_in_band', 90)], True),
    ('alveo-u55c.yaml', [('apply_profile_in_band', 90)], True),
    ('h100-mig-at-boot.yaml', [('deliver_first_boot', 70)], False),
    ('qat-tls.yaml', [('deliver_first_boot', 70)], True),
])
def test_a_template_has_the_steps_that_its_profile_needs(
        name: str, steps: list[tuple[str, int]], ramdisk: bool,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert steps_of(name, capsys) == (steps, ramdisk)


@pytest.mark.parametrize(('line', 'step'), [
    ('', 'apply_profile'),
    ('in_band: true, ', 'apply_profile_in_band')])
def test_the_catalogue_says_what_is_written_in_band(
        line: str, step: str, tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / 'site.yaml'
    rows.write_text(
        'sources: {acme: the manual of Acme}\n'
        'components:\n'
        '  - {kind: gpu, name: acme-fw, activation: warm-reboot, order: 30, '
        f'{line}source: [acme]}}\n')
    profile = tmp_path / 'profile.yaml'
    profile.write_text(
        'profile: 1\nname: acme\noffered: true\ndevices:\n  gpus:\n'
        '    match: {kind: gpu}\n    firmware:\n'
        '      acme-fw: {version: "2"}\n')
    assert cli.main(['templates', '--profile', str(profile), '--catalogue',
                     str(rows)]) == 0
    [only] = json.loads(capsys.readouterr().out)['profiles']
    assert [s['step'] for s in only['deploy_template']['steps']] == [step]


def test_via_selects_the_transport(capsys: pytest.CaptureFixture[str]) -> None:
    assert steps_of('hgx-h100.yaml', capsys, '--via', 'agent') == (
        [('apply_profile_in_band', 90)], True)


def test_persistent_modes_are_set_before_volatile_ones(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'mixed.yaml'
    path.write_text((SAMPLES / 'h100-mig-at-boot.yaml').read_text().replace(
        'modes: {mig: enabled}', 'modes: {mig: enabled, ecc: enabled}'))
    assert steps_of(str(path), capsys)[0] == [
        ('apply_profile', 150), ('deliver_first_boot', 70)]


def test_priorities_are_accepted_by_the_conductor() -> None:
    assert (first_boot_step.LAST <= templates.FIRST_BOOT_PRIORITY
            <= first_boot_step.FIRST)
    assert templates.IN_BAND_PRIORITY in agent_steps.DEPLOY_PRIORITIES
