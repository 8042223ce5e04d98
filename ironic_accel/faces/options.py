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

"""Options that ``ironic-accel`` and the commands of ``baremetal`` share.

The help of ``ironic-accel`` is in phrases, that of ``baremetal`` in sentences,
as in the other commands of each: ``wording`` makes one of the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ironic_accel.faces import deprecation
from ironic_accel.model.device import Activation

Wording = Callable[[str], str]


def phrase(text: str) -> str:
    """The help of an option as it is."""
    return text


def sentence(text: str) -> str:
    """The help of an option as a sentence."""
    return f'{text[:1].upper()}{text[1:]}.'


def positive(text: str) -> int:
    """Parse a positive integer of the command line.

    :raises: ArgumentTypeError for any other text.
    """
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f'{text}: expected an integer of at least 1')
    return int(text)


def add_max_activation(parser: argparse.ArgumentParser, default: str,
                       wording: Wording) -> None:
    """Add ``--max-activation``.

    :param default: the strongest reset without it.
    """
    deprecation.add_renamed(
        parser, '--max-effect', '--max-activation',
        choices=[e.value for e in Activation], help=wording(
            f'the strongest reset that may be performed (default: {default})'))


def add_detailed_exitcode(parser: argparse.ArgumentParser,
                          wording: Wording) -> None:
    """Add ``--detailed-exitcode`` to a command that plans."""
    parser.add_argument(
        '--detailed-exitcode', action='store_true', help=wording(
            'exit with 1 if a plan has changes, and with 0 if there is '
            'nothing to do'))


def add_history_filters(parser: argparse.ArgumentParser, most: str,
                        failed: str, metavar: str, wording: Wording) -> None:
    """Add ``--last`` and ``--failed`` to a command that lists a history.

    :param most: what ``--last`` lists.
    :param failed: what ``--failed`` lists.
    :param metavar: the name of the number in the help.
    """
    parser.add_argument('--failed', action='store_true', help=wording(
        f'list {failed} only that were refused, failed or were stopped'))
    parser.add_argument('--last', type=positive, metavar=metavar,
                        help=wording(f'list {most} only'))
