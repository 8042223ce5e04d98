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

"""What was seen, kept where Ironic keeps such things.

The whole inventory goes to the node's inspection data (LONGTEXT), beside
what an inspection put there; a summary to ``driver_internal_info``; firmware
to the node's firmware components.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic.common import exception
from ironic.drivers.modules import inspect_utils
from ironic import objects
from oslo_log import log

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import StoredSummary
from ironic_accel.conductor.node import verification
from ironic_accel.model import carry_over
from ironic_accel.model.device import Inventory
from ironic_accel.model import device_marks
from ironic_accel.model.identity import Source
from ironic_accel.model import plan as plan_mod
from ironic_accel.model.plan import Transport
from ironic_accel.model import serialization
from ironic_accel.model import traits
from ironic_accel.model import transport_document
from ironic_accel.model import unite

LOG = log.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A stored inventory and its time (epoch seconds).

    :ivar looks: the time of the last own inventory of each transport in
        ``seen_via``: data that only one transport has are carried over from
        there.
    """

    inventory: Inventory
    at: float
    transports: tuple[Transport, ...] = ()
    plan: Mapping[str, Any] | None = None
    looks: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class InspectionData:
    """The inspection data of a node, as read once.

    :ivar inventory: what an inspection stored.
    :ivar plugin: what inspection hooks stored, ours among it.
    :ivar stored: ours, or None if there is none or it is malformed.
    """

    inventory: Mapping[str, Any]
    plugin: Mapping[str, Any]
    stored: Stored | None


def inspection_data(task: Any) -> InspectionData:
    """Read the inspection data of a node."""
    data = _data(task)
    plugin = data.get('plugin_data') or {}
    raw, stored = plugin.get(keys.INVENTORY.name), None
    if raw is not None:
        try:
            stored = read(raw)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            LOG.warning('Ignoring the stored accelerator inventory of node '
                        '%(node)s: %(why)s', {
                            'node': task.node.uuid, 'why': repr(exc)})
    return InspectionData(data.get('inventory') or {}, plugin, stored)


def load(task: Any) -> Stored | None:
    """What was stored last, or None."""
    return inspection_data(task).stored


def read(raw: Mapping[str, Any]) -> Stored:
    """What was stored, out of our part of the plugin data.

    :raises: KeyError, TypeError, ValueError or AttributeError for anything
        else that an inspection put under that name.
    """
    if 'at' not in raw or 'inventory' not in raw:
        raise ValueError("expected 'inventory' and 'at'")
    return Stored(
        serialization.inventory_from_dict(raw['inventory']), raw['at'],
        transport_document.read(raw),
        plan_mod.current(raw['plan']) if raw.get('plan') else None,
        dict(raw.get('looks') or {}))


def written(stored: Stored) -> dict[str, Any]:
    """Our part of the plugin data; ``read`` reads it back."""
    return {
        'inventory': serialization.inventory_to_dict(stored.inventory),
        'at': stored.at,
        'transports': [transport_document.to_dict(t)
                       for t in stored.transports],
        'plan': dict(stored.plan) if stored.plan else None,
        'looks': dict(stored.looks)}


def save(task: Any, inventory: Inventory, transports: Iterable[Transport] = (),
         plan: Mapping[str, Any] | None = None,
         now: float | None = None,
         looks: Mapping[str, float] | None = None,
         data: InspectionData | None = None) -> Stored:
    """Store an inventory; the caller saves the node (the summary).

    :param transports: the transports for it, used by a plan.
    :param plan: the document of the plan for it.
    :param looks: the time of each transport's inventory, if not all are new.
    :param data: the inspection data to store it in, if they were read under
        the same lock.
    :returns: what is stored now.
    """
    at = clock.shared() if now is None else now
    when = {w: at for w in inventory.seen_via} | {
        w: t for w, t in (looks or {}).items() if w in inventory.seen_via}
    data = inspection_data(task) if data is None else data
    stored = Stored(inventory, at, tuple(transports), plan, when)
    _store(task, data.inventory, {
        **data.plugin, keys.INVENTORY.name: written(stored)})
    keys.SUMMARY.put(task.node, summary(inventory, at))
    return stored


def summary(inventory: Inventory, at: float) -> StoredSummary:
    """What fits ``driver_internal_info``: counts and the worst health."""
    kinds: dict[str, int] = {}
    for device in inventory.devices:
        kinds[device.kind] = kinds.get(device.kind, 0) + 1
    return {'at': at, 'host': inventory.host, 'complete': inventory.complete,
            'devices': dict(sorted(kinds.items())),
            'warnings': len(inventory.warnings),
            'health': traits.worst_health(inventory, catalogue.catalogue())}


def known_ids(stored: Stored | None, inventory: Inventory) -> Inventory:
    """The inventory with the ids that devices had in the stored one.

    Devices are matched only if one of the stored ones has another id, or is
    missing: on a system on which nothing changed all have theirs already.
    """
    if stored is None:
        return inventory
    known = device_marks.identities(stored.inventory)
    if known.items() <= device_marks.identities(inventory).items():
        return inventory
    return unite.inventory((Source(inventory, stable=True),), known)


def whole(node: Any, stored: Stored | None, inventory: Inventory,
          transports: Iterable[Transport] = ()
         ) -> tuple[Inventory, tuple[Transport, ...]]:
    """A complete inventory, with data that only another transport has.

    Their state is kept only if no tenant can have changed it.

    :param stored: the last stored inventory of the node, or None.
    :param inventory: with the ids of that one (``known_ids``).
    :returns: the inventory and the transports, including those that this
        inventory did not use.
    """
    transports = tuple(transports)
    state = not verification.had_tenant(node) and not (
        keys.INSIDE_VOID.of(node))
    if stored is None:
        return inventory, transports
    seen = carry_over.carried(inventory, stored.inventory, state)
    return seen, carry_over.transports(transports, stored.transports, seen)


def inventory_times(stored: Stored | None, own: Inventory,
          now: float) -> dict[str, float]:
    """The time of the last inventory of each transport (epoch seconds),
    including a new one.

    :param stored: the last stored inventory of the node, or None.
    """
    known = {} if stored is None else {
        w: stored.looks.get(w, stored.at) for w in stored.inventory.seen_via}
    return known | dict.fromkeys(own.seen_via, now)


def tenant_gone(node: Any) -> None:
    """Do not vouch any more for what was seen inside; the caller saves.

    Whatever was seen until now, it was before this: also where the clock of
    the database was set back since.
    """
    known = keys.SUMMARY.of(node)
    last = 0.0 if known is None else known['at']
    keys.INSIDE_VOID.put(node, max(clock.shared(), last))


def seen_inside(node: Any, own: Inventory) -> None:
    """Trust data of the ramdisk again if the stored inventory is from there.

    Not before it is stored: the data until then may be of the time of the
    tenant. The caller saves the node.
    """
    if carry_over.INSIDE & set(own.seen_via):
        keys.INSIDE_VOID.drop(node)


def sync_firmware(task: Any, inventory: Inventory) -> None:
    """Update the firmware components of the node to an inventory.

    A component without a reported version leaves its row unchanged. Rows of
    ours whose hardware was removed are deleted; Ironic itself never deletes
    them.
    """
    rows = {r.component: r for r in _firmware_rows(task)}
    seen: set[str] = set()
    for device in inventory.devices:
        for part in device.components:
            name = f'{keys.FIRMWARE_ROW.name}{device.id}/{part.name}'[:255]
            seen.add(name)
            if part.running is None:
                continue
            values = ironic_series.firmware_row({
                'current_version': part.running[:255],
                'vendor': device.vendor, 'model': device.model,
                'serial_number': device.serial})
            _put_row(task, rows.get(name), name, values)
    for name in set(rows) - seen:
        if name.startswith(keys.FIRMWARE_ROW.name):
            _drop_row(task, rows[name])


def forget(task: Any) -> int:
    """Remove the stored inventory and our firmware components.

    What an inspection stored beside it stays; the caller saves the node.

    :returns: how many firmware components were removed.
    """
    data = inspection_data(task)
    plugin = dict(data.plugin)
    if isinstance(plugin.get(keys.INVENTORY.name), dict):
        # A list is upstream's.
        del plugin[keys.INVENTORY.name]
        _store(task, data.inventory, plugin)
    ours = [r for r in _firmware_rows(task)
            if r.component.startswith(keys.FIRMWARE_ROW.name)]
    for row in ours:
        _drop_row(task, row)
    return len(ours)


def _firmware_rows(task: Any) -> list[Any]:
    return db_retry.call(lambda: list(
        objects.FirmwareComponentList.get_by_node_id(
            task.context, task.node.id)))


def _put_row(task: Any, row: Any, name: str,
             values: Mapping[str, Any]) -> None:
    if row is None:
        saving.write(task.node, lambda: objects.FirmwareComponent(
            task.context, node_id=task.node.id, component=name,
            **values).create())
        return
    changed = {k: v for k, v in values.items() if getattr(row, k) != v}
    if changed:
        for key, value in changed.items():
            setattr(row, key, value)
        saving.save_row(task.node, row)


def _drop_row(task: Any, row: Any) -> None:
    """Remove a row. Ironic has no call for it: its objects only add."""
    from ironic.db.sqlalchemy import api as db_api
    from ironic.db.sqlalchemy import models

    def drop() -> None:
        with db_api._session_for_write() as session:
            session.query(models.FirmwareComponent).filter_by(
                id=row.id).delete()

    saving.write(task.node, drop)


def _store(task: Any, inventory: Any, plugin: Mapping[str, Any]) -> None:
    """Store inspection data where the operator has them stored."""
    def put() -> None:
        inspect_utils.store_inspection_data(
            task.node, inventory, plugin, task.context)

    if CONF.inventory.data_backend == 'database':
        saving.write(task.node, put)
    else:
        # An object store has no transactions, and may take its time.
        saving.check(task.node)
        put()


def _data(task: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = db_retry.call(
            lambda: ironic_series.inspection_data(
                task.node, task.context))
    except exception.NodeInventoryNotFound:
        return {}
    return found
