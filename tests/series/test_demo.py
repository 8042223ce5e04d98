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

"""The demo's whole story on the real services of a series, Nova included."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.functional.harness import process

SECONDS = 1200


@pytest.mark.timeout(SECONDS + 60)
def test_the_demo_comes_as_it_is_told() -> None:
    told = subprocess.run(
        [sys.executable, '-m', 'ironic_accel.faces.cli.main', 'demo',
         '--nova'], cwd=process.CHECKOUT, env=process.environment({}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
    assert told.returncode == 0, told.stdout[-3000:]
    assert 'All of it came as it is told' in told.stdout
