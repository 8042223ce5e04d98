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
"""``ironic-accel demo``: the whole story on simulated machines."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        '--captures', type=pathlib.Path, metavar='FOLDER',
        default=pathlib.Path(os.environ.get(
            'IRONIC_ACCEL_CAPTURES', '../shared/captures')),
        help='captures of real machines; without them the demo goes on '
             'with its own ($IRONIC_ACCEL_CAPTURES, ../shared/captures)')
    parser.add_argument('--nova', action='store_true',
                        help='start Nova too, and let it schedule a server')
    parser.add_argument('--keep', action='store_true',
                        help='leave logs and databases behind')


def run(args: argparse.Namespace) -> int:
    """Play the story.

    :returns: 0 where all of it came as it is told, 4 otherwise.
    :raises: BadInput where the lab's services are not installed.
    """
    from ironic_accel.faces import view
    from ironic_accel.model import errors
    try:
        from ironic_accel.lab import demo
    except ImportError as exc:
        raise errors.BadInput(
            f'demo: {exc.name} is not installed: expected '
            'ironic-accel[lab]') from exc
    return demo.play(view, demo.Options(
        args.captures, args.keep, args.nova),
                     sys.stdout)
