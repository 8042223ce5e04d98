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

"""Columns of the tables of properties that are modes of a device."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

#: Property names, and indexes of array members.
Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class PropertyMode:
    """A property of the device's resource that is a mode.

    :ivar kinds: kinds of devices that may have it.
    :ivar name: the mode's name in profiles.
    :ivar path: path of the property, a boolean for ``enabled`` and
        ``disabled``.
    :ivar settings: whether it is written to, and pending in, the settings
        object (Settings v1.4).
    :ivar number: whether the value is a number and not a boolean.
    """

    kinds: tuple[str, ...]
    name: str
    path: Path
    settings: bool
    number: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class FlagPairMode:
    """A mode with three values, by two booleans of the settings object.

    Each boolean is written by its own request, ``form`` first.

    :ivar path: path of the boolean for on.
    :ivar form: path of the boolean for the second form of on.
    :ivar words: values for off, on, and the second form of on.
    """

    kinds: tuple[str, ...]
    name: str
    path: Path
    form: Path
    words: tuple[str, str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class LinkedMode:
    """A mode of a resource that the device links to, set by an action.

    :ivar link: path of the link.
    :ivar property: property with the value; an empty string is no value.
    :ivar action: action that sets it, with the property's name as its
        parameter: ``#Mode.Set``.
    :ivar words: the service's values to the mode's values.
    """

    kinds: tuple[str, ...]
    name: str
    link: Path
    property: str
    action: str
    words: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class BiosMode:
    """A mode that is a BIOS attribute of the device's own System.

    :ivar attribute: its name in ``Attributes``.
    :ivar words: the service's values to the mode's values.
    """

    kinds: tuple[str, ...]
    name: str
    attribute: str
    words: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class ReadingMode:
    """A mode that a BMC reports and that is not set over Redfish.

    :ivar link: path of the link to the resource that has it.
    :ivar path: path of the property with the active value.
    :ivar words: the service's words to the mode's values.
    :ivar soon: path of a boolean, enabled or disabled from the next boot on.
    """

    kinds: tuple[str, ...]
    name: str
    link: Path
    path: Path
    words: Mapping[str, str]
    soon: Path | None = None


#: Modes that can be set, and all.
SettableMode = PropertyMode | FlagPairMode | LinkedMode | BiosMode
ModeRow = SettableMode | ReadingMode
