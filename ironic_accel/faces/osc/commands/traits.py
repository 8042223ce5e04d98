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

"""``baremetal accelerator traits``."""

from __future__ import annotations

import argparse
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.errors import ask
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.formatters import NOT_PERMITTED
from ironic_accel.faces.osc.report import node_access
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces import view
from ironic_accel.model import trait_meaning
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model.trait_meaning import TraitType
from ironic_accel.model import traits as grammar

COLUMNS = ('Trait', 'Meaning', 'Status', 'Verified at')


class Traits(base.Lister):
    """List the accelerator traits of a node with their meaning."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        base.add_node(parser)
        parser.add_argument('--all', action='store_true',
                            help='Include traits not managed by ironic-accel.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List the traits."""
        seen = node_access.of(self.ironic, parsed_args.node)
        if seen.traits is None:
            raise Denied(f"{'; '.join(seen.denied)}; {ask()}")
        if seen.info is None:
            self.say('not permitted to read driver_internal_info: status and '
                     'time of verification are not shown')
        rows = [row(seen, name) for name in seen.accel_traits]
        if not rows:
            self.say(f'node {parsed_args.node} has no accelerator traits; for '
                     'its inventory: baremetal accelerator list '
                     f'{parsed_args.node}')
        if parsed_args.all:
            rows += [
                formatters.row(n, None, 'not managed by ironic-accel', None)
                for n in seen.traits or () if n not in seen.accel_traits]
        return COLUMNS, rows


def row(seen: VisibleNode, name: str) -> tuple[Any, ...]:
    """The row of an accelerator trait."""
    if seen.info is None:
        return formatters.row(name, meaning_of(name, None), NOT_PERMITTED,
                              NOT_PERMITTED)
    meaning = trait_meaning.read(keys.TRAITS.read(seen.info)).get(name)
    at: float | None = None
    if meaning is not None and meaning.type is TraitType.IS_PROFILE:
        proof = (keys.PROOFS.read(seen.info) or {}).get(meaning.subject)
        at = None if proof is None else proof['at']
    status = 'published'
    if name in (keys.VOID.read(seen.info) or ()):
        status = 'void, kept because the instance requires it'
    elif meaning is None:
        status = 'not published by the conductor'
    return formatters.row(name, meaning_of(name, meaning), status,
                          formatters.moment(at))


def meaning_of(name: str, meaning: TraitMeaning | None) -> str:
    """What a trait means, as text.

    :param meaning: as stored by the conductor, or None.
    """
    kind_of = meaning.type if meaning else TraitType.UNKNOWN
    subject = meaning.subject if meaning else ''
    tail = name.removeprefix(grammar.PREFIX)
    if name == grammar.DEGRADED:
        return 'a device is missing, unhealthy or could not be read'
    if kind_of is TraitType.IS_PROFILE or tail.startswith('IS_'):
        return f'compliant with profile {subject or _profile(tail)}'
    if kind_of is TraitType.CAN_PROFILE or tail.startswith('CAN_'):
        return f'profile {subject or _profile(tail)} can be applied'
    if tail.startswith('PCI_'):
        return 'has a device with these PCI IDs'
    if kind_of is TraitType.MODE:
        wanted = tail.removeprefix(grammar.trait_name(subject).removeprefix(
            grammar.PREFIX) + '_').lower().replace('_', ' ')
        return f'{wanted} on all devices of kind {subject}'
    kind, _, number = tail.partition('_X')
    if number.isdecimal():
        return (f"exactly {view.count(int(number), 'healthy device')} of kind "
                f'{kind.lower()}')
    return 'has at least one healthy device'


def _profile(tail: str) -> str:
    return tail.partition('_')[2].lower().replace('_', '-')
