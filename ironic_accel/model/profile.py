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

"""What the operator declares: the profile, format 1, as typed values.

``model.loader`` reads them from YAML or plain data and checks them.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value

FORMAT = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Push:
    """The escape hatch: how an image is pushed, whatever we would choose.

    :ivar style: the name of a push style of the backend.
    :ivar targets: URIs to write, or None to leave them to the style.
    """

    style: str
    targets: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """A firmware image.

    :ivar sha256: 64 lower-case hexadecimal digits.
    :ivar fits: by key (psid, board, part_number, model, pci), the accepted
        values; every key has to be seen on a device and be equal.
    """

    name: str
    url: str
    sha256: str
    fits: Mapping[str, tuple[str, ...]]
    push: Push | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Firmware:
    """A wanted version; without an image it is an assertion."""

    version: str
    at_least: bool = False
    image: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """How many devices a group must have; ``maximum`` None is no limit."""

    minimum: int = 1
    maximum: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Devices that are selected together, and their wanted values.

    :ivar match: by key (kind, vendor, product, pci, part_number, psid,
        location), the accepted values; keys are ANDed.
    :ivar health: ``ok`` (nothing unhealthy is reported), ``proved`` (its
        health is reported as OK) or ``any``.
    """

    name: str
    match: Mapping[str, tuple[str, ...]]
    count: Count = Count()
    firmware: Mapping[str, Firmware] = dataclasses.field(default_factory=dict)
    modes: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    health: str = 'ok'


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How far a run may go.

    :ivar attempts: writes of one item, 1 to 5.
    :ivar resets: host resets of one run, 0 to 10.
    :ivar reset: the strongest reset.
    :ivar minutes: length of a run, 1 to 1440.
    """

    attempts: int = 2
    resets: int = 4
    reset: Activation = Activation.AUX_CYCLE
    minutes: int = 120


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """A declared profile.

    :ivar order: component names, first to last, overriding the catalogue.
    :ivar allow: any of downgrade, force, collateral, burn_at_deploy,
        first_boot, staged (what others have staged may be carried out by a
        reset of the host).
    :ivar fallback: ``update`` has the BMC copy firmware that a run wrote and
        verified to its fallback slot, where the BMC does not do
        it by itself; ``keep`` leaves that slot as it is.
    :ivar digest: SHA-256 of the normalised profile, hexadecimal.
    """

    name: str
    groups: tuple[Group, ...]
    images: Mapping[str, Image] = dataclasses.field(default_factory=dict)
    summary: str = ''
    offered: bool = False
    order: tuple[str, ...] = ()
    allow: frozenset[str] = frozenset()
    limits: Limits = Limits()
    fallback: str = 'update'
    digest: str = ''

    @property
    def pushes(self) -> tuple[Push, ...]:
        """The push methods that its images select."""
        return tuple(dict.fromkeys(
            i.push for i in self.images.values() if i.push is not None))
