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

"""Conductors of two versions on one MariaDB, as in an upgrade.

``make test-series``: the services of the older series are those of the
environment that ``ACCEL_SERVICES_PYTHON`` names, those of the newer one of
``ACCEL_NEWER_PYTHON``, or ours. This tree is installed in both.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import sys

import pytest

from tests.functional.harness import Lab
from tests.functional.harness.lab import SERVICES_PYTHON
from tests.functional.harness import mariadb
from tests.series import earlier
from tests.series import upgrade

#: Names the interpreter of the newer series, where it is not ours.
NEWER_PYTHON = 'ACCEL_NEWER_PYTHON'


@pytest.fixture(scope='session')
def lab() -> Iterator[Lab]:
    """A lab for boxes, images and profiles; its Ironic is not used here."""
    with Lab(python=sys.executable) as running:
        running.ironic.stop()
        running.placement.stop()
        yield running


@pytest.fixture(scope='session')
def database(lab: Lab) -> Iterator[mariadb.MariaDB]:
    """The server of all databases."""
    if mariadb.find_server() is None:
        pytest.skip("Debian's package mariadb-server is missing")
    server = lab.add(mariadb.MariaDB(lab.site, 'mariadb-of-series'))
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture
def of_two_series(lab: Lab, database: mariadb.MariaDB
                  ) -> Iterator[upgrade.Pair]:
    """A conductor of the older series that is up, and a newer one."""
    older = os.environ.get(SERVICES_PYTHON)
    newer = os.environ.get(NEWER_PYTHON, sys.executable)
    if not older or upgrade.series(older) == upgrade.series(newer):
        pytest.skip(f'{SERVICES_PYTHON} names no environment of an older '
                    'series')
    with contextlib.ExitStack() as stack:
        yield upgrade.begin(lab, database.create('of_two_series'), stack,
                            older=older, newer=newer)


@pytest.fixture
def of_two_releases(lab: Lab, database: mariadb.MariaDB
                    ) -> Iterator[upgrade.Pair]:
    """A conductor with an earlier release of ours that is up, and a newer.

    Both have the Ironic of our own environment: the earlier release knows no
    other.
    """
    if upgrade.series(os.environ.get(
            SERVICES_PYTHON, sys.executable)) != upgrade.series(
                sys.executable):
        pytest.skip('the earlier release has no other series than ours')
    tree = lab.folder / 'earlier'
    earlier.extract(tree)
    with contextlib.ExitStack() as stack:
        yield upgrade.begin(lab, database.create('of_two_releases'), stack,
                            tree=tree)
