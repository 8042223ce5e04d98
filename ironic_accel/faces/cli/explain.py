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

"""``ironic-accel explain``: the keys of a profile and the catalogue."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import sys

from ironic_accel.faces.cli import profile_options
from ironic_accel.faces import profile_explain
from ironic_accel.faces import ranges
from ironic_accel.faces import view

#: Products and ranges of them that a row of the table lists.
LISTED = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument(
        'path', nargs='?', default='', metavar='PATH',
        help='keys of a profile, a kind or a product: devices.match.product, '
             'gpu.modes.ecc, nvidia-h100-sxm (default: the whole profile)')
    parser.add_argument('--json', action='store_true',
                        help='print a JSON document on standard output')
    profile_options.add_catalogue(parser)


def run(args: argparse.Namespace) -> int:
    """Print the explanation.

    :returns: 0.
    :raises: BadInput for an unknown name.
    """
    rows = profile_explain.explain(args.path, profile_options.catalogue(args))
    if args.json:
        print(json.dumps({'schema': 'explain/1', 'rows': [
            row._asdict() for row in rows]}))
        return 0
    view.write(table(rows), sys.stdout)
    return 0


def table(rows: Sequence[profile_explain.Fact]) -> view.Table:
    """The explanation as a table, with the first products of each row.

    Most facts are the same for a whole architecture; ``--json`` lists all
    of its products.
    """
    return view.table('', profile_explain.COLUMNS, [
        row._replace(devices=(ranges.words(row.devices, LISTED),)
                     if row.devices else ()) for row in rows])
