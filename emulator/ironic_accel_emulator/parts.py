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

"""The parts of a system: devices, their firmware and their modes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Activation(enum.IntEnum):
    """The event that activates a change, weakest first."""

    NONE = 0
    DRIVER_RELOAD = 1
    DEVICE_RESET = 2
    WARM_REBOOT = 3
    POWER_CYCLE = 4
    AUX_CYCLE = 5

    @classmethod
    def named(cls, text: str) -> Activation:
        """Return the activation with that name, such as ``warm-reboot``."""
        try:
            return cls[text.upper().replace('-', '_')]
        except KeyError:
            known = ', '.join(e.name.lower() for e in cls)
            raise ValueError(
                f'effect: {text!r}: expected one of {known}'
            ) from None


@dataclass
class Device:
    """One device and its resources.

    ``uris`` are its resources (and all below them). ``while_off`` is their
    state while the host is off or the device is starting: ``hidden`` (404
    and not in collections), ``error`` (400 on the resource) or ``shown``.
    ``enabled`` is None if the BMC has no such property; a disabled device
    keeps its first resource, which has the property, and is not on the host's
    bus. ``switched_at`` is the settings object where the property is written,
    if it is not the resource; ``enabled_soon`` its value after the next host
    reset.
    """

    id: str
    kind: str
    host: str
    uris: tuple[str, ...] = ()
    while_off: str = 'hidden'
    appear_after: float = 0.0
    present: bool = True
    health: str = 'OK'
    bricked: bool = False
    ready_at: float | None = None
    enabled: bool | None = None
    switched_at: str | None = None
    enabled_soon: bool | None = None


@dataclass
class Component:
    """One firmware: its running and pending version, and its activation.

    ``key`` is the name by which images select it (``gpu``, ``erot``),
    ``software_id`` its identifier in a PLDM package.
    """

    id: str
    uri: str
    key: str
    running: str
    activation: Activation
    host: str | None = None
    device: str | None = None
    software_id: str | None = None
    fits: dict[str, str] = field(default_factory=dict)
    slotted: bool = False
    shows_pending: bool = True
    updateable: bool = True
    manager: str | None = None
    copies: str | None = None
    inactive: str | None = None
    active_slot: int = 0
    pending: str | None = None
    pending_digest: str | None = None
    staged_only: bool = False
    resets_seen: int = 0
    flashing: bool = False

    def activate(self) -> None:
        """Activate the pending version; the old one keeps the other slot."""
        if self.pending is None:
            return
        if self.slotted:
            self.inactive = self.running
            self.active_slot = 1 - self.active_slot
        self.running = self.pending
        self.pending = None
        self.pending_digest = None
        self.staged_only = False
        self.resets_seen = 0

    def stage(self, version: str, digest: str) -> None:
        """Stage a new version for the next activation."""
        self.pending = version
        self.pending_digest = digest
        self.resets_seen = 0
        if self.slotted:
            self.inactive = version


Value = bool | int | str


@dataclass
class Mode:
    """One device setting, and where it is read and written.

    ``read`` and ``write`` are (URI, JSON pointer); ``pending_at`` is where
    the pending value is reported, if anywhere. ``lost_at`` is the weakest
    activation that resets a volatile mode to ``default``.
    """

    device: str
    name: str
    current: Value
    activation: Activation
    read: tuple[str, str]
    write: tuple[str, str]
    pending_at: tuple[str, str] | None = None
    pending: Value | None = None
    allowed: tuple[Value, ...] | None = (True, False)
    default: Value = False
    lost_at: Activation | None = None
    resets_seen: int = 0

    @property
    def id(self) -> str:
        """``device/mode``, its name in the ledger."""
        return f'{self.device}/{self.name}'
