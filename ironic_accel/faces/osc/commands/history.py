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

"""``baremetal accelerator history``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.report import node_access

COLUMNS = ('Time', 'Conductor', 'User', 'Severity', 'Event')


class History(base.Lister):
    """List the accelerator events of a node, oldest first.

    There is an event for every write, with its devices, versions and the
    digest of the image, for the end of every operation and for every alert.
    Send the output of -f json to the support of a vendor.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        parser.add_argument('--last', type=base.positive, metavar='<n>',
                            help='Show the last n events only.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List the events."""
        events = node_access.events(self.ironic, parsed_args.node)
        if not events:
            # Ironic has an empty history for a node that does not exist.
            self.ironic.node(parsed_args.node)
            self.say(f'node {parsed_args.node} has no accelerator events: '
                     'nothing was written yet, or Ironic stores no history '
                     '([conductor]node_history)')
        return COLUMNS, [row(e) for e in events[-(parsed_args.last or 0):]]


def row(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """The row of an event."""
    return formatters.row(event.get('created_at'), event.get('conductor'),
                          event.get('user'), event.get('severity'),
                          event.get('event'))
