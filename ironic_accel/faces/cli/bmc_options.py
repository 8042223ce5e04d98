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

"""The options that select a BMC and one of its Systems."""

from __future__ import annotations

import argparse
import os
import sys
from urllib import parse

from ironic_accel.bounded import files
from ironic_accel.faces import deprecation
from ironic_accel.model import errors

#: Longest password in characters.
_LONGEST = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the system and its BMC."""
    group = parser.add_argument_group('system')
    group.add_argument('--bmc', required=True, metavar='URL',
                       help='http:// or https:// URL of the BMC')
    group.add_argument('--system', metavar='ID-OR-PATH',
                       help='Id or path of the System, if the BMC has '
                            'several')
    group.add_argument('--user', help='user name of the BMC')
    group.add_argument('--password-file', metavar='FILE',
                       help='file that contains only the password')
    tls = group.add_mutually_exclusive_group()
    tls.add_argument('--ca', metavar='FILE',
                     help='CA bundle used to verify the certificate of the '
                          'BMC')
    tls.add_argument('--insecure', action='store_true',
                     help='do not verify the certificate of the BMC')
    deprecation.add_renamed(
        group, '--accept-unread', '--allow-unreadable', metavar='URI',
        action='append', default=[], type=_acceptable,
        help='path of a Redfish sub-resource that this BMC is known to fail '
             'to return; can be repeated')
    deprecation.add_renamed(
        group, '--steady', '--warm-up', metavar='SECONDS', type=float,
        default=30.0,
        help='if the BMC does not report when its host was last reset, two '
             'inventories that many seconds apart have to be identical '
             '(default: 30; 0: one inventory is enough)')
    parser.add_argument('--json', action='store_true',
                        help='print a JSON document on standard output')


def _acceptable(text: str) -> str:
    """Parse the path of a sub-resource.

    :raises: ArgumentTypeError for a resource that is required.
    """
    from ironic_accel.redfish.client import read_failures
    wrong = read_failures.refusal(text)
    if wrong is not None:
        raise argparse.ArgumentTypeError(wrong)
    return text


def url(args: argparse.Namespace) -> str:
    """The URL of the BMC: scheme, host and port.

    :raises: BadInput if it has anything else.
    """
    text = str(args.bmc)
    try:
        parts = parse.urlsplit(text)
        port = parts.port
    except ValueError:
        raise errors.BadInput('--bmc: invalid host or port') from None
    if (parts.scheme not in ('http', 'https') or not parts.hostname
            or parts.username is not None or parts.query
            or parts.path.strip('/')):
        # The value may contain a password: do not print it.
        raise errors.BadInput(
            '--bmc: expected http://HOST[:PORT] or https://HOST[:PORT] '
            'without user information (use --user and --password-file)')
    host = f'[{parts.hostname}]' if ':' in parts.hostname else parts.hostname
    return f'{parts.scheme}://{host}' + ('' if port is None else f':{port}')


def credentials(args: argparse.Namespace) -> tuple[str | None, str | None]:
    """User and password; both or neither.

    :raises: BadInput if one is missing or the file cannot be read.
    """
    if (args.user is None) != (args.password_file is None):
        missing = '--password-file' if args.user else '--user'
        raise errors.BadInput(f'{missing}: required, --user and '
                              '--password-file have to be given together')
    if args.user is None:
        return None, None
    try:
        # It may be a FIFO: a shell passes the output of another command so.
        with open(args.password_file, encoding='utf-8') as stream:
            password = stream.read(_LONGEST).rstrip('\r\n')
        if files.readable_by_others(args.password_file):
            print(f'warning: {args.password_file} is readable by other users; '
                  f'next: chmod go-r {args.password_file}', file=sys.stderr)
        if files.is_regular(args.password_file):
            warning = files.warning([args.password_file])
            if warning is not None:
                print(f'warning: {warning}', file=sys.stderr)
    except (OSError, UnicodeDecodeError) as exc:
        raise errors.BadInput(
            f'--password-file: cannot read {args.password_file}: '
            f'{getattr(exc, "strerror", "not UTF-8 text")}') from exc
    return args.user, password


def verify(args: argparse.Namespace) -> bool | str:
    """How the certificate of the BMC is verified: a CA bundle, or whether.

    :raises: BadInput if there is no such file.
    """
    if args.insecure:
        return False
    if args.ca is None:
        return True
    if not os.path.isfile(args.ca):
        raise errors.BadInput(f'--ca: {args.ca} is not a file')
    return str(args.ca)


def say(text: str) -> None:
    """Print a line to standard error; standard output is for data."""
    print(text, file=sys.stderr, flush=True)
