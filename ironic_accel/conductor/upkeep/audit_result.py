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

"""The result of an audit: the traits are updated first, then it is reported.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from typing import Any

from oslo_log import log

from ironic_accel.conductor.config import metrics
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.publication import publish
from ironic_accel.conductor.publication import traits
from ironic_accel.conductor.publication import withdraw
from ironic_accel.model.device import Inventory
from ironic_accel.model import drift

LOG = log.getLogger(__name__)

#: Maximum number of differences that an entry names.
SHOWN = 8


def settle(task: Any, seen: Inventory, transports: publish.Transports,
           at: float) -> bool:
    """Publish the inventory of an audit for a locked node, and report changes.

    :param transports: the transports for it.
    :param at: epoch seconds of the inventory.
    :returns: whether anything changed.
    """
    node = task.node
    before = _held(node)
    published = publish.publish(task, seen, transports, at, once=True)
    saving.save(node)
    lost, gained = before - _held(node), _held(node) - before
    found: tuple[drift.Difference, ...] = ()
    if published.before is not None:
        found = drift.differences(published.before.inventory,
                                  published.stored.inventory)
    if not (found or lost or (gained and published.before is not None)):
        return False
    for one in found:
        metrics.count(f'drift.{one.what}')
    for _name in lost:
        metrics.count('drift.withdrawn')
    _tell(node, found, lost, gained)
    return True


def void(task: Any, why: str) -> None:
    """Withdraw what can no longer be verified; the node is locked.

    That devices are present stays: nothing reported their removal.
    """
    node = task.node
    before = _held(node)
    withdraw.withdraw(task, withdraw.not_seen(
        node.provision_state in traits.HAS_INSTANCE))
    saving.save(node)
    if _held(node) == before:
        return
    metrics.count('drift.void')
    _tell(node, [why], before - _held(node), _held(node) - before)


def _held(node: Any) -> set[str]:
    """The published traits of a node that are not void."""
    return set(traits.published(node)) - set(keys.VOID.of(node) or ())


def _tell(node: Any, found: Collection[object], lost: Iterable[str],
          gained: Iterable[str]) -> None:
    """Add an entry to the node's history and to the log."""
    parts = [str(f) for f in list(found)[:SHOWN]]
    if len(found) > SHOWN:
        parts.append(f'and {len(found) - SHOWN} more')
    text = 'audit: ' + ('; '.join(parts) or 'the traits did not match the '
                                            'inventory')
    for word, names in (('withdrawn', lost), ('published', gained)):
        if names:
            text += f'; {word}: ' + ', '.join(sorted(names))
    LOG.warning('Node %(node)s: %(text)s', {'node': node.uuid, 'text': text})
    saving.history(node, text)
