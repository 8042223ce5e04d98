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

"""One simulated system: the state of its devices, firmware, power and BMC.

The Redfish service and the simulated host both read and change this state,
holding ``lock``.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ironic_accel_emulator import damage, jobs, staged
from ironic_accel_emulator.clock import Clock
from ironic_accel_emulator.documents import (
    ROOT,
    Document,
    Documents,
    keep_members,
)
from ironic_accel_emulator.faults import Faults
from ironic_accel_emulator.ledger import Ledger, Violation
from ironic_accel_emulator.options import Options
from ironic_accel_emulator.parts import Component, Device, Activation, Mode
from ironic_accel_emulator.power import Host, Power, PowerHook
from ironic_accel_emulator.report import describe
from ironic_accel_emulator.slot import RemoteCard
from ironic_accel_emulator.tasks import Tasks
from ironic_accel_emulator.timeline import Timeline
from ironic_accel_emulator.update import Updates

if TYPE_CHECKING:
    from ironic_accel_emulator.families.base import Family

Overlay = Callable[[Document], None]


class Box:
    """One simulated system.

    ``hosts``, ``devices``, ``components`` and ``modes`` are its state by id;
    ``ledger`` records all operations on it; ``on_power(system, state)``
    callbacks are in ``power.hooks``.
    """

    def __init__(
        self,
        name: str,
        documents: Documents,
        family: Family,
        clock: Clock,
        options: Options,
    ) -> None:
        self.name = name
        self.documents = documents
        self.family = family
        self.options = options
        self.clock = clock
        self.lock = threading.RLock()
        self.timeline = Timeline(clock, self.lock)
        self.epoch = datetime.datetime.now(datetime.UTC)
        self.ledger = Ledger()
        self.faults = Faults()
        self.hosts: dict[str, Host] = {}
        self.managers: list[str] = []
        self.devices: dict[str, Device] = {}
        self.components: dict[str, Component] = {}
        self.modes: dict[str, Mode] = {}
        self.sessions: dict[str, str] = {}
        self.overlays: dict[str, list[Overlay]] = {}
        self.copying: dict[str, str] = {}
        self.children: list[Box | RemoteCard] = []
        self.tasks = Tasks(self)
        self.power = Power(self)
        self.updates = Updates(self)
        family.grow(self)
        self.lay(ROOT, lambda root: jobs.listed(self, root))
        self._start()

    def _start(self) -> None:
        for host in self.hosts.values():
            if self.options.power is not None:
                host.power = self.options.power
            if host.power == 'On':
                host.last_reset = self.timeline.now

    # Time

    def tick(self) -> None:
        """Run all events that are due."""
        with self.lock:
            self.timeline.run_due()

    def advance(self, seconds: float) -> None:
        """Advance the time and run the events in between."""
        with self.lock:
            self.clock.advance(seconds)
            self.timeline.run_due()
            self.timeline.changed.notify_all()

    def timestamp(self, at: float | None = None) -> str:
        """A simulated time (now by default) in the format of Redfish."""
        seconds = self.timeline.now if at is None else at
        when = self.epoch + datetime.timedelta(seconds=seconds)
        return when.isoformat(timespec='seconds')

    def retry_after(self, seconds: float) -> int:
        """Whole real seconds for a Retry-After, at least 1."""
        real = self.clock.real_delay(seconds)
        return max(1, round(seconds if real is None else real))

    def on_power(self, hook: PowerHook) -> None:
        """Call ``hook(system_id, 'On' | 'Off')`` when host power changes.

        A warm reset calls it with Off and then On. Hooks run while the system
        is locked, and must not wait for anything.
        """
        self.power.hooks.append(hook)

    def attach(self, child: Box | RemoteCard) -> None:
        """Power another system (a DPU with its own BMC) from this one."""
        self.children.append(child)

    # Reported documents

    def lay(self, path: str, overlay: Overlay) -> None:
        """Apply a part of the state to the document at ``path``."""
        self.overlays.setdefault(path, []).append(overlay)

    def shown(self, device: Device) -> bool:
        """Whether a device is reported now."""
        if not device.present or device.bricked:
            return False
        host = self.hosts.get(device.host)
        if host is None or device.while_off == 'shown':
            return True
        if host.power != 'On':
            return False
        ready = device.ready_at
        return ready is None or self.timeline.now >= ready

    def unseen(self) -> list[Device]:
        """The devices of which some resources are not reported now."""
        return [device for device in self.devices.values()
                if device.enabled is False or not self.shown(device)]

    def hidden(self, path: str) -> str | None:
        """``hidden`` or ``error`` if ``path`` is not reported now."""
        return self._hides(self.unseen(), path)

    def _hides(self, unseen: list[Device], path: str) -> str | None:
        for device in unseen:
            for uri in device.uris:
                if path != uri and not path.startswith(uri + '/'):
                    continue
                if not self.shown(device):
                    gone = not device.present or device.bricked
                    return 'hidden' if gone else device.while_off
                if path not in (device.uris[0], device.switched_at):
                    return 'hidden'
        return None

    def all_seen(self, paths: list[str]) -> bool:
        """Whether all of these paths are reported now."""
        unseen = self.unseen()
        return not unseen or not any(
            self._hides(unseen, path) for path in paths
        )

    def document(self, path: str) -> Document | None:
        """Return the current resource at ``path``.

        None if there is none; ``hidden`` distinguishes the two reasons.
        """
        found = self.tasks.document(path)
        if found is None:
            if self.hidden(path):
                return None
            found = self.documents.get(path)
        if found is None:
            return None
        for overlay in self.overlays.get(path, ()):
            overlay(found)
        unseen = self.unseen()
        if unseen:
            keep_members(found, lambda uri: self._hides(unseen, uri))
        return found

    # Resets

    def take_effect(self, host: str | None, activation: Activation) -> None:
        """Apply a reset of one host (None: of all)."""
        for component in list(self.components.values()):
            if host is None or component.host == host:
                self._component_reset(component, activation)
        if activation >= Activation.WARM_REBOOT:
            self.updates.start_on_reset()
            self.tasks.restarted()
            staged.carried_out(self)
        for child in self.children:
            with child.lock:
                child.take_effect(None, activation)
        for mode in self.modes.values():
            owner = self.devices[mode.device].host
            if host is None or owner == host:
                self.mode_reset(mode, activation)

    def _component_reset(
        self, part: Component, activation: Activation
    ) -> None:
        if part.pending is None or part.staged_only:
            return
        part.resets_seen += activation >= part.activation
        if self._strong_enough(part, activation):
            self.activate(part)

    def _strong_enough(
        self, item: Component | Mode, activation: Activation
    ) -> bool:
        """Whether a reset activates a change.

        With the fault ``weak-reset`` the next stronger reset is required, and
        if there is none, a second one.
        """
        if activation < item.activation:
            return False
        if not self.faults.active('weak-reset', item.id):
            return True
        return activation > item.activation or (
            item.activation == Activation.AUX_CYCLE and item.resets_seen > 1)

    def activate(self, part: Component) -> None:
        """Activate the pending version of a component."""
        old = part.running
        part.activate()
        if part.running == staged.VERSION:
            self.violate(staged.CARRIED, part.id)
        if part.running != old:
            self.family.activated(self, part, old)

    def mode_reset(self, mode: Mode, activation: Activation) -> None:
        """Apply a reset of a device to one of its modes."""
        if mode.lost_at is not None and activation >= mode.lost_at:
            mode.current, mode.pending = mode.default, None
        elif mode.pending is not None and self._strong_enough(
            mode, activation):
            mode.current, mode.pending = mode.pending, None

    def device_reset(self, device: Device, activation: Activation) -> None:
        """Reset one device (or only its driver)."""
        own = [c for c in self.components.values() if c.device == device.id]
        damage.cut_parts(self, own, 'device reset')
        for part in list(self.components.values()):
            if part.device == device.id:
                self._component_reset(part, activation)
        for mode in self.modes.values():
            if mode.device == device.id:
                self.mode_reset(mode, activation)
        seconds = self.options.timing.device_reset
        device.ready_at = self.timeline.now + seconds

    def switch(self, device: Device, on: bool) -> None:
        """Disable or enable a device while its host is on.

        A disabled device is removed from the host's bus; an enabled one
        starts as after a reset. Writing the current value has no effect.
        """
        if device.enabled is None or device.enabled is on:
            return
        device.enabled = on
        if on:
            self.device_reset(device, Activation.DEVICE_RESET)
            return
        own = [c for c in self.components.values() if c.device == device.id]
        damage.cut_parts(self, own, 'device disabled')

    def warm_up(self, host: Host) -> None:
        """Delay the devices of a host that has just started."""
        late = self.faults.number('late-devices', 0.0)
        for device in self.devices.values():
            if device.host == host.id:
                if device.enabled_soon is not None:
                    device.enabled = device.enabled_soon
                    device.enabled_soon = None
                wait = max(device.appear_after, late)
                device.ready_at = self.timeline.now + wait
        if self.faults.active('renumber'):
            self.family.renumber(self)

    def activate_manager(self, manager: str) -> None:
        """Activate the firmware of a BMC after its restart."""
        for part in list(self.components.values()):
            if part.manager == manager and part.pending is not None:
                self.activate(part)
            gone = self.faults.active('vanish-after-bmc', part.id)
            if gone and part.device in self.devices:
                self.devices[part.device].present = False

    # Faults

    def misbehave(self, text: str) -> None:
        """Activate a fault in the syntax of ``--fault``.

        Raises ValueError for an unknown fault.
        """
        with self.lock:
            fault = self.faults.parse(text)
            if fault.name == 'foreign-task':
                self.updates.start_foreign(float(fault.value or 600))
            elif fault.name == 'foreign-copy':
                for path in self.copying:
                    self.updates.copy(path)
            elif fault.name.startswith('foreign-'):
                staged.begin(self, fault.name, fault.value)

    def violate(self, kind: str, detail: str) -> None:
        """Record an operation that would have damaged real hardware."""
        entry = Violation(self.timeline.now, kind, detail)
        self.ledger.violations.append(entry)

    def forget_sessions(self) -> None:
        """End all sessions, like a restart of the BMC."""
        self.sessions.clear()

    def as_dict(self) -> dict[str, Any]:
        """The whole state as JSON; see ``report``."""
        return describe(self)
