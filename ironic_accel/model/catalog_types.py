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

"""The values that the catalogue answers with."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value


@dataclasses.dataclass(frozen=True, slots=True)
class Product:
    """One product of a vendor.

    :ivar name: ours, unique: ``nvidia-h100-sxm``.
    :ivar arch: the vendor's architecture.
    :ivar pci: ``vendor:device`` or ``vendor:device:subvendor:subdevice``,
        lower-case hexadecimal.
    :ivar models: names that such a device reports of itself.
    :ivar part_numbers: beginnings of its part numbers.
    :ivar smart: whether a nic or dpu yields traits; plain NICs do not.
    :ivar components: names of its components, out of the kind's.
    :ivar modes: names of the modes that it can have, out of the kind's.
    :ivar variant_of: the product by the PCI ids alone.
    """

    name: str
    kind: str
    vendor: str
    arch: str | None = None
    pci: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    part_numbers: tuple[str, ...] = ()
    smart: bool = True
    components: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    variant_of: str | None = None
    source: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture that products of a vendor have: ``hopper``."""

    name: str
    vendor: str
    source: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class ComponentFacts:
    """What is known of a component before the device is read.

    :ivar activation: what activates a written image; None is unproved.
    :ivar shows_pending: whether a waiting image is normally visible.
    :ivar order: the lower, the earlier it is written.
    :ivar alone: never activated by the same reset as another component of
        the same device.
    :ivar form: the form of its versions (``model.version``).
    :ivar longest: seconds that a write may take, by its vendor; None if no
        source documents it.
    """

    name: str
    kind: str
    activation: Activation | None
    shows_pending: bool
    order: int
    alone: bool
    form: str
    source: str
    longest: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ModeFacts:
    """What is known of a mode before the device is read.

    :ivar type: ``word``, ``words`` (a list) or ``integer``.
    :ivar values: the words that it takes; empty for integers.
    :ivar unordered: whether a list of words is a set.
    :ivar together: whether it is one mode for all devices of a system that
        have it.
    :ivar spellings: other spellings of its values, in lower case.
    :ivar since: the format from which on a profile can set it.
    :ivar maximum: the largest number; None if no source bounds it.
    :ivar reported: words that a device may report and no profile asks for.
    :ivar trait: whether it makes a trait of its own.
    :ivar read_only: why it is never changed, in one sentence; empty if it is.
    :ivar absent: what may hide it from a device that has it; empty if nothing.
    :ivar order: the lower, the earlier it is set.
    """

    name: str
    kind: str
    type: str
    values: tuple[str, ...]
    unordered: bool
    activation: Activation | None
    persistent: bool | None
    source: str
    together: bool = False
    spellings: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict, hash=False)
    since: int = 1
    maximum: int | None = None
    reported: tuple[str, ...] = ()
    trait: bool = True
    read_only: str = ''
    absent: str = ''
    order: int = 0

    @property
    def is_switch(self) -> bool:
        """Whether its values are enabled and disabled."""
        return set(self.values) == {'enabled', 'disabled'}

    def reports(self, value: Value) -> bool:
        """Whether a device may report a value."""
        return value in self.reported or self.accepts(value)

    def accepts(self, value: Value) -> bool:
        """Whether a value is one of the mode's."""
        if self.type == 'integer':
            return type(value) is int and value >= 0 and (
                self.maximum is None or value <= self.maximum)
        if self.type == 'word':
            return isinstance(value, str) and value in self.values
        return (isinstance(value, tuple) and bool(value)
                and all(v in self.values for v in value)
                and not (self.unordered and len(set(value)) < len(value)))


def pci_id(raw: str | int | None) -> str | None:
    """One PCI id as four lower-case hexadecimal digits.

    Takes ``0x31C2``, ``31c2``, ``0x000031C2`` and numbers; None for what is
    no such id, and for ffff, which no device has.
    """
    if raw is None or isinstance(raw, bool):
        return None
    if isinstance(raw, str):
        text = raw.strip().lower().removeprefix('0x')
        if not re.fullmatch('[0-9a-f]{1,8}', text):
            return None
        raw = int(text, 16)
    return f'{raw:04x}' if 0 <= raw < 0xffff else None
