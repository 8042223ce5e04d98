# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The simulated BMC as a process of its own.

pyghmi as a client and pyghmi as a server share one event loop within a
process, so they are not tried in one.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import subprocess
import sys

from tests.contract.ipmi import fake_bmc


@contextlib.contextmanager
def bmc_process(scene: str) -> Iterator[int]:
    """Run a BMC; its port, which the system chose."""
    process = subprocess.Popen(
        [sys.executable, fake_bmc.__file__, '0', scene],
        stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
