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

"""The whole out-of-band path in one process: loop, backend, emulator.

Time is that of the emulator: a wait advances it, so that an update of twenty
minutes takes a few milliseconds. Host resets are requested over HTTP, like
those of a caller.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import requests

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge import ports
from ironic_accel.converge.ports import Pace
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model import loader
from ironic_accel.model import profile as profile_mod
from ironic_accel.model import record as record_mod
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_history import ReadHistory
from ironic_accel.redfish.client import session
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import images as twin_images
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer

RESETS = {Activation.WARM_REBOOT: ('ForceRestart',),
          Activation.POWER_CYCLE: ('ForceOff', 'On'),
          Activation.AUX_CYCLE: ('ForceOff', 'aux', 'On')}
#: An update of twenty minutes is not polled every five seconds.
PACE = Pace(poll=60, look=30)
AUX = '/redfish/v1/Chassis/BMC_0/Actions/Oem/NvidiaChassis.AuxPowerReset'

End = outcome.Converged | outcome.Refused | outcome.Failed


class Local:
    """Images in the folder of the test, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, image: profile_mod.Image) -> ports.Ready | ports.Bad:
        """The file, after a check of its digest."""
        path = self.folder / image.name
        digest = twin_images.sha256_of(path)
        if digest != image.sha256:
            return ports.Bad('the digest differs', image.sha256, digest)
        return ports.Ready(str(path), path.stat().st_size, digest)


class Memory:
    """A journal in memory, as JSON; ``saved`` has all saved records."""

    def __init__(self) -> None:
        self.saved: list[str] = []

    def save(self, record: record_mod.Record) -> None:
        """Save a record."""
        self.saved.append(json.dumps(record_mod.dump(record)))

    def load(self) -> record_mod.Record | None:
        """The last saved record."""
        return record_mod.load(
            json.loads(self.saved[-1]) if self.saved else None)


@dataclasses.dataclass
class Machine:
    """A simulated system, its backend, and a caller of the loop."""

    box: Box
    clock: FakeClock
    url: str
    system: str
    backend: RedfishBackend
    folder: Path
    known: catalog.Catalog
    journal: Memory = dataclasses.field(default_factory=Memory)
    pace: Pace = PACE
    progress: list[str] = dataclasses.field(default_factory=list)

    def image(self, versions: dict[str, str], name: str = 'bundle',
              **more: Any) -> str:
        """Write a bundle and return its digest."""
        return twin_images.pldm_bundle(self.folder / name, versions, **more)

    def run(self, profile: str | profile_mod.Profile,
            steps: int = 3000) -> End:
        """Run a profile until the run ends."""
        if isinstance(profile, str):
            profile = loader.load_text(profile)[0]
        record = loop.begin(profile, self.journal.load(), self.clock.now())
        for _ in range(steps):
            out, record = loop.advance(
                self.backend, Local(self.folder), self.journal, profile,
                record, self.clock.now(), self.known, self.pace)
            if isinstance(out, outcome.Wait):
                if self.progress[-1:] != [out.progress.summary]:
                    self.progress.append(out.progress.summary)
                self.clock.advance(max(0.5, out.until - self.clock.now()))
            elif isinstance(out, outcome.PowerOn):
                self.power('On')
            elif isinstance(out, outcome.Reset):
                for kind in RESETS[out.activation]:
                    self.power(kind)
                record = loop.reset_performed(record, self.clock.now())
                self.journal.save(record)
            else:
                return out
        raise AssertionError(f'the run does not end: {self.progress[-5:]}')

    def look_rarely(self) -> None:
        """Look every three minutes, for a run that waits for an hour."""
        self.pace = dataclasses.replace(self.pace, poll=180.0, look=180.0)

    def power(self, kind: str) -> None:
        """Perform one power action and let its time pass."""
        if kind == 'aux':
            path, kind = AUX, 'AuxPowerCycle'
        else:
            path = f'{self.system}/Actions/ComputerSystem.Reset'
        answer = requests.post(self.url + path, json={'ResetType': kind},
                               timeout=10)
        answer.raise_for_status()
        self.clock.advance(150 if 'Aux' in path else 10)


@contextlib.contextmanager
def machine(name: str | Path, folder: Path, system: str | None = None,
            known: catalog.Catalog | None = None,
            **options: Any) -> Iterator[Machine]:
    """A machine made from a shipped system or a capture.

    :param known: another catalogue than that of the package.
    """
    known = known or catalog.load()
    clock = FakeClock()
    box = load_box(name, clock=clock, **options)
    server = TwinServer(box)
    url = server.start()
    connector = session.connect(url)
    try:
        settings = BmcSettings(
            history=ReadHistory(clock.now),
            image_uri=lambda ready, spec: f'file://{ready.path}')
        backend = RedfishBackend(connector, system, catalog=known,
                                 settings=settings)
        path = f'/redfish/v1/Systems/{system or next(iter(box.hosts))}'
        yield Machine(box, clock, url, path, backend, folder, known)
    finally:
        session.disconnect(connector)
        server.stop()
