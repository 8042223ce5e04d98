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

"""Why a node has the IS or CAN trait of a profile, or has it not.

The reasons are found as the conductor finds them (``conductor.publication.
compliance``): by a plan of the last inventory, and by what is stored with the
node.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import time

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc.report import compliance
from ironic_accel.faces.osc.report.trait_reason import Inquiry
from ironic_accel.faces.osc.report.trait_reason import ForAgainst
from ironic_accel.faces.osc.report.trait_reason import Reason
from ironic_accel.faces import plan_view
from ironic_accel.faces import view
from ironic_accel.model import catalog
from ironic_accel.model import matching
from ironic_accel.model.plan import NOT_APPLIED
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Refusal
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from ironic_accel.model import traits as grammar

_LIST = 'baremetal accelerator profile list'


def find(asked: Inquiry) -> Profile | None:
    """The profile that a trait is about, as its conductor has it, or None."""
    for profile, _ in asked.site.versions:
        if asked.trait in (grammar.is_trait(profile),
                           grammar.can_trait(profile)):
            return asked.site.of_node(profile.name, asked.seen.node)
    return None


def reasons(asked: Inquiry) -> ForAgainst:
    """What speaks for the trait of a profile, and what against it."""
    against = list(_of_site(asked))
    profile = find(asked)
    if profile is None:
        return [], against
    is_trait = asked.trait == grammar.is_trait(profile)
    if not (is_trait or profile.offered):
        against.append(Reason(
            'not-offered', f'profile {profile.name} is not offered, so no '
            'node has its CAN trait',
            todo="add 'offered: true' to the profile on all conductors"))
    if asked.on is None:
        return [], against
    against += _of_devices(asked, profile)
    if not matching.applies(profile.groups, asked.on.inventory.devices):
        groups = ', '.join(g.name for g in profile.groups)
        against.append(Reason(
            'does-not-apply', f'{NOT_APPLIED} (groups: {groups})',
            todo=asked.next('list')))
        return [], against
    plan = _plan(asked.on, profile)
    if is_trait:
        against += _differences(asked, profile, plan)
        against += _of_proof(asked, profile)
        return _verified(asked, profile, plan), against
    against += _not_possible(asked, profile, plan)
    return ([] if against else [Reason(
        'possible', plan_view.headline(plan.to_dict()),
        _selected(asked, profile))]), against


def _plan(on: compliance.Basis, profile: Profile) -> Plan:
    """The plan; where it is not known what can write, without writes."""
    if on.why is None:
        return on.plan(profile)
    return make_plan(on.inventory, profile, (), (), catalog.load())


def _of_site(asked: Inquiry) -> Iterator[Reason]:
    """What the conductors have against it."""
    site, node = asked.site, asked.seen.node
    names = sorted({p.name for p, _ in site.versions if asked.trait in (
        grammar.is_trait(p), grammar.can_trait(p))})
    differing = {name for name in keys.DIFFERING.read(asked.seen.info) or ()
                 if asked.trait in (grammar.is_trait(name),
                                    grammar.can_trait(name))}
    differing |= {name for name in names if name not in site.agreed}
    for name in sorted(differing):
        hosts = '; '.join(f"{p.digest} on {', '.join(on)}"
                          for p, on in site.versions if p.name == name)
        yield Reason(
            'conductors-differ', f'conductors have different profiles {name}'
            + (f' ({hosts})' if hosts else ''),
            todo='give all conductors the same file, then: '
                 + asked.next('refresh'))
    conductor = node.get('conductor')
    if names and find(asked) is None and str(conductor) in site.answered:
        yield Reason('unknown-profile', f'conductor {conductor} of this node '
                     f'has no profile {names[0]}', todo=_LIST)
    elif not names and site.denied:
        yield Reason('profiles-not-read', 'the site profiles could not be '
                     f'read: {site.denied[0]}')
    elif not names:
        known = ', '.join(sorted({p.name for p, _ in site.versions}))
        yield Reason('unknown-profile', 'no site profile has this trait; '
                     f"site profiles: {known or 'none'}", todo=_LIST)


def _of_devices(asked: Inquiry, profile: Profile) -> list[Reason]:
    """Devices of which it is not certain that they are the node's."""
    inventory = asked.on.inventory if asked.on else None
    if inventory is None:
        return []
    found = asked.disputed(_selected(asked, profile))
    found += [Reason(
        'unread', f'whether an update is in progress is not known: {u.words}',
        todo=asked.next('refresh')) for u in inventory.held]
    kinds = sorted({d.kind for d in inventory.devices if any(
        matching.matches(g, d) for g in profile.groups)}
        & set(inventory.uncounted))
    if kinds:
        found.append(Reason(
            'uncounted', f"the number of {', '.join(kinds)} is unknown: "
            'transports show different devices',
            todo=asked.next('refresh')))
    return found


def _selected(asked: Inquiry, profile: Profile) -> tuple[str, ...]:
    devices = asked.on.inventory.devices if asked.on else ()
    return tuple(d.id for d in devices if any(
        matching.matches(g, d) for g in profile.groups))


def _group(asked: Inquiry, profile: Profile, device: str) -> str | None:
    """The group that an item belongs to."""
    found = asked.on.inventory.device(device) if asked.on else None
    names = [g.name for g in profile.groups]
    if found is None:
        # A refusal may be about a group as such.
        return device if device in names else None
    return next((g.name for g in profile.groups
                 if matching.matches(g, found)), None)


def _refusals(asked: Inquiry, profile: Profile,
              refused: Iterable[Refusal]) -> list[Reason]:
    """What a plan refuses, with the group."""
    groups = {g.name for g in profile.groups}
    return [Reason(
        'unread' if r.unread else 'refused', f'{r.item.name}: {r.reason}',
        () if r.item.device in groups else (r.item.device,),
        _group(asked, profile, r.item.device), r.item.name, r.expected, r.seen,
        asked.next('refresh') if r.unread
        else asked.next('plan', '--profile', profile.name))
        for r in refused]


def _differences(asked: Inquiry, profile: Profile, plan: Plan) -> list[Reason]:
    """Why a node does not comply: what differs, waits or is lost."""
    found = _refusals(asked, profile, plan.refused)
    doc, todo = plan.to_dict(), asked.next('apply', '--profile', profile.name)
    for stage in doc['stages']:
        changes = [i for a in stage['actions'] for i in a['items']]
        found += [Reason(
            'differs', f"{i['name']} differs from the profile",
            (i['device'],), _group(asked, profile, i['device']), i['name'],
            i['to'], i['from'], todo) for i in changes]
        found += [Reason(
            'staged', f"{i['name']} is written and not active yet; active "
            f"after: {i['reset']}", (i['device'],),
            _group(asked, profile, i['device']), i['name'],
            todo=todo) for i in stage['staged']]
    found += [Reason(
        'differs', f"the fallback slot of {i['name']} has another version",
        (i['device'],), _group(asked, profile, i['device']), i['name'],
        i['to'], i['from'], todo) for i in doc['fallback']]
    return found + [Reason(
        'not-persistent', f'{x.item.name} is not known to survive a reboot',
        (x.item.device,), _group(asked, profile, x.item.device), x.item.name,
        seen=x.seen) for x in plan.satisfied if not x.persistent]


def _not_possible(asked: Inquiry, profile: Profile, plan: Plan
                  ) -> list[Reason]:
    """Why a deployment cannot apply the profile."""
    if asked.on is not None and asked.on.why is not None:
        return [Reason('not-permitted', f'{asked.on.why}: no plan can be '
                       'made')]
    found = _refusals(asked, profile, plan.refused)
    updates = [i for s in plan.to_dict()['stages'] for a in s['actions']
               if a['verb'] == 'update' for i in a['items']]
    if updates and 'burn_at_deploy' not in profile.allow:
        found += [Reason(
            'update-at-deploy', f"{i['name']} needs an update, and the "
            'profile does not allow updates during a deployment',
            (i['device'],), _group(asked, profile, i['device']), i['name'],
            i['to'], i['from'], asked.next('apply', '--profile',
                                           profile.name)) for i in updates]
    if plan.manual:
        found.append(Reason('refused', 'its activation needs an AC power '
                            'cycle by hand, which no deployment performs'))
    return found


def _of_proof(asked: Inquiry, profile: Profile) -> Iterator[Reason]:
    """Why a verification does not count any more."""
    proof = (keys.PROOFS.read(asked.seen.info) or {}).get(profile.name)
    if proof is not None and proof['digest'] != profile.digest:
        yield Reason(
            'profile-changed', 'the profile was changed after the '
            'verification', expected=profile.digest, seen=proof['digest'],
            todo=asked.next('refresh'))
    at = asked.seen.at if proof is None else proof['at']
    oldest = asked.options.get('verification_max_age')
    if isinstance(oldest, int) and oldest and at is not None \
            and time.time() - at > oldest:
        yield Reason(
            'expired', 'the values were read more than '
            f'[accelerator]verification_max_age = {oldest} seconds ago',
            todo=asked.next('refresh'))


def _verified(asked: Inquiry, profile: Profile, plan: Plan) -> list[Reason]:
    """The items that were read back, by group."""
    by_group: dict[str | None, dict[str, list[str]]] = {}
    for proof in plan.satisfied:
        if proof.persistent and proof.item.kind != 'device':
            by_group.setdefault(_group(asked, profile, proof.item.device),
                                {}).setdefault(proof.item.name, []).append(
                                    proof.item.device)
    return [Reason(
        'verified', f"{view.value(sorted(items))} read back as declared",
        tuple(dict.fromkeys(d for ids in items.values() for d in ids)),
        group, ', '.join(sorted(items)))
        for group, items in by_group.items()]
