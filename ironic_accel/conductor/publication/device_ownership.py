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

"""The node that owns a device, if two nodes report it.

A device that was moved to another System is reported there before the node
that it left is read again. Until then that node still publishes it, and a
scheduler would count the device twice. So every node stores claims, one digest
for each device with a trusted serial number, and a device that is new to a
node and claimed by another one is not published.

A move is proved by an inventory of the other node: if that node still reports
the device after it was found here, it keeps its claim. Then there are two
devices with one serial number, or one that serves two hosts, and both nodes
publish it.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections import Counter
import dataclasses
import hashlib
from typing import Any

from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node.node_cache import ScanCache
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import StoredWait
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model import device_marks

LOG = log.getLogger(__name__)

#: What is read of a node that has a part in it.
_COLUMNS = ('uuid', 'provision_state', 'reservation',
            'parent_node', 'driver_info')
_SHORTEST = 6
_PLACEHOLDERS = frozenset({'0123456789', '1234567890', '123456789'})


#: What each node claims.
_claims: ScanCache[frozenset[str]] = ScanCache(lambda ids: {
    row.id: frozenset(_claimed(row))
    for row in queries.by_id(ids, ('driver_internal_info',))})


@dataclasses.dataclass(frozen=True, slots=True)
class OwnershipWait:
    """A device that is withheld because another node claims it.

    :ivar key: the digest that it is claimed by.
    :ivar node: the uuid of the node that claims it.
    :ivar since: epoch seconds; a claim made after it is a second device's.
    """

    key: str
    node: str
    device: str
    since: float


@dataclasses.dataclass(frozen=True, slots=True)
class Doubt:
    """What a node may not publish yet.

    :ivar waits: the devices that other nodes claim.
    :ivar obstacles: why those nodes cannot be refreshed now, by uuid.
    """

    waits: tuple[OwnershipWait, ...] = ()
    obstacles: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def devices(self) -> frozenset[str]:
        """The ids of the devices."""
        return frozenset(w.device for w in self.waits)

    @property
    def words(self) -> str:
        """What is not published and what it waits for."""
        return '; '.join(
            f'{w.device} is still claimed by node {w.node}'
            + (f', which cannot be refreshed: {self.obstacles[w.node]}'
               if w.node in self.obstacles else ', which is looked at first')
            for w in self.waits)


def digest(device: Device) -> str | None:
    """What a device is claimed by, or None without a serial to be trusted.

    Serials that are short, of one character, or a manufacturer's placeholder
    are on many devices.
    """
    serial = device_marks.clean_serial(device.serial)
    if device.kind == 'baseboard' or serial is None:
        return None
    if len(serial) < _SHORTEST or len(set(serial)) == 1 \
            or serial in _PLACEHOLDERS:
        return None
    return hashlib.sha256(
        f'{device.kind} {serial}'.encode()).hexdigest()[:16]


def trusted(seen: Inventory) -> dict[str, str]:
    """Digest to device id, of the devices that can be claimed.

    A serial that two devices of one node have is their board's.
    """
    found = [(k, d.id) for d in seen.devices if (k := digest(d))]
    many = Counter(k for k, _ in found)
    return {k: device for k, device in found if many[k] == 1}


def waits_of(node: Any) -> tuple[OwnershipWait, ...]:
    """What a node waits for.

    :param node: a node, or anything with ``driver_internal_info``.
    """
    return tuple(OwnershipWait(k, w['node'], w['device'], w['since'])
                 for k, w in (keys.WAITS.of(node) or {}).items())


def doubt_of(node: Any) -> Doubt:
    """What a node may not publish yet, according to its last inventory."""
    waits = waits_of(node)
    there = queries.nodes(w.node for w in waits)
    return Doubt(waits, {uuid: why for uuid, row in there.items()
                         if (why := obstacle(row))})


def drop(node: Any) -> None:
    """Give up what a node claims; the caller saves it."""
    keys.CLAIMS.drop(node)


def settle(task: Any, seen: Inventory, observed: float) -> Doubt:
    """Claim the devices of a complete inventory; the caller saves the node.

    :param observed: epoch seconds at which the inventory began.
    :returns: those that another node has to give up first.
    """
    node = task.node
    mine = trusted(seen)
    claimed = _claimed(node)
    holders = _holders(task, seen, [k for k in mine if k not in claimed])
    known = {w.key: w for w in waits_of(node)}
    waits = []
    for key, row in holders.items():
        wait = known.get(key)
        if wait is None or wait.node != row.uuid:
            wait = OwnershipWait(key, row.uuid, mine[key], clock.shared())
        if over(wait, row):
            tell(node, f'{mine[key]}: node {row.uuid} reports a device with '
                       'the same serial number')
        else:
            waits.append(dataclasses.replace(wait, device=mine[key]))
    doubt = Doubt(tuple(waits), {
        row.uuid: why for row in holders.values() if (why := obstacle(row))})
    if {w.key for w in waits} - set(known):
        tell(node, f'traits are not published: {doubt.words}')
    keys.CLAIMS.put(node, {
        'at': observed, 'system': seen.system,
        'of': sorted(set(mine) - {w.key for w in waits})})
    _remember(node, waits)
    return doubt


def over(wait: OwnershipWait, row: Any) -> bool:
    """Whether a wait has ended.

    :param row: the node that it waits for, or None if it was deleted.
    """
    there = None if row is None else keys.CLAIMS.of(row)
    return (there is None or wait.key not in there['of']
            or there['at'] > wait.since)


def obstacle(row: Any) -> str | None:
    """Why a node cannot be refreshed now, or None."""
    if row.provision_state not in keys.REFRESH_STATES:
        return f'it is {row.provision_state}'
    return None


def waiting() -> list[Any]:
    """The nodes that wait for others: one query, mostly without a row."""
    return [r for r in queries.with_key(keys.WAITS.name, _COLUMNS)
            if waits_of(r)]


def _claimed(node: Any) -> set[str]:
    there = keys.CLAIMS.of(node)
    return set() if there is None else set(there['of'])


def _holders(task: Any, seen: Inventory,
             keys: Collection[str]) -> dict[str, Any]:
    """The other nodes that claim these devices, one for each device.

    A serial number that more than one other node has means nothing.
    """
    scope = CONF.accelerator.ownership_scope
    if not keys or scope == 'none':
        return {}
    others = [r for r in _claiming(keys)
              if not _same_host(task.node, seen, r)
              and (scope == 'all' or _same_bmc(task.node, r))]
    found = {}
    for key in keys:
        having = [r for r in others if key in _claimed(r)]
        if len(having) > 1:
            LOG.warning('Serial number %(serial)s of node %(node)s is also '
                        'reported by %(many)d other nodes: it is ignored '
                        'for ownership', {
                            'serial': key, 'node': task.node.uuid,
                            'many': len(having)})
        elif having:
            found[key] = having[0]
    return found


def _claiming(keys: Collection[str]) -> list[Any]:
    """The nodes that claim any of some devices, oldest first.

    The claims of every node are kept in memory: without that, each of N new
    nodes would search all N. A claim that is made during this query is missed,
    as it always was: the later one finds both.
    """
    claims = _claims.values(queries.scanned(fresh=True))
    wanted = set(keys)
    return queries.by_id(
        [i for i, claimed in claims.items() if claimed & wanted],
        (*_COLUMNS, 'driver_internal_info'))


def _same_host(node: Any, seen: Inventory, row: Any) -> bool:
    """Whether two nodes are one host, or a DPU and the host it is in."""
    if row.uuid == node.uuid or row.uuid == node.parent_node \
            or row.parent_node == node.uuid:
        return True
    there = keys.CLAIMS.of(row)
    return bool(there is not None and there.get('system') == seen.system
                and _same_bmc(node, row))


def _same_bmc(node: Any, row: Any) -> bool:
    mine = queries.bmc_address(node)
    return mine is not None and mine == queries.bmc_address(row)


def _remember(node: Any, waits: Iterable[OwnershipWait]) -> None:
    found: dict[str, StoredWait] = {
        w.key: {'node': w.node, 'device': w.device, 'since': w.since}
             for w in waits}
    if found:
        keys.WAITS.put(node, found)
    else:
        keys.WAITS.drop(node)


def tell(node: Any, text: str) -> None:
    """Log a message about the devices of a node and add it to its history."""
    LOG.warning('Node %(node)s: %(text)s', {'node': node.uuid, 'text': text})
    saving.history(node, text)
