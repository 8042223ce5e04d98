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
from collections.abc import Sequence
import datetime
from typing import Any

from ironic_accel.faces import history_view
from ironic_accel.faces import options
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.report import node_access
from ironic_accel.faces.osc import selection
from ironic_accel.model import history

#: The columns of a table: a row for each event.
LINES = ('Time', 'Conductor', 'User', 'Severity', 'Outcome', 'Event')
#: The columns of all other formats: a row for each change.
COLUMNS = (*history_view.COLUMNS, 'Conductor', 'Severity', 'Event')


class History(base.Lister):
    """List the accelerator events of nodes, oldest first.

    There is an event for every write, with its devices, versions and the
    digest of the image, for the end of every operation (converged, done,
    refused, failed, stopped) and for every alert. A table has a row for each
    event; --long and the formats csv, json, yaml and value have a row for
    each component that an operation changed, with its serial number, values,
    result and the message of the BMC. Send the output of -f json or -f csv
    to the support of a vendor. Ironic keeps the last
    [conductor]node_history_max_entries entries of a node.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        selection.add_nodes(parser)
        options.add_history_filters(
            parser, 'the last n events of each node', 'operations', '<n>',
            options.sentence)
        parser.add_argument('--long', action='store_true',
                            help='Print a row for each changed component, '
                                 'with all columns.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List the events."""
        refs = selection.nodes(self, parsed_args)
        found = selection.each(self, refs, self._events)
        shown = [(ref, self._chosen(parsed_args, ref, events))
                 for ref, events in found]
        if by_event(parsed_args):
            return selection.rows(parsed_args, LINES, [
                (ref, [line(e) for e in events]) for ref, events in shown])
        return selection.rows(parsed_args, COLUMNS, [
            (ref, [formatters.row(*r) for e in events for r in rows(e)])
            for ref, events in shown])

    def _events(self, ref: str) -> list[dict[str, Any]]:
        """The events of a node."""
        events = node_access.events(self.ironic, ref)
        if not events:
            # Ironic has an empty history for a node that does not exist.
            self.ironic.node(ref)
        return events

    def _chosen(self, args: argparse.Namespace, ref: str,
                events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The events of a node that are asked for."""
        if not events:
            self.say(f'node {ref} has no accelerator events: nothing was '
                     'written yet, or Ironic stores no history '
                     '([conductor]node_history)')
        if args.failed:
            events = [e for e in events if e['document'] is not None
                      and history.is_bad(e['document'])]
        return events[-(args.last or 0):]


def by_event(args: argparse.Namespace) -> bool:
    """Whether a row is an event: in a table for people."""
    asked: Sequence[str] = args.columns or ()
    return (args.formatter == 'table' and not args.long
            and all(name in ('Node', *LINES) for name in asked))


def line(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """The row of an event."""
    doc = event['document'] or {}
    return formatters.row(
        event.get('created_at'), event.get('conductor'), event.get('user'),
        event.get('severity'), doc.get('outcome'), event.get('event'))


def rows(event: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of the changes of an event; one row without any."""
    about = [history.cell(event.get(name))
             for name in ('conductor', 'severity', 'event')]
    doc = event['document']
    if doc is not None:
        return [(*found, *about) for found in history_view.cells(doc)]
    shared = {'time': iso(event.get('created_at')),
              'outcome': 'event', 'user': history.cell(event.get('user')),
              'project': history.cell(event.get('project'))}
    return [(*map(shared.get, history.FIELDS), *about)]


def iso(at: Any) -> str | None:
    """The time of an event of Ironic's API, in UTC, without fractions."""
    if not isinstance(at, str):
        return None
    try:
        found = datetime.datetime.fromisoformat(at)
    except ValueError:
        return at
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return history.moment(found.timestamp())
