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

"""A host reset: what comes next, as pure functions.

``next_act`` says what to do next, given how far the reset is and what is
read of the host; ``answered`` says what an answer to it means. Whoever
performs it (``perform_reset``) saves the note before each act, so a process
that dies anywhere is followed by one that goes on with the same reset.

What holds whatever is read, and whenever a process dies:

- The power of a host is not cut while its BMC is busy, or does not report
  that it is idle.
- What may have been done, because its process died or no answer came, is not
  done again: the loop takes an inventory first (``StartOver``). Where it
  cannot take one the BMC has to be idle. The devices of a host that is off
  cannot be listed: after an auxiliary cycle that may not have been requested
  the host is powered on, which is a power cycle, and the loop decides anew.
- Each wait has an end: the reset is performed, or fails.
- A host that this reset switched off is asked to power on, whatever became
  of the rest, unless it was off before the run. After a failure it is not
  asked while the BMC reports work in progress.
"""

from __future__ import annotations

import dataclasses

from ironic_accel.converge.reset_case import ResetCase
from ironic_accel.converge.reset_note import Asked
from ironic_accel.converge.reset_note import PHASES
from ironic_accel.converge.reset_note import ResetNote
from ironic_accel.converge.reset_note import ResetPhase
from ironic_accel.converge.reset_terms import Act
from ironic_accel.converge.reset_terms import Answer
from ironic_accel.converge.reset_terms import CutAuxPower
from ironic_accel.converge.reset_terms import Graceful
from ironic_accel.converge.reset_terms import HostReadings
from ironic_accel.converge.reset_terms import Need
from ironic_accel.converge.reset_terms import PowerAct
from ironic_accel.converge.reset_terms import ReadingKind
from ironic_accel.converge.reset_terms import ResetDone
from ironic_accel.converge.reset_terms import ResetFailed
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import Restart
from ironic_accel.converge.reset_terms import SetPower
from ironic_accel.converge.reset_terms import StartOver
from ironic_accel.converge.reset_terms import WaitUntil
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable


def begin(activation: Activation, rules: ResetRules, now: float,
          cut: bool = False) -> ResetNote:
    """The note of a reset of which nothing is noted yet.

    :param cut: whether it starts over after a request that may have switched
        the host off.
    """
    return ResetNote(PHASES[activation][0], now, rules.by, cut=cut)


def next_act(activation: Activation, rules: ResetRules, note: ResetNote,
             seen: HostReadings, now: float) -> tuple[Act, ResetNote]:
    """What comes next in a host reset.

    :param note: how far it is.
    :param seen: what has been read; where more is needed, ``Need`` is what
        comes next.
    :param now: epoch seconds.
    :returns: the act, and the note to be saved before it is performed.
    """
    case = ResetCase(activation, rules, _in_time(rules, note, now), seen, now)
    if seen.refused is not None:
        return case.fail(seen.refused)
    if seen.away is not None:
        return case.bmc_away(seen.away)
    return {ResetPhase.REBOOT: _reboot, ResetPhase.OFF: _off,
            ResetPhase.AUX: _aux, ResetPhase.BMC: _bmc,
            ResetPhase.ON: _on}[case.note.phase](case)


def _in_time(rules: ResetRules, note: ResetNote, now: float) -> ResetNote:
    """The note with its times put right where a clock was set back.

    Waits would get longer by as much.
    """
    if now < note.at:
        note = dataclasses.replace(note, at=now)
    if note.again is not None and note.again > now + 2 * rules.times.again:
        note = dataclasses.replace(note, again=now)
    return note


def _reboot(case: ResetCase) -> tuple[Act, ResetNote]:
    """Restart the host, at first through its operating system.

    That it followed shows by the boot mark; one that is asked to shut down
    shows it by its power state.
    """
    note, seen = case.note, case.seen
    if note.asked is Asked.FORCED:
        return _restart_forced(case)
    in_time = case.late <= case.times.soft
    if note.asked is Asked.RESTART:
        if not case.has(ReadingKind.MARK):
            return Need(ReadingKind.MARK), note
        if note.mark is not None and seen.mark not in (None, note.mark):
            return ResetDone(), note
        if in_time:
            return case.wait('waiting for the operating system to restart')
    if not case.has(ReadingKind.POWER):
        return Need(ReadingKind.POWER), note
    if seen.power == 'off':
        # It shut down, or was down; or it restarts and does not come back.
        return case.next_phase()
    if note.asked is Asked.SHUTDOWN and in_time:
        return case.wait('waiting for the operating system to shut down')
    if not case.ours and case.rules.can_inventory:
        return StartOver(), note
    if note.asked is None and case.times.soft > 0:
        graceful = _graceful(case)
        if graceful is not None:
            return graceful
    return case.checked(Restart(soft=False))


def _restart_forced(case: ResetCase) -> tuple[Act, ResetNote]:
    """A forced restart was asked for; one without an answer may not be."""
    note = case.note
    if note.answered:
        return ResetDone(), note
    if not case.has(ReadingKind.POWER):
        return Need(ReadingKind.POWER), note
    if case.seen.power == 'off':
        return case.next_phase()
    if case.rules.restart_once:
        return ResetDone(), note
    if case.rules.can_inventory:
        return StartOver(), note
    return case.checked(Restart(soft=False))


def _graceful(case: ResetCase) -> tuple[Act, ResetNote] | None:
    """Ask the operating system to restart; None where it cannot be asked."""
    note, seen = case.note, case.seen
    for transport in case.rules.graceful:
        if transport is Graceful.MARKED_RESTART and not case.has(
            ReadingKind.MARK):
            return Need(ReadingKind.MARK), note
        if transport is Graceful.MARKED_RESTART and seen.mark is None:
            continue
        needed = (ReadingKind.OFFERS_SHUTDOWN if transport is Graceful.SHUTDOWN
                  else ReadingKind.OFFERS_RESTART)
        if not case.has(needed):
            return Need(needed), note
        if transport is Graceful.SHUTDOWN and seen.offers_shutdown:
            return case.checked(SetPower('off', soft=True))
        if transport is not Graceful.SHUTDOWN and seen.offers_restart:
            return case.checked(Restart(soft=True))
    return None


def _off(case: ResetCase) -> tuple[Act, ResetNote]:
    """Power the host off, at first through its operating system."""
    note, times = case.note, case.times
    if not case.has(ReadingKind.POWER):
        return Need(ReadingKind.POWER), note
    if case.seen.power == 'off':
        called = note.asked is Asked.FORCED and note.answered
        if case.rules.calls_all and not called:
            return SetPower('off'), case.asking(Asked.FORCED)
        return case.next_phase()
    if not case.ours and case.rules.can_inventory:
        return StartOver(), note
    if note.asked is Asked.FORCED:
        return _still_on(case)
    if note.asked is Asked.SHUTDOWN and case.late <= times.soft:
        return case.wait('waiting for the operating system to shut down')
    soft = note.asked is None and times.soft > 0
    return case.checked(SetPower('off', soft=soft))


def _still_on(case: ResetCase) -> tuple[Act, ResetNote]:
    """The host is not off, which the BMC was asked to power off.

    A request that was answered may be sent again, it does no harm twice. Of
    one without an answer it is not known when it is performed.
    """
    note, times = case.note, case.times
    if case.late > times.hard:
        return case.fail(case.did_not_follow('off'))
    if note.again is not None and case.now < note.again:
        return case.wait('powering off')
    if not note.answered and case.rules.can_inventory:
        return StartOver(), note
    return case.checked(SetPower('off'))


def _aux(case: ResetCase) -> tuple[Act, ResetNote]:
    """Cut the auxiliary power of a host that is off."""
    note = case.note
    if not case.has(ReadingKind.POWER):
        return Need(ReadingKind.POWER), note
    if case.seen.power == 'on':
        # Somebody has powered it on.
        if case.rules.can_inventory:
            return StartOver(), note
        return (WaitUntil(case.now, 'the host is on, powering it off'),
                ResetNote(ResetPhase.OFF, case.now, case.rules.by))
    if case.seen.power is None:
        if case.late > case.times.hard:
            return case.fail(case.did_not_follow('off'))
        return case.wait('powering off')
    return case.checked(CutAuxPower())


def _bmc(case: ResetCase) -> tuple[Act, ResetNote]:
    """Wait for the BMC, which comes back after the auxiliary cycle."""
    settled = case.note.at + case.times.aux_settle
    if case.now < settled:
        return WaitUntil(min(case.now + case.times.look, settled),
                         'waiting for the BMC'), case.note
    if not case.has(ReadingKind.BMC):
        return Need(ReadingKind.BMC), case.note
    act, note = case.next_phase()
    # A process may have died before it sent the request.
    return act, dataclasses.replace(
        note, unproved=not (case.note.answered or case.ours))


def _on(case: ResetCase) -> tuple[Act, ResetNote]:
    """Power the host on, which may be asked for again and again.

    Each process that goes on with it has the whole time for it.
    """
    if not case.ours:
        case = dataclasses.replace(case, note=dataclasses.replace(
            case.note, at=case.now, by=case.rules.by, again=None))
    note, times = case.note, case.times
    if note.failed is not None and case.rules.keep_off:
        return _ended(case, '')
    answered = note.asked is Asked.FORCED and note.answered
    if answered and case.rules.waits:
        return _is_on(case)
    if not case.has(ReadingKind.POWER):
        return Need(ReadingKind.POWER), note
    is_on = case.seen.power == 'on'
    if is_on and (answered or not case.rules.calls_all):
        return _is_on(case)
    if note.asked is not None:
        if case.late > (times.busy if note.later else times.hard):
            return case.fail(case.did_not_follow('on'))
        if note.again is not None and case.now < note.again:
            return WaitUntil(
                note.again if note.later
                else min(note.again, case.now + times.look),
                'powering on'), note
    if is_on and case.rules.ramdisk and note.failed is None:
        # It came on by itself and boots whatever it boots.
        return case.checked(Restart(soft=False))
    if note.failed is not None and note.asked is None and not is_on:
        early = _held_back(case)
        if early is not None:
            return early
    return SetPower('on'), case.asking(Asked.FORCED)


def _held_back(case: ResetCase) -> tuple[Act, ResetNote] | None:
    """Whether a host waits with being powered on after a failed reset.

    It does while the BMC reports work in progress. Where that cannot be read
    it does for a while: the BMC was idle when the power was cut, and nothing
    was begun since.
    """
    if not case.has(ReadingKind.IDLE):
        return Need(ReadingKind.IDLE), case.note
    busy = case.seen.busy
    if busy is None or (
            busy.detail.running is None and case.late > case.times.hard):
        return None
    if case.late > case.times.busy:
        return case.fail(busy)
    return case.wait('waiting to power the host on again: '
                     f'{busy.detail.summary}')


def _is_on(case: ResetCase) -> tuple[Act, ResetNote]:
    """The host is on: the end, or the failure that was kept."""
    if case.note.failed is None:
        return ResetDone(), case.note
    return _ended(case, '; the host is on again')


def _ended(case: ResetCase, power: str) -> tuple[Act, ResetNote]:
    """The end of a reset that failed.

    :param power: what became of the host, in words.
    """
    detail = Detail.from_dict(case.note.failed or {})
    return ResetFailed(AccelError(dataclasses.replace(
        detail, summary=detail.summary + power)), forget=True), case.note


def answered(activation: Activation, rules: ResetRules, before: ResetNote,
             asking: ResetNote, act: PowerAct, answer: Answer, now: float
             ) -> tuple[WaitUntil | ResetFailed | None, ResetNote]:
    """What the answer to an act means.

    :param before: the note before the act was decided.
    :param asking: the note that was saved before it was performed.
    :returns: what comes next, None to read the host, and the note.
    """
    case = ResetCase(activation, rules, before, HostReadings(), now)
    look = WaitUntil(now + rules.times.look, _DOING[act])
    if answer is None:
        note = dataclasses.replace(
            asking, answered=True, said='', later=False)
        done = rules.waits or act == Restart(soft=False)
        return None if done and act != CutAuxPower() else look, note
    if isinstance(answer, OutcomeUnknown):
        return WaitUntil(
            look.until, 'the BMC did not answer, checking the power state'), (
            dataclasses.replace(asking, said=answer.detail.summary))
    if isinstance(answer, Unreachable):
        return _plain(case.bmc_away(answer))
    if act == SetPower('on'):
        return look, _on_refused(rules, asking, answer, now)
    soft = isinstance(act, SetPower | Restart) and act.soft
    if soft and answer.retry_after is None:
        return None, dataclasses.replace(asking, asked=Asked.REFUSED)
    return _plain(case.not_now(answer))


#: What is being done, in words.
_DOING: dict[PowerAct, str] = {
    SetPower('on'): 'powering on',
    SetPower('off'): 'powering off',
    SetPower('off', soft=True):
        'waiting for the operating system to shut down',
    Restart(soft=True): 'waiting for the operating system to restart',
    Restart(soft=False): 'restarting the host',
    CutAuxPower(): 'cycling the auxiliary power'}


def _plain(decided: tuple[Act, ResetNote]
           ) -> tuple[WaitUntil | ResetFailed, ResetNote]:
    act, note = decided
    if not isinstance(act, WaitUntil | ResetFailed):
        raise TypeError(f'{act}: expected a wait or a failure')
    return act, note


def _on_refused(rules: ResetRules, asking: ResetNote, error: Rejected,
                now: float) -> ResetNote:
    """A no to On, which is asked for again all the same.

    A service may send us away for long; a host that is off is worth asking
    for oftener, and On does no harm.
    """
    later, again = error.retry_after, rules.times.again
    return dataclasses.replace(
        asking, said=error.detail.summary, later=later is not None,
        again=now + (again if later is None else min(later, 2 * again)))
