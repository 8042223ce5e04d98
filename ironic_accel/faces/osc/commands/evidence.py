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

"""``baremetal accelerator evidence``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters

COLUMNS = ('When', 'Conductor', 'Who', 'Severity', 'What')


class Evidence(base.Lister):
    """List what was done to the accelerators of a node, oldest first.

    Every write with its devices, versions and the image's digest; every
    run's end; every alert. ``-f json`` is what goes to a vendor's support.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The arguments."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        parser.add_argument('--last', type=base.positive, metavar='<n>',
                            help='Only the last events.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List them."""
        events = of(self.ironic.history(parsed_args.node))
        if not events:
            self.ironic.node(parsed_args.node)
            self.say(f'node {parsed_args.node}: nothing was done to its '
                     'accelerators, or Ironic keeps no history of it '
                     '([conductor]node_history)')
        return COLUMNS, [row(e) for e in events[-(parsed_args.last or 0):]]


def of(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of a node's history that are ours."""
    return [e for e in history if e.get('event_type') == keys.EVENT.name]


def row(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """An event as a row."""
    return formatters.row(event.get('created_at'), event.get('conductor'),
                     event.get('user'), event.get('severity'),
                     event.get('event'))
