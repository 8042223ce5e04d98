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

"""The lab with an Ironic that has the interface type ``accelerator``.

``make test-upstream`` makes such an Ironic (``contrib/upstream``) in an
environment of its own, and runs these tests in it. Anywhere else they skip.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

from ironic.drivers import base
from ironicclient.common import filecache
import pytest

from tests.functional.harness import Lab
from tests.functional.harness import machines

SETTINGS = {'DEFAULT': {
    'enabled_accelerator_interfaces':
        'no-accelerator,accel-redfish,accel-idrac'}}


@pytest.fixture(scope='session')
def lab() -> Iterator[Lab]:
    """The lab, with our accelerator interfaces enabled beside the vendor's."""
    if 'accelerator' not in base.ALL_INTERFACES:
        pytest.skip('this Ironic has no interface type accelerator: make '
                    'test-upstream')
    with Lab(SETTINGS) as running:
        yield running


@pytest.fixture
def machine(lab: Lab) -> Iterator[machines.MakeMachine]:
    """Makes simulated boxes with nodes, and takes them away again."""
    with contextlib.ExitStack() as stack:
        def make(*arguments: str, **fields: Any) -> machines.Machine:
            made = lab.machine(*arguments, **fields)
            stack.callback(made.remove)
            return made
        yield make


@pytest.fixture
def host_machine(lab: Lab) -> Iterator[machines.MakeMachine]:
    """The same with a host inside that boots a real agent."""
    with contextlib.ExitStack() as stack:
        def make(*arguments: str, **fields: Any) -> machines.Machine:
            made = lab.host_machine(*arguments, **fields)
            stack.callback(made.remove)
            return made
        yield make


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory,
             monkeypatch: pytest.MonkeyPatch) -> None:
    """The client remembers no version of another Ironic's API."""
    home = tmp_path_factory.mktemp('home')
    monkeypatch.setattr(filecache, 'CACHE', None)
    monkeypatch.setattr(filecache, 'CACHE_FILENAME',
                        str(home / 'version.dbm'))
    monkeypatch.setattr(filecache, 'CACHE_DIR', str(home))
    monkeypatch.setenv('HOME', str(home))
