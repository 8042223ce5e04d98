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

"""Fuzzing of what tools print and sysfs has: recorded once, then spoilt."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import os
from pathlib import Path
import random
import tempfile
from typing import Any
from unittest import mock

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.model.device import Device
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools.state import State
from tests.contract.inband import families
from tests.security import mutate

#: What a recorder has: the answer to each call.
Calls = dict[tuple[str, ...], Ran]


class Recorder(Machine):
    """A host that keeps what its tools answered."""

    calls: Calls

    def run(self, argv: Sequence[str], *args: Any, **kwargs: Any) -> Ran:
        """Run it, and keep the answer."""
        ran = super().run(argv, *args, **kwargs)
        self.calls[tuple(argv)] = ran
        return ran


class Replayer(Machine):
    """A host whose tools answer as they did, or badly; nothing is run."""

    calls: Calls
    rng: random.Random
    often: float
    mutated: int

    def which(self, tool: str) -> str | None:
        """Every tool that ever answered is there."""
        return f'/bin/{tool}' if any(
            c[0] == tool or c[0].endswith(f'/{tool}')
            for c in self.calls) else None

    def run(self, argv: Sequence[str], timeout: float, *,
            flash: bool = False, answer: str = '',
            env: Mapping[str, str] | None = None) -> Ran:
        """The recorded answer, or a bad one."""
        good = self.calls.get(tuple(argv)) or Ran(1, err='unknown')
        if self.rng.random() > self.often:
            return good
        self.mutated += 1
        bad: dict[str, Any] = {'out': self._bad(good.out),
                               'err': self._bad(good.err)}
        if self.rng.randrange(3) == 0:
            bad['rc'] = self.rng.choice((0, 1, 2, 127, -9, None))
            bad['timed_out'] = self.rng.choice((True, False))
        return dataclasses.replace(good, **bad)

    def _bad(self, text: str) -> str:
        if self.rng.randrange(6) == 0:
            return self.rng.choice(mutate.BODIES).decode(errors='replace')
        return mutate.text(self.rng, text.encode()).decode(errors='replace')

    def read_bytes(self, path: str, *args: Any) -> bytes | None:
        """The file, or something else in its place."""
        good = super().read_bytes(path, *args)
        if good is None or self.rng.random() > self.often:
            return good
        self.mutated += 1
        return self.rng.choice((None, b'', mutate.text(self.rng, good)))


@dataclasses.dataclass
class Bench:
    """A card with its family, and what its tools say."""

    case: families.Case
    folder: Path
    calls: Calls


def _recorded(case: families.Case, folder: Path) -> Bench:
    state = State(folder / 'state.json')
    state.create({case.function.address: case.card, **case.more})
    tools.install(folder / 'bin', state.path,
                  [t for t in case.tools if t != 'nvml'])
    (folder / 'root').mkdir()
    case.tree(folder / 'root')
    host = Recorder(
        str(folder / 'root'), str(folder / 'bin'),
        {'pynvml': nvml.__name__ if 'nvml' in case.tools else None})
    host.calls = {}
    with mock.patch.dict(os.environ, {
            'TWIN_INSIDE_STATE': str(folder / 'state.json')}):
        case.family().read(host, [case.function])
    return Bench(case, folder, host.calls)


@contextlib.contextmanager
def machines() -> Iterator[list[Bench]]:
    """A bench for each case of the tool families."""
    with tempfile.TemporaryDirectory(prefix='accel-fuzz-') as name:
        found = []
        for case in families.CASES:
            folder = Path(name) / case.name
            folder.mkdir()
            found.append(_recorded(case, folder))
        yield found


def read(rng: random.Random, bench: Bench, seed: str, tally: Any) -> None:
    """One look of a family at tools that answer badly."""
    case = bench.case
    host = Replayer(
        str(bench.folder / 'root'), str(bench.folder / 'bin'),
        {'pynvml': nvml.__name__ if 'nvml' in case.tools else None})
    host.calls, host.rng, host.mutated = bench.calls, rng, 0
    host.often = rng.choice((0.2, 0.5, 1.0))
    family = case.family()
    with tally.attempt(seed):
        seen = family.read(host, [case.function])
        for told in seen.devices.values():
            device = Device(
                'card', case.kind, address=case.function.address,
                pci=case.function.pci, serial=told.serial, fit=told.fit,
                model=told.model, components=told.components,
                modes=told.modes)
            family.updates(host, device)
            family.sets(host, device)
            family.resets(host, device)
    tally.mutated += host.mutated
