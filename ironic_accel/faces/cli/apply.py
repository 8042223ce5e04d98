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

"""``ironic-accel apply``: apply a profile to a system."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any

from ironic_accel.converge import outcome
from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import plan as plan_command
from ironic_accel.faces import command_line
from ironic_accel.faces import deprecation
from ironic_accel.model.errors import BadInput
from ironic_accel.model.profile import Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    bmc_options.add_arguments(parser)
    plan_command.add_profile_arguments(parser)
    parser.add_argument('--dry-run', action='store_true',
                        help='print the plan only, like ironic-accel plan')
    deprecation.add_renamed(
        parser, '--poll', '--poll-interval', type=_seconds, default=5.0,
        metavar='SECONDS',
        help='seconds between two reads of the BMC (default: 5)')
    deprecation.add_renamed(
        parser, '--soft-off', '--soft-power-off-timeout', type=_seconds,
        default=60.0, metavar='SECONDS',
        help='seconds that the operating system may take to restart or to '
             'shut down before the reset is forced; 0 forces it at once '
             '(default: 60)')
    parser.add_argument('--yes', action='store_true',
                        help='do not ask before the first write; without a '
                             'terminal it is required for resets, and '
                             'with --bmc-file always')
    parser.add_argument('--keep-going', action='store_true',
                        help='with --bmc-file: start further BMCs after one '
                             'has failed or was refused')


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float('inf'):
        raise argparse.ArgumentTypeError(
            f'{text}: expected a number of seconds')
    return number


def run(args: argparse.Namespace) -> int:
    """Apply a profile, or continue an unfinished run.

    :returns: 0 converged or the profile does not apply, 3 refused or
        declined, 4 failed or interrupted.
    """
    if args.dry_run:
        return plan_command.run(args)
    from ironic_accel.faces.cli import bmcs
    if args.bmc_file is not None and not args.yes:
        raise BadInput('--yes: required with --bmc-file; see the plans '
                       f'first: {_plan_command(args)}')
    plan_command.check_several(args)
    profile = plan_command.profile_of(args)
    # Handle SIGTERM like Ctrl-C: the journal is complete at any time.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return bmcs.run(args, lambda one: _work(one, profile), _show)
    finally:
        signal.signal(signal.SIGTERM, before)


def _plan_command(args: argparse.Namespace) -> str:
    """The command that shows what this one would do."""
    parser = argparse.ArgumentParser()
    plan_command.add_arguments(parser)
    return command_line.shown('ironic-accel plan', parser, args)


def _work(args: argparse.Namespace, profile: Profile
          ) -> tuple[dict[str, Any], int]:
    from ironic_accel.faces.cli import run as run_mod
    doc = run_mod.apply(args, profile)
    return doc, {'converged': 0, outcome.NOT_APPLIED: 0, 'refused': 3}.get(
        doc['outcome'], 4)


def _show(doc: dict[str, Any], args: argparse.Namespace) -> None:
    from ironic_accel.faces import plan_view
    from ironic_accel.faces import view
    print(plan_view.outcome_headline(doc))
    table = plan_view.outcome_table(doc)
    if table.rows:
        view.write(table, sys.stdout)
