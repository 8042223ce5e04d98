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

"""A tick that could not be done: it is repeated later, or ends the operation.

Nothing was begun in such a tick: another node uses the BMC, the BMC does not
respond, or a later release of the conductor has to continue the run.
"""

from __future__ import annotations

from typing import Any

from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import completion
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation import update_followup
from ironic_accel.converge import reset_note
from ironic_accel.converge import write_watch
from ironic_accel.model.errors import Detail

LOG = log.getLogger(__name__)

#: Poll intervals until the next attempt if another node was in the way.
RETRY = 2


def await_upgrade(task: Any, current: Operation, why: Detail) -> None:
    """Leave a run to a conductor of a later release, until its deadline."""
    record = operation.load_record(task.node)
    if record is None or clock.elapsed(task.node) > record.deadline:
        completion.fail(task, operation.load(task.node) or current, why)
    else:
        later(task, why.summary)


def later(task: Any, why: str) -> None:
    """Repeat the tick later; nothing was begun."""
    current = operation.load(task.node)
    if current is None:
        return
    due = (clock.elapsed(task.node)
           + RETRY * CONF.accelerator.poll_interval)
    operation.store(task.node, current.but(
        due=due, progress=why, percent=None))
    saving.save(task.node, touch=True)


def _is_expected(node: Any, current: Operation) -> bool:
    """Whether a BMC that lets nobody in is waited for: because of what the
    run has done, or because an update that it has begun is in progress."""
    record = operation.load_record(node)
    if record is None:
        return False
    now, longest = clock.elapsed(node), context.pace(current).unreachable
    return (reset_note.may_be_off(record)
            or reset_note.restarts_bmc(record, now, longest)
            or write_watch.is_updating(record, now, longest))


def inventory_failed(task: Any, detail: Detail, lasting: bool = False
                     ) -> None:
    """Count a failed inventory; too many in a row end the operation.

    :param lasting: whether the BMC lets nobody in. That ends the operation at
        once, unless the BMC restarts because of it, or the host is off
        because of it, or a device is being updated.
    """
    current = operation.load(task.node)
    if current is None:
        return
    if current.work == 'watch':
        update_followup.inventory_failed(task, current, detail.summary)
        return
    failures = current.failures + 1
    if failures >= CONF.accelerator.max_failures or (
            lasting and not _is_expected(task.node, current)):
        if current.phase == 'restore':
            # The result of the operation is known; only the power state was
            # not restored, which the result and the node report.
            current = completion.not_restored(task, current, detail)
            Ending.restored(current).finish(task)
        else:
            completion.fail(task, current, detail)
        return
    LOG.warning('Node %(node)s: inventory failed %(n)d times in a row: '
                '%(why)s', {
        'node': task.node.uuid, 'n': failures, 'why': detail.summary})
    operation.store(task.node, current.but(failures=failures))
    later(task, detail.summary)
