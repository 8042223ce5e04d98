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

"""A MariaDB, for what SQLite does in another way."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import pathlib

from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from oslo_db.sqlalchemy import enginefacade
import pytest
import sqlalchemy

from tests.functional.harness import mariadb
from tests.functional.harness import ports
from tests.functional.harness import process
from tests.functional.harness import services


@pytest.fixture(scope='module')
def server(database: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
           ) -> Iterator[sqlalchemy.Engine]:
    """An engine of a MariaDB with Ironic's tables, which Ironic uses."""
    if mariadb.find_server() is None:
        pytest.skip("Debian's package mariadb-server is missing")
    with contextlib.ExitStack() as stack:
        site = services.Site(tmp_path_factory.mktemp('mariadb'),
                             ports.Ports(), process.Reaper())
        stack.callback(site.ports.close)
        stack.callback(site.reaper.close)
        service = mariadb.MariaDB(site)
        stack.callback(service.stop)
        service.start()
        service.wait_ready()
        url = service.create('ironic')
        manager = enginefacade.transaction_context()
        manager.configure(connection=url)
        engine = manager.writer.get_engine()
        stack.callback(engine.dispose)
        models.Base.metadata.create_all(engine)
        stack.callback(enginefacade._context_manager.patch_factory(manager))
        stack.callback(CONF.set_override, 'connection',
                       f'sqlite:///{database}', 'database')
        CONF.set_override('connection', url, 'database')
        yield engine
