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

"""Columns of the tables that say which properties are modes of a device."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

#: Names of properties, and numbers of members of arrays.
Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class PropertyMode:
    """One property of the device's resource that is a mode.

    :ivar kinds: kinds of devices that may have it.
    :ivar name: the mode's name in profiles.
    :ivar path: the property, a switch that reads ``enabled`` or
        ``disabled``.
    :ivar settings: whether it is written on, and pending in, the settings
        object (Settings v1.4).
    :ivar number: whether the value is a number and not a switch.
    """

    kinds: tuple[str, ...]
    name: str
    path: Path
    settings: bool
    number: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class FlagPairMode:
    """A mode of three values, told by two switches of the settings object.

    Each switch is written by a request of its own, ``form`` first.

    :ivar path: whether it is on.
    :ivar form: whether it is on in a second form.
    :ivar words: off, on, and on in the second form.
    """

    kinds: tuple[str, ...]
    name: str
    path: Path
    form: Path
    words: tuple[str, str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class LinkedMode:
    """A mode on a resource that the device's links to, set by an action.

    :ivar link: path of the link.
    :ivar property: tells the value; an empty text is no value.
    :ivar action: sets it, with the property's name as its parameter:
        ``#Mode.Set``.
    :ivar words: the service's words to the mode's values.
    """

    kinds: tuple[str, ...]
    name: str
    link: Path
    property: str
    action: str
    words: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class BiosMode:
    """A mode that is a BIOS attribute of the System that the device is.

    :ivar attribute: its name in ``Attributes``.
    :ivar words: the service's words to the mode's values.
    """

    kinds: tuple[str, ...]
    name: str
    attribute: str
    words: Mapping[str, str]


ModeRow = PropertyMode | FlagPairMode | LinkedMode | BiosMode
