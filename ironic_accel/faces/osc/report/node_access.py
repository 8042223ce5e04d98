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

"""The data of a node that the caller may read.

The inventory is in the inspection data of the node, which a reader of the
owner and of the system may read. The passthru methods need a system
administrator. Traits, firmware components and properties remain for callers
who may read neither.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import json
import time
from typing import Any
from typing import TypeVar

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc.errors import Missing
from ironic_accel.model import history
from ironic_accel.model import serialization
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]
_T = TypeVar('_T')


@dataclasses.dataclass(frozen=True, slots=True)
class VisibleNode:
    """A node as the caller may read it.

    :ivar node: the node as returned by the API.
    :ivar info: its ``driver_internal_info``, or None if redacted.
    :ivar inventory: the document ``inventory/2``, or None.
    :ivar at: epoch seconds of the inventory.
    :ivar stored: everything that is stored with the inventory, or None.
    :ivar traits: all trait names, or None.
    :ivar firmware: the firmware components of the node, or None; read only
        if there is no inventory.
    :ivar denied: the errors of calls that the caller may not make.
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
        """The name of the node, or its UUID."""
        return str(self.node.get('name') or self.node['uuid'])

    @property
    def accel_traits(self) -> tuple[str, ...]:
        """The accelerator traits of the node."""
        recorded = keys.TRAITS.read(self.info) or {}
        return tuple(t for t in self.traits or ()
                     if t.startswith(grammar.PREFIX) or t in recorded)

    def age(self) -> float | None:
        """Seconds since the inventory, by the local clock."""
        return None if self.at is None else max(0.0, time.time() - self.at)


class _Caller:
    """Makes calls of the API and keeps the errors of those not permitted."""

    def __init__(self) -> None:
        self.denied: list[str] = []

    def call(self, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except Denied as error:
            self.denied.append(error.reason)
        except Missing:
            return None
        return None


def gather(ironic: api.Ironic, node: Document) -> VisibleNode:
    """Read everything of a node that the caller may read."""
    uuid = str(node['uuid'])
    caller = _Caller()
    stored = caller.call(lambda: ironic.inventory(uuid))
    inventory, at, plugin = _stored(stored)
    if inventory is None and caller.denied and api.is_managed(node):
        answer = caller.call(lambda: ironic.get(uuid, 'accel_inventory'))
        if answer is not None:
            inventory = _current(answer['inventory'])
            at = time.time() - answer['age']
            caller.denied.clear()
    names = node.get('traits')
    if names is None:
        names = caller.call(lambda: ironic.traits(uuid))
    rows = None
    if inventory is None:
        rows = caller.call(lambda: ironic.firmware(uuid))
    return VisibleNode(
        node, api.info(node), inventory, at, plugin,
        None if names is None else tuple(sorted(names)),
        None if rows is None else tuple(
            r for r in rows if str(r['component']).startswith(
                keys.FIRMWARE_ROW.name)),
        tuple(caller.denied))


def of(ironic: api.Ironic, ref: str) -> VisibleNode:
    """Read everything that the caller may read of the node ``ref``.

    :raises: Missing if there is no such node; CommandError if accelerator
        management is not enabled on it.
    """
    node = ironic.managed(ref)
    return gather(ironic, node)


def needed(seen: VisibleNode, ref: str) -> Document:
    """The inventory of a node.

    :raises: Denied if the caller may not read it; CommandError if there is
        none yet.
    """
    if seen.inventory is not None:
        return seen.inventory
    if seen.denied:
        raise Denied(f'{seen.denied[0]}; next: for traits, firmware '
                     'components and properties: baremetal accelerator list '
                     f'{ref}')
    raise no_inventory(ref)


def no_inventory(ref: str) -> CommandError:
    """The error for a node without an inventory."""
    return CommandError(
        f'node {ref} has no accelerator inventory yet; next: baremetal '
        f'accelerator refresh {ref}')


def events(ironic: api.Ironic, ref: str) -> list[dict[str, Any]]:
    """The accelerator events in the history of a node, oldest first.

    The end of an operation has its document too (``document``, see
    ``model.history``). Of two ends of one operation the later one counts.

    :raises: Denied if the caller may not read the history.
    """
    found: dict[Any, dict[str, Any]] = {}
    for number, event in enumerate(ironic.history(ref)):
        if event.get('event_type') != keys.EVENT.name:
            continue
        text, doc = _document(str(event.get('event') or ''))
        key = number if doc is None else doc.get('id')
        found.pop(key, None)
        found[key] = {**event, 'event': text, 'document': doc}
    return list(found.values())


def _document(text: str) -> tuple[str, dict[str, Any] | None]:
    """The line of an event, and the document that follows it, or None."""
    line, _, rest = text.partition('\n')
    try:
        doc = history.read(json.loads(rest)) if rest else None
    except ValueError:
        return text, None
    return (text, None) if rest and doc is None else (line, doc)


def _stored(data: Document | None,
            ) -> tuple[Document | None, float | None, Document | None]:
    plugin = ((data or {}).get('plugin_data') or {}).get(
        keys.INVENTORY.name)
    # The inspection hook of Ironic stores a list under the same name.
    if not isinstance(plugin, Mapping) or 'inventory' not in plugin:
        return None, None, None
    try:
        at = float(plugin['at'])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"at: {plugin.get('at')!r}, expected a time"
                          ) from error
    return _current(plugin['inventory']), at, plugin


def _current(inventory: Document) -> Document:
    """An inventory in the form that this release prints.

    :raises: CommandError for one of a later release, and for a malformed
        one.
    """
    try:
        found = serialization.current(inventory)
    except ValueError as error:
        raise CommandError(
            f'Cannot read the stored inventory ({error}); install the '
            'ironic-accel release of the conductors') from error
    except (AttributeError, KeyError, TypeError) as error:
        raise _unreadable(repr(error)) from error
    try:
        serialization.inventory_from_dict(found)
        serialization.whole(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(repr(error)) from error
    return found


def _unreadable(why: str) -> CommandError:
    return CommandError(f'Cannot read the stored inventory ({why}); next: '
                        'refresh the node')


def devices_by_firmware(rows: Iterable[Document],
                        ) -> dict[str, list[Document]]:
    """Accelerator firmware components by device.

    Their names are ``accel:DEVICE/COMPONENT``.
    """
    found: dict[str, list[Document]] = {}
    for row in rows:
        device, _, name = str(row['component']).removeprefix(
            keys.FIRMWARE_ROW.name).rpartition('/')
        found.setdefault(device, []).append({**row, 'name': name})
    return found
