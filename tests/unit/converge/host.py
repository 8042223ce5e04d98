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

"""A host for resets, which can misbehave."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable


class Clock:
    """Time that only moves when told."""

    now = 1000.0


@dataclasses.dataclass
class Host:
    """A host that follows at once, unless it is told otherwise."""

    clock: Clock
    state: str = 'on'
    asked: list[str] = dataclasses.field(default_factory=list)
    deaf: set[str] = dataclasses.field(default_factory=set)
    away_until: float = 0.0
    boots: int = 0
    marks: bool = True
    offered: tuple[str, ...] = ('GracefulRestart', 'GracefulShutdown')
    before: Callable[[str], None] = lambda what: None
    #: Until when somebody's update runs.
    busy_until: float = 0.0
    #: What the BMC reports of it; None where it cannot be read.
    running: str | None = None

    def _do(self, what: str, state: str | None = None) -> None:
        self.before(what)
        self.asked.append(what)
        if state and what not in self.deaf:
            self.state = state

    def power_state(self) -> str:
        if self.clock.now < self.away_until:
            raise Unreachable('no answer')
        return self.state

    def power_on(self) -> None:
        self._do('on', 'on')

    def power_off(self, soft: bool) -> None:
        self._do('soft off' if soft else 'hard off', 'off')

    def warm_reboot(self, soft: bool = False) -> None:
        self._do('soft reboot' if soft else 'reboot')
        if ('soft reboot' if soft else 'reboot') not in self.deaf:
            self.boots += 1

    def boot_mark(self) -> str | None:
        return f'boot {self.boots}' if self.marks else None

    def offers(self, kind: str) -> bool:
        return kind in self.offered

    def check_idle(self) -> None:
        if self.clock.now < self.busy_until:
            raise Rejected('not known to be idle', retry_after=30,
                           running=self.running)

    def check_bmc(self) -> None:
        self.power_state()

    def aux_cycle(self) -> None:
        assert self.state == 'off'
        self._do('aux')
        self.away_until = self.clock.now + 90
