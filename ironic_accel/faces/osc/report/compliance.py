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

"""Compare the inventory of a node with the site profiles."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces import view
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import strongest
from ironic_accel.model import errors
from ironic_accel.model import matching
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Transport
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Staged
from ironic_accel.model import serialization
from ironic_accel.model import traits as grammar
from ironic_accel.model import transport_document

Document = Mapping[str, Any]

#: What a profile is for a node, as far as its stored inventory tells.
OUTCOMES = ('compliant', 'would change', 'refused', 'does not apply',
            'not known')
#: Number of reasons that a node gives for a refusal.
REASONS = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Basis:
    """What a plan for a node is made of, out of its stored data.

    :ivar why: why no plan can be made of them, or None.
    """

    inventory: Inventory
    transports: tuple[Transport, ...] = ()
    staged: tuple[Staged, ...] = ()
    power_off: bool = True
    why: str | None = None

    def plan(self, profile: Profile) -> Plan:
        """The plan as the conductor makes it of the same data."""
        return make_plan(
            self.inventory, profile if self.power_off
            else profile.limited(Activation.WARM_REBOOT), self.staged,
            self.transports, catalog.load())


def basis(seen: VisibleNode) -> Basis | None:
    """The basis of plans for a node; None if its inventory is not known."""
    if seen.inventory is None:
        return None
    inventory = serialization.inventory_from_dict(seen.inventory)
    if seen.stored is None:
        return Basis(inventory, why='the transports that can write to its '
                                    'devices may not be read by this user')
    try:
        record = record_mod.load(keys.RECORD.read(seen.info))
        return Basis(
            inventory, transport_document.read(seen.stored),
            () if record is None else tuple(record.staged),
            not seen.node.get('disable_power_off'))
    except (errors.AccelError, AttributeError, KeyError, TypeError,
            ValueError) as error:
        return Basis(inventory, why=f'its stored data cannot be read: '
                                    f'{error}')


def of(seen: VisibleNode, on: Basis | None, profiles: Mapping[str, Profile],
       ) -> list[dict[str, Any]]:
    """Compare a node with every profile that selects a device of it.

    ``status`` is ``compliant``, ``differs``, or ``unread`` if it may be
    either because values were not read. If the caller may not read the
    inventory or the profiles, it is ``compliant`` or ``can``, by the traits
    of the node.
    """
    if on is None or not profiles:
        return _by_traits(seen.accel_traits)
    published = set(seen.accel_traits)
    return [{**_compared(on, p), 'published': [
        t for t in (grammar.is_trait(p), grammar.can_trait(p))
        if t in published]} for p in profiles.values()
        if matching.applies(p.groups, on.inventory.devices)]


def change(on: Basis | None, profile: Profile) -> dict[str, Any]:
    """What applying a profile to a node would do.

    :returns: ``outcome`` (one of OUTCOMES), ``writes``, ``reset`` (the
        strongest one of the host, or null), and ``reasons`` of a refusal or
        of what is not known.
    """
    if on is None:
        return outcome('not known', 'its inventory is not known')
    if not matching.applies(profile.groups, on.inventory.devices):
        if on.inventory.complete and not on.inventory.unread:
            return outcome('does not apply')
        return outcome('not known', 'its inventory is not complete')
    if on.why is not None:
        return outcome('not known', on.why)
    return _change(on.plan(profile))


def outcome(what: str, *reasons: str) -> dict[str, Any]:
    """What applying a profile would do where nothing would be written."""
    return {'outcome': what, 'writes': 0, 'reset': None,
            'reasons': list(reasons[:REASONS])}


def _change(plan: Plan) -> dict[str, Any]:
    if plan.refused:
        return outcome('not known' if plan.untold else 'refused',
                       *dict.fromkeys(f'{r.item.name}: {r.reason}'
                                      for r in plan.refused))
    if plan.converged:
        return outcome('compliant')
    reset = strongest([s.reset for s in plan.stages if not s.manual])
    return {**outcome('would change'), 'writes': plan.counts.writes,
            'reset': str(reset) if reset.is_host_reset else None}


def _compared(on: Basis, profile: Profile) -> dict[str, Any]:
    """A profile that selects a device of the node, and the node."""
    changed = outcome('not known', on.why or '')
    if on.why is None:
        plan = on.plan(profile)
        changed = _change(plan)
        if plan.converged:
            return {**_differences(profile, plan), **changed}
    # Without transports the plan refuses, and so lists, every difference.
    return {**_differences(profile, make_plan(
        on.inventory, profile, (), (), catalog.load())), **changed}


def _differences(profile: Profile, plan: Plan) -> dict[str, Any]:
    staged = [f'{x.item.device} {x.item.name}' for stage in plan.stages
              for x in stage.staged]
    status = 'compliant'
    if plan.refused or staged:
        status = 'unread' if plan.untold and not staged else 'differs'
    return {'profile': profile.name, 'digest': profile.digest,
            'status': status, 'compliant_items': len(plan.satisfied),
            'differs': [_difference(r) for r in plan.refused],
            'staged': staged}


def _difference(refused: Refusal) -> dict[str, Any]:
    keys_of = ('device', 'name', 'expected', 'seen', 'reason', 'unread')
    return {k: v for k, v in refused.to_dict().items() if k in keys_of}


def _by_traits(names: Iterable[str]) -> list[dict[str, Any]]:
    found = []
    for name in names:
        word, _, rest = name.removeprefix(grammar.PREFIX).partition('_')
        if word in ('IS', 'CAN') and rest:
            found.append({
                'profile': rest.lower().replace('_', '-'),
                'status': 'compliant' if word == 'IS' else 'can',
                'published': [name]})
    return found


def drift(seen: VisibleNode, profiles: Iterable[Document]) -> list[str]:
    """The differences from the applied profiles, a sentence each.

    :param profiles: as ``of`` returns them.
    """
    info = seen.info or {}
    found = []
    for one in profiles:
        name, differs = one['profile'], one.get('differs') or ()
        declared = name == keys.APPLIED.read(info) \
            or grammar.is_trait(name) in seen.accel_traits
        if declared and one['status'] == 'differs':
            told = [d for d in differs if not d.get('unread')]
            found.append(f'drifted from profile {name}'
                         + (f': {_words(told[0])}' if told else '')
                         + (f'; {len(told) - 1} more' if len(told) > 1
                            else ''))
    found += [f'trait {name} is void' for name in keys.VOID.read(info) or ()]
    if grammar.DEGRADED in (seen.traits or ()):
        found.append('degraded')
    return found


def _words(difference: Document) -> str:
    """A difference: what it is about, and both values."""
    return (f"{difference['device']} {difference['name']}: "
            f"{view.value(difference['seen'])}, expected "
            f"{view.value(difference['expected'])}")
