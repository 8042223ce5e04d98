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
"""``ironic-accel twin``: run a simulated BMC until it is told to stop.

The simulator is a distribution of its own, ``ironic-accel-emulator``. This
module is the only one of the product that imports it, and only on request.
"""

from __future__ import annotations

import argparse

from ironic_accel.model import errors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The emulator's own options.

    :raises: BadInput where the emulator is not installed.
    """
    try:
        from ironic_accel_emulator import cli
    except ModuleNotFoundError as exc:
        if exc.name != 'ironic_accel_emulator':
            raise
        raise errors.BadInput(
            'ironic-accel twin needs the package ironic-accel-emulator, '
            'which is not installed: pip install ironic-accel-emulator'
        ) from exc
    cli.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    :returns: 0, or 2 where the arguments are bad.
    """
    from ironic_accel_emulator import cli
    return cli.run(args)
