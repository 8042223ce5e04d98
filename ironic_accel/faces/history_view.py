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
#: The columns of the table for people; all are in the other formats.
SHOWN = ('Time', 'Outcome', 'Result', 'Device', 'Component', 'From', 'To',
         'Message')


def cells(doc: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a document, in the order of ``COLUMNS``."""
    return [tuple(row[name] for name in history.FIELDS)
            for row in history.rows(doc)]


def table(docs: Iterable[Mapping[str, Any]]) -> view.Table:
    """Documents as a table for people, a row for each change."""
    at = [COLUMNS.index(name) for name in SHOWN]
    return view.Table('History', SHOWN, tuple(
        tuple(view.value(row[n]) for n in at)
        for doc in docs for row in cells(doc)))


def write_csv(docs: Iterable[Mapping[str, Any]], stream: TextIO) -> None:
    """Print documents as CSV (RFC 4180), a row for each change."""
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(COLUMNS)
    for doc in docs:
        writer.writerows([map(sheet.cell, row) for row in cells(doc)])
