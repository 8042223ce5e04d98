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


"""A simulated host with cards of any maker, and profiles applied inside it.

Its tools are those of the emulator: processes that share a state file. Host
resets are performed by the caller, as they would be by Ironic.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import os
from pathlib import Path
import time
from typing import Any
from unittest import mock

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Pace
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.family import Family
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.profile import Profile
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools.state import State
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree
from tests.contract.machine import End
from tests.contract.machine import Local
from tests.contract.machine import Memory

PACE = Pace(poll=0.05, look=0.05)


@dataclasses.dataclass(frozen=True)
class Cards:
    """Equal cards of one maker.

    :ivar ids: vendor, device, subsystem vendor and subsystem id.
    :ivar state: of one card, as the tools share it; ``{n}`` in its facts is
        the number of the card.
    :ivar files: of its folder in sysfs.
    :ivar others: files elsewhere, ``{n}`` its number, ``{address}`` its
        address.
    :ivar executables: of the tools, ``nvml`` for the library.
    """

    family: type[Family]
    ids: tuple[str, str, str, str]
    class_code: str
    driver: str
    count: int = 1
    state: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    others: Mapping[str, str] = dataclasses.field(default_factory=dict)
    executables: Sequence[str] = ()
    vpd: Mapping[str, str] = dataclasses.field(default_factory=dict)


class CardHost:
    """A host with cards, and a caller of the loop inside it."""

    def __init__(self, folder: Path, *cards: Cards) -> None:
        self.folder = folder
        self.tree = Tree(folder / 'root')
        self.state = State(folder / 'state.json')
        self.families = [c.family() for c in cards]
        self.journal = Memory()
        self.resets: list[Activation] = []
        self._nvml = any('nvml' in c.executables for c in cards)
        shared: dict[str, Any] = {}
        for group in cards:
            for n in range(1, group.count + 1):
                address = f'0000:{0x10 + len(shared):02x}:00.0'
                shared[address] = self._plug(group, n, address)
        self.state.create(shared)
        tools.install(folder / 'bin', self.state.path, sorted(
            {t for c in cards for t in c.executables} - {'nvml'}))

    def _plug(self, group: Cards, n: int, address: str) -> dict[str, Any]:
        def numbered(text: str) -> str:
            return text.replace('{n}', str(n)).replace('{address}', address)

        self.tree.add(Card(
            address, group.ids, group.class_code, driver=group.driver,
            files=group.files,
            vpd={k: numbered(v) for k, v in group.vpd.items()}))
        for path, text in group.others.items():
            self.tree.put(numbered(path), numbered(text))
        facts = {k: numbered(v) if isinstance(v, str) else v
                 for k, v in group.state.get('facts', {}).items()}
        return {'parts': {}, 'settings': {}, **group.state, 'facts': facts}

    def backend(self) -> LocalBackend:
        """What runs on the host now: another after each boot."""
        host = Machine(str(self.tree.root), str(self.folder / 'bin'), {
            'pynvml': nvml.__name__ if self._nvml else None})
        return LocalBackend(host, self.families,
                            folder=str(self.folder / 'jobs'))

    def run(self, profile: Profile) -> End:
        """Run a profile until the run ends."""
        record = loop.begin(profile, self.journal.load(), time.time())
        backend = self.backend()
        while True:
            out, record = loop.advance(
                backend, Local(self.folder), self.journal, profile, record,
                time.time(), catalog.load(), PACE)
            if isinstance(out, outcome.Wait):
                time.sleep(max(0.01, min(0.1, out.until - time.time())))
            elif isinstance(out, outcome.Reset):
                self.resets.append(out.activation)
                self.state.reset(str(out.activation))
                self.tree.reboot()
                record = loop.reset_performed(record, time.time())
                self.journal.save(record)
                backend = self.backend()
            else:
                assert not isinstance(out, outcome.PowerOn)
                return out


@contextlib.contextmanager
def card_host(folder: Path, *cards: Cards) -> Iterator[CardHost]:
    """A host whose tools find their state."""
    made = CardHost(folder, *cards)
    with mock.patch.dict(os.environ, {
            'TWIN_INSIDE_STATE': str(made.state.path)}):
        yield made
