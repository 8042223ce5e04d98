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

"""One tick of an operation, and its end."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic.common import exception
from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import ramdisk
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import completion
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation.context import End
from ironic_accel.conductor.operation import guard_followup
from ironic_accel.conductor.operation import host_reset
from ironic_accel.conductor.operation import retry
from ironic_accel.conductor.operation import step_end
from ironic_accel.conductor.operation import update_followup
from ironic_accel.conductor.publication import publish
from ironic_accel.converge import advance as converge
from ironic_accel.converge.outcome import Converged
from ironic_accel.converge.outcome import Failed
from ironic_accel.converge.outcome import PowerOn
from ironic_accel.converge.outcome import Refused
from ironic_accel.converge.outcome import Reset
from ironic_accel.converge.outcome import Wait
from ironic_accel.converge.ports import GO
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Plan
from ironic_accel.model.record import Record

LOG = log.getLogger(__name__)

#: Seconds for which one tick goes on where nothing has to be waited for:
#: eight GPUs are eight settings, and need not be eight passes.
CHAIN = 10.0


def tick(task: Any) -> None:
    """Continue the operation of a node by one tick.

    It runs in a worker with an exclusive lock on the node, which it releases
    where that takes nothing (``saving.save_last``). It never raises: an error
    ends the operation or has the tick repeated.
    """
    current = operation.load(task.node)
    if current is None:
        return
    flash_guard.remember(task.node)
    try:
        if saving.restore_overwritten(task.node):
            current = operation.load(task.node) or current
        early = clock.is_uncounted(task.node)
        now = clock.mark(task.node)
        polls = not early and only_polls(task.node, current)
        read_with = saving.token(task.node) if polls else None
        if read_with is None:
            # From here on a conductor that had the node before can no longer
            # save it, or begin a write. A poll that finds a write in
            # progress decides nothing: its end is the first save.
            saving.save(task.node)
        if early and current.due > now \
                and not ramdisk.has_returned(task.node, current):
            # It was due to have its time counted on, no more.
            return
        _tick(task, current, read_with)
    except saving.NotOurs as exc:
        LOG.warning('Stopping work on a node: %s', exc)
    except Exception as exc:
        # Where the database fails, what it has is what the next tick goes
        # on with: nothing is lost, and nothing could be saved now.
        LOG.exception('Unexpected error while working on node %s', current.id
                      if task.node is None else task.node.uuid)
        if task.node is not None and not db_retry.is_transient(exc):
            _unexpected(task, current, exc)


def only_polls(node: Any, current: operation.Operation) -> bool:
    """Whether a tick begins with requests that change nothing.

    That is an inventory to publish, or the poll of a write. Whatever is
    decided after the poll comes after an inventory, before which the node is
    saved (``GuardedBackend.observe``).
    """
    if current.phase != 'run' or current.needs_agent:
        return False
    if current.work == operation.REFRESH_WORK:
        return True
    record = operation.load_record(node)
    intent = record.intent if record else None
    return bool(
        current.work in ('apply', 'watch') and intent is not None
        and intent.kind == 'action' and intent.ticket
        and not intent.ticket.get(GO) and not write_watch.looked_for(intent))


def _unexpected(task: Any, current: operation.Operation,
                exc: Exception) -> None:
    """End an operation after an unexpected error, so that its node does not
    wait forever.

    The text of an unknown exception may contain secrets: it is logged only.
    """
    try:
        if current.work == 'watch':
            update_followup.inventory_failed(task, current,
                             f'unexpected {type(exc).__name__}')
            return
        completion.fail(task, operation.load(task.node) or current, Detail(
            f'unexpected {type(exc).__name__}, see the log of the conductor',
            ErrorClass.NEEDS_OPERATOR, node=task.node.uuid))
    except saving.NotOurs as gone:
        LOG.warning('Stopping work on a node: %s', gone)
    except Exception:
        # The thread of the worker ends here. The operation is still stored, so
        # the next tick tries again to end it.
        LOG.exception('Failed to end operation %s; trying again', current.id)


def _tick(task: Any, current: operation.Operation,
          read_with: str | None) -> None:
    try:
        if current.phase == 'restore':
            end: End | None = _restore(task, current)
        elif current.work == 'refuse':
            end = completion.refused(task, current)
        elif current.needs_agent and ramdisk.wait(task, current):
            return
        else:
            ctx = context.make(task, operation.load(task.node) or current,
                               read_with=read_with)
            end = _work(ctx)
    except (flash_guard.Held, context.BmcBusy) as exc:
        retry.later(task, str(exc.detail.summary))
        return
    except profile_snapshot.LaterFormat as exc:
        retry.await_upgrade(task, current, exc.detail)
        return
    except Unreachable as exc:
        retry.inventory_failed(task, exc.detail, isinstance(exc, NoAccess))
        return
    except saving.NotOurs:
        raise
    except AccelError as exc:
        if current.work == 'watch':
            update_followup.inventory_failed(task, current, exc.detail.summary)
        else:
            completion.fail(task, operation.load(task.node) or current,
                        exc.detail)
        return
    except exception.IronicException as exc:
        if db_retry.is_transient(exc):
            raise
        # Power actions and sessions fail for a while on BMCs that were just
        # reset; Ironic's words carry no secrets of the agent here.
        denied = bmc_session.no_access(task.node, exc)
        retry.inventory_failed(task, denied.detail if denied else Detail(
            f'{type(exc).__name__}: {exc}', ErrorClass.TRANSIENT),
            denied is not None)
        return
    if end is not None:
        end.finish(task)


def _work(ctx: Context) -> End | None:
    try:
        end = context.do_work(ctx)
    except (flash_guard.Held, context.BmcBusy):
        # Nothing was begun, but the inventory counts: otherwise two nodes that
        # share a BMC would wait forever for each other's power lock.
        guard_followup.follow(ctx)
        raise
    ctx.change(writes=ctx.operation.writes + ctx.backend.writes,
               device_resets=(ctx.operation.device_resets
                              + ctx.backend.device_resets),
               requests=ctx.operation.requests + ctx.backend.requests)
    if ctx.operation.work != 'watch':
        guard_followup.follow(ctx)
    if end is None:
        saving.save_last(ctx.task)
    return end


@context.register_work('apply')
def _apply(ctx: Context) -> Ending | None:
    profile = context.limited(
        context.profile_of(ctx.node, ctx.operation), ctx.operation)
    record = operation.load_record(ctx.node)
    if record is None or not record.started:
        # The conductor ended before it could store the end of this run.
        # Another inventory changes nothing on a compliant node.
        record = converge.begin(profile, record, ctx.now)
    until = ctx.now + CHAIN
    while True:
        outcome, record = converge.advance(
            ctx.backend, ctx.images, ctx.journal, profile, record, ctx.now,
            ctx.facts, ctx.pace)
        operation.store_record(ctx.node, record)
        if not isinstance(outcome, Wait):
            break
        ctx.change(due=min(outcome.until, record.deadline + 1), failures=0,
                   progress=outcome.progress.summary,
                   percent=outcome.progress.percent)
        ctx.now = clock.elapsed(ctx.node)
        if outcome.until > ctx.now or ctx.now >= until:
            return None
        saving.save(ctx.node)
    if isinstance(outcome, PowerOn):
        return host_reset.power_on(ctx)
    if isinstance(outcome, Reset):
        _reset(ctx, outcome, record)
        return None
    return _end_run(ctx, outcome)


def _end_run(ctx: Context, outcome: Converged | Refused | Failed) -> Ending:
    """The end of a run; whatever it is, what was seen last is published."""
    if isinstance(outcome, Converged):
        return completion.converged(ctx, outcome)
    plan = outcome.plan if isinstance(outcome, Refused) else None
    error = (_refusal(ctx, plan) if plan
             else _with_limit(ctx, outcome.error)
             if isinstance(outcome, Failed) else None)
    facts: Mapping[str, Any] = {}
    seen = ctx.backend.last
    if seen is not None and seen.complete and not seen.busy:
        facts = publish.publish(
            ctx.task, seen, ctx.backend.all_transports, ctx.wall, plan=plan
        ).facts
    return Ending(ctx.operation, error, plan.to_dict() if plan else None,
                  facts, seen=seen)


def _with_limit(ctx: Context, error: Detail) -> Detail:
    """A failure, and what kept the host from a reset that the profile allows.
    """
    current = ctx.operation
    if not current.why or current.activation is None:
        return error
    limit = Activation(current.activation)
    profile = context.profile_of(ctx.node, current)
    if profile.limits.reset.rank <= limit.rank:
        return error
    return dataclasses.replace(error, summary=(
        f'{error.summary}; a reset stronger than {limit} was not allowed: '
        f'{current.why}'))


def _refusal(ctx: Context, plan: Plan) -> Detail:
    """A plan's refusals in one detail: the first, and how many more."""
    first = plan.refused[0]
    more = len(plan.refused) - 1
    command = step_end.command(ctx.node, ctx.operation, 'plan')
    summary = f'refused, nothing was changed: {first.reason}'
    if ctx.operation.why:
        summary += f' ({ctx.operation.why})'
    if not ctx.backend.updates:
        summary += ('; firmware updates in a deploy step require allow: '
                    '[burn_at_deploy] in the profile')
    if more:
        summary += f'; {more} more refused'
    return Detail(
        summary, ErrorClass.NEEDS_OPERATOR,
        device=first.item.device or None, component=first.item.name or None,
        expected=None if first.expected is None else str(first.expected),
        seen=None if first.seen is None else str(first.seen),
        todo=None if command is None else f'all refusals: {command}')


def _reset(ctx: Context, outcome: Reset, record: Record) -> None:
    """Go one step on with a host reset.

    A host that was on is on again at the end, whatever becomes of the reset.
    """
    if ctx.operation.restore is None:
        ctx.change(restore=states.POWER_ON)
    step = host_reset.perform(
        ctx.task, ctx.journal, record, outcome.activation, ctx.now,
        _shut_down_first(ctx))
    operation.store_record(ctx.node, step.record)
    ctx.change(due=step.until, progress=step.summary, percent=None, failures=0,
               resets=ctx.operation.resets + int(step.performed))


def _shut_down_first(ctx: Context) -> bool:
    """Whether an operating system is asked to shut down first.

    It is wherever an operating system may lose data: one that ran when the
    step began, in a clean too, and an instance, also if this step powered it
    on. It is not for the ramdisk, which Ironic itself powers off, nor for
    whatever booted on an unused host that this step powered on for an
    inventory.
    """
    current = ctx.operation
    if current.ramdisk:
        return False
    return (current.restore != states.POWER_OFF
            or current.kind == 'service' or bool(ctx.node.instance_uuid))


def _restore(task: Any, current: operation.Operation) -> Ending | None:
    """Give the host the power state back that it had, once nothing runs."""
    if flash_guard.lock_of(task.node) is not None:
        ctx = context.make(task, current)
        ctx.backend.observe()
        guard_followup.follow(ctx)
        if flash_guard.lock_of(task.node) is not None and (
                ctx.now <= current.deadline):
            ctx.change(due=ctx.now + ctx.pace.poll, failures=0,
                       progress='waiting until the system is idle')
            saving.save(task.node, touch=True)
            return None
    state = completion.to_restore(current.outcome or {}, current)
    standing = flash_guard.lock_of(task.node)
    if state is not None and standing is None:
        host_reset.power(task, state)
    elif state is not None and standing is not None:
        current = completion.not_restored(task, current, Detail(
            f"an update of {standing['what']} may still be in progress"))
    return Ending.restored(current)
