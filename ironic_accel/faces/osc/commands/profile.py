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

"""The option ``--profile``, and ``baremetal accelerator profile``.

A profile is given as the name of a site profile or as a file.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces import deprecation
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.report import fleet_profiles
from ironic_accel.faces import profile_explain
from ironic_accel.faces import profile_file
from ironic_accel.faces import ranges
from ironic_accel.model import catalog
from ironic_accel.model import errors
from ironic_accel.model import loader
from ironic_accel.model import traits

COLUMNS = ('Profile', 'Digest', 'Groups', 'Offered', 'Traits')
LISTED = ('Profile', 'Digest', 'Offered', 'Conductors', 'Summary')

_SUFFIXES = frozenset({'.yaml', '.yml', '.json'})


def add_profile(parser: argparse.ArgumentParser, required: bool = True,
                text: str | None = None) -> None:
    """Add ``--profile`` and ``--name``.

    :param text: the help of ``--profile``, if it does not apply the profile.
    """
    parser.add_argument(
        '--profile', metavar='<profile>', required=required,
        help=text or (
            'Name of a site profile, or file with a profile (a path with / or '
            'ending in .yaml, .yml or .json; - for standard input). Only site '
            'profiles are published as traits.'))
    add_name(parser)


def add_name(parser: argparse.ArgumentParser) -> None:
    """Add ``--name``, which selects a profile of a file."""
    deprecation.add_renamed(
        parser, '--profile-name', '--name', dest='profile_name',
        metavar='<name>', help='Name of the profile, if the file has several.')


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
                f'--name: {args.profile_name!r}: only allowed if '
                '--profile is a file')
        return str(args.profile)
    try:
        return dict(loader.normalise(profile_file.choose(
            args.profile, args.profile_name, '--name')))
    except errors.BadInput as exc:
        raise CommandError(exc.detail.summary) from exc


class ProfileList(base.Lister):
    """List the site profiles of all conductors.

    They are read from one managed node of each conductor. A name has several
    rows if conductors have different profiles of it; such a profile is not
    published as a trait. Needs the permission to call passthru methods.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """List the profiles."""
        found = site_profiles(self.ironic)
        for line in found.denied:
            self.say(f'not listed: {line}')
        for name in sorted({p.name for p, _ in found.versions}
                           - set(found.agreed)):
            self.say(f'profile {name} differs between conductors: it is not '
                     'published; next: give all conductors the same file')
        return LISTED, [formatters.row(
            p.name, p.digest, p.offered, list(hosts), p.summary or None)
            for p, hosts in found.versions]


class ProfileShow(base.ShowOne):
    """Show a site profile, or one of a file, as the conductor reads it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'profile', metavar='<profile>',
            help='Name of a site profile, or file with a profile (a path '
                 'with / or ending in .yaml, .yml or .json; - for standard '
                 'input).')
        add_name(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace,
                    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Show the profile."""
        chosen = profile(parsed_args)
        hosts: tuple[str, ...] = ()
        if isinstance(chosen, str):
            one, hosts = site_profiles(self.ironic).single(
                chosen, '<profile>')
        else:
            one = loader.load_data(chosen, inline=False)
        doc = loader.normalise(one)
        fields = {'name': one.name, 'digest': one.digest,
                  'conductors': list(hosts) or None, 'traits': [
                      traits.is_trait(one), *(
                          [traits.can_trait(one)] if one.offered else [])],
                  'profile': formatters.Cell(
                      doc, loader.to_yaml(one), document=True)}
        return tuple(fields), formatters.row(*fields.values())


class Explain(base.Lister):
    """Explain the keys of a profile, modes, components and products.

    Prints what a key may be and, from the catalogue, the values, activation
    and persistence of modes and firmware components. Examples of paths:
    devices.match.product, gpu.modes.ecc, gpu.firmware, nvidia-h100-sxm.
    """

    auth_required = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser with all options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'path', metavar='<path>', nargs='?', default='',
            help='Keys with dots between them, a kind or a product (default: '
                 'the whole profile).')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Rows:
        """Explain the path."""
        try:
            rows = profile_explain.explain(parsed_args.path, catalog.load())
        except errors.BadInput as exc:
            raise CommandError(exc.detail.summary) from exc
        return profile_explain.COLUMNS, [formatters.row(
            row.name, formatters.Cell(
                list(row.values), ', '.join(row.values)), row.activation,
            row.persistent, formatters.Cell(
                list(row.devices), ranges.words(row.devices, 6)), row.text)
            for row in rows]


def site_profiles(ironic: api.Ironic) -> fleet_profiles.FleetProfiles:
    """The site profiles of all conductors with a managed node.

    :raises: CommandError if there is no such node, or none can be asked.
    """
    # A list of single fields cannot have the conductor: Ironic 39 ends it with
    # HTTP 500 ("type object 'Node' has no attribute 'conductor'").
    nodes = ironic.nodes()
    found = fleet_profiles.read(
        ironic, [node for node in nodes if api.is_managed(node)])
    if not found.answered:
        raise CommandError(
            'the site profiles cannot be read: ' + (
                found.denied[0] if found.denied else
                'no node is managed by ironic-accel; next: baremetal '
                'accelerator enable' if nodes else
                'this user may read no node; next: check cloud and project: '
                'baremetal node list'))
    return found


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
