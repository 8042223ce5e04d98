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

"""``ironic-accel templates``: deploy templates and runbooks of profiles."""

from __future__ import annotations

import argparse
import json

from ironic_accel.faces.cli import profile_options
from ironic_accel.faces import profile_file
from ironic_accel.model import step_templates
from ironic_accel.redfish.inventory import modes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    profile_options.add_profile(parser)
    parser.add_argument(
        '--via', choices=step_templates.TRANSPORTS,
        help='transport: redfish for an out-of-band step before the ramdisk '
             'boots, agent for a step that uses both the ramdisk and the BMC '
             '(default: agent if the profile has firmware or modes that no '
             'BMC can write)')
    parser.add_argument(
        '--interface', choices=step_templates.INTERFACES,
        default=step_templates.INTERFACES[0],
        help='type of the interface of the nodes that has the steps '
             '(default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Print a JSON document with the objects of each profile.

    ``deploy_template`` and ``runbook`` are bodies of ``POST
    /v1/deploy_templates`` and ``POST /v1/runbooks``; ``runbook_traits`` go
    to ``PUT /v1/runbooks/NAME/traits`` (API 1.112; before, the name of a
    runbook is its trait).

    :returns: 0.
    :raises: BadInput for an invalid file or an unknown name.
    """
    known = profile_options.catalogue(args)
    chosen = ([profile_options.choose(args)] if args.name is not None
              else profile_file.read(args.profile, known))
    print(json.dumps({'schema': 'templates/1', 'profiles': [
        step_templates.document(
            profile, step_templates.needs(profile, known, modes.names()),
            args.via, args.interface) for profile in chosen]}, indent=2))
    return 0
