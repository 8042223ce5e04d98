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

"""``ironic-accel validate``: check files of profiles."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import profile_options
from ironic_accel.faces import profile_file
from ironic_accel.model import errors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument('files', nargs='+', metavar='FILE',
                        help='file with one or more profiles; - for standard '
                             'input')
    parser.add_argument('--json', action='store_true',
                        help='print a JSON document on standard output')
    profile_options.add_catalogue(parser)


def run(args: argparse.Namespace) -> int:
    """Check all files and print the errors of each.

    :returns: 0, or 2 if a profile is invalid.
    """
    good: list[dict[str, Any]] = []
    bad: list[dict[str, object]] = []
    known = profile_options.catalogue(args)
    for file in args.files:
        try:
            for profile in profile_file.read(file, known):
                good.append({'file': file, 'name': profile.name,
                             'digest': profile.digest,
                             'offered': profile.offered,
                             'notes': profile.notes})
        except errors.BadInput as exc:
            bad.append({'file': file, 'error': exc.detail.summary})
            messages.error(exc.detail.summary)
    if args.json:
        print(json.dumps({'schema': 'validate/1', 'profiles': good,
                          'bad': bad}))
    else:
        for row in good:
            print(f"{row['file']}: profile {row['name']} is valid "
                  f"(digest {row['digest']})")
            for note in row['notes']:
                print(f'  {note}')
    return 2 if bad else 0
