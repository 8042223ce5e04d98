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

"""SQLite as Placement and Nova need it under concurrent requests.

It is not set up so for Ironic, which operators run on SQLite.

oslo.db begins transactions deferred; a read that turns into a write then
fails at once with "database is locked", however long the busy timeout, when
somebody else has written in between (https://sqlite.org/isolation.html and
lang_transaction.html). Immediate transactions wait for their turn instead.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import event

BUSY_MILLISECONDS = 60_000


def install() -> None:
    """Set it up for every engine of this process that is made from now on.

    Listeners on the class run before those that oslo.db hangs on its engine,
    and oslo.db leaves a connection alone that is marked as begun.
    """
    event.listen(sqlalchemy.Engine, "connect", _connect)
    event.listen(sqlalchemy.Engine, "begin", _begin)


def _connect(connection: Any, record: Any) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        # A lab's database has to outlive a killed process, not a power cut.
        connection.execute("PRAGMA synchronous=OFF")


def _begin(connection: Any) -> None:
    if (connection.dialect.name == "sqlite"
            and "in_transaction" not in connection.info):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.info["in_transaction"] = True
