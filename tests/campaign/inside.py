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

"""The inside of a simulated host, without processes and threads.

Tools are functions, the worker of a write is called where it would be
started, and the agent is one that answers while its host is up.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
import pathlib
import shutil
import tempfile
import threading
from unittest import mock

from ironic_accel.converge import ports
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import NOT_STARTED
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.tools.alveo.tool import Alveo
from ironic_accel.inband.tools.mellanox.tool import Mellanox
from ironic_accel.inband.tools.nvidia_gpu import nvml_process as nvml_questions
from ironic_accel.inband.tools.nvidia_gpu.tool import NvidiaGpu
from ironic_accel.inband.tools.sriov.tool import Sriov
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel_emulator import Box
from ironic_accel_emulator.inside import direct
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside.shared import Inside
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools import state

#: Seconds from power-on until an agent answers.
BOOT = 90.0


class Here(Machine):
    """A machine whose tools are played in this process."""

    def __init__(self, box: Box, inside: Inside) -> None:
        super().__init__(str(inside.root), str(inside.path),
                         {'pynvml': nvml.__name__})
        self._box = box
        self._state = str(inside.state.path)

    def watched(self, spool: str, on_flash: object,
                mark: Mapping[str, str] | None = None) -> Here:
        """The same: what is played here has no process to be known by."""
        return self

    def run_module(self, module: str, timeout: float, *words: str) -> Ran:
        """Ask NVML, whose module is the only one that is run here."""
        assert module == nvml_questions.__name__

        def asked(argv: Sequence[str]) -> int:
            with mock.patch.dict(os.environ, {
                    'TWIN_INSIDE_STATE': self._state}):
                return nvml_questions.main([*argv])

        return _ran(direct.play(self._box, asked, words, timeout))

    def run(self, argv: Sequence[str], timeout: float, *,
            flash: bool = False, answer: str = '',
            env: Mapping[str, str] | None = None) -> Ran:
        """Play a tool that is installed here."""
        name = os.path.basename(argv[0])
        if self.which(name) is None:
            return Ran(NOT_STARTED, err=f'{argv[0]}: not found')
        return _ran(direct.play(
            self._box, lambda words: tools.main(name, self._state, words),
            argv[1:], timeout))


def _ran(played: direct.Played) -> Ran:
    return Ran(played.status, played.out, played.err,
               timed_out=played.status is None, pid=1)


class Agent(ports.Backend):
    """What an agent in the ramdisk of that host tells and does.

    Whoever asks it, it is the same one. It answers while the host is up,
    and another one after each boot.
    """

    def __init__(self, box: Box, host: str, inside: Inside,
                 catalog: Catalog) -> None:
        self._box = box
        self._host = host
        self._inside = inside
        self._catalog = catalog
        self._local: LocalBackend | None = None
        self._boots: int | None = None

    def restart(self) -> None:
        """Another agent in the same boot: it remembers what is on disk."""
        self._local = None

    def _here(self) -> LocalBackend:
        """The agent of this boot.

        :raises: Unreachable while there is none.
        """
        host = self._box.hosts[self._host]
        since = self._box.timeline.now - (host.last_reset or 0.0)
        if host.power != 'On' or (host.resets and since < BOOT):
            raise Unreachable('the agent does not answer',
                              error_class=ErrorClass.TRANSIENT)
        if self._local is None or self._boots != host.resets:
            self._boots = host.resets
            folder = self._inside.root / 'run' / f'jobs{host.resets}'
            self._local = LocalBackend(
                Here(self._box, self._inside),
                [Alveo(), Mellanox(), NvidiaGpu(), Sriov()],
                self._catalog, name='agent', folder=str(folder))
        return self._local

    def sources(self) -> tuple[Source, ...]:
        """Look; see ports.Backend for this and the others."""
        self._inside.sync()
        return self._here().sources()

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What can be done."""
        return () if self._local is None else self._local.transports(
            inventory, pushes)

    def start(self, action: Action, image: ports.Ready | None = None,
              spec: Image | None = None, force: bool = False
              ) -> ports.Ticket:
        """Begin a write; here it is over when this returns."""
        try:
            return self._here().start(action, image, spec, force)
        finally:
            self._inside.sync()

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Nothing is to be committed here."""
        return ()

    def poll(self, ticket: ports.Ticket) -> ports.Poll:
        """See what became of a write."""
        return self._here().poll(ticket)


@contextlib.contextmanager
def inside(box: Box, host: str, burn: float = 0.0) -> Iterator[Inside]:
    """The inside of a host of a box; what is begun is done at once.

    :param burn: seconds of the box that a burn takes.
    """
    shared = pathlib.Path('/dev/shm')  # noqa: S108 - a folder in memory
    folder = tempfile.mkdtemp(
        prefix='accel-inside-', dir=shared if shared.is_dir() else None)

    def start(thread: threading.Thread) -> None:
        thread.run()

    try:
        with mock.patch.object(threading.Thread, 'start', new=start), \
                state.in_memory(pathlib.Path(folder) / 'state.json'):
            made = Inside(box, host, pathlib.Path(folder))
            with made.state.change() as document:
                document['pace'] = burn
            yield made
    finally:
        shutil.rmtree(folder)
