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

A profile is given by the name of a site profile, or in a file.
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


def add_profile(parser: argparse.ArgumentParser,
                required: bool = True) -> None:
    """``--profile`` and ``--profile-name``."""
    parser.add_argument(
        '--profile', metavar='<profile>', required=required,
        help='Name of a site profile, or a file with one (anything with a / '
             'or an ending of YAML or JSON; - is standard input). Only site '
             'profiles are published as traits.')
    parser.add_argument(
        '--profile-name', metavar='<name>',
        help='Which profile of the file, where there are several.')


def is_file(text: str) -> bool:
    """Whether a profile is given as a file; names have no such letters."""
    return (text == '-' or '/' in text
            or pathlib.PurePath(text).suffix in _SUFFIXES)


def profile(args: argparse.Namespace) -> str | dict[str, Any]:
    """What the API takes for the profile: a name, or the profile itself.

    :raises: CommandError naming what is wrong with the file.
    """
    if not is_file(args.profile):
        if args.profile_name is not None:
            raise CommandError(
                f'--profile-name: {args.profile_name!r} with a site '
                'profile: expected a file behind --profile')
        return str(args.profile)
    try:
        return dict(loader.normalise(profile_file.choose(
            args.profile, args.profile_name, '--profile-name')))
    except errors.BadInput as exc:
        raise CommandError(exc.detail.summary) from exc


class Validate(base.Lister):
    """Check files of profiles; no cloud is asked."""

    auth_required = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'files', metavar='<file>', nargs='+',
            help='A file of one or more profiles; - is standard input.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Check them, and say of each file what is wrong with it."""
        found, bad = [], []
        for file in parsed_args.files:
            try:
                found += profile_file.read(file)
            except errors.BadInput as exc:
                bad.append(exc.detail.summary)
        if bad:
            raise CommandError('\n'.join(bad))
        return COLUMNS, [formatters.row(
            p.name, p.digest, [g.name for g in p.groups], p.offered,
            [traits.is_trait(p)] + ([traits.can_trait(p)] if p.offered
                                    else [])) for p in found]
