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

"""The writes of the loop: each is saved as an intent before it starts."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from ironic_accel.converge.decide import Act
from ironic_accel.converge.decide import HostReset
from ironic_accel.converge import image_check
from ironic_accel.converge import intent_resolution
from ironic_accel.converge.outcome import Converged
from ironic_accel.converge.outcome import Outcome
from ironic_accel.converge.outcome import Progress
from ironic_accel.converge.outcome import Reset
from ironic_accel.converge.outcome import Wait
from ironic_accel.converge.ports import Continues
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Ready
from ironic_accel.converge import waits
from ironic_accel.converge.waits import Advance
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Inventory
from ironic_accel.model import device_marks
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import action_key
from ironic_accel.model.plan import AwaitingReset
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Ref
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record


def finish(run: Advance, plan: Plan) -> Outcome:
    """End a run that converged, after copying firmware to fallback slots.

    Updated firmware that is running is copied to its fallback slot if the
    plan says so. If that fails the run still converged; the outcome has a
    note, the copy stays due, and the next run requests it again. A system
    that reports no copy at all is not asked again.
    """
    due, asked = plan.fallback, run.record.committed
    if due and asked is None:
        run.save(committed=run.now)
        try:
            named = run.backend.commit([c.item.ref for c in due])
        except (Rejected, Unreachable, OutcomeUnknown) as exc:
            return _converged(run, plan, due, (
                f'the fallback slot was not updated: {exc.detail.summary}',))
        if named:
            return run.wait(f'copying {len(named)} images to their fallback '
                            'slots', run.pace.look)
    shown = [c for c in due if c.seen is not None]
    if shown and asked is not None and run.now < asked + run.pace.lost:
        return run.wait(
            'waiting for the fallback slots: '
            + write_watch.names(c.item for c in shown),
            run.pace.look)
    if not shown:
        return _converged(run, plan, ())
    names = write_watch.names(c.item for c in shown)
    if _copied(run, plan, due):
        return _converged(run, plan, shown, (
            'not updated: the fallback slot still has another version: '
            f'{names}',))
    # No copy is reported: requesting it at every run would change nothing.
    return _converged(run, plan, (), (
        'the copy to the fallback slot was requested, but the BMC does not '
        f'report it; it is not requested again: {names}',))


def _copied(run: Advance, plan: Plan, due: Sequence[Change]) -> list[Ref]:
    """The due copies that the system reports as done."""
    still = {c.item.ref for c in due}
    mine = {p.item.ref for p in plan.satisfied}
    return [r for r in run.record.uncommitted if r in mine and r not in still]


def _converged(run: Advance, plan: Plan, due: Sequence[Change],
               notes: tuple[str, ...] = ()) -> Converged:
    """The end of a run; copies that are not done stay due."""
    done = _copied(run, plan, due)
    uncommitted = tuple(r for r in run.record.uncommitted if r not in done)
    copied = len(_copied(run, plan, plan.fallback))
    if copied and run.record.committed is not None:
        notes = (f'{copied} images copied to their fallback slots', *notes)
    run.record = dataclasses.replace(run.record, uncommitted=uncommitted)
    run.finish()
    return Converged(plan.satisfied, plan, notes)


def reset_host(run: Advance, decision: HostReset, inventory: Inventory
              ) -> Reset:
    """Save a host reset; the caller performs it.

    It counts on the staged items once it is performed
    (``advance.reset_performed``).
    """
    run.record = intent_resolution.noted(
        run.record, decision.staged, run.record.staged)
    run.save(
        intent=Intent('reset', decision.activation, run.now,
                      run.now + run.pace.reset, boot=inventory.boot),
        resets=run.record.resets + 1, devices=len(inventory.devices),
        progress=f'{decision.activation} of the host',
        identities=_identities(run.record, inventory))
    return Reset(decision.activation, Progress(run.record.progress))


def act(run: Advance, decision: Act, inventory: Inventory) -> Outcome:
    """Start an action once every image of the plan is available and fits."""
    found = image_check.ImageCheck()
    if run.profile.images:
        found = image_check.check(
            decision.plan, run.profile, run.images, inventory)
    if found.fetching:
        image, got = found.fetching[0]
        return run.wait(f'fetching image {image.name}: {got.summary}',
                        run.pace.fetch, got.percent)
    if found.refused:
        return run.refuse(dataclasses.replace(
            decision.plan, refused=found.refused))
    due = {c.item.ref for c in decision.plan.fallback}
    uncommitted = [i.ref for i in decision.action.items if i.ref in due
            and i.ref not in run.record.uncommitted]
    if decision.action.verb == 'update' and uncommitted:
        run.record = dataclasses.replace(
            run.record, uncommitted=(*run.record.uncommitted, *uncommitted))
    return _start(run, decision.action, found.ready, inventory)


def _identities(record: Record, inventory: Inventory
                ) -> dict[str, tuple[str, str | None, str | None]]:
    """The identities of all devices in the record."""
    ids = {x.item.device for x in record.staged}
    ids |= {device for device, _ in record.uncommitted}
    ids |= {device for x in record.staged for device, _ in x.also}
    if record.intent:
        ids |= {i.device for i in record.intent.items}
        ids |= {device for device, _ in record.intent.also}
    return {**record.identities, **device_marks.identities(inventory, ids)}


def _start(run: Advance, action: Action, ready: dict[str, Ready],
           inventory: Inventory) -> Outcome:
    image = ready.get(action.image or '')
    before = run.record
    attempts = dict(before.attempts)
    if action.verb == 'reset':
        run.record = intent_resolution.spend(
            intent_resolution.noted(
                before,
                [AwaitingReset(i, action.activation) for i in action.items],
                [x for x in before.staged if x.item in action.items]),
            action.activation, {i.ref for i in action.items})
    else:
        for item in action.items:
            attempts[item] = attempts.get(item, 0) + 1
    intent = Intent(
        'action', action.activation, run.now, run.now + run.pace.action,
        action_key(action), action.verb, action.transport, action.items,
        inventory.boot, None, image.sha256 if image else None,
        action.also_writes, action.at_reset)
    run.record = dataclasses.replace(run.record, intent=intent)
    run.backend.announce(action, image)
    run.save(attempts=attempts, progress=_words(action),
             identities=_identities(run.record, inventory))
    try:
        ticket = run.backend.start(
            action, image, run.profile.images.get(action.image or ''),
            'force' in run.profile.allow)
    except OutcomeUnknown as exc:
        run.save(failure=exc.detail.to_dict(),
                 progress='the result of the write is unknown: '
                 f'{exc.detail.summary}')
        return run.wait(run.record.progress, run.pace.look)
    except (Rejected, Unreachable) as exc:
        return _not_begun(run, before, exc)
    run.save(intent=dataclasses.replace(intent, ticket=dict(ticket)))
    # A mode is set once its request is answered: a pause after each of the
    # requests for eight GPUs would serve nothing.
    pause = 0 if action.verb == 'set' else run.pace.poll
    return run.wait(run.record.progress, pause)


def go_on(run: Advance, intent: Intent, told: Continues) -> Outcome:
    """Send the second request of a write, once.

    The record first notes that its result is unknown: a process that is
    restarted in between verifies it instead of sending it again.
    """
    words = f'{intent.verb}: the upload was verified, starting it'
    run.save(intent=dataclasses.replace(
        intent, ticket=write_watch.noted(intent, write_watch.GONE)),
             progress=words)
    try:
        after = run.backend.poll(dict(told.ticket))
    except OutcomeUnknown as exc:
        run.save(progress='the result of the write is unknown: '
                 f'{exc.detail.summary}')
        return run.wait(run.record.progress, run.pace.look)
    except Unreachable as exc:
        run.save(intent=intent)
        return waits.away(run, exc, 'not started: ')
    except Rejected as exc:
        if exc.retry_after is not None:
            run.save(intent=intent)
            return _later(run, exc.retry_after, exc.detail)
        run.save(intent=None, failure=exc.detail.to_dict())
        if exc.detail.error_class is ErrorClass.TRANSIENT:
            return run.wait(f'rejected: {exc.detail.summary}',
                            run.pace.look)
        return run.fail(_turned_down(exc.detail, Record(), ()))
    if isinstance(after, Continues):
        run.save(intent=dataclasses.replace(
            intent, ticket=dict(after.ticket)))
    return run.wait(words, run.pace.poll)


def _not_begun(run: Advance, before: Record, exc: AccelError) -> Outcome:
    """A write was rejected before anything was written.

    A system that is busy or unreachable is waited for, which does not count
    as an attempt. A permanent rejection is not retried; any other one counts.
    """
    later = exc.retry_after if isinstance(exc, Rejected) else None
    if isinstance(exc, Unreachable) or later is not None:
        run.save(intent=None, attempts=before.attempts,
                 staged=before.staged)
        if isinstance(exc, Unreachable):
            return waits.away(run, exc, 'not started: ')
        return _later(run, later or 0.0, exc.detail)
    intent = run.record.intent
    items = intent.items if intent is not None else ()
    run.save(intent=None, failure=exc.detail.to_dict())
    if exc.detail.error_class is ErrorClass.TRANSIENT:
        return run.wait(f'rejected: {exc.detail.summary}', run.pace.look)
    return run.fail(_turned_down(exc.detail, before, items))


def turned_down(run: Advance, end: Ended, before: Record,
                items: Sequence[Item]) -> Outcome | None:
    """How a run continues if some items of one action were rejected.

    A permanent rejection is not retried, as for a single item; after a
    transient one the run pauses.

    :param before: the record before the end of the action was known.
    :param items: of the action.
    """
    told = [(r.answer, r.detail) for r in end.results if r.detail is not None]
    for answer, detail in told:
        if answer == 'refused':
            return run.fail(_turned_down(detail, before, items))
    for answer, detail in told:
        if answer == 'told' and detail.error_class is ErrorClass.TRANSIENT:
            return run.wait(f'rejected: {detail.summary}', run.pace.look)
    return None


def _turned_down(detail: Detail, before: Record,
                 items: Sequence[Item]) -> Detail:
    """A rejection, with advice if the BMC gives none.

    An earlier request of this run for the same item, whose result was not
    clear, may have written a part: a mode of two requests has a third value
    then.
    """
    earlier = Detail.from_dict(before.failure) if before.failure else None
    # A rejection that names no device is that of the first request.
    device = detail.device or next((i.device for i in items), None)
    if earlier is not None and earlier.device == device and any(
            i.ref == (device, earlier.component) for i in items):
        detail = dataclasses.replace(
            detail, device=earlier.device, component=earlier.component,
            summary=f'{detail.summary}; before that: {earlier.summary}',
            todo=detail.todo or 'check the pending value of '
            f'{earlier.component} of {earlier.device} before the host is '
            'reset, and run it again')
    if detail.todo is not None:
        return detail
    return dataclasses.replace(
        detail, todo='the request wrote nothing; check the answer of the '
                     'BMC, then run it again')


def _later(run: Advance, seconds: float, detail: Detail) -> Outcome:
    """Return when the BMC says that it would accept the write.

    :param seconds: as the BMC says, at most what is left of the limits of
        the run.
    """
    out = run.hold('later', f'not started: {detail.summary}', run.pace.busy,
                   detail)
    if not isinstance(out, Wait):
        return out
    left = min(run.record.deadline - run.now,
               run.pace.busy - run.spent('later'))
    pause = max(min(seconds, left), run.pace.look)
    return dataclasses.replace(out, until=run.now + pause)


def _words(action: Action) -> str:
    names = sorted({i.name for i in action.items})
    devices = sorted({i.device for i in action.items})
    on = ', '.join(devices) if len(devices) <= 2 else (
        f'{len(devices)} devices ({devices[0]} to {devices[-1]})')
    return f"{action.verb} {', '.join(names)} on {on} via {action.transport}"
