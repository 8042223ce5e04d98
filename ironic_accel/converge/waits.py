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

"""One call of ``advance``, and what it waits for before it decides.

The system does not answer, it is or may be busy, its host is off, or not all
of its devices have appeared. Every wait has a limit.
"""

from __future__ import annotations

import dataclasses

from ironic_accel.converge.decide import begun
from ironic_accel.converge.decide import cannot_go_on
from ironic_accel.converge import intent_resolution
from ironic_accel.converge.outcome import Failed
from ironic_accel.converge.outcome import Outcome
from ironic_accel.converge.outcome import PowerOn
from ironic_accel.converge.outcome import Progress
from ironic_accel.converge.outcome import Refused
from ironic_accel.converge.outcome import Reset
from ironic_accel.converge.outcome import Wait
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Journal
from ironic_accel.converge.ports import Pace
from ironic_accel.converge import reset_note
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Activation
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Inventory
from ironic_accel.model import device_marks
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import matching
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record
from ironic_accel.model import stages

#: The progress of a run that fails, while its host is off.
POWERING_ON = 'the run failed, powering the host on again'


@dataclasses.dataclass
class Advance:
    """One call of ``advance``: its ports, and the record as it changes.

    :ivar busy: operations in progress, as the inventory of this call shows
        them.
    """

    backend: Backend
    images: Images
    journal: Journal
    profile: Profile
    record: Record
    now: float
    facts: Knowledge
    pace: Pace
    busy: tuple[Busy, ...] = ()

    def save(self, **changes: object) -> None:
        """Change the record and make it durable."""
        self.record = dataclasses.replace(
            self.record, **changes)  # type: ignore[arg-type]
        self.journal.save(self.record)

    def wait(self, summary: str, seconds: float,
             percent: int | None = None) -> Wait:
        """Return later; the record keeps the progress for readers."""
        if summary != self.record.progress:
            self.record = dataclasses.replace(self.record, progress=summary)
        return Wait(self.now + seconds, Progress(summary, percent))

    def hold(self, reason: str, summary: str, bound: float,
             detail: Detail) -> Wait | Reset | Failed:
        """Wait for the system, up to a limit.

        :param reason: identifies the limit: all waits with one reason count
            together, even if the system answers in between.
        :param bound: seconds, since the last host reset.
        """
        if not self.patient(reason, bound):
            return self.fail(detail)
        return self.wait(summary, self.pace.look)

    def patient(self, reason: str, bound: float) -> bool:
        """Whether the limit of a wait is not reached; counts the wait."""
        if self.record.awaited != reason or self.record.waiting is None:
            self.resume()
            self.save(awaited=reason, waiting=self.now)
        return self.spent(reason) <= bound

    def spent(self, reason: str) -> float:
        """Seconds waited for a reason, this wait included."""
        before = self.record.spent.get(reason, 0.0)
        since = self.record.waiting
        if since is None or self.record.awaited != reason:
            return before
        return before + max(self.now - since, 0.0)

    def resume(self) -> None:
        """Note the end of a wait; its duration still counts."""
        reason = self.record.awaited
        if self.record.waiting is not None:
            self.save(waiting=None, awaited='', spent={
                **self.record.spent, reason: self.spent(reason)})

    def fail(self, detail: Detail) -> Reset | Failed:
        """End the run; a write whose result is open may still be running.

        The error names what is staged and what is running, whatever made the
        run fail. A host that a reset of this run may have switched off is
        powered on first: the reset then fails with this error.
        """
        intent = self.record.intent
        running = (intent is not None and intent.kind == 'action'
                   and not write_watch.over(intent))
        begun = write_watch.may_run(self.record, self.now, self.pace.gone)
        if detail.running is None:
            detail = dataclasses.replace(detail, running='; '.join(
                f'{b.kind} {b.words}' for b in self.busy) or (
                    write_watch.running_words(intent, self.pace)
                    if running and intent is not None
                    else f'possibly an update of {write_watch.names(begun)}'
                    if begun else None))
        staged = write_watch.staged_words(self.record)
        if staged is not None:
            detail = dataclasses.replace(
                detail, summary=f'{detail.summary}; staged: {staged}')
        if intent is not None and reset_note.may_be_off(self.record):
            self.save(progress=POWERING_ON, intent=(
                reset_note.powering_on_again(intent, detail, self.now)))
            return Reset(intent.activation, Progress(POWERING_ON))
        self.finish()
        return Failed(detail, running or bool(begun))

    def refuse(self, plan: Plan) -> Refused | Reset | Failed:
        """End the run because of refused items."""
        if begun(self.record):
            return self.fail(cannot_go_on(plan))
        self.finish()
        return Refused(plan)

    def finish(self) -> None:
        """Keep only what the next run inherits."""
        self.record = self.record.finished()
        self.journal.save(self.record)


#: Seconds until the next login at a BMC that rejected one.
_LOGIN = 60.0

#: Kinds that one device changes between, by its mode or by transport.
_KIN = {'nic': 'dpu'}


def away(run: Advance, exc: Unreachable, before: str = '') -> Outcome:
    """The system does not answer: wait for it, up to the limit.

    One that lets nobody in is not waited for, unless its BMC restarts because
    of this run, or an update that it has begun may be in progress: a BMC that
    starts may reject credentials that it has not loaded yet, or show another
    certificate, and an update is watched to its end. The next login is tried
    later than a request, so that the BMC does not lock the account.

    :param before: what was not done because of it, in words.
    """
    summary = exc.detail.summary
    if not isinstance(exc, NoAccess):
        return run.hold('unreachable', before + summary,
                        run.pace.unreachable, exc.detail)
    if reset_note.restarts_bmc(run.record, run.now, run.pace.unreachable):
        why = 'waiting while the BMC restarts'
    elif write_watch.is_updating(run.record, run.now, run.pace.unreachable):
        why = 'the update may be in progress, waiting for the BMC'
    else:
        return run.fail(exc.detail)
    out = run.hold('unreachable', f'{before}{why}: {summary}',
                   run.pace.unreachable, exc.detail)
    return out if not isinstance(out, Wait) else dataclasses.replace(
        out, until=run.now + max(run.pace.look, _LOGIN))


def occupied(run: Advance, inventory: Inventory) -> Outcome | None:
    """Wait for a system that is busy, or may be."""
    if inventory.busy:
        return _busy(run, inventory)
    if inventory.held:
        return _held(run, inventory)
    return None


def unready(run: Advance, inventory: Inventory) -> Outcome | None:
    """Wait for a system that is not ready for a decision."""
    early = occupied(run, inventory)
    if early is not None:
        return early
    if inventory.host == 'off':
        no = stages.refused_by_others(
            inventory, run.record.staged, (), Activation.WARM_REBOOT,
            run.profile)
        if no:
            # Powering it on activates changes that wait for a reset.
            return run.refuse(Plan(refused=tuple(no)))
        run.record = write_watch.begun(run.record, run.now)
        run.save(booted=run.now)
        return PowerOn(Progress('powering on the host to read its devices'))
    if not inventory.complete:
        return run.hold('incomplete', inventory.unready,
                        run.pace.incomplete, _incomplete(run, inventory))
    if run.record.awaited != 'unread':
        run.resume()
    if _missing(run, inventory):
        return run.wait('the host is on, waiting for missing devices',
                        run.pace.look)
    return _fewer(run, inventory)


def starting(run: Advance) -> Outcome | None:
    """Wait for a host that was reset and shows that it is still starting.

    The devices are not read for that: a large system takes minutes to start
    and dozens of requests to be read.

    :raises: Unreachable.
    """
    if not booting(run):
        return None
    words = run.backend.starting()
    if words is None:
        return None
    return run.hold('incomplete', words, run.pace.incomplete, Detail(
        f'the host did not start in {int(run.pace.incomplete)} s: {words}',
        ErrorClass.NEEDS_OPERATOR,
        todo='check the BMC and the boot of the host'))


def _fewer(run: Advance, inventory: Inventory) -> Outcome | None:
    """A device is gone if two complete inventories in a row lack it.

    Each device counts by itself: another one in its place does not hide that
    it is missing. Of a kind that was not read completely none is gone.
    """
    now: dict[str, list[str]] = {}
    for device in inventory.devices:
        now.setdefault(_KIN.get(device.kind, device.kind), []).append(
            device_marks.mark(device))
    missing = {k: [m for m in marks if not any(
        device_marks.same_mark(m, n) for n in now.get(k, ()))]
        for k, marks in run.record.kinds.items()}
    lost = {k: m for k, m in missing.items()
            if m and inventory.complete_of(k)}
    what = ' '.join(sorted(m for marks in lost.values() for m in marks))
    if what and what != run.record.fewer:
        run.record = dataclasses.replace(run.record, fewer=what)
        words = ', '.join(f'{len(m)} {k}' for k, m in sorted(lost.items()))
        return run.wait(f'no longer listed: {words}; refreshing the inventory',
                        run.pace.look)
    kinds = {k: (*now.get(k, ()), *(
        missing.get(k, ()) if not inventory.complete_of(k) else ()))
        for k in sorted({*now, *missing})}
    run.record = dataclasses.replace(
        run.record, kinds={k: m for k, m in kinds.items() if m}, fewer='')
    return None


def _busy(run: Advance, inventory: Inventory) -> Outcome:
    """An operation is in progress: resume ours, wait for any other."""
    intent = run.record.intent
    if intent is not None and write_watch.shown(intent):
        intent = dataclasses.replace(intent, ticket=write_watch.noted(intent))
        run.save(intent=intent)
    if intent is not None and intent.kind == 'action' \
            and not write_watch.over(intent):
        ticket = intent_resolution.adopt(intent, inventory.busy)
        if ticket is not None:
            run.save(intent=dataclasses.replace(intent, ticket=ticket))
            return run.wait('resuming the write in progress', 0)
    what = inventory.busy[0]
    summary = f'{what.kind} {what.words}'
    return run.hold('busy', f'waiting for {summary}', run.pace.busy, Detail(
        f'the system is still busy after {int(run.pace.busy)} s',
        ErrorClass.TRANSIENT, running=summary,
        todo='wait until it ends, then run it again'))


def _held(run: Advance, inventory: Inventory) -> Outcome:
    """Whether the system is idle could not be read: treat it as busy."""
    what = inventory.held[0]
    return run.hold(
        'busy', f'cannot determine whether the system is idle: {what.words}',
        run.pace.busy, Detail(
            'could not determine whether the system is idle for '
            f'{int(run.pace.busy)} s: {what.words}', ErrorClass.TRANSIENT,
            todo='check what does not respond, then run it again'))


def _incomplete(run: Advance, inventory: Inventory) -> Detail:
    """The error after waiting too long for a complete inventory."""
    why = [u.words for u in inventory.unread] or [*inventory.lacking]
    if why:
        return Detail(
            f'incomplete inventory after {int(run.pace.incomplete)} s: '
            + '; '.join(why[:3]), ErrorClass.TRANSIENT,
            todo='check what does not respond, then run it again')
    return Detail(
        'the devices of the host did not all appear in '
        f'{int(run.pace.incomplete)} s', ErrorClass.NEEDS_OPERATOR,
        todo='check the BMC and the boot of the host')


def booting(run: Advance) -> bool:
    """Whether the host was powered on or reset a short while ago."""
    since = run.record.booted
    return since is not None and run.now - since <= run.pace.appear


def _missing(run: Advance, inventory: Inventory) -> bool:
    """Whether a device may still appear after the last host reset.

    Systems report that they are ready before all GPUs are in the tree. While
    there are fewer than before, or than the profile requires, they are waited
    for before they count as missing.
    """
    if not booting(run):
        return False
    if len(inventory.devices) < run.record.devices:
        return True
    return any(
        sum(matching.matches(g, d) for d in inventory.devices)
        < g.count.minimum for g in run.profile.groups)
