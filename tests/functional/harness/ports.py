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

"""Ports that no other lab on this machine is handed at the same time.

A port that was free a moment ago may be taken when the service binds it, by
another lab or by the kernel for an outgoing connection. So ports come from
below the kernel's ephemeral range (32768 and up by default on Linux), and
each is held by a locked file as long as the lab lives.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import random
import socket
import tempfile

from tests.functional.harness import process

FIRST, LAST = 20000, 32000


class Ports:
    """Hands out loopback TCP ports and keeps them until closed."""

    def __init__(self) -> None:
        self._folder = pathlib.Path(
            tempfile.gettempdir()) / f"ironic-accel-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._held: list[int] = []

    def take(self) -> int:
        """Return a port that nobody else has.

        :raises: LabError where a thousand tries found none.
        """
        for _ in range(1000):
            port = random.randint(FIRST, LAST)  # noqa: S311 - no secret
            if self._lock(port):
                return port
        raise process.LabError(f"no free port between {FIRST} and {LAST}")

    def close(self) -> None:
        """Give all ports back."""
        while self._held:
            os.close(self._held.pop())

    def _lock(self, port: int) -> bool:
        handle = os.open(self._folder / str(port), os.O_CREAT | os.O_RDWR,
                         0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(("127.0.0.1", port))
        except OSError:
            os.close(handle)
            return False
        self._held.append(handle)
        return True
