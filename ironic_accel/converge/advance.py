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

"""The loop: a thin, re-entrant shell around ``decide``.

Each call makes at most one change to the system and returns when to call
again. The change is saved as an intent before it is made, so that a caller
that dies at any point resumes with a new inventory.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from ironic_accel.converge.decide import Act
from ironic_accel.converge.decide import decide
from ironic_accel.converge.decide import Done
from ironic_accel.converge.decide import Fail
from ironic_accel.converge.decide import HostReset
from ironic_accel.converge.decide import Refuse
from ironic_accel.converge import execute
from ironic_accel.converge import intent_resolution
from ironic_accel.converge.outcome import Outcome
from ironic_accel.converge.outcome import Progress
from ironic_accel.converge.outcome import Reset
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Continues
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Journal
from ironic_accel.converge.ports import Pace
from ironic_accel.converge.ports import Running
from ironic_accel.converge import reset_note
from ironic_accel.converge import waits
from ironic_accel.converge.waits import Advance
from ironic_accel.converge import write_watch
from ironic_accel.model import condition
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record


def begin(profile: Profile, earlier: Record | None, now: float) -> Record:
    """The record of a new run.

    :param earlier: what the last run left: its open intent with its start
        time, its staged items, and the copies to fallback slots that are
        still due. Nothing else is inherited.
    :param now: epoch seconds.
    """
    old = earlier.finished() if earlier else Record()
    intent = old.intent
    if intent is not None and intent.kind == 'reset':
        # A reset writes nothing, so an unfinished one is dropped: this run
        # decides again what has to be activated, and by which reset.
        intent = None
    return dataclasses.replace(
        old, intent=intent, profile=profile.name, digest=profile.digest,
        started=now, deadline=now + 60 * profile.limits.minutes)


def reset_performed(record: Record, now: float,
                    proved: Activation | None = None) -> Record:
    """Note that the requested host reset has been performed.

    It counts on every staged item from here on: one that failed has
    activated nothing, and nothing stronger is called for because of it.
    The caller saves the record. Without an open reset it does not change.
    The limits of waits start again, since the number of resets is limited.

    :param now: epoch seconds: from here on devices may take a while to
        appear.
    :param proved: the weaker reset that was certainly performed, if that is
        all that is known.
    """
    intent = record.intent
    if intent is None or intent.kind != 'reset':
        return record
    ticket = {**(intent.ticket or {}), reset_note.PERFORMED: True}
    record = intent_resolution.spend(
        record, proved or intent.activation,
        {x.item.ref for x in record.staged})
    return dataclasses.replace(
        write_watch.begun(record, now), booted=now, waiting=None, awaited='',
        spent={},
        intent=dataclasses.replace(intent, ticket=ticket))


def advance(backend: Backend, images: Images, journal: Journal,
            profile: Profile, record: Record, now: float, facts: Knowledge,
            pace: Pace | None = None) -> tuple[Outcome, Record]:
    """Take one step towards the profile.

    :param record: from ``begin`` or from the journal.
    :param now: epoch seconds.
    :param facts: the catalogue.
    :returns: what to do next, and the record for the next call. What must
        not be lost has been saved.
    :raises: any error of ``journal.save``: nothing has been done then.
    """
    run = Advance(backend, images, journal, profile, record, now, facts,
               pace or Pace())
    return _step(run), run.record


def _step(run: Advance) -> Outcome:
    intent = run.record.intent
    if intent is not None and reset_note.is_failing(intent):
        return Reset(intent.activation, Progress(waits.POWERING_ON))
    if run.now > run.record.deadline:
        return run.fail(Detail(
            f'the run took longer than limits.minutes '
            f'({run.profile.limits.minutes}) allows', ErrorClass.TRANSIENT,
            todo='run it again to continue'))
    if intent is not None:
        early = _intent(run, intent)
        if early is not None:
            return early
    return _look(run)


def _intent(run: Advance, intent: Intent) -> Outcome | None:
    """Continue an open intent; None if an inventory is next."""
    if intent.kind == 'reset':
        if (intent.ticket or {}).get(reset_note.PERFORMED):
            return None
        if run.now > intent.deadline:
            return run.fail(Detail(
                f'the {intent.activation} of the host did not complete '
                f'in {int(intent.deadline - intent.since)} s',
                ErrorClass.NEEDS_OPERATOR,
                todo='check the power state of the host, then run it again'))
        begun = (intent.ticket or {}).get('phase')
        busy = None if begun else _busy_again(run)
        return busy or Reset(
            intent.activation, Progress(f'{intent.activation} of the host'))
    if write_watch.looked_for(intent):
        return None
    return _poll(run, intent)


def _observe(run: Advance) -> Inventory:
    """Read the inventory, with the device ids of the run.

    :raises: Unreachable.
    """
    inventory = condition.marked(
        run.backend.observe(run.record.identities))
    run.busy = inventory.busy
    return inventory


def _busy_again(run: Advance) -> Outcome | None:
    """Wait if the system is busy again since a reset was decided.

    The caller has not started the reset yet, because it was restarted or had
    to wait, and the inventory that the decision rests on is outdated.
    """
    try:
        inventory = _observe(run)
    except Unreachable as exc:
        return waits.away(run, exc)
    early = waits.occupied(run, inventory)
    if early is not None or inventory.host != 'on':
        return early
    due = [x.item for x in run.record.staged]
    if all(intent_resolution.is_told(inventory, item) for item in due):
        return None
    return run.wait('refreshing the inventory before the host reset',
                    run.pace.look)


def _until(run: Advance, intent: Intent) -> float:
    """When (epoch seconds) to stop waiting for a write in progress.

    A write that an earlier run started is waited for within the limit of
    this run.
    """
    return (intent.deadline if intent.since >= run.record.started
            else run.record.deadline)


def _poll(run: Advance, intent: Intent) -> Outcome | None:
    try:
        poll = run.backend.poll(dict(intent.ticket or {}))
    except Unreachable as exc:
        return waits.away(run, exc)
    if isinstance(poll, Running):
        if run.now > _until(run, intent):
            return run.fail(Detail(
                f'the {intent.verb} takes longer than '
                f'{int(intent.deadline - intent.since)} s',
                ErrorClass.TRANSIENT, running=poll.summary,
                todo='wait until it ends, then run it again'))
        run.resume()
        return run.wait(poll.summary, run.pace.poll, poll.percent)
    if isinstance(poll, Continues):
        return execute.go_on(run, intent, poll)
    if isinstance(poll, Ended):
        before = run.record
        run.record = intent_resolution.told(
            run.record, intent, poll, run.now) if intent.verb == 'update' \
            else intent_resolution.ended(run.record, intent, poll)
        run.save(progress=f'{intent.verb} finished, verifying')
        if intent.verb == 'set':
            early = execute.turned_down(run, poll, before, intent.items)
            if early is not None:
                return early
    else:
        run.save(intent=dataclasses.replace(
            intent, ticket=write_watch.noted(intent, write_watch.GONE)),
                 progress=f'{intent.verb} is no longer reported '
                 f'({poll.reason}), verifying')
    return run.wait(run.record.progress, 0)


def _look(run: Advance) -> Outcome:
    """Read the inventory, resolve the open intent, decide, and act."""
    try:
        early = waits.starting(run)
        if early is not None:
            return early
        inventory = _observe(run)
    except Unreachable as exc:
        return waits.away(run, exc)
    early = waits.unready(run, inventory)
    if early is not None:
        return early
    intent = run.record.intent
    if intent is not None:
        left = intent_resolution.halfway(intent, inventory)
        if left:
            return _finish(run, intent, left)
        unsettled = _watch(run, intent, inventory)
        if unsettled is not None:
            return unsettled
        run.record = intent_resolution.seen(
            run.record, intent, inventory, run.facts)
        run.save()
    return _unfolding(run, inventory) or _do(run, inventory)


def _unfolding(run: Advance, inventory: Inventory) -> Outcome | None:
    """Wait for updates that a host reset may have started."""
    if not run.record.staged:
        return None
    if inventory.boot is not None:
        noted = write_watch.begun(run.record, run.now, inventory.boot)
        if noted != run.record:
            run.record = noted
            run.save()
    going = write_watch.unfolding(
        run.record, inventory, run.facts, run.pace, run.now)
    if not going:
        return None
    return run.wait('waiting for an update that the host reset may have '
                    'started: ' + write_watch.names(going), run.pace.look)


def _watch(run: Advance, intent: Intent, inventory: Inventory
           ) -> Outcome | None:
    """Verify a write that is not reported; None once its result is known."""
    if intent_resolution.in_doubt(intent, inventory, run.facts):
        if write_watch.shown(intent):
            run.save(intent=dataclasses.replace(
                intent, ticket=write_watch.noted(intent)))
        answering = {t.name for t in run.backend.transports(
            inventory, run.profile.pushes)}
        if run.now < intent.since + write_watch.patience(
                intent, inventory, run.facts, run.pace, answering):
            return run.wait('verifying the result of the last write: '
                            + write_watch.names(intent.items), run.pace.look)
        return None
    if (intent.verb != 'update' or write_watch.over(intent)
            or write_watch.shown(intent)):
        return None
    run.save(intent=dataclasses.replace(intent, ticket=write_watch.noted(
        intent, write_watch.GONE, write_watch.SHOWN)))
    return run.wait('the last write is visible, verifying it once more',
                    run.pace.look)


def _finish(run: Advance, intent: Intent, left: Sequence[Busy]) -> Outcome:
    """Complete an interrupted write of this run."""
    if run.now > _until(run, intent):
        return run.fail(Detail(
            f'the {intent.verb} was interrupted and cannot be completed',
            ErrorClass.NEEDS_OPERATOR, running=left[0].summary,
            todo='check the device'))
    try:
        for work in left:
            run.backend.poll(dict(work.ticket or {}))
    except Unreachable as exc:
        return waits.away(run, exc)
    return run.wait(f'resuming the interrupted {intent.verb}: '
                    f'{left[0].summary}', run.pace.look)


def _do(run: Advance, inventory: Inventory) -> Outcome:
    transports = run.backend.transports(inventory, run.profile.pushes)
    staged = run.record.staged
    decision, run.record = decide(
        inventory, run.profile, run.record, transports, run.facts)
    if not (isinstance(decision, Refuse) and decision.plan.untold):
        run.resume()
    if isinstance(decision, Act):
        return execute.act(run, decision, inventory)
    if isinstance(decision, HostReset):
        return execute.reset_host(run, decision, inventory)
    if isinstance(decision, Fail):
        return run.fail(decision.error)
    if isinstance(decision, Done):
        if any(x.item.kind == 'mode' and x.tried is None
               and x.item in run.record.attempts for x in staged):
            # Sooner than expected: what was read between the write and its
            # reset proves nothing of the other values.
            run.save()
            return run.wait('the values are active without a reset, '
                            'verifying all', 0)
        return execute.finish(run, decision.plan)
    if waits.booting(run) and any(
            r.seen is None or r.seen in condition.PASSING
            for r in decision.plan.refused):
        return run.wait('the host is on, waiting for its devices to report',
                        run.pace.look)
    if decision.plan.untold:
        return _unread(run, decision.plan)
    return run.refuse(decision.plan)


def _unread(run: Advance, plan: Plan) -> Outcome:
    """A value that the profile needs was not read, or is contradictory.

    The inventory is refreshed up to a limit. After it an unread value is a
    transient failure, and a contradiction is refused.
    """
    no = next((r for r in plan.refused if r.seen is None), plan.refused[0])
    bound = run.pace.incomplete
    if run.patient('unread', bound):
        return run.wait(f'refreshing the inventory: {no.reason}',
                        run.pace.look)
    if no.seen is not None:
        return run.refuse(plan)
    return run.fail(Detail(
        f'incomplete inventory after {int(bound)} s: {no.reason}',
        ErrorClass.TRANSIENT, device=no.item.device, component=no.item.name,
        expected=None if no.expected is None else str(no.expected),
        todo='check what does not respond, then run it again'))
