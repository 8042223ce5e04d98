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

"""A process that runs the loop: it may die, stand still, or be replaced."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import pathlib
import uuid

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge import ports
from ironic_accel.converge.composite import Delegating
from ironic_accel.converge.perform_reset import HostPower
from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.model import errors
from ironic_accel.model import record as record_mod
from ironic_accel.model.device import Inventory
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.profile import Image
from ironic_accel.model.record import Record
from tests.campaign.world import World
from tests.contract.machine import Local

End = tuple[str, str]


class Died(BaseException):
    """The process dies: nothing may catch it."""


class Fenced(BaseException):
    """The node is another conductor's by now: nothing may catch it."""


@dataclasses.dataclass
class Shared:
    """What all processes of a run have in common: the database.

    :ivar token: whose turn it is; a save with another one is refused.
    :ivar kept: the record as it was saved last.
    :ivar saves: how often that was.
    """

    token: int = 1
    kept: Record | None = None
    saves: int = 0


class Process(Delegating):
    """One process with a backend of its own.

    :param machine: whose clock it goes by.
    :param host: whose power it may change.
    :param deaths: see ``Case``.
    :param at: told of each call of a port before it is made.
    """

    def __init__(self, world: World, machine: int, backend: ports.Backend,
                 host: HostPower, shared: Shared, record: Record,
                 deaths: Sequence[int] = (),
                 at: Callable[[str], None] = lambda name: None) -> None:
        super().__init__(backend)
        self._world = world
        self.machine = machine
        self._shared = shared
        self._record = record
        self._deaths = set(deaths)
        self._at = at
        self._token = shared.token
        self._host = host
        self._resetter = HostResetter(
            host, self.save, ResetRules(uuid.uuid4().hex))

    @property
    def now(self) -> float:
        """The time of the run, as its machine counts it."""
        return self._world.clocks.now(self.machine)

    @property
    def progress(self) -> str:
        """What it said last."""
        return self._record.progress

    def step(self) -> End | None:
        """One call of the loop, and what it asks of its caller.

        :raises: Died; Fenced; whatever the loop raises.
        """
        world = self._world
        world.calls += 1
        world.trouble()
        world.watch.begin()
        now = self.now
        out, self._record = loop.advance(
            self, Local(pathlib.Path(world.folder)), self, world.profile,
            self._record, now, world.facts, world.pace)
        if isinstance(out, outcome.Wait):
            world.passes(max(0.5, out.until - now))
        elif isinstance(out, outcome.PowerOn | outcome.Reset):
            self._check('power')
            return self._power(out)
        else:
            return type(out).__name__, _said(out)
        return None

    def _power(self, out: outcome.PowerOn | outcome.Reset) -> End | None:
        """One step of what the loop asks of its caller.

        What comes of a host that does not follow is its caller's to tell.
        """
        world = self._world
        now = self.now
        until = now + 10.0
        try:
            if isinstance(out, outcome.PowerOn):
                self._host.power_on()
            else:
                step = self._resetter.step(self._record, now)
                self._record, until = step.record, step.until
        except errors.AccelError as error:
            if isinstance(out, outcome.Reset):
                return 'ResetFailed', str(error)
        world.passes(max(0.5, until - now))
        return None

    def _check(self, name: str) -> None:
        """As a caller makes sure before it acts."""
        self._at(name)
        if self._token != self._shared.token:
            raise Fenced

    # The journal

    def save(self, record: Record) -> None:
        """Keep a record, as JSON; die where the case says so."""
        self._check('save')
        shared = self._shared
        shared.saves += 1
        if -shared.saves in self._deaths:
            raise Died
        shared.kept = record_mod.load(record_mod.dump(record))
        if shared.saves in self._deaths:
            raise Died

    # The backend

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Look; what would be published of it has to be true."""
        self._at('observe')
        world = self._world
        before = _bodies(world)
        inventory = super().observe(known)
        world.moved = before != _bodies(world)
        if not world.moved:
            world.looked(inventory)
        return inventory

    def start(self, action: Action, image: ports.Ready | None = None,
              spec: Image | None = None, force: bool = False
              ) -> ports.Ticket:
        """Begin a write, if the node is still ours."""
        self._check('start')
        return super().start(action, image, spec, force)

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Commit images, if the node is still ours."""
        self._check('commit')
        return super().commit(refs)

    def poll(self, ticket: ports.Ticket) -> ports.Poll:
        """See what became of a write."""
        self._at('poll')
        return super().poll(ticket)


def _bodies(world: World) -> dict[str, object]:
    """What may change during a look, and makes it neither true nor false."""
    box = world.box
    return {**{d.id: (d.present, d.health, d.bricked)
               for d in box.devices.values()},
            **{m.id: m.current for m in box.modes.values()}}


def _said(out: outcome.Converged | outcome.Refused | outcome.Failed) -> str:
    if isinstance(out, outcome.Failed):
        return out.error.summary
    if isinstance(out, outcome.Refused):
        return ' | '.join(sorted({r.reason for r in out.plan.refused}))
    return f'{len(out.proofs)} proofs'
