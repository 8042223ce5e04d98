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

"""What identifies a BMC and its System, whatever its host name is."""

from __future__ import annotations

import dataclasses
import uuid

from ironic_accel.model import device_marks
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory import topology

#: UUIDs that many machines share: defaults of system firmware (American
#: Megatrends, in both byte orders; FOG Project, FOGBase::getHostItem, has
#: such a list from the field), the constant of sushy-tools
#: (sushy_tools/emulator/templates/root.json) and the one of the mockups of
#: DSP2043.
PLACEHOLDERS = frozenset(map(uuid.UUID, (
    '00020003-0004-0005-0006-000700080009',
    '03000200-0400-0500-0006-000700080009',
    '12345678-1234-5678-90ab-cddeefaabbcc',
    '85775665-c110-4b85-8989-e6162170b3ec',
    '92384634-2938-2342-8820-489239905423')))


@dataclasses.dataclass(frozen=True, slots=True)
class BmcIdentity:
    """A System and its BMC; values that identify nothing are None.

    :ivar url: scheme and authority under which the BMC was reached.
    :ivar system: the path of the System.
    :ivar service: UUID of the service root.
    :ivar uuid: UUID of the System.
    :ivar serial: serial number of the System.
    :ivar others: UUIDs of all Systems of the BMC.
    """

    url: str
    system: str
    service: str | None = None
    uuid: str | None = None
    serial: str | None = None
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The UUIDs by which the BMC is known.

        Those of its Systems only if the service has none: boards with the
        same UUID are more frequent than BMCs with the same.
        """
        return (self.service,) if self.service else self.others

    def is_same(self, other: BmcIdentity) -> bool:
        """Whether both are the same System of the same BMC.

        No value may contradict, and a UUID has to be equal; if one of the
        two has none, the URL.
        """
        pairs = ((self.service, other.service), (self.uuid, other.uuid),
                 (self.serial, other.serial))
        if self.system != other.system or any(
                a and b and a != b for a, b in pairs):
            return False
        return (any(a and a == b for a, b in pairs[:2])
                or origin.of(self.url) == origin.of(other.url))


def read(reader: Reader, url: str, wanted: str | None) -> BmcIdentity:
    """Read the identity of a BMC and of the node's own System.

    :param wanted: path or Id of the System; None if there is only one.
    :raises: BadInput if there is no such System; Unreachable.
    """
    root, systems, own = topology.own_system(reader, wanted)
    serial = device_marks.clean_serial(own.text('SerialNumber'))
    return BmcIdentity(
        url, own.uri, _uuid(root), _uuid(own), serial,
        tuple(sorted({found for system in (own, *systems)
                      if (found := _uuid(system))})))


def _uuid(resource: Fields) -> str | None:
    """The UUID of a resource in lower case, unless it identifies nothing.

    ComputerSystem.UUID and ServiceRoot.UUID have 8-4-4-4-12 digits in any
    case (DSP2046, property patterns).
    """
    text = resource.text('UUID')
    try:
        found = uuid.UUID(text or '')
    except ValueError:
        return None
    if found in PLACEHOLDERS or found.int in (0, (1 << 128) - 1):
        return None
    return str(found)
