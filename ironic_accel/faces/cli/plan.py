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

"""``ironic-accel plan``: the changes that apply a profile to a system."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import image_serving_options
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import profile_options
from ironic_accel.faces import options
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.profile import Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    bmc_options.add_arguments(parser)
    add_profile_arguments(parser)


def add_profile_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that plan and apply share."""
    profile_options.add_profile(parser)
    parser.add_argument(
        '--journal', metavar='FILE',
        help='file with the state of a run, from which an interrupted run '
             'continues (default: a file for each system below '
             '$XDG_STATE_HOME)')
    options.add_max_activation(parser, 'limits.reset of the profile',
                               options.phrase)
    parser.add_argument(
        '--allow-disruption', action='store_true',
        help='allow resets of a host that is on; without it changes that '
             'need a reset are refused on such a host')
    parser.add_argument(
        '--image-cache', metavar='DIR',
        help='directory in which images are cached (default: below '
             '$XDG_CACHE_HOME)')
    parser.add_argument('--image-ca', metavar='FILE',
                        help='CA bundle used to verify image servers')
    options.add_detailed_exitcode(parser, options.phrase)
    image_serving_options.add_arguments(parser)


def profile_of(args: argparse.Namespace) -> Profile:
    """The selected profile, with ``--max-activation`` as its limit.

    :raises: BadInput for an invalid profile.
    """
    profile = profile_options.choose(args)
    if args.max_activation is None:
        return profile
    return profile.limited(Activation(args.max_activation))


def run(args: argparse.Namespace) -> int:
    """Take an inventory and print the plan.

    :returns: the exit code (``plan_view.exit_code``).
    :raises: AccelError if the host is off or its inventory is not complete.
    """
    from ironic_accel.faces.cli import bmcs
    check_several(args)
    profile = profile_of(args)
    return bmcs.run(args, lambda one: _work(one, profile), _show)


def check_several(args: argparse.Namespace) -> None:
    """Check the options that can be given for one BMC only.

    :raises: BadInput.
    """
    if args.bmc_file is None:
        return
    if args.journal is not None:
        raise BadInput('--journal: cannot be combined with --bmc-file: each '
                       'system has its own journal')
    if image_serving_options.has_port(args):
        raise BadInput(f'--image-address: {args.image_address!r}: expected '
                       'HOST with --bmc-file: each BMC is served on a port '
                       'of its own')


def _work(args: argparse.Namespace, profile: Profile
          ) -> tuple[dict[str, Any], int]:
    from ironic_accel.faces.cli import bmc_lock
    from ironic_accel.faces.cli import planning
    from ironic_accel.faces.cli import session
    from ironic_accel.faces import plan_view
    from ironic_accel.faces import view
    from ironic_accel.model import serialization
    bmc = bmc_options.url(args)
    try:
        with (
            image_serving_options.Served(args, bmc) as images,
            session.opened(args, images.uri) as opened,
        ):
            planned = planning.make(args, profile, opened)
    except Unreachable as exc:
        # Another run may be restarting it.
        in_use = bmc_lock.in_use(bmc)
        if in_use is None:
            raise
        raise in_use from exc
    doc = planned.to_dict()
    for line in view.unready_lines(
            serialization.inventory_to_dict(planned.inventory)):
        messages.say(line)
    args.hint = planned.hint
    if args.json:
        _say_hint(args)
    return doc, plan_view.exit_code(doc, args.detailed_exitcode)


def _show(doc: dict[str, Any], args: argparse.Namespace) -> None:
    from ironic_accel.faces import plan_view
    from ironic_accel.faces import view
    print(plan_view.headline(doc))
    for line in plan_view.notes(doc):
        print(line)
    table = plan_view.table(doc)
    if table.rows:
        view.write(table, sys.stdout)
    _say_hint(args)


def _say_hint(args: argparse.Namespace) -> None:
    if args.hint:
        messages.say(args.hint)
