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

"""The history as a table with one value in each cell, for all commands."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import csv
from typing import Any
from typing import TextIO

from ironic_accel.faces import ranges
from ironic_accel.faces import sheet
from ironic_accel.faces import view
from ironic_accel.model import history

#: Headings by the fields of ``model.history.rows``.
HEADINGS = {
    'time': 'Time', 'system': 'System', 'outcome': 'Outcome',
    'result': 'Result', 'device': 'Device', 'serial': 'Serial',
    'component': 'Component', 'from': 'From', 'to': 'To',
    'image_sha256': 'Image SHA-256', 'step': 'Step', 'profile': 'Profile',
    'user': 'User', 'project': 'Project', 'request': 'Request',
    'operation': 'Operation', 'seconds': 'Seconds',
    'message_id': 'Message ID', 'message': 'Message', 'error': 'Error',
    'id': 'ID'}
COLUMNS = tuple(HEADINGS[name] for name in history.FIELDS)
#: The columns of the table for people; all values are in the other formats.
SHOWN = ('Time', 'Profile', 'Outcome', 'Devices', 'Change', 'Message')
#: Results that need no reason.
_GOOD = frozenset({'verified', 'staged', 'converged', 'done'})


def cells(doc: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a document, in the order of ``COLUMNS``."""
    return [tuple(row[name] for name in history.FIELDS)
            for row in history.rows(doc)]


def table(docs: Iterable[Mapping[str, Any]]) -> view.Table:
    """Documents as a table for people, a row for equal changes of devices.

    Where the change has no message of its own, the reason is the error that
    ended the run. Documents of several systems have a column for it.
    """
    rows = tuple(row for doc in docs for row in _merged(doc))
    if len({row[0] for row in rows}) < 2:
        return view.Table('History', SHOWN, tuple(row[1:] for row in rows))
    return view.Table('History', ('System', *SHOWN), rows)


def _merged(doc: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The rows of a document, with its system in front.

    Those that differ in their device are one.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    omitted = doc.get('omitted')
    for row in history.rows(doc):
        message = row['message'] or (
            None if row['result'] in _GOOD else row['error'])
        key = tuple(map(view.value, (
            row['system'], row['time'], row['profile'], row['outcome'],
            _change(row, omitted), message)))
        groups.setdefault(key, []).append(view.value(row['device']))
    return [(*key[:4], ranges.words(devices), *key[4:])
            for key, devices in groups.items()]


def _change(row: Mapping[str, Any], omitted: int | None) -> str:
    """``ecc enabled > disabled: verified``.

    :param omitted: how many changes the document has no room for.
    """
    if row['component'] is not None:
        return (f"{row['component']} {view.change(row['from'], row['to'])}: "
                f"{row['result']}")
    if row['device'] is not None:
        return view.value(row['result'])
    return (f"{view.count(omitted, 'change')} not recorded" if omitted
            else 'nothing was written')


def write_csv(docs: Iterable[Mapping[str, Any]], stream: TextIO) -> None:
    """Print documents as CSV (RFC 4180), a row for each change."""
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(COLUMNS)
    for doc in docs:
        writer.writerows([map(sheet.cell, row) for row in cells(doc)])
