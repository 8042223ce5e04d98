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

"""Commands under the names that they had in earlier versions.

``adopt`` collides with a provision verb of Ironic (``baremetal node adopt``),
and ``audit`` with the periodic audit of the conductor. The old names work
like the new ones and print a warning.
"""

from __future__ import annotations

import argparse

from ironic_accel.faces import deprecation
from ironic_accel.faces.osc import base
from ironic_accel.faces.osc.commands import disable
from ironic_accel.faces.osc.commands import enable
from ironic_accel.faces.osc.commands import history
from ironic_accel.faces.osc.commands import refresh

_PREFIX = 'baremetal accelerator'


class _OldCommand(base.Command):
    """A command by its deprecated name, which help does not list.

    :cvar renamed: the old and the new word.
    """

    deprecated = True
    renamed = ('', '')

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Warn, and run the command."""
        old, new = self.renamed
        deprecation.warn(f'{_PREFIX} {old}', f'{_PREFIX} {new}')
        return super().run(parsed_args)


class Adopt(_OldCommand, enable.Enable):
    """Deprecated, use baremetal accelerator enable."""

    renamed = ('adopt', 'enable')


class Release(_OldCommand, disable.Disable):
    """Deprecated, use baremetal accelerator disable."""

    renamed = ('release', 'disable')


class Audit(_OldCommand, refresh.RefreshNodes):
    """Deprecated, use baremetal accelerator refresh."""

    renamed = ('audit', 'refresh')


class Evidence(_OldCommand, history.History):
    """Deprecated, use baremetal accelerator history."""

    renamed = ('evidence', 'history')
