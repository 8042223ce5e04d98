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

Each call does at most one thing to the box and says when to call again. What
it is about to do is saved before it is done, so a caller that dies anywhere
resumes by looking.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from ironic_accel.converge import settle
from ironic_accel.converge import write
from ironic_accel.converge.decide import Act
from ironic_accel.converge.decide import decide
from ironic_accel.converge.decide import Done
from ironic_accel.converge.decide import Fail
from ironic_accel.converge.decide import HostReset
from ironic_accel.converge.outcome import Outcome
from ironic_accel.converge.outcome import PowerOn
from ironic_accel.converge.outcome import Progress
from ironic_accel.converge.outcome import Reset
from ironic_accel.converge.pace import Pace
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Journal
from ironic_accel.converge.ports import Running
from ironic_accel.converge.run import Run
from ironic_accel.model import checks
from ironic_accel.model import join
from ironic_accel.model.checks import Facts
from ironic_accel.model.device import Busy
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record

#: The caller's note in the ticket of a reset intent: it has been performed.
PERFORMED = 'performed'

#: What is left of the ticket of a write that may go on unseen.
_GONE = 'gone'


def begin(profile: Profile, earlier: Record | None, now: float) -> Record:
    """The record of a new run.

    :param earlier: what the last run left: its open intent and its landed
        items are inherited, nothing else.
    :param now: epoch seconds.
    """
    old = earlier.finished() if earlier else Record()
    intent = old.intent
    if intent is not None and intent.kind == 'reset':
        # Nothing is written by a reset, so an unfinished one is forgotten:
        # this run decides anew what is to be activated, and by what.
        intent = None
    elif intent is not None:
        length = intent.deadline - intent.since
        intent = dataclasses.replace(intent, deadline=now + length)
    return dataclasses.replace(
        old, intent=intent, profile=profile.name, digest=profile.digest,
        started=now, deadline=now + 60 * profile.limits.minutes)


def reset_performed(record: Record, now: float) -> Record:
    """Note that the host reset which was asked for has been performed.

    The caller saves the record. Without an open reset it stays as it is.

    :param now: epoch seconds: devices may take a while from here on.
    """
    if record.intent is None or record.intent.kind != 'reset':
        return record
    ticket = {**(record.intent.ticket or {}), PERFORMED: True}
    return dataclasses.replace(
        record, booted=now,
        intent=dataclasses.replace(record.intent, ticket=ticket))


def advance(backend: Backend, images: Images, journal: Journal,
            profile: Profile, record: Record, now: float, facts: Facts,
            pace: Pace | None = None) -> tuple[Outcome, Record]:
    """Go one step towards the profile.

    :param record: from ``begin`` or from the journal.
    :param now: epoch seconds.
    :param facts: the catalogue.
    :returns: what to do next, and the record as it stands: the caller hands
        it to the next call. Whatever must not be lost is saved already.
    :raises: whatever ``journal.save`` raises: nothing has been done then.
    """
    run = Run(backend, images, journal, profile, record, now, facts,
               pace or Pace())
    return _step(run), run.record


def _step(run: Run) -> Outcome:
    if run.now > run.record.deadline:
        return run.fail(Detail(
            f'the run took longer than limits.minutes '
            f'({run.profile.limits.minutes}) allows', ErrorClass.TRANSIENT,
            todo='run it again: it goes on where this one stopped'))
    intent = run.record.intent
    if intent is not None:
        early = _intent(run, intent)
        if early is not None:
            return early
    return _look(run)


def _intent(run: Run, intent: Intent) -> Outcome | None:
    """Go on with what was begun; None where a look at the box is next."""
    if intent.kind == 'reset':
        if (intent.ticket or {}).get(PERFORMED):
            return None
        if run.now > intent.deadline:
            return run.fail(Detail(
                f'the {intent.effect} of the host did not come about in '
                f'{int(intent.deadline - intent.since)} s',
                ErrorClass.NEEDS_OPERATOR, todo='look at the host\'s power'))
        return Reset(intent.effect, Progress(f'{intent.effect} of the host'))
    if intent.ticket is None or intent.ticket.get(_GONE):
        return None
    return _poll(run, intent)


def _poll(run: Run, intent: Intent) -> Outcome | None:
    try:
        poll = run.backend.poll(dict(intent.ticket or {}))
    except Unreachable as exc:
        return run.hold(f'the box does not answer: {exc.detail.summary}',
                        run.pace.unreachable, exc.detail)
    if isinstance(poll, Running):
        if run.now > intent.deadline:
            return run.fail(Detail(
                f'{intent.verb} takes longer than '
                f'{int(intent.deadline - intent.since)} s',
                ErrorClass.TRANSIENT, running=poll.summary,
                todo='wait for it to end, then run again'))
        if run.record.waiting is not None:
            run.save(waiting=None)
        return run.wait(poll.summary, run.pace.poll, poll.percent)
    if isinstance(poll, Ended):
        run.record = settle.ended(run.record, intent, poll)
        run.save(progress=f'{intent.verb} is over, reading back')
    else:
        run.save(intent=dataclasses.replace(intent, ticket={
            _GONE: True} if poll.hidden else None),
                 progress=f'{intent.verb} is lost ({poll.reason}), looking')
    return run.wait(run.record.progress, 0)


def _look(run: Run) -> Outcome:
    """Observe, settle what was left open, decide, and do it."""
    try:
        inventory = run.backend.observe()
    except Unreachable as exc:
        return run.hold(f'the box does not answer: {exc.detail.summary}',
                        run.pace.unreachable, exc.detail)
    inventory = join.rejoin(inventory, run.record.identities)
    if inventory.busy:
        return _busy(run, inventory)
    if inventory.host == 'off':
        run.save(booted=run.now)
        return PowerOn(Progress('the host is off, its devices are unseen'))
    if not inventory.complete:
        return run.hold(inventory.unready, run.pace.incomplete,
                        _incomplete(run, inventory))
    if run.record.waiting is not None:
        run.save(waiting=None)
    if _missing(run, inventory):
        return run.wait('the host is on, devices are still missing',
                        run.pace.look)
    intent = run.record.intent
    if intent is not None:
        left = settle.halfway(intent, inventory)
        if left:
            return _finish(run, intent, left)
        if run.now < intent.since + _patience(run, intent) and (
                settle.in_doubt(intent, inventory, run.facts)):
            return run.wait('in doubt about the last write, looking',
                            run.pace.look)
        run.record = settle.seen(run.record, intent, inventory, run.facts)
        run.save()
    return _do(run, inventory)


def _busy(run: Run, inventory: Inventory) -> Outcome:
    """Something is under way: ours is adopted, all else is waited out."""
    intent = run.record.intent
    if intent is not None and intent.kind == 'action':
        ticket = settle.adopt(intent, inventory.busy)
        if ticket is not None:
            run.save(intent=dataclasses.replace(intent, ticket=ticket))
            return run.wait('found our write again, going on with it', 0)
    what = inventory.busy[0]
    summary = f'{what.kind} {what.summary or what.ref}'
    return run.hold(f'waiting for {summary}', run.pace.busy, Detail(
        f'the box is still busy after {int(run.pace.busy)} s',
        ErrorClass.TRANSIENT, running=summary, todo='wait, then run again'))


def _incomplete(run: Run, inventory: Inventory) -> Detail:
    """What a box that gives no whole look for too long ends with."""
    if inventory.lacking:
        return Detail(
            f'no whole look at the box in {int(run.pace.incomplete)} s: '
            f'{inventory.unready}', ErrorClass.NEEDS_OPERATOR,
            todo='look at what does not answer')
    return Detail(
        'the devices of the host did not all appear in '
        f'{int(run.pace.incomplete)} s', ErrorClass.NEEDS_OPERATOR,
        todo='look at the BMC and at the host\'s boot')


def _patience(run: Run, intent: Intent) -> float:
    """How long to look for a write that nobody can tell of."""
    hidden = bool((intent.ticket or {}).get(_GONE))
    return run.pace.gone if hidden and intent.verb == 'burn' else (
        run.pace.lost)


def _finish(run: Run, intent: Intent, left: Sequence[Busy]) -> Outcome:
    """Bring a write of ours that broke off in the middle to its end."""
    if run.now > intent.deadline:
        return run.fail(Detail(
            f'{intent.verb} broke off and cannot be brought to its end',
            ErrorClass.NEEDS_OPERATOR, running=left[0].summary,
            todo='look at the device'))
    try:
        for work in left:
            run.backend.poll(dict(work.ticket or {}))
    except Unreachable as exc:
        return run.hold(f'the box does not answer: {exc.detail.summary}',
                        run.pace.unreachable, exc.detail)
    return run.wait(f'{intent.verb} broke off, going on with it: '
                    f'{left[0].summary}', run.pace.look)


def _booting(run: Run) -> bool:
    """Whether the host was powered on or reset a short while ago."""
    since = run.record.booted
    return since is not None and run.now - since <= run.pace.appear


def _missing(run: Run, inventory: Inventory) -> bool:
    """Whether a device may still be on its way after the last host reset.

    Boxes say that they are ready while GPUs are not in the tree yet: as long
    as fewer are there than before, or than the profile asks for, a bounded
    wait comes before they count as gone.
    """
    if not _booting(run):
        return False
    if len(inventory.devices) < run.record.devices:
        return True
    return any(
        sum(checks.matches(g, d) for d in inventory.devices)
        < g.count.minimum for g in run.profile.groups)


def _do(run: Run, inventory: Inventory) -> Outcome:
    ways = run.backend.ways(inventory, run.profile.pushes)
    decision, run.record = decide(
        inventory, run.profile, run.record, ways, run.facts)
    if isinstance(decision, Act):
        return write.act(run, decision, inventory)
    if isinstance(decision, HostReset):
        return write.reset_host(run, decision, inventory)
    if isinstance(decision, Fail):
        return run.fail(decision.error)
    if isinstance(decision, Done):
        return write.finish(run, decision.plan)
    if _booting(run) and any(r.seen is None for r in decision.plan.refused):
        return run.wait('the host is on, not everything is seen yet',
                        run.pace.look)
    return run.refuse(decision.plan)
