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

"""Publishing what an inventory proves, and only that."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles as profiles_module
from ironic_accel.conductor.node import ages
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.conductor.publication.device_ownership import Doubt
from ironic_accel.conductor.publication import ports
from ironic_accel.conductor.publication import resource_class
from ironic_accel.conductor.publication import traits as traits_module
from ironic_accel.model import carry_over
from ironic_accel.model.device import Effect
from ironic_accel.model.device import Inventory
from ironic_accel.model import matching
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Way
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Landed
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model import traits
from ironic_accel.model.traits import Worth

LOG = log.getLogger(__name__)

#: The site profile that the node was last brought to: what it says about
#: counts is what the node is held to.
APPLIED_KEY = 'accel_applied'
#: Profiles that are not published because conductors have them differently;
#: the node is looked at again once they agree.
DIFFERING_KEY = 'accel_differing'
#: Unread sources that are named in a result; a hundred are read by nobody.
UNREAD = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """How a node stands towards the site profiles.

    :ivar plans: the plan for each, by name.
    :ivar are: those that it is in, lastingly.
    :ivar can: the offered ones that a deploy can bring it into.
    """

    plans: Mapping[str, Plan]
    are: tuple[Profile, ...]
    can: tuple[Profile, ...]


def take(ctx: Context, seen: Inventory, plan: Plan | None = None,
         applied: Profile | None = None,
         looks: Mapping[str, float] | None = None,
         once: bool = False) -> dict[str, Any]:
    """Store an inventory and publish what follows from it.

    What was not read costs the kinds and the profiles that it could change;
    devices that it may hide stay stored, as not read.

    The caller saves the node.

    :param plan: the plan that was made of it, to be stored with it.
    :param applied: the profile that the node was just brought to.
    :param looks: when each way looked, where this is no look of its own but
        what was stored of some; which part is whose cannot be told then.
    :param once: whether this is the only look: a device that it no longer
        lists is gone only when the next one agrees.
    :returns: what is worth a line in the result.
    """
    own = inventory_store.known_ids(ctx.task, seen)
    profiles = profiles_module.site_profiles().all()
    seen, ways = inventory_store.whole(ctx.task, own, ctx.backend.all_ways(
        own, [push for p in profiles.values() for push in p.pushes]))
    stored = inventory_store.load(ctx.task)
    if stored is not None:
        seen = carry_over.unseen(seen, stored.inventory, once)
    record = operation.load_record(ctx.node)
    doubt = device_ownership.settle(ctx.task, seen, ctx.wall)
    stand = _certain(standing(ctx, seen, ways, profiles,
                              record.landed if record else ()), seen, doubt)
    stand, differing = _agreed(ctx.node, stand)
    read = own if looks is None else None
    looks = inventory_store.looks(ctx.task, own, ctx.wall) | dict(looks or {})
    times = {p.name: ages.read_at(stand.plans[p.name], read, looks, ctx.wall)
             for p in stand.are}
    aged = {n for n, at in times.items() if verification.too_old(at, ctx.wall)}
    stand = dataclasses.replace(stand, are=tuple(
        p for p in stand.are if p.name not in aged))
    _keep_proofs(ctx, stand, times)
    if applied is not None and not ctx.operation.inline:
        ctx.node.set_driver_internal_info(APPLIED_KEY, applied.name)
    # What is no longer true goes before anything else is written.
    facts = _publish(ctx, _found(ctx, seen, doubt, profiles), stand)
    inventory_store.save(
        ctx.task, seen, ways, plan.to_dict() if plan else None, ctx.wall, looks
    )
    inventory_store.seen_inside(ctx.node, own)
    inventory_store.sync_firmware(ctx.task, seen)
    resource_class.suggest(ctx.task, seen, ctx.facts)
    ports.follow(ctx.task, seen, ctx.facts, doubt.devices)
    if seen.partial:
        facts['unread'] = [u.words for u in seen.unread
                           if u.kinds or u.facts or u.holds][:UNREAD]
    if differing:
        facts['differing'] = differing
    if doubt.waits:
        facts['withheld'] = doubt.words
    if applied is not None and not ctx.operation.inline \
            and applied.name not in {p.name for p in stand.are}:
        facts['no_is'] = (
            doubt.words if doubt.waits else
            f'conductor {differing[applied.name]} has another profile of '
            'this name' if applied.name in differing else
            'what it stands on was read too long ago'
            if applied.name in aged else
            f"it cannot be told how many {', '.join(seen.uncounted)} there "
            'are' if seen.uncounted else
            _why_not(stand.plans.get(applied.name)))
    return facts


def _certain(stand: Standing, seen: Inventory, doubt: Doubt) -> Standing:
    """Without the profiles that a device in doubt would have a part in.

    So would one of a kind that may have more than are told apart. Of a box
    that may be busy, nobody knows in which profile it will be.
    """
    if seen.held:
        return dataclasses.replace(stand, are=(), can=())
    doubtful = [d for d in seen.devices if d.id in doubt.devices
                or d.kind in seen.uncounted]

    def certain(profile: Profile) -> bool:
        return not any(matching.matches(group, device)
                       for group in profile.groups for device in doubtful)

    return dataclasses.replace(
        stand, are=tuple(filter(certain, stand.are)),
        can=tuple(filter(certain, stand.can)))


def _agreed(node: Any, stand: Standing) -> tuple[Standing, dict[str, str]]:
    """Without the profiles that another conductor has differently.

    :returns: with, by name, the conductors that have them so.
    """
    found = profile_agreement.differing()
    held = {p.name: found[p.name] for p in (*stand.are, *stand.can)
            if p.name in found}
    if held:
        node.set_driver_internal_info(DIFFERING_KEY, sorted(held))
    else:
        node.del_driver_internal_info(DIFFERING_KEY)
    return dataclasses.replace(
        stand, are=tuple(p for p in stand.are if p.name not in found),
        can=tuple(p for p in stand.can if p.name not in found)), held


def _found(ctx: Context, seen: Inventory, doubt: Doubt,
           profiles: Mapping[str, Profile]) -> list[traits.Trait]:
    """Traits of what is there, whosever the devices in doubt are."""
    expected = _expected(ctx.node, profiles)

    def found(inventory: Inventory) -> list[traits.Trait]:
        return [*traits.presence(inventory, ctx.facts, expected),
                *traits.modes(inventory, ctx.facts),
                *traits.pci(inventory, CONF.accelerator.pci_traits)]

    every = found(seen)
    if not doubt.waits:
        return every
    fewer = found(dataclasses.replace(seen, devices=tuple(
        d for d in seen.devices if d.id not in doubt.devices)))
    return [t for t in {*every, *fewer} if t.worth is Worth.DEGRADED
            or (t in every and t in fewer)]


def standing(ctx: Context, seen: Inventory, ways: Sequence[Way],
             profiles: Mapping[str, Profile],
             landed: Iterable[Landed]) -> Standing:
    """Plan every site profile for what was seen."""
    landed = tuple(landed)
    plans = {}
    for name, profile in profiles.items():
        plans[name] = make_plan(seen, possible(ctx.node, profile), landed,
                                ways, ctx.facts)
    are = tuple(profiles[n] for n, p in plans.items()
                if p.converged and p.satisfied
                and all(x.lasts for x in p.satisfied))
    can = tuple(profiles[n] for n, p in plans.items()
                if profiles[n].offered and not p.refused
                and _deployable(profiles[n], p))
    return Standing(plans, are, can)


def _deployable(profile: Profile, plan: Plan) -> bool:
    """Whether a deploy may do all of a plan: CAN stands for a deploy
    template that does it, and one burns only with the profile's consent."""
    return 'burn_at_deploy' in profile.allow or not any(
        action.verb == 'burn' for stage in plan.stages
        for action in stage.actions)


def possible(node: Any, profile: Profile) -> Profile:
    """The profile as far as the node's own settings let it go."""
    if not node.disable_power_off \
            or profile.limits.reset.rank <= Effect.WARM_REBOOT.rank:
        return profile
    return dataclasses.replace(profile, limits=dataclasses.replace(
        profile.limits, reset=Effect.WARM_REBOOT))


def _keep_proofs(ctx: Context, stand: Standing,
                 times: Mapping[str, float]) -> None:
    names = {p.name for p in stand.are}
    verification.drop(ctx.node, set(verification.of(ctx.node)) - names)
    for profile in stand.are:
        verification.keep(ctx.node, profile, (
            x.item.device for x in stand.plans[profile.name].satisfied),
            times[profile.name])
    ctx.node.del_driver_internal_info(verification.TENANT_KEY)
    if ctx.operation.kind == 'deploy' or ctx.node.instance_uuid \
            or ctx.node.provision_state in traits_module.HAS_INSTANCE:
        ctx.node.set_driver_internal_info(verification.TENANT_KEY, True)


def _expected(node: Any, profiles: Mapping[str, Profile]) -> list[Group]:
    """Groups that say how many devices the node has to have."""
    names = {(node.driver_internal_info or {}).get(APPLIED_KEY),
             node.driver_info.get('accel_baseline'),
             CONF.accelerator.baseline_profile}
    return [g for n in names if n in profiles for g in profiles[n].groups]


def _publish(ctx: Context, there: list[traits.Trait],
             stand: Standing) -> dict[str, Any]:
    found = sorted({*there, *traits.profiles(stand.are, stand.can)})
    meanings: dict[str, TraitMeaning] = {}
    for trait in found:
        meanings.setdefault(trait.name, trait.meaning)
    change = traits.reconcile(traits_module.of(ctx.task), traits.wanted(found))
    traits_module.change(
        ctx.task, {n: meanings[n] for n in meanings
                   if n not in change.dropped}, change.remove)
    if change.dropped:
        LOG.error('Node %(node)s has no room for these traits (%(limit)d a '
                  'node, everybody\'s included): %(traits)s', {
                      'node': ctx.node.uuid, 'limit': traits.BUDGET,
                      'traits': ', '.join(change.dropped)})
    facts: dict[str, Any] = {
        'traits': sorted(traits_module.published(ctx.node))}
    if change.dropped:
        facts['dropped_traits'] = list(change.dropped)
    return facts


def _why_not(plan: Plan | None) -> str:
    """Why there is no IS trait although the profile was applied."""
    if plan is None:
        return 'the profile is no longer there'
    if plan.refused:
        return f'refused: {plan.refused[0].reason}'
    if plan.stages:
        return 'not everything was read back as wanted'
    volatile = sorted({x.item.name for x in plan.satisfied if not x.lasts})
    return (f"{', '.join(volatile)} does not survive a reboot, as far as is "
            'known')
