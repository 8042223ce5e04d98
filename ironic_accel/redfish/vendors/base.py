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

"""The content of a vendor plug-in: a ``Vendor`` with rows of tables.

Rows of ``Quirks`` apply to the services that the quirks match. The other rows
of a ``Vendor`` apply to any service with the property, Id or message in the
row, because boards are built into the systems of other vendors, and BMC
software into the BMCs of many makers.
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

    :ivar owner: the resource with the action.
    :ivar action: path of the action within that resource.
    :ivar body: body of the request while the host is off.
    :ivar forced: body of the request while the host is on, or None if the
        action has no such form.
    """

    owner: Literal['system', 'chassis']
    action: tuple[str, ...]
    body: Mapping[str, str]
    forced: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class UpdateState:
    """A property of the UpdateService with the state of an update.

    :ivar path: path of the property.
    :ivar idle: its values while no update is running, in lower case. Any
        other value means that the BMC is busy.
    :ivar percent: path of the percentage; empty if there is none.
    """

    path: tuple[str, ...]
    idle: frozenset[str]
    percent: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Quirks:
    """The behaviour of one vendor's services.

    :ivar recognised_by: (``root.Vendor``, ``root.Product``, ``system.Id``,
        ``system.Manufacturer`` or ``system.Model``; pattern): the quirks
        apply if any of them matches, ignoring case.
    :ivar structure: the same, but all of them must match.
    :ivar baseboard: pattern of the Ids of Systems that are an accelerator
        baseboard of the host System.
    :ivar ids_are_locations: whether the Ids of processors and adapters name
        slots.
    :ivar card_ids_are_slots: whether the Ids of PCIeDevices name slots.
    :ivar levels: ``$expand`` levels, by resource (``Processors``,
        ``UpdateService``, ``TaskService``; ``PCIeDevices`` is each of its
        members), if 1 is not the best.
    :ivar linked: names of collections that ``$expand`` reads with the
        resources in the ``Links`` of their members, if the service offers
        ``ExpandAll``.
    :ivar at_once: number of reads at a time that the BMC is known to bear, at
        most 4; None if that is unknown, which means one.
    :ivar scan_pcie: whether PCIeDevices without another resource are read.
    :ivar firmware: rules that assign firmware entries to devices.
    :ivar oem_firmware: versions in other resources.
    :ivar context: path within a firmware entry to the slot of its device.
    :ivar devices: the vendor's own collections of cards.
    :ivar pci_ids: path within a firmware entry to the object with the PCI
        ids of its device, and the names of the four ids in it.
    :ivar product_name: pattern for the Name of a firmware entry, whose first
        group is the product name of its device.
    :ivar pushes: how images are pushed; the first matching row is used.
    :ivar commit: the action that commits running images.
    :ivar aux: how the auxiliary power is cycled. The action is used on any
        resource that has it, whoever made the system.
    :ivar jobs: path of the link to a collection of jobs within the Manager,
        if the service root has no JobService.
    :ivar bios_by_job: whether BIOS settings are applied only by a job, so
        that values in the settings object are not pending by themselves.
    :ivar update_state: where the UpdateService reports a running update, if
        it has no task for it.
    :ivar satisfied: MessageIds with which an equal version is rejected.
    :ivar no_updates: why no firmware may be written to the service; may be
        empty.
    """

    name: str
    recognised_by: tuple[tuple[str, str], ...]
    baseboard: str | None = None
    structure: tuple[tuple[str, str], ...] = ()
    ids_are_locations: bool = False
    card_ids_are_slots: bool = False
    levels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    linked: frozenset[str] = frozenset()
    at_once: int | None = None
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
    """The kind of product of a vendor's rows; a lower one takes precedence.

    Several may apply to one service: a board of one vendor in a server of
    another, whose BMC runs the software of a third.
    """

    #: An accelerator board or a card, in any server.
    BOARD = 1
    #: The server and its BMC.
    SERVER = 2
    #: BMC software that several makers of servers use.
    BMC_SOFTWARE = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Vendor:
    """The Redfish resources of one vendor.

    :ivar layer: determines which vendor's rows take precedence.
    :ivar quirks: for the services that they match, the more specific first.
    :ivar entries: rules that assign firmware entries to devices by Id, also
        on a service that no quirks match.
    :ivar pushes: how images are pushed to services that are identified by
        their ``push_uri`` only; after the rows of all quirks.
    :ivar styles: the vendor's own push styles.
    :ivar component_words: the component of an entry without a rule.
    :ivar parameter_set: pattern of a SoftwareId that is the id of a parameter
        set (``Fit.psid``).
    :ivar makers: paths within a PCIeDevice to its maker, in addition to
        Manufacturer.
    :ivar products: forms of the names of its products.
    :ivar display_gpus: PCI vendor id and catalogue name of a maker whose
        display controllers are GPUs and not display chips.
    :ivar processor_ids: pattern for the Id of a Processor without a type,
        and its kind.
    :ivar dpu: Id of Systems that are DPUs.
    :ivar root_of_trust: pattern for the Ids of Chassis that are roots of
        trust. A firmware entry belongs to the card that one protects.
    :ivar modes: properties that are modes.
    :ivar slots: the slots of firmware entries.
    :ivar copies: where a Chassis reports a background copy.
    :ivar memory: how a GPU's memory reports its health.
    :ivar update_states: how the UpdateService reports its state.
    :ivar not_now: rejections that mean "not now", by their MessageIds.
    :ivar tasks: states of tasks and jobs.
    :ivar message_holders: properties of a response that contain messages, in
        addition to ``error``.
    :ivar unsure: pattern for the rejection of a setting that may still have
        been applied.
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
