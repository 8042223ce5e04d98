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

"""What one vendor plug-in brings: a ``Vendor`` with rows of tables.

Rows of ``Quirks`` count for the services that the quirks recognise. The
other rows of a ``Vendor`` count wherever a resource shows the property, the
Id or the message that they are about, whoever made the service: boards are
built into others' systems, and BMC software into many makers' BMCs.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
from typing import Literal

from ironic_accel.redfish.vendors.device_rows import BackgroundCopy
from ironic_accel.redfish.vendors.device_rows import Commit
from ironic_accel.redfish.vendors.device_rows import ComponentWord
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors.device_rows import FirmwareSlots
from ironic_accel.redfish.vendors.device_rows import MemoryFlags
from ironic_accel.redfish.vendors.device_rows import OemDevices
from ironic_accel.redfish.vendors.device_rows import OemFirmware
from ironic_accel.redfish.vendors.device_rows import ProductNames
from ironic_accel.redfish.vendors.mode_rows import ModeRow
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.push_rows import Style
from ironic_accel.redfish.vendors.task_rows import NotNow
from ironic_accel.redfish.vendors.task_rows import TaskRows


@dataclasses.dataclass(frozen=True, slots=True)
class AuxPower:
    """An action that cuts and restores the auxiliary power of a system.

    :ivar owner: the resource that has it.
    :ivar action: path to it within that resource.
    :ivar body: what is posted while the host is off.
    :ivar forced: what is posted to cut the power of a host that is on, or
        None where there is no such form.
    """

    owner: Literal['system', 'chassis']
    action: tuple[str, ...]
    body: Mapping[str, str]
    forced: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class UpdateState:
    """A property of the UpdateService that reports what it does now.

    :ivar path: to the property.
    :ivar idle: its values when nothing is under way, in lower case. Any
        other value means that the BMC is busy.
    :ivar percent: path to the percentage done; empty where there is none.
    """

    path: tuple[str, ...]
    idle: frozenset[str]
    percent: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Quirks:
    """What one vendor's services do their own way.

    :ivar recognised_by: (``root.Vendor``, ``root.Product``, ``system.Id``,
        ``system.Manufacturer`` or ``system.Model``; pattern): any of them,
        whatever the case.
    :ivar structure: the same, but all of them have to be so.
    :ivar baseboard: matches the Ids of Systems that are an accelerator
        baseboard of the host System beside them.
    :ivar ids_are_locations: the Ids of processors and adapters name slots.
    :ivar card_ids_are_slots: the Ids of PCIeDevices name slots.
    :ivar levels: how deep to expand, by resource (``Processors``,
        ``UpdateService``, ``TaskService``; ``PCIeDevices`` is each of its
        members), where one is not best.
    :ivar scan_pcie: whether PCIeDevices that nothing else shows are worth
        their requests.
    :ivar firmware: whose firmware is whose.
    :ivar oem_firmware: versions that stand elsewhere.
    :ivar context: path within a firmware entry to the name of the place
        that its device sits in.
    :ivar devices: collections of the vendor's own that show cards.
    :ivar pci_ids: path within a firmware entry to the object with the PCI
        ids of its device, and the names of the four there.
    :ivar product_name: pattern whose first group, in the Name of a firmware
        entry, is the product name of its device.
    :ivar pushes: how images are pushed, the first that covers.
    :ivar commit: the action by which running images are committed.
    :ivar aux: how the auxiliary power is cut. What has the action is asked
        for it, whoever made the system: boards are built into others'.
    :ivar jobs: path of the link to a collection of jobs within the Manager,
        where the service root has no JobService.
    :ivar bios_by_job: whether BIOS settings are applied by a job alone, so
        that what the settings object has does not wait by itself.
    :ivar update_state: what the UpdateService says that it does, where it
        has no task for that.
    :ivar satisfied: MessageIds with which an equal version is refused.
    :ivar no_updates: why no firmware is written to the service at all, in
        words; empty where it is.
    """

    name: str
    recognised_by: tuple[tuple[str, str], ...]
    baseboard: str | None = None
    structure: tuple[tuple[str, str], ...] = ()
    ids_are_locations: bool = False
    card_ids_are_slots: bool = False
    levels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    scan_pcie: bool = True
    firmware: tuple[FirmwareRule, ...] = ()
    oem_firmware: tuple[OemFirmware, ...] = ()
    context: tuple[str, ...] = ()
    devices: OemDevices | None = None
    pci_ids: tuple[tuple[str | int, ...], tuple[str, ...]] | None = None
    product_name: str | None = None
    pushes: tuple[PushChoice, ...] = ()
    commit: Commit | None = None
    aux: AuxPower | None = None
    jobs: tuple[str, ...] = ()
    bios_by_job: bool = False
    update_state: UpdateState | None = None
    satisfied: tuple[str, ...] = ()
    no_updates: str = ''


class Layer(enum.IntEnum):
    """Whose product a vendor's rows are about; the lower comes first.

    Several may hold for one service: a board of one vendor in a server of
    another, whose BMC runs the software of a third.
    """

    #: An accelerator board or a card, in anybody's server.
    BOARD = 1
    #: The server and its BMC.
    SERVER = 2
    #: BMC software that several makers of servers build in.
    BMC_SOFTWARE = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Vendor:
    """All that is known of one vendor's Redfish resources.

    :ivar layer: says which vendor's rows come first where several hold.
    :ivar quirks: for the services that they recognise, the more special
        first.
    :ivar entries: whose firmware entries of certain Ids are, also behind a
        service that nobody recognises.
    :ivar pushes: how images are pushed to services that are known by their
        ``push_uri`` alone; after the rows of all quirks.
    :ivar styles: styles of the vendor's own.
    :ivar component_words: which component an entry is, where no rule says.
    :ivar parameter_set: matches the SoftwareId of entries that is the id of
        a parameter set (``Fit.psid``).
    :ivar makers: paths within a PCIeDevice to its maker, besides
        Manufacturer.
    :ivar products: how its products are written.
    :ivar display_gpus: PCI vendor id and the catalogue's word of a maker
        whose display controllers are GPUs and no display chips.
    :ivar processor_ids: pattern found in the Id of a Processor whose type is
        not told, and its kind.
    :ivar dpu: Id of Systems that are a DPU's own.
    :ivar root_of_trust: pattern found in the Ids of Chassis that are roots
        of trust: which card one guards tells whose a firmware entry is.
    :ivar modes: properties that are modes.
    :ivar slots: the slots of firmware entries.
    :ivar copies: where a Chassis tells of a copy in the background.
    :ivar memory: what a GPU's memory says of its health.
    :ivar update_states: what the UpdateService says that it does.
    :ivar not_now: refusals that mean "not now", by their MessageIds.
    :ivar tasks: states of tasks and jobs.
    :ivar message_holders: properties of an answer that hold its messages,
        besides ``error``.
    :ivar unsure: pattern found in the refusal of a setting that may have
        been applied all the same.
    """

    layer: Layer
    quirks: tuple[Quirks, ...] = ()
    entries: tuple[FirmwareRule, ...] = ()
    pushes: tuple[PushChoice, ...] = ()
    styles: tuple[Style, ...] = ()
    component_words: tuple[ComponentWord, ...] = ()
    parameter_set: str | None = None
    makers: tuple[tuple[str, ...], ...] = ()
    products: tuple[ProductNames, ...] = ()
    display_gpus: tuple[tuple[str, str], ...] = ()
    processor_ids: tuple[tuple[str, str], ...] = ()
    dpu: str | None = None
    root_of_trust: str | None = None
    modes: tuple[ModeRow, ...] = ()
    slots: tuple[FirmwareSlots, ...] = ()
    copies: tuple[BackgroundCopy, ...] = ()
    memory: tuple[MemoryFlags, ...] = ()
    update_states: tuple[UpdateState, ...] = ()
    not_now: tuple[NotNow, ...] = ()
    tasks: TaskRows = dataclasses.field(default_factory=TaskRows)
    message_holders: tuple[str, ...] = ()
    unsure: str | None = None
