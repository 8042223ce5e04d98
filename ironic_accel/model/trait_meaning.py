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


"""The meaning of a published trait, as a value.

A trait is withdrawn by its meaning, never by its name, since a name may
contain that of a device, a product or a mode. The conductor stores with a
node the meaning of each of its traits, as one short text for each trait
(``driver_internal_info['accel_traits']``), and the commands show it. These
texts are read and written here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
from typing import Any


class TraitType(enum.StrEnum):
    """What kind of statement a trait is; the value is the stored word."""

    #: Devices are there and healthy: a kind, a product, a count, PCI ids.
    PRESENT = 'here'
    #: A mode is set on all devices of a kind.
    MODE = 'mode'
    #: The node is in a profile.
    IS_PROFILE = 'is'
    #: The node can be brought into a profile.
    CAN_PROFILE = 'can'
    #: Devices are missing, unhealthy or not read.
    DEGRADED = 'degraded'
    #: Stored by another release, or damaged.
    UNKNOWN = 'unknown'


_WITH_SUBJECT = frozenset({
    TraitType.MODE, TraitType.IS_PROFILE, TraitType.CAN_PROFILE})


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class TraitMeaning:
    """The meaning of one trait.

    :ivar type: the kind of statement.
    :ivar subject: the device kind of a mode, the name of a profile, the
        stored text where it is not understood; empty otherwise.
    """

    type: TraitType
    subject: str = ''

    @classmethod
    def mode(cls, kind: str) -> TraitMeaning:
        """A mode is set on all devices of a kind."""
        return cls(TraitType.MODE, kind)

    @classmethod
    def is_profile(cls, name: str) -> TraitMeaning:
        """The node is in a profile."""
        return cls(TraitType.IS_PROFILE, name)

    @classmethod
    def can_profile(cls, name: str) -> TraitMeaning:
        """The node can be brought into a profile."""
        return cls(TraitType.CAN_PROFILE, name)

    @classmethod
    def parse(cls, text: Any) -> TraitMeaning:
        """A stored text as a value; of type UNKNOWN where it is none."""
        if not isinstance(text, str):
            return cls(TraitType.UNKNOWN, repr(text))
        word, _, subject = text.partition(' ')
        try:
            found = cls(TraitType(word), subject)
        except ValueError:
            return cls(TraitType.UNKNOWN, text)
        if found.type is TraitType.UNKNOWN \
                or bool(subject) != (found.type in _WITH_SUBJECT):
            return cls(TraitType.UNKNOWN, text)
        return found

    def __str__(self) -> str:
        """The stored text; ``parse`` reads it back."""
        if self.type is TraitType.UNKNOWN:
            return self.subject
        return (f'{self.type} {self.subject}' if self.subject
                else str(self.type))

    @property
    def profile(self) -> str | None:
        """The profile that it speaks for, or None."""
        if self.type in (TraitType.IS_PROFILE, TraitType.CAN_PROFILE):
            return self.subject
        return None


PRESENT = TraitMeaning(TraitType.PRESENT)
DEGRADED = TraitMeaning(TraitType.DEGRADED)


def read(stored: Any) -> dict[str, TraitMeaning]:
    """The meaning of each stored trait of a node, by its name.

    :param stored: ``accel_traits``, or None; anything but a mapping counts
        as empty.
    """
    if not isinstance(stored, Mapping):
        return {}
    return {str(name): TraitMeaning.parse(text)
            for name, text in stored.items()}


def written(meanings: Mapping[str, TraitMeaning]) -> dict[str, str]:
    """What is to be stored; ``read`` reads it back."""
    return {name: str(meanings[name]) for name in sorted(meanings)}
