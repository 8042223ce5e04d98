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

"""Options under the names that they had in earlier versions.

``ironic-accel`` and the commands of ``baremetal`` both have such. An old
name works like the new one and prints a warning; help shows the new one
alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys
from typing import Any
from typing import cast
from typing import Protocol


class Arguments(Protocol):
    """A parser, or a group of its options."""

    def add_mutually_exclusive_group(self) -> Any:
        """Begin a group of options of which one may be given."""
        ...


class _OldName(argparse.Action):
    """An option by its deprecated name.

    :param renamed: the option by its new name.
    """

    def __init__(self, option_strings: Sequence[str], dest: str,
                 renamed: argparse.Action) -> None:
        super().__init__(
            option_strings, renamed.dest, nargs=renamed.nargs,
            type=cast(Any, renamed.type), choices=renamed.choices,
            default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        self._renamed = renamed

    def __call__(self, parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        """Warn, and do what the option does."""
        warn(str(option_string), self._renamed.option_strings[0])
        self._renamed(parser, namespace, values, option_string)


def add_renamed(parser: Arguments, old: str, new: str,
                **options: Any) -> None:
    """Add an option under its name, and under its deprecated one.

    Only one of the names may be given.

    :param options: as for ``ArgumentParser.add_argument``.
    """
    names = parser.add_mutually_exclusive_group()
    renamed = names.add_argument(new, **options)
    names.add_argument(old, action=_OldName, renamed=renamed)


def warn(old: str, new: str) -> None:
    """Print that a name is deprecated, and which one replaces it."""
    print(f'warning: {old} is deprecated and will be removed; use {new}',
          file=sys.stderr, flush=True)
