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

"""The document ``trait-why/1``: why a node has a trait, or has it not.

It is made of what the caller may read: the traits, the last inventory, what
the conductor stores with the node (verifications, void traits, disputed
devices, the last result), and the site profiles.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import math
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.report import compliance
from ironic_accel.faces.osc.report.fleet_profiles import FleetProfiles
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces.osc.report import trait_devices
from ironic_accel.faces.osc.report import trait_profiles
from ironic_accel.faces.osc.report.trait_reason import Inquiry
from ironic_accel.faces.osc.report.trait_reason import ForAgainst
from ironic_accel.faces.osc.report.trait_reason import merged
from ironic_accel.faces.osc.report.trait_reason import Reason
from ironic_accel.faces import view
from ironic_accel.model import errors
from ironic_accel.model import trait_meaning
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model.trait_meaning import TraitType
from ironic_accel.model import traits as grammar

SCHEMA = 'trait-why/1'
#: The fields of the document.
FIELDS = ('schema', 'node', 'uuid', 'trait', 'status', 'profile', 'digest',
          'verified_at', 'inventory_at', 'reasons', 'next')
#: What a trait is on a node.
STATUSES = ('published', 'void', 'not recorded', 'not managed', 'missing')
PUBLISHED, VOID, NOT_RECORDED, NOT_MANAGED, MISSING = STATUSES


def explain(seen: VisibleNode, trait: str,
            site: FleetProfiles) -> dict[str, Any]:
    """The document about one trait of a node.

    :param seen: the node, whose traits the caller may read.
    :param trait: the name of the trait.
    :returns: ``status`` (one of STATUSES), ``reasons`` (see ``Reason``), and
        ``next``: what to do first, or null.
    """
    asked = Inquiry(seen, trait, site, compliance.basis(seen))
    meaning = trait_meaning.read(keys.TRAITS.read(seen.info)).get(trait)
    status = _status(asked, meaning)
    found = merged(_reasons(asked, status, meaning))
    proof = None
    if meaning is not None and meaning.type is TraitType.IS_PROFILE:
        proof = (keys.PROOFS.read(seen.info) or {}).get(meaning.subject)
    profile = trait_profiles.find(asked)
    return {
        'schema': SCHEMA, 'node': seen.ref, 'uuid': seen.node['uuid'],
        'trait': trait, 'status': status,
        'profile': profile.name if profile else meaning.profile
        if meaning else None,
        'digest': proof['digest'] if proof else None,
        'verified_at': formatters.moment(proof['at'] if proof else None),
        'inventory_at': formatters.moment(seen.at),
        'reasons': [one.to_dict() for one in found],
        'next': next((one.todo for one in found if one.todo), None)}


def _status(asked: Inquiry, meaning: TraitMeaning | None) -> str:
    seen, trait = asked.seen, asked.trait
    ours = trait.startswith(grammar.PREFIX) or meaning is not None
    if not ours:
        return NOT_MANAGED
    if trait not in (seen.traits or ()):
        return MISSING
    if trait in (keys.VOID.read(seen.info) or ()):
        return VOID
    if meaning is None and seen.info is not None:
        return NOT_RECORDED
    return PUBLISHED


def _reasons(asked: Inquiry, status: str,
             meaning: TraitMeaning | None) -> list[Reason]:
    """The reasons for a status, those of the whole node first."""
    if status == NOT_MANAGED:
        there = 'has' if asked.trait in (asked.seen.traits or ()) \
            else 'does not have'
        return [Reason(
            'not-managed', f'ironic-accel publishes traits that begin with '
            f'{grammar.PREFIX}; the node {there} this one, whoever sets it',
            todo=f'baremetal node trait list {asked.seen.ref}')]
    found: list[Reason] = []
    if asked.seen.info is None:
        found.append(Reason(
            'not-permitted', 'driver_internal_info may not be read by this '
            'user: what was verified, voided or withdrawn is not known'))
    pro, con = _by_type(asked)
    if status == PUBLISHED:
        return [*found, *_published(asked, meaning), *pro, *con]
    if status == NOT_RECORDED:
        found.append(Reason(
            'not-recorded', 'the conductor did not publish it: somebody else '
            'set it, or an earlier release did; the next publication '
            + ('records it' if pro and not con else 'removes it'),
            todo=asked.next('refresh')))
        return [*found, *pro, *con]
    if status == VOID:
        found.append(Reason(
            'void', 'it is not true any more; it is kept until the instance '
            'that requires it is deleted, since a rebuild checks it'))
    wide = list(_of_node(asked, con))
    found += [*wide, *con]
    if not con and not wide:
        found.append(_due(asked, pro))
    return found


def _by_type(asked: Inquiry) -> ForAgainst:
    tail = asked.tail
    return (trait_profiles.reasons(asked) if tail.startswith(('IS_', 'CAN_'))
            else trait_devices.reasons(asked))


def _published(asked: Inquiry, meaning: TraitMeaning | None,
               ) -> Iterator[Reason]:
    """What is known of a published trait besides its reasons."""
    if meaning is not None and meaning.type is TraitType.UNKNOWN:
        yield Reason('unknown-meaning', 'its stored meaning is of another '
                     f'release: {view.value(meaning.subject)}',
                     todo=asked.next('refresh'))
    if asked.on is None:
        yield from _no_inventory(asked)
    if asked.trait == grammar.DEGRADED:
        yield Reason('degraded', 'something of the node is missing, unhealthy '
                     'or unread, or it could not be read for too long')


def _no_inventory(asked: Inquiry) -> Iterator[Reason]:
    if asked.seen.denied:
        yield Reason('not-permitted', asked.seen.denied[0])
    else:
        yield Reason('no-inventory', 'no inventory was taken yet',
                     todo=asked.next('refresh'))


def _of_node(asked: Inquiry, con: Collection[Reason]) -> Iterator[Reason]:
    """What keeps any trait from being published on the node."""
    seen = asked.seen
    if asked.on is None:
        yield from _no_inventory(asked)
    elif asked.on.inventory.host == 'off':
        yield Reason('host-off', 'the host was off at the last inventory: '
                     'its devices were not listed',
                     todo=asked.next('refresh', '--power-on'))
    elif not asked.on.inventory.complete:
        yield Reason('incomplete', 'the last inventory is not complete: '
                     f'{asked.on.inventory.unready}',
                     todo=asked.next('refresh'))
    yield from _of_operations(asked)
    yield from _of_tenant(asked, con)
    yield from _of_limit(asked)
    state = str(seen.node.get('provision_state'))
    if state not in keys.REFRESH_STATES:
        yield Reason('state', f'the node is {state}: traits are published '
                     'when it can be refreshed again')


def _of_operations(asked: Inquiry) -> Iterator[Reason]:
    """The operation in progress, and the last one."""
    info, state = asked.seen.info, asked.seen.node.get('provision_state')
    current = keys.OPERATION.read(info)
    if current and not keys.has_ended(current, str(state)):
        words = f"{current['step']} {current.get('profile') or ''}".strip()
        yield Reason('operation', f'{words} is in progress: traits of what it '
                     'changes are withdrawn until they are verified again',
                     todo=asked.next('progress'))
        return
    last = keys.RESULT.read(info) or {}
    error = last.get('error')
    ended = last.get('finished')
    later = asked.seen.at is None or not isinstance(
        ended, int | float) or ended > asked.seen.at
    if isinstance(error, Mapping) and later:
        yield Reason(
            'failed', f"{last.get('step')} {last.get('outcome')}: "
            + errors.word(errors.Detail.from_dict(error)),
            todo=asked.next('history', '--failed'))
    profile = str(last.get('profile') or '')
    if last.get('no_is') and profile \
            and grammar.is_trait(profile) == asked.trait:
        yield Reason('last-result', f'at the end of {last.get("step")} it was '
                     f"not published: {last['no_is']}",
                     todo=asked.next('history'))


def _of_tenant(asked: Inquiry, con: Collection[Reason]) -> Iterator[Reason]:
    """What is not certain since a tenant left the node: profiles and modes.

    Which devices are there stays certain.
    """
    gone, at = keys.INSIDE_VOID.read(asked.seen.info), asked.seen.at
    if gone is None or not (asked.tail.startswith('IS_')
                            or trait_devices.is_of_mode(asked.trait)):
        return
    when = (f' until {formatters.moment(gone)}' if math.isfinite(gone)
            else '')
    if at is None or gone > at:
        yield Reason('tenant', f'a tenant had the node{when} and may have '
                     'changed it', todo=asked.next('refresh'))
    elif con:
        yield Reason('tenant', f'a tenant had the node{when}; what only the '
                     'ramdisk can read was not read since')


def _of_limit(asked: Inquiry) -> Iterator[Reason]:
    """The limit of traits that a node may have."""
    seen = asked.seen
    names = seen.traits or ()
    dropped = (keys.RESULT.read(seen.info) or {}).get('dropped_traits')
    left_out = isinstance(dropped, list) and asked.trait in dropped
    if left_out or len(names) >= grammar.BUDGET:
        others = len(names) - len(seen.accel_traits)
        yield Reason(
            'limit', f'a node may have {grammar.BUDGET} traits in total, and '
            'the more important ones were published first; it has '
            f'{len(names)}, of which {others} are not managed by ironic-accel',
            expected=grammar.BUDGET, seen=len(names),
            todo=f'baremetal node trait list {seen.ref}')


def _due(asked: Inquiry, pro: Collection[Reason]) -> Reason:
    """The reason if nothing in the stored data speaks against a trait."""
    if asked.trait == grammar.DEGRADED and pro:
        text = 'it is published with the next inventory'
    elif not pro:
        text = 'nothing that is stored tells why; take a new inventory'
    else:
        text = ('the last inventory has what it requires: it was withdrawn '
                'since, or was not published yet; the next inventory '
                'publishes it')
    return Reason('due', text, tuple(
        dict.fromkeys(d for one in pro for d in one.devices)),
        todo=asked.next('refresh'))
