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

"""How a node stands towards the site's profiles, and what has drifted."""

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
    """Every profile whose devices the node has, and what is otherwise.

    ``stands`` is ``is`` (as the profile says), ``differs``, or what the
    traits say (``is``, ``can``) where the inventory or the profiles may not
    be seen.
    """
    if seen.inventory is None or not profiles:
        return _by_traits(seen.ours)
    inventory = serialization.inventory_from_dict(seen.inventory)
    published = set(seen.ours)
    return [{**_one(inventory, p),
             'published': [t for t in (grammar.is_trait(p),
                                       grammar.can_trait(p))
                           if t in published]}
            for p in profiles.values() if concerns(p, inventory)]


def concerns(profile: Profile, inventory: Inventory) -> bool:
    """Whether a node has any device that a profile selects."""
    return any(matching.matches(group, device) for group in profile.groups
               for device in inventory.devices)


def _one(inventory: Inventory, profile: Profile) -> dict[str, Any]:
    # Without any way every item that is not so is refused, and named.
    plan = make_plan(inventory, profile, (), (), catalog.load()).to_dict()
    differs = [{k: i[k] for k in ('device', 'name', 'expected', 'seen',
                                  'reason')} for i in plan['refused']]
    waiting = [f"{i['device']} {i['name']}" for stage in plan['stages']
               for i in stage['staged']]
    stands = 'differs' if differs or waiting else 'is'
    return {'profile': profile.name, 'digest': profile.digest,
            'stands': stands, 'as_declared': len(plan['satisfied']),
            'differs': differs, 'waiting': waiting}


def _by_traits(names: Iterable[str]) -> list[dict[str, Any]]:
    found = []
    for name in names:
        word, _, rest = name.removeprefix(grammar.PREFIX).partition('_')
        if word in ('IS', 'CAN') and rest:
            found.append({
                'profile': rest.lower().replace('_', '-'),
                'stands': word.lower(), 'published': [name]})
    return found


def drift(seen: VisibleNode, stands: Iterable[Document]) -> list[str]:
    """What is not as it was brought about, in words."""
    info = seen.info or {}
    found = []
    for one in stands:
        name, differs = one['profile'], one.get('differs') or ()
        declared = name == keys.APPLIED.read(info) \
            or grammar.is_trait(name) in seen.ours
        if declared and one['stands'] == 'differs':
            first = next(iter(differs), None)
            found.append(f'not as {name} says any more' + (
                f": {first['device']} {first['name']}, "
                f"{len(differs)} in all" if first else ''))
    found += [f'{name} is void' for name in keys.VOID.read(info) or ()]
    if grammar.DEGRADED in (seen.traits or ()):
        found.append('degraded')
    return found
