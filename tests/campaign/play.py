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

"""Plays a case to its end, with one process or two, and judges it."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import threading
import traceback

from ironic_accel.converge import advance as loop
from ironic_accel.converge.ports import Backend
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Record
from ironic_accel.redfish.actions.system_power import SystemPower
from tests.campaign.case import Case
from tests.campaign import judge
from tests.campaign.process import Died
from tests.campaign.process import End
from tests.campaign.process import Fenced
from tests.campaign.process import Process
from tests.campaign.process import Shared
from tests.campaign.world import World

#: Calls of the loop in one run, more than any honest one makes.
CALLS = 4000
#: How often, once a minute, a new process tries to get into the BMC.
TRIES = 60
#: Inside a host a thread is a call; a conductor is a thread even there.
_begin = threading.Thread.start
#: Seconds after which a conductor that stands still has lost its node.
TAKEN = 120.0
#: Faults of a box that are a reason to write something once more.
HONEST = ('silent-noop', 'fail-component', 'weak-reset', 'vanish-after-bmc')


@dataclasses.dataclass
class Report:
    """What came of a case.

    :ivar outcome: ``Converged``, ``Refused``, ``Failed`` or what was raised.
    :ivar sins: what must never be, in words; empty is good.
    """

    outcome: str
    said: str
    sins: list[str]
    seconds: float = 0.0
    calls: int = 0
    requests: int = 0
    pushes: int = 0
    resets: int = 0
    moments: tuple[str, ...] = ()


def play(case: Case) -> Report:
    """Play a case to its end and judge it."""
    world = World(case)
    with world.open():
        try:
            out, said = _drive(world)
        except Unreachable as error:
            out, said = 'Unreachable', str(error)
            if not case.troubles:
                world.sins.append(f'not let in: {said}')
        except Exception as error:
            # Nothing may come out of the loop.
            where = traceback.extract_tb(error.__traceback__)[-1]
            out, said = type(error).__name__, str(error)
            place = f'{pathlib.Path(where.filename).name}:{where.lineno}'
            world.sins.append(f'raised {out} at {place}: {said}'[:200])
    return _report(world, out, said.replace(world.url, 'http://bmc'))


def _report(world: World, out: str, said: str) -> Report:
    box, case = world.box, world.case
    sins = [*world.sins, *world.watch.sins]
    sins += [f'request to {stray}' for stray in world.network.strays]
    sins += [f'{v.kind}: {v.detail}' for v in world.violations]
    sins += judge.neighbours_reset(box, world.host)
    honest = sum(t.name in HONEST for t in case.troubles)
    sins += judge.pushed_again(
        box, honest + len(case.deaths) + len(case.stops))
    sins += judge.left_off(
        box, world.host, case.power, (out, said), world.downs)
    if out == 'Refused' and all(
            'cannot read' in w or 'not be read' in w
            for w in said.split(' | ')):
        sins.append(f'refused out of what was not read: {said}'[:300])
    if out == 'Converged' and not world.moved:
        sins += [f'converged: {why}'
                 for why in judge.untrue(box, world.scene.wants)]
    sins += judge.overrun(world.clock.now() - world.began,
                          world.profile.limits.minutes)
    return Report(out, said, list(dict.fromkeys(sins)), world.clock.now(),
                  world.calls, len(box.ledger.requests),
                  len(box.ledger.pushes), len(box.ledger.resets),
                  tuple(world.moments))


def _drive(world: World) -> End:
    shared = Shared()
    while world.calls < CALLS:
        try:
            with contextlib.ExitStack() as stack:
                if world.case.stops:
                    return _two(world, shared, stack)
                return _to_end(world, _process(world, shared, stack))
        except Died:
            world.passes(20.0)
    return _endless(world, 'dies for ever')


def _process(world: World, shared: Shared, stack: contextlib.ExitStack,
             stops: _Stops | None = None) -> Process:
    backend, host = _ports(world, stack)
    more = {} if stops is None else {'at': stops.at}
    machine = world.clocks.machine()
    return Process(world, machine, backend, host, shared,
                   _found(world, machine, shared), world.case.deaths, **more)


def _ports(world: World, stack: contextlib.ExitStack
           ) -> tuple[Backend, SystemPower]:
    """What a new process works with, as soon as the BMC lets it in.

    :raises: Unreachable where it never does.
    """
    for _ in range(TRIES):
        try:
            return stack.enter_context(world.ports())
        except Unreachable as error:
            last = error
            world.passes(60.0)
    raise last


def _found(world: World, machine: int, shared: Shared) -> Record:
    """What a new process goes on with."""
    now = world.clocks.now(machine)
    if shared.kept is None or not shared.kept.started:
        # The run had ended or had not begun: it is asked for anew.
        world.began = world.clock.now()
        return loop.begin(world.profile, shared.kept, now)
    return shared.kept


def _to_end(world: World, process: Process) -> End:
    while world.calls < CALLS:
        end = process.step()
        if end is not None:
            return end
    return _endless(world, process.progress)


def _endless(world: World, said: str) -> End:
    world.sins.append(f'does not end: {said}')
    return 'Endless', said


class _Stops:
    """Stands still at some call of a port, until it is told to go on."""

    def __init__(self, call: int) -> None:
        self._left = call
        self.still = threading.Event()
        self.go = threading.Event()

    def at(self, name: str) -> None:
        """A call is about to be made."""
        self._left -= 1
        if self._left == 0:
            self.still.set()
            self.go.wait()


def _two(world: World, shared: Shared, stack: contextlib.ExitStack) -> End:
    """The first conductor stands still; the second one takes over.

    The first goes on later, as if nothing had been: it may write nothing.
    """
    (call, seconds), *_ = world.case.stops
    stops = _Stops(call)
    first = _process(world, shared, stack, stops)
    ends: list[End | None] = []

    def run() -> None:
        try:
            ends.append(_to_end(world, first))
        except Fenced:
            ends.append(None)
        except Exception as error:
            ends.append((type(error).__name__, str(error)))
        finally:
            stops.still.set()

    thread = threading.Thread(target=run, daemon=True)
    _begin(thread)
    stops.still.wait()
    if ends and ends[0] is not None:
        return ends[0]
    world.passes(TAKEN)
    shared.token += 1
    second = _process(world, shared, stack)
    until = world.clock.now() + seconds
    end = None
    while end is None and world.clock.now() < until:
        end = second.step()
    stops.go.set()
    thread.join()
    if ends != [None]:
        world.sins.append(f'a conductor that had lost the node: {ends[0]}')
    return end or _to_end(world, second)
