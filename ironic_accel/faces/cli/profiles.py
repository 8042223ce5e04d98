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

"""Profiles of the command line: which file, and which one of it."""

from __future__ import annotations

import argparse
import sys

from ironic_accel.bounded import files
from ironic_accel.faces.cli import catalogue
from ironic_accel.faces import profile_file
from ironic_accel.model.profile import Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--profile``, ``--name`` and ``--catalogue``."""
    parser.add_argument('--profile', required=True, metavar='FILE',
                        help='a file of one or more profiles; - is standard '
                             'input')
    parser.add_argument('--name', help='which profile of the file, where '
                                       'there are several')
    catalogue.add_argument(parser)


def choose(args: argparse.Namespace) -> Profile:
    """The one profile that the options name.

    :raises: BadInput where they name none, or leave it open.
    """
    if files.is_regular(args.profile):
        told = files.warning([args.profile])
        if told is not None:
            print('warning: other users can change which firmware a profile '
                  f'writes: {told}', file=sys.stderr)
    return profile_file.choose(args.profile, args.name,
                               catalog=catalogue.of(args))
