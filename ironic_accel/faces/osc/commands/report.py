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

"""``baremetal accelerator report``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections import Counter
import json
import pathlib
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.commands import profile as profile_module
from ironic_accel.faces.osc.errors import reason
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.formatters import NOT_PERMITTED
from ironic_accel.faces.osc.report import fleet_report
from ironic_accel.faces.osc.report import html_report
from ironic_accel.faces.osc.report import next_steps
from ironic_accel.faces.osc import selection
from ironic_accel.faces import view
from ironic_accel.model import loader

Document = Mapping[str, Any]

COLUMNS = ('Node', 'State', 'Status', 'Devices', 'Health', 'Profiles',
           'Drift', 'Last operation', 'Inventory')
DEVICE_COLUMNS = ('Node', 'State', 'Device', 'Status', 'Kind', 'Product',
                  'Serial', 'Health', 'Firmware', 'Modes', 'Differences',
                  'Inventory')
#: A profile on a node, by its status.
WORDS = {'compliant': 'compliant', 'differs': 'differs',
         'unread': 'not read', 'can': 'can be applied'}
#: Hours after which an inventory counts as not seen.
MAX_AGE = 168


class Report(base.Lister):
    """Report on the accelerators of all nodes that the caller may read.

    Lists devices, firmware and modes compared with the site profiles,
    traits, drift, health, and the last operation. The document of --save has
    all data. Each node has one status: failed, unhealthy, updating, drifted,
    not seen, maintenance, no profile or compliant, whichever comes first.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(
            parser, 'Names or UUIDs of the nodes to report on; without them '
                    'and without filters, all nodes.')
        profile_module.add_profile(
            parser, required=False,
            text='Report what this profile would change on each node, by the '
                 'stored inventories: name of a site profile, or file with a '
                 'profile (a path with / or ending in .yaml, .yml or .json; '
                 '- for standard input).')
        parser.add_argument(
            '--max-age', metavar='<hours>', type=_hours, default=MAX_AGE,
            help='An older inventory counts as not seen '
                 f'(default: {MAX_AGE}; 0: no inventory is too old).')
        parser.add_argument('--devices', action='store_true',
                            help='Print a row for each device.')
        parser.add_argument(
            '--save', metavar='<file>', type=pathlib.Path,
            help='Write the report to a file as JSON.')
        parser.add_argument(
            '--html', metavar='<file>', type=pathlib.Path,
            help='Write the report to a file as a self-contained HTML page.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Make the report."""
        ironic = self.ironic
        selection.check(parsed_args)
        nodes, children = _nodes(ironic, parsed_args)
        doc = fleet_report.make(ironic, nodes, children, _options(parsed_args),
                                self.tick)
        self._say(doc, parsed_args.profile is not None)
        if parsed_args.save is not None:
            write(parsed_args.save, '--save', json.dumps(doc, indent=1) + '\n')
        if parsed_args.html is not None:
            write(parsed_args.html, '--html', html_report.render(doc))
        if parsed_args.devices:
            return DEVICE_COLUMNS, [device_row(n, d) for n in doc['nodes']
                                    for d in n['devices']]
        if parsed_args.profile:
            return ((*COLUMNS, 'With profile'),
                    [(*node_row(n), _change(n)) for n in doc['nodes']])
        return COLUMNS, [node_row(n) for n in doc['nodes']]

    def _say(self, doc: Document, with_profile: bool) -> None:
        others = len(doc['others'])
        self.say(f"{view.count(len(doc['nodes']), 'managed node')}"
                 + _counted(doc['totals']['status'])
                 + (f'; {others} not managed by ironic-accel' if others
                    else ''))
        for text, command in next_steps.of_fleet(doc):
            self.say(f'{text} {command}')
        for one in doc['changes'] if with_profile else ():
            self.say(f"profile {one['profile']}:"
                     f"{_counted(one['outcomes'])[1:]}")
        for line in doc['denied']:
            self.say(f'{reason(line)}; profiles are known from traits only')
        failed = [n for n in doc['nodes'] if n['failed']]
        if failed:
            self.status = base.FAILED
            self.say(f"{view.count(len(failed), 'node')} could not be read "
                     f"completely; first error: {failed[0]['failed']}")
        partly_read = [n for n in doc['nodes'] if n['denied']]
        if partly_read:
            self.say(f"{view.count(len(partly_read), 'node')} read partly; "
                     f"first error: {partly_read[0]['denied'][0]}")


def _nodes(ironic: api.Ironic, args: argparse.Namespace,
           ) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """The nodes to report on, and their children.

    The children are None if the nodes are all that the caller may see.

    :raises: CommandError if the filters apply to no node.
    """
    if args.nodes:
        nodes = _once(ironic.node(r) for r in args.nodes)
        return nodes, [child for node in nodes
                       for child in ironic.children(str(node['uuid']))]
    everything = _once(ironic.nodes())
    filters = selection.given(args)
    if not filters or args.all_nodes:
        return everything, None
    nodes = selection.matching(args, everything)
    if not nodes:
        raise CommandError(f"{', '.join(filters)}: no node")
    chosen = {node['uuid'] for node in nodes}
    return nodes, [n for n in everything if n.get('parent_node') in chosen]


def _once(nodes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each node once, also if it was given by name and by UUID."""
    return list({str(node['uuid']): node for node in nodes}.values())


def _hours(text: str) -> int:
    """Parse a number of hours of the command line.

    :raises: ArgumentTypeError for any other text.
    """
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f'{text}: expected a number of hours, 0 for no limit')
    return int(text)


def _options(args: argparse.Namespace) -> fleet_report.Options:
    """The options of the report.

    :raises: CommandError for a file that is no profile.
    """
    profile = None
    if args.profile is not None:
        given = profile_module.profile(args)
        profile = given if isinstance(given, str) else loader.load_data(
            given, inline=False)
    return fleet_report.Options(profile, args.max_age * 3600 or None)


def _counted(numbers: Mapping[str, int]) -> str:
    """``: 2 failed, 5 compliant``, without those of which there are none."""
    found = ', '.join(f'{n} {what}' for what, n in numbers.items() if n)
    return f': {found}' if found else ''


def write(path: pathlib.Path, option: str, text: str) -> None:
    """Write the file of an option.

    :raises: CommandError if that fails.
    """
    try:
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise CommandError(f'{option}: {path}: {error.strerror}') from error


def node_row(node: Document) -> tuple[Any, ...]:
    """The row of a node."""
    kinds = Counter(d.get('kind') or NOT_PERMITTED for d in node['devices'])
    return formatters.row(
        node['name'] or node['uuid'], node['state'], formatters.Cell(
            node['status'], '\n'.join((node['status'], *(
                view.value(r['text']) for r in node['remarks']
                if r['status'] == 'failed')))),
        formatters.Cell(dict(kinds), ', '.join(
            f'{n} {kind}' for kind, n in sorted(kinds.items()))
            or _unseen(node)),
        _health(node), _profiles(node['profiles']),
        formatters.Cell(node['drift'], '\n'.join(node['drift']) or 'none'),
        _last(node), _age(node))


def device_row(node: Document, device: Document) -> tuple[Any, ...]:
    """The row of a device."""
    partly = node['seen'] == 'partly'
    hidden = NOT_PERMITTED if partly else None
    differs = [f"{one['profile']}: {i['name']} {view.value(i['seen'])}, "
               f"expected {view.value(i['expected'])}"
               for one in node['profiles']
               for i in one.get('differs') or ()
               if i['device'] == device['id']]
    return formatters.row(
        node['name'] or node['uuid'], node['state'], device['id'],
        device['status'], device.get('kind', hidden),
        device.get('product') or device.get('model'), device.get('serial'),
        device.get('health', hidden),
        formatters.firmware(device['components']),
        formatters.modes(device['modes']) if 'modes' in device else hidden,
        formatters.Cell(differs, '\n'.join(differs) or 'none'), _age(node))


def _unseen(node: Document) -> str:
    return {'never': 'no inventory', 'partly': NOT_PERMITTED,
            'failed': 'not read'}.get(node['seen'], 'none')


def _health(node: Document) -> Any:
    if node['health'] is None and node['seen'] == 'partly':
        return NOT_PERMITTED
    return node['health']


def _profiles(found: list[Document]) -> formatters.Cell:
    lines = []
    for one in found:
        differs = len(one.get('differs') or ())
        lines.append(f"{one['profile']}: {WORDS[one['status']]}" + (
            f' ({differs})' if differs else ''))
    return formatters.Cell({one['profile']: one['status'] for one in found},
                           '\n'.join(lines) or view.UNKNOWN)


def _change(node: Document) -> formatters.Cell:
    """What the profile of ``--profile`` would change."""
    one = node['change']
    lines = [one['outcome'], *one['reasons']]
    if one['outcome'] == 'would change':
        lines = [f"{one['outcome']}: {view.count(one['writes'], 'write')}, "
                 f"{one['reset'] or 'no host reset'}"]
    return formatters.Cell(one, '\n'.join(map(view.value, lines)),
                           document=True)


def _last(node: Document) -> formatters.Cell:
    if node.get('stopped'):
        return formatters.Cell(node['stopped'], node['stopped'])
    if node['working']:
        work = node['working']
        return formatters.Cell(
            work,
            f"{work['step']} {work['profile'] or ''}: "
            f"{work['progress'] or 'in progress'}", document=True)
    last = node['last']
    if last is None:
        return formatters.Cell(
            None, NOT_PERMITTED if node['history'] is None
            and node['denied'] else view.UNKNOWN)
    text = f"{last.get('step')} {last.get('profile') or ''}".strip()
    return formatters.Cell(last, f"{text}: {last.get('outcome')}",
                           document=True)


def _age(node: Document) -> formatters.Cell:
    age = node['age']
    if age is None:
        return formatters.Cell(None, _unseen(node))
    return formatters.Cell(node['seen_at'], f'{formatters.age(age)} ago')
