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

"""``baremetal accelerator hold``, ``unhold`` and ``unlock``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc import selection

COLUMNS = ('Node', 'State', 'Outcome', 'Note')


class _NodesCommand(base.Lister):
    """Call one passthru method of several nodes."""

    method = ''
    done = ''
    #: Whether the command asks before it changes several selected nodes.
    asks = True
    what = 'allow writes to'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser)
        add_reason(parser)
        if self.asks:
            selection.add_yes(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Check all nodes, then call the method of each."""
        refs = selection.nodes(self, parsed_args)
        nodes = selection.all_checked(refs, self.ironic.managed)
        if self.asks:
            selection.confirm(self, parsed_args, self.what, refs)
        return COLUMNS, [self._one(ref, node, parsed_args.reason)
                         for ref, node in zip(refs, nodes, strict=True)]

    def _one(self, ref: str, node: Mapping[str, Any],
             reason: str) -> tuple[Any, ...]:
        try:
            self.ironic.post(ref, self.method, reason=reason)
        except CommandError as error:
            self.status = base.FAILED
            return formatters.row(ref, node['provision_state'], 'failed',
                             str(error))
        return formatters.row(ref, node['provision_state'], self.done, None)


class Hold(_NodesCommand):
    """Stop writes to the accelerators of nodes.

    No write, host reset or power action is started on a held node. A
    firmware update in progress is monitored until it ends, and the power of
    the node stays locked. An operation in progress waits, until its own time
    limit is reached.
    """

    method, done = 'accel_hold', 'held'
    # It stops what may be going wrong now.
    asks = False


class Unhold(_NodesCommand):
    """Allow writes to the accelerators of held nodes again."""

    method, done = 'accel_unhold', 'not held'


class Unlock(base.ShowOne):
    """Unlock the power of a node although a write may be in progress.

    The power of a node is locked while firmware is written, until the BMC
    reports that the write has ended. Use this command only if the BMC
    reports a write that you know has ended. Power actions during a write can
    destroy the device.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        add_reason(parser)
        parser.add_argument('--yes', action='store_true',
                            help='Do not ask for confirmation; required '
                                 'without a terminal.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace,
                    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Confirm and unlock."""
        ref = parsed_args.node
        self.ironic.managed(ref)
        standing = self.ironic.get(ref, 'accel_progress').get('guard')
        if not standing:
            raise CommandError(f'node {ref}: the power is not locked')
        self.say(f"node {ref}: the write to {standing['what']} is not known "
                 f"to have ended (state: {standing.get('state', 'unknown')}, "
                 f"last report: {standing.get('last') or 'none'}). Power "
                 'actions during a write can destroy the device.')
        if not parsed_args.yes:
            self._confirm(ref)
        was = self.ironic.post(ref, 'accel_unlock',
                               reason=parsed_args.reason)['was']
        return ('node', 'locked_for', 'state', 'outcome'), formatters.row(
            ref, was['what'], was.get('state'), 'unlocked')

    def _confirm(self, ref: str) -> None:
        """Ask for the name of the node.

        :raises: CommandError without a terminal, or for another answer.
        """
        if not self.app.stdin.isatty():
            raise CommandError(
                f'node {ref}: not unlocked: no terminal to confirm on; next: '
                'use --yes')
        self.say(f'Type {ref} to unlock:')
        if self.app.stdin.readline().strip() != ref:
            raise CommandError(f'node {ref}: not unlocked')


def add_reason(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--reason``."""
    parser.add_argument(
        '--reason', required=True, metavar='<text>',
        help='Reason, stored in the history of the node.')
