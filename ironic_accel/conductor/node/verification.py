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

"""Verifications: records that a node was read back as compliant.

An IS trait requires one. It is void if the profile has changed, if conductors
differ about it, if a tenant had the node since, or if it is too old.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import math
from typing import Any

from ironic.common import states

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node.stored_values import StoredProof
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile

#: Seconds by which a proof may have been made later than now: conductors ask
#: the database for its time now and then.
AHEAD = 300.0

#: Provision states of a node without a tenant.
FREE = frozenset({
    states.ENROLL, states.MANAGEABLE, states.AVAILABLE, states.CLEANING,
    states.CLEANWAIT, states.CLEANFAIL, states.INSPECTFAIL})


def of(node: Any) -> dict[str, StoredProof]:
    """Proofs by profile: ``digest``, ``at`` (shared time), ``devices``."""
    return dict(keys.PROOFS.of(node) or {})


def keep(node: Any, profile: Profile, devices: Iterable[str],
         now: float | None = None) -> None:
    """Note that a profile was proved; the caller saves the node.

    :param now: when the oldest of what proves it was read (epoch seconds).
    """
    found = of(node)
    found[profile.name] = {
        'digest': profile.digest, 'devices': sorted(set(devices)),
        'at': clock.shared() if now is None else now}
    keys.PROOFS.put(node, found)


def drop(node: Any, names: Collection[str]) -> None:
    """Forget some proofs; the caller saves the node."""
    left = {k: v for k, v in of(node).items() if k not in names}
    if left:
        keys.PROOFS.put(node, left)
    else:
        keys.PROOFS.drop(node)


def on_devices(node: Any, devices: Collection[str]) -> set[str]:
    """The profiles whose proofs rest on one of these devices.

    :param devices: their ids.
    """
    wanted = set(devices)
    return {name for name, proof in of(node).items()
            if wanted & set(proof['devices'])}


def had_tenant(node: Any) -> bool:
    """Whether a tenant had the node and has left it.

    By the provision state, not by the instance: a node that was deployed
    without Nova has none.
    """
    return (bool(keys.TENANT.of(node)) and not node.instance_uuid
            and node.provision_state in FREE)


def too_old(at: float, now: float) -> bool:
    """Whether a verification of that time (epoch seconds) has expired."""
    return is_past(at, now, CONF.accelerator.verification_max_age)


def is_past(at: float, now: float, oldest: int) -> bool:
    """Whether something of that time (epoch seconds) is past an age.

    The age of one with a time in the future is unknown: the clock of the
    database was set back since, or it was a conductor's that was ahead.

    :param oldest: seconds; 0 for no limit.
    """
    return bool(oldest) and not -AHEAD <= now - at <= oldest


def holds_until(node: Any) -> float:
    """When the first proof of a node gets too old (epoch seconds).

    Infinite without a proof, and where proofs do not age.
    """
    oldest = CONF.accelerator.verification_max_age
    return min((proof['at'] + oldest for proof in of(node).values()),
               default=math.inf) if oldest else math.inf


def void(node: Any, profiles: Mapping[str, Profile],
         now: float | None = None) -> dict[str, str]:
    """The proofs that no longer hold, each with why.

    :param profiles: the site profiles as they are now.
    """
    now = clock.shared() if now is None else now
    differing = profile_agreement.differing() if of(node) else {}
    out = {}
    for name, proof in of(node).items():
        profile = profiles.get(name)
        if profile is None:
            out[name] = 'the profile was removed'
        elif profile.digest != proof['digest']:
            out[name] = 'the profile has changed'
        elif name in differing:
            out[name] = (f'conductor {differing[name]} has a different '
                         'profile of this name')
        elif too_old(proof['at'], now):
            out[name] = 'the verification has expired'
        elif had_tenant(node):
            out[name] = 'a tenant had the node'
    return out


def read_at(plan: Plan, own: Inventory | None,
            looks: Mapping[str, float], now: float) -> float:
    """When the oldest item that satisfies a plan was read.

    An item that an inventory did not read itself was carried over from the
    last inventory of the transport that can, and is as old as that.

    :param own: what the inventory itself read, before anything was carried
        over; with the ids of the plan; None if that is no longer known.
    :param looks: the time of the last inventory of each transport (epoch
        seconds).
    :param now: the time of this inventory (epoch seconds).
    """
    if own is not None and all(_read(own, x.item) for x in plan.satisfied):
        return now
    return min(looks.values(), default=now)


def _read(own: Inventory, item: Item) -> bool:
    device = own.device(item.device)
    if device is None:
        return False
    if item.kind == 'mode':
        mode = device.mode(item.name)
        return mode is not None and mode.current is not None
    part = device.component(item.name)
    return item.kind == 'device' or (
        part is not None and part.running is not None)
