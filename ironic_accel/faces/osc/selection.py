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
"""Which nodes a command works on: names, filters, or all of them.

The filters are those of ``baremetal node list``. They never select child
nodes (DPUs): what is done to the parent is done to its DPUs too, and a child
can be given by name.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
from typing import Any
from typing import TypeVar

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces import ranges
from ironic_accel.faces import view

Document = Mapping[str, Any]
_T = TypeVar('_T')

#: The fields of a node that are compared with one value. They are compared
#: here: the client sends a value unquoted and leaves an empty one out
#: (ironicclient/v1/node.py, list), which would select other nodes.
_VALUES = ('driver', 'resource_class', 'conductor_group', 'provision_state')
#: The fields of a node that a selection needs.
FIELDS = ('uuid', 'name', 'vendor_interface', 'maintenance', 'traits',
          'parent_node', *_VALUES)
#: Number of nodes that are read concurrently.
WORKERS = 8
#: Names that a line lists before it only counts.
_LISTED = 8


def add_nodes(parser: argparse.ArgumentParser,
              text: str = 'Names or UUIDs of the nodes.') -> None:
    """Add ``NODE...`` and the options that select nodes instead.

    :param text: the help of ``NODE``.
    """
    parser.add_argument('nodes', metavar='<node>', nargs='*', help=text)
    group = parser.add_argument_group(
        'selection of nodes', 'Instead of names: the nodes to which all '
        'filters apply, without child nodes.')
    group.add_argument('--all', action='store_true', dest='all_nodes',
                       help='All nodes that this command is for.')
    group.add_argument('--driver', metavar='<driver>',
                       help='Nodes with this driver.')
    group.add_argument(
        '--trait', metavar='<trait>', action='append', default=[],
        help='Nodes that have this trait; can be repeated, a node must have '
             'all of them.')
    group.add_argument('--resource-class', metavar='<class>',
                       help='Nodes of this resource class.')
    group.add_argument('--conductor-group', metavar='<group>',
                       help="Nodes of this conductor group ('' for the "
                            'default group).')
    group.add_argument('--provision-state', metavar='<state>',
                       help='Nodes in this provision state.')
    group.add_argument('--no-maintenance', action='store_true',
                       help='Only nodes that are not in maintenance.')


def is_one(args: argparse.Namespace) -> bool:
    """Whether one node is named: its rows need no column for the node."""
    return len(args.nodes) == 1


def each(command: base.Command, refs: Sequence[str],
         call: Callable[[str], _T]) -> list[tuple[str, _T]]:
    """Call something for each node, several at a time.

    A node that cannot be read does not stop the others: its error is
    printed, and the exit code is 4.

    :returns: the nodes that could be read with the results, in order.
    :raises: the CommandError of the only node.
    """
    if len(refs) == 1:
        return [(refs[0], call(refs[0]))]
    found: list[tuple[str, _T]] = []
    bad: list[CommandError] = []
    pool = futures.ThreadPoolExecutor(WORKERS)
    try:
        for ref, future in [(ref, pool.submit(call, ref)) for ref in refs]:
            try:
                found.append((ref, future.result()))
            except CommandError as error:
                bad.append(error)
            command.tick(len(found) + len(bad), len(refs))
    finally:
        # After an interrupt no further node is read.
        pool.shutdown(cancel_futures=True)
    for one in bad:
        command.say(str(one))
        command.status = max(command.status, base.FAILED)
    return found


def rows(args: argparse.Namespace, columns: tuple[str, ...],
         found: Iterable[tuple[str, Iterable[tuple[Any, ...]]]],
         ) -> base.Rows:
    """The rows of nodes, with the node in front unless one is named.

    :param found: each node with its rows.
    """
    if is_one(args):
        return columns, [row for _, some in found for row in some]
    return ('Node', *columns), [
        (*formatters.row(ref), *row) for ref, some in found for row in some]


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add ``--yes`` to a command that changes nodes."""
    parser.add_argument(
        '--yes', action='store_true',
        help='Do not ask for confirmation. Required without a terminal if '
             'several nodes are selected by --all or by filters.')


def add_change(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that shows its changes first."""
    add_nodes(parser)
    add_yes(parser)
    parser.add_argument('--dry-run', action='store_true',
                        help='Print the changes without making them.')


def given(args: argparse.Namespace) -> list[str]:
    """The options by which nodes are selected; empty if they are named."""
    found = ['--all'] if args.all_nodes else []
    found += [f"--{name.replace('_', '-')} {value!r}" for name in _VALUES
              if (value := getattr(args, name)) is not None]
    found += [f'--trait {trait!r}' for trait in args.trait]
    return found + (['--no-maintenance'] if args.no_maintenance else [])


def check(args: argparse.Namespace) -> None:
    """Check that nodes are selected in one way.

    :raises: CommandError for names or ``--all`` together with filters.
    """
    filters = given(args)
    if args.nodes and filters:
        raise CommandError(
            f"{', '.join(filters)}: not allowed together with names of "
            f"nodes ({', '.join(args.nodes)}); give either")
    if args.all_nodes and len(filters) > 1:
        raise CommandError(
            f"--all: not allowed together with {', '.join(filters[1:])}; "
            'the filters alone select all nodes to which they apply')


def nodes(command: base.Command, args: argparse.Namespace,
          suits: Callable[[Document], bool] = api.is_managed,
          otherwise: str = 'not managed by ironic-accel') -> list[str]:
    """The nodes of a command, each once: names as given, or UUIDs.

    The selection is printed. Nodes that were named are not looked at.

    :param suits: of the nodes that filters select, those that the command is
        for.
    :param otherwise: what the other ones are.
    :raises: CommandError if no node is selected, and for names together
        with filters.
    """
    filters = given(args)
    check(args)
    if args.nodes:
        return list(dict.fromkeys(args.nodes))
    if not filters:
        raise CommandError(
            'no nodes: expected names or UUIDs, or --all, --driver, --trait, '
            '--resource-class, --conductor-group or --provision-state')
    found = matching(args, command.ironic.nodes_with(FIELDS))
    chosen = [node for node in found if suits(node)]
    others = len(found) - len(chosen)
    text = f"{', '.join(filters)}: {view.count(len(chosen), 'node')}"
    if others:
        text += f'; {view.count(others, "other node")} {otherwise}'
    if not chosen:
        raise CommandError(
            f'{text}; nothing was done; next: baremetal node list '
            '--fields name driver provision_state resource_class '
            'conductor_group traits')
    names = [name_of(node) for node in chosen]
    command.say(f'{text} ({ranges.words(names, _LISTED)})')
    return names


def matching(args: argparse.Namespace, nodes: Iterable[dict[str, Any]],
             ) -> list[dict[str, Any]]:
    """Those of some nodes to which the filters apply, without children.

    :param nodes: with ``FIELDS`` at least.
    """
    values = {name: value.casefold() for name in _VALUES
              if (value := getattr(args, name)) is not None}
    traits = set(args.trait)
    return [node for node in nodes
            if not node.get('parent_node')
            and not (args.no_maintenance and node.get('maintenance'))
            and traits <= set(node.get('traits') or ())
            and all(str(node.get(name) or '').casefold() == value
                    for name, value in values.items())]


def name_of(node: Document) -> str:
    """The name of a node, or its UUID."""
    return str(node.get('name') or node['uuid'])


def confirm(command: base.Command, args: argparse.Namespace, what: str,
            refs: Sequence[str]) -> None:
    """Ask before several nodes that filters selected are changed.

    Nodes that were named are not asked for.

    :param what: what will be done, as in ``disable accelerator management
        on``.
    :raises: CommandError without a terminal, or for another answer.
    """
    if args.yes or len(refs) < 2 or not given(args):
        return
    asked = f"{what} {view.count(len(refs), 'node')}"
    stdin = command.app.stdin
    if not (stdin.isatty() and command.app.stderr.isatty()):
        raise CommandError(
            f'not confirmed: {asked}; nothing was changed; next: check the '
            'selection and use --yes')
    print(f'{asked[:1].upper()}{asked[1:]}? [y/N] ', end='',
          file=command.app.stderr, flush=True)
    if stdin.readline().strip().lower() not in ('y', 'yes'):
        raise CommandError('not confirmed; nothing was changed')


def all_checked(refs: Iterable[str],
                check: Callable[[str], Any]) -> list[Any]:
    """Check each node, and raise the errors of all of them together.

    :param check: what is done for a node; its result is returned.
    :raises: the CommandError of the one node, or one with a line for each.
    """
    found, bad = [], []
    for ref in refs:
        try:
            found.append(check(ref))
        except CommandError as error:
            bad.append(error)
    if len(bad) == 1:
        raise bad[0]
    if bad:
        raise CommandError('\n'.join(map(str, bad)))
    return found
