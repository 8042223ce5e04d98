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
"""Two conductors on MariaDB, over RabbitMQ where it is installed.

``make test-conductors``: it takes some minutes and is not part of ``make
test``, where ``tests/functional/test_two_conductors.py`` is.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os

import pytest

from tests.conductors import pair
from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness import mariadb
from tests.functional.harness import rabbit
from tests.functional.harness.conductors import Conductor


@pytest.fixture(scope='session')
def lab() -> Iterator[Lab]:
    """The lab, whose own Ironic is not used here."""
    with Lab() as running:
        yield running


@pytest.fixture(scope='session')
def two(lab: Lab) -> Iterator[pair.Pair]:
    """Two conductors, up; both serve the nodes of no group."""
    if mariadb.find_server() is None:
        pytest.skip("Debian's package mariadb-server is missing")
    with contextlib.ExitStack() as stack:
        database = lab.add(mariadb.MariaDB(lab.site, 'mariadb-of-two'))
        stack.callback(database.stop)
        database.wait_ready()
        transport = None
        if rabbit.find_server() is not None:
            broker = lab.add(rabbit.Rabbit(lab.site))
            stack.callback(broker.stop)
            broker.wait_ready(120)
            transport = broker.url
        url = database.create('two')
        made = []
        for number in (1, 2):
            one = lab.add(Conductor(
                lab, url, f'conductor-{number}',
                f'127.{os.getpid() % 250 + 1}.{number}.1', number == 1,
                pair.SETTINGS, transport))
            stack.callback(one.stop)
            one.wait_ready(120)
            made.append(one)
        yield pair.Pair(lab, database, made[0], made[1],
                        'RabbitMQ' if transport else
                        "JSON RPC (Debian's package rabbitmq-server is "
                        'missing)')


def pytest_terminal_summary(
        terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests have measured (``record_property``)."""
    figures = [value for reports in terminalreporter.stats.values()
               for report in reports
               if getattr(report, 'when', '') == 'teardown'
               for name, value in report.user_properties
               if name == stage.FIGURE]
    if figures:
        terminalreporter.section('figures of the conductors')
        for figure in figures:
            terminalreporter.line(f'   {figure}')
