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

"""Withdrawing what a node publishes, as soon as it is in doubt.

A trait that may be false puts a customer on the wrong machine, so whatever
puts something in doubt withdraws it first, in the same locked call: a write
before it is begun, a tenant that leaves, a proof that is void. All of them
say what is in doubt by a scope, and there is one way to withdraw it.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses
from typing import Any

from ironic.conductor import task_manager
from oslo_log import log

from ironic_accel.conductor.access import child_nodes
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
    """What of a node is in doubt; ``|`` joins two.

    :ivar profiles: names of profiles: their proofs and IS traits.
    :ivar devices: ids of devices: the proofs that rest on one of them, and
        the IS traits of those profiles.
    :ivar offers: names of profiles: their CAN traits.
    :ivar modes: kinds of devices: the traits of their modes.
    :ivar ports: kinds of devices: what Ironic's ports say of them.
    :ivar presence: every other trait too, and which devices the node owns.
    :ivar inside: what was seen from inside the host before: a look that
        cannot see it does not take it over any more.
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
        """All that is in doubt by either."""
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
        """Whether a trait of this meaning is in doubt.

        One whose meaning nobody can read goes with any other.

        :param void: the profiles whose proofs are withdrawn.
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
    """What nobody has seen for too long; it is degraded then.

    That devices are there stays: they were, and nobody saw them go.

    :param instance: whether the node has an instance: its ports change when
        it is gone.
    """
    return WithdrawalScope(
        profiles=ALL, offers=ALL, modes=ALL, ports=_NONE if instance else ALL,
        degraded=True)


def tenant_left() -> WithdrawalScope:
    """What a tenant may have changed.

    It may have written and set what it liked. Until somebody looks, all that
    is certain is that the devices were there.
    """
    return WithdrawalScope(
        profiles=ALL, modes=ALL, ports=ALL, inside=True)


def changed_by_parent(kinds: Collection[str]) -> WithdrawalScope:
    """What a child node says, whose devices of some kinds are to change."""
    return WithdrawalScope(profiles=ALL, offers=ALL, modes=ALL,
                           ports=frozenset(kinds))


def changing(devices: Collection[str],
             kinds: Collection[str]) -> WithdrawalScope:
    """What is in doubt once these devices are being changed.

    A profile is proved of all its devices together, so every proof that
    rests on one of these is void; the traits of modes stand for all devices
    of a kind.

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
    """Withdraw what is in doubt; the caller saves the node.

    Traits and ports change in the database at once, the traits first: it is
    by them that a node is scheduled.

    :param task: a task that holds the node exclusively.
    :returns: the names of the traits that were published and are in doubt.
    :raises: NotOurs where the node was lost meanwhile.
    """
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
    if scope.presence:
        device_ownership.drop(node)
    if any(kind in scope.ports for kind in ports_module.KINDS):
        ports_module.clear(task)
    if scope.inside:
        keys.TENANT.drop(node)
        inventory_store.tenant_gone(node)
    return names


def from_children(task: Any, kinds: Collection[str]) -> None:
    """Withdraw what child nodes say of kinds of devices that will change.

    :raises: NodeLocked where somebody works on such a child now.
    """
    for child in child_nodes.of(task) if kinds else ():
        summary = keys.SUMMARY.of(child)
        if summary is None or not set(kinds) & set(
                summary.get('devices') or ()):
            continue
        with task_manager.acquire(
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
