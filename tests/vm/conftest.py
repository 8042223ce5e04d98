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

"""A virtual machine for the tests of what is read and written in band.

``make test-vm``; where QEMU or the images are missing, they skip and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import pathlib
import shutil
import tempfile

import pytest

from tests.functional.harness import process
from tests.vm import hardware
from tests.vm.harness import guest


@pytest.fixture(scope='session')
def folder() -> Iterator[pathlib.Path]:
    """A folder with a short path, removed if all has passed."""
    made = pathlib.Path(tempfile.mkdtemp(prefix='accel-vm-'))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope='session')
def reaper() -> Iterator[process.Reaper]:
    """Ends the machines of a run that is killed."""
    with contextlib.closing(process.Reaper()) as made:
        yield made


@pytest.fixture(scope='session')
def machine(folder: pathlib.Path, reaper: process.Reaper
            ) -> Iterator[guest.Guest]:
    """The machine, up."""
    why = guest.why_not()
    if why is not None:
        pytest.skip(why)
    own = folder / 'machine'
    own.mkdir()
    with guest.Guest(own, hardware.arguments(), guest.environment_shares(),
                     reaper=reaper) as made:
        print(f'up after {made.seconds:.0f} s: {made.hello}')
        yield made
