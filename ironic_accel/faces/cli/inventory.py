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

"""``ironic-accel inventory``: list the accelerators of a system."""

from __future__ import annotations

import argparse
import json
import sys

from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import profile_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    bmc_options.add_arguments(parser)
    profile_options.add_catalogue(parser)
    parser.add_argument('--once', action='store_true',
                        help='do not take a second inventory to find out '
                             'whether the first one is complete')
    parser.add_argument('--firmware', action='store_true',
                        help='list firmware components too')


def run(args: argparse.Namespace) -> int:
    """Take an inventory and print it.

    If the BMC does not report when its host was last reset, a second
    inventory shows whether the first one is complete, unless ``--once`` is
    given.

    A host that is off is not an error: the inventory is printed as not
    complete.

    :returns: 0.
    """
    from ironic_accel.faces.cli import session
    from ironic_accel.faces import view
    from ironic_accel.model import serialization
    with session.opened(args) as opened:
        doc = serialization.inventory_to_dict(
            opened.backend.observe() if args.once else opened.settled())
    for line in view.warning_lines(doc):
        bmc_options.say(line)
    if args.json:
        print(json.dumps(doc))
        return 0
    print(view.inventory_headline(doc))
    if doc['devices']:
        view.write(view.inventory_table(doc), sys.stdout)
    if args.firmware:
        view.write(view.firmware_table(doc), sys.stdout)
    return 0
