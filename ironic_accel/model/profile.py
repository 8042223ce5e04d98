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

"""What the operator declares: the profile, as typed values.

``model.loader`` reads them from YAML or plain data and checks them.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import fnmatch

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value

#: The formats that are read.
FORMATS = (1, 2)

#: In place of a product: every product that is not listed.
ANY = 'any'


@dataclasses.dataclass(frozen=True, slots=True)
class Push:
    """The escape hatch: how an image is pushed, whatever we would choose.

    :ivar style: the name of a push style of the backend.
    :ivar targets: URIs to write, or None to leave them to the style.
    """

    style: str
    targets: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PushNeeds:
    """What a push requires of an image and its profile, besides the fit.

    :ivar suffixes: suffixes of the image file name, one of which it must
        have, in lower case; empty for any name.
    :ivar force: whether the push always forces the update, which the profile
        must allow.
    """

    suffixes: tuple[str, ...] = ()
    force: bool = False


#: Of a push that takes any image.
NO_NEEDS = PushNeeds()


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
class FirmwareByProduct:
    """The wanted version of one component by the product of its device.

    :ivar rows: by product, by a pattern of products, or by ``any`` for all
        others.
    """

    rows: Mapping[str, Firmware]

    def of(self, product: str | None) -> Firmware | None:
        """The row for a product; None if there is none for it.

        A row of the product itself comes before one of a pattern. If several
        patterns match, none of them is the one.
        """
        if product is not None and product != ANY:
            if product in self.rows:
                return self.rows[product]
            found = [row for name, row in self.rows.items()
                     if is_product(product, name)]
            if found:
                return found[0] if len(found) == 1 else None
        return self.rows.get(ANY)


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """How many devices a group must have; ``maximum`` None is no limit."""

    minimum: int = 1
    maximum: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Devices that are selected together, and their wanted values.

    :ivar match: by key (kind, vendor, product, arch, pci, part_number, psid,
        location), the accepted values; keys are ANDed. A product may be a
        pattern.
    :ivar firmware: by component, the version, or one for each product.
    :ivar modes: by mode, the value. One word for a mode that has one for
        each port means every port. A name in capitals is that of an NV
        configuration parameter (``raw``).
    :ivar health: ``ok`` (nothing unhealthy is reported), ``proved`` (its
        health is reported as OK) or ``any``.
    :ivar products: the products of the catalogue that ``product`` and
        ``arch`` select, or None if neither is given. It follows from
        the catalogue, so it is no part of what the profile says.
    """

    name: str
    match: Mapping[str, tuple[str, ...]]
    count: Count = Count()
    firmware: Mapping[str, Firmware | FirmwareByProduct] = dataclasses.field(
        default_factory=dict)
    modes: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    health: str = 'ok'
    products: tuple[str, ...] | None = dataclasses.field(
        default=None, compare=False)


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
        reset of the host), manual_ac_cycle (``stages.MANUAL``).
    :ivar fallback: ``update`` has the BMC copy firmware that a run wrote and
        verified to its fallback slot, where the BMC does not do
        it by itself; ``keep`` leaves that slot as it is.
    :ivar digest: SHA-256 of the normalised profile, hexadecimal.
    :ivar format: the lowest format that can say what it says.
    :ivar notes: what was read as something else than it was written as, a
        sentence each.
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
    format: int = 1
    notes: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    def selecting(self, products: Mapping[str, Collection[str]]) -> Profile:
        """The profile with the products that another catalogue selects.

        :param products: by group; the others keep theirs.
        """
        return dataclasses.replace(self, groups=tuple(
            dataclasses.replace(g, products=tuple(products[g.name]))
            if g.name in products else g for g in self.groups))

    @property
    def pushes(self) -> tuple[Push, ...]:
        """The push methods that its images select."""
        return tuple(dict.fromkeys(
            i.push for i in self.images.values() if i.push is not None))

    def limited(self, reset: Activation) -> Profile:
        """The profile with its strongest reset cut to ``reset``."""
        if self.limits.reset.rank <= reset.rank:
            return self
        return dataclasses.replace(
            self, limits=dataclasses.replace(self.limits, reset=reset))

def is_pattern(text: str) -> bool:
    """Whether a value of ``product`` is a pattern (``nvidia-h100-*``)."""
    return '*' in text


def is_product(product: str, wanted: str) -> bool:
    """Whether a product is the one, or one of those, of a profile.

    :param wanted: a name of the catalogue or a pattern, of which ``*`` stands
        for any characters.
    """
    if not is_pattern(wanted):
        return product == wanted
    return fnmatch.fnmatchcase(product, wanted.replace('[', '[[]').replace(
        '?', '[?]'))
