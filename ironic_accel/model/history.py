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

"""The history of operations: what each one wrote, for whom, and its end.

Every end is one document ``history/1``: converged, done, refused, failed or
stopped. It is meant for the support of a vendor, so it names devices, serial
numbers, versions, image digests and the messages of the BMC, and contains no
credentials and no addresses. ``rows`` makes a table of documents with one
value in each cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import json
from typing import Any

from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Value
from ironic_accel.model.errors import comparison
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import printable
from ironic_accel.model.errors import word
from ironic_accel.model import matching
from ironic_accel.model.matching import ItemState
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import value_of
from ironic_accel.model.record import Record

SCHEMA = 'history/1'

#: Outcomes of operations that did not do what was requested.
BAD = frozenset({'refused', 'failed', 'stopped'})

#: Maximum size of a document, and number of its changes.
MOST_BYTES, MOST_CHANGES = 32 * 1024, 256
#: Characters of a message that are kept.
_MOST_TEXT, _LEAST_TEXT = 300, 20

#: The columns of ``rows``.
FIELDS = ('time', 'system', 'outcome', 'result', 'device', 'serial',
          'component', 'from', 'to', 'image_sha256', 'step', 'profile',
          'user', 'project', 'request', 'operation', 'seconds', 'message_id',
          'message', 'error', 'id')


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """A component or mode of a device that an operation began to write.

    :ivar before: its value when it was first written, or None if unknown.
    :ivar sha256: digest of the image, or None for a mode.
    :ivar message_id: the BMC's or the tool's code for its last failure.
    :ivar message: the last failure in words.
    """

    device: str
    serial: str | None
    name: str
    kind: str
    before: Value | None
    wanted: Value | None
    sha256: str | None = None
    message_id: str | None = None
    message: str | None = None

    @property
    def ref(self) -> Ref:
        """What it is about."""
        return (self.device, self.name)


Changes = tuple[Written, ...]


def begun(changes: Changes, action: Action, sha256: str | None,
          seen: Inventory | None) -> Changes:
    """The changes with those of an action that is about to begin.

    A component that is written again keeps its first value.

    :param seen: has the serial numbers.
    """
    out = {c.ref: c for c in changes}
    for change in action.changes:
        item = change.item
        known = out.get(item.ref)
        device = seen.device(item.device) if seen else None
        out[item.ref] = Written(
            item.device, device.serial if device else None, item.name,
            item.kind, known.before if known else change.seen, item.wanted,
            sha256)
    return tuple(out.values())


def failed(changes: Changes, details: Mapping[Ref, Detail]) -> Changes:
    """The changes with the failures of some of them."""
    return tuple(
        c if c.ref not in details else dataclasses.replace(
            c, message_id=details[c.ref].message_id,
            message=printable(details[c.ref].summary)[:_MOST_TEXT])
        for c in changes)


def dump(changes: Changes, most: int = MOST_BYTES) -> list[list[Any]]:
    """The changes as data; those that differ in their device share a row.

    :param most: bytes as JSON. Of more, the messages are shortened, then the
        last changes are left out.
    """
    changes = changes[:MOST_CHANGES]
    for longest in (_MOST_TEXT, _MOST_TEXT // 4, _LEAST_TEXT):
        rows = _rows(changes, longest)
        if _size(rows) <= most:
            return rows
    while changes and _size(rows) > most:
        changes = changes[:len(changes) * 3 // 4]
        rows = _rows(changes, _LEAST_TEXT)
    return rows


def _rows(changes: Changes, longest: int) -> list[list[Any]]:
    """The rows of ``dump``.

    :param longest: characters of a message.
    """
    groups: dict[str, list[Any]] = {}
    for c in changes:
        shared = [c.name, c.kind, plain(c.before), plain(c.wanted), c.sha256,
                  c.message_id, c.message and c.message[:longest]]
        row = groups.setdefault(json.dumps(shared), [*shared, []])
        row[-1].append([c.device, c.serial])
    return list(groups.values())


def shortened(raw: Iterable[Sequence[Any]], most: int) -> list[list[Any]]:
    """What ``dump`` gave, in less space; nothing of malformed data."""
    try:
        return dump(load(raw), most)
    except (TypeError, ValueError):
        return []


def load(raw: Iterable[Sequence[Any]]) -> Changes:
    """Read ``dump`` back."""
    return tuple(
        Written(device, serial, name, kind, value_of(before),
               value_of(wanted), sha256, message_id, message)
        for (name, kind, before, wanted, sha256, message_id, message,
             devices) in raw
        for device, serial in devices)


@dataclasses.dataclass(frozen=True, slots=True)
class OperationEnd:
    """The end of an operation.

    :ivar outcome: ``converged``, ``done``, ``refused``, ``failed`` or
        ``stopped``.
    :ivar record: the record at the end: its staged items and open write.
    :ivar seen: the last inventory, or None.
    :ivar refused: the refused items of the plan (``plan/2``).
    """

    outcome: str
    error: Detail | None = None
    record: Record | None = None
    seen: Inventory | None = None
    refused: Sequence[Mapping[str, Any]] = ()


def changed(changes: Changes, end: OperationEnd, facts: Knowledge
            ) -> list[dict[str, Any]]:
    """The ``changes`` of a document: each with its result.

    The result is ``verified`` where the value was read back, ``staged``
    where it waits for a reset, ``unknown`` where its write may still be in
    progress, ``failed``, ``not verified``, or ``refused``.
    """
    out = []
    for change in changes:
        result, note = _result(change, end, facts)
        out.append({'device': change.device, 'serial': change.serial,
                    'component': change.name, 'kind': change.kind,
                    'from': plain(change.before), 'to': plain(change.wanted),
                    'image_sha256': change.sha256, 'result': result,
                    'message_id': change.message_id,
                    'message': change.message or note})
    return out + _not_begun(changes, end)


def _result(change: Written, end: OperationEnd, facts: Knowledge
            ) -> tuple[str, str | None]:
    record = end.record or Record()
    if end.outcome == 'converged':
        return 'verified', None
    staged = record.find_staged(change.ref)
    if staged is not None:
        return 'staged', f'active after {staged.activation}'
    if record.intent is not None and change.ref in {
            i.ref for i in record.intent.items}:
        return 'unknown', 'the write may still be in progress'
    if end.seen is not None:
        item = Item(change.device, change.name,
                    'firmware' if change.kind == 'firmware' else 'mode',
                    change.wanted)
        state = matching.item_state(
            end.seen.device(change.device), item, facts)
        if change.kind != 'device' and state is ItemState.HOLDS:
            return 'verified', None
    if change.message or (end.error is not None and change.ref == (
            end.error.device, end.error.component)):
        return 'failed', None
    return 'not verified', None


def _not_begun(changes: Changes, end: OperationEnd) -> list[dict[str, Any]]:
    """Rows for what was refused, or failed, without being written."""
    found: dict[tuple[Any, Any], dict[str, Any]] = {}
    for no in end.refused[:MOST_CHANGES]:
        detail = Detail(no['reason'], expected=_text(no.get('expected')),
                        seen=_text(no.get('seen')), device=no['device'],
                        component=no['name'])
        found[no['device'], no['name']] = _row(
            end, detail, 'refused', no.get('kind'), no.get('wanted'))
    error = end.error
    if error is not None and error.device and not end.refused:
        found[error.device, error.component] = _row(end, error, 'failed')
    known = {c.ref for c in changes}
    return [row for ref, row in found.items() if ref not in known]


def _row(end: OperationEnd, detail: Detail, result: str,
         kind: str | None = None, wanted: Any = None) -> dict[str, Any]:
    there = end.seen.device(detail.device or '') if end.seen else None
    part = there.component(detail.component or '') if there else None
    mode = there.mode(detail.component or '') if there else None
    before = part.running if part else plain(mode.current) if mode else None
    text = detail.summary + comparison(detail.expected, detail.seen)
    return {'device': detail.device or None,
            'serial': there.serial if there else None,
            'component': detail.component or None, 'kind': kind,
            'from': before, 'to': wanted, 'image_sha256': None,
            'result': result, 'message_id': detail.message_id,
            'message': printable(text)[:_MOST_TEXT]}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def document(values: Mapping[str, Any], changes: Sequence[Mapping[str, Any]],
             error: Detail | None) -> dict[str, Any]:
    """The document ``history/1``, within its size.

    :param values: ``id``, ``system`` (the node's uuid, or BMC and System),
        ``operation`` (Ironic's, or ``command``), ``step``, ``profile``,
        ``outcome``, ``started`` and ``finished`` (epoch seconds),
        ``seconds``, ``writes``, ``resets``, ``user``, ``project`` and
        ``request``; None where unknown.
    """
    doc = {
        'schema': SCHEMA, **values, 'started': moment(values.get('started')),
        'finished': moment(values.get('finished')),
        'message_id': error.message_id if error else None,
        'error': printable(word(dataclasses.replace(error, node=None)))
        if error else None,
        'changes': [dict(c) for c in changes[:MOST_CHANGES]], 'omitted': max(
            0, len(changes) - MOST_CHANGES)}
    while doc['changes'] and _size(doc) > MOST_BYTES:
        # What failed is kept longest.
        for change in reversed(doc['changes']):
            if change['result'] in ('verified', 'refused'):
                doc['changes'].remove(change)
                break
        else:
            doc['changes'].pop()
        doc['omitted'] += 1
    return doc


def _size(doc: Mapping[str, Any] | list[Any]) -> int:
    return len(json.dumps(doc).encode())


def moment(epoch: float | None) -> str | None:
    """Epoch seconds as date and time in UTC (ISO 8601)."""
    if epoch is None:
        return None
    at = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
    return f'{at:%Y-%m-%dT%H:%M:%SZ}'


def read(raw: Any) -> dict[str, Any] | None:
    """A document, or None for anything else, and for one of a later version.
    """
    if not isinstance(raw, dict) or raw.get('schema') != SCHEMA or (
            not isinstance(raw.get('changes'), list)):
        return None
    return raw


def is_bad(doc: Mapping[str, Any]) -> bool:
    """Whether an operation did not do what was requested."""
    return doc.get('outcome') in BAD


def rows(doc: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each change, or one for a document without changes.

    Each cell has one value: text, a number, or None.
    """
    shared = {
        'time': doc.get('finished'), **{
            name: doc.get(name) for name in (
                'system', 'outcome', 'step', 'profile', 'user', 'project',
                'request', 'operation', 'seconds', 'error', 'id')}}
    changes = [c for c in doc['changes'] if isinstance(c, dict)] or [{}]
    return [{name: cell({**shared, **{
        k: v for k, v in change.items() if k in FIELDS},
        **({} if change else {'result': doc.get('outcome'),
                              'message_id': doc.get('message_id')})
        }.get(name)) for name in FIELDS} for change in changes]


def cell(value: Any) -> str | float | None:
    """A value as one cell: no list, no line break."""
    if value is None or (isinstance(value, int | float) and not isinstance(
            value, bool)):
        return value
    if isinstance(value, list | tuple):
        return '+'.join(str(cell(v)) for v in value)
    return printable(' '.join(str(value).split()))
