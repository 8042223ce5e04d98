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

import dataclasses

from ironic_accel.converge import settle
from ironic_accel.converge.decide import Act
from ironic_accel.converge.decide import decide
from ironic_accel.converge.decide import Done
from ironic_accel.converge.decide import Fail
from ironic_accel.converge.decide import HostReset
from ironic_accel.converge.outcome import Converged
from ironic_accel.converge.outcome import Failed
from ironic_accel.converge.outcome import Outcome
from ironic_accel.converge.outcome import PowerOn
from ironic_accel.converge.outcome import Progress
from ironic_accel.converge.outcome import Refused
from ironic_accel.converge.outcome import Reset
from ironic_accel.converge.outcome import Wait
from ironic_accel.converge.pace import Pace
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Journal
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Running
from ironic_accel.model import join
from ironic_accel.model.checks import Facts
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import action_key
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Refusal
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Intent
from ironic_accel.model.record import item_key
from ironic_accel.model.record import Record

#: The caller's note in the ticket of a reset intent: it has been performed.
PERFORMED = 'performed'


def begin(profile: Profile, earlier: Record | None, now: float) -> Record:
    """The record of a new run.

    :param earlier: what the last run left: its open intent and its landed
        items are inherited, nothing else.
    :param now: epoch seconds.
    """
    old = earlier.finished() if earlier else Record()
    return dataclasses.replace(
        old, profile=profile.name, digest=profile.digest, started=now,
        deadline=now + 60 * profile.limits.minutes)


def reset_performed(record: Record) -> Record:
    """Note that the host reset which was asked for has been performed.

    The caller saves the record. Without an open reset it stays as it is.
    """
    if record.intent is None or record.intent.kind != 'reset':
        return record
    ticket = {**(record.intent.ticket or {}), PERFORMED: True}
    return dataclasses.replace(
        record, intent=dataclasses.replace(record.intent, ticket=ticket))


@dataclasses.dataclass
class _Run:
    """One call of ``advance``: its ports, and the record as it changes."""

    backend: Backend
    images: Images
    journal: Journal
    profile: Profile
    record: Record
    now: float
    facts: Facts
    pace: Pace

    def save(self, **changes: object) -> None:
        """Change the record and make it durable."""
        self.record = dataclasses.replace(
            self.record, **changes)  # type: ignore[arg-type]
        self.journal.save(self.record)

    def wait(self, summary: str, seconds: float,
             percent: int | None = None) -> Wait:
        """Come back later; the progress is kept for others to read."""
        if summary != self.record.progress:
            self.record = dataclasses.replace(self.record, progress=summary)
        return Wait(self.now + seconds, Progress(summary, percent))

    def hold(self, summary: str, bound: float, detail: Detail) -> Outcome:
        """Wait for the box, but not for ever.

        :param bound: seconds from the first such wait on.
        """
        since = self.record.waiting
        if since is None:
            self.record = dataclasses.replace(self.record, waiting=self.now)
        elif self.now - since > bound:
            return self.fail(detail)
        return self.wait(summary, self.pace.look)

    def fail(self, detail: Detail) -> Failed:
        """End the run; an open ticket still runs, and is kept."""
        intent = self.record.intent
        open_ticket = bool(intent and intent.kind == 'action'
                           and intent.ticket is not None)
        if open_ticket and intent is not None and detail.running is None:
            detail = dataclasses.replace(
                detail, running=f'{intent.verb} by way of {intent.way}')
        self.record = self.record.finished()
        self.journal.save(self.record)
        return Failed(detail, open_ticket)


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
    run = _Run(backend, images, journal, profile, record, now, facts,
               pace or Pace())
    return _step(run), run.record


def _step(run: _Run) -> Outcome:
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


def _intent(run: _Run, intent: Intent) -> Outcome | None:
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
    if intent.ticket is None:
        return None
    return _poll(run, intent)


def _poll(run: _Run, intent: Intent) -> Outcome | None:
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
        run.record = dataclasses.replace(run.record, waiting=None)
        return run.wait(poll.summary, run.pace.poll, poll.percent)
    if isinstance(poll, Ended):
        run.record = settle.ended(run.record, intent, poll)
        run.save(progress=f'{intent.verb} is over, reading back')
    else:
        run.save(intent=dataclasses.replace(intent, ticket=None),
                 progress=f'{intent.verb} is lost ({poll.reason}), looking')
    return run.wait(run.record.progress, 0)


def _look(run: _Run) -> Outcome:
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
        return PowerOn(Progress('the host is off, its devices are unseen'))
    if not inventory.complete:
        return run.hold('devices still appear', run.pace.incomplete, Detail(
            'the devices of the host did not all appear in '
            f'{int(run.pace.incomplete)} s', ErrorClass.NEEDS_OPERATOR,
            todo='look at the BMC and at the host\'s boot'))
    run.record = dataclasses.replace(run.record, waiting=None)
    if run.record.intent is not None:
        run.record = settle.seen(run.record, run.record.intent, inventory,
                                 run.facts)
        run.save()
    return _do(run, inventory)


def _busy(run: _Run, inventory: Inventory) -> Outcome:
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


def _do(run: _Run, inventory: Inventory) -> Outcome:
    ways = run.backend.ways(inventory)
    decision, run.record = decide(
        inventory, run.profile, run.record, ways, run.facts)
    if isinstance(decision, Act):
        return _act(run, decision, inventory)
    if isinstance(decision, HostReset):
        return _reset(run, decision, inventory)
    if isinstance(decision, Fail):
        return run.fail(decision.error)
    run.record = run.record.finished()
    run.journal.save(run.record)
    if isinstance(decision, Done):
        return Converged(decision.plan.satisfied, decision.plan)
    return Refused(decision.plan)


def _reset(run: _Run, decision: HostReset, inventory: Inventory) -> Reset:
    """Save the reset, counted on all that it is for; the caller does it."""
    run.record = settle.spend(
        run.record, decision.effect, decision.landed, run.record.landed)
    run.save(
        intent=Intent('reset', decision.effect, run.now,
                      run.now + run.pace.reset, boot=inventory.boot),
        resets=run.record.resets + 1,
        progress=f'{decision.effect} of the host',
        identities=_identities(run.record, inventory))
    return Reset(decision.effect, Progress(run.record.progress))


def _act(run: _Run, decision: Act, inventory: Inventory) -> Outcome:
    """Begin an action, once every image of the plan is here and fits."""
    ready: dict[str, Ready] = {}
    refused: list[Refusal] = []
    for action in _burns(decision.plan):
        image = run.profile.images[action.image or '']
        got = run.images.get(image)
        if isinstance(got, Fetching):
            return run.wait(f'fetching image {image.name}: {got.summary}',
                            run.pace.fetch, got.percent)
        if isinstance(got, Bad):
            refused += [Refusal(i, f'image {image.name}: {got.reason}',
                                got.expected, got.seen)
                        for i in action.items]
        else:
            ready[image.name] = got
            refused += settle.too_large(action, got, inventory)
    if refused:
        run.record = run.record.finished()
        run.journal.save(run.record)
        return Refused(dataclasses.replace(
            decision.plan, refused=tuple(refused)))
    return _start(run, decision.action, ready, inventory)


def _burns(plan: Plan) -> list[Action]:
    return [a for s in plan.stages for a in s.actions if a.verb == 'burn']


def _identities(record: Record, inventory: Inventory
                ) -> dict[str, tuple[str, str | None, str | None]]:
    """Of every device that the record speaks of."""
    ids = {x.item.device for x in record.landed}
    if record.intent:
        ids |= {i.device for i in record.intent.items}
    return {**record.identities, **join.identities(inventory, ids)}


def _start(run: _Run, action: Action, ready: dict[str, Ready],
           inventory: Inventory) -> Outcome:
    image = ready.get(action.image or '')
    before = run.record
    attempts = dict(before.attempts)
    if action.verb == 'reset':
        run.record = settle.spend(before, action.effect, (), [
            x for x in before.landed if x.item in action.items])
    else:
        for item in action.items:
            attempts[item_key(item)] = attempts.get(item_key(item), 0) + 1
    intent = Intent(
        'action', action.effect, run.now, run.now + run.pace.action,
        action_key(action), action.verb, action.way, action.items,
        inventory.boot, None, image.sha256 if image else None)
    run.record = dataclasses.replace(run.record, intent=intent)
    run.save(attempts=attempts, progress=_words(action),
             identities=_identities(run.record, inventory))
    try:
        ticket = run.backend.start(
            action, image, run.profile.images.get(action.image or ''),
            'force' in run.profile.allow)
    except OutcomeUnknown as exc:
        run.save(progress=f'lost sight of it: {exc.detail.summary}')
        return run.wait(run.record.progress, run.pace.look)
    except (Rejected, Unreachable) as exc:
        return _not_begun(run, before, exc)
    run.save(intent=dataclasses.replace(intent, ticket=dict(ticket)))
    return run.wait(run.record.progress, run.pace.poll)


def _not_begun(run: _Run, before: Record, exc: AccelError) -> Outcome:
    """Nothing was written, and the box says why.

    A box that is busy or away is waited for, which is no attempt. What it
    turned down for good is not tried again; the rest counts.
    """
    away = isinstance(exc, Unreachable)
    later = exc.retry_after if isinstance(exc, Rejected) else None
    if away or later is not None:
        run.save(intent=None, attempts=before.attempts,
                 landed=before.landed)
        out = run.hold(f'not begun: {exc.detail.summary}',
                       run.pace.unreachable, exc.detail)
        if isinstance(out, Wait) and later is not None:
            return dataclasses.replace(out, until=run.now + later)
        return out
    run.save(intent=None, failure=exc.detail.to_dict())
    if exc.detail.error_class is ErrorClass.TRANSIENT:
        return run.wait(f'turned down: {exc.detail.summary}', run.pace.look)
    return run.fail(exc.detail)


def _words(action: Action) -> str:
    names = sorted({i.name for i in action.items})
    devices = len({i.device for i in action.items})
    return (f"{action.verb} {', '.join(names)} on {devices} "
            f"device{'' if devices == 1 else 's'} by way of {action.way}")


