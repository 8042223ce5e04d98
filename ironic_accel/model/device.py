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

"""What a node has: devices, their firmware components and their modes.

The values are those that were *read*, by any transport: a value that a device
does not report is ``None``, never a guess. ``model.serialization`` converts
them to the JSON that programs read, and back.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import enum
from typing import Literal

from ironic_accel.model.activity import Busy
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

#: Kinds of device, and the baseboard that carries them (profile format 1).
KINDS = ('gpu', 'fpga', 'nic', 'dpu', 'ai', 'crypto', 'storage', 'baseboard')

#: A mode's value: a word, an ordered or unordered list of words, a number.
Value = str | int | tuple[str, ...]


class Activation(enum.StrEnum):
    """What it takes for a change to become active, weakest first.

    A stronger reset includes every weaker one. The reset of a BMC is not on
    this ladder: it activates the BMC's own firmware and nothing else.
    """

    NONE = 'none'
    DRIVER_RELOAD = 'driver-reload'
    DEVICE_RESET = 'device-reset'
    WARM_REBOOT = 'warm-reboot'
    POWER_CYCLE = 'power-cycle'
    AUX_CYCLE = 'aux-cycle'

    @property
    def rank(self) -> int:
        """The place on the ladder, 0 for none."""
        return _LADDER.index(self)

    @property
    def is_host_reset(self) -> bool:
        """Whether the whole host goes through it, not one device."""
        return self.rank >= Activation.WARM_REBOOT.rank

    def stronger(self) -> Activation | None:
        """The next step up the ladder, or None at its top."""
        up = self.rank + 1
        return _LADDER[up] if up < len(_LADDER) else None


#: Deprecated: its name in the release before, for tool families elsewhere.
Effect = Activation


_LADDER = tuple(Activation)


def strongest(activations: list[Activation]) -> Activation:
    """The strongest of some effects; ``none`` of an empty list."""
    return max(activations, key=lambda e: e.rank, default=Activation.NONE)


def base_name(name: str) -> str:
    """The catalogue's name of a component: ``erot`` for ``erot-3``."""
    stem, dash, number = name.rpartition('-')
    return stem if dash and number.isdigit() else name


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """One firmware of a device.

    :ivar name: our name, from the catalogue's closed list for the kind; the
        second and further ones of a kind carry a number (``erot-1``).
    :ivar id: what the BMC or the tool calls it.
    :ivar running: the version that runs now.
    :ivar pending: the version that waits for a reset, if any is seen.
    :ivar shows_pending: whether a waiting version would be visible at all.
    :ivar updateable: False where who shows it does not let it be written.
    :ivar activation: what activates a written image; None is unproved, and
        nothing is written then.
    :ivar lowest: the lowest version that the device accepts.
    :ivar max_image_bytes: the largest image that the transport accepts.
    :ivar standing: why ``running`` is None, where it is.
    :ivar conflicts: the different versions that two sources report, each with
        its source (``redfish: 1.2``); ``running`` is None then.
    """

    name: str
    id: str
    running: str | None = None
    pending: str | None = None
    shows_pending: bool = False
    updateable: bool | None = None
    activation: Activation | None = None
    uri: str | None = None
    lowest: str | None = None
    max_image_bytes: int | None = None
    standing: Standing = Standing.NOT_REPORTED
    conflicts: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Mode:
    """A whole-device setting.

    :ivar persistent: whether the value survives host resets; None is unproved,
        and it then makes no IS trait.
    :ivar unordered: whether a list value is a set.
    :ivar standing: why ``current`` is None, where it is.
    :ivar conflicts: the different values that two sources report, each with
        its source; ``current`` is None then.
    :ivar minimum: and ``maximum``, the range of numbers that it reports;
        ``read_only``, that its host may not set it.
    """

    name: str
    current: Value | None = None
    pending: Value | None = None
    allowed: tuple[Value, ...] | None = None
    activation: Activation | None = None
    persistent: bool | None = None
    uri: str | None = None
    unordered: bool = False
    standing: Standing = Standing.NOT_REPORTED
    conflicts: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    read_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Fit:
    """What an image is matched against besides model and PCI ids."""
    psid: str | None = None
    board: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PciIds:
    """PCI configuration ids: four lower-case hexadecimal digits each."""

    vendor_id: str | None = None
    device_id: str | None = None
    subsystem_vendor_id: str | None = None
    subsystem_id: str | None = None

    @property
    def pair(self) -> str | None:
        """``vendor:device``, or None where one of them is unknown."""
        if self.vendor_id and self.device_id:
            return f'{self.vendor_id}:{self.device_id}'
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """The PCIe link: lanes, and speed in GT/s as text ("32.0")."""

    width: int | None = None
    speed: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """One physical accelerator, or the baseboard that carries some.

    :ivar id: stable name of the device within its node (``model.identity``).
    :ivar vendor: the catalogue's short word, or as the device reports it.
    :ivar model: as the device reports it.
    :ivar product: the catalogue's name, or None where it does not know it.
    :ivar health: OK, Warning or Critical (Redfish Resource.Health), or None.
    :ivar location: its location, as the transport reports it.
    :ivar state: Redfish Resource.State of the device's own resource
        (Enabled, Disabled, Absent, ...) or a driver's state in those
        words; None if none is reported.
    :ivar unread: what of it could not be read: ``presence`` (its
        own resource: all that is known is that it is listed), ``health``,
        ``state``, ``identity`` (serial, model, ids), ``firmware`` or
        ``firmware:NAME``, ``modes`` or ``mode:NAME``; ``firmware:*`` and
        ``mode:*`` if one of two transports was not read: those that the
        other one does not report.
    :ivar absent: of those names, what a source reports as absent.
    :ivar told: its health by two transports, each with its source
        (``agent: Critical``); the worse one is its health.
    """

    id: str
    kind: str
    vendor: str | None = None
    model: str | None = None
    product: str | None = None
    serial: str | None = None
    part_number: str | None = None
    parent: str | None = None
    fit: Fit = Fit()
    pci: PciIds | None = None
    address: str | None = None
    numa_node: int | None = None
    link: Link | None = None
    macs: tuple[str, ...] = ()
    location: str | None = None
    uri: str | None = None
    health: str | None = None
    components: tuple[Component, ...] = ()
    modes: tuple[Mode, ...] = ()
    state: str | None = None
    unread: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    def is_unread(self, *facts: str) -> bool:
        """Whether one of the facts could not be read.

        ``firmware:vbios`` is unread too where ``firmware`` is, and all are
        where the device itself (``presence``) is.
        """
        spoilt = {'presence', *facts,
                  *(f.partition(':')[0] + 's' if f.startswith('mode:')
                    else f.partition(':')[0] for f in facts)}
        return bool(spoilt & set(self.unread))

    def component(self, name: str) -> Component | None:
        """The component of our name, or None."""
        return next((c for c in self.components if c.name == name), None)

    def mode(self, name: str) -> Mode | None:
        """The mode of our name, or None where it is unsupported."""
        return next((m for m in self.modes if m.name == name), None)


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """Something that the next reset of the host would carry out.

    Whoever staged it; what is ours, a run's own record knows.

    :ivar kind: ``task`` (a job or a task), ``settings`` or ``firmware``.
    :ivar ref: what names it there, such as a path.
    :ivar summary: what it is, in few words.
    :ivar activation: the weakest reset that carries it out.
    :ivar updates: whether it is known to write firmware.
    """

    kind: str
    ref: str
    summary: str
    activation: Activation = Activation.WARM_REBOOT
    updates: bool = False

    @property
    def words(self) -> str:
        """It and its name, for people."""
        return f'{self.summary} ({self.ref})'


@dataclasses.dataclass(frozen=True, slots=True)
class Warned:
    """What could not be read, and where: the rest is still true."""

    uri: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """The devices of one node at one moment.

    :ivar complete: False while the host is off or device discovery is not
        complete: a missing device is then not a removed one.
    :ivar boot: a mark that changes at a host reset, or None if the BMC
        reports none.
    :ivar requests: requests that the observation took.
    :ivar halfway: what an interrupted write may have left (a disabled
        device), each with the ticket by which a backend completes it.
        The intent of a run shows whether it is its own. Not in the printed
        document.
    :ivar lacking: why it is not complete, if there is another reason than
        device discovery. Not in the printed document: the warnings have it.
    :ivar uncounted: kinds whose number is not known: two transports show
        different devices of them.
    :ivar unread: what could not be read. ``complete`` is about the system as
        a whole (host on, discovery complete); ``complete_of`` and ``Device``
        tell what one unread source may change.
    :ivar waiting: what the next host reset would activate, besides pending
        values of devices.
    """

    system: str
    host: Literal['on', 'off', 'unknown']
    complete: bool
    boot: str | None = None
    busy: tuple[Busy, ...] = ()
    seen_via: tuple[str, ...] = ()
    requests: int = 0
    warnings: tuple[Warned, ...] = ()
    devices: tuple[Device, ...] = ()
    halfway: tuple[Busy, ...] = ()
    lacking: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    def complete_of(self, kind: str) -> bool:
        """Whether "not there" can be taken for "removed", of one kind.

        A NIC may be listed as a DPU and the other way round.
        """
        return self.complete and not any(
            self.hides(u, (kind,)) for u in self.unread)

    @staticmethod
    def hides(unread: Unread, kinds: Iterable[str]) -> bool:
        """Whether devices of some kinds may be behind what was not read."""
        wanted = set(kinds)
        if wanted & {'nic', 'dpu'}:
            wanted |= {'nic', 'dpu'}
        return bool(wanted & set(unread.kinds))

    @property
    def partial(self) -> bool:
        """Whether something that devices or their number hang on is unread.
        """
        return any(u.kinds or u.facts or u.holds for u in self.unread)

    @property
    def held(self) -> tuple[Unread, ...]:
        """What prevents determining whether the system is idle."""
        return tuple(u for u in self.unread if u.holds)

    @property
    def unready(self) -> str:
        """What an inventory that is not complete waits for, in words."""
        return '; '.join(self.lacking) or 'device discovery is not complete'

    def device(self, device_id: str) -> Device | None:
        """The device of that id, or None."""
        return next((d for d in self.devices if d.id == device_id), None)
