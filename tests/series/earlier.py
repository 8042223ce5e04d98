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

"""An earlier release of ours, out of the history of the checkout."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from tests.functional.harness import process

#: The last commit that wrote ``record/1``, ``inventory/2`` and ``plan/1``.
COMMIT = '1bf64987de76695e2495a6a4f5ec0530a51a242d'
_PARTS = ('ironic_accel', 'ipa_hardware_manager', 'pyproject.toml',
          'setup.cfg', 'README.md')
_METADATA = 'from setuptools import setup; setup()'


def extract(tree: pathlib.Path) -> None:
    """Write its code into a folder, with metadata of its entry points.

    A checkout without history skips the test.
    """
    tree.mkdir()
    archive = subprocess.run(
        ['git', 'archive', COMMIT, *_PARTS], cwd=process.CHECKOUT,
        capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f'this checkout has no commit {COMMIT[:8]}')
    subprocess.run(['tar', '-x', '-C', str(tree)], input=archive.stdout,
                   check=True)
    subprocess.run(
        [sys.executable, '-c', _METADATA, '-q', 'egg_info'], cwd=tree,
        env={**os.environ, 'PBR_VERSION': '0.0.1', 'PYTHONPATH': ''},
        check=True, capture_output=True)
