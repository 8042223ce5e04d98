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

"""One look at a box: from the tree to the inventory."""

from __future__ import annotations

import dataclasses

from ironic_accel.model import join
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Inventory
from ironic_accel.model.standing import Unread
from ironic_accel.redfish import activity
from ironic_accel.redfish import firmware
from ironic_accel.redfish import macs
from ironic_accel.redfish import memory
from ironic_accel.redfish import modes
from ironic_accel.redfish import oem_devices
from ironic_accel.redfish import parts
from ironic_accel.redfish import pcie
from ironic_accel.redfish import products
from ironic_accel.redfish import scope as scopes
from ironic_accel.redfish import slots
from ironic_accel.redfish import state
from ironic_accel.redfish import styles
from ironic_accel.redfish import switches
from ironic_accel.redfish import unreads
from ironic_accel.redfish import versions
from ironic_accel.redfish import waiting
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.found import Found
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.scope import Scope
from ironic_accel.redfish.settings import Settings
from ironic_accel.redfish.spoils import Role
from ironic_accel.redfish.spoils import Spoils


#: Seconds of a look after which its first answers are no longer recent.
_LONG = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What an observation learnt besides the inventory.

    :ivar service: the UpdateService.
    :ivar entries: the BMC's whole FirmwareInventory.
    :ivar simple: the ActionInfo of its SimpleUpdate, where it has one.
    """

    scope: Scope
    service: Fields | None
    entries: tuple[Fields, ...]
    inventory: Inventory
    simple: Fields | None = None


def look(reader: Reader, system: str | None, catalog: Catalog,
         settings: Settings) -> Seen:
    """Observe a box.

    :raises: Unreachable where the BMC does not answer; BadInput where the
        System is not to be found.
    """
    reader.begin()
    scope = scopes.find(reader, system)
    # Before any version: a task that ends in between must not leave both an
    # old version and an idle box to be seen.
    doing = activity.read(reader, scope)
    began = settings.history.now()
    found = parts.find(reader, scope, catalog)
    found += oem_devices.find(reader, scope, found, catalog)
    service = _service(reader, scope)
    info = styles.info_uri(service) if service is not None else None
    simple = reader.read(info, steady=True)
    entries, lost, whole = firmware.entries(reader, scope, service)
    firmware.attach(scope, found, entries, service, catalog)
    host = state.power(scope.system)
    bare = pcie.scan(reader, scope, found, catalog, host == 'on')
    firmware.attach(scope, bare, entries, service, catalog)
    hidden = {kind for spoils in reader.open.values()
              for kind in spoils.kinds}
    for one in bare:
        # Its own resource may be in what was not read, and tell more.
        if firmware.kind_of(one, catalog) in hidden:
            one.unread |= {'firmware', 'modes'}
    known = {f.uri for f in found}
    found += [f for f in bare if f.uri not in known]
    for one in found:
        versions.learn(reader, scope, one, catalog)
    firmware.spoil(reader, scope, found, lost, whole, catalog)
    memory.learn(reader, found)
    slots.learn(reader, scope, found)
    made = macs.learn(reader, catalog, found, [
        _device(reader, f, catalog) for f in found])
    if settings.history.now() - began > _LONG:
        # A push of somebody else may have begun since.
        doing = activity.again(reader, scope, doing)
    own = (reader.known(u) for f in found for u in sorted({f.uri, *f.own}))
    shown = (*scope.systems, *(o for o in own if o is not None), *entries)
    idle = not any((*activity.busy(reader, scope, doing, service, (), shown),
                    *state.copies(scope)))
    unread = unreads.settle(reader, {f.uri for f in found},
                            host == 'on' and idle, settings)
    _doubt_bare(reader, bare, unread, catalog)
    waits = tuple(waiting.find(reader, scope, doing, entries, {
        c.uri for f in found for c in f.components if c.uri},
        settings.history))
    devices = join.identify(_with_unread(made, found, unread))
    names = {d.uri: d.id for d in devices}
    inventory = Inventory(
        system=scope.system.uri, host=host, complete=False,
        boot=state.boot_mark(scope.system),
        busy=(*activity.busy(reader, scope, doing, service, devices, shown),
              *state.copies(scope)),
        seen_via=('redfish',), devices=devices,
        waiting=waits,
        halfway=switches.halfway(reader, {d.id: d for d in devices}),
        unread=tuple(dataclasses.replace(
            u, about=names.get(u.about, u.about)) for u in unread))
    lacking = _lacking(reader, scope, doing, inventory, settings)
    inventory = dataclasses.replace(
        inventory, complete=not lacking, lacking=lacking,
        requests=reader.requests, warnings=reader.warnings)
    return Seen(scope, service, tuple(entries), inventory, simple)


def _doubt_bare(reader: Reader, bare: list[Found], unread: list[Unread],
                catalog: Catalog) -> None:
    """Leave open how devices are of which only the PCIeDevice was seen.

    Their Processor or NetworkAdapter may be in a collection that was not
    read, and say worse of them than the PCIeDevice does.
    """
    hidden = {kind for u in unread for kind in u.kinds
              if reader.open[u.source].role is Role.COLLECTION
              and not u.source.endswith(('/PCIeDevices', '/PCIDevices'))}
    for one in bare:
        if firmware.kind_of(one, catalog) in hidden:
            one.unread |= {'health', 'state'}


def _lacking(reader: Reader, scope: Scope, doing: activity.Activity,
             inventory: Inventory, settings: Settings) -> tuple[str, ...]:
    """What keeps this look from being one of a settled tree."""
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
    age = state.since_reset(doing.service, scope.system)
    lacking = state.lacking(scope, host, age, same,
                            mode if isinstance(mode, str) else None,
                            settings)
    if lacking == (state.UNTOLD.format(settings.warm_up),):
        reader.warn(own, lacking[0])
    return lacking


def _with_unread(devices: list[Device], found: list[Found],
                 unread: list[Unread]) -> list[Device]:
    """The devices with all that was asked for and not told of them."""
    return [dataclasses.replace(device, unread=tuple(sorted(
        one.unread.union(*(u.facts for u in unread if u.about == one.uri)))))
        for device, one in zip(devices, found, strict=True)]


def _service(reader: Reader, scope: Scope) -> Fields | None:
    spoils = Spoils(Role.SERVICE, ('baseboard',), ('firmware',), holds=True,
                    optional=False)
    uri = reader.follow(scope.root, 'UpdateService', spoils)
    if uri is None:
        return None
    levels = scope.levels('UpdateService')
    return reader.deep(uri, levels if levels > 1 else 0, spoils)


def _device(reader: Reader, found: Found, catalog: Catalog) -> Device:
    """A device with what the catalogue knows of it; its id is its URI."""
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
    return dataclasses.replace(part, effect=facts.effect)
