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

"""How a record writes items down: each device id once, eight alike as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Ref
from ironic_accel.model.serialization import plain
from ironic_accel.model.serialization import value_of


class Names:
    """Device ids by number: each is written out once."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(set(names))
        self.number = {name: n for n, name in enumerate(self.names)}

    def out(self, items: Iterable[Item]) -> list[list[Any]]:
        """Items as rows over devices: eight alike are one row."""
        rows: dict[tuple[Any, ...], list[int]] = {}
        for item in items:
            key = (item.name, item.kind, item.wanted, item.at_least)
            rows.setdefault(key, []).append(self.number[item.device])
        return [[name, kind, plain(wanted), int(at_least), devices]
                for (name, kind, wanted, at_least), devices in rows.items()]

    def read(self, rows: Iterable[Any]) -> tuple[Item, ...]:
        """Rows as items."""
        return tuple(Item(self.names[number], name, kind, value_of(wanted),
                          bool(at_least))
                     for name, kind, wanted, at_least, numbers in rows
                     for number in numbers)

    def refs_out(self, refs: Iterable[Ref]) -> list[list[Any]]:
        """What items are about, as rows: ``name, [devices]``."""
        rows: dict[str, list[int]] = {}
        for device, name in refs:
            rows.setdefault(name, []).append(self.number[device])
        return [[name, devices] for name, devices in rows.items()]

    def read_refs(self, rows: Iterable[Any]) -> tuple[Ref, ...]:
        """Those rows back, in the order of the devices."""
        return tuple(sorted((self.names[number], name)
                            for name, numbers in rows for number in numbers))
