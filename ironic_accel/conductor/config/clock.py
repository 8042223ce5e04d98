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

"""The clocks, in one place: the time of day, and what only grows.

The time of day of this machine is for people alone. Whatever is waited for
is measured by ``elapsed``, which asks the other clocks here; a time that is
stored and compared later, maybe by another conductor, is one of ``shared``.
"""

from __future__ import annotations

import threading
import time

import sqlalchemy

from ironic_accel import uptime

#: Epoch seconds in the SQL of the databases that Ironic runs on.
_EPOCH = {'sqlite': "(julianday('now') - 2440587.5) * 86400.0",
          'mysql': 'UNIX_TIMESTAMP(NOW(6))',
          'postgresql': 'EXTRACT(EPOCH FROM clock_timestamp())'}


#: Seconds after which the database is asked for its time again.
ASK = 60.0

_asked: tuple[float, float] | None = None
_asked_lock = threading.Lock()


def now() -> float:
    """Epoch seconds by this machine; it may jump, and differ from others'."""
    return time.time()


def steady() -> float:
    """Seconds since this machine was started; see ``uptime``."""
    return uptime.steady()


def boot() -> str:
    """This start of this machine; see ``uptime``."""
    return uptime.boot()


def database() -> float:
    """Epoch seconds by the clock that all conductors share.

    :raises: an error of the database.
    """
    from ironic.db.sqlalchemy import api as db_api
    with db_api._session_for_read() as session:
        name = session.get_bind().dialect.name
        return float(session.execute(sqlalchemy.text(
            f'SELECT {_EPOCH[name]}')).scalar_one())


def shared() -> float:
    """Epoch seconds for values that are stored and compared by any conductor.

    They are the time of the database, advanced by ``steady`` in between, so
    that reading many nodes queries it once. The clock of a conductor is not
    used.

    :raises: an error of the database.
    """
    global _asked
    with _asked_lock:
        tick = steady()
        if _asked is None or not 0 <= tick - _asked[1] < ASK:
            _asked = (database(), steady())
        return _asked[0] + steady() - _asked[1]
