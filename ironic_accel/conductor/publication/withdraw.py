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

"""Withdrawal of what a node publishes as soon as it is uncertain.

A trait that may be false schedules a server to the wrong machine, so whatever
makes it uncertain withdraws it first, in the same locked call: a write before
it begins, a tenant that leaves, a verification that is void. Each describes
what is uncertain by a scope, and one function withdraws it.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses
from typing import Any

from oslo_log import log

from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.conductor.publication import ports as ports_module
from ironic_accel.conductor.publication import traits
from ironic_accel.model import trait_meaning
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model.trait_meaning import TraitType

LOG = log.getLogger(__name__)


class Every:
    """Every name there is: what a scope has in place of a set of names."""

    def __contains__(self, name: object) -> bool:
        """True, whatever the name."""
        return True


Names = frozenset[str] | Every

ALL = Every()
_NONE: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class WithdrawalScope:
    """What of a node is uncertain; ``|`` joins two.

    :ivar profiles: names of profiles: their verifications and IS traits.
    :ivar devices: ids of devices: the verifications that include one of them,
        and the IS traits of those profiles.
    :ivar offers: names of profiles: their CAN traits.
    :ivar modes: kinds of devices: the traits of their modes.
    :ivar ports: kinds of devices: the fields of their Ironic ports.
    :ivar presence: every other trait too, and which devices the node owns.
    :ivar inside: data that only the ramdisk could read: an inventory without
        it no longer carries them over.
    :ivar degraded: whether the node is published as degraded.
    """

    profiles: Names = _NONE
    devices: frozenset[str] = _NONE
    offers: Names = _NONE
    modes: Names = _NONE
    ports: Names = _NONE
    presence: bool = False
    inside: bool = False
    degraded: bool = False

    def __or__(self, other: WithdrawalScope) -> WithdrawalScope:
        """Everything that is uncertain by either."""
        return WithdrawalScope(
            _union(self.profiles, other.profiles),
            self.devices | other.devices,
            _union(self.offers, other.offers),
            _union(self.modes, other.modes),
            _union(self.ports, other.ports),
            self.presence or other.presence,
            self.inside or other.inside,
            self.degraded or other.degraded)

    def has(self, meaning: TraitMeaning, void: Collection[str]) -> bool:
        """Whether a trait of this meaning is uncertain.

        One with an unknown meaning is withdrawn with any other.

        :param void: the profiles whose verifications are withdrawn.
        """
        if meaning.type is TraitType.IS_PROFILE:
            return meaning.subject in self.profiles or meaning.subject in void
        if meaning.type is TraitType.CAN_PROFILE:
            return meaning.subject in self.offers
        if meaning.type is TraitType.MODE:
            return meaning.subject in self.modes
        if meaning.type is TraitType.UNKNOWN:
            return bool(self.presence or self.profiles or self.devices
                        or self.offers or self.modes)
        return self.presence and meaning.type is not TraitType.DEGRADED


def _union(one: Names, two: Names) -> Names:
    if isinstance(one, Every) or isinstance(two, Every):
        return ALL
    return one | two


def everything() -> WithdrawalScope:
    """All that is published of a node; it is degraded then."""
    return WithdrawalScope(
        profiles=ALL, offers=ALL, modes=ALL, ports=ALL, presence=True,
        degraded=True)


def not_seen(instance: bool) -> WithdrawalScope:
    """What could not be read for too long; the node is degraded then.

    That devices are present stays: nothing reported their removal.

    :param instance: whether the node has an instance: its ports change when it
        is deleted.
    """
    return WithdrawalScope(
        profiles=ALL, offers=ALL, modes=ALL, ports=_NONE if instance else ALL,
        degraded=True)


def tenant_left() -> WithdrawalScope:
    """What a tenant may have changed.

    It may have written and set anything. Until the next inventory only the
    presence of the devices is certain.
    """
    return WithdrawalScope(
        profiles=ALL, modes=ALL, ports=ALL, inside=True)


def changed_by_parent(kinds: Collection[str]) -> WithdrawalScope:
    """The scope of a child node with devices of kinds that will change."""
    return WithdrawalScope(profiles=ALL, offers=ALL, modes=ALL,
                           ports=frozenset(kinds))


def changing(devices: Collection[str],
             kinds: Collection[str]) -> WithdrawalScope:
    """What is uncertain while these devices are changed.

    A profile is verified for all its devices together, so every verification
    that includes one of these is void; the traits of modes refer to all
    devices of a kind.

    :param devices: their ids.
    :param kinds: their kinds.
    """
    return WithdrawalScope(devices=frozenset(devices),
                           modes=frozenset(kinds), ports=frozenset(kinds))


def void_proofs(profiles: Collection[str]) -> WithdrawalScope:
    """The proofs of these profiles do not hold any more."""
    return WithdrawalScope(profiles=frozenset(profiles))


def disagreed(profiles: Collection[str]) -> WithdrawalScope:
    """Conductors have these profiles differently."""
    return WithdrawalScope(profiles=frozenset(profiles),
                           offers=frozenset(profiles))


def withdraw(task: Any, scope: WithdrawalScope) -> list[str]:
    """Withdraw what is uncertain; the caller saves the node.

    Traits and ports change in the database at once, the traits first, because
    nodes are scheduled by them.

    :param task: a task with an exclusive lock on the node.
    :returns: the names of the published traits that are uncertain.
    :raises: NotOurs if the node was lost meanwhile.
    """
    node = task.node
    names: list[str] = []
    if scope.degraded or keys.TRAITS.of(node) or keys.PROOFS.of(node):
        names = _withdraw_traits(task, scope)
    if scope.presence:
        device_ownership.drop(node)
    if any(kind in scope.ports for kind in ports_module.KINDS):
        ports_module.clear(task)
    if scope.inside:
        keys.TENANT.drop(node)
        inventory_store.tenant_gone(node)
    return names


def _withdraw_traits(task: Any, scope: WithdrawalScope) -> list[str]:
    """Withdraw verifications and traits; returns the names of the traits."""
    node = task.node
    void = {name for name in verification.of(node) if name in scope.profiles}
    void |= verification.on_devices(node, scope.devices)
    names = [name for name, meaning in traits.published(node).items()
             if scope.has(meaning, void)]
    verification.drop(node, void)
    add = ({traits.DEGRADED: trait_meaning.DEGRADED} if scope.degraded
           else {})
    if names or add:
        traits.change(task, add, names)
    return names


def from_children(task: Any, kinds: Collection[str]) -> None:
    """Withdraw the traits of child nodes for kinds of devices that will
    change.

    :raises: NodeLocked if such a child is locked.
    """
    for child in related_nodes.children(task) if kinds else ():
        summary = keys.SUMMARY.of(child)
        if summary is None or not set(kinds) & set(
                summary.get('devices') or ()):
            continue
        with db_retry.acquire(
                task.context, child.uuid, shared=False, retry=False,
                load_driver=False,
                purpose='withdrawing traits before its parent is '
                        'changed') as locked:
            withdraw(locked, changed_by_parent(kinds))
            saving.save(locked.node)


def note_tenant(node: Any) -> None:
    """Note that a tenant gets the node; the caller saves it."""
    keys.TENANT.put(node, True)


def after_tenant(task: Any) -> None:
    """Withdraw what a tenant may have changed, and save the node.

    Of a node that no tenant had and that has no proof, nothing is withdrawn.
    """
    node = task.node
    if not keys.TENANT.of(node) and not verification.of(node):
        return
    names = withdraw(task, tenant_left())
    saving.save(node)
    LOG.info('Node %(node)s had a tenant; withdrew traits: %(traits)s',
             {'node': node.uuid, 'traits': ', '.join(names) or 'nothing'})
