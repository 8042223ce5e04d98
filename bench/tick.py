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


"""What a tick of an operation costs a conductor, beside Ironic's lock.

``tick.py [TICKS]``: Ironic's objects on SQLite and a BMC that responds at
once, with devices that are still being discovered: the tick reads it, stores
how far it is and is done, as each poll of a firmware update is. The peer is
Ironic's own lock of the node (``task_manager.acquire`` and its release) with
no work in it. Prints SQL statements and CPU milliseconds of both (the least:
a machine that is busy adds to each), the difference, and the goal.
"""

from __future__ import annotations

from collections.abc import Callable
import pathlib
import sys
import tempfile
import time
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench import audit as bench_audit
from bench import in_flight
from ironic.conductor import task_manager
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.upkeep import periodics

TICKS = 40
#: CPU milliseconds and statements of a tick beside Ironic's lock.
GOAL_MS, GOAL_STATEMENTS = 5.0, 5


def main() -> int:
    """Measure; gives 1 where a tick costs more than it may."""
    ticks = int(sys.argv[1]) if sys.argv[1:] else TICKS
    with tempfile.TemporaryDirectory() as folder:
        context = bench_audit._ironic(pathlib.Path(folder))
        uuids = [in_flight._node(context) for _ in range(ticks + 1)]
        bmc = in_flight._bmc(0.0)
        statements: list[str] = []
        sqlalchemy.event.listen(
            enginefacade.writer.get_engine(), 'before_cursor_execute',
            lambda _connection, _cursor, text, *_: statements.append(text))

        def lock(uuid: str) -> None:
            with task_manager.acquire(context, uuid, shared=False,
                                      purpose='measuring'):
                pass

        def tick(uuid: str) -> None:
            periodics._tick(context, uuid)

        with mock.patch.object(bmc_session, 'backend', autospec=True,
                               return_value=bmc):
            tick(uuids[0])  # What is loaded once is loaded.
            locks = [_cost(lock, uuid, statements) for uuid in uuids[1:]]
            ticked = [_cost(tick, uuid, statements) for uuid in uuids[1:]]
    (lock_ms, lock_sql), (tick_ms, tick_sql) = min(locks), min(ticked)
    more_ms, more_sql = tick_ms - lock_ms, tick_sql - lock_sql
    print(f"Ironic's lock: {lock_ms:.1f} ms, {lock_sql} statements\n"
          f'a tick: {tick_ms:.1f} ms, {tick_sql} statements '
          f'({tick_ms / lock_ms:.1f} times)\n'
          f'beside the lock: {more_ms:.1f} ms (goal {GOAL_MS:g}), '
          f'{more_sql} statements (goal {GOAL_STATEMENTS})')
    return int(more_ms > GOAL_MS or more_sql > GOAL_STATEMENTS)


def _cost(function: Callable[[str], Any], uuid: str, statements: list[str]
          ) -> tuple[float, int]:
    """CPU milliseconds and SQL statements of one call."""
    statements.clear()
    began = time.process_time()
    function(uuid)
    cost = (time.process_time() - began) * 1000
    return cost, sum(text != 'BEGIN' for text in statements)


if __name__ == '__main__':
    sys.exit(main())
