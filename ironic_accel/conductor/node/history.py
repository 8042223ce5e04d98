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

"""Entries in the node history: what was written to a node, for support."""

from __future__ import annotations

from typing import Any

from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Ready
from ironic_accel.model.plan import Action
from ironic_accel.model.serialization import plain

#: Maximum number of devices that an entry names.
SHOWN = 8


def note(node: Any, current: Operation, action: Action,
         image: Ready | None) -> None:
    """Write down that a write is about to go out, and who asked for it.

    Ironic adds when, and which conductor.
    """
    rows: dict[tuple[str, str, str], list[str]] = {}
    for change in action.changes:
        key = (change.item.name, _text(plain(change.seen)),
               _text(plain(change.item.wanted)))
        rows.setdefault(key, []).append(change.item.device)
    parts = [f'{name} {before} > {after} on {_devices(devices)}'
             for (name, before, after), devices in rows.items()]
    text = f"{action.verb} {'; '.join(parts)}"
    if image is not None:
        text += f'; image {action.image} sha256 {image.sha256}'
    text += f' ({current.step} {current.profile}, {current.kind}'
    if 'request' in current.asked:
        text += f", {current.asked['request']}"
    record(node, current, f'{text})')


def not_sent(node: Any, current: Operation, end: Ended) -> None:
    """Write down what of a noted write did not go out after all."""
    names: dict[str, list[str]] = {}
    for result in end.results:
        if result.answer == 'not-sent':
            names.setdefault(result.ref[1], []).append(result.ref[0])
    if names:
        record(node, current, 'not sent: ' + '; '.join(
            f'{name} on {_devices(devices)}'
            for name, devices in names.items()))


def record(node: Any, current: Operation, text: str) -> None:
    """Put a line into the node's history, with who asked for it."""
    saving.history(node, text, user=current.asked.get('user'),
                   project=current.asked.get('project'))


def _text(value: object) -> str:
    return 'unknown' if value is None else str(value)


def _devices(devices: list[str]) -> str:
    shown = ', '.join(devices[:SHOWN])
    more = len(devices) - SHOWN
    return f'{shown} and {more} more' if more > 0 else shown
