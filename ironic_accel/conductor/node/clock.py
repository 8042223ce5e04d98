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

"""The clocks, in one place, and the elapsed time of a node.

The time of day of this machine (``now``) is for people alone. A time that is
stored and compared later, maybe by another conductor, is one of ``shared``.

Deadlines, waits and power locks are measured in the elapsed time of a node,
which only grows, whichever conductor counts it. It is stored with the node
and begins with the time of day, so that it reads like one. From then on it is
advanced by the time that passed:

- the machine that counted last adds the seconds since its own start, which
  setting a clock does not change;

- another machine, or the same one after a restart, adds the time by the clock
  of Ironic's database, which all conductors share; at most ``STEP`` at once,
  since that clock may be set, too. It counts too little rather than too much:
  a wait gets longer, and no power lock ends early.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import sqlalchemy

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node.stored_values import StoredClock
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


@db_retry.repeated
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


#: Seconds that the count moves on at most where another machine takes over.
#: Conductors are missed after a minute, by default.
STEP = 600.0

#: The longest pause of an operation, in seconds, whatever a BMC asks for.
PAUSE = 600.0


def elapsed(node: Any) -> float:
    """The time of a node, according to its last ``mark`` and this machine.

    :param node: a node, or anything with ``driver_internal_info``.
    """
    mark_ = _mark_of(node)
    if mark_ is None:
        return now()
    step = 0.0
    if mark_['boot'] == boot():
        step = max(0.0, steady() - float(mark_['steady']))
    return float(mark_['at']) + step


def is_uncounted(node: Any) -> bool:
    """Whether this machine has not counted the time of a node yet.

    The time does not advance on this machine until then.
    """
    mark_ = _mark_of(node)
    return mark_ is not None and mark_['boot'] != boot()


def mark(node: Any) -> float:
    """Move the time of a node on; the caller saves the node.

    :returns: it.
    :raises: an error of the database.
    """
    there = _mark_of(node)
    ours = there is not None and there['boot'] == boot()
    # Of the database's time nothing is added where this machine counted last,
    # so the one that it is known to have by now will do.
    common = shared() if ours else database()
    at = elapsed(node)
    if there is not None and not ours:
        at += min(max(0.0, common - there['database']), STEP)
    keys.CLOCK.put(node, {
        'at': at, 'boot': boot(), 'steady': steady(),
        'database': common})
    return at


def bounded(seconds: float) -> float:
    """How long a BMC is left alone that asks for it."""
    if not math.isfinite(seconds):
        return PAUSE
    return min(max(seconds, 0.0), PAUSE)


def pause(now_: float, until: float, kind: str) -> float:
    """When to continue if a BMC asks to wait until a time.

    A BMC may ask for a wait of a year. Ironic fails an operation that is not
    touched within its callback timeout.

    :param kind: the operation of Ironic.
    """
    allowed = PAUSE
    timeout = getattr(CONF.conductor, f'{kind}_callback_timeout', 0)
    if timeout:
        allowed = min(allowed, timeout / 3)
    if not math.isfinite(until):
        return now_ + allowed
    return min(until, now_ + allowed)


def _mark_of(node: Any) -> StoredClock | None:
    return keys.CLOCK.of(node)
