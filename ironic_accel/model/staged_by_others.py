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

"""Changes that others staged and that a host reset would activate.

A scheduled job, pending settings or staged firmware: the host reset of a run
would start them too, which the operator did not ask for.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Waiting
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Refusal
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Staged
from ironic_accel.model.serialization import plain

#: The word of a profile's ``allow`` that consents to it.
CONSENT = 'staged'


def by_others(inventory: Inventory, staged: Iterable[Staged],
           wanted: Collection[Ref], reset: Activation) -> tuple[Waiting, ...]:
    """What a host reset would activate that does not belong to the run.

    The items of the record and of the profile belong to it. An update of the
    run whose job the service did not name counts as a waiting one, if there
    are as many of them.

    :param wanted: what the profile is about.
    """
    known = [*staged]
    mine = {*wanted, *(x.item.ref for x in known),
            *(ref for x in known for ref in x.also)}
    jobs = {_name(x.job) for x in known if x.job}
    left = [w for w in (*inventory.waiting, *_pending(inventory, mine))
            if _name(w.ref) not in jobs and w.activation.rank <= reset.rank]
    nameless = {(x.digest, x.boot) for x in known
                if x.at_reset and x.job is None and x.begun is None}
    updates = [w for w in left if w.kind == 'task' and w.updates]
    if 0 < len(updates) <= len(nameless):
        left = [w for w in left if w not in updates]
    return tuple(left)


def refused(inventory: Inventory, staged: Iterable[Staged],
            wanted: Collection[Ref], reset: Activation, profile: Profile
            ) -> list[Refusal]:
    """The refusals of a host reset because of changes of others."""
    if not reset.is_host_reset or CONSENT in profile.allow:
        return []
    return [Refusal(
        Item(w.ref, w.kind, 'device', None),
        f'the {reset} of the host would also activate a change that another '
        f'party staged: {w.words}; remove it or wait for it, or add {CONSENT} '
        'to allow of the profile', 'no staged changes', w.summary)
        for w in by_others(inventory, staged, wanted, reset)]


def _name(ref: str) -> str:
    """A job has one name in all the places that show it."""
    return ref.rstrip('/').rsplit('/', 1)[-1]


def _pending(inventory: Inventory, mine: Collection[Ref]
             ) -> Iterator[Waiting]:
    """What devices show as waiting and is none of ours."""
    for device in inventory.devices:
        for part in device.components:
            if part.pending is not None and (
                    device.id, part.name) not in mine:
                yield Waiting(
                    'firmware', f'{device.id}/{part.name}',
                    f'{part.name} {part.pending} of {device.id}',
                    part.activation or Activation.WARM_REBOOT)
        for mode in device.modes:
            if mode.pending is not None and (
                    device.id, mode.name) not in mine:
                yield Waiting(
                    'settings', f'{device.id}/{mode.name}',
                    f'{mode.name} {plain(mode.pending)} of {device.id}',
                    mode.activation or Activation.WARM_REBOOT)
