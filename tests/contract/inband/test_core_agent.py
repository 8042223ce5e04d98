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


"""The agent's plug-in, tried in a process of its own.

The agent and Ironic each register options of one name in oslo.config's one
global CONF, so they cannot be imported together.
"""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]


@pytest.mark.skipif(
    importlib.util.find_spec('ironic_python_agent') is None,
    reason='ironic-python-agent is not installed')
def test_the_agents_plug_in() -> None:
    ran = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
         'tests/contract/inband/agent_cases.py',
         'tests/contract/inband/agent_firstboot_cases.py'],
        cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ' passed' in ran.stdout and ' skipped' not in ran.stdout
