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

"""Simulated machines, and profiles for them, for the command's tests."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import json
import pathlib
import threading
from typing import Any
from unittest import mock

import pytest

from ironic_accel import uptime
from ironic_accel.faces.cli import main as command
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import images
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer

NEW, OLD = '96.00.A6.00.01', '96.00.30.00.01'


@dataclasses.dataclass
class Machine:
    """A simulated system behind a server; time passes only while ``going``."""

    box: Box
    url: str
    clock: FakeClock
    _stop: threading.Event = dataclasses.field(
        default_factory=threading.Event)
    going: threading.Event = dataclasses.field(
        default_factory=threading.Event)

    def run(self) -> None:
        """Let twenty simulated seconds pass every few milliseconds."""
        while not self._stop.wait(0.005):
            if self.going.is_set():
                self.box.advance(20)

    def stop(self) -> None:
        """Let no more time pass."""
        self._stop.set()

    def resets(self) -> list[str]:
        """Kinds of the resets that were performed."""
        return [r.kind for r in self.box.ledger.resets]


Boot = Callable[..., Machine]


@contextlib.contextmanager
def booted(name: str | pathlib.Path, tls: bool = False, **options: Any
           ) -> Iterator[Machine]:
    """A machine that runs within the block."""
    clock = FakeClock()
    box = load_box(name, clock=clock, **options)
    with TwinServer(box, tls=tls) as url:
        machine = Machine(box, url, clock)
        machine.going.set()
        thread = threading.Thread(target=machine.run)
        thread.start()
        try:
            yield machine
        finally:
            machine.stop()
            thread.join()


@contextlib.contextmanager
def in_time_of(machine: Machine) -> Iterator[None]:
    """Let the time of commands pass as fast as that of a system.

    A command that does not know whether its last write was sent verifies the
    devices until the longest time of a write is over.
    """
    since = uptime.steady() - machine.clock.now()
    with mock.patch.object(uptime, 'steady', autospec=True, side_effect=(
            lambda: since + machine.clock.now())):
        yield


@pytest.fixture
def boot() -> Iterator[Boot]:
    """``boot('hgx-h100', tls=False, **options)``: a machine that runs."""
    with contextlib.ExitStack() as stack:
        def make(name: str | pathlib.Path, tls: bool = False, **options: Any
                 ) -> Machine:
            return stack.enter_context(booted(name, tls, **options))
        yield make


@dataclasses.dataclass
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, which has to be JSON alone."""
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """``run('plan', '--bmc', url, ...)``: the command, in this process."""
    def call(*words: object) -> Said:
        capsys.readouterr()
        code = command.main([str(word) for word in words])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)
    return call


@pytest.fixture(autouse=True)
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals and caches of a test are its own."""
    monkeypatch.setenv('XDG_STATE_HOME', str(tmp_path / 'state'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


MakeProfile = Callable[..., pathlib.Path]


@pytest.fixture
def profile(tmp_path: pathlib.Path) -> MakeProfile:
    """``profile(version, **image)``: a profile of the HGX system in a file."""
    def make(version: str = NEW, ecc: str = 'disabled',
             **image: Any) -> pathlib.Path:
        bundle = tmp_path / f'{version}.fwpkg'
        digest = images.pldm_bundle(bundle, {'gpu': version}, size=2048)
        path = tmp_path / f'{version}-{ecc}.yaml'
        path.write_text(json.dumps({
            'profile': 1, 'name': 'hgx', 'images': {'bundle': {
                'url': bundle.as_uri(), 'sha256': digest,
                'fits': {'board': 'HGX H100 8-GPU'}, **image}},
            'devices': {'gpus': {
                'match': {'kind': 'gpu', 'product': 'nvidia-h100-sxm'},
                'count': 8, 'modes': {'ecc': ecc},
                'firmware': {'gpu': {'version': version,
                                     'image': 'bundle'}}}}}))
        return path
    return make
