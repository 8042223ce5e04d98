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

"""``ironic-accel``: subcommands and exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import importlib
import json
import sys
from types import ModuleType
from typing import Any
from typing import NoReturn

from ironic_accel.faces.cli import messages
from ironic_accel.faces import failure
from ironic_accel.model import errors

#: Exit codes (profile format 1, "Documents that programs read").
DONE, BAD_INPUT, REFUSED, FAILED = 0, 2, 3, 4

#: Subcommands with their help. Each has a module with ``add_arguments`` and
#: ``run``, and only the one that is called is imported: help is fast, and
#: needs neither the libraries of the conductor nor those of the demo.
COMMANDS = {
    'inventory': 'list the accelerators of a system',
    'show': 'show all fields of one accelerator of a system',
    'plan': 'show the changes needed to make a system match a profile',
    'apply': 'apply a profile to a system and verify it',
    'history': 'print what runs wrote to systems, and how they ended',
    'validate': 'check profiles',
    'explain': 'explain the keys of a profile, modes and components',
    'templates': 'print deploy templates and runbooks of profiles',
    'twin': 'run a simulated BMC',
    'demo': 'run the demonstration on simulated systems',
    'completion': 'print a completion script for a shell'}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    :returns: 0 success, 2 invalid input, 3 refused, 4 failed or unreachable.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((w for w in words if not w.startswith('-')), None)
    try:
        module = _module(chosen) if chosen in COMMANDS else None
        made = parser(
            _all_modules() if chosen == 'completion' else
            {} if module is None or chosen is None else {chosen: module})
        args = made.parse_args(words, argparse.Namespace(whole_parser=made))
    except SystemExit as exc:  # raised by argparse: 0 or 2
        return int(exc.code or 0)
    except errors.BadInput as exc:  # or a package is not installed
        return _failed(exc, BAD_INPUT, chosen, '--json' in words)
    if module is None:
        return BAD_INPUT
    with messages.configured(args.quiet, args.verbose):
        return _run(module, args)


def _module(name: str | None) -> ModuleType:
    """The module of a subcommand.

    :raises: BadInput if its package is not installed.
    """
    if name == 'twin':
        return _emulator()
    return importlib.import_module(f'ironic_accel.faces.cli.{name}')


def _all_modules() -> dict[str, ModuleType]:
    """The subcommands, but those whose package is not installed."""
    found = {}
    for name in COMMANDS:
        with contextlib.suppress(errors.BadInput):
            found[name] = _module(name)
    return found


def _emulator() -> ModuleType:
    """The module of the simulated BMC, which is a separate distribution.

    No other module of the product imports it.

    :raises: BadInput if it is not installed.
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
    return cli


def parser(modules: Mapping[str, ModuleType]) -> argparse.ArgumentParser:
    """The parser of the command line.

    :param modules: the subcommands whose options it has; the other ones have
        only their help.
    """
    made = _Parser(
        prog='ironic-accel',
        description='Manage firmware and modes of accelerators over Redfish.',
        epilog='Exit codes: 0 success, 2 invalid input, 3 refused, 4 failed '
               'or unreachable.')
    made.add_argument('--version', action=_Version, nargs=0,
                      help='print the version and exit')
    made.set_defaults(quiet=False, verbose=False)
    _add_message_options(made)
    verbs = made.add_subparsers(dest='verb', required=True,
                                metavar='COMMAND')
    for name, text in COMMANDS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        _add_message_options(verb)
        if name in modules:
            modules[name].add_arguments(verb)
    return made


def _add_message_options(made: argparse.ArgumentParser) -> None:
    """Add the options that are accepted before and after a subcommand."""
    which = made.add_mutually_exclusive_group()
    which.add_argument('-q', '--quiet', action='store_true',
                       default=argparse.SUPPRESS,
                       help='print errors only, no progress')
    which.add_argument('-v', '--verbose', action='store_true',
                       default=argparse.SUPPRESS,
                       help='print each request to the BMC')


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of any other bad input."""

    def error(self, message: str) -> NoReturn:
        """Print the usage.

        :raises: BadInput with the message of argparse.
        """
        self.print_usage(sys.stderr)
        raise errors.BadInput(message)


class _Version(argparse.Action):
    """Prints the version, which is read only if it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any,
                 **kwargs: Any) -> None:
        """Print it and exit."""
        from importlib import metadata
        try:
            found = metadata.version('ironic-accel')
        except metadata.PackageNotFoundError:
            found = 'unknown (not installed)'
        print(f'ironic-accel {found}')
        parser.exit()


def _run(module: ModuleType, args: argparse.Namespace) -> int:
    as_json = getattr(args, 'json', False)
    try:
        return int(module.run(args))
    except errors.BadInput as exc:
        return _failed(exc, BAD_INPUT, args.verb, as_json)
    except errors.AccelError as exc:
        return _failed(exc, FAILED, args.verb, as_json)
    except BrokenPipeError:
        # The reader of the output has closed it; without this Python would
        # print another error at its end.
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return _failed(errors.AccelError(failure.INTERRUPTED), FAILED,
                       args.verb, as_json)


def _failed(error: errors.AccelError, code: int, command: str | None,
            as_json: bool) -> int:
    """Print why a command ended early, with ``--json`` as a document too.

    :returns: the exit code.
    """
    messages.error(error)
    if as_json:
        print(json.dumps(failure.document(error, command or '', code)))
    return code


def status() -> int:
    """Run ``ironic-accel-status``, which needs ironic.

    :returns: the exit code of oslo.upgradecheck; 255 if a package is
        missing.
    """
    try:
        from ironic_accel.conductor.status import upgrade_check
    except ModuleNotFoundError as exc:
        if (exc.name or '').startswith('ironic_accel'):
            raise
        print(f'ironic-accel-status: package {exc.name} is not installed; '
              'run the command on a conductor, or pip install '
              '"ironic-accel[conductor]"', file=sys.stderr)
        return 255
    return upgrade_check.main()


if __name__ == '__main__':
    sys.exit(main())
