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

"""``ironic-accel``: the way in, and what an end means to a shell."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
import sys
from types import ModuleType

from ironic_accel.model import errors

#: Exit codes (profile format 1, "Documents that programs read").
DONE, BAD_INPUT, REFUSED, FAILED = 0, 2, 3, 4

#: What each verb is, and the module with its ``add_arguments`` and ``run``.
#: Only the chosen one is imported: help is quick, and needs neither the
#: conductor's libraries nor the lab's.
COMMANDS = {
    'inventory': 'list the accelerators of a machine',
    'plan': 'say what would make a machine as a profile declares',
    'apply': 'make a machine as a profile declares, and prove it',
    'validate': 'check profiles without any machine',
    'templates': 'print deploy template and runbook of profiles',
    'twin': 'run a simulated BMC',
    'demo': 'play the whole story on simulated machines',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    :returns: 0 done, 2 bad input, 3 refused, 4 failed or unreachable.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((w for w in words if not w.startswith('-')), None)
    try:
        module = _module(chosen) if chosen in COMMANDS else None
        args = _parser(chosen, module).parse_args(words)
    except SystemExit as exc:  # argparse ends the process: 0 or 2
        return int(exc.code or 0)
    except errors.BadInput as exc:  # the verb needs what is not installed
        print(exc, file=sys.stderr)
        return BAD_INPUT
    if module is None:
        return BAD_INPUT
    return _run(module, args)


def _module(name: str | None) -> ModuleType:
    """The module of a verb.

    :raises: BadInput where its package is not installed.
    """
    if name == 'twin':
        return _emulator()
    return importlib.import_module(f'ironic_accel.faces.cli.{name}')


def _emulator() -> ModuleType:
    """The command of the simulated BMC, a distribution of its own.

    No other module of the product imports it.

    :raises: BadInput where it is not installed.
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


def _parser(chosen: str | None,
            module: ModuleType | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='ironic-accel',
        description='Accelerator life cycle over Redfish: see, plan, apply, '
                    'prove.',
        epilog='Exit codes: 0 done, 2 bad input, 3 refused, 4 failed or '
               'unreachable.')
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    for name, text in COMMANDS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        if name == chosen and module is not None:
            module.add_arguments(verb)
    return parser


def _run(module: ModuleType, args: argparse.Namespace) -> int:
    try:
        return int(module.run(args))
    except errors.BadInput as exc:
        print(exc, file=sys.stderr)
        return BAD_INPUT
    except errors.AccelError as exc:
        print(exc, file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has had enough; Python would complain once
        # more at its end.
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return FAILED


def status() -> int:
    """``ironic-accel-status``, which needs what a conductor has installed.

    :returns: oslo.upgradecheck's exit code; 255 where ironic is missing.
    """
    try:
        from ironic_accel.conductor.drivers import upgrade_check
    except ModuleNotFoundError as exc:
        if (exc.name or '').startswith('ironic_accel'):
            raise
        print(f'ironic-accel-status: the package {exc.name} is not installed:'
              ' run it where ironic-conductor runs, or pip install '
              '"ironic-accel[conductor]"', file=sys.stderr)
        return 255
    return upgrade_check.main()


if __name__ == '__main__':
    sys.exit(main())
