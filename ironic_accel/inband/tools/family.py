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

"""The interface of a tool family: what it reads, what it changes.

A family is a stevedore plug-in of the group ``ironic_accel.tools``: a class
that is created without arguments. The backend finds the devices in sysfs, asks
the families about them, completes the answers from the catalogue, and calls a
family to write. A family keeps no state and starts no thread.

Optional parts have protocols of their own: programs of the vendor that write
firmware (``HasFlashers``), modes that an instance can set at each boot
(``HasFirstBoot``), images of several components (``HasCollateral``).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from types import ModuleType
from typing import Protocol
from typing import runtime_checkable

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine import device_users
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Warned
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread

#: What a family can report of a device, by the names of ``Device.unread``.
FACTS = ('identity', 'health', 'state', 'firmware', 'modes')

#: In ``Family.beside``: any driver.
ANY = device_users.ANY
Beside = device_users.Beside

#: Programs that write firmware, by name, with the arguments of which one
#: makes them write; without any, the program writes whenever it runs.
Flashers = Mapping[str, frozenset[str]]

#: Called while a write goes on: a summary, and percent or None.
Progress = Callable[[str, int | None], None]


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceReading:
    """What a family's tool reports of one device; None is "not reported".

    What sysfs knows need not be repeated. A component or mode without an
    ``activation`` takes the catalogue's; so do ``persistent``, ``allowed``
    and ``unordered`` of a mode. ``shows_pending`` is what *this* tool can
    show.

    What the tool was asked and did not answer is in ``unread``, and never
    left out: a mode that is not named is one that the device does not have.

    :ivar health: OK, Warning or Critical if the tool reports it, in words
        that the tool is known to print; an unknown word is unread.
    :ivar state: as ``Device.state``.
    :ivar unread: what was asked and not answered: the tool, its answer and
        the facts (``Device.unread``) that are missing; the caller fills in
        ``about``.
    :ivar absent: of those facts, what the tool reports as not present.
    """

    serial: str | None = None
    model: str | None = None
    part_number: str | None = None
    fit: Fit = dataclasses.field(default_factory=Fit)
    health: str | None = None
    location: str | None = None
    components: tuple[Component, ...] = ()
    modes: tuple[Mode, ...] = ()
    state: str | None = None
    unread: tuple[Unread, ...] = ()
    absent: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ToolReading:
    """The answer of a family about some devices.

    :ivar devices: by the address of a function; any function of a card may
        carry what is about the card.
    :ivar warnings: what an operator should know besides (``uri``: the tool's
        name, and the address if it is about one device).
    :ivar complete: False if the tool cannot answer yet: whatever it could
        report of the devices that it was asked about is unread then.
    """

    devices: Mapping[str, DeviceReading] = dataclasses.field(
        default_factory=dict)
    warnings: tuple[Warned, ...] = ()
    complete: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class FirstBootMode:
    """A mode that an instance can set at each boot.

    :ivar mode: its name in profiles and in the catalogue.
    :ivar setter: a module that needs nothing but the standard library of
        Python 3.7; it is copied into the instance as a file. It defines
        ``VALUE`` (the type of a value: str, int or list), ``ORDER`` (lower
        numbers are set first) and ``set_mode(card, wanted, patience) ->
        bool``, which returns whether it changed the mode, and raises
        ``card.Failed(text)`` if the mode is not set
        (``firstboot/applier.py``).
    :ivar vendor: the only vendor of devices that it is for, as
        ``Device.vendor``; None for any.
    :ivar after: systemd units after which the unit of the instance starts.
    """

    mode: str
    setter: ModuleType
    vendor: str | None = None
    after: tuple[str, ...] = ()


class Family(Protocol):
    """One family of vendor tools.

    :cvar name: its name among the plug-ins.
    :cvar generic: True for a family that serves devices of any vendor
        (sriov, fwupd): if a vendor's own family does the same, that one is
        used, whatever the order in which they are loaded.
    :cvar together: True if the tool has to be asked about all devices in one
        call; otherwise each card is asked about separately, so that a card
        that hangs affects itself alone.
    :cvar beside: a verb (``update``, ``set``, ``reset``) and a driver that
        may stay bound to the card meanwhile, because the owner of the tool
        documents it; without any, only a card without a driver is written.
    """

    name: str
    generic: bool
    together: bool
    beside: Beside

    def claims(self, function: Function, product: Product | None) -> bool:
        """Whether the family is for devices like this. Runs no tool."""
        ...

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """What it can report of such a device (names of ``Device.unread``):
        unread if it does not answer at all."""
        ...

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """Ask the tool about functions that it claims: those of one card,
        or of all cards if it is asked ``together``.

        A tool that hangs or prints an invalid answer raises nothing: what is
        missing is ``unread``, and the rest of the answer counts. A missing
        tool is one warning, and nothing is unread.
        """
        ...

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """Names of the components that it can write here and now: the
        device accepts updates and the tool is installed."""
        ...

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """Names of the modes that it can set here and now."""
        ...

    def resets(self, host: Machine, device: Device) -> Activation:
        """The strongest of none, driver-reload and device-reset that it can
        do to the device here and now."""
        ...

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Write an image to one device; blocks until it has ended.

        Checks again that the image is for the device, with what the tool
        itself reports of the image, if it can. The exit status proves nothing.
        Returns a result for each item. If the tool exceeds its deadline
        (``Ran.timed_out``), it keeps running, and the detail's ``running``
        names it.
        """
        ...

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Set modes of one device; blocks until it has ended."""
        ...

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Reset one device, or reload its driver; blocks until it has ended.

        Results have the ref ``(device.id, 'reset')``; none means success.
        """
        ...


@runtime_checkable
class HasFlashers(Protocol):
    """A family whose vendor has programs that write firmware.

    :cvar flashers: if another process runs one of them, the agent detects it
        and waits.
    """

    flashers: Flashers


@runtime_checkable
class HasFirstBoot(Protocol):
    """A family with modes that an instance can set at each boot."""

    first_boot: tuple[FirstBootMode, ...]


@runtime_checkable
class HasCollateral(Protocol):
    """A family whose image for one component contains others too, if its
    tool cannot leave those out."""

    def also_writes(self, host: Machine, device: Device, part: str
                    ) -> tuple[str, ...]:
        """Names of the components that an update of one writes as well."""
        ...


def held(host: Machine, family: Family, address: str,
         verb: device_users.Verb) -> str | None:
    """Why a family must not write to a card now, or None."""
    return device_users.against(
        host, getattr(family, 'beside', ()), address, verb)
