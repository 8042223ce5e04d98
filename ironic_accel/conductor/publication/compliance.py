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


"""Which site profiles a node complies with, and which a deploy can apply.

Every site profile is planned for the inventory. A node complies with a profile
if every item was read back with the declared value and persists over a reboot.
Profiles with unknown values are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.publication.device_ownership import Doubt
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model import matching
from ironic_accel.model.plan import NOT_APPLIED
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Transport
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Staged


@dataclasses.dataclass(frozen=True, slots=True)
class Compliance:
    """The compliance of a node with the site profiles.

    :ivar plans: the plan for each, by name.
    :ivar are: those that it complies with, persistently.
    :ivar can: the offered ones that a deploy can apply.
    :ivar differing: those left out because another conductor has a different
        profile of the name: its host name, by profile.
    :ivar aged: names of those left out because their values were read too long
        ago.
    """

    plans: Mapping[str, Plan]
    are: tuple[Profile, ...]
    can: tuple[Profile, ...]
    differing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    aged: frozenset[str] = frozenset()

    def certain(self, seen: Inventory, doubt: Doubt) -> Compliance:
        """Without the profiles that devices with unknown values are part of.

        That includes kinds that may have more devices than can be told apart.
        No profile is certain for a node that may have an update in progress.
        """
        if seen.held:
            return dataclasses.replace(self, are=(), can=())
        doubtful = [d for d in seen.devices if d.id in doubt.devices
                    or d.kind in seen.uncounted]

        def sure(profile: Profile) -> bool:
            return not any(
                matching.matches(group, device)
                for group in profile.groups for device in doubtful)

        return dataclasses.replace(self, are=tuple(filter(sure, self.are)),
                                   can=tuple(filter(sure, self.can)))

    def agreed(self) -> Compliance:
        """Without the profiles that another conductor has differently."""
        found = profile_agreement.differing()
        return dataclasses.replace(
            self, are=tuple(p for p in self.are if p.name not in found),
            can=tuple(p for p in self.can if p.name not in found),
            differing={p.name: found[p.name] for p in (*self.are, *self.can)
                       if p.name in found})

    def fresh(self, read_at: Mapping[str, float], now: float) -> Compliance:
        """Without those that were read too long ago.

        :param read_at: when the oldest item of each was read (epoch
            seconds), by profile.
        """
        aged = {p.name for p in self.are
                if verification.too_old(read_at[p.name], now)}
        return dataclasses.replace(
            self, aged=frozenset(aged),
            are=tuple(p for p in self.are if p.name not in aged))

    def why_not(self, name: str, seen: Inventory, doubt: Doubt
                ) -> str | None:
        """Why a profile that was applied has no IS trait, or None."""
        if name in {p.name for p in self.are}:
            return None
        if doubt.waits:
            return doubt.words
        if name in self.differing:
            return (f'conductor {self.differing[name]} has another profile '
                    'of this name')
        if name in self.aged:
            return 'its values were read too long ago'
        if seen.uncounted:
            return (f"the number of {', '.join(seen.uncounted)} is unknown")
        return _why_not_met(self.plans.get(name))


def evaluate(node: Any, seen: Inventory, transports: Sequence[Transport],
             profiles: Mapping[str, Profile],
             staged: Iterable[Staged]) -> Compliance:
    """Plan every site profile for what was seen.

    :param transports: what can be done on it.
    :param profiles: the site profiles by name.
    :param staged: items that were written and wait for their activation.
    """
    staged = tuple(staged)
    plans = {name: make_plan(seen, possible(node, profile), staged, transports,
                             catalogue.catalogue())
             for name, profile in profiles.items()}
    are = tuple(profiles[n] for n, p in plans.items()
                if p.converged and p.satisfied
                and all(x.persistent for x in p.satisfied))
    can = tuple(profiles[n] for n, p in plans.items()
                if profiles[n].offered and not p.refused
                and p.applies
                and _deployable(profiles[n], p))
    return Compliance(plans, are, can)


def possible(node: Any, profile: Profile) -> Profile:
    """The profile as far as the node's own settings let it go."""
    return (profile.limited(Activation.WARM_REBOOT)
            if node.disable_power_off else profile)


def _deployable(profile: Profile, plan: Plan) -> bool:
    """Whether a deploy can do all of a plan: a CAN trait requires a deploy
    template for it, and one updates firmware only if the profile allows it.
    None waits for an operator.
    """
    return not plan.manual and (
        'burn_at_deploy' in profile.allow or not any(
            action.verb == 'update' for stage in plan.stages
            for action in stage.actions))


def _why_not_met(plan: Plan | None) -> str:
    """Why the plan of a profile proves nothing."""
    if plan is None:
        return 'the profile was removed'
    if not plan.applies:
        return NOT_APPLIED
    if plan.refused:
        return f'refused: {plan.refused[0].reason}'
    if plan.stages:
        return 'not every item was read back with the declared value'
    volatile = sorted(
        {x.item.name for x in plan.satisfied if not x.persistent})
    return (f"{', '.join(volatile)} is not known to survive a reboot")
