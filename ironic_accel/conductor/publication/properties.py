# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""``properties['accelerators']``: what upstream's hook writes, and more.

Upstream lists the devices of a short file by their PCI ids
(ironic/drivers/modules/inspector/hooks/accelerators.py); ours lists every
accelerator of the inventory, and in addition those of that file.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import pathlib
from typing import Any
import weakref

from ironic.common import states
from oslo_log import log
import yaml

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model import traits

LOG = log.getLogger(__name__)

PROPERTY = keys.ACCELERATORS.name
#: The hook of upstream that writes the same property.
UPSTREAM = 'accelerators'

_INSPECTING = frozenset({states.INSPECTING, states.INSPECTWAIT})

#: The properties of a node as an inspection holds them, by task: Redfish's
#: writes that very mapping back when the hooks are through
#: (ironic/drivers/modules/redfish/inspect.py), and with it undoes theirs.
_held: weakref.WeakKeyDictionary[Any, dict[str, Any]] = (
    weakref.WeakKeyDictionary())


def hold(task: Any) -> None:
    """Note what the inspection holds, before any hook saves the node."""
    _held[task] = task.node.properties


def listed(seen: Inventory, catalog: Catalog,
           reported: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of the property.

    :param reported: where ``pci_devices`` of the inspection are.
    """
    found = [_entry(d) for d in seen.devices if traits.counts(d, catalog)]
    return [*found, *_others(found, reported.get('pci_devices') or ())]


def _entry(device: Device) -> dict[str, Any]:
    """A device; unknown is null."""
    pci = device.pci
    return {
        'vendor_id': pci.vendor_id if pci else None,
        'device_id': pci.device_id if pci else None,
        'type': device.kind.upper(),
        'device_info': device.model or device.product or device.vendor,
        'pci_address': device.address,
        'product': device.product, 'serial_number': device.serial,
        'location': device.location}


def _others(found: list[dict[str, Any]],
            reported: Any) -> Iterator[dict[str, Any]]:
    """What ``[inspector]known_accelerators`` names and we do not know."""
    ours = list(found)
    for pci in reported:
        known = _known().get((pci.get('vendor_id'), pci.get('product_id')))
        if known is None:
            continue
        same = next((e for e in ours if _same(e, pci)), None)
        if same is not None:
            ours.remove(same)
            continue
        yield {**known, 'pci_address': pci.get('bus')}


def _same(entry: Mapping[str, Any], pci: Mapping[str, Any]) -> bool:
    where, there = entry['pci_address'], pci.get('bus')
    if where and there:
        return str(where).lower() == str(there).lower()
    return (entry['vendor_id'], entry['device_id']) == (
        pci.get('vendor_id'), pci.get('product_id'))


def _known() -> dict[tuple[str, str], dict[str, Any]]:
    """The devices of upstream's file, by their PCI ids."""
    path = CONF.inspector.known_accelerators
    try:
        rows = yaml.safe_load(pathlib.Path(path).read_text(encoding='utf-8'))
        return {(r['vendor_id'], r['device_id']): dict(r)
                for r in rows['pci_devices']}
    except (OSError, ValueError, KeyError, TypeError,
            yaml.YAMLError) as exc:
        LOG.warning('Cannot read [inspector]known_accelerators %(path)s: '
                    '%(why)s', {'path': path, 'why': exc})
        return {}


def put(task: Any, entries: list[dict[str, Any]], ours: bool) -> None:
    """Set the property so that it is still set after the inspection.

    :param ours: whether the node has a driver of ours, whose periodic restores
        what a later hook overwrites.
    """
    node = task.node
    held = _held.get(task)
    if held is not None:
        held[PROPERTY] = entries
    node.set_property(PROPERTY, entries)
    keys.PROPERTIES.drop(node)
    if not (ours and _is_overwritten(task)):
        return
    try:
        operation.check_size({**node.driver_internal_info,
                              keys.PROPERTIES.name: entries})
    except AccelError as exc:
        LOG.warning('Not restoring properties/accelerators of node %(node)s '
                    'after a later inspection hook: '
                    '%(why)s', {'node': node.uuid, 'why': exc})
        return
    keys.PROPERTIES.put(node, entries)


def _is_overwritten(task: Any) -> bool:
    """Whether a hook that runs after ours writes the property, too."""
    names = [h.name for h in getattr(task.driver.inspect, 'hooks', ())]
    return (UPSTREAM in names and 'accelerator-traits' in names and
            names.index(UPSTREAM) > names.index('accelerator-traits'))


def wanted(node: Any) -> bool:
    """Whether the property of a node has to be made good."""
    return (keys.PROPERTIES.is_there(node)
            and node.provision_state not in _INSPECTING)


def restore(node: Any) -> None:
    """Make good what a later hook wrote over, and save the node."""
    entries = keys.PROPERTIES.of(node)
    if entries is not None:
        node.set_property(PROPERTY, entries)
    keys.PROPERTIES.drop(node)
    saving.save(node)
