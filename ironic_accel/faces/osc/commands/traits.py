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
from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces import deprecation
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.errors import ask
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.formatters import NOT_PERMITTED
from ironic_accel.faces.osc.report import fleet_profiles
from ironic_accel.faces.osc.report import node_access
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces.osc.report import trait_why
from ironic_accel.faces.osc import selection
from ironic_accel.faces import ranges
from ironic_accel.faces import view
from ironic_accel.model import trait_meaning
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model.trait_meaning import TraitType
from ironic_accel.model import traits as grammar

COLUMNS = ('Trait', 'Meaning', 'Status', 'Verified at')
#: The columns of ``--why``: a row for each reason.
WHY = ('Status', 'Reason', 'Group', 'Devices', 'Item', 'Expected', 'Seen',
       'Next')
#: Of the table, which has the values in the sentence of the reason.
WHY_TABLE = ('Status', 'Reason', 'Devices', 'Next')


class Traits(base.Lister):
    """List the accelerator traits of nodes, or tell why one is there or not.

    With --why there is a row for each reason: what verified the trait, or
    what keeps it from being published or made it void, with the group of the
    profile, the devices and what to do next. The formats json and yaml have
    a document (trait-why/1) for each node.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser)
        what = parser.add_mutually_exclusive_group()
        what.add_argument('--all-traits', action='store_true',
                          help='Include traits not managed by ironic-accel.')
        what.add_argument(
            '--why', metavar='<trait>', type=_trait,
            help='Tell why the nodes have this trait or have it not. Needs '
                 'the permission to call passthru methods to compare with '
                 'the site profiles.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List the traits."""
        if parsed_args.nodes and parsed_args.all_nodes:
            # Before nodes could be selected, it was the name of the option.
            deprecation.warn('--all with the name of a node', '--all-traits')
            parsed_args.all_nodes, parsed_args.all_traits = False, True
            if parsed_args.why is not None:
                raise CommandError(
                    '--all: not allowed together with --why and names of '
                    'nodes')
        refs = selection.nodes(self, parsed_args)
        found = selection.each(self, refs, self._read)
        if parsed_args.why is not None:
            return self._why(parsed_args, found)
        if any(seen.info is None for _, seen in found):
            self.say('not permitted to read driver_internal_info: status and '
                     'time of verification are not shown')
        return selection.rows(parsed_args, COLUMNS, [
            (ref, self._listed(ref, seen, parsed_args.all_traits))
            for ref, seen in found])

    def _read(self, ref: str) -> VisibleNode:
        """Read a node with its traits.

        :raises: Denied if the caller may not read those.
        """
        seen = node_access.of(self.ironic, ref)
        if seen.traits is None:
            raise Denied(f"{'; '.join(seen.denied)}; {ask()}")
        return seen

    def _listed(self, ref: str, seen: VisibleNode,
                every: bool) -> list[tuple[Any, ...]]:
        rows = [row(seen, name) for name in seen.accel_traits]
        if not rows:
            self.say(f'node {ref} has no accelerator traits; for its '
                     f'inventory: baremetal accelerator list {ref}')
        return rows + [
            formatters.row(n, None, 'not managed by ironic-accel', None)
            for n in seen.traits or ()
            if every and n not in seen.accel_traits]

    def _why(self, args: argparse.Namespace,
             found: Sequence[tuple[str, VisibleNode]]) -> base.Rows:
        """Why the nodes have the trait or have it not."""
        site = fleet_profiles.read(
            self.ironic, [seen.node for _, seen in found])
        docs = [(ref, trait_why.explain(seen, args.why, site))
                for ref, seen in found]
        if args.formatter in ('json', 'yaml'):
            return trait_why.FIELDS, [
                formatters.row(*(doc[name] for name in trait_why.FIELDS))
                for _, doc in docs]
        for ref, doc in docs:
            self.say(f"node {ref}: {args.why} is {doc['status']}"
                     + (f", verified at {doc['verified_at']}"
                        if doc['verified_at'] else '')
                     + f" (inventory of {doc['inventory_at'] or 'never'})")
        columns = (WHY_TABLE if args.formatter == 'table' and all(
            name in ('Node', *WHY_TABLE) for name in args.columns or ())
            else WHY)
        return selection.rows(args, columns, [
            (ref, [_reason(doc['status'], one, columns)
                   for one in doc['reasons']]) for ref, doc in docs])


def _trait(text: str) -> str:
    """Parse the name of a trait.

    :raises: ArgumentTypeError for a text that is none.
    """
    if not re.fullmatch(r'[A-Z][A-Z0-9_]{0,254}', text):
        raise argparse.ArgumentTypeError(
            f'{text!r}: expected the name of a trait (A to Z, 0 to 9 and _), '
            f'for example {grammar.PREFIX}GPU_X8')
    return text


def _reason(status: str, one: Mapping[str, Any],
            columns: tuple[str, ...]) -> tuple[Any, ...]:
    """The row of a reason."""
    text = str(one['text'])
    if columns == WHY_TABLE:
        told = [f'{name} {view.value(one[name])}'
                for name in ('expected', 'seen') if one[name] is not None]
        text += f" ({', '.join(told)})" if told else ''
        text += f" [group {one['group']}]" if one['group'] else ''
    cells = {
        'Status': status, 'Reason': text, 'Group': one['group'],
        'Devices': formatters.Cell(
            one['devices'], ranges.words(one['devices']) or view.UNKNOWN),
        'Item': one['item'], 'Expected': one['expected'],
        'Seen': one['seen'], 'Next': one['next']}
    return formatters.row(*(cells[name] for name in columns))


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
