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

"""Host power, auxiliary power and the BMC's own reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ironic_accel_emulator import damage
from ironic_accel_emulator.errors import RedfishError
from ironic_accel_emulator.ledger import ResetRecord
from ironic_accel_emulator.parts import Activation

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box
    from ironic_accel_emulator.timeline import Event

PowerHook = Callable[[str, str], None]

RESET_TYPES = (
    'On', 'ForceOff', 'GracefulShutdown', 'GracefulRestart',
    'ForceRestart', 'PowerCycle', 'ForceOn', 'PushPowerButton', 'Nmi',
)  # fmt: skip
_WARM = ('GracefulRestart', 'ForceRestart')
_NEEDS_ON = (*_WARM, 'PowerCycle', 'Nmi')


@dataclass
class Host:
    """One ComputerSystem with its own power state.

    ``power`` is a Redfish PowerState; ``satellites`` are Systems that are
    powered by this host (an HGX baseboard).
    """

    id: str
    uri: str
    power: str = 'On'
    last_reset: float | None = None
    resets: int = 0
    satellites: tuple[str, ...] = ()
    change: Event | None = None


class Power:
    """The power behaviour of a system."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.hooks: list[PowerHook] = []
        self.bmc_back_at: float | None = None

    @property
    def bmc_away(self) -> bool:
        """Whether the BMC does not respond now."""
        back = self.bmc_back_at
        return back is not None and self._box.timeline.now < back

    def reset(self, host: Host, kind: str) -> None:
        """Perform ComputerSystem.Reset.

        Raises RedfishError 400 for an unknown type, 409 for one that requires
        a host that is on.
        """
        if kind not in RESET_TYPES:
            raise RedfishError.bad_parameter('ResetType', kind)
        if kind in _NEEDS_ON and host.power == 'Off':
            raise RedfishError(409, 'ActionNotSupported', (kind,))
        self._record(kind, host.id)
        timing = self._box.options.timing
        if kind in ('On', 'ForceOn'):
            if host.power != 'On':
                self._change(host, 'PoweringOn', timing.power_on, self._on)
        elif kind == 'ForceOff':
            self._change(host, 'PoweringOff', timing.power_off, self._off)
        elif kind == 'GracefulShutdown':
            self._graceful_off(host)
        elif kind == 'PushPowerButton':
            if host.power == 'Off':
                self._change(host, 'PoweringOn', timing.power_on, self._on)
            else:
                self._graceful_off(host)
        elif kind in _WARM:
            self._change(host, 'On', timing.restart, self._warm)
        elif kind == 'PowerCycle':
            self._change(host, 'PoweringOff', timing.power_off, self._cycle)

    def fail(self, host: Host, back_in: float | None = None) -> None:
        """A host loses its power unexpectedly.

        It is powered on again after ``back_in`` seconds; None: never.
        """
        if host.change is not None:
            host.change.cancelled = True
        self._off(host)
        if back_in is not None:
            self._change(host, 'Off', back_in, self._on)

    def _graceful_off(self, host: Host) -> None:
        delay = self._box.options.timing.graceful_off
        self._change(host, host.power, delay, self._off)

    def _record(self, kind: str, target: str) -> None:
        entry = ResetRecord(self._box.timeline.now, kind, target)
        self._box.ledger.resets.append(entry)

    def _change(
        self,
        host: Host,
        meanwhile: str,
        delay: float,
        act: Callable[[Host], None],
    ) -> None:
        if host.change is not None:
            host.change.cancelled = True
        host.power = meanwhile
        host.change = self._box.timeline.after(
            delay, lambda: act(host), f'{host.id} {act.__name__}'
        )

    def _on(self, host: Host) -> None:
        host.power = 'On'
        host.change = None
        self._started(host, Activation.POWER_CYCLE)
        self._tell(host, 'On')

    def _off(self, host: Host) -> None:
        damage.cut(self._box, host, 'host power off')
        host.power = 'Off'
        host.change = None
        self._tell(host, 'Off')

    def _cycle(self, host: Host) -> None:
        self._off(host)
        gap = self._box.options.timing.cycle_gap
        self._change(host, 'Off', gap, self._on)

    def _warm(self, host: Host) -> None:
        host.change = None
        damage.cut(self._box, host, 'host reset')
        self._tell(host, 'Off')
        self._started(host, Activation.WARM_REBOOT)
        self._tell(host, 'On')

    def _started(self, host: Host, activation: Activation) -> None:
        host.resets += 1
        host.last_reset = self._box.timeline.now
        if self._box.options.slot_powered:
            activation = min(activation, Activation.WARM_REBOOT)
        self._box.take_effect(host.id, activation)
        self._box.warm_up(host)

    def _tell(self, host: Host, state: str) -> None:
        for hook in self.hooks:
            hook(host.id, state)

    def aux_cycle(self, force: bool, then_on: bool = False) -> None:
        """Cut the auxiliary power of everything and restart the BMC.

        Hosts that were on are powered on again; with ``then_on`` all are.

        Raises RedfishError 400 ChassisPowerStateOffRequired if a host is on
        without ``force``.
        """
        on = [h for h in self._box.hosts.values() if h.power != 'Off']
        if on and not force:
            raise RedfishError(400, 'ChassisPowerStateOffRequired', ('0',))
        self._record('AuxPowerCycleForce' if force else 'AuxPowerCycle', '')
        for host in on:
            if host.change is not None:
                host.change.cancelled = True
            self._off(host)
        damage.cut(self._box, None, 'auxiliary power cut')
        self._leave(
            self._box.options.timing.aux_away,
            lambda: self._aux_back(
                list(self._box.hosts.values()) if then_on else on
            ),
        )

    def _aux_back(self, were_on: list[Host]) -> None:
        self._box.take_effect(None, Activation.AUX_CYCLE)
        for manager in self._box.managers:
            self._box.activate_manager(manager)
        for host in were_on:
            delay = self._box.options.timing.power_on
            self._change(host, 'PoweringOn', delay, self._on)

    def bmc_reset(self, manager: str) -> None:
        """Perform Manager.Reset: the BMC restarts."""
        self._record('ManagerReset', manager)
        damage.cut_manager(self._box, manager)
        self._leave(
            self._box.options.timing.bmc_away,
            lambda: self._box.activate_manager(manager),
        )

    def _leave(self, seconds: float, back: Callable[[], None]) -> None:
        self._box.forget_sessions()
        self._box.tasks.forget()
        self.bmc_back_at = self._box.timeline.now + seconds
        self._box.timeline.after(seconds, back, 'BMC back')
