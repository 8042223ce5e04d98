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

"""Simulated systems behind real HTTP, and their backends."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_history import ReadHistory
from ironic_accel.redfish.client import session
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer

#: Short timeouts: the emulator runs in the same process.
QUICK = BmcSettings(connect_timeout=5.0, read_timeout=2.0, write_timeout=5.0,
                 push_timeout=10.0, warm_up=0.0)


@dataclasses.dataclass
class Rig:
    """A simulated system, its clock, and a backend for one System."""

    box: Box
    clock: FakeClock
    url: str
    connector: session.Connector
    backend: RedfishBackend
    settings: BmcSettings

    def again(self, system: str | None = None, name: str = 'redfish',
              **settings: Any) -> RedfishBackend:
        """Another backend for the same simulated system."""
        return RedfishBackend(
            self.connector, system, name=name,
            settings=dataclasses.replace(self.settings, **settings))

    @property
    def system(self) -> str:
        """Path of the System, as an inventory shows it."""
        return self.backend.observe().system

    def power_cycle(self) -> None:
        """Power the host off, and on again."""
        host = SystemPower(self.connector, self.system)
        host.power_off(soft=False)
        self.clock.advance(10)
        host.power_on()


Start = Callable[..., Rig]


@pytest.fixture
def rig() -> Iterator[Start]:
    """Starts a system: ``rig('hgx-h100', system=..., expand=False)``."""
    with contextlib.ExitStack() as stack:

        def start(source: str | Path, system: str | None = None,
                  user: str | None = None, password: str | None = None,
                  options: dict[str, Any] | None = None,
                  **settings: Any) -> Rig:
            clock = FakeClock()
            given = dict(options or {})
            if user is not None:
                given |= {'user': user, 'password': password}
            box = load_box(source, clock=clock, **given)
            url = stack.enter_context(TwinServer(box))
            chosen = dataclasses.replace(
                QUICK, history=ReadHistory(clock.now), **settings)
            connector = session.connect(url, user, password,
                                        settings=chosen)
            stack.callback(session.disconnect, connector)
            return Rig(box, clock, url, connector, RedfishBackend(
                connector, system, settings=chosen), chosen)

        yield start
