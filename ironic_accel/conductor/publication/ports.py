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

"""Ironic ports of DPUs and SmartNICs, according to their verified mode.

Trait-based port scheduling compares ``port.category`` and ``port.vendor``
(ironic/common/trait_based_networking/base.py, Variables); Neutron's smart NIC
ports are those with ``is_smartnic``. All three are set if they are unset, and
removed when the mode changes if they still have our value.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from ironic.api.controllers.v1 import utils as api_utils
from ironic.common import exception
from ironic import objects
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.publication import traits as traits_module
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model import matching
from ironic_accel.model import traits

LOG = log.getLogger(__name__)

#: The mode that makes a device one or the other.
MODE = 'mode'
KINDS = frozenset({'dpu', 'nic'})
#: Characters (ironic/db/sqlalchemy/models.py, Port).
LONGEST = {'category': 80, 'vendor': 32}


def follow(task: Any, seen: Inventory, catalog: Catalog,
           doubtful: Collection[str] = ()) -> None:
    """Set the ports of a node to its verified modes; the caller saves the
    node.

    Ports of a node with an instance are not changed until it is deleted.

    :param doubtful: ids of devices that may belong to another node.
    """
    if task.node.provision_state in traits_module.HAS_INSTANCE:
        return
    wanted: dict[str, dict[str, Any]] = {}
    for device in seen.devices:
        fields = proved(device, catalog)
        if fields and device.id not in doubtful:
            wanted |= {mac.lower(): fields for mac in device.macs}
    _apply(task, wanted)


def clear(task: Any) -> None:
    """Take back what was set on the ports; the caller saves the node."""
    _apply(task, {})


def proved(device: Device, catalog: Catalog) -> dict[str, Any]:
    """The port fields of a device, or none.

    Its mode must be read back, without a pending one, and must survive a
    reset.
    """
    mode = device.mode(MODE)
    if device.kind not in KINDS or not traits.counts(device, catalog) \
            or not traits.healthy(device) or mode is None \
            or not isinstance(mode.current, str) or not mode.persistent \
            or device.is_unread(f'mode:{MODE}'):
        return {}
    if not (mode.pending is None or matching.same_value(
            mode.pending, mode.current, mode.unordered)):
        return {}
    category = CONF.accelerator.port_categories.get(mode.current)
    if not category:
        return {}
    found = {'category': category, 'vendor': device.vendor}
    fields: dict[str, Any] = {
        k: v[:LONGEST[k]] for k, v in found.items() if v}
    if CONF.accelerator.port_is_smartnic:
        fields['is_smartnic'] = True
    return fields


def _apply(task: Any, wanted: Mapping[str, Mapping[str, Any]]) -> None:
    node = task.node
    before = dict(keys.PORTS.of(node) or {})
    after: dict[str, dict[str, Any]] = {}
    if not before and not wanted:
        return
    # A task that fails to read its ports releases its node.
    ports = db_retry.call(
        lambda: objects.Port.list_by_node_id(task.context, node.id))
    planned = _planned(ports, before, wanted)
    if planned != before:
        # Stored before it is set: a field that is not stored as ours would be
        # left behind after a kill.
        keys.PORTS.put(node, planned)
        saving.save(node)
    for port in ports:
        ours = planned.get(port.uuid) or {}
        kept = _port(node, port, ours, wanted.get(port.address.lower()) or {})
        if kept:
            after[port.uuid] = kept
    if after:
        keys.PORTS.put(node, after)
    else:
        keys.PORTS.drop(node)


def _planned(ports: Iterable[Any], before: Mapping[str, Mapping[str, Any]],
             wanted: Mapping[str, Mapping[str, Any]]
             ) -> dict[str, dict[str, Any]]:
    """The fields that we set or are about to set: those that are unset."""
    out = {uuid: dict(fields) for uuid, fields in before.items()}
    for port in ports:
        fields = wanted.get(port.address.lower()) or {}
        new = {f: v for f, v in fields.items() if not getattr(port, f)}
        if new:
            out[port.uuid] = {**out.get(port.uuid, {}), **new}
    return out


def _port(node: Any, port: Any, ours: Mapping[str, Any],
          wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Set or remove our fields of one port.

    :param ours: what we set on it before.
    :returns: the fields that we have set now.
    """
    kept = {}
    for field in ('category', 'vendor', 'is_smartnic'):
        now, mine = getattr(port, field), ours.get(field)
        if now and now != mine:
            # Set by someone else.
            continue
        value = wanted.get(field)
        if field == 'is_smartnic' and value and not _may_be_smart(port):
            value = None
        if value:
            kept[field] = value
        if (now or None) != (value or None):
            setattr(port, field, value or (
                False if field == 'is_smartnic' else None))
    if port.obj_what_changed():
        saving.save_row(node, port)
        LOG.info('Port %(port)s: %(fields)s', {
            'port': port.uuid, 'fields': kept or 'removed'})
    return kept


def _may_be_smart(port: Any) -> bool:
    """Whether Neutron would take the port for a smart NIC's.

    One without port_id and hostname would not be attached at all
    (ironic/common/neutron.py, validate_port_info).
    """
    try:
        api_utils.LOCAL_LINK_SMART_NIC_VALIDATOR(
            'local_link_connection', port.local_link_connection or {})
    except exception.Invalid:
        return False
    return True
