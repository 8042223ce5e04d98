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

"""The look of the verify step: short, and never a reason to fail."""

from __future__ import annotations

from concurrent import futures
from typing import Any

from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.publication import publish
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError

LOG = log.getLogger(__name__)


def look_once(task: Any) -> None:
    """Look at the BMC for a bounded time, and publish what is there.

    The node is never powered on for it. What it did, or why it did nothing,
    is in the result record. A box that has not settled is looked at again by
    itself, once the node is manageable.
    """
    node = task.node
    foreign = operation.foreign(node)
    if foreign:
        LOG.warning('Node %(node)s is not looked at: %(why)s',
                    {'node': node.uuid, 'why': foreign})
        return
    current = operation.refresh('verify', keys.VERIFY_STEP, power_on=False)
    try:
        found = bounded(task, current, CONF.accelerator.verify_timeout)
        if found is None:
            note = (f'no answer within {CONF.accelerator.verify_timeout} s: '
                    'not inventoried')
        else:
            note = _take(*found)
    except AccelError as exc:
        note = f'not inventoried: {exc}'
    except Exception as exc:
        # A node becomes manageable whatever its accelerators do.
        LOG.exception('Verifying the accelerators of node %s', node.uuid)
        note = f'not inventoried: {type(exc).__name__}'
    LOG.info('Accelerators of node %(node)s: %(note)s',
             {'node': node.uuid, 'note': note})
    keys.RESULT.put(node, {
        'operation': 'verify', 'step': current.step, 'outcome': 'done',
        'note': note, 'error': None})
    saving.save(node)


def _take(ctx: context.Context, seen: Inventory) -> str:
    if seen.host == 'off':
        return 'host off: not inventoried'
    if seen.busy:
        return _again(ctx, f'{seen.busy[0].kind} under way')
    if not seen.complete:
        return _again(ctx, seen.unready)
    publish.publish(ctx.task, seen, ctx.backend.all_ways, ctx.wall)
    return 'inventoried'


def _again(ctx: context.Context, why: str) -> str:
    """Let the node be looked at again as soon as it is manageable.

    Many BMCs do not tell when their host was last reset, and only a second
    look some time later settles such a tree: longer than a step may take
    that has the API's caller wait. The host is not powered on for it.
    """
    operation.begin_refresh(ctx.node, keys.VERIFY_STEP, power_on=False,
                            state=states.MANAGEABLE)
    return f'{why}: not inventoried yet, looked at again at once'


def bounded(task: Any, current: operation.Operation, seconds: float
             ) -> tuple[context.Context, Inventory] | None:
    """What was seen within a time, or None; reads left over do no harm."""
    def look() -> tuple[context.Context, Inventory]:
        ctx = context.make(task, current)
        return ctx, ctx.backend.observe()

    pool = futures.ThreadPoolExecutor(
        max_workers=1, thread_name_prefix='accel-verify')
    try:
        return pool.submit(look).result(timeout=seconds)
    except futures.TimeoutError:
        return None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
