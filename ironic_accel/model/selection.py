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

"""Which of some profiles a node is one for, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from ironic_accel.model import condition
from ironic_accel.model.device import Inventory
from ironic_accel.model import matching
from ironic_accel.model.profile import Profile


@dataclasses.dataclass(frozen=True, slots=True)
class Tried:
    """One profile that was considered.

    :ivar why: why it is not the one, or empty.
    """

    profile: str
    why: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class ProfileChoice:
    """The profile that was chosen, or None, and all that were tried.

    :ivar untold: whether none is chosen because something was not read.
    """

    profile: Profile | None
    tried: tuple[Tried, ...]
    untold: bool = False

    @property
    def words(self) -> str:
        """Say what was chosen, and why nothing before it."""
        parts = [f'{t.profile}: {t.why or "matches"}' for t in self.tried]
        return '; '.join(parts) or 'there are no profiles to select from'


def first(profiles: Iterable[Profile], seen: Inventory) -> ProfileChoice:
    """The first profile whose every group has its devices.

    Firmware, modes and health of the devices do not matter: a node with an
    unhealthy GPU has the same baseline, which is then refused. If an unread
    resource may decide whether a profile matches, none is selected: the next
    one would be a guess.
    """
    tried = []
    for profile in profiles:
        unread = untold(profile, seen)
        if unread:
            tried.append(Tried(profile.name, unread))
            return ProfileChoice(None, tuple(tried), True)
        why = mismatch(profile, seen)
        tried.append(Tried(profile.name, why))
        if not why:
            return ProfileChoice(profile, tuple(tried))
    return ProfileChoice(None, tuple(tried))


def untold(profile: Profile, seen: Inventory) -> str:
    """What keeps from counting the devices of a profile, or empty."""
    for group in profile.groups:
        unread = [d for d in seen.devices if matching.may_match(group, d)]
        for refusal in condition.uncounted(group, seen, unread):
            return f'group {group.name}: {refusal.reason}'
    return ''


def mismatch(profile: Profile, seen: Inventory) -> str:
    """Why a node is none for a profile, or empty."""
    for group in profile.groups:
        found = sum(matching.matches(group, d) for d in seen.devices)
        for refusal in condition.count(group, found):
            return (f'group {group.name} requires {refusal.expected} devices, '
                    f'found {found}')
    return ''
