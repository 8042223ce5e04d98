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

"""Build the hosts and devices from Systems, Chassis and Managers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironic_accel_emulator.documents import ROOT, Document, target
from ironic_accel_emulator.parts import Device
from ironic_accel_emulator.power import Host

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

_KINDS = {'GPU': 'gpu', 'FPGA': 'fpga', 'Accelerator': 'ai', 'DSP': 'ai'}


def grow_hosts(box: Box) -> None:
    """Find the Systems with a power state, and their satellites."""
    systems = box.documents.collection(f'{ROOT}/Systems')
    satellites = []
    for uri in systems:
        document = box.documents.see(uri) or {}
        actions = document.get('Actions') or {}
        if '#ComputerSystem.Reset' in actions:
            name = uri.rpartition('/')[2]
            power = document.get('PowerState')
            box.hosts[name] = Host(name, uri, power or 'On')
        else:
            satellites.append(uri)
    if not box.hosts and satellites:
        uri = satellites.pop(0)
        name = uri.rpartition('/')[2]
        box.hosts[name] = Host(name, uri)
    first = next(iter(box.hosts.values()), None)
    if first is not None:
        first.satellites = tuple(satellites)
    for host in box.hosts.values():
        _lay_power(box, host)
    box.managers = box.documents.collection(f'{ROOT}/Managers')


def _lay_power(box: Box, host: Host) -> None:
    marked = 'LastResetTime' in (box.documents.see(host.uri) or {})
    if box.options.boot_mark is not None:
        marked = box.options.boot_mark

    def overlay(document: Document) -> None:
        document['PowerState'] = host.power
        document.pop('LastResetTime', None)
        if marked and host.last_reset is not None:
            document['LastResetTime'] = box.timestamp(host.last_reset)
        if 'BootProgress' in document:
            now = box.timeline.now
            state = 'OSRunning' if host.power == 'On' else 'None'
            if any(d.host == host.id and (d.ready_at or 0.0) > now
                   for d in box.devices.values()):
                # The firmware enumerates devices before the boot.
                state = 'PCIResourceConfigStarted'
            document['BootProgress'] = {'LastState': state}

    def follow(document: Document) -> None:
        document['PowerState'] = host.power

    box.lay(host.uri, overlay)
    for uri in host.satellites:
        box.lay(uri, follow)


def host_of(box: Box, uri: str) -> str:
    """The host that powers a resource.

    By the System in its path, by the Systems of its chassis, by a chassis
    with the name of a host; else the first host.
    """
    for host in box.hosts.values():
        for system in (host.uri, *host.satellites):
            if uri == system or uri.startswith(system + '/'):
                return host.id
    chassis = '/'.join(uri.split('/')[:5])
    links = (box.documents.see(chassis) or {}).get('Links') or {}
    for linked in map(target, links.get('ComputerSystems') or []):
        if linked is not None and linked != uri:
            return host_of(box, linked)
    name = chassis.rpartition('/')[2]
    return name if name in box.hosts else next(iter(box.hosts), '')


def device_name(box: Box, uri: str) -> str:
    """A short unique name: the id, with the host's if there are several."""
    name = uri.rpartition('/')[2]
    if len(box.hosts) > 1:
        name = f'{host_of(box, uri)}.{name}'
    if name in box.devices:
        name = '.'.join(uri.split('/')[4:])
    return name


def grow_devices(box: Box) -> None:
    """Find accelerators and network adapters."""
    timing = box.options.timing
    for uri in _processors(box):
        document = box.documents.see(uri) or {}
        kind = _KINDS.get(document.get('ProcessorType') or '')
        if kind is None:
            continue
        uris = (uri, *_belongings(box, uri, document))
        _add(box, uri, kind, uris, 'hidden', timing.gpu_ready)
    for chassis in box.documents.children(f'{ROOT}/Chassis'):
        for uri in box.documents.collection(f'{chassis}/NetworkAdapters'):
            kind = _adapter_kind(box.documents.see(uri) or {})
            _add(box, uri, kind, (uri,), 'error', timing.adapter_ready)


def _processors(box: Box) -> list[str]:
    found: list[str] = []
    for system in box.documents.collection(f'{ROOT}/Systems'):
        found += box.documents.collection(f'{system}/Processors')
    for chassis in box.documents.children(f'{ROOT}/Chassis'):
        for adapter in box.documents.collection(f'{chassis}/NetworkAdapters'):
            found += box.documents.collection(f'{adapter}/Processors')
    return found


def _add(
    box: Box,
    uri: str,
    kind: str,
    uris: tuple[str, ...],
    while_off: str,
    appear: float,
) -> None:
    name = device_name(box, uri)
    host = host_of(box, uri)
    device = Device(name, kind, host, uris, while_off, appear)
    box.devices[name] = device
    switch = (box.documents.see(uri) or {}).get('Enabled')
    device.enabled = switch if isinstance(switch, bool) else None
    _switched_in_settings(box, device, uri)

    def overlay(document: Document) -> None:
        status = document.get('Status')
        if device.health != 'OK' and isinstance(status, dict):
            status['Health'] = device.health
        if device.enabled is not None:
            document['Enabled'] = device.enabled
            if isinstance(status, dict) and not device.enabled:
                status['State'] = 'Disabled'

    box.lay(uri, overlay)


def _switched_in_settings(box: Box, device: Device, uri: str) -> None:
    """Write ``Enabled`` in the settings object, if it is there."""
    own = box.documents.see(uri) or {}
    settings = (own.get('@Redfish.Settings') or {}).get('SettingsObject')
    there = target(settings)
    if 'Enabled' not in (box.documents.see(there or '') or {}):
        return
    device.switched_at = there

    def overlay(document: Document) -> None:
        soon = device.enabled_soon
        document['Enabled'] = device.enabled if soon is None else soon

    box.lay(str(there), overlay)


def _adapter_kind(document: Document) -> str:
    model = f'{document.get("Model")} {document.get("Id")}'
    return 'dpu' if 'bluefield' in model.lower() else 'nic'


def _belongings(box: Box, uri: str, document: Document) -> list[str]:
    """Resources that exist only while a processor does."""
    links = document.get('Links') or {}
    found = [target(links.get('PCIeDevice'))]
    found += map(target, links.get('Memory') or [])
    chassis = target(links.get('Chassis'))
    owned = (box.documents.see(chassis or '') or {}).get('Links') or {}
    if [target(item) for item in owned.get('Processors') or []] == [uri]:
        found.append(chassis)
    return [path for path in found if path is not None]
