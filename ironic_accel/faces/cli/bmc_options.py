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
import contextlib
import getpass
import os
import sys
from urllib import parse

from ironic_accel.bounded import files
from ironic_accel.faces.cli import messages
from ironic_accel.faces import deprecation
from ironic_accel.faces import options
from ironic_accel.model import errors

#: Longest password in characters.
_LONGEST = 4096
#: Environment variables that stand for options that are not given.
USER, PASSWORD = 'IRONIC_ACCEL_USER', 'IRONIC_ACCEL_PASSWORD'


def add_arguments(parser: argparse.ArgumentParser,
                  several: bool = True) -> None:
    """Add the options of the system and its BMC.

    :param several: whether the subcommand works on several BMCs too.
    """
    group = parser.add_argument_group('system')
    which = (group.add_mutually_exclusive_group(required=True) if several
             else group)
    which.add_argument('--bmc', required=not several, metavar='URL',
                       help='http:// or https:// URL of the BMC')
    if several:
        which.add_argument(
            '--bmc-file', metavar='FILE',
            help='file with several BMCs: a line "URL [KEY=VALUE...]" for '
                 'each, or a YAML list; keys: url, user, password-file, '
                 'system, ca, insecure')
        group.add_argument(
            '--max-in-flight', type=options.positive, default=8, metavar='N',
            help='with --bmc-file: number of BMCs at a time (default: 8)')
    group.add_argument('--system', metavar='ID-OR-PATH',
                       help='Id or path of the System, if the BMC has '
                            'several')
    group.add_argument('--user',
                       help=f'user name of the BMC (default: ${USER})')
    group.add_argument('--password-file', metavar='FILE',
                       help='file that contains only the password (default: '
                            f'${PASSWORD}, else it is asked for on a '
                            'terminal)')
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

    The user is that of ``--user``, else of the environment. The password is
    that of ``--password-file``, else of the environment, else what the user
    of a terminal answers; that question is asked once for a command.

    :raises: BadInput if one is missing or the file cannot be read.
    """
    if not hasattr(args, 'credentials'):
        args.credentials = _credentials(args)
    found: tuple[str | None, str | None] = args.credentials
    return found


def _credentials(args: argparse.Namespace) -> tuple[str | None, str | None]:
    user = args.user or os.environ.get(USER) or None
    password = os.environ.get(PASSWORD) or None
    if user is None:
        if args.password_file or password:
            source = '--password-file' if args.password_file else PASSWORD
            raise errors.BadInput(f'--user: required with {source} (or set '
                                  f'{USER})')
        return None, None
    if args.password_file:
        password = _password_of(args.password_file)
    return user, password or _ask(user, url(args))


def _ask(user: str, bmc: str) -> str:
    """The password, from the user of a terminal.

    :raises: BadInput without a terminal or an answer.
    """
    if sys.stdin.isatty() and sys.stderr.isatty():
        with messages.hold(), contextlib.suppress(EOFError):
            password = getpass.getpass(
                f'Password of {errors.printable(user)} at {bmc}: ')
            if password:
                return password
    raise errors.BadInput(
        f'--password-file: required with a user; without it set {PASSWORD}, '
        'or run the command on a terminal, which asks for the password')


def _password_of(path: str) -> str:
    """The password in a file.

    :raises: BadInput if the file cannot be read or is empty.
    """
    try:
        # It may be a FIFO: a shell passes the output of another command so.
        with open(path, encoding='utf-8') as stream:
            password = stream.read(_LONGEST).rstrip('\r\n')
        if files.readable_by_others(path):
            messages.warn(f'warning: {path} is readable by other users; '
                          f'next: chmod go-r {path}')
        if files.is_regular(path):
            warning = files.warning([path])
            if warning is not None:
                messages.warn(f'warning: {warning}')
    except (OSError, UnicodeDecodeError) as exc:
        raise errors.BadInput(
            f'--password-file: cannot read {path}: '
            f'{getattr(exc, "strerror", "not UTF-8 text")}') from exc
    if not password:
        raise errors.BadInput(f'--password-file: {path} is empty')
    return password


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
