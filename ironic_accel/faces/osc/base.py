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

"""The base classes of the commands, and options that several have."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
import json
from typing import Any

from osc_lib.command import command
from osc_lib.exceptions import CommandError

from ironic_accel.faces import failure
from ironic_accel.faces import options
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import errors
from ironic_accel.faces.osc import formatters
from ironic_accel.faces import terminal
from ironic_accel.model import errors as model_errors

#: Exit codes besides 0 (success) and 1 (error, as for all commands of the
#: client), the same as those of ``ironic-accel``.
REFUSED, FAILED = 3, 4
#: The exit code of the client after Ctrl-C (cliff/app.py).
INTERRUPTED = 130


class Command(command.Command):
    """A command that calls Ironic's API.

    :ivar status: the exit code if nothing is raised.
    """

    status = 0

    @property
    def ironic(self) -> api.Ironic:
        """The Bare Metal API selected by the options of the client."""
        manager: Any = self.app.client_manager
        return api.Ironic(manager.baremetal)

    def say(self, text: str) -> None:
        """Print a line to standard error; standard output is for data."""
        print(text, file=self.app.stderr, flush=True)

    def tick(self, read: int, nodes: int) -> None:
        """Show on a terminal how many nodes are read."""
        stream = self.app.stderr
        if terminal.is_live(stream):
            end = '\r\x1b[K' if read == nodes else ''
            print(f'\r{read} of {nodes} nodes read{end}', end='', file=stream,
                  flush=True)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command.

        With ``-f json`` an error is printed as a document too.

        :returns: 0, 3 if a profile was refused, or 4 if a node failed.
        :raises: CommandError, which the client prints.
        """
        try:
            status = super().run(parsed_args)
        except (CommandError, model_errors.AccelError) as error:
            self._document(parsed_args, errors.as_model_error(error), 1)
            raise
        except KeyboardInterrupt:
            self._document(parsed_args, model_errors.AccelError(
                failure.INTERRUPTED), INTERRUPTED)
            raise
        return status or self.status

    def _document(self, args: argparse.Namespace,
                  error: model_errors.AccelError, code: int) -> None:
        if getattr(args, 'formatter', None) == 'json':
            print(json.dumps(failure.document(
                error, str(self.cmd_name or ''), code)), file=self.app.stdout)


class Lister(Command, command.Lister):
    """A command that prints a table."""

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: Sequence[str],
                       data: Iterable[Sequence[Any]]) -> int:
        """Print the rows; each cell of a sheet has one value."""
        return int(super().produce_output(
            parsed_args, column_names,
            formatters.printed(data, parsed_args.formatter)))


class ShowOne(Command, command.ShowOne):
    """A command that prints the fields of one object."""

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: Sequence[str],
                       data: Sequence[Any]) -> int:
        """Print the fields; each has one value where no list can be."""
        [fields] = formatters.printed(
            [data], parsed_args.formatter, one_line=False)
        return int(super().produce_output(parsed_args, column_names, fields))


def add_node(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``NODE``."""
    parser.add_argument('node', metavar='<node>',
                        help='Name or UUID of the node.')


def add_max_in_flight(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-in-flight`` to a command that takes inventories."""
    parser.add_argument(
        '--max-in-flight', type=options.positive, default=10, metavar='<n>',
        help='Maximum number of nodes to inventory concurrently '
             '(default: 10).')


Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]
