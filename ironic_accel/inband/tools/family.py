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


"""The port of vendor tools: what one family of tools sees and does.

A family is a stevedore plug-in of the group ``ironic_accel.tools``: a class
without arguments, in a file of its own. The backend finds the devices
(sysfs), asks the families about them, lays the catalogue's facts below what
they say, and calls them to write. A family holds no state and starts no
thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Protocol
from typing import runtime_checkable

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Link
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.device import Warned
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread

#: What a family may tell of a device, by the names of ``Device.unread``.
FACTS = ('identity', 'health', 'state', 'firmware', 'modes')

#: Among the drivers of ``Family.beside``: whichever holds the card.
ANY = '*'

#: Verbs and the drivers beside which they may be done.
Beside = tuple[tuple[str, str], ...]

#: Told while a write goes on: a summary, and percent or None.
Progress = Callable[[str, int | None], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """One PCI function, as sysfs and its VPD tell it.

    :ivar address: ``0000:17:00.0``, lower case.
    :ivar vendor_id: and the other ids: four lower-case hexadecimal digits.
    :ivar class_code: six lower-case hexadecimal digits: ``030200``.
    :ivar numa_node: None where the platform does not tell (-1 in sysfs).
    :ivar serial: of the VPD (SN), without placeholders; so part_number (PN).
    :ivar model: the identifier string of the VPD, or None.
    :ivar macs: of its network interfaces, lower case.
    :ivar driver: the bound kernel driver, or None.
    :ivar totalvfs: ``sriov_totalvfs``, None without SR-IOV; so numvfs.
    :ivar slot: the name of its physical slot (/sys/bus/pci/slots), or None.
    :ivar path: its sysfs folder: ``/sys/bus/pci/devices/0000:17:00.0``.
    :ivar unread_vpd: why its VPD, which is there, says nothing, or None.
    :ivar gone: its configuration space reads as all ones: it is plugged in
        and does not answer.
    """

    address: str
    vendor_id: str
    device_id: str
    subsystem_vendor_id: str
    subsystem_id: str
    class_code: str
    numa_node: int | None = None
    link: Link | None = None
    serial: str | None = None
    part_number: str | None = None
    model: str | None = None
    macs: tuple[str, ...] = ()
    driver: str | None = None
    totalvfs: int | None = None
    numvfs: int | None = None
    slot: str | None = None
    path: str = ''
    gone: bool = False
    unread_vpd: str | None = None

    @property
    def pci(self) -> PciIds:
        """The ids as the model has them."""
        return PciIds(self.vendor_id, self.device_id,
                      self.subsystem_vendor_id, self.subsystem_id)

    @property
    def card(self) -> str:
        """The address without the function: what one card shares."""
        return self.address.rpartition('.')[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What a family's tool says of one device; None is "it does not say".

    What sysfs knows need not be repeated. A component or mode without an
    ``effect`` takes the catalogue's, and so ``persists``, ``allowed`` and
    ``unordered`` of a mode; ``shows_pending`` is what *this* tool can show.

    What the tool was asked and did not tell is in ``unread``, and never left
    out: a mode that is not named is one that the device does not have.

    :ivar health: OK, Warning or Critical where the tool says it, in words
        that the tool is known to print; an unknown word is unread.
    :ivar state: as ``Device.state``.
    :ivar unread: what was asked and not told: the tool, its answer and the
        facts (``Device.unread``) that it keeps; ``about`` is filled in by
        who asks the families.
    :ivar absent: of those facts, what the tool says that it has not.
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
    """One look of a family.

    :ivar told: by the address of a function; a card of several functions
        may be told by any of them.
    :ivar warnings: what an operator should know besides (``uri``: the tool's
        name, and the address where it is about one device).
    :ivar complete: False where the tool cannot tell yet: what it might tell
        of the devices that it was asked about is unread then.
    """

    told: Mapping[str, Told] = dataclasses.field(default_factory=dict)
    warnings: tuple[Warned, ...] = ()
    complete: bool = True


class Family(Protocol):
    """One family of vendor tools: small functions over tables.

    :cvar name: its name among the plug-ins.
    :cvar generic: True for a family that serves devices of any vendor
        (sriov, fwupd): where a vendor's own family does the same, that one
        is taken, whatever the order in which they are loaded.
    :cvar together: True where the tool has to be asked about all devices in
        one call; else each card is a question of its own, so that one that
        hangs costs itself alone.
    :cvar beside: a verb (``burn``, ``set``, ``reset``) and a driver that may
        hold the card meanwhile, because the owner of the tool says so;
        without any, only a card that no driver holds is written.
    """

    name: str
    generic: bool
    together: bool
    beside: Beside

    def claims(self, function: Function, product: Product | None) -> bool:
        """Whether the family is for devices like this. No tool is run."""
        ...

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """What it may tell of such a device (names of ``Device.unread``):
        unread where it does not answer at all."""
        ...

    def look(
        self, host: Machine, functions: Sequence[Function]
    ) -> ToolReading:
        """Ask the tool about functions that it claims: those of one card,
        or of all cards where it is asked ``together``.

        A tool that hangs or talks nonsense is no exception but ``unread``
        of what is told; what it tells all the same is told. A missing tool
        is one warning: nobody was asked.
        """
        ...

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """Names of the components that it can write here and now: the
        device can be written and the tool is there."""
        ...

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """Names of the modes that it can set here and now."""
        ...

    def resets(self, host: Machine, device: Device) -> Activation:
        """The strongest of none, driver-reload and device-reset that it can
        do to the device here and now."""
        ...

    def burn(self, host: Machine, device: Device, items: Sequence[Item],
             image: Ready, spec: Image | None, force: bool,
             progress: Progress) -> tuple[Result, ...]:
        """Write an image to one explicit device; blocks until it is over.

        The fit is checked again with what the tool itself says of the
        image, where it can tell. The exit status is no proof. A result for
        each item. Where the flash outlives its deadline
        (``Ran.timed_out``), say so in the detail's ``running``.
        """
        ...

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Set modes of one device; blocks until it is over."""
        ...

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Reset one device, or reload its driver; blocks until it is over.

        Results carry the ref ``(device.id, 'reset')``; none means well.
        """
        ...


@runtime_checkable
class Besides(Protocol):
    """What a family has besides, whose image for one component holds others
    too, and whose tool cannot leave those out."""

    def also_writes(self, host: Machine, device: Device, part: str
                    ) -> tuple[str, ...]:
        """Names of the components that a burn of one writes as well."""
        ...
