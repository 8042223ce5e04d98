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

"""Inventories and device resets: the work of steps that apply no profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation import host_reset
from ironic_accel.conductor.operation import ownership_followup
from ironic_accel.conductor.publication import publish
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.model import carry_over
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item

LOG = log.getLogger(__name__)

#: The progress of an operation whose last inventory lacked stored devices. If
#: the next complete inventory lacks them too, they count as removed.
_LOST = 'devices are no longer listed, checking again'


@context.register_work(operation.REFRESH_WORK)
def take_inventory(ctx: Context) -> Ending | None:
    """Take an inventory and publish it; power the host on for it if allowed.
    """
    seen = ctx.backend.observe()
    if seen.host == 'off':
        if ctx.operation.power_on and not ctx.node.maintenance:
            return host_reset.power_on(ctx)
        return Ending(ctx.operation, facts={
            'note': 'host off: not inventoried' + (
                ' (in maintenance it is not powered on)'
                if ctx.operation.power_on else ''), **_counts(seen)})
    late = ctx.now > ctx.operation.deadline
    if seen.busy or (not seen.complete and not late):
        return wait(ctx, seen)
    if not late and (seen.partial or _lacks_devices(ctx, seen)):
        return wait(ctx, seen, next(
            (u.words for u in seen.unread if u.kinds or u.facts or u.holds),
            _LOST))
    facts = publish.publish(
        ctx.task, seen, ctx.backend.all_transports, ctx.wall).facts
    if not seen.complete:
        # The available part is published; the error reports that the rest did
        # not appear in time.
        end = wait(ctx, seen)
        return None if end is None else Ending(
            ctx.operation, end.error, facts={**_counts(seen), **facts})
    if 'withheld' in facts and ownership_followup.may_wait(ctx):
        return None
    return Ending(ctx.operation, facts={**_counts(seen), **facts})


def _lacks_devices(ctx: Context, seen: Inventory) -> bool:
    """Whether devices are missing, for the first time in this operation."""
    stored = inventory_store.load(ctx.task)
    if stored is None or ctx.operation.progress == _LOST:
        return False
    whole, _transports = inventory_store.whole(
        ctx.node, stored, inventory_store.known_ids(stored, seen))
    return bool(carry_over.missing(whole, stored.inventory))


@context.register_work('reset')
def reset(ctx: Context) -> Ending | None:
    """Reset devices: begin it, and on later ticks see what became of it."""
    if ctx.operation.ticket is not None:
        return _poll(ctx, ctx.operation.ticket)
    seen = ctx.backend.observe()
    if seen.host == 'off':
        return host_reset.power_on(ctx)
    if seen.busy or not seen.complete:
        return wait(ctx, seen)
    seen = inventory_store.known_ids(inventory_store.load(ctx.task), seen)
    transport, devices = _resettable(ctx, seen)
    if not devices:
        return Ending(ctx.operation, Detail(
            'none of the devices supports a reset',
            ErrorClass.NEEDS_OPERATOR,
            expected=', '.join(ctx.operation.devices) or 'any device',
            seen=', '.join(d.id for d in seen.devices) or 'no device'))
    action = Action('reset', transport, tuple(
        Change(Item(d.id, d.kind, 'device', None), None) for d in devices),
        Activation.DEVICE_RESET)
    flash_guard.check_hold(ctx.task)
    ctx.backend.announce(action)
    # Saved as begun before it is: a reset is not made twice.
    ctx.change(ticket={}, progress='resetting devices')
    flash_guard.put(ctx.node, ', '.join(d.id for d in devices[:3]), ctx.now,
              ctx.pace.lost)
    saving.save(ctx.node)
    ticket = ctx.backend.start(action)
    ctx.change(ticket=dict(ticket), due=ctx.now + ctx.pace.poll)
    return None


def _resettable(ctx: Context, seen: Inventory) -> tuple[str, list[Device]]:
    wanted = set(ctx.operation.devices)
    for transport in ctx.backend.transports(seen):
        found = [d for d in seen.devices if d.id in transport.resets
                 and (not wanted or d.id in wanted)]
        if found:
            return transport.name, found
    return '', []


def _poll(ctx: Context, ticket: Mapping[str, Any]) -> Ending | None:
    if ticket:
        state = ctx.backend.poll(ticket)
        if isinstance(state, Running):
            if ctx.now > ctx.operation.deadline:
                return Ending(ctx.operation, Detail(
                    'the devices did not return after their reset',
                    ErrorClass.NEEDS_OPERATOR, running=state.summary))
            ctx.change(due=ctx.now + ctx.pace.poll, progress=state.summary,
                       percent=state.percent)
            return None
        if isinstance(state, Ended):
            bad = [r for r in state.results if not r.ok]
            if bad:
                return Ending(ctx.operation, bad[0].detail or Detail(
                    'the device was not reset', device=bad[0].ref[0]))
    ctx.change(work=operation.REFRESH_WORK, ticket=None, due=ctx.now)
    return None


def wait(ctx: Context, seen: Inventory, why: str = '') -> Ending | None:
    """Repeat the inventory later, or end the operation past its deadline.

    :param why: what is waited for, if the inventory itself does not have it.
    """
    what = why or seen.unready
    if seen.busy:
        what = f'waiting for {seen.busy[0].kind} {seen.busy[0].summary}'
    if ctx.now > ctx.operation.deadline:
        return Ending(ctx.operation, Detail(
            f'the inventory did not become stable in time: {what}',
            ErrorClass.TRANSIENT, todo='try again'))
    ctx.change(due=ctx.now + ctx.pace.look, progress=what, percent=None,
               failures=0)
    return None


def _counts(seen: Inventory) -> dict[str, Any]:
    return {'host': seen.host, 'complete': seen.complete,
            'found': len(seen.devices)}


def verify(task: Any) -> None:
    """Read the BMC for a bounded time and publish the inventory.

    The host is never powered on for it. The result record has the reason if
    nothing was published. A node whose inventory is not complete yet is
    refreshed once it is manageable.
    """
    node = task.node
    foreign = operation.later_version(node)
    if foreign:
        LOG.warning('Skipping the verification of node %(node)s: %(why)s',
                    {'node': node.uuid, 'why': foreign})
        return
    current = operation.refresh('verify', keys.VERIFY_STEP, power_on=False)
    try:
        found = read_in_time(
            task, current, CONF.accelerator.verify_timeout)
        if found is None:
            note = (f'no response within {CONF.accelerator.verify_timeout} s: '
                    'not inventoried')
        else:
            note = _publish_if_complete(*found)
    except workers.NoFreeWorker as exc:
        # It is read by the next tick of the node's refresh.
        note = _refresh_later(node, f'not read: {exc}')
    except AccelError as exc:
        note = f'not inventoried: {exc}'
    except Exception as exc:
        # A node becomes manageable whatever its accelerators do.
        LOG.exception('Failed to verify the accelerators of node '
                      '%s', node.uuid)
        note = f'not inventoried: {type(exc).__name__}'
    LOG.info('Accelerators of node %(node)s: %(note)s',
             {'node': node.uuid, 'note': note})
    keys.RESULT.put(node, {
        'operation': 'verify', 'step': current.step, 'outcome': 'done',
        'note': note, 'error': None})
    saving.save(node)


def _publish_if_complete(ctx: Context, seen: Inventory) -> str:
    if seen.host == 'off':
        return 'host off: not inventoried'
    if seen.busy:
        return _refresh_later(ctx.node, f'{seen.busy[0].kind} in progress')
    if not seen.complete:
        return _refresh_later(ctx.node, seen.unready)
    publish.publish(ctx.task, seen, ctx.backend.all_transports, ctx.wall)
    return 'inventoried'


def _refresh_later(node: Any, why: str) -> str:
    """Let the node be refreshed once it is manageable.

    Many BMCs do not report when their host was last reset. Their inventory
    counts as stable only if a second one some time later is identical, which
    takes longer than a verify step may. The host is not powered on for it.
    """
    operation.begin_refresh(node, keys.VERIFY_STEP, power_on=False,
                            state=states.MANAGEABLE)
    return f'{why}: not inventoried yet, a refresh follows'


def read_in_time(task: Any, current: operation.Operation, seconds: float
                 ) -> tuple[Context, Inventory] | None:
    """Read a BMC in a worker of lane ``verify``, for a bounded time.

    :returns: None where the BMC did not answer in that time. The read may go
        on; it changes nothing.
    :raises: NoFreeWorker where no worker was free in that time; AccelError
        where the BMC cannot be read.
    """
    def read() -> tuple[Context, Inventory]:
        ctx = context.make(task, current)
        return ctx, ctx.backend.observe()

    try:
        return workers.VERIFY.run(read, seconds)
    except TimeoutError:
        return None
