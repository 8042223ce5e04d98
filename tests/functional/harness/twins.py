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

"""Simulated BMCs as processes."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Sequence

from tests.functional.harness import process
from tests.functional.harness import rest
from tests.functional.harness import services

LISTENING = re.compile(r"listening on (https?://\S+)")


class Twin(services.Service):
    """One simulated BMC: ``python -m ironic_accel_emulator`` with arguments.

    The port stays the same over a restart, so that a node keeps its address.

    :param python: what runs a Python module, where not this interpreter.
    """

    def __init__(self, site: services.Site, name: str,
                 arguments: Sequence[str],
                 python: Sequence[str] = (sys.executable,)) -> None:
        self.name = name
        super().__init__(site)
        self.port = site.ports.take()
        self._arguments = list(arguments)
        self._python = list(python)

    @property
    def url(self) -> str:
        """Where the BMC listens; LabError where it does not yet."""
        match = LISTENING.search(self.running().tail())
        if match is None:
            raise process.LabError(f"{self.name} does not listen yet")
        return match[1].rstrip("/")

    @functools.cached_property
    def control(self) -> rest.RestClient:
        """The twin's own control interface, which is not BMC traffic."""
        return rest.RestClient(self.url + "/_twin", {})

    def state(self) -> rest.Json:
        """Return the simulated truth: devices, power, ledger."""
        return self.control.get("/state")

    def start(self) -> None:
        """Start it."""
        self.spawn([*self._python, "-m", "ironic_accel_emulator",
                    "--port", str(self.port), *self._arguments])

    def ready(self) -> bool:
        """Whether it has said where it listens."""
        return bool(self.url)
