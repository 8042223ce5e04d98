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

"""``ironic-accel demo``: a demonstration on simulated systems."""

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
    """Add the options of the subcommand."""
    parser.add_argument(
        '--captures', type=pathlib.Path, metavar='DIR',
        default=pathlib.Path(os.environ.get(
            'IRONIC_ACCEL_CAPTURES', '../shared/captures')),
        help='directory with captures of real systems; optional (default: '
             '$IRONIC_ACCEL_CAPTURES)')
    parser.add_argument('--nova', action='store_true',
                        help='start Nova too and schedule a server')
    parser.add_argument('--keep', action='store_true',
                        help='keep logs and databases')


def run(args: argparse.Namespace) -> int:
    """Run the demonstration.

    :returns: 0 if all of its checks passed, 4 otherwise.
    :raises: BadInput outside of a checkout, or if a package is missing.
    """
    from ironic_accel.faces import plan_view
    from ironic_accel.faces import view
    demo = _package()
    return int(demo.play(view, plan_view, demo.Options(
        args.captures, args.keep, args.nova), sys.stdout))


def _package() -> Any:
    """The package of the demonstration, which is part of the tests.

    It is imported by name: the product does not depend on the tests.
    """
    root = pathlib.Path(ironic_accel.__file__).resolve().parents[1]
    if not (root / HARNESS).is_dir():
        raise errors.BadInput(
            'ironic-accel demo needs a checkout of the source: clone the '
            'repository of ironic-accel and run "make demo" in it')
    sys.path[:0] = [str(root), str(root / 'emulator')]
    try:
        return importlib.import_module(f'{HARNESS.replace("/", ".")}.demo')
    except ModuleNotFoundError as exc:
        raise errors.BadInput(
            f'ironic-accel demo: package {exc.name} is not installed: '
            f'run "make install" in {root}') from exc
