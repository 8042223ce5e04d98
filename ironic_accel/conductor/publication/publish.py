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


"""Publication of what an inventory verifies, and only that.

Everything with a complete inventory of a node publishes it here: a step, a
refresh, the audit, the verify step and an inspection. It takes the inventory
and its transports, and does not depend on how they were read.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from oslo_log import log

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node.inventory_store import Stored
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.publication import compliance
from ironic_accel.conductor.publication.compliance import Compliance
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.conductor.publication.device_ownership import Doubt
from ironic_accel.conductor.publication import ports
from ironic_accel.conductor.publication import resource_class
from ironic_accel.conductor.publication import traits
from ironic_accel.model import carry_over
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model.profile import Push
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model import traits as trait_names
from ironic_accel.model.traits import Worth

LOG = log.getLogger(__name__)

#: Most sources that a result names as not read.
UNREAD = 8

#: The transports for the devices of the inventory, with the methods to push
#: images that profiles declare.
Transports = Callable[[Inventory, Collection[Push]], Sequence[Transport]]


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """The result of a publication.

    :ivar facts: entries for the result of the operation.
    :ivar before: what was stored of the node until then, or None.
    :ivar stored: what is stored now: the inventory, with the carried-over
        data.
    """

    facts: Mapping[str, Any]
    before: Stored | None
    stored: Stored


def publish(task: Any, seen: Inventory, transports: Transports, at: float, *,
            plan: Plan | None = None, applied: Profile | None = None,
            looks: Mapping[str, float] | None = None,
            once: bool = False) -> Published:
    """Store an inventory and publish what follows from it.

    Data that could not be read withhold the kinds and profiles that they could
    change; devices that they may hide stay stored, as not read.

    The caller saves the node.

    :param task: a task with an exclusive lock on the node.
    :param seen: a stable inventory of a host that is on.
    :param transports: the transports for it.
    :param at: epoch seconds of the inventory, by the clock that all conductors
        share.
    :param plan: the plan that was made of it, to be stored with it.
    :param applied: the site profile that was just applied to the node.
    :param looks: the time of each transport's inventory, if this one was
        joined from stored ones; which part is from which is unknown then.
    :param once: whether this is the only inventory: a device that it no longer
        lists is removed only if the next one agrees.
    :raises: NotOurs if the node was lost meanwhile.
    """
    node, declared = task.node, profiles.site_profiles().all()
    if seen.host == 'on' and keys.LEFT_OFF.is_there(node):
        keys.LEFT_OFF.drop(node)
    data = inventory_store.inspection_data(task)
    own = inventory_store.known_ids(data.stored, seen)
    seen, open_ways = inventory_store.whole(node, data.stored, own, transports(
        own, [push for p in declared.values() for push in p.pushes]))
    if data.stored is not None:
        seen = carry_over.unseen(seen, data.stored.inventory, once)
    doubt = device_ownership.settle(task, seen, at)
    when = inventory_store.inventory_times(
        data.stored, own, at) | dict(looks or {})
    read = own if looks is None else None
    record = operation.load_record(node)
    found = compliance.evaluate(
        node, seen, open_ways, declared, record.staged if record else ()
    ).certain(seen, doubt).agreed()
    read_at = {
        p.name: verification.read_at(found.plans[p.name], read, when, at)
        for p in found.are}
    found = found.fresh(read_at, at)
    _note(node, found, applied)
    _keep_proofs(node, found, read_at)
    # What is no longer true goes before anything else is written.
    facts = _publish_traits(task, _present(node, seen, doubt, declared),
                            found)
    stored = inventory_store.save(task, seen, open_ways,
                        plan.to_dict() if plan else None, at, when, data)
    inventory_store.seen_inside(node, own)
    inventory_store.sync_firmware(task, seen)
    resource_class.suggest(task, seen, catalogue.catalogue())
    ports.follow(task, seen, catalogue.catalogue(), doubt.devices)
    return Published({**facts, **_facts(seen, found, doubt, applied)},
                     data.stored, stored)


def _note(node: Any, found: Compliance, applied: Profile | None) -> None:
    """Note what conductors differ about, and what the node was brought to.
    """
    if found.differing:
        keys.DIFFERING.put(node, sorted(found.differing))
    else:
        keys.DIFFERING.drop(node)
    if applied is not None:
        keys.APPLIED.put(node, applied.name)


def _facts(seen: Inventory, found: Compliance, doubt: Doubt,
           applied: Profile | None) -> dict[str, Any]:
    """What keeps traits from being published, for the result."""
    facts: dict[str, Any] = {}
    if seen.partial:
        facts['unread'] = [u.words for u in seen.unread
                           if u.kinds or u.facts or u.holds][:UNREAD]
    if found.differing:
        facts['differing'] = dict(found.differing)
    if doubt.waits:
        facts['withheld'] = doubt.words
    if applied is not None:
        why = found.why_not(applied.name, seen, doubt)
        if why is not None:
            facts['no_is'] = why
    return facts


def _present(node: Any, seen: Inventory, doubt: Doubt,
             declared: Mapping[str, Profile]) -> list[trait_names.Trait]:
    """Traits of present devices, whichever node owns disputed ones."""
    expected = _expected(node, declared)
    catalog = catalogue.catalogue()

    def present(inventory: Inventory) -> list[trait_names.Trait]:
        return [*trait_names.presence(inventory, catalog, expected),
                *trait_names.modes(inventory, catalog),
                *trait_names.pci(inventory, CONF.accelerator.pci_traits)]

    every = present(seen)
    if not doubt.waits:
        return every
    fewer = present(dataclasses.replace(seen, devices=tuple(
        d for d in seen.devices if d.id not in doubt.devices)))
    return [t for t in {*every, *fewer} if t.worth is Worth.DEGRADED
            or (t in every and t in fewer)]


def _expected(node: Any, declared: Mapping[str, Profile]) -> list[Group]:
    """Groups that declare how many devices the node must have."""
    names = {keys.APPLIED.of(node), keys.BASELINE.of(node),
             CONF.accelerator.baseline_profile}
    return [g for n in names if n in declared for g in declared[n].groups]


def _keep_proofs(node: Any, found: Compliance,
                 read_at: Mapping[str, float]) -> None:
    """Keep the proofs of the profiles that the node is in, and no others."""
    names = {p.name for p in found.are}
    verification.drop(node, set(verification.of(node)) - names)
    for profile in found.are:
        verification.keep(node, profile, (
            x.item.device for x in found.plans[profile.name].satisfied),
            read_at[profile.name])
    keys.TENANT.drop(node)
    if operation.kind_of(node) == 'deploy' or node.instance_uuid \
            or node.provision_state in traits.HAS_INSTANCE:
        keys.TENANT.put(node, True)


def _publish_traits(task: Any, there: list[trait_names.Trait],
                    found: Compliance) -> dict[str, Any]:
    """Bring the node's traits to what was found."""
    node = task.node
    wanted = sorted({*there, *trait_names.profiles(found.are, found.can)})
    meanings: dict[str, TraitMeaning] = {}
    for trait in wanted:
        meanings.setdefault(trait.name, trait.meaning)
    change = trait_names.reconcile(traits.of(task), trait_names.wanted(wanted))
    traits.change(
        task, {n: meanings[n] for n in meanings
               if n not in change.dropped}, change.remove)
    facts: dict[str, Any] = {'traits': sorted(traits.published(node))}
    if change.dropped:
        LOG.error('Cannot publish all traits of node %(node)s, which may have '
                  '%(limit)d in total. Not published: %(traits)s', {
                      'node': node.uuid, 'limit': trait_names.BUDGET,
                      'traits': ', '.join(change.dropped)})
        facts['dropped_traits'] = list(change.dropped)
    return facts
