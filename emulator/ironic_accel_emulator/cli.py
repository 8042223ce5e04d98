# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The command that serves one simulated system until it is stopped."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ironic_accel_emulator.bmc.server import TwinServer
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.clock import ScaledClock
from ironic_accel_emulator.fault_catalogue import KNOWN, lines
from ironic_accel_emulator.guest import Guest
from ironic_accel_emulator.inside.shared import Inside
from ironic_accel_emulator.load import load_box, shipped
from ironic_accel_emulator.options import Timing

_TIMES = [item.name for item in dataclasses.fields(Timing)]


class _OldName(argparse.Action):
    """The option of the simulated system by its deprecated name."""

    def __call__(self, parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        """Warn, and do what the option does."""
        print(f'warning: {option_string} is deprecated and will be removed; '
              f'use --{self.dest}', file=sys.stderr, flush=True)
        setattr(namespace, self.dest, values)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the emulator to a parser."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        '--system',
        metavar='NAME',
        help=f'simulated system ({", ".join(shipped())}), or a YAML file',
    )
    source.add_argument(
        '--box', dest='system', action=_OldName, help=argparse.SUPPRESS
    )
    source.add_argument(
        '--list-faults',
        action='store_true',
        help='list all faults and exit',
    )
    source.add_argument(
        '--capture',
        metavar='TARBALL',
        help='Redfish capture in the layout of a DMTF mockup',
    )
    add = parser.add_argument
    add('--port', type=int, default=0,
        help='port to listen on (default: any free port)')
    add(
        '--time-scale', type=float, default=1.0, metavar='X',
        help='simulated seconds per real second',
    )  # fmt: skip
    add('--user', help='user name that clients must give')
    add('--password-file', type=Path, metavar='FILE')
    add('--tls', action='store_true',
        help='serve HTTPS with a self-signed certificate')
    add('--power', choices=('on', 'off'), help='initial power state of hosts')
    add(
        '--slot-powered', action='store_true',
        help='simulate a card that is powered by a host; register it at the '
        'emulator of that host by POST /_twin/card {"url": "http://..."}',
    )  # fmt: skip
    add(
        '--fault', action='append', default=[],
        metavar='NAME[=VALUE][@MATCH][#COUNT]',
        help=f'activate a fault (see --list-faults): {", ".join(KNOWN)}',
    )  # fmt: skip
    add(
        '--timing', action='append', default=[], metavar='NAME=SECONDS',
        help=f'simulated duration in seconds of: {", ".join(_TIMES)}',
    )  # fmt: skip
    add(
        '--inside', type=Path, metavar='FOLDER',
        help='write the inside of the first host to this folder: root/ (/sys '
        'and /proc), bin/ (tools), lib/ (pynvml) and state.json',
    )  # fmt: skip
    add(
        '--guest', metavar='COMMAND',
        help='command to run while that host is on; its environment has the '
        'boot device in TWIN_BOOT (Pxe, Hdd and so on)',
    )  # fmt: skip
    add('--cost-per-request', type=float, default=20.0, metavar='MS')
    add('--cost-per-expanded', type=float, default=10.0, metavar='MS')


def _pair(text: str) -> tuple[str, float]:
    name, _, seconds = text.partition('=')
    try:
        return name, float(seconds)
    except ValueError:
        raise ValueError(
            f'--timing: {text!r}: expected NAME=SECONDS'
        ) from None


def make_box(args: argparse.Namespace) -> Box:
    """Make the system of the arguments; ValueError if they are invalid."""
    password = None
    if args.password_file is not None:
        password = args.password_file.read_text().rstrip('\n')
    if (args.user is None) != (password is None):
        raise ValueError('--user and --password-file: give both or neither')
    box = load_box(
        args.system or args.capture,
        clock=ScaledClock(args.time_scale),
        power=args.power.capitalize() if args.power else None,
        user=args.user,
        password=password,
        timing=dict(map(_pair, args.timing)),
        slot_powered=args.slot_powered,
        cost_per_request=args.cost_per_request,
        cost_per_expanded=args.cost_per_expanded,
    )
    for text in args.fault:
        box.misbehave(text)
    if args.inside is not None:
        _furnish(box, args.inside, args.guest)
    elif args.guest is not None:
        raise ValueError('--guest requires --inside')
    return box


def _furnish(box: Box, folder: Path, command: str | None) -> None:
    host = next(iter(box.hosts))
    inside = Inside(box, host, folder)
    if command is not None:
        Guest(box, host, shlex.split(command), {
            **inside.environment, 'TWIN_ROOT': str(inside.root),
            'TWIN_PATH': str(inside.path)})


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; returns 2 for invalid arguments."""
    if args.list_faults:
        print('\n'.join(lines()))
        return 0
    try:
        box = make_box(args)
        server = TwinServer(box, args.port, args.tls)
    except (OSError, ValueError) as error:
        print(f'twin: {error}', file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    url = server.start()
    if server.certificate is not None:
        print(f'certificate {server.certificate}', file=sys.stderr)
    print(f'listening on {url}', flush=True)
    stop.wait()
    server.stop()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog='ironic-accel-emulator', description=__doc__
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))
