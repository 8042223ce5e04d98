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

"""Processors, network adapters, DPUs and baseboards of a node."""

from __future__ import annotations

from collections.abc import Iterator

from ironic_accel.redfish import pcie
from ironic_accel.redfish import versions
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import last
from ironic_accel.redfish.found import absent
from ironic_accel.redfish.found import common
from ironic_accel.redfish.found import Found
from ironic_accel.redfish.found import location
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.scope import is_dpu
from ironic_accel.redfish.scope import Scope

#: Processor.ProcessorType (v1.22) to a first guess at the kind; None is no
#: device of ours.
_PROCESSORS = {
    'GPU': 'gpu', 'FPGA': 'fpga', 'Accelerator': 'ai', 'CPU': None,
    'DSP': None, 'Core': None, 'Thread': None, 'Partition': None,
    'OEM': None}


def find(reader: Reader, scope: Scope) -> list[Found]:
    """All devices of a node that resources of their own show."""
    found = [*_boards(scope)]
    for system in scope.systems:
        found += _processors(reader, scope, system)
    found += _dpus(scope)
    adapters = list(_adapters(reader, scope))
    found += adapters
    for adapter in adapters:
        found += _offload(reader, adapter)
    return found


def _boards(scope: Scope) -> Iterator[Found]:
    for system in scope.baseboards:
        board = Found(system.uri, 'baseboard', system)
        common(board, system)
        board.board = board.model
        board.location = board.location or last(system.uri)
        board.own = {system.uri, *system.links('Links', 'Chassis')}
        board.own |= {
            c.uri for c in scope.chassis.values()
            if system.uri in c.links('Links', 'ComputerSystems')}
        yield board


def _processors(reader: Reader, scope: Scope, system: Fields
                ) -> Iterator[Found]:
    board = next((b for b in scope.baseboards if b.uri == system.uri), None)
    for shown in reader.members(system.link('Processors'),
                                scope.levels('Processors')):
        kind = shown.word('ProcessorType', known=_PROCESSORS, needed=True)
        hint = _PROCESSORS[kind] if kind else None
        if hint is None or absent(shown):
            continue
        if board is not None and hint == 'fpga':
            # The board's own FPGA is a component of the board.
            continue
        found = _processor(reader, shown, hint)
        if found.location is None and _names_slots(scope):
            found.location = last(shown.uri)
        if board is not None:
            found.parent = board.uri
            found.board = board.text('Model')
        yield found


def _names_slots(scope: Scope) -> bool:
    return any(q.ids_are_locations for q in scope.quirks)


def _processor(reader: Reader, shown: Fields, hint: str) -> Found:
    found = Found(shown.uri, hint, shown)
    common(found, shown)
    found.chassis = shown.link('Links', 'Chassis')
    found.version = (shown.text('FirmwareVersion')
                     or shown.text('FPGA', 'FirmwareVersion'))
    found.more_versions = versions.additional(
        shown.part('AdditionalFirmwareVersions'))
    found.link = pcie.link(shown.part('SystemInterface', 'PCIe'))
    found.own.add(shown.uri)
    device = shown.link('Links', 'PCIeDevice')
    pcie.learn(reader, found, [device] if device else [],
               shown.links('Links', 'PCIeFunctions'))
    return found


def _dpus(scope: Scope) -> Iterator[Found]:
    """Systems that are themselves a DPU, the node's own included."""
    for system in _dpu_systems(scope):
        found = Found(system.uri, 'dpu', system)
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
    if is_dpu(scope.system) or last(scope.system.uri) == 'Bluefield':
        systems.append(scope.system)
    return systems


def _adapters(reader: Reader, scope: Scope) -> Iterator[Found]:
    seen: set[str] = set()
    for chassis in scope.chassis.values():
        shown = [a for a in reader.members(chassis.link('NetworkAdapters'))
                 if a.uri not in seen and not absent(a)]
        for adapter in shown:
            seen.add(adapter.uri)
            yield _adapter(reader, scope, chassis, adapter, len(shown) == 1)


def _adapter(reader: Reader, scope: Scope, chassis: Fields, shown: Fields,
             single: bool) -> Found:
    found = Found(shown.uri, 'nic', shown)
    common(found, shown)
    found.chassis = chassis.uri
    found.own.add(shown.uri)
    place = location(chassis)
    if found.location is None and place:
        found.location = place if single else f'{place}/{last(shown.uri)}'
    elif found.location is None and _names_slots(scope):
        found.location = last(shown.uri)
    devices: list[str] = []
    for controller in shown.parts('Controllers'):
        found.version = (found.version
                         or controller.text('FirmwarePackageVersion'))
        found.link = found.link or pcie.link(
            controller.part('PCIeInterface'))
        devices += controller.links('Links', 'PCIeDevices')
        found.own |= set(devices)
    owners = [d.uri for d in _dpu_systems(scope)
              if chassis.uri in d.links('Links', 'Chassis')]
    found.parent = owners[0] if owners else None
    pcie.learn(reader, found, devices, [])
    return found


def _offload(reader: Reader, adapter: Found) -> Iterator[Found]:
    """Processors that sit on a network adapter (NetworkAdapter v1.8)."""
    for shown in reader.members(adapter.shown.link('Processors')):
        kind = shown.word('ProcessorType', known=_PROCESSORS, needed=True)
        hint = _PROCESSORS[kind] if kind else None
        if hint is None or absent(shown):
            continue
        found = _processor(reader, shown, hint)
        found.parent = adapter.uri
        found.location = found.location or adapter.location
        yield found
