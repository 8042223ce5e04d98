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

"""The same facts by sushy alone: its resources, one request each.

It is told beforehand what our reader has to find out: which System is the
node's, and that the baseboard beside it is the node's too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sushy
from sushy import auth
from sushy import exceptions

from bench.measure.facts import Facts

try:
    from sushy.resources.system import pcie_device
except ImportError:
    pcie_device = None

#: Why sushy cannot read a box, or an empty text. That of 2025.2 has no PCIe
#: devices, and refuses a System without actions, as an HGX baseboard's is.
MISSING = '' if pcie_device else 'this sushy has no PCIe devices'

_KINDS = ('GPU', 'FPGA', 'Accelerator')


def read(url: str, system: str, verify: str | bool = True) -> Facts:
    """Read a box; count the devices, versions and modes.

    :param verify: file of certificate authorities.
    """
    root = sushy.Sushy(url, auth=auth.BasicAuth('user', 'secret'),
                       verify=verify)
    own = [s for s in root.get_system_collection().get_members()
           if s.path == system or 'HGX' in s.identity
           or s.json.get('SystemType') == 'DPU']
    own_chassis = _chassis(root, own, system)
    processors = [p for s in own for p in _members(s, 'processors')
                  if p.json.get('ProcessorType') in _KINDS]
    adapters = [a for c in own_chassis for a in _members(
        c, 'network_adapters')]
    modes = sum(_modes(root, p) for p in processors)
    for one in processors + adapters:
        _pci(root, one)
    entries = _members(_update(root), 'firmware_inventory')
    _tasks(root)
    return Facts(devices=len(processors) + len(adapters),
                 versions=sum(bool(e.version) for e in entries),
                 modes=modes, note='versions of all that the BMC lists')


def _members(resource: Any, name: str) -> list[Any]:
    """The members of a collection, none where it is missing."""
    try:
        collection = getattr(resource, name) if resource else None
        return list(collection.get_members()) if collection else []
    except (exceptions.MissingAttributeError, exceptions.HTTPError):
        return []


def _chassis(root: Any, own: list[Any], system: str) -> list[Any]:
    """The chassis of the node: those that name a System of the node.

    Where none does (Cray), the chassis with the System's own name.
    """
    paths = {s.path for s in own}
    every = root.get_chassis_collection().get_members()
    linked = [c for c in every if c.json.get('Links')]
    if not linked:
        return [c for c in every
                if c.path.rsplit('/', 1)[-1] == system.rsplit('/', 1)[-1]]
    others = [c for c in linked if {
        s['@odata.id'] for s in c.json['Links'].get('ComputerSystems', ())
    } - paths]
    return [c for c in every if c not in others]


def _update(root: Any) -> Any:
    try:
        return root.get_update_service()
    except exceptions.MissingAttributeError:
        return None


def _tasks(root: Any) -> list[Any]:
    try:
        return _members(root.get_task_service(), 'tasks')
    except exceptions.MissingAttributeError:
        return []


def _modes(root: Any, processor: Any) -> int:
    """Modes with their waiting values, which sushy has no field for."""
    document = processor.json
    vendor = document.get('Oem', {}).get('Nvidia', {})
    names = [n for n in ('MIGModeEnabled', 'CCModeEnabled',
                         'EGMModeEnabled') if n in vendor]
    names += [n for n in ('ECCModeEnabled',)
              if n in document.get('MemorySummary', {})]
    settings = document.get('@Redfish.Settings', {}).get(
        'SettingsObject', {}).get('@odata.id')
    if names and settings:
        root._conn.get(settings)
    return len(names)


def _pci(root: Any, device: Any) -> None:
    """The PCI ids of a device's first function."""
    for path in list(_pcie_devices(device.json))[:1]:
        try:
            found = pcie_device.PCIeDevice(root._conn, path)
        except exceptions.HTTPError:
            continue
        _members(found, 'pcie_functions')


def _pcie_devices(document: dict[str, Any]) -> Iterator[str]:
    link = document.get('Links', {}).get('PCIeDevice')
    if link:
        yield link['@odata.id']
    for controller in document.get('Controllers') or ():
        for one in controller.get('Links', {}).get('PCIeDevices', ()):
            yield one['@odata.id']
