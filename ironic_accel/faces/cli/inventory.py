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
import sys
from typing import Any

from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import profile_options

#: Warnings that are printed without --long.
_WARNINGS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    bmc_options.add_arguments(parser)
    profile_options.add_catalogue(parser)
    parser.add_argument('--once', action='store_true',
                        help='do not take a second inventory to find out '
                             'whether the first one is complete')
    parser.add_argument('--long', action='store_true',
                        help='print a row for each device, and all warnings '
                             '(default: one row for identical devices)')
    parser.add_argument('--firmware', action='store_true',
                        help='list firmware components too')


def run(args: argparse.Namespace) -> int:
    """Take an inventory and print it.

    If the BMC does not report when its host was last reset, a second
    inventory shows whether the first one is complete, unless ``--once`` is
    given.

    A host that is off is not an error: the inventory is printed as not
    complete.

    :returns: 0; of several BMCs the highest exit code.
    """
    from ironic_accel.faces.cli import bmcs
    return bmcs.run(args, _work, _show)


def _work(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    doc = read(args)
    if doc['host'] == 'off':
        messages.say('the host is off: a BMC lists few of its devices; next: '
                     'power it on, and take the inventory again')
    warn(doc, every=args.long or args.json)
    return doc, 0


def read(args: argparse.Namespace) -> dict[str, Any]:
    """Take an inventory; the document ``inventory/3``."""
    from ironic_accel.faces.cli import session
    from ironic_accel.model import serialization
    with session.opened(args) as opened:
        return serialization.inventory_to_dict(
            opened.backend.observe() if args.once else opened.settled())


def warn(doc: dict[str, Any], every: bool) -> None:
    """Print the warnings of an inventory, or the first few of many."""
    from ironic_accel.faces import view
    lines = view.warning_lines(doc)
    for line in lines if every else lines[:_WARNINGS]:
        messages.say(line)
    if len(lines) > _WARNINGS and not every:
        messages.say(f'and {len(lines) - _WARNINGS} more warnings; next: '
                        'use --long to see them all')


def _show(doc: dict[str, Any], args: argparse.Namespace) -> None:
    from ironic_accel.faces import device_table
    from ironic_accel.faces import view
    print(view.inventory_headline(doc))
    if doc['devices'] and args.long:
        view.write(view.inventory_table(doc), sys.stdout)
    elif doc['devices']:
        device_table.write(doc, sys.stdout)
    if args.firmware:
        view.write(view.firmware_table(doc), sys.stdout)
