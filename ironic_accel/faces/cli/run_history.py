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

"""The history of one run of ``ironic-accel apply``, from begin to end."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import getpass
import hashlib
import time
from typing import Any

from ironic_accel.faces.cli import history as history_file
from ironic_accel.faces.cli.journal import FileJournal
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli.session import Opened
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model import history
from ironic_accel.model.record import Record


@dataclasses.dataclass(frozen=True, slots=True)
class RunHistory:
    """Writes the end of a run into the history of its System.

    :ivar started: ``Record.started`` of the run, or of the one that it
        continues: both ends are of the same run then.
    :ivar began: epoch seconds.
    """

    opened: Opened
    journal: FileJournal
    profile: str
    started: float
    began: float

    @classmethod
    def begin(cls, opened: Opened, journal: FileJournal,
              earlier: Record | None, record: Record) -> RunHistory:
        """Take over what a run has written whose end is not in the history.

        It was interrupted, or its process was killed after its last request
        and before the end was written. A run that continues it, or that
        applies the same profile after it, has its changes. Before any other
        run its end is written.
        """
        made = cls(opened, journal, record.profile, record.started,
                   time.time())
        left = None if earlier is None else made._without_end(earlier)
        if earlier is None or left is None:
            journal.changes = ()
        elif record is earlier or (
                not earlier.started and earlier.digest == record.digest):
            made = dataclasses.replace(made, started=left)
        else:
            why = ('interrupted' if earlier.started else
                   'killed before its end was recorded')
            dataclasses.replace(
                made, profile=earlier.profile, started=left)._add(
                    'stopped', Detail(
                        f'stopped: {why}, and another run was started',
                        ErrorClass.NEEDS_OPERATOR), earlier, ())
            journal.changes = ()
        journal.started = made.started
        opened.backend.changes = journal.changes
        opened.backend.keep = journal.keep
        return made

    def _without_end(self, earlier: Record) -> float | None:
        """When the last run began, if its end is not in the history.

        :param earlier: its record. One that has ended keeps no time: the
            journal does, until the end is written.
        """
        began = self.journal.started or earlier.started
        if earlier.started:
            return began
        if not began or not self.journal.changes or any(
                doc.get('id') == self._id(began)
                and doc.get('outcome') != 'stopped'
                for doc in history_file.read(self._path)):
            return None
        messages.say(
            f'the end of the last run of profile {earlier.profile} is not in '
            'the history: this run writes it')
        return began

    def end(self, document: Mapping[str, Any], record: Record,
            is_interrupted: bool) -> None:
        """Write the end of the run.

        :param document: of the run, for its caller.
        :param record: of the run. One that has not ended, because of an
            error, is continued by the next run: its changes are kept.
        :param is_interrupted: whether the user stopped it: what it has begun
            is kept for the run that continues, as it is where the history
            cannot be written.
        """
        raw = document['error']
        written = self._add(
            'stopped' if is_interrupted else str(document['outcome']),
            Detail.from_dict(raw) if raw else None, record,
            document['refused'], document)
        if written and not is_interrupted and not record.started:
            self.journal.forget_changes()

    @property
    def _path(self) -> str:
        return history_file.path_of(self.journal.path)

    def _id(self, started: float) -> str:
        """What identifies a run in the history of its System."""
        return hashlib.sha256(
            f'{self.journal.path} {started}'.encode()).hexdigest()[:32]

    def _add(self, outcome: str, error: Detail | None, record: Record,
             refused: Any, counts: Mapping[str, Any] | None = None) -> bool:
        identity, backend = self.journal.identity, self.opened.backend
        mine = counts is not None
        changes = history.changed(
            backend.changes if mine else self.journal.changes,
            history.OperationEnd(outcome, error, record, backend.shown if mine
                        else None, refused), self.opened.catalog)
        now = time.time()
        doc = history.document({
            'id': self._id(self.started),
            'bmc': identity.url,
            'system': f'{identity.url} {identity.system}',
            'operation': 'command', 'step': 'apply', 'profile': self.profile,
            'outcome': outcome, 'started': self.began if mine else None,
            'finished': now,
            'seconds': round(now - self.began, 1) if mine else None,
            'writes': (counts or {}).get('writes'),
            'resets': (counts or {}).get('resets'),
            'user': _user(), 'project': None, 'request': None},
            changes, error)
        return history_file.append(self._path, doc)


def _user() -> str | None:
    """The name of the user of the command, or None if it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
