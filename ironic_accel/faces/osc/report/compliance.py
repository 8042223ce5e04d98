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
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.model import catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model import matching
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from ironic_accel.model import serialization
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]


def of(
    seen: VisibleNode, profiles: Mapping[str, Profile]
) -> list[dict[str, Any]]:
    """Compare a node with every profile that selects a device of it.

    ``status`` is ``compliant`` or ``differs``. If the caller may not read
    the inventory or the profiles, it is ``compliant`` or ``can``, by the
    traits of the node.
    """
    if seen.inventory is None or not profiles:
        return _by_traits(seen.accel_traits)
    inventory = serialization.inventory_from_dict(seen.inventory)
    published = set(seen.accel_traits)
    return [{**_one(inventory, p),
             'published': [t for t in (grammar.is_trait(p),
                                       grammar.can_trait(p))
                           if t in published]}
            for p in profiles.values()
            if matching.applies(p.groups, inventory.devices)]


def _one(inventory: Inventory, profile: Profile) -> dict[str, Any]:
    # Without transports the plan refuses, and so lists, every difference.
    plan = make_plan(inventory, profile, (), (), catalog.load()).to_dict()
    differs = [{k: i[k] for k in ('device', 'name', 'expected', 'seen',
                                  'reason')} for i in plan['refused']]
    staged = [f"{i['device']} {i['name']}" for stage in plan['stages']
              for i in stage['staged']]
    status = 'differs' if differs or staged else 'compliant'
    return {'profile': profile.name, 'digest': profile.digest,
            'status': status, 'compliant_items': len(plan['satisfied']),
            'differs': differs, 'staged': staged}


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
            first = next(iter(differs), None)
            found.append(f'drifted from profile {name}' + (
                f": {first['device']} {first['name']}, "
                f"{len(differs)} in total" if first else ''))
    found += [f'trait {name} is void' for name in keys.VOID.read(info) or ()]
    if grammar.DEGRADED in (seen.traits or ()):
        found.append('degraded')
    return found
