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

"""What a box is made of: devices, their firmware, their modes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Activation(enum.IntEnum):
    """What a change needs before it is active, weakest first."""

    NONE = 0
    DRIVER_RELOAD = 1
    DEVICE_RESET = 2
    WARM_REBOOT = 3
    POWER_CYCLE = 4
    AUX_CYCLE = 5

    @classmethod
    def named(cls, text: str) -> Activation:
        """Return the effect called ``text``, such as ``warm-reboot``."""
        try:
            return cls[text.upper().replace('-', '_')]
        except KeyError:
            known = ', '.join(e.name.lower() for e in cls)
            raise ValueError(
                f'effect: {text!r}: expected one of {known}'
            ) from None


@dataclass
class Device:
    """One piece of hardware and where it shows.

    ``uris`` are the resources that come and go with it (and all below
    them). ``while_off`` says how they answer while the host is off or the
    device still starts: ``hidden`` (404 and not in collections), ``error``
    (400 on the resource) or ``shown``.
    ``enabled`` is None where the BMC has no such switch; a device that is
    disabled keeps its first resource, which has the switch, and is not on
    the host's bus. ``switched_at`` is the settings object where that is
    written, if it is not the resource; ``enabled_soon`` what the next host
    reset makes of it.
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
    """One firmware: what runs, what waits, and what makes it run.

    ``key`` is the name by which image components select it (``gpu``,
    ``erot``), ``software_id`` the identifier that a PLDM package names.
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
        """Let the waiting version run; the old one keeps the other slot."""
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

    def land(self, version: str, digest: str) -> None:
        """Put a new version where the next activation finds it."""
        self.pending = version
        self.pending_digest = digest
        self.resets_seen = 0
        if self.slotted:
            self.inactive = version


Value = bool | int | str


@dataclass
class Mode:
    """One whole-device setting and where it is read and written.

    ``read`` and ``write`` are (URI, JSON pointer); ``pending_at`` is where
    the waiting value shows, if anywhere. ``lost_at`` is the weakest effect
    that puts a volatile mode back to ``default``.
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
        """``device/mode``, as the ledger names it."""
        return f'{self.device}/{self.name}'
