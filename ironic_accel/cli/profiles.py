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

"""Profiles of the command line: files of one or more documents."""

from __future__ import annotations

import argparse
import sys

from ironic_accel.model import errors
from ironic_accel.model import loader
from ironic_accel.model.profile import Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--profile`` and ``--name``."""
    parser.add_argument('--profile', required=True, metavar='FILE',
                        help='a file of one or more profiles; - is standard '
                             'input')
    parser.add_argument('--name', help='which profile of the file, where '
                                       'there are several')


def read(file: str) -> list[Profile]:
    """Every profile of a file.

    :raises: BadInput naming what is wrong, and where.
    """
    try:
        if file == '-':
            text = sys.stdin.read()
        else:
            with open(file, encoding='utf-8') as stream:
                text = stream.read()
    except OSError as exc:
        raise errors.BadInput(f'{file}: {exc.strerror}') from exc
    except UnicodeDecodeError as exc:
        raise errors.BadInput(f'{file}: not UTF-8 text') from exc
    return loader.load_text(text, file)


def choose(args: argparse.Namespace) -> Profile:
    """The one profile that the options name.

    :raises: BadInput where they name none, or leave it open.
    """
    found = read(args.profile)
    names = ', '.join(p.name for p in found)
    if args.name is None:
        if len(found) == 1:
            return found[0]
        raise errors.BadInput(
            f'--name: not given, and {args.profile} has {len(found)} '
            f'profiles; one of: {names}')
    for profile in found:
        if profile.name == args.name:
            return profile
    raise errors.BadInput(
        f'--name: {args.name!r} is not in {args.profile}; one of: {names}')
