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

"""Monitoring of a write that outlived its step, until the node is idle.

The node may be in any provision state by then. Nothing is begun here; the next
run verifies the result of the write.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ironic.conductor import utils as manager_utils
from oslo_log import log

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation import guard_followup
from ironic_accel.converge import intent_resolution
from ironic_accel.converge.ports import Continues
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.converge import write_watch as write
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Intent

LOG = log.getLogger(__name__)

OVER = ('the firmware update ended after the step; its result is not '
        'verified: run the step again')
CUT = ('the host was switched off or reset during the update in the ramdisk; '
       'run the step again to verify')
UNKNOWN = ('the state of the firmware update is unknown, the longest time of '
           'one has passed; run the step again to verify')


@context.register_work('watch')
def watch(ctx: Context) -> Ending | None:
    """Monitor a write, and remove the power lock once it has ended.

    It has ended if the device reports the written value or the task has ended,
    and two inventories find the system idle; or if its state is not reported
    for as long as the longest update takes.
    """
    if flash_guard.lock_of(ctx.node) is None:
        return _over(ctx, OVER)
    try:
        _poll(ctx)
        return _look(ctx)
    except Unreachable as exc:
        return _not_reported(ctx, exc.detail.summary)


def inventory_failed(task: Any, current: operation.Operation, why: str
                     ) -> None:
    """The inventory of a monitored write failed; everything is saved.

    An error of a transport does not end a power lock.
    """
    node = task.node
    now = clock.elapsed(node)
    if guard_followup.has_expired(node, now):
        if flash_guard.lock_of(node) is not None:
            _lift(node, why)
        Ending(current, facts={'note': UNKNOWN}).finish(task)
        return
    flash_guard.change(node, state='unknown', quiet=0)
    operation.store(node, current.but(
        due=now + CONF.accelerator.poll_interval, progress=why, percent=None))
    saving.save(node)


def _poll(ctx: Context) -> None:
    """Ask for the task; what ended is remembered."""
    record = operation.load_record(ctx.node)
    intent = record.intent if record else None
    if record is None or intent is None or write.looked_for(intent):
        return
    try:
        state = ctx.backend.poll(dict(intent.ticket or {}))
    except Unreachable:
        if intent.transport != agent_backend.NAME:
            raise
        # The BMC may still report that the host lost its power.
        return
    if isinstance(state, Ended):
        operation.store_record(ctx.node, intent_resolution.told(
            record, intent, state, ctx.now) if intent.verb == 'update'
            else intent_resolution.ended(record, intent, state))
    elif isinstance(state, Continues):
        # The image was taken and not started, which nothing here does.
        operation.store_record(ctx.node, dataclasses.replace(
            record, intent=None))
    elif isinstance(state, Unknown):
        operation.store_record(ctx.node, dataclasses.replace(
            record, intent=dataclasses.replace(
                intent, ticket=write.noted(intent, write.GONE))))


def _look(ctx: Context) -> Ending | None:
    polled = ctx.backend.polled
    if isinstance(polled, Running):
        _continues(ctx, polled.summary, polled.percent)
        return None
    seen = ctx.backend.observe()
    if seen.busy:
        _continues(ctx, seen.busy[0].summary, seen.busy[0].percent)
        return None
    record = operation.load_record(ctx.node)
    intent = record.intent if record else None
    if intent is not None and intent.transport == agent_backend.NAME and (
            _cut(intent, seen)):
        # Whatever ran in the ramdisk ended with it.
        flash_guard.drop(ctx.node)
        return _over(ctx, CUT)
    if seen.held:
        return _not_reported(ctx, seen.held[0].words)
    if intent is not None and intent.transport == agent_backend.NAME \
            and agent_backend.NAME not in seen.seen_via:
        return _not_reported(ctx, 'the agent does not respond')
    if record is not None and intent is not None \
            and intent.kind == 'action':
        if intent_resolution.in_doubt(intent, seen, ctx.facts) \
                and ctx.now < intent.since + write.patience(
                    intent, seen, ctx.facts, ctx.pace):
            return _not_reported(ctx, f'no task reports the {intent.verb}')
        operation.store_record(
            ctx.node, intent_resolution.seen(record, intent, seen, ctx.facts))
    elif record is not None and write.unfolding(
            record, seen, ctx.facts, ctx.pace, ctx.now):
        return _not_reported(ctx, 'the host was reset, which may have '
                                  'started the update')
    if not guard_followup.found_idle(ctx):
        ctx.change(due=ctx.now + ctx.pace.poll, failures=0, percent=None,
                   progress='no update in progress, checking again')
        return None
    return _over(ctx, OVER)


def _continues(ctx: Context, summary: str, percent: int | None) -> None:
    """The system reports that the write continues."""
    guard_followup.running(ctx, summary, percent)
    ctx.change(due=ctx.now + ctx.pace.poll, progress=summary,
               percent=percent, failures=0)


def _not_reported(ctx: Context, why: str) -> Ending | None:
    """No task reports the write: it gets the time of the longest updates."""
    if guard_followup.has_expired(ctx.node, ctx.now):
        _lift(ctx.node, why)
        return _over(ctx, UNKNOWN)
    flash_guard.change(ctx.node, state='unknown', quiet=0)
    ctx.change(due=ctx.now + ctx.pace.poll, progress=why, percent=None,
               failures=0)
    return None


def _lift(node: Any, why: str) -> None:
    standing = flash_guard.lock_of(node)
    what = 'it' if standing is None else standing['what']
    text = (f'removed the power lock of {what}: the state of the update is '
            f'unknown ({why}), but the longest update time has passed')
    LOG.warning('Node %(node)s: %(text)s', {'node': node.uuid, 'text': text})
    saving.history(node, text)
    flash_guard.drop(node)


def _cut(intent: Intent, seen: Inventory) -> bool:
    """Whether the host was powered off or reset since."""
    return seen.host == 'off' or (
        None not in (seen.boot, intent.boot) and seen.boot != intent.boot)


def _over(ctx: Context, note: str) -> Ending:
    if ctx.operation.in_band:
        saving.check(ctx.node)
        manager_utils.wipe_token_and_url(ctx.task)
    return Ending(ctx.operation, facts={'note': note})
