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

"""Renewal and release of the power lock, by what an inventory reports."""

from __future__ import annotations

from typing import Any

from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import StoredGuard
from ironic_accel.conductor.operation.context import Context
from ironic_accel.converge.ports import Running
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Inventory

LOG = log.getLogger(__name__)

#: Consecutive inventories that have to find a system idle: a background copy
#: begins a moment after the task of a push has ended.
QUIET = 2

#: How often the longest time may pass without any progress before it is
#: reported.
STUCK = 2


def follow(ctx: Context) -> None:
    """Take into the guard what a tick has seen; the caller saves the node.
    """
    polled, seen = ctx.backend.polled, ctx.backend.last
    if isinstance(polled, Running):
        running(ctx, polled.summary, polled.percent)
    elif seen is not None and seen.busy:
        what = seen.busy[0]
        if flash_guard.lock_of(ctx.node) is None:
            # It continues without an intent of ours, as a background copy.
            flash_guard.put(ctx.node, f'{what.kind} {what.summary or what.ref}'
                      .strip(), ctx.now,
                      CONF.accelerator.lost_update_timeout, 'busy')
        running(ctx, what.summary, what.percent)
    elif flash_guard.lock_of(ctx.node) is not None:
        if seen is None or seen.held or is_open(ctx):
            flash_guard.change(ctx.node, state='unknown', quiet=0)
        else:
            found_idle(ctx)


def running(ctx: Context, summary: str, percent: int | None) -> None:
    """The system reports that the update continues."""
    standing = flash_guard.lock_of(ctx.node)
    if standing is None:
        return
    last = f'{summary} {percent}'
    values = {'state': 'running', 'quiet': 0, 'last': last}
    if last != standing.get('last'):
        values['moved'] = ctx.now
    standing = flash_guard.change(ctx.node, **values)
    stuck = ctx.now - standing.get('moved', ctx.now)
    longest = standing.get('longest', 0.0)
    if stuck > STUCK * longest and not standing.get('told'):
        flash_guard.change(ctx.node, told=True)
        _alert(ctx, standing, summary, stuck)


def found_idle(ctx: Context) -> bool:
    """An inventory found the system idle; whether that ends the power lock."""
    standing = flash_guard.lock_of(ctx.node)
    looks = (0 if standing is None else standing.get('quiet', 0)) + 1
    if looks >= QUIET:
        flash_guard.drop(ctx.node)
        return True
    flash_guard.change(ctx.node, state='quiet', quiet=looks)
    return False


def is_open(ctx: Context) -> bool:
    """Whether the result of a write is still unknown."""
    record = operation.load_record(ctx.node)
    intent = record.intent if record else None
    return ctx.operation.ticket is not None or (
        intent is not None and intent.kind == 'action') or bool(
        record and write_watch.may_run(record, ctx.now, ctx.pace.gone))


def has_expired(node: Any, now: float) -> bool:
    """Whether an update without a reported state has had the longest time.

    It is searched once more by what the system reported last.

    :param now: the time of the node.
    """
    standing = flash_guard.lock_of(node)
    return standing is None or bool(
        standing.get('state') != 'running'
        and now > standing.get('since', now) + standing.get('longest', 0.0))


def idle(seen: Inventory) -> bool:
    """Whether an inventory reports that no update is in progress."""
    return not seen.busy and not seen.held


def _alert(ctx: Context, standing: StoredGuard, summary: str,
           seconds: float) -> None:
    text = (f"the update of {standing['what']} has shown no progress for "
            f'{int(seconds // 60)} minutes ("{summary}"), twice the longest '
            'update time. The power lock stays until the BMC reports that the '
            'update has ended. Check the BMC; if no update is in progress any '
            f'more, run: baremetal accelerator unlock {ctx.node.uuid}'
            ' --reason ...')
    LOG.error('Node %(node)s: %(text)s', {
        'node': ctx.node.uuid, 'text': text})
    saving.history(ctx.node, text, error=True)
