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

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters

COLUMNS = ('Node', 'State', 'Outcome', 'Note')


class _Each(base.Lister):
    """One passthru method for each of some nodes."""

    method = ''
    done = ''

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The arguments."""
        parser = super().get_parser(prog_name)
        base.add_nodes(parser)
        add_reason(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Do it to each of them."""
        nodes = {}
        for ref in dict.fromkeys(parsed_args.nodes):
            nodes[ref] = self.ironic.node(ref)
            api.check_ours(nodes[ref], ref)
        return COLUMNS, [self._one(ref, node, parsed_args.reason)
                         for ref, node in nodes.items()]

    def _one(self, ref: str, node: Mapping[str, Any],
             reason: str) -> tuple[Any, ...]:
        try:
            self.ironic.post(ref, self.method, reason=reason)
        except CommandError as error:
            self.status = base.FAILED
            return formatters.row(ref, node['provision_state'], 'failed',
                             str(error))
        return formatters.row(ref, node['provision_state'], self.done, None)


class Hold(_Each):
    """Hold nodes: no write to their accelerators and no reset begins.

    What runs already is watched to its end, and guarded. A run that is
    under way waits; it ends at its own limit of minutes.
    """

    method, done = 'accel_hold', 'held'


class Unhold(_Each):
    """Let nodes that are held go on."""

    method, done = 'accel_unhold', 'not held'


class Unlock(base.ShowOne):
    """End the guard of a node's power by hand.

    It ends by itself once the BMC shows that nothing is written any more.
    Where the BMC keeps saying that something is, and you know better, this
    lets power actions pass again. A device whose firmware is still being
    written may be destroyed by them.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The arguments."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        add_reason(parser)
        parser.add_argument('--yes', action='store_true',
                            help='Do not ask; needed where there is no '
                                 'terminal.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace,
                    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Unlock it."""
        ref = parsed_args.node
        node = self.ironic.node(ref)
        api.check_ours(node, ref)
        standing = self.ironic.get(ref, 'accel_progress').get('guard')
        if not standing:
            raise CommandError(f'node {ref}: no guard stands on its power')
        self.say(f"node {ref}: a write to {standing['what']} was not seen to "
                 f"be over (state: {standing.get('state', 'unknown')}, last "
                 f"seen: {standing.get('last') or 'nothing'}). Cutting the "
                 'power while it goes on can destroy the device.')
        if not parsed_args.yes:
            self._confirm(ref)
        was = self.ironic.post(ref, 'accel_unlock',
                               reason=parsed_args.reason)['was']
        return ('node', 'guarded', 'state', 'outcome'), formatters.row(
            ref, was['what'], was.get('state'), 'unlocked')

    def _confirm(self, ref: str) -> None:
        """Have the name of the node typed.

        :raises: CommandError without a terminal, or with another answer.
        """
        if not self.app.stdin.isatty():
            raise CommandError(
                f'node {ref}: nothing was changed; there is no terminal to '
                'ask on: give --yes')
        self.say(f'Type {ref} to unlock it:')
        if self.app.stdin.readline().strip() != ref:
            raise CommandError(f'node {ref}: nothing was changed')


def add_reason(parser: argparse.ArgumentParser) -> None:
    """The option ``--reason``."""
    parser.add_argument(
        '--reason', required=True, metavar='<text>',
        help='Why: it is kept in the history of the node.')
