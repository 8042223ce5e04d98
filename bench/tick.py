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

"""What a tick of an operation costs a conductor, with Ironic's lock.

Ironic's objects on SQLite and a BMC that responds at once, with devices that
are still being discovered: the tick reads it, stores how far it is and is
done, as each poll of a firmware update is. The peer is Ironic's own lock of
the node (``task_manager.acquire`` and its release) with no work in it; a tick
reserves the node and reads it in one transaction, and saves and releases it in
another. CPU milliseconds are the least of all ticks: a machine that is busy
adds to each.
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

from bench.measure import conductor
from bench.measure import in_operation
from bench.measure import results
from ironic.conductor import task_manager
from ironic.conf import CONF
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.upkeep import periodics

TICKS, QUICK = 40, 3
#: CPU milliseconds and statements of a tick: a thousand in two intervals.
GOAL_MS, GOAL_STATEMENTS = 8.0, 6


def main() -> int:
    """Measure."""
    parser = results.parser(__doc__)
    parser.add_argument('ticks', nargs='?', type=int, metavar='TICKS')
    options = parser.parse_args()
    ticks = options.ticks or (QUICK if options.quick else TICKS)
    with tempfile.TemporaryDirectory() as folder:
        context = conductor.begin(pathlib.Path(folder))
        uuids = [in_operation.node(context) for _ in range(ticks + 1)]
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
                               return_value=conductor.bmc(complete=False)):
            # What is loaded once is loaded, and the nodes are as the ticks
            # leave them.
            CONF.set_override('poll_interval', 1, 'accelerator')
            for uuid in uuids:
                tick(uuid)
            time.sleep(1)
            locks = [_cost(lock, uuid, statements) for uuid in uuids[1:]]
            ticked = [_cost(tick, uuid, statements) for uuid in uuids[1:]]
    (lock_ms, lock_sql), (tick_ms, tick_sql) = min(locks), min(ticked)
    report = results.report(__file__, __doc__)
    for what, ours, theirs, unit, goal in (
            ('statements', tick_sql, lock_sql, 'statements',
             GOAL_STATEMENTS),
            ('CPU', tick_ms, lock_ms, 'CPU ms', GOAL_MS)):
        report.add(f'{what} of a tick', ours, unit, results.at_most(goal),
                   results.Peer("Ironic's lock", theirs))
    return report.end(options)


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
