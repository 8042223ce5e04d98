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

"""A box in memory for the loop: physics, faults, and a list of sins.

It is a backend port, not a simulation of any protocol. What it is asked to
do wrong (weak resets, lost tasks, hidden pending versions) is chosen by the
test; what must never be done to it is noted in ``sins``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from ironic_accel.converge import ports
from ironic_accel.model import errors
from ironic_accel.model import plan
from ironic_accel.model import profile as profile_mod
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Value
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from tests.unit.converge.spoil import BOX
from tests.unit.converge.spoil import forbids
from tests.unit.converge.spoil import Spoil
from tests.unit.converge.spoil import spoil

#: How long a flash takes, in seconds.
FLASH = 60.0
#: How long devices take to appear after a host reset.
WARM_UP = 120.0


@dataclasses.dataclass
class Part:
    """A firmware or a mode as it really is."""

    current: Value
    waiting: Value | None = None
    claimed: Activation = Activation.AUX_CYCLE
    real: Activation = Activation.AUX_CYCLE
    shows: bool = True
    persistent: bool = True
    default: Value | None = None
    transport: str = 'redfish'
    lane: str = 'bmc'


@dataclasses.dataclass
class Job:
    """A write under way."""

    refs: dict[Ref, Value]
    ends: float
    fails: set[Ref]
    lost: bool
    told: bool = False
    at_once: bool = False


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong with one write, by its number."""

    kind: str = 'none'


class Box(ports.Backend):
    """Devices, their state, time, and what was done to them."""

    def __init__(self, parts: dict[str, dict[str, Part]],
                 modes: dict[str, dict[str, Part]],
                 faults: list[str], resettable: Activation = Activation.NONE,
                 host: str = 'on') -> None:
        self.parts = parts
        self.modes = modes
        self.faults = faults
        self.resettable = resettable
        self.host = host
        self.now = 1_000_000.0
        self.boots = 0
        self.ready_at = self.now
        self.jobs: dict[str, Job] = {}
        #: Jobs that the next reset of the host begins, and nobody shows.
        self.queued: list[Job] = []
        self.pushes: Counter[tuple[Ref, Value]] = Counter()
        self.honest: Counter[tuple[Ref, Value]] = Counter()
        self.writes = 0
        self.resets: list[Activation] = []
        self.sins: list[str] = []
        self.commits: list[tuple[Ref, ...]] = []
        #: The versions that the box falls back to, and how many of them it
        #: copies when it is asked, or what it answers.
        self.slots: dict[Ref, Value | None] = {}
        self.copies: int | Exception = 99
        self.flash = FLASH
        #: What a burn writes besides, and how long each of those takes.
        self.also: dict[Ref, tuple[Ref, ...]] = {}
        self.besides = FLASH
        #: Whether the service writes at the next reset of the host.
        self.at_reset = False
        #: Whether the BMC offers an auxiliary power cycle, if it is known.
        self.offers_aux: bool | None = None
        self.spoils: list[Spoil] = []
        self.looks = 0
        self.spoilt: list[Spoil] = []

    # physics

    def _all(self, device: str) -> list[Part]:
        return [*self.parts.get(device, {}).values(),
                *self.modes.get(device, {}).values()]

    def settle(self) -> None:
        """Let every job end whose time has come."""
        for job in self.jobs.values():
            if job.ends <= self.now and not job.told:
                job.told = True
                for ref, value in job.refs.items():
                    if ref not in job.fails:
                        self._write(ref, value)
                    if job.at_once:
                        self.parts[ref[0]][ref[1]].current = value

    def _write(self, ref: Ref, value: Value) -> None:
        device, name = ref
        part = self.parts[device].get(name) or self.modes[device][name]
        if part.real is Activation.NONE:
            part.current, part.waiting = value, None
        elif part.current == value:
            part.waiting = None
        else:
            part.waiting = value

    def _activate(self, device: str, activation: Activation) -> None:
        for part in self._all(device):
            if part.waiting is not None and part.real.rank <= activation.rank:
                part.current, part.waiting = part.waiting, None

    def flashing(self) -> bool:
        """Whether any write goes on now."""
        self.settle()
        return any(not j.told for j in self.jobs.values())

    def host_reset(self, activation: Activation) -> None:
        """What a caller does when it is asked to."""
        if self.flashing():
            self.sins.append(f'{activation} during a flash')
        self.sins += [f'{activation} while {s.what} was unread'
                      for s in self.spoilt if s.what in BOX
                      and s.what != 'other-kind']
        self.resets.append(activation)
        self.boots += 1
        for device in self.parts:
            for part in self._all(device):
                if not part.persistent and part.default is not None:
                    part.current, part.waiting = part.default, None
            self._activate(device, activation)
        self.host = 'on'
        self.ready_at = self.now + WARM_UP
        for n, job in enumerate(self.queued):
            job.ends = self.now + (self.flash if n == 0 else self.besides)
            self.jobs[f'queued-{self.boots}-{n}'] = job
        self.queued = []

    def power_on(self) -> None:
        """The host comes up, its devices later."""
        if self.host == 'off':
            self.host = 'on'
            self.boots += 1
            self.ready_at = self.now + WARM_UP

    # the port

    def sources(self) -> tuple[Source, ...]:
        """See what a BMC would show, and would not."""
        seen = self._seen()
        self.spoilt = [s for s in self.spoils if s.holds(self.looks)]
        self.looks += 1
        for one in self.spoilt:
            seen = spoil(seen, one)
        return (Source(seen, stable=True),)

    def _seen(self) -> Inventory:
        self.settle()
        there = self.host == 'on' and self.now >= self.ready_at
        busy = tuple(
            Busy('task', key, targets=tuple(j.refs), ticket={
                'transport': 'redfish', 'job': key})
            for key, j in self.jobs.items() if not j.told and not j.lost)
        return Inventory(
            'sys', 'on' if self.host == 'on' else 'off', there,
            str(self.boots), busy, devices=tuple(
                self._device(d) for d in self.parts) if there else ())

    def _device(self, name: str) -> Device:
        comps = tuple(Component(
            c, c, str(p.current),
            str(p.waiting) if p.shows and p.waiting is not None else None,
            p.shows, True, p.claimed) for c, p in self.parts[name].items())
        modes = tuple(Mode(
            m, p.current, p.waiting if p.shows else None, None, p.claimed,
            p.persistent) for m, p in self.modes.get(name, {}).items())
        return Device(name, 'gpu', serial=name, location=name,
                      model='*', components=comps,
                      modes=modes, health='OK')

    def transports(self, inventory: Inventory,
             pushes: Collection[profile_mod.Push] = ()
             ) -> tuple[plan.Transport, ...]:
        """Every part by the way that it was made with."""
        names = sorted({p.transport for d in self.parts for p in self._all(d)})
        resets = {} if self.resettable is Activation.NONE else {
            d.id: self.resettable for d in inventory.devices}
        return tuple(plan.Transport(
            name,
            {(d, c): plan.UpdateTarget(p.lane, self.also.get((d, c), ()),
                               at_reset=self.at_reset)
             for d, cs in self.parts.items()
             for c, p in cs.items() if p.transport == name},
            frozenset((d, m) for d, ms in self.modes.items()
                      for m, p in ms.items() if p.transport == name),
            resets if name == names[0] else {},
            {(d, n): None if v is None else str(v)
             for (d, n), v in self.slots.items()
             if self.parts[d][n].transport == name},
            offers_aux_cycle=lambda: self.offers_aux) for name in names)

    def start(self, action: Action, image: ports.Ready | None = None,
              spec: profile_mod.Image | None = None, force: bool = False
              ) -> dict[str, Any]:
        """Begin a write; the next fault of the list befalls it."""
        fault = self.faults.pop(0) if self.faults else 'none'
        if fault == 'away':
            raise errors.Unreachable('no answer')
        if fault == 'busy':
            raise errors.Rejected('busy', retry_after=30)
        if fault == 'turned-down':
            self._honest(action)
            raise errors.Rejected(errors.Detail(
                'no', errors.ErrorClass.TRANSIENT))
        if self.flashing():
            self.sins.append('two writes at once')
        self.sins += [f'{action.verb} while {s.what} was unread'
                      for s in self.spoilt for i in action.items
                      if forbids(s, i.device)]
        self.writes += 1
        if action.verb == 'reset':
            for item in action.items:
                self._activate(item.device, action.activation)
            job = Job({}, self.now + 5, set(), False)
        else:
            job = self._job(action, fault)
        key = f'job-{self.writes}'
        if fault == 'on-reset-cut':
            job.lost = job.at_once = True
            self.queued += [job, *self._besides(action)]
            raise errors.OutcomeUnknown('connection lost')
        if fault in ('on-reset', 'on-reset-lost'):
            job.lost = job.at_once = True
            self.queued += [job, *self._besides(action)]
            return {'transport': action.transport, 'job': '', 'staged': [
                list(r) for r in job.refs] if fault == 'on-reset' else []}
        if fault != 'never-arrived':
            self.jobs[key] = job
            for n, more in enumerate(self._besides(action)):
                more.ends = self.now + self.besides
                more.lost, more.at_once = job.lost, False
                self.jobs[f'{key}-{n}'] = more
        if fault in ('cut', 'never-arrived'):
            raise errors.OutcomeUnknown('connection lost')
        return {'transport': action.transport, 'job': key}

    def _besides(self, action: Action) -> list[Job]:
        """The collateral, each flashed by itself."""
        return [Job({ref: '2'}, self.now + self.besides, set(), True,
                    at_once=True) for ref in action.also_writes
                if ref[0] in self.parts]

    def _honest(self, action: Action) -> None:
        for item in action.items:
            assert item.wanted is not None
            self.honest[(item.ref, item.wanted)] += 1

    def _job(self, action: Action, fault: str) -> Job:
        refs: dict[Ref, Value] = {}
        for item in action.items:
            assert item.wanted is not None
            refs[item.ref] = item.wanted
            self.pushes[(item.ref, item.wanted)] += 1
        length = self.flash if action.verb == 'update' else FLASH
        first = action.items[0]
        fails = {first.ref} if fault == 'one-fails' else set()
        if fault == 'all-fail':
            fails = set(refs)
        if fault == 'no-op':
            job = Job({}, self.now + length, set(), False)
            self._honest(action)
            return job
        for ref in fails:
            self.honest[(ref, refs[ref])] += 1
        if fault == 'never-arrived':
            self._honest(action)
        return Job(refs, self.now + length, fails, fault == 'lost')

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Copy what runs to the slots that the box falls back to."""
        self.commits.append(tuple(refs))
        if isinstance(self.copies, Exception):
            raise self.copies
        due = [r for r in refs if r in self.slots]
        for device, name in due[:self.copies]:
            self.slots[device, name] = self.parts[device][name].current
        return tuple(f'{d}/{n}' for d, n in due)

    def poll(self, ticket: Mapping[str, Any]) -> ports.Poll:
        """How far a write is."""
        self.settle()
        if ticket.get('staged'):
            return ports.Ended(tuple(
                ports.Result((d, n), True) for d, n in ticket['staged']),
                at_reset=True)
        job = self.jobs.get(ticket['job'])
        if job is None or job.lost:
            return ports.Unknown('the task is gone')
        if not job.told:
            return ports.Running('flashing', 50)
        return ports.Ended(tuple(ports.Result(
            ref, ref not in job.fails,
            errors.Detail('verification failed') if ref in job.fails
            else None) for ref in job.refs))


def burn_of(device: str) -> Action:
    """The action that burns version 2 of a device's firmware."""
    item = plan.Item(device, 'gpu', 'firmware', '2')
    return Action('update', 'redfish', (plan.Change(item, '1'),),
                  Activation.AUX_CYCLE, 'img')
