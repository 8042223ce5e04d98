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

"""Commands to run next, with the options that they need.

A command that is named in a message has to work when it is pasted. So it gets
the options of the command that names it, as far as it has them: the profile,
the BMC, limits and consent. Passwords are no options of any command.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import shlex
from typing import Any


def shown(name: str, parser: argparse.ArgumentParser,
          args: argparse.Namespace, *positional: str) -> str:
    """A command line that can be pasted into a shell.

    :param name: the command and its subcommand.
    :param parser: with the options that it has.
    :param args: the options that were given to the present command; those
        with their default value are left out.
    :param positional: its positional arguments.
    """
    words = [shlex.quote(word) for word in positional]
    for action in parser._actions:
        if action.option_strings:
            words += _option(action, getattr(args, action.dest,
                                             action.default))
    return ' '.join((name, *words))


def _option(action: argparse.Action, value: Any) -> Iterator[str]:
    """An option with its value, once for each value."""
    if action.default is argparse.SUPPRESS or value == action.default:
        # The former are deprecated names, and options of all subcommands.
        return
    flag = max(action.option_strings, key=len)
    if action.nargs == 0:
        if value == action.const:
            yield flag
        return
    for one in value if isinstance(value, list) else [value]:
        yield f'{flag} {shlex.quote(_text(one))}'


def _text(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
