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
import importlib
import os
import pathlib
import sys
from typing import Any

import ironic_accel
from ironic_accel.model import errors

HARNESS = 'tests/functional/harness'


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
    :raises: BadInput where this is no checkout, or lacks a package.
    """
    from ironic_accel.faces import view
    demo = _story()
    return int(demo.play(view, demo.Options(
        args.captures, args.keep, args.nova), sys.stdout))


def _story() -> Any:
    """The demo's package, which stands beside us in a checkout.

    It is imported by name: the product depends on nothing of the tests.
    """
    root = pathlib.Path(ironic_accel.__file__).resolve().parents[1]
    if not (root / HARNESS).is_dir():
        raise errors.BadInput(
            'ironic-accel demo runs from a checkout of the source only: '
            'clone the repository of ironic-accel and run "make demo" in it')
    sys.path[:0] = [str(root), str(root / 'emulator')]
    try:
        return importlib.import_module(f'{HARNESS.replace("/", ".")}.demo')
    except ModuleNotFoundError as exc:
        raise errors.BadInput(
            f'ironic-accel demo: the package {exc.name} is not installed: '
            f'run "make install" in {root}') from exc
