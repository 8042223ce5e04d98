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

"""Run a profile to its end without a conductor.

It calls ``converge.advance`` as the conductor does, with a journal in a
file.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from typing import Any
import uuid

from ironic_accel.converge import advance as loop
from ironic_accel.converge.outcome import Converged
from ironic_accel.converge.outcome import Failed
from ironic_accel.converge.outcome import NOT_APPLIED
from ironic_accel.converge.outcome import Outcome
from ironic_accel.converge.outcome import PowerOn
from ironic_accel.converge.outcome import Refused
from ironic_accel.converge.outcome import Reset
from ironic_accel.converge.outcome import Wait
from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge import reset_note
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.converge.ports import Pace
from ironic_accel.converge import write_watch
from ironic_accel.faces.cli import await_bmc
from ironic_accel.faces.cli import bmc_lock
from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import consent
from ironic_accel.faces.cli import found_power
from ironic_accel.faces.cli import image_serving_options
from ironic_accel.faces.cli import journal as journal_mod
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import planning
from ironic_accel.faces.cli.run_history import RunHistory
from ironic_accel.faces.cli.run_progress import RunProgress
from ironic_accel.faces.cli import session
from ironic_accel.faces.cli import workers
from ironic_accel.faces import failure
from ironic_accel.faces import plan_view
from ironic_accel.faces import view
from ironic_accel import images
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.errors import word
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record

def apply(args: argparse.Namespace, profile: Profile) -> dict[str, Any]:
    """Run a profile to its end.

    :returns: the document: the plan and the outcome.
    :raises: BadInput, Unreachable or AccelError if nothing was changed.
    """
    pace = _pace(args.poll_interval)
    with contextlib.ExitStack() as stack:
        bmc = bmc_options.url(args)
        stack.enter_context(bmc_lock.hold_url(bmc))
        serving = stack.enter_context(image_serving_options.Served(args, bmc))
        opened = stack.enter_context(await_bmc.opened(
            args, serving, profile, pace))
        stack.enter_context(bmc_lock.hold_bmc(opened.identity))
        journal = journal_mod.of(opened.identity, args.journal)
        earlier = journal.load()
        allowed = consent.limited(args, profile, opened, journal, earlier)
        record = planning.begin(allowed, earlier, journal.time.now())
        store = stack.enter_context(planning.image_store(args))
        agreed = consent.of(args, opened, allowed)
        ends = RunHistory.begin(opened, journal, earlier, record)
        run = CommandRun(
            opened, journal, store, allowed, record, pace, _rules(args),
            agreed, limited=allowed is not profile,
            is_left_off=earlier is not None and (
                reset_note.may_be_off(earlier)))
        document = run.to_the_end()
        ends.end(document, run.record, run.is_interrupted)
        serving.keep = bool((document['error'] or {}).get('running'))
        return document


def _pace(poll: float) -> Pace:
    return Pace(poll=poll, look=poll, fetch=min(poll, 1.0))


def _rules(args: argparse.Namespace) -> ResetRules:
    """The timeouts of host resets, with this process as their owner."""
    return ResetRules(by=uuid.uuid4().hex, times=ResetTimes(
        look=args.poll_interval, soft=args.soft_power_off_timeout,
        aux_settle=2 * args.poll_interval, settle=2 * args.poll_interval))


@dataclasses.dataclass
class CommandRun:
    """One run, from its record to its document.

    :ivar is_left_off: whether a reset of an earlier run may have left the
        host off, and no inventory has shown that it is on since. This run may
        not continue that reset: it has another profile, or a new time limit.
    """

    opened: session.Opened
    journal: journal_mod.FileJournal
    store: images.ImageStore
    profile: Profile
    record: Record
    pace: Pace
    rules: ResetRules
    agreed: consent.Consent
    limited: bool = False
    is_left_off: bool = False
    plan: Plan | None = None
    performed: int = 0
    is_interrupted: bool = False
    before: Record = dataclasses.field(default_factory=Record)

    def __post_init__(self) -> None:
        self.progress = RunProgress(self.opened.catalog, self.record)

    def to_the_end(self) -> dict[str, Any]:
        """Call ``advance`` until the run ends, then restore the power."""
        with messages.status(self._status, self.progress.left):
            return self._to_the_end()

    def _status(self) -> str:
        return (self.progress.text() if self.progress.is_planned
                else self.opened.requests_text())

    def _to_the_end(self) -> dict[str, Any]:
        self.opened.backend.agree = self._agree
        try:
            while True:
                outcome = self._advance()
                if isinstance(outcome, Wait):
                    self._say(outcome.progress.summary,
                              outcome.progress.percent)
                    self._sleep_until(outcome.until)
                elif isinstance(outcome, PowerOn):
                    self._power_on()
                elif isinstance(outcome, Reset):
                    outcome = self._reset() or outcome
                if isinstance(outcome, Converged | Refused | Failed):
                    return self._end(outcome)
        except KeyboardInterrupt:
            return self._document('failed', self._interrupted())
        except consent.Declined as exc:
            return self._declined(exc)
        except AccelError as exc:
            detail = self._with_power(exc.detail)
            messages.error(word(detail))
            return self._document('failed', detail)

    def _with_power(self, detail: Detail) -> Detail:
        """An error that may end the run anywhere, with the host's power."""
        todo = detail.todo or ''
        if not self._may_be_off() or 'power it on' in todo:
            return detail
        return dataclasses.replace(detail, todo=(
            f'{todo}; ' if todo else '') + (
            'the host may be off because of its reset: power it on, or run '
            'the same command again, which does'))

    def _may_be_off(self) -> bool:
        """Whether the host may be off because of a reset."""
        return self.is_left_off or reset_note.may_be_off(self.record)

    def _agree(self) -> None:
        """Ask for consent to the resets of the plan before the first write.

        :raises: Declined.
        """
        seen = self.opened.backend.seen
        if seen is not None and self.plan is None:
            self._show_plan(seen, self.record)
        if self.plan is not None and not self.opened.backend.writes:
            self.agreed.require(consent.resets_of(self.plan),
                                writes=self.plan.counts.writes)

    def _declined(self, exc: consent.Declined) -> dict[str, Any]:
        """End the run, and save that in the journal."""
        messages.error(exc)
        self.record = self.before.finished()
        self.journal.save(self.record)
        self._restore_power()
        return self._document(
            'failed' if self.opened.backend.writes else 'refused', exc.detail)

    def _advance(self) -> Outcome:
        backend = self.opened.backend
        before = self.before = self.record
        outcome, self.record = loop.advance(
            backend, self.store, self.journal, self.profile, self.record,
            self.journal.time.now(), self.opened.catalog, self.pace)
        seen = backend.take()
        if seen is not None:
            self._note_host(seen)
        if self.plan is None and seen is not None:
            self._show_plan(seen, before)
        return outcome

    def _note_host(self, seen: Inventory) -> None:
        """Note the power state of the host before the run, and its boot."""
        journal = self.journal
        known = journal.found, journal.boot
        journal.found = journal.found or seen.host
        self.is_left_off &= seen.host != 'on'
        if journal.found == 'off' and seen.host == 'on':
            journal.boot = seen.boot
        elif seen.host == 'off':
            # The run begins another boot when it powers the host on.
            journal.boot = None
        if (journal.found, journal.boot) != known:
            journal.save(self.record)

    def _show_plan(self, seen: Inventory, record: Record) -> None:
        """Print the plan of the first complete inventory."""
        if not seen.complete or seen.host == 'off' or seen.busy:
            return
        self.plan = self.opened.plan(seen, self.profile, record)
        self.progress.plan(self.plan, seen)
        found = planning.duration(self.plan, seen, self.opened.catalog,
                                  record, self.journal.time.now())
        doc = {**self.plan.to_dict(), 'duration': found and found.to_dict()}
        for line in (plan_view.headline(doc), *plan_view.notes(doc)):
            messages.say(line)
        if doc['stages'] and not messages.is_about_one():
            messages.say(view.shown(plan_view.table(doc), sys.stderr))

    def _power_on(self) -> None:
        self._say('powering on the host to list its devices')
        try:
            self.opened.host.power_on()
        except (Unreachable, OutcomeUnknown) as exc:
            # The next tick retries, or waits within its limits.
            messages.say(str(exc))
        except Rejected as exc:
            if exc.retry_after is None:
                raise
            messages.say(str(exc))
            workers.sleep(exc.retry_after)
        workers.sleep(self.pace.look)

    def _reset(self) -> Failed | None:
        """Go one step on with a host reset; the end of the run if it fails.
        """
        intent = self.record.intent
        if intent is not None and not intent.ticket:
            # A reset in progress is completed: the host may be off.
            self.agreed.require((intent.activation,),
                                 bool(self.opened.backend.writes))
        self.journal.boot = None
        resetter = HostResetter(
            self.opened.host, self._save, dataclasses.replace(
                self.rules, keep_off=self.journal.found == 'off'))
        try:
            step = resetter.step(self.record, self.journal.time.now())
        except AccelError as exc:
            begun = write_watch.may_run(
                self.record, self.journal.time.now(), self.pace.gone)
            self._save(self.record.finished())
            return Failed(self._with_power(exc.detail),
                          bool(begun or exc.detail.running))
        self.record = step.record
        self._say(step.summary)
        self.performed += step.performed
        self._sleep_until(step.until)
        return None

    def _save(self, record: Record) -> None:
        self.journal.save(record)
        self.record = record

    def _end(self, outcome: Converged | Refused | Failed
             ) -> dict[str, Any]:
        if not (isinstance(outcome, Failed) and outcome.running):
            self._restore_power()
        if isinstance(outcome, Converged):
            self._remember_times()
            return self._document(
                'converged' if outcome.plan.applies else NOT_APPLIED,
                None, outcome)
        if isinstance(outcome, Refused):
            self.plan = (consent.explained(outcome.plan) if self.limited
                         else outcome.plan)
            if self._may_be_off():
                messages.error(word(self._with_power(Detail(
                    'refused after a reset that was interrupted',
                    ErrorClass.NEEDS_OPERATOR))))
            return self._document('refused')
        error = self._with_history(self._with_power(outcome.error))
        messages.error(word(error))
        return self._document('failed', error)

    def _with_history(self, detail: Detail) -> Detail:
        """A failure of a run, and where the user finds what was written."""
        return dataclasses.replace(detail, todo='; '.join(filter(None, (
            detail.todo, f'{self.journal.history_command} lists what was '
            'written'))))

    def _remember_times(self) -> None:
        try:
            self.progress.end()
        except OSError as exc:
            # The next run shows no remaining time.
            messages.warn('cannot save the durations of the steps: '
                          f'{exc.strerror}')

    def _restore_power(self) -> None:
        """Power off a host that was off before the run."""
        if self._may_be_off() and self.journal.found != 'off':
            # The next run powers it on, and must not take it for one that
            # was off before.
            return
        if self.journal.found == 'off':
            try:
                found_power.restore(self.opened.host, self.journal,
                                    self.rules.times, self._say)
            except AccelError as exc:
                # The journal has its power state: the next run powers it off.
                messages.error(word(exc.detail))
                return
        self.journal.found = self.journal.boot = None
        self.journal.save(self.record)

    def _interrupted(self) -> Detail:
        self.is_interrupted = True
        intent = self.record.intent
        running = None
        if intent is not None:
            running = f'{intent.verb or intent.activation} {intent.kind}'
        if reset_note.is_switched_off(self.record):
            running = f'{running}: the host is powered off'
        detail = Detail(
            'interrupted', ErrorClass.TRANSIENT, running=running,
            todo='run the same command again to continue from '
                 f'{self.journal.path}')
        messages.error(word(detail))
        return detail

    def _say(self, summary: str, percent: int | None = None) -> None:
        self.progress.update(self.record, summary, percent)

    def _document(self, outcome: str, error: Detail | None = None,
                  converged: Converged | None = None) -> dict[str, Any]:
        backend = self.opened.backend
        proofs = converged.proofs if converged else ()
        return {**(self.plan or Plan()).to_dict(), 'outcome': outcome,
                'proofs': [p.to_dict() for p in proofs],
                'writes': backend.writes,
                'device_resets': backend.device_resets,
                'resets': self.performed,
                'requests': backend.requests,
                'error': failure.error_object(error) if error else None}

    def _sleep_until(self, until: float) -> None:
        # A minimum: a run that always has something to do must not keep a
        # core busy.
        workers.sleep(max(until - self.journal.time.now(), 0.01))

