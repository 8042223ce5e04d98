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
"""The database of a benchmark: SQLite, or a MariaDB of its own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import pathlib

from tests.functional.harness import mariadb
from tests.functional.harness import ports
from tests.functional.harness import process
from tests.functional.harness import services

SQLITE, MARIADB = 'sqlite', 'mariadb'


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses it."""
    parser.add_argument(
        '--database', metavar='NAME', help=f'{SQLITE} (whose work counts as '
        f'ours), {MARIADB} (a server of its own), or the URL of an empty '
        f'database; {MARIADB} by default where it is installed')


@contextlib.contextmanager
def opened(options: argparse.Namespace, folder: pathlib.Path
           ) -> Iterator[str]:
    """The URL of an empty database.

    :param options: with that of ``add_option``; with ``--quick`` it is
        SQLite's by default.
    """
    name = options.database or (
        SQLITE if options.quick or mariadb.find_server() is None else MARIADB)
    if name == SQLITE:
        yield f'sqlite:///{folder}/ironic.sqlite'
    elif name != MARIADB:
        yield name
    else:
        with contextlib.ExitStack() as stack:
            pool = ports.Ports()
            stack.callback(pool.close)
            reaper = process.Reaper()
            stack.callback(reaper.close)
            server = mariadb.MariaDB(
                services.Site(folder / 'services', pool, reaper))
            stack.callback(server.stop)
            server.start()
            server.wait_ready()
            yield server.create('ironic')
