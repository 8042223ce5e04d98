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

"""Read the inventory of a system from the resources of its BMC."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
from typing import Concatenate, ParamSpec, TypeVar

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Inventory
from ironic_accel.model.reading_status import Unread
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory import activity
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory import devices as devices_module
from ironic_accel.redfish.inventory import firmware
from ironic_accel.redfish.inventory import mac_addresses
from ironic_accel.redfish.inventory import memory_health
from ironic_accel.redfish.inventory import modes
from ironic_accel.redfish.inventory import oem_devices
from ironic_accel.redfish.inventory import pcie
from ironic_accel.redfish.inventory import products
from ironic_accel.redfish.inventory import recent_readings
from ironic_accel.redfish.inventory.recent_readings import Reuse
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.inventory import slots
from ironic_accel.redfish.inventory import staged_changes
from ironic_accel.redfish.inventory import system_state
from ironic_accel.redfish.inventory import topology as scopes
from ironic_accel.redfish.inventory import unread as unread_module
from ironic_accel.redfish.inventory import update_methods
from ironic_accel.redfish.inventory import versions

#: Seconds of an inventory after which its first readings are not recent.
_LONG = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class SystemReading:
    """What was read besides the inventory.

    :ivar service: the UpdateService.
    :ivar entries: the BMC's whole FirmwareInventory.
    :ivar simple: the ActionInfo of its SimpleUpdate, if it has one.
    """

    scope: Scope
    service: Fields | None
    entries: tuple[Fields, ...]
    inventory: Inventory
    simple: Fields | None = None


_P = ParamSpec('_P')
_T = TypeVar('_T')


def _on_one_connection(read: Callable[Concatenate[Reader, _P], _T]
                       ) -> Callable[Concatenate[Reader, _P], _T]:
    """Make all requests of an observation on one connection to the BMC."""
    @functools.wraps(read)
    def read_all(reader: Reader, /, *args: _P.args, **kwargs: _P.kwargs
                 ) -> _T:
        with reader.one_connection():
            return read(reader, *args, **kwargs)
    return read_all


@_on_one_connection
def read_inventory(reader: Reader, system: str | None, catalog: Catalog,
                   settings: BmcSettings, reuse: Reuse | None = None
                   ) -> SystemReading:
    """Read the inventory of a system; its devices have their URIs as ids.

    :param reuse: the readings of a moment ago that it does not repeat.
    :raises: Unreachable if the BMC does not respond; BadInput if there is no
        such System.
    """
    reader.begin(reuse.age if reuse else None)
    scope = scopes.find(reader, system)
    if reuse is not None and not reuse.holds(scope):
        reader.forget_kept()
    # Read before any version: if a task ends meanwhile, the inventory must
    # not have both the old version and an idle system.
    doing = activity.read(reader, scope)
    began = settings.history.now() if reader.ahead_since is None else (
        reader.ahead_since)
    _read_ahead(reader, scope)
    found = devices_module.find(reader, scope, catalog)
    found += oem_devices.find(reader, scope, found, catalog)
    service = _service(reader, scope)
    info = update_methods.info_uri(service) if service is not None else None
    simple = reader.read(info, steady=True)
    host = system_state.power(scope.system)
    entries, bare = _complete(reader, scope, found, service, catalog)
    made = mac_addresses.with_mac_addresses(reader, catalog, found, [
        _device(reader, f, catalog) for f in found])
    if settings.history.now() - began > _LONG:
        # Another client may have started a push since.
        doing = activity.read_again(reader, scope, doing)
    own = (reader.known(u) for f in found for u in sorted({f.uri, *f.own}))
    shown = (*scope.systems, *(o for o in own if o is not None), *entries)
    idle = not any((*activity.busy(reader, scope, doing, service, (), shown),
                    *system_state.copies(scope)))
    unread = unread_module.settle(reader, {f.uri for f in found},
                            host == 'on' and idle, settings)
    _mark_pcie_only_unread(reader, bare, unread, catalog)
    waits = tuple(staged_changes.find(reader, scope, doing, entries, {
        c.uri for f in found for c in f.components if c.uri},
        settings.history))
    devices = tuple(_with_unread(made, found, unread))
    inventory = Inventory(
        system=scope.system.uri, host=host, complete=False,
        boot=system_state.boot_mark(scope.system),
        busy=(*activity.busy(reader, scope, doing, service, devices, shown),
              *system_state.copies(scope)),
        seen_via=('redfish',), devices=devices,
        waiting=waits,
        halfway=activity.disabled(reader, {d.id: d for d in devices}),
        unread=tuple(unread))
    lacking = _lacking(reader, scope, doing, inventory, settings)
    inventory = dataclasses.replace(
        inventory, complete=not lacking, lacking=lacking,
        requests=reader.requests, warnings=reader.warnings)
    if not inventory.busy and not inventory.held:
        _note_idle(reader, system, settings)
    return SystemReading(scope, service, tuple(entries), inventory, simple)


def _read_ahead(reader: Reader, scope: Scope) -> None:
    """Read the collections of devices and of firmware together."""
    levels = scope.levels
    deep = levels.get('UpdateService', 1)
    reader.ahead(
        *((s, 'Processors', levels.get('Processors', 1),
           scope.reads_links('Processors')) for s in scope.systems),
        *((c, 'NetworkAdapters', 1, False) for c in scope.chassis.values()),
        (scope.root, 'UpdateService', deep if deep > 1 else 0, False))


def _complete(reader: Reader, scope: Scope, found: list[FoundDevice],
              service: Fields | None, catalog: Catalog
              ) -> tuple[list[Fields], list[FoundDevice]]:
    """Add firmware, versions, health and locations to the devices.

    :param found: devices with a resource of their own; those that are only a
        PCIeDevice are appended.
    :returns: the firmware entries; the devices that are only a PCIeDevice.
    """
    entries, lost, whole = firmware.entries(reader, scope, service)
    firmware.attach(scope, found, entries, service, catalog)
    host = system_state.power(scope.system)
    bare = pcie.scan(reader, scope, found, catalog, host == 'on')
    firmware.attach(scope, bare, entries, service, catalog)
    hidden = {kind for impact in reader.open.values()
              for kind in impact.kinds}
    for one in bare:
        # Its own resource may be unread, and have more properties.
        if firmware.kind_of(one, catalog) in hidden:
            one.unread |= {'firmware', 'modes'}
    known = {f.uri for f in found}
    found += [f for f in bare if f.uri not in known]
    for one in found:
        versions.add_versions(reader, scope, one, catalog)
    firmware.declare_unread(reader, scope, found, lost, whole, catalog)
    memory_health.add_health(reader, found)
    slots.add_locations(reader, scope, found)
    return entries, bare


def _note_idle(reader: Reader, system: str | None, settings: BmcSettings
               ) -> None:
    settings.history.remember(reader.address, f'idle {system}', True)


@_on_one_connection
def booting(reader: Reader, system: str | None, settings: BmcSettings
            ) -> tuple[Scope, str | None] | None:
    """Why the host is still booting, by its System alone.

    That is enough if the BMC was seen idle a short while ago.

    :returns: the Systems, and the reason or None; None where this is not
        enough.
    :raises: as ``read_inventory``.
    """
    if not settings.history.recall(reader.address, f'idle {system}',
                                   recent_readings.IDLE):
        return None
    reader.begin(recent_readings.root)
    scope = scopes.without_chassis(reader, system)
    if reader.failures:
        return None
    host = system_state.power(scope.system)
    return scope, None if host == 'off' else system_state.starting(
        scope.system, host, None, settings)


@_on_one_connection
def starting(reader: Reader, system: str | None, settings: BmcSettings
             ) -> str | None:
    """Why the host is still booting, or None; see ports.Backend.

    Reads Systems, tasks, managers and the UpdateService, but no device.

    :raises: as ``read_inventory``.
    """
    reader.begin()
    scope = scopes.without_chassis(reader, system)
    host = system_state.power(scope.system)
    if host == 'off':
        return None
    doing = activity.read(reader, scope)
    busy = any(activity.busy(reader, scope, doing, _service(reader, scope),
                             (), scope.systems))
    if busy or reader.failures:
        return None
    _note_idle(reader, system, settings)
    return system_state.starting(
        scope.system, host,
        system_state.since_reset(doing.service, scope.system), settings)


def _mark_pcie_only_unread(reader: Reader, bare: list[FoundDevice],
                           unread: list[Unread], catalog: Catalog) -> None:
    """Mark health and state as unread for devices by a PCIeDevice only.

    Their Processor or NetworkAdapter may be in a collection that was not
    read, and report a worse health than the PCIeDevice.
    """
    hidden = {kind for u in unread for kind in u.kinds
              if reader.open[u.source].role is Role.COLLECTION
              and not u.source.endswith(('/PCIeDevices', '/PCIDevices'))}
    for one in bare:
        if firmware.kind_of(one, catalog) in hidden:
            one.unread |= {'health', 'state'}


def _lacking(reader: Reader, scope: Scope, doing: activity.Activity,
             inventory: Inventory, settings: BmcSettings) -> tuple[str, ...]:
    """Why the tree was not complete during this inventory; may be empty."""
    host = inventory.host
    history = settings.history
    own = scope.system.uri
    same = 0.0
    if host == 'on':
        same = history.steady(reader.address, own, (
            inventory.boot, frozenset(
                (d.uri, d.kind, d.serial, d.is_unread())
                for d in inventory.devices)))
    else:
        history.unsteady(reader.address, own)
    mode = next((m.current for d in inventory.devices if d.uri == own
                 for m in d.modes if m.name == 'mode'), None)
    age = system_state.since_reset(doing.service, scope.system)
    lacking = system_state.lacking(scope, host, age, same,
                            mode if isinstance(mode, str) else None,
                            settings)
    if lacking == (system_state.UNTOLD.format(settings.warm_up),):
        reader.warn(own, lacking[0])
    return lacking


def _with_unread(devices: list[Device], found: list[FoundDevice],
                 unread: list[Unread]) -> list[Device]:
    """The devices with the names of their unread facts."""
    return [dataclasses.replace(device, unread=tuple(sorted(
        one.unread.union(*(u.facts for u in unread if u.about == one.uri)))))
        for device, one in zip(devices, found, strict=True)]


def _service(reader: Reader, scope: Scope) -> Fields | None:
    impact = Impact(Role.SERVICE, ('baseboard',), ('firmware',), holds=True,
                    optional=False)
    uri = reader.follow(scope.root, 'UpdateService', impact)
    if uri is None:
        return None
    levels = scope.levels.get('UpdateService', 1)
    return reader.deep(uri, levels if levels > 1 else 0, impact)


def _device(reader: Reader, found: FoundDevice, catalog: Catalog) -> Device:
    """A device with its facts from the catalogue; its id is its URI."""
    kind = firmware.kind_of(found, catalog)
    product = products.identify(catalog, found.hint, found.vendor,
                                found.model, found.pci, found.part_number)
    name = product.name if product else None
    vendor = (product.vendor if product
              else catalog.vendor(found.vendor) or found.vendor)
    return Device(
        id=found.uri, kind=kind, vendor=vendor, model=found.model,
        product=name, serial=found.serial, part_number=found.part_number,
        parent=found.parent, fit=Fit(found.psid, found.board),
        pci=found.pci, address=found.address, link=found.link,
        macs=found.macs, location=found.location, uri=found.uri,
        health=found.health, state=found.state,
        components=tuple(_component(c, kind, catalog, name, vendor)
                         for c in found.components),
        modes=modes.read(reader, found, kind, catalog, name, vendor))


def _component(part: Component, kind: str, catalog: Catalog,
               product: str | None, vendor: str | None) -> Component:
    facts = catalog.component(kind, part.name, product, vendor)
    if facts is None:
        return part
    return dataclasses.replace(part, activation=facts.activation)
