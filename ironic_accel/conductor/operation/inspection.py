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

"""The result of an inspection, published as record, traits and firmware rows.

The collector in the ramdisk sends its inventory (``plugin_data``). The BMC is
read too if the node has one, so that one inspection has the data of both
transports. Stored inspection data are used as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

from oslo_log import log

from ironic_accel.conductor.access.agent_backend import AgentView
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node.inventory_store import Stored
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.operation import observe
from ironic_accel.conductor.publication import publish
from ironic_accel.model.device import Inventory
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import AccelError
from ironic_accel.model.identity import Source
from ironic_accel.model import unite

LOG = log.getLogger(__name__)

STEP = 'accelerator-traits'


@dataclasses.dataclass(frozen=True, slots=True)
class Inspected:
    """What is to be published.

    :ivar seen: a complete inventory without any update in progress.
    :ivar transports: the transports for it.
    :ivar at: epoch seconds of the inventory.
    :ivar looks: the time of each transport's inventory, if they differ.
    """

    seen: Inventory
    transports: publish.Transports
    at: float
    looks: Mapping[str, float] | None = None


def sent(plugin_data: Mapping[str, Any]) -> Inventory | None:
    """The inventory that an inspection has, from the ramdisk or stored.

    :raises: Unreachable where it is garbled.
    """
    view = _view(plugin_data)
    return None if view is None else _identified(view)


def _identified(view: AgentView) -> Inventory:
    return unite.inventory((Source(view.inventory),))


def _view(plugin_data: Mapping[str, Any]) -> AgentView | None:
    """What the collector sent, or None.

    :raises: Unreachable where it is garbled.
    """
    raw = plugin_data.get(keys.INVENTORY.name)
    if not isinstance(raw, Mapping) or 'inventory' not in raw:
        return None
    return AgentView.read({'inventory': raw['inventory'],
                           'transports': earlier_documents.transports(raw)
                           or []})


def take(task: Any, plugin_data: dict[str, Any]) -> Inventory | None:
    """Publish the result of an inspection; the caller saves the node.

    The stored inventory is put into ``plugin_data`` too, because Ironic writes
    that over the data in the database afterwards.

    :returns: the inventory of the node, or None if there is none.
    """
    raw = plugin_data.get(keys.INVENTORY.name)
    before = inventory_store.load(task)
    if isinstance(raw, Mapping) and _is_stored(raw, before):
        found, note = _stored(task.node, inventory_store.read(raw), before)
    else:
        found, note = _looked(task, plugin_data)
    if found is not None and flash_guard.applicable(task) is not None:
        found, note = None, 'not published: an update is in progress'
    if found is not None:
        published = publish.publish(
            task, found.seen, found.transports, found.at, looks=found.looks)
        plugin_data[keys.INVENTORY.name] = inventory_store.written(
            published.stored)
        _note(task.node, note, published.facts)
        return published.stored.inventory
    _note(task.node, note, {})
    if before is None:
        return sent(plugin_data)
    plugin_data[keys.INVENTORY.name] = inventory_store.written(before)
    return before.inventory


def failed(node: Any, why: str) -> None:
    """Store in the result that nothing was published; Ironic saves the node.
    """
    _note(node, f'not inspected: {why}', {})


def _is_stored(raw: Mapping[str, Any], before: Stored | None) -> bool:
    """Whether inspection data are an inventory that we stored.

    Data of that form that are not in the database come from a ramdisk and are
    not trusted.
    """
    if 'at' not in raw or before is None:
        return False
    at = raw['at']
    return (type(at) in (int, float) and at < before.at) or json.dumps(
        inventory_store.written(before), sort_keys=True) == json.dumps(
            raw, sort_keys=True)


def _stored(node: Any, given: Stored, before: Stored | None
            ) -> tuple[Inspected | None, str]:
    """Data that were stored, unless they are of another time."""
    if before is not None and before.at > given.at:
        return None, 'not published: newer data are stored'
    gone = keys.INSIDE_VOID.of(node)
    if verification.had_tenant(node) or (gone and gone >= given.at):
        return None, ('not published: a tenant had the node after these data '
                      'were stored')
    return Inspected(given.inventory, lambda _seen, _pushes: given.transports,
                 given.at, given.looks), 'read from the stored inspection data'


def _looked(task: Any, plugin_data: Mapping[str, Any]
            ) -> tuple[Inspected | None, str]:
    """What was seen from inside, and by the BMC."""
    failed = plugin_data.get(keys.RAMDISK_ERROR.name)
    if failed:
        return None, f'the ramdisk could not read the accelerators: {failed}'
    at = clock.shared()
    inside = _view(plugin_data)
    if inside is not None and (
            inside.inventory.busy or not inside.inventory.complete):
        return None, 'the inventory of the ramdisk is incomplete'
    outside, note = _outside(task)
    if inside is None:
        if outside is None:
            return None, note
        return Inspected(outside.seen, outside.transports, at), note
    agent = inside.transports
    if outside is None:
        return Inspected(
            _identified(inside), lambda seen, _pushes: agent(seen), at), (
                f'reported by the ramdisk; {note}')
    bmc = outside.transports
    return Inspected(
        unite.inventory((Source(outside.seen, stable=True),
                         Source(inside.inventory))),
        lambda seen, pushes: (*bmc(seen, pushes), *agent(seen)), at), (
            'reported by the ramdisk and the BMC')


def _outside(task: Any) -> tuple[Inspected | None, str]:
    """What the BMC shows, for a bounded time; or why nothing."""
    seconds = CONF.accelerator.verify_timeout
    try:
        looked = observe.read_in_time(task, operation.refresh(
            'inspect', STEP, power_on=False), seconds)
    except workers.NoFreeWorker as exc:
        return None, f'the BMC was not read: {exc}'
    except AccelError as exc:
        return None, f'the BMC could not be read: {exc}'
    if looked is None:
        return None, f'the BMC did not respond within {seconds} s'
    ctx, seen = looked
    if seen.host == 'off':
        return None, 'the BMC reports the host as off'
    if seen.busy or not seen.complete:
        return None, 'the inventory of the BMC is not complete yet'
    return Inspected(
        seen, ctx.backend.all_transports, ctx.wall), 'reported by the BMC'


def _note(node: Any, note: str, facts: Mapping[str, Any]) -> None:
    LOG.info('Inspection of node %(node)s, accelerators: %(note)s',
             {'node': node.uuid, 'note': note})
    keys.RESULT.put(node, {
        'operation': 'inspect', 'step': STEP, 'outcome': 'done',
        'note': note, 'error': None, **facts})
