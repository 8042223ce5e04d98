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

"""What all commands share."""

from __future__ import annotations

import argparse
from typing import Any

from ironicclient.osc import command

from ironic_accel.faces.osc import api

#: Exit codes beside 0 (done) and 1 (an error, as of every command of the
#: client): the profile's page has them for all command lines of ours.
REFUSED, FAILED = 3, 4


class Command(command.Command):
    """A command with Ironic at hand.

    :ivar status: the exit code where nothing was raised.
    """

    status = 0

    @property
    def ironic(self) -> api.Ironic:
        """The API that the options name."""
        return api.Ironic(self.app.client_manager.baremetal)

    def say(self, text: str) -> None:
        """A line for people, beside what programs read."""
        print(text, file=self.app.stderr, flush=True)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run it.

        :returns: 0, 3 where something was refused, 4 where it failed.
        """
        status = super().run(parsed_args)
        return status or self.status


class Lister(Command, command.Lister):
    """A command whose answer is a table."""


class ShowOne(Command, command.ShowOne):
    """A command whose answer is one thing."""


def positive(text: str) -> int:
    """A number of things on the command line.

    :raises: ArgumentTypeError for anything below one.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f'{text}: expected a whole number, at least 1')
    return number


def add_node(parser: argparse.ArgumentParser) -> None:
    """The argument ``NODE``."""
    parser.add_argument('node', metavar='<node>',
                        help='Name or UUID of the node.')


def add_nodes(parser: argparse.ArgumentParser) -> None:
    """The arguments ``NODE...``."""
    parser.add_argument('nodes', metavar='<node>', nargs='+',
                        help='Names or UUIDs of the nodes.')


def add_looks(parser: argparse.ArgumentParser) -> None:
    """The option ``--max-in-flight`` of what only looks."""
    parser.add_argument(
        '--max-in-flight', type=positive, default=10, metavar='<n>',
        help='Maximum number of nodes to inventory concurrently '
             '(default: 10).')


Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]
