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

"""A command that runs on a simulated host while the host is on.

The command is started a while after power on or a warm reset
(``Timing.boot``). It is ended, with all its child processes, when the power
is cut or the host is reset. Each boot uses the boot device of the BMC at that
time; a single-use override is used up by it (ComputerSystem,
``Boot.BootSourceOverrideEnabled``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box
    from ironic_accel_emulator.timeline import Event

INIT = Path(__file__).with_name('guest_init.py')
#: Environment variable of the guest with the boot device.
BOOT = 'TWIN_BOOT'
#: Environment variable with the URL of the image in the virtual drive, or "".
MEDIA = 'TWIN_MEDIA'
#: Real seconds; far more than even a busy machine needs.
_PATIENCE = 30.0


class Guest:
    """The software of one host.

    :ivar boots: the boot device of each boot, oldest first.
    """

    def __init__(
        self,
        box: Box,
        host: str,
        command: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        self._box = box
        self._host = host
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._event: Event | None = None
        self.boots: list[str] = []
        # First of all hooks, so that nothing runs during the others.
        box.power.hooks.insert(0, self._power)

    def _power(self, host: str, state: str) -> None:
        if host != self._host:
            return
        self.end()
        if state == 'On':
            self._event = self._box.timeline.after(
                self._box.options.timing.boot, self._boot, f'{host} boot'
            )

    def _boot(self) -> None:
        self._event = None
        self.boots.append(self._boot_device())
        self._process = subprocess.Popen(  # noqa: S603 - an argument
            [sys.executable, '-IS', str(INIT), *self._command],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **self._environment, BOOT: self.boots[-1],
                 MEDIA: self._media()},
        )

    def _boot_device(self) -> str:
        """The override's target, or Hdd; uses up a single-use override."""
        uri = self._box.hosts[self._host].uri
        document = self._box.documents.get(uri) or {}
        boot = document.get('Boot') or {}
        enabled = boot.get('BootSourceOverrideEnabled')
        target = boot.get('BootSourceOverrideTarget')
        if enabled == 'Once':
            boot['BootSourceOverrideEnabled'] = 'Disabled'
            boot['BootSourceOverrideTarget'] = 'None'
            self._box.documents.put(uri, document)
        if enabled not in ('Once', 'Continuous') or target in (None, 'None'):
            return 'Hdd'
        return str(target)

    def _media(self) -> str:
        """The URL of the image in the host's first drive with an image."""
        uri = self._box.hosts[self._host].uri
        listed = self._box.documents.get(f'{uri}/VirtualMedia') or {}
        for member in listed.get('Members') or ():
            drive = self._box.documents.get(member['@odata.id']) or {}
            if drive.get('Inserted') and drive.get('Image'):
                return str(drive['Image'])
        return ''

    def end(self) -> None:
        """Cut the power; no process of the guest runs afterwards."""
        if self._event is not None:
            self._event.cancelled = True
            self._event = None
        running, self._process = self._process, None
        if running is None or running.stdin is None:
            return
        running.stdin.close()
        running.wait(_PATIENCE)
