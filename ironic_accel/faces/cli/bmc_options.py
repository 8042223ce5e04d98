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

"""A machine as the command line names it: a BMC and one of its Systems."""

from __future__ import annotations

import argparse
import os
import sys
from urllib import parse

from ironic_accel.bounded import files
from ironic_accel.faces import deprecation
from ironic_accel.model import errors

#: Characters of a password file that are read.
_LONGEST = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say which machine, and how to reach it."""
    group = parser.add_argument_group('machine')
    group.add_argument('--bmc', required=True, metavar='URL',
                       help='http:// or https:// URL of the BMC')
    group.add_argument('--system', metavar='ID-OR-PATH',
                       help='the System of the BMC, where it has several')
    group.add_argument('--user', help='user name at the BMC')
    group.add_argument('--password-file', metavar='FILE',
                       help='a file with the password alone')
    tls = group.add_mutually_exclusive_group()
    tls.add_argument('--ca', metavar='FILE',
                     help='authorities that the BMC\'s certificate is '
                          'checked against')
    tls.add_argument('--insecure', action='store_true',
                     help='do not check the BMC\'s certificate')
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
                        help='print the document as JSON on standard output')


def _acceptable(text: str) -> str:
    """The path of a sub-resource.

    :raises: ArgumentTypeError for what cannot be accepted as unread.
    """
    from ironic_accel.redfish.client import read_failures
    wrong = read_failures.refusal(text)
    if wrong is not None:
        raise argparse.ArgumentTypeError(wrong)
    return text


def url(args: argparse.Namespace) -> str:
    """The BMC's URL, checked: scheme, host and port.

    :raises: BadInput for any other URL.
    """
    text = str(args.bmc)
    try:
        parts = parse.urlsplit(text)
        port = parts.port
    except ValueError:
        raise errors.BadInput('--bmc: host or port is none') from None
    if (parts.scheme not in ('http', 'https') or not parts.hostname
            or parts.username is not None or parts.query
            or parts.path.strip('/')):
        # The value may hold a password: it is not repeated.
        raise errors.BadInput(
            '--bmc: expected http://HOST[:PORT] or https://HOST[:PORT] '
            'without user information (--user, --password-file)')
    host = f'[{parts.hostname}]' if ':' in parts.hostname else parts.hostname
    return f'{parts.scheme}://{host}' + ('' if port is None else f':{port}')


def credentials(args: argparse.Namespace) -> tuple[str | None, str | None]:
    """User and password; both or none.

    :raises: BadInput where one is missing or the file cannot be read.
    """
    if (args.user is None) != (args.password_file is None):
        missing = '--password-file' if args.user else '--user'
        raise errors.BadInput(f'{missing}: --user and --password-file are '
                              'given together or not at all')
    if args.user is None:
        return None, None
    try:
        # Not bound to be a regular file: a shell gives what another
        # command prints as a FIFO.
        with open(args.password_file, encoding='utf-8') as stream:
            password = stream.read(_LONGEST).rstrip('\r\n')
        if files.readable_by_others(args.password_file):
            print(f'warning: {args.password_file}: others may read the '
                  f'password: chmod go-r {args.password_file}',
                  file=sys.stderr)
        if files.is_regular(args.password_file):
            told = files.warning([args.password_file])
            if told is not None:
                print(f'warning: {told}', file=sys.stderr)
    except (OSError, UnicodeDecodeError) as exc:
        raise errors.BadInput(
            f'--password-file: {args.password_file} cannot be read: '
            f'{getattr(exc, "strerror", "not UTF-8 text")}') from exc
    return args.user, password


def verify(args: argparse.Namespace) -> bool | str:
    """What the BMC's certificate is checked against.

    :raises: BadInput where the file is not there.
    """
    if args.insecure:
        return False
    if args.ca is None:
        return True
    if not os.path.isfile(args.ca):
        raise errors.BadInput(f'--ca: {args.ca} is not a file')
    return str(args.ca)


def say(text: str) -> None:
    """A line for people, which never mixes with a document."""
    print(text, file=sys.stderr, flush=True)
