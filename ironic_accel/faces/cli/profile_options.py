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

"""The options for profiles and for the catalogue."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from ironic_accel.bounded import files
from ironic_accel.faces.cli import messages
from ironic_accel.model import strict_yaml
from ironic_accel.model.errors import BadInput

if TYPE_CHECKING:
    from ironic_accel.model.catalog import Catalog
    from ironic_accel.model.profile import Profile


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add ``--profile``, ``--name`` and ``--catalogue``."""
    parser.add_argument('--profile', required=True, metavar='FILE',
                        help='file with one or more profiles; - for standard '
                             'input')
    parser.add_argument('--name', help='name of the profile, if the file has '
                                       'several')
    add_catalogue(parser)


def choose(args: argparse.Namespace) -> Profile:
    """The profile that the options select.

    :raises: BadInput if they select none, or several.
    """
    if files.is_regular(args.profile):
        warning = files.warning([args.profile])
        if warning is not None:
            messages.warn('warning: other users can change the firmware '
                          f'that a profile writes: {warning}')
    # Not at the top: an inventory needs none of what reads profiles.
    from ironic_accel.faces import profile_file
    return profile_file.choose(args.profile, args.name,
                               catalog=catalogue(args))


def add_catalogue(parser: argparse.ArgumentParser) -> None:
    """Add ``--catalogue``."""
    parser.add_argument(
        '--catalogue', metavar='PATH', action='append', default=[],
        help='file, or directory of .yaml files, with additional catalogue '
             'rows; can be repeated')


def catalogue(args: argparse.Namespace) -> Catalog:
    """The catalogue with the additional rows of the site.

    :raises: BadInput if a file cannot be read or is invalid.
    """
    # Not at the top: help does not need what takes time to import.
    from ironic_accel.model import catalog as catalog_mod
    if not args.catalogue:
        return catalog_mod.load()
    texts: dict[str, str] = {}
    for given in args.catalogue:
        path = pathlib.Path(given)
        found = sorted(path.glob('*.yaml')) if path.is_dir() else [path]
        if not found:
            raise BadInput(f'--catalogue: {given}: no .yaml files in this '
                           'directory')
        for file in found:
            try:
                texts[str(file)] = files.read_text(
                    str(file), strict_yaml.MAX_LENGTH)
            except OSError as exc:
                raise BadInput(
                    f'--catalogue: {file}: {exc.strerror}') from exc
            except UnicodeDecodeError as exc:
                raise BadInput(
                    f'--catalogue: {file}: not UTF-8 text') from exc
    return catalog_mod.extended(texts)
