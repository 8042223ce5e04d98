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

"""The consent to a host's resets, asked for before anything is written.

It is asked for once the whole plan is known, and before the record of the
run has anything of it: whoever declines, or kills the command meanwhile, has
begun nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import sys

from ironic_accel.converge import reset_note
from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli.journal import FileJournal
from ironic_accel.faces.cli import session
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record

YES = frozenset({'y', 'yes'})


class Declined(AccelError):
    """Nobody has agreed to the resets."""


def terminal() -> Callable[[str], str] | None:
    """What asks a person, or None where none sits there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return _ask


def _ask(question: str) -> str:
    # The document has standard output to itself.
    print(question, end='', file=sys.stderr, flush=True)
    return sys.stdin.readline()


@dataclasses.dataclass
class Consent:
    """Whether the resets of a run are agreed to.

    :ivar host: the host in the words of the options.
    :ivar minutes: within how many the run is over at the latest.
    :ivar ask: gives the answer to a question; None where nobody can be
        asked.
    :ivar given: whether somebody has agreed.
    """

    host: str
    minutes: int
    ask: Callable[[str], str] | None
    given: bool = False

    def require(
        self, wanted: Sequence[Activation], begun: bool = False
    ) -> None:
        """Have the resets agreed to, once for the whole run.

        :param begun: whether something was written before.
        :raises: Declined.
        """
        if self.given or not wanted:
            return
        words = ', '.join(wanted)
        left = ('what was written waits for it' if begun
                else 'nothing was begun')
        if self.ask is None:
            raise Declined(
                f'{self.host} has to be reset ({words}), and there is no '
                f'terminal to ask at: {left}',
                error_class=ErrorClass.NEEDS_OPERATOR, expected='--yes',
                todo='run it at a terminal, or with --yes')
        answer = self._answer(
            f'{self.host} will be reset ({words}) within the next '
            f'{self.minutes} minutes, and what runs on it is interrupted. '
            'Go on? [y/N] ')
        if answer.strip().lower() not in YES:
            raise Declined(
                f'the reset of {self.host} ({words}) was declined: {left}',
                error_class=ErrorClass.NEEDS_OPERATOR)
        self.given = True

    def _answer(self, question: str) -> str:
        try:
            return self.ask(question) if self.ask else ''
        except KeyboardInterrupt:
            return ''


def resets_of(plan: Plan) -> tuple[Activation, ...]:
    """The resets of a plan, in order."""
    return tuple(
        s.reset for s in plan.stages if s.reset is not Activation.NONE)


def limited(args: argparse.Namespace, profile: Profile, opened: session.Opened,
            journal: FileJournal, earlier: Record | None) -> Profile:
    """The profile without resets, where a host that is on may have none.

    A host that this command has switched off, or found off, is not in use.
    """
    if args.allow_disruption or journal.found == 'off' or (
            earlier is not None and reset_note.is_switched_off(earlier)):
        return profile
    if profile.limits.reset is Activation.NONE or (
            journal.found is None and opened.host.power_state() == 'off'):
        return profile
    bmc_options.say('the host is on: nothing that needs a reset is done to it '
                'without --allow-disruption')
    return dataclasses.replace(profile, limits=dataclasses.replace(
        profile.limits, reset=Activation.NONE))


def of(args: argparse.Namespace, opened: session.Opened, profile: Profile
       ) -> Consent:
    """The consent that a run needs."""
    return Consent(
        f'the host {opened.system} behind {opened.bmc}',
        profile.limits.minutes, terminal(), given=args.yes)
