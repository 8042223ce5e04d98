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

"""What the caller may see of a node, and what it may not.

The whole inventory is in the node's inspection data, which an owner's and a
system's reader may read; the passthru needs a system administrator. Whoever
may neither still has traits, firmware components and properties.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import time
from typing import Any
from typing import TypeVar

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc.errors import Missing
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]
_T = TypeVar('_T')


@dataclasses.dataclass(frozen=True, slots=True)
class VisibleNode:
    """A node as the caller sees it.

    :ivar node: the node of the API.
    :ivar info: its ``driver_internal_info``, or None where redacted.
    :ivar inventory: the document ``inventory/2``, or None.
    :ivar at: epoch seconds of the inventory.
    :ivar stored: all that was stored with it (``ways``, ``plan``), or None.
    :ivar traits: all names, or None.
    :ivar firmware: the node's firmware components, or None; read only where
        there is no inventory.
    :ivar denied: what the caller may not do, in words.
    """

    node: Document
    info: Document | None = None
    inventory: Document | None = None
    at: float | None = None
    stored: Document | None = None
    traits: tuple[str, ...] | None = None
    firmware: tuple[Document, ...] | None = None
    denied: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """What people call the node."""
        return str(self.node.get('name') or self.node['uuid'])

    @property
    def ours(self) -> tuple[str, ...]:
        """The traits that are ours."""
        recorded = keys.TRAITS.read(self.info) or {}
        return tuple(t for t in self.traits or ()
                     if t.startswith(grammar.PREFIX) or t in recorded)

    def age(self) -> float | None:
        """Seconds since the inventory, by this machine's clock."""
        return None if self.at is None else max(0.0, time.time() - self.at)


class _Asking:
    """Asks for one thing after another, and notes what is not permitted."""

    def __init__(self) -> None:
        self.denied: list[str] = []

    def ask(self, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except Denied as error:
            self.denied.append(str(error))
        except Missing:
            return None
        return None


def gather(ironic: api.Ironic, node: Document) -> VisibleNode:
    """Ask for everything that the caller may see of a node."""
    uuid = str(node['uuid'])
    asking = _Asking()
    stored = asking.ask(lambda: ironic.inventory(uuid))
    inventory, at, plugin = _stored(stored)
    if inventory is None and asking.denied and api.ours(node):
        told = asking.ask(lambda: ironic.get(uuid, 'accel_inventory'))
        if told is not None:
            inventory, at = told['inventory'], time.time() - told['age']
            asking.denied.clear()
    names = node.get('traits')
    if names is None:
        names = asking.ask(lambda: ironic.traits(uuid))
    rows = None
    if inventory is None:
        rows = asking.ask(lambda: ironic.firmware(uuid))
    return VisibleNode(
        node, api.info(node), inventory, at, plugin,
        None if names is None else tuple(sorted(names)),
        None if rows is None else tuple(
            r for r in rows if str(r['component']).startswith(
                keys.FIRMWARE_ROW.name)),
        tuple(asking.denied))


def of(ironic: api.Ironic, ref: str) -> VisibleNode:
    """What the caller may see of the node that it calls ``ref``.

    :raises: Missing where there is no such node; CommandError where nobody
        looks after its accelerators.
    """
    node = ironic.node(ref)
    api.check_ours(node, ref)
    return gather(ironic, node)


def needed(seen: VisibleNode, ref: str) -> Document:
    """The inventory of a node, for what cannot do without.

    :raises: Denied where the caller may not see it; CommandError where
        nobody has looked yet.
    """
    if seen.inventory is not None:
        return seen.inventory
    if seen.denied:
        raise Denied(f'{seen.denied[0]}; traits, firmware components and '
                     f'properties: baremetal accelerator list {ref}')
    raise never_looked(ref)


def never_looked(ref: str) -> CommandError:
    """Say that nothing is known yet, and what makes it known."""
    return CommandError(
        f'node {ref}: nobody has looked at its accelerators yet; next: '
        f'baremetal accelerator audit {ref}')


def _stored(data: Document | None,
            ) -> tuple[Document | None, float | None, Document | None]:
    plugin = ((data or {}).get('plugin_data') or {}).get(
        keys.INVENTORY.name)
    # Upstream's inspection hook puts a list under that name.
    if not isinstance(plugin, Mapping) or 'inventory' not in plugin:
        return None, None, None
    return plugin['inventory'], float(plugin['at']), plugin


def devices_by_firmware(rows: Iterable[Document],
                        ) -> dict[str, list[Document]]:
    """The firmware components of ours by device.

    Their names are ``accel:DEVICE/COMPONENT``.
    """
    found: dict[str, list[Document]] = {}
    for row in rows:
        device, _, name = str(row['component']).removeprefix(
            keys.FIRMWARE_ROW.name).rpartition('/')
        found.setdefault(device, []).append({**row, 'name': name})
    return found
