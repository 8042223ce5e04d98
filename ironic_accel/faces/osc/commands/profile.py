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

"""The option ``--profile``, and ``baremetal accelerator profile validate``.

A profile is given as the name of a site profile or as a file.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces import profile_file
from ironic_accel.model import errors
from ironic_accel.model import loader
from ironic_accel.model import traits

COLUMNS = ('Profile', 'Digest', 'Groups', 'Offered', 'Traits')

_SUFFIXES = frozenset({'.yaml', '.yml', '.json'})


def add_profile(parser: argparse.ArgumentParser, required: bool = True,
                text: str | None = None) -> None:
    """Add ``--profile`` and ``--profile-name``.

    :param text: the help of ``--profile``, if it does not apply the profile.
    """
    parser.add_argument(
        '--profile', metavar='<profile>', required=required,
        help=text or (
            'Name of a site profile, or file with a profile (a path with / or '
            'ending in .yaml, .yml or .json; - for standard input). Only site '
            'profiles are published as traits.'))
    parser.add_argument(
        '--profile-name', metavar='<name>',
        help='Name of the profile, if the file has several.')


def is_file(text: str) -> bool:
    """Whether the text is a file; names of profiles have no / or dot."""
    return (text == '-' or '/' in text
            or pathlib.PurePath(text).suffix in _SUFFIXES)


def profile(args: argparse.Namespace) -> str | dict[str, Any]:
    """The profile for the API: the name of a site profile, or a document.

    :raises: CommandError for an invalid file.
    """
    if not is_file(args.profile):
        if args.profile_name is not None:
            raise CommandError(
                f'--profile-name: {args.profile_name!r}: only allowed if '
                '--profile is a file')
        return str(args.profile)
    try:
        return dict(loader.normalise(profile_file.choose(
            args.profile, args.profile_name, '--profile-name')))
    except errors.BadInput as exc:
        raise CommandError(exc.detail.summary) from exc


class Validate(base.Lister):
    """Check files of profiles without a cloud."""

    auth_required = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'files', metavar='<file>', nargs='+',
            help='File with one or more profiles; - for standard input.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Check the files and list the errors of each."""
        found, bad = [], []
        for file in parsed_args.files:
            try:
                found += profile_file.read(file)
            except errors.BadInput as exc:
                bad.append(exc.detail.summary)
        if bad:
            raise CommandError('\n'.join(bad))
        for profile in found:
            for note in profile.notes:
                self.say(f'{profile.name}: {note}')
        return COLUMNS, [formatters.row(
            p.name, p.digest, [g.name for g in p.groups], p.offered,
            [traits.is_trait(p)] + ([traits.can_trait(p)] if p.offered
                                    else [])) for p in found]
