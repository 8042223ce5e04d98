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

"""The element for the ramdisk: what it runs, and that it is packaged."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from ipa_hardware_manager.elements import PATH

ELEMENT = PATH / 'ironic-accel'
SCRIPTS = sorted(p for folder in ('install.d', 'post-install.d',
                                'extra-data.d')
                 for p in (ELEMENT / folder).rglob('*') if p.is_file())
DATA, INSTALL, CHECK = SCRIPTS
ENVIRONMENT = ELEMENT / 'environment.d' / '10-ironic-accel.bash'


def stub(folder: pathlib.Path, name: str, status: int = 0) -> None:
    """A program that notes how it was called."""
    path = folder / 'bin' / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/{name}"\n'
                    f'exit {status}\n')
    path.chmod(0o755)


def run(script: pathlib.Path, venv: pathlib.Path,
        **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as diskimage-builder does, after the environment's."""
    return subprocess.run(
        ['bash', '-c', f'source "{ENVIRONMENT}"; exec "{script}"'],
        env={'PATH': os.environ['PATH'], 'DIB_IRONIC_ACCEL_VENV': str(venv),
             **environment}, capture_output=True, text=True, check=False)


def test_scripts_can_be_run() -> None:
    for script in SCRIPTS:
        assert os.access(script, os.X_OK), script
        subprocess.run(['bash', '-n', str(script)], check=True)


def test_the_package_goes_into_the_agents_environment(
        tmp_path: pathlib.Path) -> None:
    stub(tmp_path, 'pip')
    done = run(INSTALL, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'pip').read_text().split() == [
        'install', 'ironic-accel[inband]']
    run(INSTALL, tmp_path, DIB_IRONIC_ACCEL_PACKAGE='/src/ironic-accel')
    assert (tmp_path / 'pip').read_text().split()[-1] == '/src/ironic-accel'


@pytest.mark.parametrize('status', [0, 1])
def test_a_failure_fails_the_build(
        tmp_path: pathlib.Path, status: int) -> None:
    stub(tmp_path, 'pip', status)
    stub(tmp_path, 'python', status)
    for script in (INSTALL, CHECK):
        assert run(script, tmp_path).returncode == status


def test_the_rows_of_a_site_come_into_the_image(
        tmp_path: pathlib.Path) -> None:
    (tmp_path / 'bin').mkdir()
    # As root already.
    (tmp_path / 'bin' / 'sudo').write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / 'bin' / 'sudo').chmod(0o755)
    rows, image = tmp_path / 'rows', tmp_path / 'image'
    rows.mkdir()
    image.mkdir()
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    assert run(DATA, tmp_path, PATH=path,
               TMP_MOUNT_PATH=str(image)).returncode == 0
    assert not list(image.iterdir())
    given = {'PATH': path, 'TMP_MOUNT_PATH': str(image),
             'DIB_IRONIC_ACCEL_CATALOGUE': str(rows)}
    assert run(DATA, tmp_path, **given).returncode != 0, 'no rows at all'
    (rows / 'site.yaml').write_text('sources: {bench: rack 4}\n')
    done = run(DATA, tmp_path, **given)
    assert done.returncode == 0, done.stderr
    there = image / 'etc' / 'ironic-accel' / 'catalogue' / 'site.yaml'
    assert there.read_text() == 'sources: {bench: rack 4}\n'


def test_what_is_checked_in_the_ramdisk_can_be_imported(
        tmp_path: pathlib.Path) -> None:
    pytest.importorskip('ironic_python_agent')
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'python').symlink_to(sys.executable)
    done = run(CHECK, tmp_path, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == 0, done.stderr


def test_tools_come_only_where_they_are_asked_for() -> None:
    wanted = yaml.safe_load((ELEMENT / 'package-installs.yaml').read_text())
    text = ENVIRONMENT.read_text()
    for package, rules in wanted.items():
        if rules:
            name, _, value = rules['when'].partition('=')
            assert value == '1', package
            assert f'export {name}=' in text
