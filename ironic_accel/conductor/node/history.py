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

"""Entries in the node history, for operators and for a vendor's support.

A line is written before each write, and at the end of each operation. The
line of an end is followed by the document ``history/1`` (``model.history``),
so that one entry can be read by people and by programs. Ironic keeps the
last ``[conductor]node_history_max_entries`` entries of a node.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import word
from ironic_accel.model import history
from ironic_accel.model.history import Changes
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import plain

__all__ = ['changes_of', 'dump', 'ended', 'keep', 'note', 'note_not_sent',
           'note_write', 'replaced', 'stopped']

#: Bytes of the changes that are stored with a node while it is written to:
#: ``driver_internal_info`` has a limit, and other things in it.
STORED = 16 * 1024
#: Maximum number of devices that a line names.
SHOWN_DEVICES = 8


def note_write(node: Any, current: Operation, action: Action,
               image: Ready | None) -> None:
    """Write down that a write is about to go out, and who asked for it.

    Ironic adds when, and which conductor. Of settings every device is named:
    this is what they are put back from.
    """
    rows: dict[tuple[str, str, str], list[str]] = {}
    for change in action.changes:
        key = (change.item.name, _text(plain(change.seen)),
               _text(plain(change.item.wanted)))
        rows.setdefault(key, []).append(change.item.device)
    every = action.verb == 'set'
    parts = [f'{name} {before} > {after} on '
             + (', '.join(devices) if every else _shown(devices))
             for (name, before, after), devices in rows.items()]
    text = f"{action.verb} {'; '.join(parts)}"
    if image is not None:
        text += f'; image {action.image} sha256 {image.sha256}'
    text += f' ({current.step} {current.profile}, {current.kind}'
    if 'request' in current.asked:
        text += f", {current.asked['request']}"
    note(node, current, f'{text})')


def note_not_sent(node: Any, current: Operation, end: Ended) -> None:
    """Write down what of a noted write did not go out after all."""
    names: dict[str, list[str]] = {}
    for result in end.results:
        if result.answer == 'not-sent':
            names.setdefault(result.ref[1], []).append(result.ref[0])
    if names:
        note(node, current, 'not sent: ' + '; '.join(
            f'{name} on {_shown(devices)}'
            for name, devices in names.items()))


def note(node: Any, current: Operation, text: str) -> None:
    """Put a line into the node's history, with who asked for it."""
    saving.history(node, text, user=current.asked.get('user'),
                   project=current.asked.get('project'))


def dump(changes: Changes) -> list[list[Any]]:
    """The changes as they are stored with a node."""
    return history.dump(changes, STORED)


def changes_of(node: Any, current: Operation) -> Changes:
    """What an operation has begun to write; malformed data is ignored."""
    try:
        return history.load(current.changes)
    except (TypeError, ValueError) as exc:
        keys.tell(keys.OPERATION.name, getattr(node, 'uuid', None),
                  f'changes: {exc}')
        return ()


def keep(node: Any, changes: Changes) -> None:
    """Put what an operation is about to write onto its node; the caller
    saves it."""
    current = operation.load(node)
    if current is not None:
        operation.store(node, current.but(changes=tuple(dump(changes))))


def ended(node: Any, current: Operation, result: Mapping[str, Any],
          error: Detail | None, plan: Mapping[str, Any] | None,
          seen: Inventory | None) -> None:
    """Write down the end of an operation.

    :param result: of the operation (``accel_result``).
    :param plan: the document of the last plan, or None.
    :param seen: the last inventory, or None.
    """
    end = history.OperationEnd(
        str(result['outcome']), error, operation.load_record(node), seen,
        (plan or {}).get('refused') or ())
    _write(node, current, result, end)


def stopped(node: Any, current: Operation, why: str) -> None:
    """Write down that an operation was ended from outside.

    :param why: what ended it, in words.
    """
    now = clock.now()
    seconds = max(0.0, round(clock.elapsed(node) - current.started, 1))
    error = Detail(f'stopped: {why}', ErrorClass.NEEDS_OPERATOR)
    _write(node, current, {
        'id': current.id, 'operation': current.kind, 'step': current.step,
        'outcome': 'stopped', 'profile': current.profile or None,
        'started': now - seconds, 'finished': now, 'seconds': seconds,
        'writes': current.writes, 'resets': current.resets,
        'requests': current.requests},
        history.OperationEnd('stopped', error, operation.load_record(node)))


def replaced(node: Any, by: str) -> None:
    """Write down the end of a stale operation that another one replaces.

    A refresh that nobody asked for and that changed nothing is no event. The
    caller saves.

    :param by: the step that begins.
    """
    old = operation.load(node)
    if old is not None and old.phase == 'restore':
        operation.note_left_off(node, old)
    if old is None or old.work == 'watch' or (
            old.step in keys.UNASKED_STEPS and not old.changes):
        return
    stopped(node, old, f'{by} was begun in provision state '
            f'{node.provision_state}')


def _write(node: Any, current: Operation, result: Mapping[str, Any],
           end: history.OperationEnd) -> None:
    values = {name: result.get(name) for name in (
        'id', 'operation', 'step', 'profile', 'outcome', 'started',
        'finished', 'seconds', 'writes', 'resets')}
    asked = {name: current.asked.get(name)
             for name in ('user', 'project', 'request')}
    changes = history.changed(
        changes_of(node, current), end, catalogue.catalogue())
    doc = history.document({'system': node.uuid, **values, **asked}, changes,
                           end.error)
    note(node, current, f'{_words(current, result, end.error)}\n'
         + json.dumps(doc, separators=(',', ':')))


def _words(current: Operation, result: Mapping[str, Any],
           error: Detail | None) -> str:
    what = f'{current.step} {current.profile}'.strip()
    text = (f"{what}: {result['outcome']} in {result['seconds']} s, "
            + ', '.join(_counted(result[key], noun) for key, noun in (
                ('writes', 'write'), ('resets', 'host reset'),
                ('requests', 'request')))
            + ' for inventories')
    return text if error is None else f'{text}: {word(error)}'


def _counted(number: int, noun: str) -> str:
    return f'{number} {noun}' + ('' if number == 1 else 's')


def _text(value: object) -> str:
    return 'unknown' if value is None else str(value)


def _shown(devices: list[str]) -> str:
    shown = ', '.join(devices[:SHOWN_DEVICES])
    more = len(devices) - SHOWN_DEVICES
    return f'{shown} and {more} more' if more > 0 else shown
