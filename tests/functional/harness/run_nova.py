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

"""Nova's services in one process, for a lab: ``run_nova.py PORT``.

With ``--databases`` for a port it makes its databases and ends.

``OS_NOVA_CONFIG_DIR`` holds nova.conf and api-paste.ini. The databases of
the API, cell 0 and cell 1 are made where they are missing. The services are
upstream's own, put together as in Nova's functional tests: the transport
``fake:/`` delivers within a process, so that no broker is needed.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from typing import Any

from nova import monkey_patch

# Threads, except with Nova 32: its nova-compute copies a tree with a lock
# (nova/scheduler/client/report.py), and a lock of a thread cannot be copied.
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = str(
    "backend" in inspect.signature(monkey_patch.patch).parameters)
monkey_patch.patch()

from nova import context  # noqa: E402
from nova import objects  # noqa: E402
from nova import service  # noqa: E402
from nova.api.openstack import wsgi_app  # noqa: E402
import nova.conf  # noqa: E402
from nova.db import migration  # noqa: E402
import waitress  # noqa: E402

from tests.functional.harness import sqlite  # noqa: E402

CONF = nova.conf.CONF
THREADS = 8
DATABASES = "--databases"
#: Topics by service: nova/{conductor,scheduler,compute}/rpcapi.py.
SERVICES: dict[str, dict[str, str]] = {
    "conductor": {}, "scheduler": {},
    "compute": {"topic_alt": "compute-alt"}}
CELL1 = "00000000-0000-0000-0000-000000000001"


def main() -> None:
    """Be Nova until killed."""
    port = sys.argv[1]
    only_databases = port == DATABASES
    sys.argv = ["nova"]
    sqlite.install()
    _call(wsgi_app.init_global_data, wsgi_app._get_config_files(),
          "osapi_compute", "nova")
    objects.register_all()
    create_databases()
    if only_databases:
        return
    try:
        for name, more in SERVICES.items():
            _call(service.Service.create, binary=f"nova-{name}",
                  topic=name, **more).start()
        application = _call(
            wsgi_app.init_application, "osapi_compute", "nova-api")
    except Exception:
        # Threads of the services that did start would keep us alive.
        traceback.print_exc()
        os._exit(1)
    waitress.serve(application, listen=f"127.0.0.1:{port}", threads=THREADS)


def _call(function: Any, *args: object, **options: object) -> Any:
    """Call a function with those of the arguments that it takes.

    Nova 32 takes neither the name of a program nor ``topic_alt``.
    """
    takes = inspect.signature(function).parameters
    return function(*args[:len(takes)], **{
        name: value for name, value in options.items() if name in takes})


def create_databases() -> None:
    """Make tables and cell mappings, unless an earlier life has."""
    admin = context.get_admin_context()
    migration.db_sync(database="api")
    migration.db_sync(database="main")
    if objects.CellMappingList.get_all(admin):
        return
    connection = CONF.database.connection
    zero = _map(admin, objects.CellMapping.CELL0_UUID, "cell0", "none:///",
                connection.replace("cell1", "cell0"))
    _map(admin, CELL1, "cell1", CONF.transport_url, connection)
    with context.target_cell(admin, zero) as cell:
        migration.db_sync(database="main", context=cell)


def _map(admin: Any, uuid: str, name: str, transport: str,
         connection: str) -> Any:
    cell = objects.CellMapping(
        admin, uuid=uuid, name=name, transport_url=transport,
        database_connection=connection)
    cell.create()
    return objects.CellMapping.get_by_uuid(admin, uuid)


if __name__ == "__main__":
    main()
