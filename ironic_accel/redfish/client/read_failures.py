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

"""What remains unknown after a failed read, as declared by the reader."""

from __future__ import annotations

import dataclasses
import enum
import re

#: Status codes of a resource that does not exist.
NOT_THERE = frozenset({404, 405, 501})


class Role(enum.Enum):
    """The role of a resource in the inventory.

    The value is its name in messages.
    """

    DEVICE = 'a device'
    COLLECTION = 'a collection of devices'
    SERVICE = 'a task, job or update resource'
    PART = 'a sub-resource of a device'


@dataclasses.dataclass(frozen=True, slots=True)
class Impact:
    """What is unknown while a resource is unread.

    :ivar role: role of the resource.
    :ivar kinds: kinds of device that it may hide.
    :ivar facts: facts of a device (``Device.unread`` has their names).
    :ivar about: path of that device's own resource; facts without it are
        unknown for every device.
    :ivar holds: whether it is needed to know that the system is idle.
    :ivar optional: whether a service may list it although it does not exist,
        so that repeated HTTP 404 means absent (``read_history``).
    """

    role: Role = Role.PART
    kinds: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    about: str | None = None
    holds: bool = False
    optional: bool = True

    def __or__(self, other: Impact) -> Impact:
        """Both together, with the stricter role."""
        order = list(Role)
        return Impact(
            min(self.role, other.role, key=order.index),
            tuple(dict.fromkeys((*self.kinds, *other.kinds))),
            tuple(dict.fromkeys((*self.facts, *other.facts))),
            self.about if self.about == other.about else None,
            self.holds or other.holds, self.optional and other.optional)


def part(about: str, *facts: str) -> Impact:
    """A sub-resource of one device."""
    return Impact(facts=facts, about=about)


#: For resources that the inventory does not need: logs, metrics,
#: certificates, counters.
NOTHING = Impact()

#: Path suffixes that cannot be accepted as unread, with their roles.
_NEVER = (
    (Role.SERVICE, r'(?:TaskService|JobService|UpdateService)(?:/.*)?'),
    (Role.SERVICE, r'.*/Oem/.*/Jobs(?:/[^/]+)?'),
    (Role.COLLECTION, r'(?:.*/)?(?:Systems|Chassis|Processors|PCIeDevices|'
                      r'NetworkAdapters|Storage|Devices|PCIDevices)'),
    (Role.DEVICE, r'(?:.*/)?(?:Systems|Chassis|Processors|PCIeDevices|'
                  r'NetworkAdapters|Storage|Devices|PCIDevices)/[^/]+'))


def refusal(uri: str) -> str | None:
    """Why a resource cannot be accepted as unread, or None.

    Only sub-resources can: without a device, a collection, a task, a job or
    an update resource it is unknown which devices exist, or whether the
    system is idle.
    """
    found = re.fullmatch(r'/redfish/v1/(.+?)/?', uri)
    if found is None:
        return f'{uri!r} is not a path below /redfish/v1'
    for role, pattern in _NEVER:
        if re.fullmatch(pattern, found[1]):
            return f'{uri} is {role.value}: only sub-resources can be accepted'
    return None
