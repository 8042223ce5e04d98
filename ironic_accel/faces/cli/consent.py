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

"""The consent to the changes of a run, asked for before the first write.

The question is asked when the plan is complete, and before the journal is
written: a run that is declined or killed until then has changed nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import sys

from ironic_accel.converge import reset_note
from ironic_accel.faces.cli import found_power
from ironic_accel.faces.cli.journal import FileJournal
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import session
from ironic_accel.faces import view
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record
from ironic_accel.model import refusals

YES = frozenset({'y', 'yes'})


class Declined(AccelError):
    """The changes were not agreed to."""


def terminal() -> Callable[[str], str] | None:
    """A function that asks on the terminal, or None without one."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return _ask


def _ask(question: str) -> str:
    with messages.hold():
        # Standard output is for the document.
        print(question, end='', file=sys.stderr, flush=True)
        return sys.stdin.readline()


@dataclasses.dataclass
class Consent:
    """Whether the changes of a run are agreed to.

    :ivar host: the host, for the question.
    :ivar minutes: the time limit of the run.
    :ivar ask: returns the answer to a question; None without a terminal.
    :ivar given: whether they were agreed to.
    """

    host: str
    minutes: int
    ask: Callable[[str], str] | None
    given: bool = False

    def require(
            self, wanted: Sequence[Activation], begun: bool = False,
            writes: int = 0) -> None:
        """Ask for consent, once for all that the run changes.

        Without a terminal only resets need it.

        :param begun: whether anything was written already.
        :param writes: how many writes are planned.
        :raises: Declined.
        """
        if self.given or not (wanted or (writes and self.ask)):
            return
        words = ', '.join(wanted)
        left = ('staged changes are pending' if begun
                else 'nothing was changed')
        if self.ask is None:
            raise Declined(
                f'{self.host} has to be reset ({words}), and there is no '
                f'terminal to ask on; {left}',
                error_class=ErrorClass.NEEDS_OPERATOR,
                todo='run the command on a terminal, or with --yes')
        what = (
            f'{self.host} will be reset ({words}) within the next '
            f'{self.minutes} minutes. Running workloads are interrupted.'
            if wanted else f"{view.count(writes, 'write')} will be sent to "
            f'devices of {self.host}.')
        if self._answer(f'{what} Continue? [y/N] '
                        ).strip().lower() not in YES:
            raise Declined(
                (f'reset of {self.host} ({words})' if wanted
                 else f'changes of {self.host}') + f' declined; {left}',
                error_class=ErrorClass.NEEDS_OPERATOR)
        self.given = True

    def _answer(self, question: str) -> str:
        try:
            return self.ask(question) if self.ask else ''
        except KeyboardInterrupt:
            return ''


def resets_of(plan: Plan) -> tuple[Activation, ...]:
    """The host resets of a plan, in order."""
    return tuple(
        s.reset for s in plan.stages
        if s.reset is not Activation.NONE and not s.manual)


def limited(args: argparse.Namespace, profile: Profile, opened: session.Opened,
            journal: FileJournal, earlier: Record | None) -> Profile:
    """The profile without resets, if they are not allowed.

    They always are for a host that was off before the run, unless somebody
    has restarted it since: it may be in use.
    """
    if found_power.was_restarted(opened.host, journal):
        messages.say('the host was off before the interrupted run, and was '
                     'restarted since: it stays on')
        journal.found = None
    if args.allow_disruption or journal.found == 'off' or (
            earlier is not None and reset_note.is_switched_off(earlier)):
        return profile
    if profile.limits.reset is Activation.NONE or (
            journal.found is None and opened.host.power_state() == 'off'):
        return profile
    messages.say('the host is on: changes that need a reset are refused '
                    'without --allow-disruption')
    return profile.limited(Activation.NONE)


def explained(plan: Plan) -> Plan:
    """The plan of a profile that ``limited`` has limited.

    Its refusals name the option that is missing, not the profile.
    """
    return dataclasses.replace(plan, refused=tuple(
        dataclasses.replace(
            one, reason='it needs a reset and the host is on; to allow this, '
                        'use --allow-disruption')
        if one.reason == refusals.TOO_STRONG else one
        for one in plan.refused))


def of(args: argparse.Namespace, opened: session.Opened, profile: Profile
       ) -> Consent:
    """The consent of a run, as given by the options so far."""
    return Consent(
        f'the host {opened.system} behind {opened.bmc}',
        profile.limits.minutes, terminal(), given=args.yes)
