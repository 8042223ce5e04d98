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
"""How long a command waits: ``--wait [SECONDS]``.

It is the option of ``baremetal node provide``: without seconds, or with 0, a
command waits as long as it takes. At the limit the command ends; an
operation that was started continues on its node.

There is no ``--timeout``: the client has such an option, the time limit of
each request (keystoneauth1/loading/session.py), and takes it wherever it
stands on the command line.
"""

from __future__ import annotations

import argparse


def add_wait(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--wait``.

    :param text: what is waited for, as a sentence.
    """
    parser.add_argument(
        '--wait', type=_seconds, nargs='?', const=0, metavar='<seconds>',
        help=f'{text} Optionally at most so many seconds (default: 0, no '
             'limit); operations that were started continue after that.')


def limit(args: argparse.Namespace) -> int | None:
    """Seconds that the command may wait, or None for no limit.

    It has none either if it was not asked to wait.
    """
    return args.wait or None


def is_asked(args: argparse.Namespace) -> bool:
    """Whether the command was asked to wait."""
    return args.wait is not None


def _seconds(text: str) -> int:
    """Parse a number of seconds of the command line.

    :raises: ArgumentTypeError for any other text. ``--wait NODE`` takes the
        node for the seconds, as in Ironic's own commands.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(
        f'{text!r}: expected seconds, 0 for no limit; put --wait behind the '
        'names of the nodes')
