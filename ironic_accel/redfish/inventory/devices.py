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

"""Find the processors, network adapters, DPUs and baseboards of a node."""

from __future__ import annotations

from collections.abc import Iterator
import re

from ironic_accel.model.catalog import Catalog
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import absent
from ironic_accel.redfish.inventory.device_builder import ADAPTER_KINDS
from ironic_accel.redfish.inventory.device_builder import common
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory.device_builder import listed
from ironic_accel.redfish.inventory.device_builder import location
from ironic_accel.redfish.inventory.device_builder import PROCESSOR_KINDS
from ironic_accel.redfish.inventory.device_builder import status
from ironic_accel.redfish.inventory import pcie
from ironic_accel.redfish.inventory import processor_kinds
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.inventory.topology import is_dpu
from ironic_accel.redfish.inventory import versions
from ironic_accel.redfish.vendors import registry

#: ChassisTypes of a Chassis that may be a single card.
_CARDS = frozenset({'Card', 'Module', 'Component', 'Expansion'})


def find(reader: Reader, scope: Scope, catalog: Catalog) -> list[FoundDevice]:
    """All devices of a node that have a resource of their own, including
    those that are listed and were not read.
    """
    found = [*_boards(reader, scope)]
    for system in scope.systems:
        found += _processors(reader, scope, system, catalog)
    found = _once(found)
    dpus = list(_dpus(scope))
    adapters = _once(list(_adapters(reader, scope, dpus, catalog)))
    found += [*dpus, *adapters]
    for adapter in adapters:
        found += _offload(reader, adapter, catalog)
    for one in found:
        _card(scope, one, found)
    return found


def _once(found: list[FoundDevice]) -> list[FoundDevice]:
    """Each device once, if two Systems or two Chassis list it.

    Devices of one collection may share the serial number of their board.
    Therefore the same serial number, model and Id mean the same device only
    in different collections.
    """
    out: list[FoundDevice] = []
    for one in found:
        same = [o for o in out if one.serial is not None
                and o.serial == one.serial and o.hint == one.hint
                and o.model == one.model and last(o.uri) == last(one.uri)
                and _folder(o.uri) != _folder(one.uri)]
        if not same:
            out.append(one)
            continue
        same[0].own |= one.own
        same[0].claimed |= one.claimed
        same[0].unread |= one.unread
        same[0].versions += one.versions
        status(same[0], one.shown)
    return out


def _folder(uri: str) -> str:
    return uri.rpartition('/')[0]


def _boards(reader: Reader, scope: Scope) -> Iterator[FoundDevice]:
    for system in scope.baseboards:
        board = FoundDevice(system.uri, 'baseboard', system)
        common(board, system)
        board.board = board.model
        board.location = board.location or last(system.uri)
        board.own = {system.uri, *system.links('Links', 'Chassis')}
        board.own |= {
            c.uri for c in scope.chassis.values()
            if system.uri in c.links('Links', 'ComputerSystems')}
        yield board
    for uri in scope.lost_boards:
        board = listed(uri, 'baseboard', reader.fields({'@odata.id': uri}))
        board.location = last(uri)
        yield board


def _processors(reader: Reader, scope: Scope, system: Fields,
                catalog: Catalog) -> Iterator[FoundDevice]:
    board = next((b for b in scope.baseboards if b.uri == system.uri), None)
    impact = Impact(Role.COLLECTION, PROCESSOR_KINDS)
    listed_at = reader.follow(system, 'Processors', impact)
    if listed_at is None and reader.probe(f'{system.uri}/Processors'):
        listed_at = f'{system.uri}/Processors'
    shown, lost = reader.listing(listed_at, impact,
                                 scope.levels.get('Processors', 1),
                                 sufficient=processor_kinds.is_cpu,
                                 linked=scope.reads_links('Processors'))
    found = []
    for one in shown:
        one = reader.whole(one, 'ProcessorType', 'Status')
        hint = processor_kinds.hint(reader, one, shown, catalog)
        # The FPGA of a baseboard is a component of the baseboard.
        if hint is not None and not absent(one) and (
                board is None or hint != 'fpga'):
            found.append(_processor(reader, one, hint, catalog,
                                    scope.levels.get('PCIeDevices', 1)))
    for uri in lost:
        gone = processor_kinds.unread(reader, uri, shown,
                                      board is not None)
        if gone is not None:
            found.append(gone)
    for device in found:
        if device.location is None and _names_slots(scope):
            device.location = last(device.uri)
        if board is not None:
            device.parent = board.uri
            device.board = board.text('Model')
        yield device


def _names_slots(scope: Scope) -> bool:
    return any(q.ids_are_locations for q in scope.quirks)


def _processor(reader: Reader, shown: Fields, hint: str,
               catalog: Catalog, levels: int = 1) -> FoundDevice:
    found = FoundDevice(shown.uri, hint, shown)
    common(found, shown)
    found.chassis = shown.link('Links', 'Chassis')
    found.add_version(shown, shown.text('FirmwareVersion')
                or shown.text('FPGA', 'FirmwareVersion'))
    found.more_versions = versions.additional(
        shown.part('AdditionalFirmwareVersions'))
    found.link = pcie.link(shown.part('SystemInterface', 'PCIe'))
    found.own.add(shown.uri)
    device = shown.link('Links', 'PCIeDevice')
    pcie.add_pcie_facts(reader, found, [device] if device else [],
                        shown.links('Links', 'PCIeFunctions'), catalog, levels)
    return found


def _dpus(scope: Scope) -> Iterator[FoundDevice]:
    """Systems that are a DPU, including the node's own."""
    for system in _dpu_systems(scope):
        found = FoundDevice(system.uri, 'dpu', system)
        common(found, system)
        chassis = system.links('Links', 'Chassis')
        found.chassis = chassis[0] if chassis else None
        card = scope.chassis.get(found.chassis or '')
        if card is not None and found.location is None:
            found.location = location(card)
        found.own = {system.uri}
        yield found


def _dpu_systems(scope: Scope) -> list[Fields]:
    systems = list(scope.dpus)
    if is_dpu(scope.system) or any(
            v.dpu and re.fullmatch(v.dpu, last(scope.system.uri))
            for v in registry.vendors()):
        systems.append(scope.system)
    return systems


def _adapters(reader: Reader, scope: Scope, dpus: list[FoundDevice],
              catalog: Catalog) -> Iterator[FoundDevice]:
    seen: set[str] = set()
    on = scope.system.doc.get('PowerState') != 'Off'
    for chassis in scope.chassis.values():
        impact = Impact(Role.COLLECTION, (*ADAPTER_KINDS, 'fpga', 'ai'))
        shown, lost = reader.listing(
            reader.follow(chassis, 'NetworkAdapters', impact), impact)
        shown = [a for a in shown if a.uri not in seen and not absent(a)]
        for adapter in shown:
            seen.add(adapter.uri)
            adapter = reader.whole(adapter, 'Status')
            of = next((d for d in dpus if _is_of(chassis, d)), None)
            if of is not None and _is_nameless(adapter):
                of.adapters.append(adapter)
                of.own.add(adapter.uri)
                status(of, adapter)
                continue
            card = _adapter(reader, scope, chassis, adapter,
                            len(shown) == 1, catalog)
            card.parent = of.uri if of is not None else None
            yield card
        for uri in lost:
            if uri in seen:
                continue
            seen.add(uri)
            # BMCs do not return the adapters of a host that is off: not even
            # their kind is known.
            reader.declare(uri, Impact(
                Role.DEVICE, ADAPTER_KINDS, ('presence',) if on else (),
                uri if on else None, optional=False))
            if on:
                card = listed(uri, 'nic', reader.fields({'@odata.id': uri}))
                card.chassis = chassis.uri
                _place(scope, chassis, card, len(shown) + len(lost) == 1)
                yield card


def _is_of(chassis: Fields, dpu: FoundDevice) -> bool:
    """Whether a Chassis belongs to a DPU, by a link in either direction."""
    return (chassis.uri in dpu.shown.links('Links', 'Chassis')
            or dpu.uri in chassis.links('Links', 'ComputerSystems'))


def _is_nameless(adapter: Fields) -> bool:
    """Whether an adapter has nothing that identifies a card.

    The BMC of a DPU reports the network side of the card like that, once for
    each of its Chassis.
    """
    return not any(adapter.text(name) for name in (
        'Model', 'SerialNumber', 'PartNumber', 'SKU')) and not any(
            c.links('Links', 'PCIeDevices')
            for c in adapter.parts('Controllers'))


def _place(scope: Scope, chassis: Fields, card: FoundDevice,
           single: bool) -> None:
    """Set the location of an adapter, by its Chassis or its Id."""
    place = location(chassis)
    if card.location is None and place:
        card.location = place if single else f'{place}/{last(card.uri)}'
    elif card.location is None and _names_slots(scope):
        card.location = last(card.uri)


def _adapter(reader: Reader, scope: Scope, chassis: Fields, shown: Fields,
             single: bool, catalog: Catalog) -> FoundDevice:
    found = FoundDevice(shown.uri, 'nic', shown)
    common(found, shown)
    found.chassis = chassis.uri
    found.own.add(shown.uri)
    _place(scope, chassis, found, single)
    devices: list[str] = []
    for controller in shown.parts('Controllers'):
        if not found.versions:
            found.add_version(shown, controller.text('FirmwarePackageVersion'))
        found.link = found.link or pcie.link(controller.part('PCIeInterface'))
        devices += controller.links('Links', 'PCIeDevices')
        found.own |= set(devices)
    pcie.add_pcie_facts(reader, found, devices, [], catalog,
                        scope.levels.get('PCIeDevices', 1))
    return found


def _offload(reader: Reader, adapter: FoundDevice, catalog: Catalog
             ) -> Iterator[FoundDevice]:
    """Processors on a network adapter (NetworkAdapter v1.8)."""
    shown, lost = reader.listing(adapter.shown.link('Processors'),
                                 Impact(Role.COLLECTION, PROCESSOR_KINDS))
    for one in shown:
        one = reader.whole(one, 'ProcessorType', 'Status')
        hint = processor_kinds.hint(reader, one, shown, catalog)
        if hint is None or absent(one):
            continue
        found = _processor(reader, one, hint, catalog)
        found.parent = adapter.uri
        found.location = found.location or adapter.location
        yield found
    for uri in lost:
        gone = processor_kinds.unread(reader, uri, shown, False)
        if gone is not None:
            gone.parent = adapter.uri
            gone.location = adapter.location
            yield gone


def _card(scope: Scope, found: FoundDevice,
          everything: list[FoundDevice]) -> None:
    """Add the health and state of the Chassis that is this device.

    A Chassis that contains a host, or two devices, is not the device.
    """
    shown = scope.chassis.get(found.chassis or '')
    if shown is None or shown.text('ChassisType') not in _CARDS:
        return
    hosts = {scope.system.uri, *(b.uri for b in scope.baseboards)}
    if shown.uri in scope.system.links('Links', 'Chassis') or (
            found.uri not in hosts
            and hosts & set(shown.links('Links', 'ComputerSystems'))):
        return
    others = [f for f in everything if f.chassis == shown.uri
              and f is not found and f.parent != found.uri
              and f.uri != found.parent]
    if not others:
        status(found, shown)
